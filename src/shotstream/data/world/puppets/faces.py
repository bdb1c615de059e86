"""Eyes, noses, beaks and mouths."""

from __future__ import annotations

from typing import Literal

from shotstream.data.world.palette import RGB
from shotstream.data.world.pen import Pen, Point, arc_points, common, oval, polygon, smooth
from shotstream.data.world.puppets.build import DARK, WHITE, Coat

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
