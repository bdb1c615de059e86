"""What all scenery drawing shares: the place, its light, its named random streams, its extent, and common props."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import skia

from shotstream.core.randomness import derive
from shotstream.data.world.palette import RGB, Light, darker, lighter
from shotstream.data.world.pen import Pen, arc_points, box, common, oval, polygon, smooth, union
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


BARK: RGB = (122, 82, 58)
SNOW: RGB = (246, 250, 255)
LAMP: RGB = (255, 220, 120)


def round_tree(pen: Pen, scene: Scene, x: float, y: float, size: float, leaf: RGB) -> None:
    pen.fill(box(x - 0.045 * size, y - 0.45 * size, x + 0.045 * size, y + 0.01, 0.01), BARK)
    crown = union(
        oval(x, y - 0.70 * size, 0.27 * size, 0.30 * size),
        oval(x - 0.17 * size, y - 0.56 * size, 0.19 * size, 0.18 * size),
    )
    crown = union(crown, oval(x + 0.18 * size, y - 0.54 * size, 0.19 * size, 0.18 * size))
    pen.fill(crown, leaf)
    pen.fill(common(crown, oval(x - 0.07 * size, y - 0.80 * size, 0.22 * size, 0.20 * size)), lighter(leaf, 0.30), 0.55)
    if scene.light.snowy:
        pen.fill(common(crown, oval(x, y - 0.93 * size, 0.30 * size, 0.18 * size)), SNOW)


def pine(pen: Pen, scene: Scene, x: float, y: float, size: float, leaf: RGB) -> None:
    pen.fill(box(x - 0.04 * size, y - 0.2 * size, x + 0.04 * size, y + 0.01), BARK)
    for level, (low, wide) in enumerate(((0.10, 0.30), (0.36, 0.24), (0.60, 0.17))):
        top = low + 0.42
        shade = lighter(leaf, 0.10 * level)
        tier = polygon([(x, y - top * size), (x + wide * size, y - low * size), (x - wide * size, y - low * size)])
        pen.fill(tier, shade)
        if scene.light.snowy:
            tip = oval(x, y - (top - 0.02) * size, wide * 0.75 * size, 0.17 * size)
            pen.fill(common(tier, tip), SNOW)
        else:
            pen.fill(
                polygon([(x, y - top * size), (x + wide * size, y - low * size), (x + 0.05 * size, y - low * size)]),
                darker(leaf, 0.35),
                0.35,
            )


def bush(pen: Pen, scene: Scene, x: float, y: float, size: float, leaf: RGB) -> None:
    shade = scene.light.ground(leaf) if scene.light.snowy else leaf
    puff = union(
        oval(x, y - 0.40 * size, 0.55 * size, 0.48 * size),
        oval(x - 0.45 * size, y - 0.25 * size, 0.35 * size, 0.30 * size),
    )
    puff = common(
        union(puff, oval(x + 0.45 * size, y - 0.25 * size, 0.35 * size, 0.30 * size)),
        box(x - size, y - size, x + size, y),
    )
    pen.fill(puff, shade)
    pen.fill(common(puff, oval(x - 0.12 * size, y - 0.60 * size, 0.45 * size, 0.26 * size)), lighter(shade, 0.3), 0.55)


def rock(pen: Pen, scene: Scene, x: float, y: float, size: float, stone: RGB) -> None:
    points = [
        (x - 0.7 * size, y),
        (x - 0.55 * size, y - 0.6 * size),
        (x - 0.05 * size, y - size),
        (x + 0.5 * size, y - 0.7 * size),
        (x + 0.7 * size, y),
    ]
    body = polygon(points)
    pen.fill(body, stone)
    pen.fill(
        polygon([points[1], points[2], points[3], (x, y - 0.5 * size)]),
        SNOW if scene.light.snowy else lighter(stone, 0.35),
    )


def palm(pen: Pen, scene: Scene, x: float, y: float, size: float) -> None:
    trunk = smooth([(x, y), (x + 0.03 * size, y - 0.4 * size), (x + 0.13 * size, y - 0.78 * size)], closed=False)
    pen.line(trunk, (158, 112, 72), 0.075 * size)
    top_x, top_y = x + 0.13 * size, y - 0.80 * size
    leaf: RGB = (64, 158, 84)
    for dx, dy in ((-0.36, 0.10), (-0.30, -0.14), (0.0, -0.24), (0.30, -0.12), (0.36, 0.12)):
        tip = (top_x + dx * size, top_y + dy * size)
        middle = (top_x + 0.55 * dx * size, top_y + dy * 0.5 * size - 0.11 * size)
        low = (top_x + 0.5 * dx * size, top_y + dy * 0.5 * size + 0.0 * size)
        frond = smooth([(top_x, top_y), middle, tip, low])
        pen.fill(frond, SNOW if scene.light.snowy and dy < 0 else (leaf if dy < 0.05 else darker(leaf, 0.2)))
    for dx in (-0.035, 0.035):
        pen.fill(oval(top_x + dx * size, top_y + 0.045 * size, 0.04 * size, 0.04 * size), (120, 78, 48))


def cactus(pen: Pen, scene: Scene, x: float, y: float, size: float) -> None:
    green: RGB = (82, 148, 92)
    width = 0.17 * size
    for side, low, high in ((-1, 0.36, 0.72), (1, 0.26, 0.58)):
        elbow = smooth(
            [
                (x, y - low * size),
                (x + side * 0.22 * size, y - (low + 0.02) * size),
                (x + side * 0.25 * size, y - high * size),
            ],
            closed=False,
        )
        pen.line(elbow, darker(green, 0.12), 0.75 * width)
    pen.fill(box(x - width / 2, y - size, x + width / 2, y, width / 2), green)
    pen.fill(box(x - 0.3 * width, y - 0.95 * size, x - 0.1 * width, y - 0.04, 0.01), lighter(green, 0.35), 0.6)
    if scene.light.snowy:
        pen.fill(oval(x, y - 0.97 * size, 0.55 * width, 0.05 * size), SNOW)


def window(pen: Pen, scene: Scene, left: float, top: float, right: float, bottom: float) -> None:
    """Lit at night."""
    glass: RGB = LAMP if scene.light.dark else (176, 216, 236)
    pen.fill(box(left, top, right, bottom, 0.008), glass, lit=scene.light.dark)


def house(pen: Pen, scene: Scene, x: float, y: float, size: float, wall: RGB, roof: RGB) -> None:
    half, eave, peak = 0.42 * size, y - 0.52 * size, y - size
    body = box(x - half, eave, x + half, y)
    pen.gradient(body, lighter(wall, 0.12), darker(wall, 0.10))
    pen.fill(box(x + 0.18 * size, peak + 0.06 * size, x + 0.28 * size, eave), darker(wall, 0.35))
    top = polygon([(x - 1.25 * half, eave + 0.02), (x, peak), (x + 1.25 * half, eave + 0.02)])
    pen.fill(top, roof)
    pen.fill(
        common(top, polygon([(x, peak), (x + 1.3 * half, eave + 0.03), (x + 0.2 * half, eave + 0.03)])),
        darker(roof, 0.4),
        0.3,
    )
    if scene.light.snowy:
        pen.fill(
            common(
                top,
                polygon(
                    [
                        (x - 1.1 * half, eave - 0.04 * size),
                        (x, peak - 0.02),
                        (x + 1.1 * half, eave - 0.04 * size),
                        (x, peak + 0.24 * size),
                    ]
                ),
            ),
            SNOW,
        )
    pen.fill(box(x - 0.11 * size, y - 0.30 * size, x + 0.09 * size, y, 0.02), darker(roof, 0.35))
    for side in (-1, 1):
        window(
            pen,
            scene,
            x + side * 0.27 * size - 0.075 * size,
            y - 0.42 * size,
            x + side * 0.27 * size + 0.075 * size,
            y - 0.25 * size,
        )


def mound(pen: Pen, x: float, y: float, width: float, height: float, colour: RGB) -> None:
    """Half an ellipse rising from y."""
    pen.fill(polygon([(px, y + (py - y) * height / width) for px, py in arc_points(x, y, width, 180, 360, 13)]), colour)
