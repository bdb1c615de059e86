"""What all scenery drawing shares: the place, its light, its named random streams, its extent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import skia

from shotstream.core.randomness import derive
from shotstream.data.world.palette import RGB, Light, darker, lighter
from shotstream.data.world.pen import Pen, smooth
from shotstream.data.world.spec import Place

BASE = 0.715  # where things of the middle ground stand
DEEP = 2.2  # lower than any picture reaches


@dataclass(frozen=True, slots=True)
class Scene:
    """``half``: the scenery reaches from -half to +half world units; ``aspect``: of the picture."""

    place: Place
    light: Light
    aspect: float
    half: float

    def rng(self, name: str) -> np.random.Generator:
        """Depends on the place's layout alone: the same place looks the same at every visit."""
        return np.random.default_rng(derive(self.place.layout, self.place.kind, name))

    @property
    def landmark_x(self) -> float:
        return {"left": -1.0, "middle": 0.0, "right": 1.0}[self.place.landmark_third] * self.aspect / 3.4

    def spots(self, name: str, step: float, jitter: float = 0.3, clear: float = 0.0) -> list[tuple[float, float]]:
        """Places (x, 0..1 variation) about every ``step`` units, none within ``clear`` of the landmark."""
        rng = self.rng(name)
        found: list[tuple[float, float]] = []
        for x in np.arange(-self.half + step / 2, self.half, step):
            moved = float(x) + float(rng.uniform(-jitter, jitter)) * step
            variation = float(rng.uniform())
            if abs(moved - self.landmark_x) >= clear:
                found.append((moved, variation))
        return found


@dataclass(frozen=True, slots=True)
class Band:
    """One depth of the scenery: parallax (see ``stage``), the y it spans, how far it fades into the sky."""

    travel: float
    growth: float
    top: float
    bottom: float
    haze: float
    draw: Callable[[Pen, Scene], None]


def ridge(scene: Scene, name: str, y: float, height: float, step: float) -> skia.Path:
    """A rolling line of hills, filled downwards."""
    rng = scene.rng(name)
    points: list[tuple[float, float]] = []
    for index, x in enumerate(np.arange(-scene.half - step, scene.half + 2 * step, step)):
        rise = height * float(rng.uniform(0.45, 1.0)) if index % 2 else height * float(rng.uniform(0.0, 0.3))
        points.append((float(x), y - rise))
    path = smooth(points, closed=False)
    path.lineTo(scene.half + 2 * step, DEEP)
    path.lineTo(-scene.half - step, DEEP)
    path.close()
    return path


def slab(scene: Scene, y: float, bottom: float = DEEP) -> skia.Path:
    path = skia.Path()
    path.addRect(skia.Rect.MakeLTRB(-scene.half, y, scene.half, bottom))
    return path


def hills(pen: Pen, scene: Scene, name: str, y: float, height: float, step: float, colour: RGB) -> None:
    """Hills shaded from lighter crests to darker feet."""
    shade = scene.light.ground(colour)
    path = ridge(scene, name, y, height, step)
    clipped = skia.Op(path, slab(scene, -1.0, y + 0.25), skia.PathOp.kIntersect_PathOp)
    pen.gradient(clipped, lighter(shade, 0.16), darker(shade, 0.14))
    pen.fill(slab(scene, y + 0.245), darker(shade, 0.14))


def ground(pen: Pen, scene: Scene, colour: RGB, y: float = 0.722, wave: float = 0.014) -> None:
    """The ground the cast stands on: light at the back, deeper in front."""
    shade = scene.light.ground(colour)
    path = ridge(scene, "ground", y + wave, 2 * wave, 0.42)
    near = skia.Op(path, slab(scene, -1.0, 1.06), skia.PathOp.kIntersect_PathOp)
    pen.gradient(near, lighter(shade, 0.22), darker(shade, 0.10))
    pen.fill(slab(scene, 1.055), darker(shade, 0.10))
