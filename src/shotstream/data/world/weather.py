"""Rain and snow in front of everything: few, large, slow strokes, periodic so that they never run out."""

from __future__ import annotations

import math

import numpy as np
import skia

from shotstream.data.world.palette import Light, mix
from shotstream.data.world.pen import argb

RAIN_DROPS, SNOW_FLAKES = 20, 16  # per unit of picture width
RAIN_FALL, SNOW_FALL = 0.6, 0.10  # picture heights per second
RAIN_SLANT = 0.16


class Precipitation:
    """Rain or snow of one shot on a picture of ``width`` x ``height`` pixels."""

    def __init__(self, light: Light, width: int, height: int, rng: np.random.Generator) -> None:
        self.weather = light.weather
        self.height = height
        self.span = (width / height + 0.4, 1.24)  # the pattern repeats after this, in picture heights
        density = {"clear": 0, "rain": RAIN_DROPS, "snow": SNOW_FLAKES}[self.weather]
        count = round(density * width / height)
        # Spread evenly with jitter: never two sheets of rain and a gap.
        self.x = rng.permutation((np.arange(count) + rng.uniform(0.2, 0.8, count)) / max(count, 1)) * self.span[0]
        self.y = (np.arange(count) + rng.uniform(0, 1, count)) / max(count, 1) * self.span[1]
        self.size = rng.uniform(0.75, 1.3, count)
        self.phase = rng.uniform(0, 2 * math.pi, count)
        self.colour = argb(mix(light.sky()[2], (255, 255, 255), 0.62), 0.55)
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
        paint = _round_pen(self.colour, 0.013)
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
