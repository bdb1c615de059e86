"""Between a film and its script: the rules of a story for what is typed, and the story a film amounts to."""

from __future__ import annotations

from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.core.story import Shot, Story, make_story
from shotstream.film.record import FilmRecord, ShotRecord


def new_record(global_caption: str, seed: int, geometry: Geometry) -> FilmRecord:
    """A film without shots. Raises :class:`InputError` for a blank caption or an impossible seed."""
    checked = make_story({"global_caption": global_caption, "seed": seed, "shots": [{"caption": "-"}]}, "film")
    sizes = geometry.model_dump(include={"width", "height", "fps"})
    return FilmRecord(global_caption=checked.global_caption, seed=checked.seed, **sizes)


def checked_shot(index: int, caption: str, seconds: float | None = None, seed: int | None = None) -> Shot:
    """A shot under the rules of a story. Raises :class:`InputError` that calls it shot ``index``."""
    data = {"caption": caption, "seconds": seconds, "seed": seed}
    try:
        return make_story({"global_caption": "-", "shots": [data]}, "film").shots[0]
    except InputError as fault:
        raise InputError(str(fault).replace("film: shots[0]", f"shot {index}:", 1).replace(":.", ": ")) from fault


def story_of(record: FilmRecord, geometry: Geometry) -> Story:
    """The script that makes this film: captions, lengths, and the seeds of the chosen takes.

    Raises :class:`InputError` if the film has no shots.
    """
    shots = [_script_of(shot, geometry) for shot in record.shots]
    return make_story({"global_caption": record.global_caption, "seed": record.seed, "shots": shots}, "film")


def refuse_other_size(record: FilmRecord, geometry: Geometry) -> None:
    """Refuse to go on with a film at another size or rate than the model's."""
    film, model = ((one.width, one.height, one.fps) for one in (record, geometry))
    if film != model:
        raise InputError(
            f"the film is {film[0]}x{film[1]} at {film[2]} frames/s, the model makes "
            f"{model[0]}x{model[1]} at {model[2]}; open it with the model that made it"
        )


def _script_of(shot: ShotRecord, geometry: Geometry) -> dict[str, object]:
    """One shot of a story, as data."""
    blocks = shot.blocks if shot.choice is None else len(shot.choice.block_frames)
    seed = shot.seed if shot.choice is None else shot.choice.seed
    longest = min(blocks, geometry.max_blocks)  # a story has no longer shots, and none that change in the middle
    return {"caption": shot.caption, "seconds": geometry.shot_seconds(longest), "seed": seed}
