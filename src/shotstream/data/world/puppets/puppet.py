"""A puppet: one character of one shot, its parts drawn once, posed anew in every frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from types import MappingProxyType

import numpy as np
import skia

from shotstream.data.world.motion import Pose
from shotstream.data.world.palette import RGB, Light
from shotstream.data.world.pen import Drawing, Pen, Sprite, draw_part, make_sprite
from shotstream.data.world.puppets.bodies import (
    draw_arm,
    draw_backpack,
    draw_balloon,
    draw_body,
    draw_bow,
    draw_crown,
    draw_curled,
    draw_hat,
    draw_leg,
    draw_rear,
    draw_scarf,
    draw_straps,
    draw_tail,
)
from shotstream.data.world.puppets.heads import BUILDS, Coat, Mood, coat_of, draw_head
from shotstream.data.world.spec import Character, Colour, Kind

PaintOf = Callable[[str], skia.Paint]

OUTLINE = 0.024
RAISED = 1.3  # a raised arm reaches out further, clear of the face
NECK = 0.8  # the head turns about a point this share of its radius below its centre


def _head_top(kind: Kind) -> tuple[float, float]:
    """Where a hat sits, from the head's centre."""
    build = BUILDS[kind]
    return {"frog": (0.03, -1.36 * build.head_ry), "robot": (0.0, -0.98 * build.head_ry)}.get(
        kind, (0.0, -0.86 * build.head_ry)
    )


def _draw_dressed_head(pen: Pen, character: Character, coat: Coat, mood: Mood | None) -> None:
    draw_head(pen, character.kind, coat, character.pattern, mood)
    build = BUILDS[character.kind]
    on_top = {"hat": draw_hat, "crown": draw_crown}
    crowded = sum(accessory.kind in on_top for accessory in character.accessories) > 1
    for accessory in character.accessories:
        if accessory.kind in on_top:
            x, y = _head_top(character.kind)
            raised = 0.10 if crowded and accessory.kind == "crown" else 0.0
            _at(pen, x - 0.02, y - raised, on_top[accessory.kind], accessory.colour)
        elif accessory.kind == "bow":
            x, y = (-0.86, -0.42) if character.kind == "frog" else (-0.62, -0.80)
            _at(pen, x * build.head_rx, y * build.head_ry, draw_bow, accessory.colour)


def _at(pen: Pen, x: float, y: float, draw: Callable[[Pen, Colour], None], colour: Colour) -> None:
    """Draws an accessory at another origin."""
    inner = Pen(pen.canvas, pen.tone, pen.outline)
    pen.canvas.save()
    pen.canvas.translate(x, y)
    draw(inner, colour)
    pen.canvas.restore()
    pen.contour += [(px + x, py + y) for px, py in inner.contour]
    pen.reach.join(inner.reach.makeOffset(x, y))


def _part_drawings(character: Character, coat: Coat, asleep: bool) -> dict[str, Callable[[Pen], None]]:
    kind = character.kind
    moods: tuple[Mood, ...] = ("asleep",) if asleep else ("calm", "blink", "joyful")
    drawings: dict[str, Callable[[Pen], None]] = {
        mood: partial(_draw_dressed_head, character=character, coat=coat, mood=mood) for mood in moods
    }
    if asleep:
        drawings["curled"] = partial(draw_curled, kind=kind, coat=coat, pattern=character.pattern)
    else:
        drawings["back"] = partial(_draw_dressed_head, character=character, coat=coat, mood=None)
        drawings["rear"] = partial(draw_rear, kind=kind, coat=coat, pattern=character.pattern)
        drawings["body"] = partial(draw_body, kind=kind, coat=coat, pattern=character.pattern)
        drawings["arm"] = partial(draw_arm, kind=kind, coat=coat)
        drawings["leg"] = partial(draw_leg, kind=kind, coat=coat)
    if kind not in ("frog", "robot"):
        drawings["tail"] = partial(draw_tail, kind=kind, coat=coat)
    worn = {"scarf": draw_scarf, "backpack": draw_backpack, "balloon": draw_balloon}
    for accessory in character.accessories:
        if accessory.kind in worn:
            drawings[accessory.kind] = partial(worn[accessory.kind], colour=accessory.colour)
        if accessory.kind == "backpack" and not asleep:
            drawings["straps"] = partial(draw_straps, colour=accessory.colour)
    return drawings


@lru_cache(maxsize=64)
def _draw_parts(character: Character, light: Light, asleep: bool) -> Mapping[str, Drawing]:
    """The parts of a character in a light: kept, since the next shots show it again, at another size."""
    coat = coat_of(character, light)
    rim: RGB = coat.rim

    def tone(colour: RGB) -> RGB:
        return colour if colour == rim else light.cast_tone(colour)

    drawings = _part_drawings(character, coat, asleep)
    return MappingProxyType({name: draw_part(draw, tone, OUTLINE) for name, draw in drawings.items()})


class Parts:
    """The parts of a puppet, each made into a sprite when it is first shown. ``scale``: pixels per unit of a part."""

    def __init__(self, drawings: Mapping[str, Drawing], scale: float) -> None:
        self._drawings, self._scale = drawings, scale
        self._sprites: dict[str, Sprite] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._drawings

    def __getitem__(self, name: str) -> Sprite:
        if name not in self._sprites:
            self._sprites[name] = make_sprite(self._drawings[name], self._scale)
        return self._sprites[name]


@dataclass(slots=True)
class Placed:
    """Draws parts under a root matrix and gathers their bounds in pixels."""

    canvas: skia.Canvas
    parts: Parts
    root: skia.Matrix
    points: list[np.ndarray]
    paint_of: PaintOf | None = None

    def put(self, name: str, x: float, y: float, degrees: float = 0.0, sy: float = 1.0) -> None:
        """Puts a part's origin at (x, y) of the puppet, turned and stretched; missing parts are skipped."""
        if name not in self.parts:
            return
        cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        local = skia.Matrix.MakeAll(cosine, -sine * sy, x, sine, cosine * sy, y, 0, 0, 1)
        matrix = skia.Matrix.Concat(self.root, local)
        sprite = self.parts[name]
        sprite.draw(self.canvas, matrix, self.paint_of(name) if self.paint_of else None)
        linear = np.array(matrix.get9()[:6]).reshape(2, 3)
        self.points.append(linear @ sprite.contour)


class Puppet:
    """``scale``: pixels per puppet unit at which the parts are drawn; ``asleep``: which parts are needed."""

    def __init__(self, character: Character, light: Light, scale: float, asleep: bool) -> None:
        self.string = 0xFFF4F0FF if light.dark else 0xFF5A5068
        self.build = BUILDS[character.kind]
        self.parts = Parts(_draw_parts(character, light, asleep), scale * self.build.size)

    def draw(
        self,
        canvas: skia.Canvas,
        pose: Pose,
        x: float,
        y: float,
        scale: float,
        facing: float,
        time: float,
        paint_of: PaintOf | None = None,
    ) -> tuple[float, float, float, float]:
        """Draws the pose with its feet at pixel (x, y); returns the exact bounds in pixels: left, top, right, bottom.

        ``scale``: pixels per puppet unit; ``facing``: +1 right, -1 left. ``paint_of``: how to paint each part, by its
        name, where it is not to look as it is.
        """
        size = scale * self.build.size
        root = skia.Matrix()
        root.preTranslate(x + pose.sway * size * facing, y - pose.lift * size)
        root.preScale(size * facing * pose.turn, size)
        root.preRotate(pose.tilt)
        root.preScale(1.0 / pose.stretch, pose.stretch)
        placed = Placed(canvas, self.parts, root, [], paint_of)
        if pose.asleep:
            self._put_asleep(placed, pose)
        else:
            self._put_awake(placed, pose, time)
        points = np.concatenate(placed.points, axis=1)
        low, high = points.min(1), points.max(1)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    def _put_asleep(self, placed: Placed, pose: Pose) -> None:
        build = self.build
        self._put_balloon(placed, -0.30, -0.15, 0.0)
        placed.put("backpack", -0.16, -0.30)
        placed.put("tail", -0.38, -0.12, 20 + pose.tail)
        placed.put("curled", 0.0, 0.0)
        head_y = -build.head_ry * 0.98 - 0.02 + pose.head_shift
        placed.put("scarf", -0.10, head_y + 0.10 * build.head_ry, 72, sy=0.8)
        placed.put("asleep", 0.18, head_y)

    def _put_balloon(self, placed: Placed, hand_x: float, hand_y: float, swing: float) -> None:
        if "balloon" not in placed.parts:
            return
        knot = (-0.50 + swing, -0.66)
        canvas = placed.canvas
        paint = skia.Paint(AntiAlias=True, Color=self.string, StrokeWidth=0.024)
        if placed.paint_of is None:  # a string is too thin to be a part
            canvas.save()
            canvas.setMatrix(placed.root)
            canvas.drawLine(hand_x, hand_y, knot[0], knot[1], paint)
            canvas.restore()
        placed.put("balloon", knot[0], knot[1], 30 * swing)

    def _put_awake(self, placed: Placed, pose: Pose, time: float) -> None:
        build = self.build
        shoulder_y = build.body_y - 0.52 * build.body_ry
        shoulder_x = 0.80 * build.body_rx
        hip_x, hip_y = 0.50 * build.body_rx, -0.14
        self._put_balloon(placed, -shoulder_x - 0.08, shoulder_y + 0.16, 0.05 * float(np.sin(2.4 * time)))
        behind = pose.turn < 0
        if not behind:
            placed.put("backpack", 0.0, shoulder_y)
            placed.put("tail", -0.7 * build.body_rx, -0.15, pose.tail)
        placed.put("leg", -hip_x, hip_y, pose.far_leg)
        placed.put("leg", hip_x, hip_y, pose.near_leg)
        lowered = [arm for arm in ((-1.0, pose.far_arm), (1.0, pose.near_arm)) if abs(arm[1]) <= 60]
        raised = [arm for arm in ((-1.0, pose.far_arm), (1.0, pose.near_arm)) if abs(arm[1]) > 60]
        placed.put("rear" if behind else "body", 0.0, 0.0)
        if behind:
            placed.put("tail", -0.5 * build.body_rx, -0.15, pose.tail)
        else:
            placed.put("straps", 0.0, shoulder_y)
        for side, turn in lowered:
            _put_arm(placed, side, turn, shoulder_x, shoulder_y)
        neck_y = build.head_y + NECK * build.head_ry
        placed.put("scarf", 0.0, neck_y + 0.06)
        mood = "back" if behind else "blink" if not pose.eyes_open else "joyful" if pose.joyful else "calm"
        angle = np.radians(pose.head_tilt)
        reach = NECK * build.head_ry
        head_x = float(np.sin(angle)) * reach + pose.head_sway
        head_y = neck_y - float(np.cos(angle)) * reach + pose.head_shift
        placed.put(mood, head_x, head_y, pose.head_tilt)
        if behind:
            placed.put("backpack", 0.14, shoulder_y + 0.02)
        for side, turn in raised:
            _put_arm(placed, side, turn, shoulder_x, shoulder_y)


def _put_arm(placed: Placed, side: float, turn: float, x: float, y: float) -> None:
    """An arm on its shoulder, hanging a little outwards; the higher it is raised, the further it reaches out."""
    share = min(max((abs(turn) - 30) / 50, 0.0), 1.0)
    placed.put("arm", side * (x + 0.05 * share), y, turn - 14 * side * (1 - share), sy=1 + (RAISED - 1) * share)
