"""Village, castle, city."""

from __future__ import annotations

from shotstream.data.world.palette import RGB, darker, lighter
from shotstream.data.world.pen import Pen, box, oval, polygon
from shotstream.data.world.scenery.scene import BASE, SNOW, Scene, bush, ground, hills, house, slab, window
from shotstream.data.world.scenery.wild import tufts

WALLS: tuple[RGB, ...] = ((250, 232, 200), (240, 206, 180), (222, 226, 222), (250, 216, 168))
ROOFS: tuple[RGB, ...] = ((196, 92, 74), (120, 112, 150), (168, 110, 76), (96, 132, 148))
TOWERS: tuple[RGB, ...] = ((150, 166, 196), (176, 160, 190), (136, 156, 176), (190, 176, 176))
STONE: RGB = (190, 186, 196)


def _village_far(pen: Pen, scene: Scene) -> None:
    hills(pen, scene, "far", 0.70, 0.17, 0.42, (126, 180, 132))


def _village_middle(pen: Pen, scene: Scene) -> None:
    hills(pen, scene, "middle", 0.735, 0.05, 0.36, (136, 190, 100))
    for x, size in scene.spots("houses", 0.44, jitter=0.12, clear=0.30):
        choice = int(size * 3.99)
        house(
            pen,
            scene,
            x,
            BASE + 0.01,
            0.32 + 0.10 * ((7 * size) % 1),
            WALLS[choice],
            ROOFS[(choice + int(size * 37)) % 4],
        )
        bush(pen, scene, x + 0.20, BASE + 0.015, 0.06, (92, 160, 84))


def _village_near(pen: Pen, scene: Scene) -> None:
    ground(pen, scene, (150, 196, 104))
    path = scene.light.ground((222, 196, 154))
    pen.gradient(slab(scene, 0.775, 0.90), lighter(path, 0.1), darker(path, 0.06))


def _village_front(pen: Pen, scene: Scene) -> None:
    tufts(pen, scene, (96, 160, 78), 0.42, flowers=True)


VILLAGE = (_village_far, _village_middle, _village_near, _village_front)


def _castle_far(pen: Pen, scene: Scene) -> None:
    hills(pen, scene, "far", 0.68, 0.15, 0.4, (128, 172, 140))


def _turret(pen: Pen, scene: Scene, x: float, y: float, size: float) -> None:
    wide = 0.085
    pen.gradient(box(x - wide, y - size, x + wide, y), lighter(STONE, 0.15), darker(STONE, 0.15))
    pen.fill(box(x + 0.3 * wide, y - size, x + wide, y), darker(STONE, 0.5), 0.2)
    for dx in (-0.085, -0.022, 0.041):
        pen.fill(
            box(x + dx - 0.012, y - size - 0.045, x + dx + 0.036, y - size + 0.01), SNOW if scene.light.snowy else STONE
        )
    window(pen, scene, x - 0.022, y - size + 0.07, x + 0.022, y - size + 0.15)


def _castle_middle(pen: Pen, scene: Scene) -> None:
    wall = slab(scene, 0.47, 0.76)
    pen.gradient(wall, lighter(STONE, 0.1), darker(STONE, 0.16))
    for x, _ in scene.spots("merlons", 0.13, jitter=0.0):
        pen.fill(box(x - 0.038, 0.43, x + 0.038, 0.48), SNOW if scene.light.snowy else lighter(STONE, 0.08))
    for x, size in scene.spots("blocks", 0.33):
        pen.fill(box(x - 0.05, 0.53 + 0.11 * size, x + 0.05, 0.565 + 0.11 * size, 0.008), darker(STONE, 0.22), 0.5)
    for x, size in scene.spots("turrets", 0.60, jitter=0.2, clear=0.26):
        _turret(pen, scene, x, 0.74, 0.40 + 0.12 * size)
        if size < 0.5:
            pole_x, top = x, 0.74 - 0.40 - 0.12 * size
            pen.fill(box(pole_x - 0.005, top - 0.15, pole_x + 0.005, top), darker(STONE, 0.5))
            pen.fill(polygon([(pole_x, top - 0.15), (pole_x + 0.10, top - 0.115), (pole_x, top - 0.08)]), (206, 84, 92))
    hills(pen, scene, "lawn", 0.745, 0.02, 0.4, (130, 182, 96))


def _castle_near(pen: Pen, scene: Scene) -> None:
    ground(pen, scene, (142, 190, 104))
    path = scene.light.ground((206, 200, 200))
    pen.gradient(slab(scene, 0.77, 0.91), lighter(path, 0.12), darker(path, 0.08))
    for x, size in scene.spots("cobbles", 0.24):
        pen.fill(oval(x, 0.80 + 0.085 * size, 0.05, 0.011), darker(path, 0.15), 0.5)


def _castle_front(pen: Pen, scene: Scene) -> None:
    for x, size in scene.spots("hedge", 0.5):
        bush(pen, scene, x, 1.04, 0.10 + 0.04 * size, (84, 148, 84))


CASTLE = (_castle_far, _castle_middle, _castle_near, _castle_front)


def _city_far(pen: Pen, scene: Scene) -> None:
    for x, size in scene.spots("skyline", 0.15):
        tall = 0.22 + 0.28 * size
        pen.fill(box(x - 0.075, 0.72 - tall, x + 0.075, 0.76), TOWERS[int(size * 3.99)])
    pen.fill(slab(scene, 0.72), TOWERS[0])


def _city_middle(pen: Pen, scene: Scene) -> None:
    for x, size in scene.spots("blocks", 0.34, jitter=0.1, clear=0.27):
        tall, choice = 0.34 + 0.22 * size, int(size * 37) % 4
        colour = ((214, 132, 108), (232, 196, 144), (130, 160, 186), (188, 150, 168))[choice]
        block = box(x - 0.13, BASE - tall, x + 0.13, 0.75, 0.01)
        pen.gradient(block, lighter(colour, 0.12), darker(colour, 0.12))
        pen.fill(
            box(x - 0.142, BASE - tall - 0.014, x + 0.142, BASE - tall + 0.016, 0.008),
            SNOW if scene.light.snowy else darker(colour, 0.25),
        )
        for row in range(int((tall - 0.10) / 0.115)):
            for dx in (-0.065, 0.065):
                top = BASE - tall + 0.05 + 0.115 * row
                window(pen, scene, x + dx - 0.035, top, x + dx + 0.035, top + 0.065)
        pen.fill(box(x - 0.035, BASE - 0.09, x + 0.035, 0.75, 0.01), darker(colour, 0.5))
    pen.fill(slab(scene, 0.725), (170, 172, 182))


def _city_near(pen: Pen, scene: Scene) -> None:
    ground(pen, scene, (200, 198, 200), wave=0.002)
    pen.fill(slab(scene, 0.895, 0.915), scene.light.ground((232, 228, 224)))
    pen.fill(slab(scene, 0.915), scene.light.ground((104, 108, 126)))
    for x, _ in scene.spots("lane", 0.36, jitter=0.0):
        pen.fill(box(x - 0.09, 0.955, x + 0.09, 0.975, 0.006), (250, 244, 224))


def _city_front(pen: Pen, scene: Scene) -> None:
    for x, _ in scene.spots("posts", 0.9, jitter=0.1):
        pen.fill(box(x - 0.022, 0.93, x + 0.022, 1.2, 0.01), (206, 84, 76))
        pen.fill(oval(x, 0.925, 0.03, 0.022), SNOW if scene.light.snowy else lighter((206, 84, 76), 0.2))


CITY = (_city_far, _city_middle, _city_near, _city_front)
