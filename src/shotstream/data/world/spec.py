"""The words of the procedural world: what a story, a place, a character and a shot are made of.

Everything drawn or captioned is stated here once. Drawing (``render``) turns a spec into frames,
``captions`` turns it into English, ``truth`` reads the exact answers off it.

Lengths are in *world units*: the picture of a wide shot is 1.0 unit high; x grows to the right and
y grows downwards, the ground line characters stand on is at y = ``GROUND``. Times are in seconds,
speeds in units per second: nothing depends on how long a shot will last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

WORLD_VERSION = 3
GROUND = 0.80

Kind = Literal["fox", "rabbit", "bear", "cat", "penguin", "owl", "frog", "robot"]
Colour = Literal["red", "orange", "yellow", "green", "blue", "purple", "pink", "white"]
AccessoryKind = Literal["hat", "scarf", "crown", "bow", "backpack", "balloon"]
PlaceKind = Literal["forest", "meadow", "beach", "mountains", "village", "desert", "castle", "city"]
Time = Literal["day", "sunset", "night"]
Weather = Literal["clear", "rain", "snow"]
Action = Literal["stand", "walk", "run", "jump", "wave", "dance", "spin", "sleep"]
Framing = Literal["wide", "medium", "close-up", "pan", "zoom"]
Direction = Literal["left", "right"]
ZoomDirection = Literal["in", "out"]
Pattern = Literal["plain", "spots", "stripes", "belly", "mask"]
Landmark = Literal["hut", "tower", "great tree", "windmill", "hot-air balloon", "sailing boat"]
Third = Literal["left", "middle", "right"]

KINDS: tuple[Kind, ...] = get_args(Kind)
COLOURS: tuple[Colour, ...] = get_args(Colour)
ACCESSORIES: tuple[AccessoryKind, ...] = get_args(AccessoryKind)
PLACES: tuple[PlaceKind, ...] = get_args(PlaceKind)
TIMES: tuple[Time, ...] = get_args(Time)
WEATHERS: tuple[Weather, ...] = get_args(Weather)
ACTIONS: tuple[Action, ...] = get_args(Action)
FRAMINGS: tuple[Framing, ...] = get_args(Framing)
PATTERNS: tuple[Pattern, ...] = get_args(Pattern)
LANDMARKS: tuple[Landmark, ...] = get_args(Landmark)
THIRDS: tuple[Third, ...] = get_args(Third)
MOVING: tuple[Action, ...] = ("walk", "run")


@dataclass(frozen=True, kw_only=True, slots=True)
class Accessory:
    """Something a character wears or carries. ``stated``: do captions name it?"""

    kind: AccessoryKind
    colour: Colour
    stated: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Character:
    """One member of the cast. ``pattern`` and its colour are never named by a caption."""

    kind: Kind
    colour: Colour
    accessories: tuple[Accessory, ...]
    pattern: Pattern
    pattern_colour: Colour


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """One location of a story. Only ``kind`` is ever named; the rest is for memory to keep.

    ``layout`` seeds the scenery (where trees stand, how hills run); the landmark is one large
    object of the middle ground, in one third of the wide picture.
    """

    kind: PlaceKind
    layout: int
    landmark: Landmark
    landmark_colour: Colour
    landmark_third: Third


@dataclass(frozen=True, kw_only=True, slots=True)
class Role:
    """What one character does in one shot. ``direction``: facing, and where it moves if it does."""

    character: int
    action: Action
    direction: Direction


@dataclass(frozen=True, kw_only=True, slots=True)
class WorldShot:
    """One shot: a place, a light, a framing and one or two roles, of which the camera frames ``focus``.

    ``pan`` is set exactly for framing "pan", ``zoom`` exactly for framing "zoom".
    In close-ups and medium shots of a pair (shot/reverse-shot) only the focused role is listed.
    """

    place: int
    time: Time
    weather: Weather
    framing: Framing
    pan: Direction | None = None
    zoom: ZoomDirection | None = None
    roles: tuple[Role, ...]
    seconds: float
    caption: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WorldStory:
    """A whole story. ``seed`` names it: the same seed and split give the same story, to the bit."""

    seed: int
    characters: tuple[Character, ...]
    places: tuple[Place, ...]
    global_caption: str
    shots: tuple[WorldShot, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenCharacter:
    """A character as one frame shows it. ``box``: left, top, right, bottom as fractions of the frame, clipped to it.

    ``visible``: fraction of the unclipped box that lies inside the frame.
    """

    character: int
    action: Action
    direction: Direction
    box: tuple[float, float, float, float]
    visible: float


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameTruth:
    """What is exactly true of one frame, beside what its shot already says."""

    shot: int
    frame: int
    camera_x: float
    camera_zoom: float
    characters: tuple[SeenCharacter, ...]
