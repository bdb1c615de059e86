"""Heads, ears and snouts. Origin: the centre of the head; it faces +x."""

from __future__ import annotations

import skia

from shotstream.data.world.palette import RGB, darker, lighter, mix
from shotstream.data.world.pen import Pen, Point, box, common, moved, oval, polygon, smooth, turned, without
from shotstream.data.world.puppets.build import BUILDS, DARK, WHITE, Build, Coat
from shotstream.data.world.puppets.faces import Mood, draw_beak, draw_eyes, draw_mouth, draw_nose
from shotstream.data.world.spec import Kind, Pattern

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


def draw_ears(pen: Pen, kind: Kind, coat: Coat) -> None:
    build = BUILDS[kind]
    rx, ry = build.head_rx, build.head_ry
    inner = mix(lighter(coat.main, 0.5), (255, 170, 180), 0.45)
    for side in (-1, 1):
        if kind in ("fox", "cat"):
            tall = 0.27 if kind == "fox" else 0.19
            ear = [(0.12 * side, -0.8 * ry), (side * 0.93 * rx, -0.36 * ry), (side * 0.80 * rx, -0.72 * ry - tall)]
            hole = [(x * 0.97 + 0.012 * side, y * 0.9 + 0.01) for x, y in ear]
            pen.shape(polygon(ear), coat.main if kind == "cat" else coat.shade, coat.rim)
            pen.fill(polygon([_toward(point, _middle(hole), 0.42) for point in hole]), inner)
        elif kind == "rabbit":
            tilt = 9 * side + 5
            ear = turned(oval(side * 0.12, -ry - 0.135, 0.085, 0.21), tilt, side * 0.12, -ry)
            pen.shape(ear, coat.main, coat.rim)
            pen.fill(turned(oval(side * 0.12, -ry - 0.13, 0.044, 0.155), tilt, side * 0.12, -ry), inner)
        elif kind == "bear":
            pen.shape(oval(side * 0.78 * rx, -0.80 * ry, 0.115, 0.115), coat.main, coat.rim)
            pen.fill(oval(side * 0.78 * rx, -0.78 * ry, 0.062, 0.062), inner)
        elif kind == "owl":
            tuft = [(side * 0.10, -0.86 * ry), (side * 0.98 * rx, -0.2 * ry), (side * 0.98 * rx, -1.28 * ry)]
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
        shapes.append(box(-rx * 1.3, -0.30 * ry, rx * 1.3, 0.42 * ry, 0.1))
    elif pattern == "belly":
        shapes.append(oval(FACE_X, 0.72 * ry, 0.82 * rx, 0.62 * ry))
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


def draw_head(pen: Pen, kind: Kind, coat: Coat, pattern: Pattern, mood: Mood) -> None:
    build = BUILDS[kind]
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
            pen.fill(oval(FACE_X + side * 0.135, -0.02, 0.145, 0.15), coat.pale)
        draw_eyes(pen, [(FACE_X - 0.125, -0.02), (FACE_X + 0.125, -0.02)], 0.098, mood, coat)
        draw_beak(pen, FACE_X, 0.11, 0.06, mood)
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
