"""Phrase tables of captions: characters, places, light, actions.

In every list the plainest wording comes first. A verb is its three forms: "it walks", "they walk", "walking".
In camera phrases ``{side}`` is the side a pan goes to; a zoom's key is its direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shotstream.data.world.spec import AccessoryKind, Action, Colour, Direction, Kind, PlaceKind, Time, Weather

Verb = tuple[str, str, str]

ARTICLES = ("a", "an", "the")
TOGETHER = ("while", "and")
NOW = "now"
CONNECTIVES = ("and", "while", "as", "is", "are")

KIND_NOUNS: dict[Kind, tuple[str, ...]] = {
    "fox": ("fox",),
    "rabbit": ("rabbit", "bunny", "bunny rabbit"),
    "bear": ("bear", "teddy bear"),
    "cat": ("cat", "kitty", "kitten"),
    "penguin": ("penguin",),
    "owl": ("owl",),
    "frog": ("frog", "toad"),
    "robot": ("robot", "android"),
}
COLOUR_WORDS: dict[Colour, tuple[str, ...]] = {
    "red": ("red", "scarlet", "crimson"),
    "orange": ("orange",),
    "yellow": ("yellow", "golden"),
    "green": ("green",),
    "blue": ("blue",),
    "purple": ("purple", "violet"),
    "pink": ("pink", "rosy"),
    "white": ("white",),
}
FLAVOURS = ("little", "small", "young", "friendly", "curious", "cheerful", "brave")
HEROES = ("our hero", "our little friend", "the little hero")

ACCESSORY_NOUNS: dict[AccessoryKind, tuple[str, ...]] = {
    "hat": ("hat", "cap"),
    "scarf": ("scarf",),
    "crown": ("crown",),
    "bow": ("bow", "ribbon"),
    "backpack": ("backpack", "rucksack"),
    "balloon": ("balloon",),
}
ACCESSORY_JOINTS: dict[AccessoryKind, tuple[str, ...]] = {
    "hat": ("with", "wearing", "in"),
    "scarf": ("with", "wearing", "in"),
    "crown": ("with", "wearing"),
    "bow": ("with", "wearing"),
    "backpack": ("with", "wearing", "carrying"),
    "balloon": ("with", "holding", "carrying"),
}
ACCESSORY_VERBS: dict[AccessoryKind, tuple[str, ...]] = {
    "hat": ("wears", "has"),
    "scarf": ("wears", "has"),
    "crown": ("wears", "has"),
    "bow": ("wears", "has"),
    "backpack": ("carries", "wears", "has"),
    "balloon": ("holds", "carries", "has"),
}

BARE_GROUPS = ("both friends", "two friends", "both of them")
GROUPS = ("the two friends", "the two of them", "both friends", "the friends", "the pair")


@dataclass(frozen=True, slots=True)
class Pronoun:
    """How a caption refers back: "it walks", "watch it", "its hat"."""

    subject: str
    object: str
    possessive: str


PRONOUNS = ("it", "its", "he", "him", "his", "she", "her", "they", "them", "their")
IT, HE, SHE = Pronoun("it", "it", "its"), Pronoun("he", "him", "his"), Pronoun("she", "her", "her")
THEY = Pronoun("they", "them", "their")


@dataclass(frozen=True, slots=True)
class Site:
    """One way to name a place. ``article``: used at first mention ("a", or "the" for "the woods")."""

    noun: str
    article: str
    at: tuple[str, ...]
    through: tuple[str, ...]
    weather_adjective: bool = True


SITES: dict[PlaceKind, tuple[Site, ...]] = {
    "forest": (
        Site("forest", "a", ("in",), ("through",)),
        Site("woods", "the", ("in",), ("through",)),
        Site("woodland", "a", ("in",), ("through",)),
    ),
    "meadow": (
        Site("meadow", "a", ("in",), ("across", "through")),
        Site("grassy field", "a", ("in",), ("across", "through"), weather_adjective=False),
    ),
    "beach": (
        Site("beach", "a", ("on",), ("along",)),
        Site("beach", "the", ("at", "on"), ("along",)),
        Site("seaside", "the", ("at",), ("along",)),
        Site("sandy shore", "a", ("on",), ("along",), weather_adjective=False),
    ),
    "mountains": (
        Site("mountains", "the", ("in",), ("through", "across")),
        Site("high mountains", "the", ("in",), ("through",), weather_adjective=False),
    ),
    "village": (
        Site("village", "a", ("in",), ("through",)),
        Site("little village", "a", ("in",), ("through",), weather_adjective=False),
        Site("quiet village", "a", ("in",), ("through",), weather_adjective=False),
    ),
    "desert": (
        Site("desert", "a", ("in",), ("across", "through")),
        Site("sandy desert", "a", ("in",), ("across", "through"), weather_adjective=False),
    ),
    "castle": (
        Site("castle", "a", ("near", "by", "in front of", "outside"), ("past",), weather_adjective=False),
        Site("old castle", "an", ("near", "by", "in front of", "outside"), ("past",), weather_adjective=False),
    ),
    "city": (
        Site("city", "a", ("in",), ("through",)),
        Site("big city", "a", ("in",), ("through",), weather_adjective=False),
        Site("busy city", "a", ("in",), ("through",), weather_adjective=False),
    ),
}

TIME_PHRASES: dict[Time, tuple[str, ...]] = {
    "day": ("by day", "during the day", "in the daytime", "in daylight"),
    "sunset": ("at sunset", "at dusk", "in the evening", "as the sun sets"),
    "night": ("at night", "by night", "after dark", "in the night"),
}
TIME_NOUNS: dict[Time, tuple[str, ...]] = {
    "day": ("day",),
    "sunset": ("evening",),
    "night": ("night",),
}
TIME_TAGS: dict[Time, tuple[str, ...]] = {
    "day": ("day", "daytime", "daylight"),
    "sunset": ("sunset", "evening", "dusk"),
    "night": ("night", "nighttime", "at night"),
}
TIME_STATES: dict[Time, tuple[str, ...]] = {
    "day": ("it is day", "it is daytime", "it is broad daylight"),
    "sunset": ("it is sunset", "the sun is setting", "it is evening", "the sun is going down"),
    "night": ("it is night", "it is dark", "it is late at night"),
}
TIME_CHANGES: dict[Time, tuple[str, ...]] = {
    "day": ("it is day now", "day has come", "now it is daytime"),
    "sunset": ("the sun is setting now", "evening has come", "now it is sunset"),
    "night": ("it is night now", "night has fallen", "now it is dark"),
}
WEATHER_PHRASES: dict[Weather, tuple[str, ...]] = {
    "clear": ("under a clear sky", "in clear weather", "in fine weather"),
    "rain": ("in the rain", "as rain falls", "in rainy weather"),
    "snow": ("in the snow", "as snow falls", "in snowy weather"),
}
WEATHER_ADJECTIVES: dict[Weather, tuple[str, ...]] = {
    "clear": ("clear",),
    "rain": ("rainy",),
    "snow": ("snowy", "wintry", "snow-covered"),
}
DAY_ADJECTIVES: dict[Weather, tuple[str, ...]] = {
    "clear": ("clear", "fine"),
    "rain": ("rainy", "wet"),
    "snow": ("snowy",),
}
WEATHER_TAGS: dict[Weather, tuple[str, ...]] = {
    "clear": ("clear sky", "clear weather"),
    "rain": ("rain", "raining", "rainy"),
    "snow": ("snow", "snowing", "snowy"),
}
WEATHER_STATES: dict[Weather, tuple[str, ...]] = {
    "clear": ("the sky is clear", "the weather is fine"),
    "rain": ("it is raining", "rain is falling", "rain pours down"),
    "snow": ("it is snowing", "snow is falling", "snowflakes drift down"),
}
WEATHER_CHANGES: dict[Weather, tuple[str, ...]] = {
    "clear": ("the sky is clear now", "the sky has cleared", "now the weather is fine"),
    "rain": ("it is raining now", "now it rains", "it has started to rain"),
    "snow": ("it is snowing now", "now it snows", "it has started to snow"),
}
CLEAR_PHRASES: dict[Time, tuple[str, ...]] = {
    "day": ("on a sunny day", "in the sunshine", "on a bright sunny day"),
    "sunset": ("on a clear evening", "under a clear evening sky"),
    "night": ("on a clear night", "under the stars", "on a starry night", "in the moonlight"),
}
SUNNY = "sunny"

ACTION_VERBS: dict[Action, tuple[Verb, ...]] = {
    "stand": (
        ("stands still", "stand still", "standing still"),
        ("stands", "stand", "standing"),
        ("waits", "wait", "waiting"),
        ("stands quietly", "stand quietly", "standing quietly"),
        ("stays still", "stay still", "staying still"),
    ),
    "walk": (
        ("walks", "walk", "walking"),
        ("strolls", "stroll", "strolling"),
        ("trots", "trot", "trotting"),
        ("wanders", "wander", "wandering"),
        ("ambles", "amble", "ambling"),
        ("walks slowly", "walk slowly", "walking slowly"),
    ),
    "run": (
        ("runs", "run", "running"),
        ("dashes", "dash", "dashing"),
        ("races", "race", "racing"),
        ("sprints", "sprint", "sprinting"),
        ("rushes", "rush", "rushing"),
        ("runs fast", "run fast", "running fast"),
    ),
    "jump": (
        ("jumps", "jump", "jumping"),
        ("jumps up and down", "jump up and down", "jumping up and down"),
        ("hops up and down", "hop up and down", "hopping up and down"),
        ("leaps into the air", "leap into the air", "leaping into the air"),
        ("bounces", "bounce", "bouncing"),
    ),
    "wave": (
        ("waves", "wave", "waving"),
        ("waves hello", "wave hello", "waving hello"),
        ("waves cheerfully", "wave cheerfully", "waving cheerfully"),
        ("waves goodbye", "wave goodbye", "waving goodbye"),
        ("gives a wave", "give a wave", "giving a wave"),
    ),
    "dance": (
        ("dances", "dance", "dancing"),
        ("dances happily", "dance happily", "dancing happily"),
        ("does a little dance", "do a little dance", "doing a little dance"),
        ("dances about", "dance about", "dancing about"),
    ),
    "spin": (
        ("spins around", "spin around", "spinning around"),
        ("spins", "spin", "spinning"),
        ("twirls", "twirl", "twirling"),
        ("turns around and around", "turn around and around", "turning around and around"),
        ("whirls around", "whirl around", "whirling around"),
    ),
    "sleep": (
        ("sleeps", "sleep", "sleeping"),
        ("naps", "nap", "napping"),
        ("takes a nap", "take a nap", "taking a nap"),
        ("dozes", "doze", "dozing"),
        ("is fast asleep", "be fast asleep", "fast asleep"),
        ("snoozes", "snooze", "snoozing"),
    ),
}
FACING_VERBS: tuple[Verb, ...] = (
    ("looks to the {side}", "look to the {side}", "looking to the {side}"),
    ("faces {side}", "face {side}", "facing {side}"),
    ("looks {side}", "look {side}", "looking {side}"),
    ("stands facing {side}", "stand facing {side}", "standing facing {side}"),
)
HEADINGS = ("to the {side}", "{side}", "toward the {side}", "towards the {side}", "from {opposite} to {side}")
FACINGS = ("facing {side}", "facing to the {side}", "looking {side}", "looking to the {side}")
SLEEP_FACINGS = FACINGS[:2]  # eyes closed
SIDES: dict[Direction, str] = {"left": "left", "right": "right"}
OPPOSITE: dict[Direction, Direction] = {"left": "right", "right": "left"}

RETURNS = ("back", "back again")
ARRIVALS = ("now", "then", "later", "next")
LOOKS = (
    "flat cartoon style",
    "storybook style",
    "picture-book look",
    "simple cartoon look",
    "a flat cartoon",
    "drawn like a picture book",
    "bright cartoon colours",
    "2D animation",
)


View = Literal["wide", "medium", "close-up", "pan", "zoom in", "zoom out"]

# "Wide shot. The fox waves."
LEADS: dict[View, tuple[str, ...]] = {
    "wide": ("wide shot", "long shot", "a wide shot", "wide view", "establishing shot", "full shot"),
    "medium": ("medium shot", "mid shot", "a medium shot", "medium view"),
    "close-up": ("close-up", "close shot", "a close-up", "tight shot", "extreme close view", "tight on the face"),
    "pan": (
        "pan {side}",
        "pan to the {side}",
        "slow pan to the {side}",
        "panning {side}",
        "panning shot to the {side}",
    ),
    "zoom in": ("zoom in", "slow zoom in", "zooming in", "push in"),
    "zoom out": ("zoom out", "slow zoom out", "zooming out", "pull back"),
}
# "A wide shot of the fox waving."
VIEWS_OF: dict[View, tuple[str, ...]] = {
    "wide": ("a wide shot of", "a long shot of", "a wide view of", "an establishing shot of", "a full shot of"),
    "medium": ("a medium shot of", "a mid shot of", "a medium view of"),
    "close-up": ("a close-up of", "a close shot of", "a tight shot of", "a close view of"),
    "pan": ("a pan to the {side} showing", "a slow pan {side} with", "a panning shot to the {side} with"),
    "zoom in": ("a slow zoom in on", "a zoom in on", "a slow push in on"),
    "zoom out": ("a slow zoom out from", "a zoom out from", "a slow pull back from"),
}
# "The fox waves, seen from afar."
TAILS: dict[View, tuple[str, ...]] = {
    "wide": (
        "in a wide shot",
        "seen from afar",
        "in a long shot",
        "seen from far away",
        "with the whole scene in view",
    ),
    "medium": ("in a medium shot", "in a mid shot", "at medium distance", "seen from a few steps away"),
    "close-up": ("in close-up", "in a close-up", "seen up close", "in a tight shot", "filling the frame"),
    "pan": ("as the camera pans {side}", "while the camera pans to the {side}", "as the view slides {side}"),
    "zoom in": ("as the camera zooms in", "while the camera moves closer", "as the camera pushes in"),
    "zoom out": ("as the camera zooms out", "while the camera pulls back", "as the camera moves away"),
}
# "The fox waves. The camera is close."
SENTENCES: dict[View, tuple[str, ...]] = {
    "wide": ("the camera is far away", "we see the whole scene", "the camera stays far back"),
    "medium": ("the camera is a few steps away", "the camera keeps a medium distance"),
    "close-up": ("the camera is close", "the face fills the frame", "the camera is right up close"),
    "pan": ("the camera pans {side}", "the camera pans to the {side}", "the camera sweeps {side}"),
    "zoom in": ("the camera zooms in", "the camera slowly zooms in", "the camera moves closer"),
    "zoom out": ("the camera zooms out", "the camera slowly pulls back", "the camera moves away"),
}
# "close-up, fox waving, night"
TAGS: dict[View, tuple[str, ...]] = {
    "wide": ("wide", "wide shot", "long shot", "far away"),
    "medium": ("medium shot", "medium", "mid shot"),
    "close-up": ("close-up", "close up", "closeup", "close"),
    "pan": ("pan {side}", "camera pans {side}"),
    "zoom in": ("zoom in", "zooming in"),
    "zoom out": ("zoom out", "zooming out"),
}
CUTS = ("cut to", "then", "now", "next,", "we cut to")
WATCHING = ("we see", "show", "show us", "watch", "film")
MAKING = ("make", "let", "have")
