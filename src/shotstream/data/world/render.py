"""From a story's shot to frames and their exact truth.

Frames are uint8 [F, H, W, 3] (RGB); frame i is the world at i / fps seconds of its shot.
"""

from __future__ import annotations

import numpy as np
import skia

from shotstream.core.randomness import derive
from shotstream.data.world.camera import PUPPET_HEIGHT, Camera, camera_at, place_of, sign
from shotstream.data.world.effects import draw_effects, draw_shadow
from shotstream.data.world.motion import CLOSE_UP_VIGOUR, pose_at
from shotstream.data.world.palette import Light
from shotstream.data.world.puppets.puppet import Puppet
from shotstream.data.world.spec import GROUND, FrameTruth, SeenCharacter, WorldStory
from shotstream.data.world.stage import Stage
from shotstream.data.world.weather import Precipitation

SPRITE_SHARPNESS = 1.15  # parts are drawn a little larger than shown: turning them stays crisp


class ShotPainter:
    """Everything of one shot that does not change from frame to frame."""

    def __init__(self, story: WorldStory, shot: int, width: int, height: int) -> None:
        self.story, self.index, self.spec = story, shot, story.shots[shot]
        self.width, self.height = width, height
        self.aspect = width / height
        light = Light(self.spec.time, self.spec.weather)
        self.light = light
        place = story.places[self.spec.place]
        self.stage = Stage(place, light, width, height, (self.camera(0.0), self.camera(5.2)))
        zoom = max(self.camera(0.0).zoom, self.camera(5.2).zoom) ** 0.5 * self.camera(0.0).zoom ** 0.5
        scale = height * zoom * PUPPET_HEIGHT * SPRITE_SHARPNESS
        self.puppets = [
            Puppet(story.characters[role.character], light, scale, role.action == "sleep") for role in self.spec.roles
        ]
        rng = np.random.default_rng(derive(place.layout, "weather", shot))
        self.weather = Precipitation(light, width, height, rng)
        self.pixels = np.zeros((height, width, 4), np.uint8)
        info = skia.ImageInfo.Make(width, height, skia.kBGRA_8888_ColorType, skia.kPremul_AlphaType)
        self.surface = skia.Surface.MakeRasterDirect(info, self.pixels)

    def camera(self, time: float) -> Camera:
        return camera_at(self.story, self.spec, time, self.aspect)

    def paint(self, frame: int, time: float) -> FrameTruth:
        """Paints one frame into ``pixels`` (BGRA)."""
        canvas = self.surface.getCanvas()
        camera = self.camera(time)
        self.stage.draw_back(canvas, camera, time)
        seen = self._paint_cast(canvas, camera, time)
        self.stage.draw_front(canvas, camera)
        self.weather.draw(canvas, time)
        return FrameTruth(shot=self.index, frame=frame, camera_x=camera.x, camera_zoom=camera.zoom, characters=seen)

    def seen_at(self, time: float) -> tuple[SeenCharacter, ...]:
        """Who is where, in front of nothing: for those who need boxes and no picture."""
        return self._paint_cast(self.surface.getCanvas(), self.camera(time), time)

    def _paint_cast(self, canvas: skia.Canvas, camera: Camera, time: float) -> tuple[SeenCharacter, ...]:
        seen: list[SeenCharacter] = []
        unit = camera.zoom * self.height
        scale = unit * PUPPET_HEIGHT
        y = (GROUND - camera.y) * unit + self.height / 2
        for puppet, role in zip(self.puppets, self.spec.roles, strict=True):
            x = (place_of(self.story, self.spec, role, time, self.aspect) - camera.x) * unit + self.width / 2
            facing = sign(role.direction)
            vigour = CLOSE_UP_VIGOUR if self.spec.framing == "close-up" else 1.0
            pose = pose_at(role.action, time, 0.37 * role.character, vigour)
            draw_shadow(canvas, self.light, pose, x, y, scale, facing)
            bounds = puppet.draw(canvas, pose, x, y, scale, facing, time)
            draw_effects(canvas, role.action, time, x, y, scale, facing)
            box, visible = clip_box(bounds, self.width, self.height)
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
