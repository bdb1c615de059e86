"""The eight places: for each, four depths from the far hills to the foreground."""

from __future__ import annotations

from shotstream.data.world.pen import Pen
from shotstream.data.world.scenery import built, wild
from shotstream.data.world.scenery.landmarks import draw_landmark
from shotstream.data.world.scenery.scene import Band, Scene

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
