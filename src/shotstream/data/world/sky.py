"""Sky, sun, moon, stars and drifting clouds; rain and snow in front of everything.

Rain and snow are few, large, slow strokes, periodic so that they never run out. There is one pattern of each, which
depends on the time in the shot alone: it falls alike in every shot.
"""

from __future__ import annotations

import math

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


RAIN_DROPS, SNOW_FLAKES = 20, 16  # per unit of picture width
RAIN_FALL, SNOW_FALL = 0.6, 0.10  # picture heights per second
RAIN_SLANT = 0.16
PATTERN = 4  # the seed of where drops and flakes are


class Precipitation:
    """Rain or snow on a picture of ``width`` x ``height`` pixels."""

    def __init__(self, light: Light, width: int, height: int) -> None:
        self.weather = light.weather
        rng = np.random.default_rng(PATTERN)
        self.height = height
        self.span = (width / height + 0.4, 1.24)  # the pattern repeats after this, in picture heights
        density = {"clear": 0, "rain": RAIN_DROPS, "snow": SNOW_FLAKES}[self.weather]
        count = round(density * width / height)
        # Spread evenly with jitter: never two sheets of rain and a gap.
        self.x = rng.permutation((np.arange(count) + rng.uniform(0.2, 0.8, count)) / max(count, 1)) * self.span[0]
        self.y = (np.arange(count) + rng.uniform(0, 1, count)) / max(count, 1) * self.span[1]
        self.size = rng.uniform(0.75, 1.3, count)
        self.phase = rng.uniform(0, 2 * math.pi, count)
        self.colour = argb(mix(light.sky()[2], (255, 255, 255), 0.62), 0.65)
        self.tile = self._rain_tile() if self.weather == "rain" else None

    def draw(self, canvas: skia.Canvas, time: float) -> None:
        """Draws the state at ``time`` seconds on a canvas in pixels."""
        if self.tile is not None:
            self._draw_rain(canvas, time, self.tile)
        elif self.weather == "snow":
            self._draw_snow(canvas, time)

    def _rain_tile(self) -> skia.Image:
        """All drops fall alike: one image that repeats in both directions."""
        width, height = (round(side * self.height) for side in self.span)
        info = skia.ImageInfo.Make(width, height, skia.kBGRA_8888_ColorType, skia.kPremul_AlphaType)
        surface = skia.Surface.MakeRaster(info)
        canvas = surface.getCanvas()
        canvas.clear(0)
        canvas.scale(self.height, self.height)
        length = 0.075 * self.size
        paint = _round_pen(self.colour, 0.016)
        for dx in (0.0, self.span[0]):
            for dy in (0.0, -self.span[1]):
                ends = np.stack(
                    [self.x + dx, self.y + dy, self.x + dx - RAIN_SLANT * length, self.y + dy + length], axis=1
                )
                points = [skia.Point(*point) for point in ends.reshape(-1, 2).tolist()]
                canvas.drawPoints(skia.Canvas.PointMode.kLines_PointMode, points, paint)
        return surface.makeImageSnapshot()

    def _draw_rain(self, canvas: skia.Canvas, time: float, tile: skia.Image) -> None:
        fall = RAIN_FALL * time * self.height
        left = round(-RAIN_SLANT * fall) % tile.width() - tile.width()
        top = round(fall) % tile.height() - tile.height()
        for x in (left, left + tile.width()):
            for y in (top, top + tile.height()):
                canvas.drawImage(tile, x, y)

    def _draw_snow(self, canvas: skia.Canvas, time: float) -> None:
        y = (self.y + SNOW_FALL * self.size * time) % self.span[1] - 0.12
        x = (self.x + 0.02 * np.sin(1.6 * time + self.phase)) % self.span[0] - 0.2
        flakes = [skia.Point(*point) for point in (np.stack([x, y], axis=1) * self.height).tolist()]
        for group in range(3):
            paint = _round_pen(argb((255, 255, 255), 0.9), (0.026 + 0.008 * group) * self.height)
            canvas.drawPoints(skia.Canvas.PointMode.kPoints_PointMode, flakes[group::3], paint)


def _round_pen(colour: int, width: float) -> skia.Paint:
    paint = skia.Paint(AntiAlias=True, Color=colour, StrokeWidth=width)
    paint.setStyle(skia.Paint.kStroke_Style)
    paint.setStrokeCap(skia.Paint.kRound_Cap)
    return paint
