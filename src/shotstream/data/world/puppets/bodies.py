"""Bodies, limbs and tails. Origins: body at the feet's centre, limbs and tails at their joint."""

from __future__ import annotations

import skia

from shotstream.data.world.palette import RGB, darker, lighter
from shotstream.data.world.pen import Pen, box, common, moved, oval, polygon, smooth, without
from shotstream.data.world.puppets.build import BUILDS, WHITE, Coat
from shotstream.data.world.puppets.faces import BEAK
from shotstream.data.world.spec import Kind, Pattern

FEATHERED: tuple[Kind, ...] = ("penguin", "owl")


def body_outline(kind: Kind) -> skia.Path:
    build = BUILDS[kind]
    rx, ry, y = build.body_rx, build.body_ry, build.body_y
    if kind == "robot":
        return box(-rx, y - ry, rx, y + ry, 0.08)
    half = [(0, y - ry), (0.72 * rx, y - 0.72 * ry), (rx, y + 0.25 * ry), (0.74 * rx, y + 0.86 * ry), (0, y + ry)]
    return smooth(half + [(-px, py) for px, py in reversed(half) if px != 0])


def draw_pattern(pen: Pen, outline: skia.Path, pattern: Pattern, colour: RGB) -> None:
    """The pattern's share of a body, scaled to its bounds."""
    bounds = outline.getBounds()
    x, y, rx, ry = bounds.centerX(), bounds.centerY(), bounds.width() / 2, bounds.height() / 2
    shapes: list[skia.Path] = []
    if pattern == "belly":
        shapes.append(oval(x + 0.12 * rx, y + 0.16 * ry, 0.66 * rx, 0.74 * ry))
    elif pattern == "spots":
        for dx, dy, size in (
            (-0.5, -0.35, 0.32),
            (0.42, -0.1, 0.36),
            (-0.25, 0.45, 0.34),
            (0.55, 0.72, 0.28),
            (-0.85, 0.2, 0.2),
        ):
            shapes.append(oval(x + dx * rx, y + dy * ry, size * rx, size * rx))
    elif pattern == "stripes":
        for dy in (-0.55, -0.02, 0.50):
            shapes.append(box(x - 2 * rx, y + (dy - 0.13) * ry, x + 2 * rx, y + (dy + 0.13) * ry))
    elif pattern == "mask":
        shapes.append(box(x - 2 * rx, y + 0.45 * ry, x + 2 * rx, y + 2 * ry))
    for shape in shapes:
        pen.fill(common(outline, shape), colour)


def shade_and_edge(pen: Pen, outline: skia.Path, coat: Coat, drop: float = 0.04) -> None:
    shadow = without(outline, moved(outline, drop, -drop))
    pen.fill(shadow, darker(coat.main, 0.5), 0.24)
    pen.edge(outline, coat.rim)


def draw_body(pen: Pen, kind: Kind, coat: Coat, pattern: Pattern) -> None:
    outline = body_outline(kind)
    build = BUILDS[kind]
    pen.fill(outline, coat.main)
    if kind == "penguin":
        pen.fill(common(outline, oval(0.04, build.body_y + 0.05, 0.19, 0.28)), WHITE)
    elif kind == "owl":
        pen.fill(common(outline, oval(0.04, build.body_y + 0.06, 0.19, 0.22)), lighter(coat.main, 0.45))
    elif kind in ("fox", "frog") and pattern == "plain":
        pen.fill(common(outline, oval(0.03, build.body_y + 0.03, 0.12, 0.18)), coat.pale)
    elif kind == "robot":
        pen.fill(box(-0.13, build.body_y - 0.1, 0.15, build.body_y + 0.1, 0.03), coat.pale)
    draw_pattern(pen, outline, pattern, coat.pattern)
    if kind == "robot":
        pen.fill(oval(0.02, build.body_y - 0.02, 0.055, 0.055), (255, 214, 90), lit=True)
    shade_and_edge(pen, outline, coat)


def draw_arm(pen: Pen, kind: Kind, coat: Coat) -> None:
    """Hangs down from its joint."""
    build = BUILDS[kind]
    length, half = build.arm_length, build.arm_width / 2
    if kind in FEATHERED:
        wing = smooth(
            [
                (-half, -0.03),
                (half, -0.03),
                (1.35 * half, 0.55 * length),
                (0.1 * half, length),
                (-1.1 * half, 0.6 * length),
            ]
        )
        pen.shape(wing, coat.shade, coat.rim)
        return
    pen.shape(box(-half, -half, half, length, half), coat.main, coat.rim)
    if kind == "robot":
        pen.shape(oval(0, length - 0.01, 1.35 * half, 1.35 * half), coat.shade, coat.rim)
    else:
        pen.fill(oval(0, length - half, 0.82 * half, 0.82 * half), coat.pale)


def draw_leg(pen: Pen, kind: Kind, coat: Coat) -> None:
    """Hangs down from the hip, 0.15 long, with a foot towards +x."""
    half = BUILDS[kind].leg_width / 2
    if kind in FEATHERED:
        pen.shape(oval(0.03, 0.125, 0.10, 0.042), BEAK, (176, 92, 20))
        return
    pen.shape(box(-half, -0.06, half, 0.14, half * 0.8), coat.main, coat.rim)
    foot = oval(0.05, 0.115, 0.13, 0.045) if kind == "frog" else oval(0.03, 0.115, half + 0.035, 0.048)
    pen.shape(foot, coat.shade, coat.rim)


def draw_tail(pen: Pen, kind: Kind, coat: Coat) -> None:
    """Points up and away towards -x from its joint."""
    if kind == "fox":
        brush = smooth(
            [
                (0.02, 0.02),
                (-0.16, 0.05),
                (-0.31, -0.06),
                (-0.37, -0.26),
                (-0.30, -0.36),
                (-0.20, -0.22),
                (-0.08, -0.12),
                (0.04, -0.08),
            ]
        )
        pen.fill(brush, coat.main)
        pen.fill(common(brush, polygon([(-0.6, -0.5), (0, -0.5), (-0.2, -0.20), (-0.6, -0.14)])), coat.pale)
        shade_and_edge(pen, brush, coat, 0.03)
    elif kind == "cat":
        spine = smooth([(0.0, 0.0), (-0.17, 0.03), (-0.27, -0.10), (-0.24, -0.27), (-0.31, -0.37)], closed=False)
        pen.line(spine, coat.rim, 0.10)
        pen.line(spine, coat.main, 0.10 - 2 * pen.outline)
        pen.contour += [(-0.36, -0.42), (-0.32, 0.05)]
    elif kind in ("rabbit", "bear"):
        size = 0.085 if kind == "rabbit" else 0.06
        pen.shape(oval(-0.05, -0.02, size, size), coat.pale if kind == "rabbit" else coat.shade, coat.rim)
    elif kind in FEATHERED:
        pen.shape(polygon([(0.04, -0.1), (-0.15, 0.06), (0.04, 0.06)]), coat.shade, coat.rim)


def draw_curled(pen: Pen, kind: Kind, coat: Coat, pattern: Pattern) -> None:
    """A body lying on the ground, the head's place at +x."""
    rx, ry = (0.33, 0.20) if kind != "robot" else (0.30, 0.17)
    outline = box(-0.12 - rx, -2 * ry, -0.12 + rx, 0, 0.08) if kind == "robot" else oval(-0.12, -ry, rx, ry)
    pen.fill(outline, coat.main)
    draw_pattern(pen, outline, pattern, coat.pattern)
    shade_and_edge(pen, outline, coat)
    foot: RGB = BEAK if kind in FEATHERED else coat.shade
    pen.shape(oval(-0.30, -0.045, 0.12, 0.05), foot, coat.rim)
    pen.shape(oval(0.10, -0.045, 0.13, 0.05), coat.main, coat.rim)
