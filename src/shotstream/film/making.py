"""How the takes of a film are made: one at a time, each told before every block what the film says by now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from shotstream.core.errors import InputError
from shotstream.core.story import full_prompt
from shotstream.film.events import Begun, Changed, Ended, Extended
from shotstream.film.memory import past_of, prompt_of, refuse_gap, seen
from shotstream.film.progress import Prepared, Running, recalled
from shotstream.film.record import MAX_BLOCKS, MAX_TAKE_FRAMES, Change, ShotRecord, TakeRecord
from shotstream.film.script import checked_shot
from shotstream.sampling.director import Block, ShotPlan
from shotstream.sampling.noise import NamedNoise

if TYPE_CHECKING:
    from shotstream.film.editor import Editor
    from shotstream.film.take import Take


class Maker:
    """The takes' side of ``film``. ``running``: the take being made, and its plan."""

    def __init__(self, film: Editor) -> None:
        self._film = film
        self.running: Running | None = None
        self._prepared: Prepared | None = None

    def refuse_while_running(self, what: str) -> None:
        """Raise :class:`InputError` if a take is being made."""
        if self.running is not None:
            take = self.running.take
            busy = f"take {take.id} of shot {take.shot} is running"
            raise InputError(f"cannot {what}: {busy}; wait() for it or cut() it first")

    def prepare(self) -> None:
        """Recall the past for the shot that comes next, and read its prompt. Costs nothing if already done."""
        film, record = self._film, self._film.record
        index = film.queue[0].shot if film.queue else len(record.shots)
        past = past_of(record, film.store, index)
        if not past or len(past) < index or self.running is not None:
            return
        prompt = prompt_of(record, index) if film.queue else past[-1].prompt
        key = recalled(past, film.engine.remembers(past, prompt), film.engine.caption_in_memory(prompt))
        if self._prepared is None or self._prepared.key != key:
            self._prepared = None  # its memory goes before the next is allocated
            self._prepared = Prepared(key, film.engine.prepare(past, prompt))
        if film.queue:
            film.engine.read_ahead(prompt)

    def begin(self, take: Take) -> Iterator[Block]:
        """Start making ``take``: its blocks to come. Raises :class:`InputError` when it is not its turn."""
        self.refuse_while_running(f"start take {take.id}")
        film = self._film
        index, planned = film.record.find(take.id)
        refuse_gap(film.record, index)
        past, prompt = past_of(film.record, film.store, index), prompt_of(film.record, index)
        chosen = film.engine.remembers(past, prompt)
        made_by = {"model": film.engine.model_name, "model_version": film.engine.model_version}
        film.do(Begun(take=take.id, saw=seen(past, chosen), **made_by))
        shot = film.record.shots[index]
        # The take's own seed already stands for film, shot and take: its noise stays its own wherever its shot goes.
        noise = NamedNoise(planned.seed, shot=0, take=0)
        plan = ShotPlan(prompt=prompt, blocks=shot.blocks_of(planned), noise=noise, on_first=take.on_first)
        prepared, self._prepared = self._prepared, None
        needed = recalled(past, chosen, film.engine.caption_in_memory(prompt))
        fits = prepared is not None and prepared.key == needed
        self.running = Running(take, plan)
        return film.engine.make(plan, past, prepared.shot if prepared is not None and fits else None)

    def direct(self, take: Take, block: int) -> None:
        """Before ``block`` of the running ``take`` is made: let its plan say what the record says by now."""
        if self.running is not None and self.running.take is take:
            index, record = self._film.record.find(take.id)
            shot = self._film.record.shots[index]
            caption = shot.caption_at(record, block)
            self.running.plan.prompt = full_prompt(self._film.global_caption, caption)
            self.running.plan.blocks = shot.blocks_of(record)
            self.running.captions[block:] = [caption]

    def lengthen(self, take: Take, made: int, blocks: int) -> None:
        """Let the running ``take``, which has ``made`` blocks, have ``blocks`` more than its shot asks for."""
        index, record = self._film.record.find(take.id)
        longest = MAX_TAKE_FRAMES // self._film.geometry.shot_frames(1) // 2
        wanted = max(self._film.record.shots[index].blocks_of(record), made) + blocks
        if blocks < 1 or wanted > min(longest, MAX_BLOCKS):
            raise InputError(f"shot {index} cannot go on for {blocks} blocks; give 1 or more, {MAX_BLOCKS} in all")
        self._film.do(Extended(take=take.id, blocks=wanted))

    def rewrite(self, take: Take, block: int, caption: str) -> None:
        """Let the running ``take`` be made under ``caption`` from ``block`` on."""
        index, _ = self._film.record.find(take.id)
        self._film.do(Changed(take=take.id, block=block, caption=checked_shot(index, caption).caption))

    def keep(self, take: Take, state: Literal["finished", "cut"], blocks: list[np.ndarray]) -> None:
        """Store the blocks of a take that has ended, and choose it."""
        self._film.ledger.refuse_if_closed()
        index, record = self._film.record.find(take.id)
        captions = [] if self.running is None else self.running.captions[: len(blocks)]
        self._film.do(
            Ended(
                take=take.id,
                state=state,
                block_frames=tuple(len(frames) for frames in blocks),
                changes=_heeded(self._film.record.shots[index], record, captions),
                crc32=self._film.store.add(take.id, blocks),
            )
        )

    def ended(self, take: Take) -> None:
        """``take`` no longer runs."""
        if self.running is not None and self.running.take is take:
            self.running = None

    def settle(self) -> None:
        """Give up the running take if it has gone from the film. If it comes back, it is made again, the same."""
        if self.running is not None and not self._film.record.has(self.running.take.id):
            self.running.take.abandon()


def _heeded(shot: ShotRecord, take: TakeRecord, captions: list[str]) -> tuple[Change, ...]:
    """What ``take`` was made under, block by block, whatever was undone since; and what was asked for later on."""
    before = [shot.caption, *captions]
    heeded = [
        Change(block=block, caption=caption) for block, caption in enumerate(captions) if caption != before[block]
    ]
    return (*heeded, *(change for change in take.changes if change.block >= len(captions)))
