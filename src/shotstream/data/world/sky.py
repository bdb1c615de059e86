"""Sky, sun, moon, stars and drifting clouds."""

from __future__ import annotations

import numpy as np
import skia

from shotstream.data.world.palette import RGB, Light, lighter, mix
from shotstream.data.world.pen import Pen, argb, mapped, oval, union

HORIZON = 0.68  # where the ground begins, world units
CLOUD_SPEED = 0.014  # world units per second


def draw_sky(pen: Pen, light: Light, half: float, rng: np.random.Generator) -> None:
    """The whole sky from well above the picture down below the horizon; ``half``: half its width."""
    top, middle, low = light.sky()
    ends = [skia.Point(0, -0.05), skia.Point(0, HORIZON)]
    colours = [argb(top), argb(middle), argb(low)]
    shader = skia.GradientShader.MakeLinear(ends, colours, [0.0, 0.55, 1.0])
    pen.canvas.drawRect(skia.Rect.MakeLTRB(-half, -1.5, half, 2.5), skia.Paint(Shader=shader))
    x = float(rng.choice([-0.52, -0.30, 0.34, 0.54]))
    if light.weather != "clear":
        return
    if light.time == "night":
        _draw_stars(pen, half, rng)
        pen.glow(x, 0.17, 0.30, (170, 190, 240), 0.35)
        pen.fill(oval(x, 0.17, 0.075, 0.075), (250, 246, 220), lit=True)
        for dx, dy, size in ((-0.02, -0.015, 0.016), (0.025, 0.02, 0.02), (-0.015, 0.035, 0.011)):
            pen.fill(oval(x + dx, 0.17 + dy, size, size), (226, 218, 190), lit=True)
        return
    y, disc = (0.17, (255, 246, 196)) if light.time == "day" else (0.50, (255, 236, 170))
    pen.glow(x, y, 0.42, (255, 240, 190), 0.55)
    pen.fill(oval(x, y, 0.08, 0.08), disc, lit=True)


def _draw_stars(pen: Pen, half: float, rng: np.random.Generator) -> None:
    for x in np.arange(-half, half, 0.17):
        size = float(rng.uniform(0.007, 0.013))
        y = float(rng.uniform(0.02, 0.40))
        pen.fill(oval(float(x) + float(rng.uniform(-0.05, 0.05)), y, size, size), (244, 242, 222), 0.9, lit=True)


def cloud_colours(light: Light) -> tuple[RGB, RGB]:
    """Lit and shaded colour of a cloud (already in the light)."""
    top, _, low = light.sky()
    table: dict[str, RGB] = {"day": (255, 255, 255), "sunset": (255, 206, 190), "night": (96, 112, 168)}
    bright = table[light.time]
    if light.weather == "rain":
        bright = mix(mix(bright, top, 0.62), (90, 96, 116), 0.25)
    return bright, mix(bright, mix(top, low, 0.5), 0.38)


def draw_cloud(pen: Pen, light: Light, size: float, rng: np.random.Generator) -> None:
    """One cloud about ``size`` wide around the origin."""
    bright, shaded = cloud_colours(light)
    puffs = oval(0, 0, 0.5 * size, 0.12 * size)
    for x, y, radius in ((-0.24, -0.06, 0.15), (0.0, -0.13, 0.20), (0.24, -0.05, 0.14)):
        grow = float(rng.uniform(0.85, 1.15)) * radius * size
        puffs = union(puffs, oval(x * size, y * size, grow, grow))
    pen.fill(puffs, shaded, 0.95, lit=True)
    lifted = mapped(puffs, skia.Matrix.MakeAll(0.9, 0, -0.015 * size, 0, 0.72, -0.045 * size, 0, 0, 1))
    pen.fill(lifted, lighter(bright, 0.2), 0.95, lit=True)
