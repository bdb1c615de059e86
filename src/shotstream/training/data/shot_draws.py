"""Draws the shot of a sample: lengths from a recipe or from the clips. Batches are of one length."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Protocol

from shotstream.core.errors import InputError
from shotstream.training.data.latent_store import LatentStore

Room = Callable[[int, int], int]  # story and shot -> latent frames a sample of it may have
Shots = dict[int, list[tuple[int, int]]]  # length in latent frames -> (story, shot) of that length


class ShotDraws(Protocol):
    """Draws what batches are of."""

    @property
    def shares(self) -> Mapping[int, float]:
        """Every length, and how often it is drawn."""

    def length(self, draw: random.Random) -> int:
        """Latent frames of a batch's samples."""

    def shot(self, draw: random.Random, length: int) -> tuple[int, int]:
        """A story and one of its shots, which has ``length`` latent frames or more."""


class ListedLengths:
    """``lengths`` with their shares. Samples are the beginnings of shots at least so long; ``first_share`` of them are
    of first shots. Raises :class:`InputError` if no shot is as long as one of the lengths."""

    def __init__(self, store: LatentStore, room: Room, first_share: float, lengths: Mapping[int, float]) -> None:
        self.shares = lengths
        self._store, self._room, self._first_share = store, room, first_share
        firsts, others = 0, 0
        for story in store.shown:
            firsts = max(firsts, room(story, 0))
            others = max([others, *(room(story, shot) for shot in range(1, store.shots(story)))])
        longest = min(firsts if first_share > 0 else others, others if first_share < 1 else firsts)
        wanted = max((length for length, part in lengths.items() if part > 0), default=0)
        if longest < wanted:
            raise InputError(f"lengths: {wanted} latent frames; the longest shot there is has {longest}")

    def length(self, draw: random.Random) -> int:
        return draw.choices(list(self.shares), list(self.shares.values()))[0]

    def shot(self, draw: random.Random, length: int) -> tuple[int, int]:
        first = draw.random() < self._first_share
        while True:
            story = draw.choice(self._store.shown)
            shots = self._store.shots(story)
            shot = 0 if first or shots == 1 else draw.randrange(1, shots)
            if (first or shot) and self._room(story, shot) >= length:
                return story, shot


class ClipLengths:
    """Every shot as long as it is, cut to a ``multiple`` of latent frames; shorter ones than ``shortest`` are left out.

    ``first_share`` of the samples are first shots; among these, and among the others, all shots are equally likely.
    Raises :class:`InputError` if there are none of a kind that is asked for.
    """

    def __init__(
        self, store: LatentStore, room: Room, first_share: float, *, multiple: int = 1, shortest: int = 1
    ) -> None:
        self._store, self._room, self._first_share = store, room, first_share
        self._multiple, self._shortest = multiple, max(multiple, shortest)
        self._look(store.shown)

    def _look(self, shown: range) -> None:
        """Sort the shots of the stories ``shown`` by their length."""
        self._shown, self._first, self._later = shown, Shots(), Shots()
        for story in shown:
            for shot in range(self._store.shots(story)):
                length = self._room(story, shot) // self._multiple * self._multiple
                if length >= self._shortest:
                    (self._later if shot else self._first).setdefault(length, []).append((story, shot))
        self.shares: dict[int, float] = {}
        self._first_part: dict[int, float] = {}
        for name, shots, share in (
            ("first", self._first, self._first_share),
            ("later", self._later, 1 - self._first_share),
        ):
            if share > 0 and not shots:
                raise InputError(
                    f"lengths: no {name} shot has {self._shortest} latent frames; change first_share or the clips"
                )
            count = sum(map(len, shots.values()))
            for length, found in shots.items():
                part = share * len(found) / count
                self.shares[length] = self.shares.get(length, 0) + part
                if shots is self._first:
                    self._first_part[length] = part

    def length(self, draw: random.Random) -> int:
        if self._store.shown != self._shown:
            self._look(self._store.shown)
        return draw.choices(list(self.shares), list(self.shares.values()))[0]

    def shot(self, draw: random.Random, length: int) -> tuple[int, int]:
        first = draw.random() * self.shares[length] < self._first_part.get(length, 0)
        return draw.choice((self._first if first else self._later)[length])
