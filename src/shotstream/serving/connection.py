"""One connection as a pure state machine: a message and the time in, effects out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from shotstream.serving.client_messages import Command, Hello, PictureKind, Show
from shotstream.serving.protocol import VERSION, RefusalCode, Refused

RATE, BURST = 20.0, 60.0  # messages a second, and how many at once
MAX_STRIKES = 200  # refusals for speed before the connection is closed

Phase = Literal["new", "attached", "closed"]


@dataclass(frozen=True, slots=True)
class State:
    """Where a connection stands. ``tokens``: messages it may send right now; they come back at :data:`RATE`."""

    phase: Phase = "new"
    film: str = ""
    tokens: float = BURST
    at: float = 0.0
    strikes: int = 0


@dataclass(frozen=True, slots=True)
class Attach:
    """Show this connection the film ``film``, in one of the kinds of ``pictures``."""

    film: str
    ref: int
    pictures: tuple[PictureKind, ...]


@dataclass(frozen=True, slots=True)
class Do:
    """Let the film do this, and answer."""

    command: Command


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection with this WebSocket code."""

    code: int
    reason: str


Effect = Attach | Do | Show | Close | Refused
Heard = Hello | Show | Command
Step = tuple[State, tuple[Effect, ...]]


def advance(state: State, message: Heard | Refused, now: float) -> Step:
    """What ``message``, come at ``now`` (seconds of a clock that never goes back), does to a connection in ``state``.

    A refused message leaves phase and film as they are.
    """
    if state.phase == "closed":
        return state, (_refused(message, "closed", "this connection is closed"),)
    tokens = min(BURST, state.tokens + max(0.0, now - state.at) * RATE)
    state = replace(state, tokens=tokens, at=max(now, state.at))
    if tokens < 1:
        return _too_fast(state, message)
    state = replace(state, tokens=tokens - 1)
    if isinstance(message, Refused):
        return state, (message,)
    if state.phase == "new":
        return _first(state, message)
    if isinstance(message, Hello):
        return state, (_refused(message, "hello_twice", "this connection already shows a film; open another one"),)
    return state, (message if isinstance(message, Show) else Do(message),)


def detached(state: State) -> State:
    """The film could not be shown: the connection waits for another hello."""
    return replace(state, phase="new", film="")


def _first(state: State, message: Heard) -> Step:
    if not isinstance(message, Hello):
        return state, (_refused(message, "hello_first", "say hello first: which film, which version"),)
    if message.version != VERSION:
        said = f"this studio speaks version {VERSION}, not {message.version}; reload the page"
        return replace(state, phase="closed"), (_refused(message, "wrong_version", said), Close(1002, "version"))
    return replace(state, phase="attached", film=message.film), (Attach(message.film, message.ref, message.pictures),)


def _too_fast(state: State, message: Heard | Refused) -> Step:
    state = replace(state, strikes=state.strikes + 1)
    refusal = _refused(message, "too_fast", f"at most {RATE:g} messages a second")
    if state.strikes < MAX_STRIKES:
        return state, (refusal,)
    return replace(state, phase="closed"), (refusal, Close(1008, "too fast"))


def _refused(message: Heard | Refused, code: RefusalCode, text: str) -> Refused:
    return Refused(ref=message.ref, code=code, text=text)
