"""The eight places: for each, four depths from the far hills to the foreground, and its landmark.

A landmark is the one large thing by which a place is known. Its colour is never told, only remembered.
"""

from __future__ import annotations

import skia

from shotstream.data.world.palette import NAMED, RGB, darker, lighter
from shotstream.data.world.pen import Pen, box, common, moved, oval, polygon, smooth, turned, union, without
from shotstream.data.world.scenery import built, wild
from shotstream.data.world.scenery.scene import BARK, BASE, SNOW, Band, Scene, window
from shotstream.data.world.spec import Landmark

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
    "village": built.VILLAGE,
    "castle": built.CASTLE,
    "city": built.CITY,
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
