"""Bodies, limbs and tails, and what is worn or carried.

Origins: body at the feet's centre, limbs and tails at their joint, head pieces at the top of the head.
"""

from __future__ import annotations

import skia

from shotstream.data.world.palette import NAMED, RGB, darker, lighter
from shotstream.data.world.pen import Pen, arc_points, box, common, moved, oval, polygon, smooth, without
from shotstream.data.world.puppets.heads import BEAK, BUILDS, WHITE, Coat
from shotstream.data.world.spec import Colour, Kind, Pattern

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
        shapes.append(oval(x + 0.12 * rx, y + 0.18 * ry, 0.56 * rx, 0.66 * ry))
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
            shapes.append(box(x - 2 * rx, y + (dy - 0.10) * ry, x + 2 * rx, y + (dy + 0.10) * ry))
    elif pattern == "mask":
        shapes.append(box(x - 2 * rx, y + 0.55 * ry, x + 2 * rx, y + 2 * ry))
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
        chest = common(outline, oval(0.04, build.body_y + 0.06, 0.19, 0.22))
        pen.fill(chest, lighter(coat.main, 0.45))
        for x, y in ((-0.05, -0.02), (0.05, -0.02), (0.15, -0.02), (0.0, 0.08), (0.10, 0.08)):
            quill = arc_points(x - 0.01, build.body_y + y, 0.045, 20, 160, 5)
            pen.line(smooth(quill, closed=False), coat.shade, 0.022)
    elif kind in ("fox", "frog") and pattern == "plain":
        pen.fill(common(outline, oval(0.03, build.body_y + 0.03, 0.12, 0.18)), coat.pale)
    elif kind == "robot":
        pen.fill(box(-0.13, build.body_y - 0.1, 0.15, build.body_y + 0.1, 0.03), coat.pale)
    draw_pattern(pen, outline, pattern, coat.pattern)
    if kind == "robot":
        pen.fill(oval(0.02, build.body_y - 0.02, 0.055, 0.055), (255, 214, 90), lit=True)
    shade_and_edge(pen, outline, coat)


def draw_rear(pen: Pen, kind: Kind, coat: Coat, pattern: Pattern) -> None:
    """A body seen from behind: what is on its front does not show."""
    outline = body_outline(kind)
    pen.fill(outline, coat.main)
    if pattern in ("spots", "stripes"):
        draw_pattern(pen, outline, pattern, coat.pattern)
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
        pen.fill(oval(0, length - half, 0.82 * half, 0.82 * half), coat.rim if kind == "fox" else coat.pale)


def draw_leg(pen: Pen, kind: Kind, coat: Coat) -> None:
    """Hangs down from the hip, 0.15 long, with a foot towards +x."""
    half = BUILDS[kind].leg_width / 2
    if kind in FEATHERED:
        pen.shape(oval(0.03, 0.125, 0.10, 0.042), BEAK, (176, 92, 20))
        return
    pen.shape(box(-half, -0.06, half, 0.14, half * 0.8), coat.main, coat.rim)
    foot = oval(0.05, 0.115, 0.13, 0.045) if kind == "frog" else oval(0.03, 0.115, half + 0.035, 0.048)
    pen.shape(foot, coat.rim if kind == "fox" else coat.shade, coat.rim)


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


def draw_hat(pen: Pen, colour: Colour) -> None:
    """A brimmed hat; origin where the brim sits."""
    main = NAMED[colour]
    ink = darker(main, 0.6)
    crown = smooth(
        [(-0.17, 0.0), (-0.16, -0.14), (-0.10, -0.23), (0.02, -0.25), (0.13, -0.22), (0.17, -0.12), (0.17, 0.0)]
    )
    pen.shape(crown, main, ink)
    pen.fill(common(crown, box(-0.3, -0.085, 0.3, -0.01)), darker(main, 0.45))
    pen.shape(oval(0.01, 0.015, 0.29, 0.055), main, ink)
    pen.fill(oval(-0.06, -0.17, 0.05, 0.03), WHITE, 0.35)


def draw_crown(pen: Pen, colour: Colour) -> None:
    main = NAMED[colour]
    points = [(-0.19, 0.05), (-0.22, -0.16), (-0.10, -0.06), (0.0, -0.21), (0.10, -0.06), (0.22, -0.16), (0.19, 0.05)]
    pen.shape(polygon(points), main, darker(main, 0.6))
    pen.fill(box(-0.19, -0.005, 0.19, 0.045), darker(main, 0.25))
    for x, y in ((-0.22, -0.17), (0.0, -0.22), (0.22, -0.17)):
        pen.shape(oval(x, y, 0.034, 0.034), lighter(main, 0.5), darker(main, 0.6))


def draw_bow(pen: Pen, colour: Colour) -> None:
    """A big ribbon; origin at its knot."""
    main = NAMED[colour]
    ink = darker(main, 0.6)
    for side in (-1, 1):
        wing = smooth([(0, 0.01), (side * 0.10, -0.10), (side * 0.20, -0.10), (side * 0.19, 0.10), (side * 0.10, 0.08)])
        pen.shape(wing, main, ink)
        pen.fill(polygon([(side * 0.02, 0), (side * 0.13, -0.03), (side * 0.13, 0.03)]), darker(main, 0.3))
    pen.shape(oval(0, 0, 0.055, 0.06), lighter(main, 0.2), ink)


def draw_scarf(pen: Pen, colour: Colour) -> None:
    """A thick scarf; origin at the middle of the neck, its end hangs down on the chest."""
    main = NAMED[colour]
    ink = darker(main, 0.6)
    tail = polygon([(0.05, 0.0), (0.17, 0.0), (0.19, 0.25), (0.06, 0.25)])
    pen.shape(tail, darker(main, 0.12), ink)
    pen.fill(common(tail, box(0, 0.17, 0.3, 0.21)), lighter(main, 0.6))
    band = smooth([(-0.24, -0.05), (0, 0.0), (0.24, -0.05), (0.25, 0.06), (0, 0.11), (-0.25, 0.06)])
    pen.shape(band, main, ink)
    pen.fill(common(band, oval(0, -0.02, 0.3, 0.04)), WHITE, 0.14)


def draw_backpack(pen: Pen, colour: Colour) -> None:
    """Seen from the front behind the body; origin at the shoulders, it sticks out towards -x."""
    main = NAMED[colour]
    ink = darker(main, 0.6)
    pack = box(-0.38, -0.14, 0.10, 0.30, 0.11)
    pen.shape(pack, main, ink)
    pen.fill(common(pack, box(-0.38, -0.14, 0.1, -0.01)), darker(main, 0.25))
    pen.shape(box(-0.37, 0.12, -0.12, 0.27, 0.05), lighter(main, 0.15), ink)


def draw_straps(pen: Pen, colour: Colour) -> None:
    """The backpack's straps over the chest; origin at the shoulders."""
    main = darker(NAMED[colour], 0.12)
    for side in (-1, 1):
        strap = smooth([(side * 0.11, -0.04), (side * 0.135, 0.08), (side * 0.12, 0.20)], closed=False)
        pen.line(strap, main, 0.055)


def draw_balloon(pen: Pen, colour: Colour) -> None:
    """Origin: where the string leaves the balloon."""
    main = NAMED[colour]
    ink = darker(main, 0.5)
    pen.shape(polygon([(-0.035, 0.03), (0.035, 0.03), (0, -0.03)]), darker(main, 0.2), ink)
    skin = smooth(
        [
            (0, 0),
            (0.14, -0.12),
            (0.18, -0.26),
            (0.11, -0.40),
            (0, -0.435),
            (-0.11, -0.40),
            (-0.18, -0.26),
            (-0.14, -0.12),
        ]
    )
    pen.shape(skin, main, ink)
    pen.fill(oval(-0.07, -0.31, 0.04, 0.065), WHITE, 0.6)
