"""Makes the takes of a film, one at a time. Before every block the request is brought up to date with the film."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from shotstream.core.errors import InputError
from shotstream.film.disk.folder import Ledger
from shotstream.film.disk.store import TakeStore
from shotstream.film.record.events import Begun, Changed, Ended, Event, Extended
from shotstream.film.record.film_record import (
    MAX_BLOCKS,
    MAX_ENDLESS,
    MAX_TAKE_FRAMES,
    Change,
    FilmRecord,
    LoraUse,
    ShotRecord,
    TakeRecord,
    queue_order,
)
from shotstream.film.record.script import checked_change
from shotstream.film.takes.context import (
    PastTake,
    lora_of,
    past_of,
    pinned_of,
    prompt_of,
    refuse_gap,
    seen_frames,
    weights_of,
)
from shotstream.film.takes.engine import Engine
from shotstream.sampling.block import Block
from shotstream.sampling.context import ChosenContext
from shotstream.sampling.prompts import Blend
from shotstream.sampling.rollout import NamedNoise
from shotstream.sampling.shot_generator import OnFirst, ShotRequest
from shotstream.sampling.streaming import StreamingShot


class OpenFilm(Protocol):
    """What the making of takes needs of the film they belong to."""

    ledger: Ledger
    engine: Engine
    store: TakeStore

    @property
    def record(self) -> FilmRecord: ...

    def do(self, event: Event) -> None: ...


class RunningTake(Protocol):
    """What its maker needs of a take."""

    id: int
    on_first: OnFirst | None

    @property
    def shot(self) -> int: ...

    def abandon(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Running:
    """The take being made, its request to the model, and the change that each block so far is made under (None: it is
    made under the shot's caption).

    ``versions``: of the model, in the order in which blocks were made by them.
    """

    take: RunningTake
    request: ShotRequest
    changes: list[Change | None] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A shot whose context pass has been run. It fits every shot with a context of the same ``key``."""

    key: Hashable
    shot: StreamingShot


class Maker:
    """Makes the takes of ``film``. ``running``: the take being made, and its request."""

    def __init__(self, film: OpenFilm) -> None:
        self.film = film
        self.running: Running | None = None
        self._prepared: Prepared | None = None

    def refuse_while_running(self, what: str) -> None:
        """Raise :class:`InputError` if a take is being made."""
        if self.running is not None:
            take = self.running.take
            busy = f"take {take.id} of shot {take.shot} is running"
            raise InputError(f"cannot {what}: {busy}; wait() for it or cut() it first")

    def prepare(self) -> None:
        """Run the context pass of the next shot, and encode its prompt. Costs nothing if already done."""
        film, record = self.film, self.film.record
        queue = queue_order(record)
        index, queued = record.find(queue[0]) if queue else (len(record.shots), None)
        past = past_of(film.engine, record, film.store, index)
        if not past or len(past) < index or self.running is not None:
            return
        try:
            prompt, context, _ = self._conditioned(index, queued, past)
        except InputError:
            return  # it says so when it begins
        if self._prepared is None or self._prepared.key != context.key:
            self._prepared = None  # its caches go before the next are allocated
            self._prepared = Prepared(context.key, film.engine.prepare(context))
        if queue:
            film.engine.read_ahead(prompt)

    def begin(self, take: RunningTake) -> Iterator[Block]:
        """Start making ``take``: its blocks to come. Raises :class:`InputError` while another take runs, or an earlier
        shot is not made."""
        self.refuse_while_running(f"start take {take.id}")
        film = self.film
        index, queued = film.record.find(take.id)
        refuse_gap(film.record, index)
        past = past_of(film.engine, film.record, film.store, index)
        prompt, context, lora = self._conditioned(index, queued, past)
        made_by = {"model": film.engine.model_name, "model_version": film.engine.model_version}
        global_caption = film.record.global_caption
        film.do(Begun(take=take.id, saw=seen_frames(context), story=global_caption, lora=lora, **made_by))
        shot = film.record.shots[index]
        # The take's own seed already stands for film, shot and take: its noise stays its own wherever its shot goes.
        noise = NamedNoise(queued.seed, shot=0, take=0)
        request = ShotRequest(prompt=prompt, blocks=shot.blocks_of(queued), noise=noise, on_first=take.on_first)
        prepared, self._prepared = self._prepared, None
        self.running = Running(take, request)
        fits = prepared is not None and prepared.key == context.key
        return film.engine.make(request, context, prepared.shot if prepared is not None and fits else None)

    def _conditioned(
        self, index: int, take: TakeRecord | None, past: Sequence[PastTake]
    ) -> tuple[str, ChosenContext, tuple[LoraUse, ...]]:
        """Prompt, context and adapters of ``take`` of shot ``index``, behind ``past``; None: a shot whose caption is
        not known yet. Raises :class:`InputError` if an adapter is not loaded."""
        film, record = self.film, self.film.record
        prompt = past[-1].prompt if take is None else prompt_of(film.engine, record, index, take)
        context = film.engine.choose_context([*pinned_of(record, film.store), *past], prompt, record.context_policy)
        lora = lora_of(film.engine, record, index, take)
        return prompt, replace(context, lora=weights_of(lora)), lora

    def update(self, take: RunningTake, block: int) -> None:
        """Before ``block`` of the running ``take`` is made: bring its request up to date with the record."""
        running = self.running
        if running is None or running.take is not take:
            return
        index, record = self.film.record.find(take.id)
        self._update_captions(running, index, record, block)
        running.request.blocks = self._blocks_to_make(self.film.record.shots[index], record, block)
        running.versions[block:] = [self.film.engine.model_version]

    def _update_captions(self, running: Running, index: int, record: TakeRecord, block: int) -> None:
        """The caption that ``block`` is made under, or the two that it blends."""
        shot, engine, changes = self.film.record.shots[index], self.film.engine, running.changes
        global_caption = record.story or self.film.record.global_caption  # a take keeps to one, from end to end
        changes[block:] = [_in_effect(shot, record, block, changes[block - 1] if block else None)]
        begins, ends, share = _captions_at(shot, block, changes)
        running.request.prompt = engine.prompt(global_caption, ends, index)
        running.request.blend = Blend(engine.prompt(global_caption, begins, index), share) if share < 1 else None

    def _blocks_to_make(self, shot: ShotRecord, record: TakeRecord, block: int) -> int:
        """How long the running take is to be, as far as is known before ``block``; an endless one goes on until another
        waits."""
        waited_for = len(queue_order(self.film.record)) > 1
        more = block + 2 if shot.goes_on(record) and not waited_for else 0  # 2: the next may be begun ahead
        return max(shot.blocks_of(record), min(more, MAX_ENDLESS))

    def extend(self, take: RunningTake, made: int, blocks: int) -> None:
        """Let the running ``take``, which has ``made`` blocks, have ``blocks`` more than its shot asks for."""
        index, record = self.film.record.find(take.id)
        longest = MAX_TAKE_FRAMES // self.film.engine.geometry.shot_frames(1) // 2
        wanted = max(self.film.record.shots[index].blocks_of(record), made) + blocks
        if blocks < 1 or wanted > min(longest, MAX_BLOCKS):
            raise InputError(f"shot {index} cannot go on for {blocks} blocks; give 1 or more, {MAX_BLOCKS} in all")
        self.film.do(Extended(take=take.id, blocks=wanted))

    def change(
        self, take: RunningTake, block: int, caption: str, frame: int | None = None, blend: float | None = None
    ) -> None:
        """Let the running ``take``, whose next block is ``block``, be made under ``caption`` from there on, or from the
        block that holds ``frame``, blending into it for so many seconds."""
        index, record = self.film.record.find(take.id)
        if frame is not None:
            block = self._block_to_come(index, record, block, frame)
        change = checked_change(index, self.film.engine.geometry, block, caption, blend)
        self.film.do(Changed(take=take.id, **change.model_dump()))

    def _block_to_come(self, index: int, take: TakeRecord, made: int, frame: int) -> int:
        """The block that holds ``frame`` of a running take of which ``made`` blocks are there. Raises
        :class:`InputError` if it is one of them, or none."""
        geometry, blocks = self.film.engine.geometry, self.film.record.shots[index].blocks_of(take)
        found, frames = geometry.block_of(frame), geometry.shot_frames(blocks)
        if found >= blocks:
            raise InputError(f"shot {index} has frames 0 to {frames - 1}; there is no frame {frame} to change at")
        if found < made:
            raise InputError(f"frame {frame} of shot {index} is made already, up to {geometry.shot_frames(made) - 1}")
        return found

    def keep(
        self, take: RunningTake, state: Literal["finished", "cut"], blocks: list[Block], begun: Path | None = None
    ) -> None:
        """Store the blocks of a take that has ended, and choose it; ``begun``: the file they are in already."""
        self.film.ledger.refuse_if_closed()
        _, record = self.film.record.find(take.id)
        running = self.running
        changes, versions = ([], []) if running is None else (running.changes, running.versions)
        changes, versions = changes[: len(blocks)], versions[: len(blocks)]
        applied = {change.block: change for change in changes if change is not None}
        to_come = (change for change in record.changes if change.block >= len(blocks))
        self.film.do(
            Ended(
                take=take.id,
                state=state,
                block_frames=tuple(len(block.frames) for block in blocks),
                changes=(*applied.values(), *to_come),
                crc32=self.film.store.add(take.id, [block.frames for block in blocks], begun),
                model_version=", ".join(dict.fromkeys(versions)),
            )
        )

    def ended(self, take: RunningTake) -> None:
        """``take`` no longer runs."""
        if self.running is not None and self.running.take is take:
            self.running = None

    def settle(self) -> None:
        """Give up the running take if it has gone from the film. If it comes back, it is made again, the same."""
        if self.running is not None and not self.film.record.has(self.running.take.id):
            self.running.take.abandon()


def _in_effect(shot: ShotRecord, take: TakeRecord, block: int, before: Change | None) -> Change | None:
    """The change that ``block`` is made under: the one ``before`` goes on, the latest begins, or what it had replaced
    comes back because it was undone."""
    latest, caption = take.change_at(block), shot.caption_at(take, block)
    if caption == (shot.caption if before is None else before.caption):
        return before
    return latest if latest is not None and latest.block == block else Change(block=block, caption=caption)


def _captions_at(shot: ShotRecord, block: int, changes: list[Change | None]) -> tuple[str, str, float]:
    """The captions that ``block`` is made under, an old and a new one, and the share of the new."""
    now = changes[block]
    if now is None:
        return shot.caption, shot.caption, 1.0
    before = changes[now.block - 1] if now.block else None
    return shot.caption if before is None else before.caption, now.caption, now.share(block)
