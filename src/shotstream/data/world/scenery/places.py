"""The eight places: for each, four depths from the far hills to the foreground, and its landmark.

A landmark is the one large thing by which a place is known. Its colour is never told: only earlier shots show it.
Village, castle and city are drawn here, the wild places in ``wild``.
"""

from __future__ import annotations

import skia

from shotstream.data.world.palette import NAMED, RGB, darker, lighter
from shotstream.data.world.pen import Pen, box, common, moved, oval, polygon, smooth, turned, union, without
from shotstream.data.world.scenery import wild
from shotstream.data.world.scenery.scene import BARK, BASE, SNOW, Band, Scene, bush, ground, hills, house, slab, window
from shotstream.data.world.scenery.wild import tufts
from shotstream.data.world.spec import Landmark

WALLS: tuple[RGB, ...] = ((250, 232, 200), (240, 206, 180), (222, 226, 222), (250, 216, 168))
ROOFS: tuple[RGB, ...] = ((196, 92, 74), (120, 112, 150), (168, 110, 76), (96, 132, 148))
TOWERS: tuple[RGB, ...] = ((150, 166, 196), (176, 160, 190), (136, 156, 176), (190, 176, 176))
WALL_STONE: RGB = (190, 186, 196)


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
    pen.gradient(box(x - wide, y - size, x + wide, y), lighter(WALL_STONE, 0.15), darker(WALL_STONE, 0.15))
    pen.fill(box(x + 0.3 * wide, y - size, x + wide, y), darker(WALL_STONE, 0.5), 0.2)
    for dx in (-0.085, -0.022, 0.041):
        pen.fill(
            box(x + dx - 0.012, y - size - 0.045, x + dx + 0.036, y - size + 0.01),
            SNOW if scene.light.snowy else WALL_STONE,
        )
    window(pen, scene, x - 0.022, y - size + 0.07, x + 0.022, y - size + 0.15)


def _castle_middle(pen: Pen, scene: Scene) -> None:
    wall = slab(scene, 0.47, 0.76)
    pen.gradient(wall, lighter(WALL_STONE, 0.1), darker(WALL_STONE, 0.16))
    for x, _ in scene.spots("merlons", 0.13, jitter=0.0):
        pen.fill(box(x - 0.038, 0.43, x + 0.038, 0.48), SNOW if scene.light.snowy else lighter(WALL_STONE, 0.08))
    for x, size in scene.spots("blocks", 0.33):
        pen.fill(box(x - 0.05, 0.53 + 0.11 * size, x + 0.05, 0.565 + 0.11 * size, 0.008), darker(WALL_STONE, 0.22), 0.5)
    for x, size in scene.spots("turrets", 0.60, jitter=0.2, clear=0.26):
        _turret(pen, scene, x, 0.74, 0.40 + 0.12 * size)
        if size < 0.5:
            pole_x, top = x, 0.74 - 0.40 - 0.12 * size
            pen.fill(box(pole_x - 0.005, top - 0.15, pole_x + 0.005, top), darker(WALL_STONE, 0.5))
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


WOOD: RGB = (170, 120, 80)
STONE: RGB = (206, 200, 196)


def _hut(pen: Pen, scene: Scene, x: float, y: float, colour: RGB) -> None:
    walls = box(x - 0.17, y - 0.22, x + 0.17, y, 0.01)
    pen.gradient(walls, (236, 214, 178), (206, 176, 136))
    pen.fill(box(x + 0.07, y - 0.46, x + 0.125, y - 0.30), (150, 110, 96))
    roof = smooth(
        [
            (x - 0.25, y - 0.18),
            (x - 0.12, y - 0.33),
            (x, y - 0.47),
            (x + 0.12, y - 0.33),
            (x + 0.25, y - 0.18),
            (x, y - 0.21),
        ]
    )
    _shaded(pen, scene, roof, colour)
    pen.fill(box(x - 0.055, y - 0.16, x + 0.045, y, 0.04), darker(colour, 0.35))
    window(pen, scene, x + 0.07, y - 0.15, x + 0.14, y - 0.08)
    window(pen, scene, x - 0.14, y - 0.15, x - 0.075, y - 0.08)


def _shaded(pen: Pen, scene: Scene, path: skia.Path, colour: RGB) -> None:
    """A surface in the landmark's colour, shaded to the right, snow along its top."""
    bounds = path.getBounds()
    pen.gradient(path, lighter(colour, 0.12), darker(colour, 0.10))
    shadow = without(path, moved(path, -0.20 * bounds.width(), -0.10 * bounds.height()))
    pen.fill(shadow, darker(colour, 0.5), 0.24)
    if scene.light.snowy:
        cap = oval(bounds.centerX(), bounds.top(), 0.30 * bounds.width(), 0.16 * bounds.height())
        pen.fill(common(path, cap), SNOW)
    pen.line(path, darker(colour, 0.45), 0.008)


def _tower(pen: Pen, scene: Scene, x: float, y: float, colour: RGB) -> None:
    pen.gradient(
        polygon([(x - 0.11, y), (x - 0.085, y - 0.38), (x + 0.085, y - 0.38), (x + 0.11, y)]), STONE, darker(STONE, 0.2)
    )
    pen.fill(
        polygon([(x + 0.03, y), (x + 0.03, y - 0.38), (x + 0.085, y - 0.38), (x + 0.11, y)]), darker(STONE, 0.5), 0.2
    )
    for level in (0.12, 0.26):
        band = polygon(
            [
                (x - 0.105, y - level + 0.03),
                (x - 0.1, y - level - 0.03),
                (x + 0.1, y - level - 0.03),
                (x + 0.105, y - level + 0.03),
            ]
        )
        pen.fill(band, colour)
    pen.fill(box(x - 0.115, y - 0.43, x + 0.115, y - 0.375, 0.012), darker(STONE, 0.12))
    _shaded(pen, scene, polygon([(x - 0.14, y - 0.42), (x, y - 0.64), (x + 0.14, y - 0.42)]), colour)
    window(pen, scene, x - 0.03, y - 0.365, x + 0.03, y - 0.30)
    pen.fill(box(x - 0.04, y - 0.085, x + 0.04, y, 0.035), darker(WOOD, 0.4))


def _great_tree(pen: Pen, scene: Scene, x: float, y: float, colour: RGB) -> None:
    trunk = smooth(
        [
            (x - 0.10, y + 0.01),
            (x - 0.05, y - 0.12),
            (x - 0.06, y - 0.34),
            (x + 0.06, y - 0.34),
            (x + 0.05, y - 0.12),
            (x + 0.10, y + 0.01),
        ]
    )
    pen.gradient(trunk, BARK, darker(BARK, 0.3))
    crown = oval(x, y - 0.48, 0.21, 0.16)
    for dx, dy, radius in (
        (-0.17, -0.38, 0.12),
        (0.17, -0.38, 0.12),
        (-0.12, -0.52, 0.12),
        (0.12, -0.53, 0.12),
        (0.0, -0.36, 0.12),
    ):
        crown = union(crown, oval(x + dx, y + dy, radius, 0.9 * radius))
    _shaded(pen, scene, crown, colour)
    for dx, dy in ((-0.12, -0.52), (0.07, -0.56), (-0.02, -0.40)):
        pen.fill(oval(x + dx, y + dy, 0.06, 0.045), lighter(colour, 0.5), 0.45)
    pen.fill(oval(x, y - 0.19, 0.028, 0.04), darker(BARK, 0.6))


def _windmill(pen: Pen, scene: Scene, x: float, y: float, colour: RGB) -> None:
    body = polygon([(x - 0.12, y), (x - 0.075, y - 0.36), (x + 0.075, y - 0.36), (x + 0.12, y)])
    pen.gradient(body, (250, 240, 222), (216, 200, 180))
    pen.fill(common(body, box(x - 0.2, y - 0.08, x + 0.2, y)), colour)
    _shaded(
        pen,
        scene,
        smooth(
            [(x - 0.095, y - 0.345), (x - 0.06, y - 0.43), (x, y - 0.46), (x + 0.06, y - 0.43), (x + 0.095, y - 0.345)]
        ),
        colour,
    )
    pen.fill(box(x - 0.035, y - 0.11, x + 0.035, y, 0.03), darker(WOOD, 0.45))
    window(pen, scene, x - 0.028, y - 0.26, x + 0.028, y - 0.19)
    for turn in (20, 110, 200, 290):
        arm = turned(box(x - 0.008, y - 0.40 - 0.24, x + 0.008, y - 0.40), turn, x, y - 0.40)
        sail = turned(box(x + 0.004, y - 0.40 - 0.235, x + 0.062, y - 0.40 - 0.06, 0.008), turn, x, y - 0.40)
        pen.fill(sail, colour)
        pen.line(sail, darker(colour, 0.45), 0.007)
        pen.fill(arm, darker(WOOD, 0.45))
    pen.fill(oval(x, y - 0.40, 0.022, 0.022), darker(WOOD, 0.6))


def _hot_air_balloon(pen: Pen, scene: Scene, x: float, y: float, colour: RGB) -> None:
    y -= 0.07
    for dx in (-0.05, 0.05):
        pen.line(polygon([(x + 2.0 * dx, y - 0.26), (x + dx, y - 0.09)]), darker(WOOD, 0.4), 0.010)
    pen.fill(box(x - 0.06, y - 0.10, x + 0.06, y - 0.01, 0.018), WOOD)
    pen.fill(box(x - 0.066, y - 0.105, x + 0.066, y - 0.08, 0.01), darker(WOOD, 0.35))
    skin = smooth(
        [
            (x - 0.05, y - 0.20),
            (x - 0.19, y - 0.38),
            (x - 0.15, y - 0.56),
            (x, y - 0.63),
            (x + 0.15, y - 0.56),
            (x + 0.19, y - 0.38),
            (x + 0.05, y - 0.20),
        ]
    )
    pen.gradient(skin, lighter(colour, 0.15), darker(colour, 0.08))
    pen.fill(common(skin, oval(x, y - 0.40, 0.065, 0.30)), lighter(colour, 0.62))
    for side in (-1, 1):
        pen.fill(common(skin, oval(x + side * 0.21, y - 0.40, 0.07, 0.3)), darker(colour, 0.45), 0.35)
    pen.line(skin, darker(colour, 0.45), 0.008)
    if scene.light.snowy:
        pen.fill(common(skin, oval(x, y - 0.64, 0.11, 0.06)), SNOW)


def _sailing_boat(pen: Pen, scene: Scene, x: float, y: float, colour: RGB) -> None:
    water: RGB = (150, 206, 232) if scene.light.snowy else (86, 168, 214)
    pen.fill(oval(x, y - 0.005, 0.30, 0.045), water)
    pen.fill(oval(x - 0.08, y - 0.012, 0.13, 0.014), lighter(water, 0.5), 0.7)
    pen.fill(box(x - 0.012, y - 0.56, x + 0.008, y - 0.06), darker(WOOD, 0.4))
    main = polygon([(x + 0.018, y - 0.56), (x + 0.12, y - 0.36), (x + 0.20, y - 0.13), (x + 0.018, y - 0.13)])
    _shaded(pen, scene, main, colour)
    jib = polygon([(x - 0.025, y - 0.50), (x - 0.025, y - 0.13), (x - 0.17, y - 0.13)])
    pen.fill(jib, lighter(colour, 0.55))
    pen.line(jib, darker(colour, 0.45), 0.007)
    hull = smooth(
        [(x - 0.22, y - 0.105), (x, y - 0.085), (x + 0.23, y - 0.11), (x + 0.15, y - 0.005), (x - 0.14, y - 0.005)]
    )
    pen.fill(hull, darker(WOOD, 0.15))
    pen.fill(common(hull, box(x - 0.3, y - 0.12, x + 0.3, y - 0.07)), (250, 244, 232))


DRAWINGS = {
    "hut": _hut,
    "tower": _tower,
    "great tree": _great_tree,
    "windmill": _windmill,
    "hot-air balloon": _hot_air_balloon,
    "sailing boat": _sailing_boat,
}


def draw_landmark(pen: Pen, scene: Scene) -> None:
    """The place's landmark in its third of the middle ground."""
    kind: Landmark = scene.place.landmark
    x = scene.landmark_x
    pen.fill(oval(x, BASE, 0.22, 0.022), (30, 30, 60), 0.22)
    DRAWINGS[kind](Pen(pen.canvas, scene.light.landmark_tone), scene, x, BASE, NAMED[scene.place.landmark_colour])


PAINTERS = {
    "forest": wild.FOREST,
    "meadow": wild.MEADOW,
    "beach": wild.BEACH,
    "mountains": wild.MOUNTAINS,
    "desert": wild.DESERT,
    "village": VILLAGE,
    "castle": CASTLE,
    "city": CITY,
}


def bands_of(scene: Scene) -> list[Band]:
    """Far, middle (with the landmark), ground and foreground, from the back to the front."""
    far, middle, near, front = PAINTERS[scene.place.kind]

    def middle_and_landmark(pen: Pen, inner: Scene) -> None:
        middle(pen, inner)
        draw_landmark(pen, inner)

    return [
        Band(0.25, 0.30, 0.10, 0.80, 0.30, far),
        Band(0.55, 0.55, 0.03, 0.80, 0.06, middle_and_landmark),
        Band(1.00, 1.00, 0.64, 1.12, 0.0, near),
        Band(1.12, 1.00, 0.86, 1.12, 0.0, front),
    ]
