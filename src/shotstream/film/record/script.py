"""From what is typed to checked shots, and from a film to its story."""

from __future__ import annotations

from collections.abc import Mapping

from shotstream.core.context_budget import PolicyName
from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.core.story import MAX_SECONDS, MIN_SECONDS, Shot, ShotChange, Story, make_shot, make_story
from shotstream.film.record.film_record import Change, FilmRecord, LoraUse, ShotRecord, TakeRecord


def new_record(
    global_caption: str, seed: int, geometry: Geometry, context_policy: PolicyName | None = None
) -> FilmRecord:
    """A film without shots. Raises :class:`InputError` for a blank caption, an impossible seed, an unknown policy."""
    told = {
        "global_caption": global_caption,
        "seed": seed,
        "context_policy": context_policy,
        "shots": [{"caption": "-"}],
    }
    checked = make_story(told, "film")
    sizes = geometry.model_dump(include={"width", "height", "fps"})
    return FilmRecord(
        global_caption=checked.global_caption, seed=checked.seed, context_policy=checked.context_policy, **sizes
    )


def checked_global_caption(global_caption: str) -> str:
    """A global caption under the rules of a story. Raises :class:`InputError`."""
    return make_story({"global_caption": global_caption, "shots": [{"caption": "-"}]}, "film").global_caption


def checked_policy(policy: str | None) -> PolicyName | None:
    """The name of a context policy; None: the model's own. Raises :class:`InputError`."""
    told = {"global_caption": "-", "context_policy": policy, "shots": [{"caption": "-"}]}
    return make_story(told, "film").context_policy


def checked_shot(
    index: int,
    caption: str,
    seconds: float | None = None,
    seed: int | None = None,
    lora: Mapping[str, float] | None = None,
    endless: bool = False,
) -> Shot:
    """A shot under the rules of a story. Raises :class:`InputError` that calls it shot ``index``."""
    return make_shot(f"shot {index}", caption, seconds, seed, lora=lora, endless=endless or None)


def checked_change(index: int, geometry: Geometry, block: int, caption: str, blend: float | None) -> Change:
    """A change of shot ``index`` under the rules of a story. Raises :class:`InputError`."""
    checked = make_shot(f"shot {index}", caption, changes=({"seconds": MIN_SECONDS, "caption": "-", "blend": blend},))
    (change,) = checked.changes or ()
    return change_of(geometry, block, change.model_copy(update={"caption": checked.caption}))


def change_of(geometry: Geometry, block: int, change: ShotChange) -> Change:
    """A story's change as a record has it, from ``block`` on."""
    return Change(block=block, caption=change.caption, blend=geometry.further_blocks(change.blend or 0))


def story_of(record: FilmRecord, geometry: Geometry) -> Story:
    """The script that makes this film: captions, lengths, and the seeds of the chosen takes.

    Raises :class:`InputError` if the film has no shots.
    """
    shots = [_script_of(shot, geometry, last=shot is record.shots[-1]) for shot in record.shots]
    told = {
        "global_caption": record.global_caption,
        "seed": record.seed,
        "context_policy": record.context_policy,
        "lora": said_lora(record.lora),
        "shots": shots,
    }
    return make_story(told, "film")


def shot_of(shot: ShotRecord, take: TakeRecord, fps: int) -> Shot:
    """What a story says of a finished ``take`` of ``shot``: all of it, for a story cannot say how it is trimmed.

    The length keeps to a story's bounds, and changes outside them are left out.
    """
    seconds = min(max(take.frames / fps, MIN_SECONDS), MAX_SECONDS)
    last = {change.block: change for change in take.changes if change.block < len(take.block_frames)}
    starts = [(sum(take.block_frames[:block]) / fps, last[block]) for block in sorted(last)]
    changes = tuple(
        ShotChange(seconds=start, caption=one.caption, blend=one.blend * take.block_frames[-1] / fps or None)
        for start, one in starts
        if MIN_SECONDS <= start < seconds
    )
    lora = said_lora(shot.lora if take.lora is None else take.lora) or None
    return Shot(caption=shot.caption_at(take, 0), seconds=seconds, seed=take.seed, changes=changes or None, lora=lora)


def said_lora(lora: tuple[LoraUse, ...] | None) -> dict[str, float] | None:
    """Adapters of a record as a story says them."""
    return None if lora is None else {one.name: one.weight for one in lora}


def refuse_other_size(record: FilmRecord, geometry: Geometry) -> None:
    """Refuse to go on with a film at another size or rate than the model's."""
    film, model = ((one.width, one.height, one.fps) for one in (record, geometry))
    if film != model:
        raise InputError(
            f"the film is {film[0]}x{film[1]} at {film[2]} frames/s, the model makes "
            f"{model[0]}x{model[1]} at {model[2]}; open it with the model that made it"
        )


def _script_of(shot: ShotRecord, geometry: Geometry, *, last: bool) -> dict[str, object]:
    """One shot of a story, as data. ``last``: it may be endless."""
    if shot.choice is not None:
        return shot_of(shot, shot.choice, geometry.fps).model_dump(mode="json")
    seconds = min(geometry.shot_seconds(shot.blocks), MAX_SECONDS)  # a story has no longer shots
    changes = [
        {
            "seconds": geometry.shot_seconds(change.block),
            "caption": change.caption,
            "blend": geometry.further_seconds(change.blend) or None,
        }
        for change in shot.takes[-1].changes
        if 0 < change.block < shot.blocks and geometry.shot_seconds(change.block) < seconds
    ]
    return {
        "caption": shot.current_caption,
        "seconds": seconds,
        "seed": shot.seed,
        "changes": changes or None,
        "endless": (shot.endless and last) or None,
        "lora": said_lora(shot.lora),
    }
