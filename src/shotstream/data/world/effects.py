"""What surrounds a character without being part of it: contact shadow, floating Zs, notes."""

from __future__ import annotations

import math

import skia

from shotstream.data.world.motion import Pose
from shotstream.data.world.palette import Light
from shotstream.data.world.spec import Action

INK = 0xFF2E2440
PAPER = 0xFFFFFAF0


def draw_shadow(canvas: skia.Canvas, light: Light, pose: Pose, x: float, y: float, scale: float, facing: float) -> None:
    """A soft-edged ellipse on the ground: two flat ones, the smaller as high jumps go."""
    shrink = 1.0 / (1.0 + 1.2 * pose.lift)
    rx, ry = (0.42 if pose.asleep else 0.29) * scale * shrink, 0.055 * scale * shrink
    shift = (pose.sway - (0.05 if pose.asleep else 0.0)) * scale * facing
    strength = 0.16 if light.snowy else 0.20
    paint = skia.Paint(AntiAlias=True, Color=skia.ColorSetARGB(round(255 * strength), 24, 20, 60))
    for grow in (1.0, 0.72):
        canvas.drawOval(
            skia.Rect.MakeLTRB(x + shift - rx * grow, y - ry * grow, x + shift + rx * grow, y + ry * grow), paint
        )


def draw_effects(
    canvas: skia.Canvas, action: Action, time: float, x: float, y: float, scale: float, facing: float
) -> None:
    """Zs over a sleeper, notes around a dancer; they rise at a constant rate."""
    if action not in ("sleep", "dance"):
        return
    shape = _letter_z() if action == "sleep" else _note()
    rate, start_y = (0.45, -0.44) if action == "sleep" else (0.55, -0.55)
    for index in range(2):
        phase = (time * rate + 0.35 + index / 2) % 1.0
        side = facing if action == "sleep" else (1.0 if index == 0 else -1.0)
        dx = (0.56 + 0.06 * math.sin(5 * phase)) if action == "sleep" else 0.60 + 0.04 * math.sin(9 * phase)
        size = scale * (0.10 + 0.08 * phase)
        fade = min(1.0, 5 * phase, 3.2 * (1 - phase))
        canvas.save()
        canvas.translate(x + side * dx * scale, y + (start_y - 0.40 * phase) * scale)
        canvas.scale(size, size)
        for colour, width in ((INK, 0.62), (PAPER, 0.30)):
            paint = skia.Paint(AntiAlias=True, Color=colour, StrokeWidth=width)
            paint.setAlphaf(fade)
            paint.setStyle(skia.Paint.kStroke_Style)
            paint.setStrokeCap(skia.Paint.kRound_Cap)
            paint.setStrokeJoin(skia.Paint.kRound_Join)
            canvas.drawPath(shape, paint)
        canvas.restore()


def _letter_z() -> skia.Path:
    path = skia.Path()
    path.addPoly([skia.Point(-0.5, -0.6), skia.Point(0.5, -0.6), skia.Point(-0.5, 0.6), skia.Point(0.5, 0.6)], False)
    return path


def _note() -> skia.Path:
    path = skia.Path()
    path.addPoly([skia.Point(0.1, 0.6), skia.Point(0.1, -0.7), skia.Point(0.6, -0.4)], False)
    path.addOval(skia.Rect.MakeLTRB(-0.35, 0.4, 0.1, 0.8))
    return path
