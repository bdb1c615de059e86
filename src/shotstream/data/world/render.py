"""Renders a shot of a story to frames and their exact annotations.

Frames are uint8 [F, H, W, 3] (RGB); frame i is the world at i / fps seconds of its shot.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import skia

from shotstream.core.geometry import Geometry
from shotstream.data.world.motion import (
    CLOSE_UP_VIGOUR,
    PUPPET_HEIGHT,
    TURNS,
    Camera,
    Pose,
    blended,
    camera_at,
    place_of,
    pose_at,
    sign,
)
from shotstream.data.world.palette import Light
from shotstream.data.world.puppets.puppet import Puppet
from shotstream.data.world.spec import GROUND, Action, FrameTruth, Role, SeenCharacter, WorldStory
from shotstream.data.world.stage import Precipitation, Stage

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
    """What tells an action in a still picture: Zs over a sleeper and notes around a dancer, which rise at a constant
    rate, a ribbon of air around who spins, streaks behind who runs."""
    if action in ("spin", "run"):
        _draw_strokes(canvas, _swirl(time) if action == "spin" else _streaks(time, facing), x, y, scale)
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
            canvas.drawPath(shape, _pen(colour, width, fade))
        canvas.restore()


def _pen(colour: int, width: float, alpha: float) -> skia.Paint:
    paint = skia.Paint(AntiAlias=True, Color=colour, StrokeWidth=width)
    paint.setAlphaf(alpha)
    paint.setStyle(skia.Paint.kStroke_Style)
    paint.setStrokeCap(skia.Paint.kRound_Cap)
    paint.setStrokeJoin(skia.Paint.kRound_Join)
    return paint


def _draw_strokes(canvas: skia.Canvas, strokes: skia.Path, x: float, y: float, scale: float) -> None:
    """Strokes in puppet units around the feet at (x, y)."""
    canvas.save()
    canvas.translate(x, y)
    canvas.scale(scale, scale)
    for colour, width in ((INK, 0.062), (PAPER, 0.032)):
        canvas.drawPath(strokes, _pen(colour, width, 0.9))
    canvas.restore()


def _swirl(time: float) -> skia.Path:
    """Two arcs that go round with a spinning body."""
    path = skia.Path()
    for turn in (0.0, 180.0):
        path.addArc(skia.Rect.MakeLTRB(-0.56, -0.50, 0.56, -0.26), (turn - 360 * TURNS * time) % 360, 95)
    return path


def _streaks(time: float, facing: float) -> skia.Path:
    """Three streaks that trail behind and flutter."""
    path = skia.Path()
    for index, (height, length) in enumerate(((-0.62, 0.20), (-0.40, 0.28), (-0.18, 0.20))):
        near = 0.50 + 0.05 * math.sin(2 * math.pi * 1.5 * time + 2.1 * index)
        path.moveTo(-facing * near, height)
        path.lineTo(-facing * (near + length), height)
    return path


def _letter_z() -> skia.Path:
    path = skia.Path()
    path.addPoly([skia.Point(-0.5, -0.6), skia.Point(0.5, -0.6), skia.Point(-0.5, 0.6), skia.Point(0.5, 0.6)], False)
    return path


def _note() -> skia.Path:
    path = skia.Path()
    path.addPoly([skia.Point(0.1, 0.6), skia.Point(0.1, -0.7), skia.Point(0.6, -0.4)], False)
    path.addOval(skia.Rect.MakeLTRB(-0.35, 0.4, 0.1, 0.8))
    return path


LATE = 5.2  # seconds: no shot lasts longer
OUT_OF_STEP = 0.37  # seconds between the movements of two characters
PASSAGE = 0.25  # seconds from one action's pose to the next one's
SPRITE_SHARPNESS = 1.15  # parts are drawn a little larger than shown: turning them stays crisp


@dataclass(frozen=True, slots=True)
class PlacedPuppet:
    """A character in one frame: its feet at pixel (x, y), ``scale`` pixels per puppet unit, facing +1 right or -1."""

    role: Role
    puppet: Puppet
    pose: Pose
    x: float
    y: float
    scale: float
    facing: float


class ShotPainter:
    """Everything of one shot that does not change from frame to frame."""

    def __init__(self, story: WorldStory, shot: int, width: int, height: int) -> None:
        self.story, self.index, self.spec = story, shot, story.shots[shot]
        self.width, self.height = width, height
        self.aspect = width / height
        light = Light(self.spec.time, self.spec.weather)
        self.light = light
        first, last = self._ends
        zoom = max(first.zoom, last.zoom) ** 0.5 * first.zoom**0.5
        scale = height * zoom * PUPPET_HEIGHT * SPRITE_SHARPNESS
        wanted = {(role.character, role.action == "sleep") for time in self._moments() for role in self._roles(time)}
        self.puppets = {
            (index, asleep): Puppet(story.characters[index], light, scale, asleep) for index, asleep in sorted(wanted)
        }
        self.pixels = np.zeros((height, width, 4), np.uint8)
        info = skia.ImageInfo.Make(width, height, skia.kBGRA_8888_ColorType, skia.kPremul_AlphaType)
        self.surface = skia.Surface.MakeRasterDirect(info, self.pixels)

    # Made when the first picture is painted: those who need boxes or masks alone do without.
    @cached_property
    def stage(self) -> Stage:
        return Stage(self.story.places[self.spec.place], self.light, self.width, self.height, self._ends)

    @cached_property
    def weather(self) -> Precipitation:
        return Precipitation(self.light, self.width, self.height)

    @property
    def _ends(self) -> tuple[Camera, Camera]:
        return self.camera(0.0), self.camera(LATE)

    def camera(self, time: float) -> Camera:
        return camera_at(self.story, self.spec, time, self.aspect)

    def paint(self, frame: int, time: float) -> FrameTruth:
        """Paints one frame into ``pixels`` (BGRA)."""
        canvas = self.surface.getCanvas()
        camera = self.camera(time)
        self.stage.draw_back(canvas, camera, time)
        seen = self._paint_cast(canvas, time)
        self.stage.draw_front(canvas, camera)
        self.weather.draw(canvas, time)
        return FrameTruth(shot=self.index, frame=frame, camera_x=camera.x, camera_zoom=camera.zoom, characters=seen)

    def seen_at(self, time: float) -> tuple[SeenCharacter, ...]:
        """Who is where, in front of nothing: for those who need boxes and no picture."""
        return self._paint_cast(self.surface.getCanvas(), time)

    def _moments(self) -> tuple[float, ...]:
        """A moment of every part of the shot: its start, and its change if it has one."""
        change = self.spec.change
        return (0.0, change.seconds) if change else (0.0,)

    def _roles(self, time: float) -> tuple[Role, ...]:
        return self.spec.at(time).roles

    def _pose(self, place: int, time: float) -> Pose:
        """Of the role at ``place``; a new action begins with a short passage from the old one."""
        vigour = CLOSE_UP_VIGOUR if self.spec.framing == "close-up" else 1.0
        role = self._roles(time)[place]
        out_of_step = OUT_OF_STEP * role.character
        change = self.spec.change
        if change is None or time < change.seconds or role == self.spec.roles[place]:
            return pose_at(role.action, time, out_of_step, vigour)
        before = pose_at(self.spec.roles[place].action, time, out_of_step, vigour)
        after = pose_at(role.action, time - change.seconds, out_of_step, vigour)
        return blended(before, after, min(1.0, (time - change.seconds) / PASSAGE))

    def placed_cast(self, time: float) -> Iterator[PlacedPuppet]:
        """The characters from the back to the front, where and how they stand ``time`` seconds into the shot."""
        camera = self.camera(time)
        unit = camera.zoom * self.height
        y = (GROUND - camera.y) * unit + self.height / 2
        for place, role in enumerate(self._roles(time)):
            x = (place_of(self.story, self.spec, role, time, self.aspect) - camera.x) * unit + self.width / 2
            puppet = self.puppets[role.character, role.action == "sleep"]
            facing = sign(role.direction)
            yield PlacedPuppet(role, puppet, self._pose(place, time), x, y, unit * PUPPET_HEIGHT, facing)

    def _paint_cast(self, canvas: skia.Canvas, time: float) -> tuple[SeenCharacter, ...]:
        seen: list[SeenCharacter] = []
        for one in self.placed_cast(time):
            at = (one.x, one.y, one.scale, one.facing)
            draw_shadow(canvas, self.light, one.pose, *at)
            bounds = one.puppet.draw(canvas, one.pose, *at, time)
            draw_effects(canvas, one.role.action, time, *at)
            box, visible = clip_box(bounds, self.width, self.height)
            role = one.role
            seen.append(
                SeenCharacter(
                    character=role.character,
                    action=role.action,
                    direction=role.direction,
                    box=box,
                    visible=visible,
                )
            )
        return tuple(seen)


def clip_box(
    bounds: tuple[float, float, float, float], width: int, height: int
) -> tuple[tuple[float, float, float, float], float]:
    """Pixel bounds as fractions of the picture, clipped to it, and the share of their area inside."""
    left, right = (min(max(value / width, 0.0), 1.0) for value in (bounds[0], bounds[2]))
    top, bottom = (min(max(value / height, 0.0), 1.0) for value in (bounds[1], bounds[3]))
    whole = (bounds[2] - bounds[0]) * (bounds[3] - bounds[1])
    inside = (right - left) * width * (bottom - top) * height
    return (left, top, right, bottom), min(1.0, inside / whole)


def render_shot(
    story: WorldStory, shot: int, *, frames: range | int, width: int, height: int, fps: int
) -> tuple[np.ndarray, tuple[FrameTruth, ...]]:
    """Frames of one shot, uint8 [F, height, width, 3], and what is true of each.

    ``frames``: how many from the shot's start, or which ones. The same story gives the same bytes,
    and a frame does not depend on which others are asked for.
    """
    wanted = range(frames) if isinstance(frames, int) else frames
    painter = ShotPainter(story, shot, width, height)
    video = np.empty((len(wanted), height, width, 3), np.uint8)
    truths: list[FrameTruth] = []
    for slot, frame in enumerate(wanted):
        truths.append(painter.paint(frame, frame / fps))
        for channel in range(3):
            video[slot, :, :, channel] = painter.pixels[:, :, 2 - channel]
    return video, tuple(truths)


def draw_shot(story: WorldStory, shot: int, frames: range | int, geometry: Geometry) -> np.ndarray:
    """The frames of :func:`render_shot` alone, at the size and rate of ``geometry``."""
    size = {"width": geometry.width, "height": geometry.height, "fps": geometry.fps}
    return render_shot(story, shot, frames=frames, **size)[0]
