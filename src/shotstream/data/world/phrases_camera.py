"""The words captions use for the camera: framings, pans, zooms, and what opens a shot's sentence.

``{side}`` is the side a pan goes to. A zoom's key is its direction.
"""

from __future__ import annotations

from typing import Literal

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
