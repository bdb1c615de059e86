"""The data types of the procedural world: story, place, character, shot.

Everything drawn or captioned is stated here once. Drawing (``render``) turns a spec into frames,
``captions`` turns it into English, ``truth`` reads the exact answers off it.

Lengths are in *world units*: the picture of a wide shot is 1.0 unit high; x grows to the right and
y grows downwards, the ground line characters stand on is at y = ``GROUND``. Times are in seconds,
speeds in units per second: nothing depends on how long a shot will last.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

WORLD_VERSION = 4
GROUND = 0.80
LAYOUTS = 4  # ways in which the scenery of each kind of place is laid out

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

    ``layout`` (0 to ``LAYOUTS`` - 1) and ``kind`` seed the scenery: where trees stand, how hills run. The
    landmark is one large object of the middle ground, in one third of the wide picture.
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
class ShotChange:
    """What a shot's characters do from ``seconds`` on, its camera and setting staying what they are.

    ``seconds`` is where a block of frames begins: a caption can change there while a shot is made. ``roles``: as
    in :class:`WorldShot`, the same characters facing the same ways. ``caption``: of the frames from there on.
    """

    seconds: float
    roles: tuple[Role, ...]
    caption: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WorldShot:
    """One shot: a place, a light, a framing and one or two roles, of which the camera frames ``focus``.

    ``pan`` is set exactly for framing "pan", ``zoom`` exactly for framing "zoom".
    In close-ups and medium shots of a pair (shot/reverse-shot) only the focused role is listed.
    ``change``: set where the action changes in mid-shot; ``roles`` and ``caption`` hold until then.
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
    change: ShotChange | None = None

    def at(self, time: float) -> WorldShot:
        """The same shot without a change, as it is ``time`` seconds after its start: those roles, that caption."""
        if self.change is None:
            return self
        if time < self.change.seconds:
            return replace(self, change=None)
        return replace(self, roles=self.change.roles, caption=self.change.caption, change=None)

    @property
    def actions(self) -> frozenset[Action]:
        """Every action of the shot, before and after its change."""
        after = self.change.roles if self.change else ()
        return frozenset(role.action for role in (*self.roles, *after))


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


Aspect = Literal["kind", "colour", "action", "direction", "hat", "scarf", "crown", "bow", "backpack", "balloon"]
RoleFacts = frozenset[tuple[int, Aspect]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """The facts in one caption, noted by the composer that writes them: nothing is parsed back out of English.

    ``framing`` includes the side of a pan and the way of a zoom. ``cast``: pairs of a character's index
    and what is told of it.
    """

    places: tuple[PlaceKind, ...] = ()
    time: Time | None = None
    weather: Weather | None = None
    framing: bool = False
    cast: RoleFacts = field(default_factory=frozenset)

    @property
    def place(self) -> PlaceKind | None:
        """The place, if exactly one is named."""
        return self.places[0] if len(self.places) == 1 else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Caption:
    """A caption and exactly what it tells."""

    text: str
    told: Told
