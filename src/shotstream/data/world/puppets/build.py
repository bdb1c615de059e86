"""The measures of each kind of character and the colours of its coat. Puppet units, see ``motion``."""

from __future__ import annotations

from dataclasses import dataclass

from shotstream.data.world.palette import NAMED, RGB, Light, darker, lighter, luminance, mix
from shotstream.data.world.spec import Character, Kind

WHITE: RGB = (255, 253, 248)
DARK: RGB = (44, 34, 56)


@dataclass(frozen=True, slots=True)
class Build:
    """Ellipse radii and centre heights; ``size`` scales the whole puppet so that all kinds stand about equally tall."""

    head_rx: float
    head_ry: float
    head_y: float
    body_rx: float
    body_ry: float
    body_y: float
    arm_length: float
    arm_width: float
    leg_width: float
    size: float = 1.0
    face_y: float = 0.0


BUILDS: dict[Kind, Build] = {
    "fox": Build(0.31, 0.26, -0.66, 0.19, 0.23, -0.27, 0.25, 0.105, 0.12, 1.0, 0.02),
    "rabbit": Build(0.28, 0.25, -0.60, 0.19, 0.22, -0.25, 0.24, 0.105, 0.13, 1.02, 0.02),
    "bear": Build(0.32, 0.28, -0.68, 0.25, 0.26, -0.29, 0.25, 0.135, 0.15, 1.02, 0.02),
    "cat": Build(0.31, 0.25, -0.65, 0.18, 0.22, -0.26, 0.25, 0.10, 0.11, 1.0, 0.02),
    "penguin": Build(0.28, 0.27, -0.68, 0.26, 0.33, -0.35, 0.29, 0.11, 0.12, 1.04, 0.03),
    "owl": Build(0.34, 0.28, -0.67, 0.28, 0.30, -0.33, 0.29, 0.14, 0.11, 1.0, 0.0),
    "frog": Build(0.35, 0.22, -0.60, 0.23, 0.22, -0.26, 0.27, 0.085, 0.11, 1.08, 0.06),
    "robot": Build(0.30, 0.24, -0.70, 0.22, 0.21, -0.29, 0.27, 0.09, 0.11, 0.98, 0.0),
}


@dataclass(frozen=True, slots=True)
class Coat:
    """A character's colours in the shot's light (already toned). ``rim`` outlines, ``ink`` draws details."""

    main: RGB
    shade: RGB
    pale: RGB
    pattern: RGB
    ink: RGB
    rim: RGB


def coat_of(character: Character, light: Light) -> Coat:
    main, pattern = NAMED[character.colour], NAMED[character.pattern_colour]
    ink = mix(darker(main, 0.72), DARK, 0.3)
    rim = mix(darker(main, 0.62), (92, 96, 130), 0.35) if luminance(main) > 0.9 else darker(main, 0.62)
    if light.dark:
        rim = mix(lighter(main, 0.55), (190, 215, 255), 0.4)
    return Coat(main, darker(main, 0.18), lighter(main, 0.72), pattern, ink, rim)
