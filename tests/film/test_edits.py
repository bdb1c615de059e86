"""The cutting room: insert, delete, move, duplicate, lock, remake, branch, undo, pause, compare, clean."""

from __future__ import annotations

import numpy as np
import pytest

from shotstream.core.errors import InputError
from shotstream.film.film import Film


def frames_of(film: Film) -> np.ndarray:
    return np.stack(list(film.frames()))


def captions(film: Film) -> list[str]:
    return [shot.caption for shot in film.shots]


@pytest.fixture
def three(film) -> Film:
    """Three made shots of one block."""
    for caption in ("It walks.", "It sits.", "It sleeps."):
        film.shot(caption, seconds=0.5).wait()
    return film


def remade(film: Film) -> Film:
    film.remake_stale()
    list(film.play())
    assert film.stale == ()
    return film


def script_makes(film: Film) -> np.ndarray:
    """What the film's script makes from nothing."""
    story = film.story()
    twin = Film.new(film.engine, story.global_caption, story.seed)
    for shot in story.shots:
        twin.shot(shot.caption, shot.seconds, shot.seed).wait()
    return frames_of(twin)


def test_a_shot_is_put_in_and_later_shots_are_stale_once_it_is_made(three):
    seeds = [shot.chosen.seed for shot in three.shots]
    take = three.insert(1, "It eats.", seconds=0.5)
    assert captions(three) == ["It walks.", "It eats.", "It sits.", "It sleeps."]
    assert take.seed not in seeds and three.stale == ()
    take.wait()
    assert three.stale == (2, 3)
    np.testing.assert_array_equal(frames_of(remade(three)), script_makes(three))
    assert [three.shots[index].chosen.seed for index in (0, 2, 3)] == seeds


def test_deleted_moved_and_back(three):
    before, pictures = three.record, frames_of(three)
    three.delete(0)
    assert (captions(three), three.stale) == (["It sits.", "It sleeps."], (0, 1))
    three.move(1, 0)
    assert captions(three) == ["It sleeps.", "It sits."]
    three.move(0, 0)
    assert (three.undoable, three.redoable) == ("move", None)
    three.undo()
    three.undo()
    assert (three.record, three.stale, three.redoable) == (before, (), "delete")
    np.testing.assert_array_equal(frames_of(three), pictures)
    three.redo()
    np.testing.assert_array_equal(frames_of(remade(three)), script_makes(three))
    three.insert(0, "It eats.")
    with pytest.raises(InputError, match="nothing to redo"):
        three.redo()


def test_a_copy_shows_the_same_pictures_stored_once(three, engine, tmp_path):
    copy = three.duplicate(1)
    assert captions(three) == ["It walks.", "It sits.", "It sits.", "It sleeps."]
    np.testing.assert_array_equal(copy.frames, three.shots[1].chosen.frames)
    assert len(list(three.store.folder.iterdir())) == 3
    assert three.stale == (2, 3)
    three.save(tmp_path / "a.film")
    again = Film.reopen(engine, tmp_path / "a.film")
    assert again.record == three.record
    np.testing.assert_array_equal(frames_of(again), frames_of(three))
    np.testing.assert_array_equal(frames_of(remade(three)), script_makes(three))
    assert three.shots[2].chosen.seed == three.shots[1].chosen.seed
    planned = three.duplicate(three.shot("It eats.").shot)
    assert (planned.state, planned.shot) == ("planned", 5)


@pytest.mark.parametrize(
    "command",
    [
        lambda film: film.retake(1),
        lambda film: film.remake(1),
        lambda film: film.delete(1),
        lambda film: film.choose(1, 0),
    ],
)
def test_a_locked_shot_stays_as_it_is(three, command):
    three.retake(1).wait()
    three.lock(1)
    before = three.record
    three.lock(1)
    with pytest.raises(InputError, match=r"shot 1 is locked and cannot be .*; unlock it first"):
        command(three)
    assert three.record is before
    three.unlock(1)
    command(three)
    for _ in range(2):
        three.undo()
    assert three.record.shots[1].locked


def test_only_what_is_made_and_done_with_can_be_locked(three):
    three.retake(1)
    with pytest.raises(InputError, match="still to be made"):
        three.lock(1)
    three.shot("It eats.")
    with pytest.raises(InputError, match="shot 3 is not made yet"):
        three.lock(3)


def test_stale_shots_are_remade_in_order_but_for_locked_and_planned_ones(three):
    three.shot("It eats.", seconds=0.5).wait()
    seeds = [shot.chosen.seed for shot in three.shots]
    three.lock(1)
    three.retake(0).wait()
    waiting = three.retake(3)
    assert three.stale == (1, 2, 3)
    planned = three.remake_stale()
    assert [take.shot for take in planned] == [2]
    assert three.remake_stale() == ()
    assert [take.shot for take in three.queue] == [3, 2]
    list(three.play())
    assert three.shots[3].chosen is waiting and three.shots[2].chosen.seed == seeds[2]
    assert three.stale == (1, 3)  # 3 was made before 2; what saw the locked shot 1 need not be made again
    list(three.play())
    three.remake_stale()
    list(three.play())
    assert three.stale == (1,)


def test_the_queue_never_asks_for_what_cannot_be_made_yet(film):
    last, first = film.shot("It sits."), film.insert(0, "It walks.")
    assert film.queue == (first, last)
    film.move(0, 1)
    assert film.queue == (last, first)
    retake = [last.wait(), film.retake(0)][1]
    assert film.queue == (first, retake)
    assert [take for take, block in film.play() if block.index == 0] == [first, retake]


def test_branches_share_what_they_have_in_common(three, engine, tmp_path):
    main = frames_of(three)
    three.branch("owl", after=0)
    three.shot("An owl comes.", seconds=0.5).wait()
    three.retake(0).wait()
    assert [(one.name, one.shots, one.current) for one in three.branches] == [("main", 3, False), ("owl", 2, True)]
    assert len(three.record.shots[0].takes) == 2
    three.save(tmp_path / "a.film")
    three.switch("main")
    assert len(three.record.shots[0].takes) == 1 and three.stale == ()
    np.testing.assert_array_equal(frames_of(three), main)
    again = Film.reopen(engine, tmp_path / "a.film")
    assert captions(again) == ["It walks.", "An owl comes."]
    again.switch("main")
    assert (again.record, captions(again)) == (three.record, captions(three))
    np.testing.assert_array_equal(frames_of(again), main)
    three.drop("owl")
    for _ in range(5):
        three.undo()
    assert [one.name for one in three.branches] == ["main"]


def test_a_take_planned_in_two_branches_is_made_for_both(three):
    take = three.shot("It eats.", seconds=0.5)
    three.branch("other", after=3)
    take.wait()
    three.switch("main")
    assert three.shots[3].chosen is take and three.queue == ()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (lambda film: film.insert(5, "x"), "put in at 0 to 3, not at 5"),
        (lambda film: film.insert(-1, "x"), "not at -1"),
        (lambda film: film.delete(3), "there is no shot 3"),
        (lambda film: film.move(0, 3), "there is no shot 3"),
        (lambda film: film.duplicate(-1), "there is no shot -1"),
        (lambda film: film.unlock(9), "there is no shot 9"),
        (lambda film: film.branch(" ", 0), "a name of 1 to 80 characters"),
        (lambda film: film.branch("x" * 81, 0), "a name of 1 to 80 characters"),
        (lambda film: film.branch("a\x07b", 0), "a name of 1 to 80 characters"),
        (lambda film: film.branch("main", 0), "there is a branch 'main' already"),
        (lambda film: film.branch("x", 3), "there is no shot 3"),
        (lambda film: film.switch("main"), "on branch 'main' already"),
        (lambda film: film.switch("no"), "there is no branch 'no'; there are 'main'"),
        (lambda film: film.drop("main"), "switch to another one first"),
        (lambda film: film.redo(), "nothing to redo"),
        (lambda film: list(film.compare(0, [0, 3])), "has 1 takes, counted from 0; 3 is none"),
        (lambda film: film.snapshot().delete(0), "a snapshot of a film"),
        (lambda film: film.snapshot().clean(), "a snapshot of a film"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(three, command, said):
    before = three.record
    with pytest.raises(InputError, match=said) as fault:
        command(three)
    assert three.record is before and "\n" not in str(fault.value)


def test_limits_of_a_film_are_told_before_it_is_too_late(three, monkeypatch):
    monkeypatch.setattr("shotstream.film.commands.MAX_TAKES", 3)
    for command in (lambda: three.shot("x"), lambda: three.retake(0), lambda: three.duplicate(0)):
        with pytest.raises(InputError, match="at most 10000 shots and 3 takes"):
            command()


# undo and what is being made


def test_what_was_made_meanwhile_stays_made(three):
    waiting, last = three.retake(0), three.shot("It eats.", seconds=0.5)
    waiting.wait()
    three.undo()
    assert captions(three) == ["It walks.", "It sits.", "It sleeps."] and three.shots[0].chosen is waiting
    with pytest.raises(InputError, match=f"take {last.id} is no longer in the film"):
        last.wait()
    three.undo()
    assert three.shots[0].chosen.id == 0 and three.stale == ()
    three.redo()
    assert three.shots[0].chosen is waiting and waiting.state == "finished"
    three.redo()
    assert last.wait().shot == 3


def test_a_running_take_that_is_undone_is_made_again_the_same(three):
    take = three.shot("It eats.", seconds=1.3)
    first = next(iter(take)).frames
    three.undo()
    assert three.running is None and len(three.shots) == 3
    three.redo()
    assert take.state == "planned"
    np.testing.assert_array_equal(take.wait().frames[:9], first)
    for gone in (lambda: three.delete(3), lambda: three.branch("x", 1), lambda: three.undo()):
        next(iter(three.retake(3)))
        gone()
        assert three.running is None
        while three.undoable != "insert":
            three.undo()


def test_what_was_asked_of_a_running_take_can_be_undone_while_it_runs(film):
    take = film.shot("It walks.", seconds=1.3)
    next(iter(take))
    take.extend(3)
    three_more = film.record
    take.change("It sits.")
    film.undo()
    assert film.record == three_more
    film.undo()
    assert take.wait().blocks_made == 2 and take.record.changes == ()
    assert (film.undoable, film.redoable) == ("insert", "extend")


def test_a_take_says_how_it_was_made_whatever_was_undone(film):
    take = film.shot("It walks.", seconds=2)
    blocks = iter(take)
    next(blocks)
    take.change("It sits.")
    next(blocks)
    film.undo()
    take.wait()
    assert [(change.block, change.caption) for change in take.record.changes] == [(1, "It sits."), (2, "It walks.")]
    np.testing.assert_array_equal(film.remake(0).wait().frames, take.frames)
    assert film.undoable == "plan"
    film.undo()
    film.undo()
    assert film.shots == ()


def test_commands_may_come_while_a_take_is_made(three):
    take = three.shot("It eats.", seconds=1.3)
    next(iter(take))
    three.retake(0)
    three.choose(1, 0)
    three.delete(1)
    assert three.running is take and take.shot == 2
    take.wait()
    assert three.shots[2].chosen is take and three.stale == (1, 2)


def test_a_paused_queue_waits_and_stays_paused(engine, tmp_path):
    film = Film.new(engine, "A red fox.", 7, tmp_path / "fox")
    take = film.shot("It walks.")
    film.pause()
    film.pause()
    assert list(film.play()) == [] and film.undoable == "insert"
    film.close()
    again = Film.reopen(engine, tmp_path / "fox")
    assert again.paused and [one.id for one in again.queue] == [take.id]
    again.resume()
    assert len(list(again.play())) == 2


# looking and cleaning


def test_takes_are_compared_side_by_side(film):
    film.shot("It walks.", seconds=0.5).wait()
    long = film.retake(0)
    next(iter(long))
    long.extend(3)
    long.wait()
    one, other = (take.frames for take in film.shots[0].takes)
    both = np.stack(list(film.compare(0)))
    assert both.shape == (len(other), 32, 128, 3) and len(other) > 32
    np.testing.assert_array_equal(both[:9, :, :64], one)
    np.testing.assert_array_equal(both[9:, :, :64], np.broadcast_to(one[-1], (len(other) - 9, 32, 64, 3)))
    np.testing.assert_array_equal(both[:, :, 64:], other)
    np.testing.assert_array_equal(next(film.compare(0, [1])), other[0])


@pytest.mark.parametrize("kept", [True, False], ids=["in a folder", "in memory"])
def test_clean_frees_what_only_undo_would_need(engine, tmp_path, kept):
    film = Film.new(engine, "A red fox.", 7, tmp_path / "fox" if kept else None)
    for caption in ("It walks.", "It sits."):
        film.shot(caption, seconds=0.5).wait()
    film.retake(0).wait()
    film.branch("other", 0)
    film.switch("main")
    film.delete(1)
    before, pictures = film.record, frames_of(film)
    size = (film.store.folder / "00001.mp4").stat().st_size
    assert film.clean() == size
    assert (film.record, film.undoable) == (before, None)
    assert film.clean(unchosen=True) > 0
    assert [take.id for take in film.shots[0].takes] == [2]
    assert sorted(file.name for file in film.store.folder.iterdir()) == ["00002.mp4"]
    np.testing.assert_array_equal(frames_of(film), pictures)
    assert film.shot("It eats.").id == 3
    if kept:
        film.close()
        again = Film.reopen(engine, tmp_path / "fox")
        assert (again.record, again.repairs, again.undoable) == (film.record, (), "insert")
