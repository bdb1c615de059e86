"""A take: one rendering of a shot. Nothing runs until it is iterated or waited for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from shotstream.core.errors import InputError
from shotstream.film.disk.store import Aside
from shotstream.film.record.film_record import TakeRecord
from shotstream.film.takes.maker import Maker
from shotstream.sampling.block import Block, Frames
from shotstream.sampling.shot_generator import OnFirst

HELD = 32  # blocks of a running take in memory
TakeState = Literal["queued", "running", "finished", "cut"]


class Take(Frames):
    """A handle on one take of a film. Made by :class:`shotstream.film.film.Film`, never by hand.

    Iterating yields every block from the first: finished ones are read back, the others are made on the spot. Iteration
    may stop and start again; only one take of a film runs at a time. ``on_first``, set before a take begins, is called
    with its first frame, uint8 [height, width, 3] RGB, before the rest of the first block is decoded.

    ::

        take = film.shot("The fox waves.", seconds=2)
        take.wait()  # or iterate, block by block
        take.frames  # also take.images() and take.tensor()
    """

    def __init__(self, maker: Maker, id: int) -> None:
        self._maker = maker
        self.id = id
        self.on_first: OnFirst | None = None
        self._blocks: Iterator[Block] | None = None
        self._made: list[Block] = []
        self._aside: Aside | None = None  # where all but the latest blocks of a long take are

    def __iter__(self) -> Iterator[Block]:
        index = 0
        while (block := self._block(index)) is not None:
            yield block
            index += 1

    def __repr__(self) -> str:
        return f"<take {self.id} of shot {self.shot}: {self.state}, {self.frame_count} frames>"

    @property
    def record(self) -> TakeRecord:
        """What the film's record says of this take."""
        return self._maker.film.record.find(self.id)[1]

    @property
    def shot(self) -> int:
        """Index of its shot in the film, from 0."""
        return self._maker.film.record.find(self.id)[0]

    @property
    def seed(self) -> int:
        """The seed of its noise; another take with this seed and an equal context is equal to the bit."""
        return self.record.seed

    @property
    def state(self) -> TakeState:
        if self._blocks is not None:
            return "running"
        return "queued" if self.record.state == "planned" else self.record.state

    @property
    def frames(self) -> np.ndarray:
        """All frames made so far: uint8 [T, height, width, 3] RGB. Raises :class:`InputError` if there are none."""
        if self.state == "running" and self._made:
            return np.concatenate([block.frames for block in self._made])
        if self.state in ("finished", "cut"):
            return self._maker.film.store.frames(self.record)
        raise InputError(f"shot {self.shot} has no frames yet; iterate over its take or wait() for it")

    def wait(self) -> Take:
        """Make whatever is not made yet; returns the take itself. Raises :class:`InputError` for one that goes on until
        it is cut."""
        if self._maker.film.record.shots[self.shot].goes_on(self.record):
            raise InputError(f"shot {self.shot} goes on until it is cut; iterate over its take, and cut() it")
        for _ in self:
            pass
        return self

    def cut(self) -> Take:
        """End a running take with the blocks it has. Raises :class:`InputError` if it does not run or has none."""
        self._refuse_unless_running("cut")
        if not self._made:
            raise InputError(
                f"take {self.id} of shot {self.shot} has no block yet; cut it behind its first, or stop it"
            )
        self._end("cut")
        return self

    def extend(self, blocks: int = 1) -> Take:
        """Let a running take go on for ``blocks`` more than its shot asks for; beyond the longest shot the model was
        trained on, its window rolls. The shot is that long from now on. Raises :class:`InputError` if it does not run.
        """
        self._refuse_unless_running("extended")
        self._maker.extend(self, len(self._made), blocks)
        return self

    def change(self, caption: str, *, frame: int | None = None, blend: float | None = None) -> Take:
        """From its next block on, make a running take under ``caption``; what was made stays.

        frame: from the block on that holds this pixel frame of the take, instead. blend: seconds, rounded to whole
        blocks, in which ``caption`` takes over from the one before, block by block; None: at once. Raises
        :class:`InputError` if it does not run, the caption is none or the frame is made already.
        """
        self._refuse_unless_running("changed")
        self._maker.change(self, len(self._made), caption, frame, blend)
        return self

    def stop(self) -> Take:
        """End a running take now: cut if it has blocks, else queued again."""
        self._refuse_unless_running("stopped")
        if self._made:
            return self.cut()
        self._forget()
        return self

    def abandon(self) -> None:
        """Drop a running take with its blocks; it is queued again if it is still in the film."""
        if self.state == "running":
            self._forget()

    @property
    def frame_count(self) -> int:
        """How many frames there are so far."""
        return sum(self._lengths())

    @property
    def blocks_made(self) -> int:
        """How many blocks there are so far."""
        return len(self._lengths())

    def _refuse_unless_running(self, what: str) -> None:
        if self.state != "running":
            raise InputError(f"take {self.id} of shot {self.shot} is {self.state}; only a running take can be {what}")

    def _lengths(self) -> tuple[int, ...]:
        return self.record.block_frames or tuple(len(block.frames) for block in self._made)

    def _block(self, index: int) -> Block | None:
        """Block ``index``: read back or made now; None behind the last one."""
        if self.state in ("queued", "running"):
            while index >= len(self._made):
                if not self._advance():
                    return None
            return self._made[index]
        lengths = self.record.block_frames
        if index >= len(lengths):
            return None
        start = sum(lengths[:index])
        return Block(index, self._maker.film.store.frames(self.record, range(start, start + lengths[index])))

    def _advance(self) -> bool:
        """Make one more block; False, and the take is finished, when there are no more.

        Whatever goes wrong, the take is as if it had never begun: made again, it is the same.
        """
        try:
            if self._blocks is None:
                self._blocks = self._maker.begin(self)
            self._maker.update(self, len(self._made))
            block = next(self._blocks, None)
            if block is None:
                self._end("finished")
                return False
        except BaseException:
            self._forget()
            raise
        self._made.append(block)
        if len(self._made) > HELD:  # a long take needs no more memory than a short one
            self._aside = self._aside or Aside(self._maker.film.store)
            self._made[-HELD - 1] = self._aside.put(self._made[-HELD - 1])
        return True

    def _end(self, state: Literal["finished", "cut"]) -> None:
        begun = None if self._aside is None else self._aside.finish(self._made[self._aside.blocks :])
        self._maker.keep(self, state, self._made, begun)
        self._forget()

    def _forget(self) -> None:
        """Drop the maker and the frames in memory."""
        self._blocks, self._made = None, []
        if self._aside is not None:
            self._aside.close()
        self._aside = None
        self._maker.ended(self)
