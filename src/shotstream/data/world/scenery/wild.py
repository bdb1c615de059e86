"""Forest, meadow, beach, mountains, desert."""

from __future__ import annotations

import math

from shotstream.data.world.palette import RGB, darker, lighter
from shotstream.data.world.pen import Pen, box, oval, polygon, smooth
from shotstream.data.world.scenery.scene import (
    BASE,
    SNOW,
    Scene,
    bush,
    cactus,
    ground,
    hills,
    mound,
    palm,
    pine,
    rock,
    round_tree,
    slab,
)

FLOWERS: tuple[RGB, ...] = ((250, 214, 84), (246, 130, 150), (252, 250, 244), (170, 120, 220))


def tufts(pen: Pen, scene: Scene, colour: RGB, step: float = 0.34, flowers: bool = False) -> None:
    """Grass at the lower edge of the picture."""
    shade = scene.light.ground(colour)
    for x, size in scene.spots("tufts", step):
        y, tall = 0.985 + 0.03 * size, 0.06 + 0.03 * size
        for dx, lean in ((-0.035, -0.03), (0.0, 0.004), (0.035, 0.03)):
            pen.fill(polygon([(x + dx - 0.02, y + 0.1), (x + dx + lean, y - tall), (x + dx + 0.02, y + 0.1)]), shade)
        if flowers and not scene.light.snowy:
            blossom(pen, x + 0.09, y - 0.035, 0.028, FLOWERS[int(size * 3.99)])


def blossom(pen: Pen, x: float, y: float, size: float, colour: RGB) -> None:
    for dx, dy in ((-0.6, -0.3), (0.6, -0.3), (0.0, 0.65), (-0.55, 0.35), (0.55, 0.35), (0.0, -0.7)):
        pen.fill(oval(x + dx * size, y + dy * size, 0.62 * size, 0.62 * size), colour)
    pen.fill(oval(x, y, 0.5 * size, 0.5 * size), (250, 186, 60) if colour[2] > 100 else (210, 120, 40))


def patches(pen: Pen, scene: Scene, colour: RGB, step: float = 0.5) -> None:
    """Large soft patches that give the ground some depth."""
    shade = scene.light.ground(colour)
    for x, size in scene.spots("patches", step):
        pen.fill(oval(x, 0.76 + 0.20 * size, 0.16 + 0.06 * size, 0.016 + 0.010 * size), shade, 0.45)


def _forest_far(pen: Pen, scene: Scene) -> None:
    for x, size in scene.spots("far", 0.13):
        pine(pen, scene, x, 0.72, 0.34 + 0.16 * size, (58, 118, 92))
    hills(pen, scene, "far hills", 0.70, 0.06, 0.3, (84, 148, 100))


def _forest_middle(pen: Pen, scene: Scene) -> None:
    for x, size in scene.spots("trees", 0.27, clear=0.24):
        if size < 0.5:
            pine(pen, scene, x, BASE, 0.44 + 0.26 * size, (44, 122, 82))
        else:
            round_tree(pen, scene, x, BASE, 0.36 + 0.20 * size, (74, 150, 70))
    hills(pen, scene, "middle", 0.745, 0.03, 0.3, (96, 164, 84))


def _forest_near(pen: Pen, scene: Scene) -> None:
    ground(pen, scene, (112, 168, 82))
    patches(pen, scene, (84, 146, 70))
    for x, size in scene.spots("mushrooms", 0.62):
        y = 0.735 + 0.02 * size
        pen.fill(box(x - 0.012, y - 0.035, x + 0.012, y, 0.008), (250, 240, 220))
        mound(pen, x, y - 0.03, 0.036, 0.032, SNOW if scene.light.snowy else (220, 70, 60))


def _forest_front(pen: Pen, scene: Scene) -> None:
    tufts(pen, scene, (56, 124, 66), 0.30)


FOREST = (_forest_far, _forest_middle, _forest_near, _forest_front)


def _meadow_far(pen: Pen, scene: Scene) -> None:
    hills(pen, scene, "far", 0.70, 0.20, 0.42, (120, 186, 130))
    hills(pen, scene, "far 2", 0.72, 0.10, 0.30, (134, 198, 118))


def _meadow_middle(pen: Pen, scene: Scene) -> None:
    hills(pen, scene, "middle", 0.735, 0.09, 0.36, (136, 200, 92))
    for x, size in scene.spots("bushes", 0.46, clear=0.26):
        if size < 0.35:
            round_tree(pen, scene, x, BASE, 0.30 + 0.2 * size, (92, 172, 80))
        else:
            bush(pen, scene, x, BASE + 0.01, 0.08 + 0.05 * size, (86, 166, 84))


def _meadow_near(pen: Pen, scene: Scene) -> None:
    ground(pen, scene, (148, 208, 92))
    patches(pen, scene, (122, 190, 78))
    if scene.light.snowy:
        return
    for x, size in scene.spots("flowers", 0.24):
        blossom(pen, x, 0.735 + 0.05 * size, 0.017, FLOWERS[int(size * 37) % 4])


def _meadow_front(pen: Pen, scene: Scene) -> None:
    tufts(pen, scene, (92, 170, 72), 0.34, flowers=True)


MEADOW = (_meadow_far, _meadow_middle, _meadow_near, _meadow_front)


def _beach_far(pen: Pen, scene: Scene) -> None:
    for x, size in scene.spots("islands", 0.9):
        mound(pen, x, 0.60, 0.16 + 0.08 * size, 0.06 + 0.05 * size, scene.light.ground((110, 160, 130)))
    pen.gradient(slab(scene, 0.56, 0.76), (96, 184, 224), (54, 150, 206))
    pen.fill(slab(scene, 0.755), (54, 150, 206))


def _beach_middle(pen: Pen, scene: Scene) -> None:
    pen.gradient(slab(scene, 0.655, 0.76), (64, 170, 214), (120, 214, 226))
    for x, size in scene.spots("waves", 0.30):
        pen.fill(oval(x, 0.665 + 0.03 * size, 0.10, 0.007), (244, 252, 255), 0.7)
    hills(pen, scene, "sand", 0.735, 0.035, 0.5, (240, 214, 158))
    for x, size in scene.spots("palms", 0.62, clear=0.26):
        palm(pen, scene, x, BASE + 0.01, 0.40 + 0.16 * size)


def _beach_near(pen: Pen, scene: Scene) -> None:
    ground(pen, scene, (246, 222, 166))
    patches(pen, scene, (230, 198, 138))


def _beach_front(pen: Pen, scene: Scene) -> None:
    for x, size in scene.spots("shells", 0.5):
        y = 0.955 + 0.02 * size
        if size < 0.5:
            points: list[tuple[float, float]] = []
            for index in range(5):
                for turn, reach in ((0.0, 0.05), (0.5, 0.022)):
                    angle = (index + turn) * 1.2566
                    points.append((x + reach * math.sin(angle), y - 0.7 * reach * math.cos(angle)))
            pen.fill(smooth(points), (240, 120, 96))
        else:
            mound(pen, x, y, 0.04, 0.036, (252, 236, 226))
            pen.fill(box(x - 0.042, y - 0.004, x + 0.042, y + 0.008, 0.006), (236, 170, 160))


BEACH = (_beach_far, _beach_middle, _beach_near, _beach_front)


def _peaks(pen: Pen, scene: Scene, name: str, y: float, low: float, high: float, step: float, stone: RGB) -> None:
    for x, size in scene.spots(name, step):
        tall, wide = low + (high - low) * size, step * 0.95
        top = (x, y - tall)
        pen.fill(polygon([(x - wide, y + 0.1), top, (x + wide, y + 0.1)]), stone)
        pen.fill(
            polygon([top, (x + wide, y + 0.1), (x + 0.15 * wide, y + 0.1), (x + 0.06 * wide, y - 0.6 * tall)]),
            darker(stone, 0.45),
            0.35,
        )
        cap = 0.62 if scene.light.snowy else 0.36
        left, right = (
            (x - wide * cap * tall / (tall + 0.1), y - tall * (1 - cap)),
            (x + wide * cap * tall / (tall + 0.1), y - tall * (1 - cap)),
        )
        zigzag = [(x + 0.10 * wide, y - tall * (1 - 0.8 * cap)), (x - 0.05 * wide, y - tall * (1 - 1.15 * cap))]
        pen.fill(polygon([top, right, *zigzag, left]), SNOW)


def _mountains_far(pen: Pen, scene: Scene) -> None:
    _peaks(pen, scene, "far", 0.72, 0.34, 0.56, 0.40, (128, 142, 176))
    pen.fill(slab(scene, 0.72), scene.light.ground((128, 160, 150)))


def _mountains_middle(pen: Pen, scene: Scene) -> None:
    hills(pen, scene, "middle", 0.73, 0.13, 0.34, (112, 164, 122))
    for x, size in scene.spots("pines", 0.30, clear=0.26):
        pine(pen, scene, x, BASE + 0.01, 0.24 + 0.16 * size, (50, 112, 92))


def _mountains_near(pen: Pen, scene: Scene) -> None:
    ground(pen, scene, (140, 184, 120))
    patches(pen, scene, (116, 160, 104))
    for x, size in scene.spots("rocks", 0.7):
        rock(pen, scene, x, 0.745, 0.05 + 0.03 * size, (138, 140, 156))


def _mountains_front(pen: Pen, scene: Scene) -> None:
    for x, size in scene.spots("stones", 0.62):
        rock(pen, scene, x, 1.03, 0.08 + 0.04 * size, (112, 116, 136))


MOUNTAINS = (_mountains_far, _mountains_middle, _mountains_near, _mountains_front)


def _desert_far(pen: Pen, scene: Scene) -> None:
    stone: RGB = (206, 128, 92)
    for x, size in scene.spots("mesas", 0.62):
        tall, wide = 0.20 + 0.16 * size, 0.17 + 0.08 * size
        pen.gradient(
            polygon(
                [(x - wide, 0.75), (x - 0.72 * wide, 0.70 - tall), (x + 0.72 * wide, 0.70 - tall), (x + wide, 0.75)]
            ),
            stone,
            lighter(stone, 0.2),
        )
        pen.fill(
            polygon(
                [
                    (x + 0.25 * wide, 0.75),
                    (x + 0.25 * wide, 0.70 - tall),
                    (x + 0.72 * wide, 0.70 - tall),
                    (x + wide, 0.75),
                ]
            ),
            darker(stone, 0.5),
            0.25,
        )
        if scene.light.snowy:
            pen.fill(box(x - 0.75 * wide, 0.69 - tall, x + 0.75 * wide, 0.73 - tall, 0.02), SNOW)
    hills(pen, scene, "far", 0.71, 0.05, 0.4, (232, 178, 116))


def _desert_middle(pen: Pen, scene: Scene) -> None:
    hills(pen, scene, "dunes", 0.735, 0.10, 0.46, (238, 190, 116))
    for x, size in scene.spots("cacti", 0.44, clear=0.26):
        cactus(pen, scene, x, BASE + 0.015, 0.20 + 0.16 * size)


def _desert_near(pen: Pen, scene: Scene) -> None:
    ground(pen, scene, (244, 204, 132))
    patches(pen, scene, (226, 176, 104))


def _desert_front(pen: Pen, scene: Scene) -> None:
    for x, size in scene.spots("stones", 0.7):
        rock(pen, scene, x, 1.02, 0.06 + 0.04 * size, (190, 124, 88))


DESERT = (_desert_far, _desert_middle, _desert_near, _desert_front)
