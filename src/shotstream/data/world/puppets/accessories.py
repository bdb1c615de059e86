"""What characters wear and carry. Head pieces: origin at the top of the head; the rest: see each."""

from __future__ import annotations

from shotstream.data.world.palette import NAMED, darker, lighter
from shotstream.data.world.pen import Pen, box, common, oval, polygon, smooth
from shotstream.data.world.puppets.build import WHITE
from shotstream.data.world.spec import Colour


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
