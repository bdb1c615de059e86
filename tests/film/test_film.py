"""Films and takes, with an engine that paints noise named by all it was asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shotstream.core.errors import InputError
from shotstream.film.film import Film


def frames_of(film: Film) -> np.ndarray:
    return np.stack(list(film.frames()))


def shoot(film: Film, *captions: str) -> None:
    for caption in captions:
        film.shot(caption).wait()


def test_nothing_runs_until_looked_at(film, engine):
    take = film.shot("It walks.")
    assert (engine.made, take.state) == ([], "queued")
    blocks = iter(take)
    assert engine.made == []
    first = next(blocks)
    assert engine.blocks == 1
    assert take.state == "running"
    assert (first.index, first.frames.shape, first.frames.dtype) == (0, (9, 32, 64, 3), np.uint8)
    assert [block.frames.shape[0] for block in blocks] == [12]
    assert take.state == "finished"


def test_iterating_again_reads_back_what_was_made(film, engine):
    take = film.shot("It walks.", seconds=2)
    live = [block.frames for block in take]
    again = [block.frames for block in take]
    assert engine.blocks == 3
    for made, read in zip(live, again, strict=True):
        np.testing.assert_array_equal(made, read)
    np.testing.assert_array_equal(take.frames, np.concatenate(live))


def test_iteration_may_be_left_and_taken_up(film, engine):
    take = film.shot("It walks.", seconds=2)
    for _ in take:
        break
    assert take.frames.shape[0] == 9
    assert take.wait().frames.shape[0] == 33
    assert engine.blocks == 3


def test_one_take_runs_at_a_time_and_in_order(film):
    first, second = film.shot("It walks."), film.shot("It sits.")
    with pytest.raises(InputError, match="shot 0, which is not made yet"):
        second.wait()
    next(iter(first))
    for command in (second.wait, lambda: film.save("no.film"), lambda: film.export("no.mp4")):
        with pytest.raises(InputError, match="take 0 of shot 0 is running"):
            command()
    first.wait()
    second.wait()
    assert [shot.chosen for shot in film.shots] == [first, second]


def test_cut_keeps_the_blocks_there_are(film):
    take = film.shot("It walks.", seconds=2)
    with pytest.raises(InputError, match="only a running take can be cut"):
        take.cut()
    next(iter(take))
    assert (take.cut().state, take.frames.shape[0]) == ("cut", 9)
    film.shot("It sits.").wait()
    assert len(frames_of(film)) == 9 + 21


def test_a_take_that_failed_can_be_made_again_and_is_the_same(film, engine):
    expected = Film.new(type(engine)(), film.global_caption, film.seed).shot("It walks.").wait().frames
    engine.fail_at = 1
    take = film.shot("It walks.")
    with pytest.raises(RuntimeError, match="out of paint"):
        take.wait()
    assert take.state == "queued"
    engine.fail_at = None
    np.testing.assert_array_equal(take.wait().frames, expected)


def test_the_same_commands_give_the_same_film(film, engine):
    shoot(film, "It walks.", "It sits.")
    twin = Film.new(engine, film.global_caption, film.seed)
    shoot(twin, "It walks.", "It sits.")
    np.testing.assert_array_equal(frames_of(film), frames_of(twin))
    other = Film.new(engine, film.global_caption, 8)
    shoot(other, "It walks.", "It sits.")
    assert (frames_of(film) != frames_of(other)).any()


def test_a_retake_has_noise_of_its_own_and_leaves_the_others(film, engine):
    shoot(film, "It walks.", "It sits.", "It sleeps.")
    seeds = [shot.chosen.seed for shot in film.shots]
    before = film.shots[0].takes[0].frames
    retake = film.retake(0).wait()
    assert retake.seed not in seeds
    assert (retake.frames != before).any()
    np.testing.assert_array_equal(film.shots[0].takes[0].frames, before)
    assert [shot.chosen.seed for shot in film.shots[1:]] == seeds[1:]
    assert film.shots[0].chosen is retake
    assert film.stale == (1, 2)


def test_stale_shots_are_remade_in_order_with_their_own_noise(film, engine):
    shoot(film, "It walks.", "It sits.", "It sleeps.")
    seeds = [shot.chosen.seed for shot in film.shots]
    film.retake(0, seed=8).wait()
    while film.stale:
        film.remake(film.stale[0]).wait()
    assert [shot.chosen.seed for shot in film.shots] == [8, *seeds[1:]]
    twin = Film.new(engine, film.global_caption, film.seed)
    twin.shot("It walks.", seed=8).wait()
    first = twin.shots[0].chosen.frames
    np.testing.assert_array_equal(first, film.shots[0].chosen.frames)
    shoot(twin, "It sits.", "It sleeps.")
    np.testing.assert_array_equal(frames_of(twin), frames_of(film))


def test_choosing_an_earlier_take_makes_the_film_whole_again(film):
    shoot(film, "It walks.", "It sits.")
    whole = frames_of(film)
    film.retake(0).wait()
    assert film.stale == (1,)
    film.choose(0, 0)
    assert film.stale == ()
    np.testing.assert_array_equal(frames_of(film), whole)
    film.choose(0, film.shots[0].takes[1])
    assert film.stale == (1,)


def test_condition_frames_are_what_was_shown(film, engine):
    shoot(film, "It walks.", "It sits.", "It sleeps.")
    plan, past = engine.made[2]
    assert plan.prompt == "A red fox in a forest. It sleeps."
    assert [(shot.index, shot.prompt, shot.frame_count) for shot in past] == [
        (0, "A red fox in a forest. It walks.", 21),
        (1, "A red fox in a forest. It sits.", 21),
    ]
    for shot in past:
        np.testing.assert_array_equal(shot.read_frames([20, 3]), film.shots[shot.index].chosen.frames[[20, 3]])
    saw = film.shots[2].chosen.record.saw
    assert [(one.take, one.frame) for one in saw] == [(t, f) for t in (0, 1) for f in (0, 10, 20)]


def test_the_script_of_a_film_makes_it_again(film, engine):
    shoot(film, "It walks.", "It sits.")
    film.retake(1).wait()
    next(iter(film.shot("It sleeps.", seconds=4)))
    film.shots[2].takes[0].cut()
    story = film.story()
    twin = Film.new(engine, story.global_caption, story.seed)
    for shot in story.shots:
        twin.shot(shot.caption, shot.seconds, shot.seed).wait()
    np.testing.assert_array_equal(frames_of(film), frames_of(twin))


@pytest.mark.parametrize("when", [0, 1, 2])
def test_saved_and_reopened_goes_on_as_if_never_closed(film, engine, tmp_path: Path, when: int):
    captions = ["It walks.", "It sits.", "It sleeps."]
    shoot(film, *captions[:when])
    film.save(tmp_path / "fox.film")
    again = Film.reopen(engine, tmp_path / "fox.film")
    assert again.record == film.record
    for one in (film, again):
        shoot(one, *captions[when:])
        one.retake(0).wait()
    np.testing.assert_array_equal(frames_of(film), frames_of(again))
    assert again.record == film.record


def test_planned_takes_survive_saving(film, engine, tmp_path):
    film.shot("It walks.")
    film.save(tmp_path / "fox.film")
    again = Film.reopen(engine, tmp_path / "fox.film")
    assert [take.state for take in again.shots[0].takes] == ["queued"]
    np.testing.assert_array_equal(again.shots[0].takes[0].wait().frames, film.shots[0].takes[0].wait().frames)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (lambda film: film.shot("  "), "shot 1: caption is blank"),
        (lambda film: film.shot("x", seconds=float("nan")), "shot 1: seconds is nan; give 0.3 to 60"),
        (lambda film: film.shot("x", seconds=90), "shot 1: seconds is 90"),
        (lambda film: film.shot("x", seed=-1), "shot 1: seed is -1"),
        (lambda film: film.retake(3), "there is no shot 3"),
        (lambda film: film.retake(-1), "there is no shot -1"),
        (lambda film: film.retake(0, seed=-2), "shot 0: seed is -2"),
        (lambda film: film.choose(0, 4), "shot 0 has 1 takes"),
        (lambda film: film.choose(0, Film.new(film.engine, "x", 0).shot("x")), "is none of them"),
        (lambda film: film.choose(0, film.retake(0)), "not made yet"),
        (lambda film: film.retake(film.shot("x").shot), "shot 1 is not made yet"),
        (lambda film: film.shot("x").frames, "shot 1 has no frames yet"),
        (lambda film: Film.new(film.engine, " ", 0), "film: global_caption is blank"),
        (lambda film: Film.new(film.engine, "x", -1), "film: seed is -1"),
    ],
)
def test_mistakes_are_one_clear_line(film, command, said: str):
    shoot(film, "It walks.")
    with pytest.raises(InputError, match=said) as fault:
        command(film)
    assert "\n" not in str(fault.value)


def test_takes_live_on_disk_until_the_film_is_closed(film):
    shoot(film, "It walks.")
    folder = film.store.folder
    assert [path.name for path in folder.iterdir()] == ["00000.mp4"]
    film.close()
    assert not folder.exists()


def test_shots_are_numbered_in_the_form_the_model_reads(film, engine, monkeypatch):
    monkeypatch.setattr(engine, "prompt", lambda story, caption, shot: f"{story}|{shot}|{caption}")
    shoot(film, "It walks.", "It sits.")
    take = film.shot("It runs.", seconds=2)
    film.read_ahead("It sleeps.")
    blocks = iter(take)
    next(blocks)
    take.change("It jumps.")
    list(blocks)
    story = film.global_caption
    plan, past = engine.made[-1]
    assert plan.prompt == f"{story}|2|It jumps."
    assert [shot.prompt for shot in past] == [f"{story}|0|It walks.", f"{story}|1|It sits."]
    assert engine.read[-1] == f"{story}|3|It sleeps."
