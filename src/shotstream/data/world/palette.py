"""Colours and light: the eight named colours, and how time of day and weather tint the scene.

Colours are (red, green, blue) in 0..255. Drawing code names daylight colours; a ``Light`` turns them
into what the hour and the weather make of them, deeper layers fading into the sky's haze.
"""

from __future__ import annotations

from dataclasses import dataclass

from shotstream.data.world.spec import Colour, Time, Weather

RGB = tuple[float, float, float]

NAMED: dict[Colour, RGB] = {
    "red": (222, 58, 56),
    "orange": (244, 136, 38),
    "yellow": (250, 208, 58),
    "green": (84, 176, 78),
    "blue": (66, 122, 224),
    "purple": (144, 88, 204),
    "pink": (246, 142, 186),
    "white": (248, 246, 242),
}

_SKIES: dict[Time, tuple[RGB, RGB, RGB]] = {
    "day": ((86, 164, 234), (150, 206, 246), (226, 243, 250)),
    "sunset": ((96, 78, 158), (236, 118, 120), (255, 204, 132)),
    "night": ((13, 18, 52), (28, 40, 92), (66, 84, 146)),
}
_OVERCAST: dict[Time, tuple[RGB, RGB, RGB]] = {
    "day": ((126, 146, 168), (164, 180, 196), (204, 214, 222)),
    "sunset": ((112, 92, 128), (184, 124, 128), (226, 172, 146)),
    "night": ((18, 22, 46), (34, 42, 74), (62, 74, 108)),
}
_SNOWY: dict[Time, tuple[RGB, RGB, RGB]] = {
    "day": ((150, 182, 216), (190, 212, 234), (232, 240, 247)),
    "sunset": ((132, 112, 172), (226, 154, 164), (252, 214, 182)),
    "night": ((24, 32, 72), (46, 60, 112), (92, 110, 164)),
}
_TINTS: dict[Time, RGB] = {"day": (1.0, 1.0, 1.0), "sunset": (1.0, 0.80, 0.74), "night": (0.40, 0.46, 0.72)}
_CAST_TINTS: dict[Time, RGB] = {"day": (1.0, 1.0, 1.0), "sunset": (1.0, 0.92, 0.88), "night": (0.87, 0.87, 0.95)}


def mix(first: RGB, second: RGB, share: float) -> RGB:
    """``first`` with ``share`` (0..1) of it replaced by ``second``."""
    return (
        first[0] + (second[0] - first[0]) * share,
        first[1] + (second[1] - first[1]) * share,
        first[2] + (second[2] - first[2]) * share,
    )


def darker(colour: RGB, share: float = 0.3) -> RGB:
    """Towards a deep, slightly cool shadow."""
    return mix(colour, (38, 26, 58), share)


def lighter(colour: RGB, share: float = 0.4) -> RGB:
    """Towards a warm white."""
    return mix(colour, (255, 252, 244), share)


def luminance(colour: RGB) -> float:
    """Perceived lightness, 0..1."""
    return (0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]) / 255.0


@dataclass(frozen=True, slots=True)
class Light:
    """The light of one shot: hour and weather."""

    time: Time
    weather: Weather

    @property
    def snowy(self) -> bool:
        return self.weather == "snow"

    @property
    def dark(self) -> bool:
        return self.time == "night"

    def sky(self) -> tuple[RGB, RGB, RGB]:
        """Top, middle and horizon of the sky."""
        table = {"clear": _SKIES, "rain": _OVERCAST, "snow": _SNOWY}[self.weather]
        return table[self.time]

    def tone(self, colour: RGB, haze: float = 0.0) -> RGB:
        """A scenery colour in this light; ``haze`` (0..1) is how far it fades into the horizon."""
        tint = _TINTS[self.time]
        grey = 255.0 * luminance(colour)
        dull = {"clear": 0.0, "rain": 0.32, "snow": 0.12}[self.weather]
        base = mix(colour, (grey * 0.92, grey * 0.96, grey), dull)
        lit = (base[0] * tint[0], base[1] * tint[1], base[2] * tint[2])
        return mix(lit, self.sky()[2], haze)

    def cast_tone(self, colour: RGB) -> RGB:
        """A character's colour in this light: tinted little, so that its name stays readable."""
        tint = _CAST_TINTS[self.time]
        return (colour[0] * tint[0], colour[1] * tint[1], colour[2] * tint[2])

    def landmark_tone(self, colour: RGB) -> RGB:
        """Between scenery and cast: its colour must be known again at night."""
        return mix(self.tone(colour, 0.04), self.cast_tone(colour), 0.5)

    def ground(self, colour: RGB) -> RGB:
        """The daylight colour of a surface that snow would lie on."""
        return mix(colour, (240, 245, 252), 0.88) if self.snowy else colour
