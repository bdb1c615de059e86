"""Measures and coats of each kind of character; heads, ears and faces. A head's origin is its centre; it faces +x."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import skia

from shotstream.data.world.palette import NAMED, RGB, Light, darker, lighter, luminance, mix
from shotstream.data.world.pen import Pen, Point, arc_points, box, common, moved, oval, polygon, smooth, turned, without
from shotstream.data.world.spec import Character, Kind, Pattern

WHITE: RGB = (255, 253, 248)
DARK: RGB = (44, 34, 56)


@dataclass(frozen=True, slots=True)
class Build:
    """Ellipse radii and centre heights; ``size`` scales the whole puppet so that all kinds stand about equally tall."""

    head_rx: float
    head_ry: float
    head_y: float
    body_rx: float
    body_ry: float
    body_y: float
    arm_length: float
    arm_width: float
    leg_width: float
    size: float = 1.0
    face_y: float = 0.0


BUILDS: dict[Kind, Build] = {
    "fox": Build(0.31, 0.26, -0.66, 0.19, 0.23, -0.27, 0.25, 0.105, 0.12, 1.0, 0.02),
    "rabbit": Build(0.28, 0.25, -0.60, 0.19, 0.22, -0.25, 0.24, 0.105, 0.13, 1.02, 0.02),
    "bear": Build(0.32, 0.28, -0.68, 0.25, 0.26, -0.29, 0.25, 0.135, 0.15, 1.02, 0.02),
    "cat": Build(0.31, 0.25, -0.65, 0.18, 0.22, -0.26, 0.25, 0.10, 0.11, 1.0, 0.02),
    "penguin": Build(0.28, 0.27, -0.68, 0.26, 0.33, -0.35, 0.29, 0.11, 0.12, 1.04, 0.03),
    "owl": Build(0.34, 0.28, -0.67, 0.28, 0.30, -0.33, 0.29, 0.14, 0.11, 1.0, 0.0),
    "frog": Build(0.35, 0.22, -0.60, 0.23, 0.22, -0.26, 0.27, 0.085, 0.11, 1.08, 0.06),
    "robot": Build(0.30, 0.24, -0.70, 0.22, 0.21, -0.29, 0.27, 0.09, 0.11, 0.98, 0.0),
}


@dataclass(frozen=True, slots=True)
class Coat:
    """A character's colours in the shot's light (already toned). ``rim`` outlines, ``ink`` draws details."""

    main: RGB
    shade: RGB
    pale: RGB
    pattern: RGB
    ink: RGB
    rim: RGB


def coat_of(character: Character, light: Light) -> Coat:
    main, pattern = NAMED[character.colour], NAMED[character.pattern_colour]
    ink = mix(darker(main, 0.72), DARK, 0.3)
    rim = mix(darker(main, 0.62), (92, 96, 130), 0.35) if luminance(main) > 0.9 else darker(main, 0.62)
    if light.dark:
        rim = mix(lighter(main, 0.55), (190, 215, 255), 0.4)
    return Coat(main, darker(main, 0.18), lighter(main, 0.72), pattern, ink, rim)


Mood = Literal["calm", "blink", "joyful", "asleep"]

BEAK: RGB = (250, 164, 44)
TONGUE: RGB = (236, 92, 98)


def draw_eyes(pen: Pen, centres: list[Point], size: float, mood: Mood, coat: Coat, *, glowing: bool = False) -> None:
    """Big round eyes; shut ones are smiling arcs."""
    white: RGB = (150, 240, 255) if glowing else WHITE
    for x, y in centres:
        if mood in ("blink", "asleep"):
            colour = white if glowing else DARK
            arc = arc_points(x, y - 0.3 * size, size * 0.95, 25, 155)
            pen.line(smooth(arc, closed=False), colour, 0.030)
            continue
        if glowing:
            pen.fill(oval(x, y, 0.85 * size, 1.1 * size), white, lit=True)
            continue
        wide = size * (0.88 if x == centres[-1][0] else 1.0)  # the eye on the far side of the turned face
        ball = oval(x, y, wide, 1.2 * size)
        pen.fill(oval(x, y, wide + 0.014, 1.2 * size + 0.014), coat.ink)
        pen.fill(ball, WHITE)
        pen.fill(common(ball, oval(x + 0.28 * size, y + 0.08 * size, 0.66 * size, 0.88 * size)), DARK)
        pen.fill(oval(x + 0.08 * size, y - 0.34 * size, 0.30 * size, 0.32 * size), WHITE)


def draw_mouth(pen: Pen, x: float, y: float, width: float, mood: Mood, colour: RGB) -> None:
    if mood == "joyful":
        mouth = smooth(
            [
                (x - width, y),
                (x, y + 0.02),
                (x + width, y),
                (x + 0.6 * width, y + 0.07),
                (x, y + 0.095),
                (x - 0.6 * width, y + 0.07),
            ]
        )
        pen.fill(mouth, colour)
        pen.fill(common(mouth, oval(x, y + 0.095, 0.6 * width, 0.04)), TONGUE)
        return
    bend = 0.018 if mood == "asleep" else 0.04
    pen.line(smooth([(x - width, y), (x, y + bend), (x + width, y)], closed=False), colour, 0.022)


def draw_nose(pen: Pen, x: float, y: float, size: float, colour: RGB) -> None:
    pen.fill(
        smooth([(x - size, y - 0.4 * size), (x, y - 0.7 * size), (x + size, y - 0.4 * size), (x, y + 0.75 * size)]),
        colour,
    )


def draw_beak(pen: Pen, x: float, y: float, size: float, mood: Mood) -> None:
    drop = 1.5 if mood == "joyful" else 1.15
    if mood == "joyful":
        pen.fill(polygon([(x - 0.75 * size, y), (x + 0.75 * size, y), (x, y + drop * 1.3 * size)]), TONGUE)
    beak = smooth([(x - size, y), (x, y - 0.65 * size), (x + 1.1 * size, y), (x + 0.1 * size, y + size)])
    pen.fill(beak, BEAK)
    pen.line(beak, (176, 92, 20), 0.014)


FACE_X = 0.075  # the face looks a little towards where the character is going
BLUSH: RGB = (250, 128, 128)


def mirrored(points: list[Point]) -> list[Point]:
    """A closed outline from its right half, given from top to bottom."""
    return points + [(-x, y) for x, y in reversed(points) if x != 0]


def head_outline(kind: Kind) -> skia.Path:
    build = BUILDS[kind]
    rx, ry = build.head_rx, build.head_ry
    if kind in ("fox", "cat"):
        cheek = 1.12 if kind == "fox" else 1.03
        half = [(0, -ry), (0.62 * rx, -0.84 * ry), (0.97 * rx, -0.1 * ry), (cheek * rx, 0.42 * ry)]
        return smooth(mirrored([*half, (0.58 * rx, 0.86 * ry), (0, ry)]))
    if kind == "robot":
        return box(-rx, -ry, rx, ry, 0.10)
    if kind == "frog":
        half = [(0, -0.8 * ry), (0.6 * rx, -0.78 * ry), (rx, 0.12 * ry), (0.66 * rx, 0.88 * ry), (0, ry)]
        return smooth(mirrored(half))
    return oval(0, 0, rx, ry)


def draw_ears(pen: Pen, kind: Kind, coat: Coat, *, behind: bool = False) -> None:
    build = BUILDS[kind]
    rx, ry = build.head_rx, build.head_ry
    inner = coat.main if behind else mix(lighter(coat.main, 0.5), (255, 170, 180), 0.45)
    for side in (-1, 1):
        if kind in ("fox", "cat"):
            tall = 0.27 if kind == "fox" else 0.17
            ear = [(0.12 * side, -0.8 * ry), (side * 0.93 * rx, -0.36 * ry), (side * 0.80 * rx, -0.72 * ry - tall)]
            hole = [(x * 0.97 + 0.012 * side, y * 0.9 + 0.01) for x, y in ear]
            pen.shape(polygon(ear), coat.main if kind == "cat" else coat.shade, coat.rim)
            pen.fill(polygon([_toward(point, _middle(hole), 0.42) for point in hole]), inner)
            if kind == "fox":
                tip = [ear[2], _toward(ear[2], ear[0], 0.36), _toward(ear[2], ear[1], 0.36)]
                pen.fill(polygon(tip), coat.rim)
        elif kind == "rabbit":
            tilt = 9 * side + 5
            ear = turned(oval(side * 0.12, -ry - 0.135, 0.085, 0.21), tilt, side * 0.12, -ry)
            pen.shape(ear, coat.main, coat.rim)
            pen.fill(turned(oval(side * 0.12, -ry - 0.13, 0.044, 0.155), tilt, side * 0.12, -ry), inner)
        elif kind == "bear":
            pen.shape(oval(side * 0.78 * rx, -0.80 * ry, 0.115, 0.115), coat.main, coat.rim)
            pen.fill(oval(side * 0.78 * rx, -0.78 * ry, 0.062, 0.062), inner)
        elif kind == "owl":
            tuft = [(side * 0.34 * rx, -0.88 * ry), (side * 0.99 * rx, -0.1 * ry), (side * 1.18 * rx, -1.16 * ry)]
            pen.shape(polygon(tuft), coat.shade, coat.rim)
        elif kind == "frog":
            pen.shape(oval(side * 0.19 + FACE_X * 0.5, -0.86 * ry, 0.128, 0.125), coat.main, coat.rim)
    if kind == "robot":
        pen.line(polygon([(0, -ry), (0, -ry - 0.12)]), coat.rim, 0.035)
        pen.shape(oval(0, -ry - 0.15, 0.055, 0.055), (255, 214, 90), coat.rim)
        for side in (-1, 1):
            pen.shape(box(side * rx - 0.045, -0.08, side * rx + 0.045, 0.08, 0.03), coat.shade, coat.rim)


def _middle(points: list[Point]) -> Point:
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


def _toward(point: Point, target: Point, share: float) -> Point:
    return point[0] + (target[0] - point[0]) * share, point[1] + (target[1] - point[1]) * share


def draw_marks(pen: Pen, outline: skia.Path, build: Build, pattern: Pattern, colour: RGB) -> None:
    """The pattern's share of the face."""
    rx, ry = build.head_rx, build.head_ry
    shapes: list[skia.Path] = []
    if pattern == "mask":
        shapes.append(box(-rx * 1.3, -0.26 * ry, rx * 1.3, 0.24 * ry, 0.1))
    elif pattern == "belly":
        shapes.append(oval(FACE_X, 0.76 * ry, 0.70 * rx, 0.52 * ry))
    elif pattern == "spots":
        shapes += [
            oval(-0.62 * rx, -0.42 * ry, 0.26 * rx, 0.28 * ry),
            oval(0.28 * rx, -0.80 * ry, 0.24 * rx, 0.22 * ry),
        ]
        shapes += [oval(0.84 * rx, 0.18 * ry, 0.20 * rx, 0.26 * ry), oval(-0.66 * rx, 0.52 * ry, 0.20 * rx, 0.20 * ry)]
    elif pattern == "stripes":
        for x in (-0.42, 0.02, 0.46):
            shapes.append(
                polygon([((x - 0.12) * rx, -1.2 * ry), ((x + 0.12) * rx, -1.2 * ry), (x * 0.8 * rx, -0.30 * ry)])
            )
        for side in (-1, 1):
            shapes.append(
                polygon([(side * 1.2 * rx, 0.16 * ry), (side * 1.2 * rx, 0.50 * ry), (side * 0.56 * rx, 0.36 * ry)])
            )
    for shape in shapes:
        pen.fill(common(outline, shape), colour)


def _draw_base(pen: Pen, kind: Kind, coat: Coat, pattern: Pattern) -> None:
    build = BUILDS[kind]
    rx, ry = build.head_rx, build.head_ry
    outline = head_outline(kind)
    pen.fill(outline, coat.main)
    if kind == "fox":
        for side in (-1, 1):
            cheek = [
                (side * 1.3 * rx, 0.16 * ry),
                (side * 0.52 * rx, 0.30 * ry),
                (side * 0.1 * rx, 1.1 * ry),
                (side * rx, 1.2 * ry),
            ]
            pen.fill(common(outline, polygon(cheek)), coat.pale)
    if kind == "penguin":
        for side in (-1, 1):
            pen.fill(common(outline, oval(side * 0.095 + FACE_X, 0.22 * ry, 0.15, 0.2)), WHITE)
    if kind == "frog":
        pen.fill(common(outline, oval(FACE_X, 1.05 * ry, 0.92 * rx, 0.62 * ry)), lighter(coat.main, 0.5))
    draw_marks(pen, outline, build, pattern, coat.pattern)
    shadow = without(outline, moved(outline, 0.03, -0.045))
    pen.fill(shadow, darker(coat.main, 0.5), 0.22)
    pen.fill(common(outline, oval(-0.2 * rx, -0.62 * ry, 0.34 * rx, 0.2 * ry)), (255, 255, 255), 0.16)
    pen.edge(outline, coat.rim)


def draw_head(pen: Pen, kind: Kind, coat: Coat, pattern: Pattern, mood: Mood | None) -> None:
    """``mood`` None: seen from behind, without a face."""
    build = BUILDS[kind]
    if mood is None:
        outline = head_outline(kind)
        draw_ears(pen, kind, coat, behind=True)
        pen.fill(outline, coat.main)
        if pattern in ("spots", "stripes"):
            draw_marks(pen, outline, build, pattern, coat.pattern)
        pen.edge(outline, coat.rim)
        return
    draw_ears(pen, kind, coat)
    _draw_base(pen, kind, coat, pattern)
    y = build.face_y
    if kind == "robot":
        pen.fill(box(-0.23 + FACE_X, -0.15, 0.22 + FACE_X, 0.16, 0.07), DARK)
        draw_eyes(pen, [(FACE_X - 0.10, -0.03), (FACE_X + 0.10, -0.03)], 0.058, mood, coat, glowing=True)
        draw_mouth(pen, FACE_X, 0.085, 0.07, mood, (150, 240, 255))
        return
    if kind == "owl":
        for side in (-1, 1):
            pen.fill(oval(FACE_X + side * 0.135, -0.02, 0.155, 0.165), coat.pale)
        draw_eyes(pen, [(FACE_X - 0.132, -0.02), (FACE_X + 0.132, -0.02)], 0.112, mood, coat)
        draw_beak(pen, FACE_X, 0.12, 0.075, mood)
        return
    if kind == "frog":
        draw_eyes(pen, [(-0.19 + FACE_X * 0.7, -0.19), (0.19 + FACE_X * 0.7, -0.19)], 0.078, mood, coat)
        draw_mouth(pen, FACE_X, 0.055, 0.17, mood, coat.ink)
    elif kind == "penguin":
        draw_eyes(pen, [(FACE_X - 0.105, y - 0.03), (FACE_X + 0.105, y - 0.03)], 0.066, mood, coat)
        draw_beak(pen, FACE_X + 0.01, y + 0.055, 0.075, mood)
    else:
        spread = 0.125 if kind != "bear" else 0.12
        draw_eyes(pen, [(FACE_X - spread, y - 0.045), (FACE_X + spread, y - 0.045)], 0.068, mood, coat)
        _draw_snout(pen, kind, coat, mood, y)
    for side in (-1, 1):
        pen.fill(oval(FACE_X + side * 0.68 * build.head_rx, y + 0.085, 0.045, 0.03), BLUSH, 0.55)


def _draw_snout(pen: Pen, kind: Kind, coat: Coat, mood: Mood, y: float) -> None:
    x = FACE_X + 0.012
    if kind == "bear":
        pen.fill(oval(x, y + 0.115, 0.125, 0.10), coat.pale)
    elif kind in ("cat", "rabbit"):
        pen.fill(oval(x - 0.045, y + 0.115, 0.065, 0.052), coat.pale)
        pen.fill(oval(x + 0.045, y + 0.115, 0.065, 0.052), coat.pale)
    draw_mouth(pen, x, y + 0.125, 0.065, mood, DARK)
    if kind == "rabbit" and mood != "asleep":
        pen.fill(box(x - 0.032, y + 0.135, x + 0.032, y + 0.195, 0.012), WHITE)
    draw_nose(pen, x, y + 0.068, 0.052 if kind == "bear" else 0.04, DARK if kind in ("fox", "bear") else (226, 96, 120))
    if kind == "cat":
        for side in (-1, 1):
            for rise in (0.0, 0.055):
                pen.line(
                    polygon([(x + side * 0.15, y + 0.10 + rise), (x + side * 0.29, y + 0.08 + 1.4 * rise)]),
                    coat.ink,
                    0.014,
                )
