"""The cutting room: insert, delete, move, duplicate, lock, remake, branch, undo, pause, compare, clean."""

from __future__ import annotations

import numpy as np
import pytest

from shotstream.core.errors import InputError
from shotstream.core.story import Shot, ShotChange
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
    assert (planned.state, planned.shot) == ("queued", 5)


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
    monkeypatch.setattr("shotstream.film.record.commands.MAX_TAKES", 3)
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
    assert take.state == "queued"
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


def test_a_retake_under_other_words_and_longer_is_what_a_new_shot_of_them_would_be(three):
    old = three.shots[1].chosen
    take = three.retake(1, seed=5, caption="It eats.", seconds=1.3)
    assert captions(three) == ["It walks.", "It sits.", "It sleeps."]  # until it is made
    take.wait()
    assert captions(three) == ["It walks.", "It eats.", "It sleeps."] and three.stale == (2,)
    assert three.geometry.shot_seconds(len(take.record.block_frames)) == 1.3125
    np.testing.assert_array_equal(frames_of(remade(three)), script_makes(three))
    again = three.retake(1).wait()  # as the chosen one is
    assert len(again.record.block_frames) == len(take.record.block_frames) and captions(three)[1] == "It eats."
    three.choose(1, old)
    assert captions(three)[1] == "It sits."
    three.retake(1, caption="It sits.").wait()
    np.testing.assert_array_equal(frames_of(remade(three)), script_makes(three))


def test_what_is_planned_is_revised_and_undone(three, engine):
    take = three.shot("It eats.")
    three.revise(3, "It runs.", 0.5, 9)
    assert (three.shots[3].caption, take.seed) == ("It runs.", 9)
    three.undo()
    assert three.shots[3].caption == "It eats." and take.seed != 9
    three.redo()
    assert three.undoable == "revise"
    take.wait()
    assert take.frame_count == 9 and engine.made[-1][0].prompt.endswith("It runs.")
    np.testing.assert_array_equal(frames_of(three), script_makes(three))
    with pytest.raises(InputError, match="retake it"):
        three.revise(3, "It sits.")
    running = three.shot("It sits.")
    next(iter(running))
    with pytest.raises(InputError, match="is being made"):
        three.revise(4, "It walks.")


def test_another_story_makes_all_that_is_made_stale_until_it_is_remade(three, engine, tmp_path):
    story, pictures = three.global_caption, frames_of(three)
    three.retell("A blue owl.")
    assert three.stale == (0, 1, 2) and (frames_of(three) == pictures).all()
    three.retell("A blue owl.")  # the same: nothing happens
    three.undo()
    assert (three.global_caption, three.stale, three.redoable) == (story, (), "retell")
    three.redo()
    three.remake(0).wait()
    assert three.stale == (1, 2)
    assert engine.made[-1][0].prompt.startswith("A blue owl.")
    np.testing.assert_array_equal(frames_of(remade(three)), script_makes(three))
    three.undo()
    three.undo()
    three.undo()
    assert (three.global_caption, three.stale) == (story, ())  # and with the takes of then
    np.testing.assert_array_equal(frames_of(three), pictures)
    with pytest.raises(InputError):
        three.retell("  ")


def test_a_take_is_of_one_story_from_end_to_end(three, engine):
    take = three.shot("It eats.")
    blocks = iter(take)
    next(blocks)
    three.retell("A blue owl.")
    list(blocks)
    assert engine.made[-1][0].prompt.startswith("A red fox in a forest.")
    assert 3 in three.stale


def test_in_and_out_points_say_what_is_shown_and_nothing_is_stale(three, tmp_path):
    whole, take = frames_of(three), three.shots[1].chosen
    three.trim(take, 2, 7)
    assert (len(take.frames), three.stale) == (9, ())
    shown = np.concatenate([whole[:9], whole[11:16], whole[18:]])
    np.testing.assert_array_equal(frames_of(three), shown)
    three.save(tmp_path / "fox.film")
    np.testing.assert_array_equal(frames_of(Film.reopen(three.engine, tmp_path / "fox.film")), shown)
    for start, stop in ((0, 10), (3, 3), (5, 2), (-1, 4)):
        with pytest.raises(InputError, match="has 9 frames and cannot be trimmed"):
            three.trim(take, start, stop)
    three.remake(1).wait()  # as long as before, so it begins and ends where that one did
    assert list(three.record.shots[1].choice.shown) == list(range(2, 7))
    three.undo()
    three.trim(take)  # whole again
    np.testing.assert_array_equal(frames_of(three), whole)
    three.undo()
    np.testing.assert_array_equal(frames_of(three), shown)
    three.lock(1)
    with pytest.raises(InputError, match="shot 1 is locked and cannot be trimmed"):
        three.trim(take, 1)
    with pytest.raises(InputError, match="not made yet and cannot be trimmed"):
        three.trim(three.shot("It eats.", seconds=0.5), 1)


def test_a_trimmed_take_whose_footage_is_lost_is_trimmed_again_once_it_is_made(engine, tmp_path):
    folder = tmp_path / "film"
    with Film.new(engine, "A red fox.", 7, folder) as film:
        take = film.shot("It walks.", seconds=1.3).wait()
        film.trim(take, 5, 18)
        film.mark(take, 6, "wind")
        before = frames_of(film)
    (folder / film.record.shots[0].choice.video).write_bytes(b"gone")
    with Film.reopen(engine, folder) as film:
        list(film.play())
        np.testing.assert_array_equal(frames_of(film), before)
        assert [one.text for one in film.record.shots[0].choice.markers] == ["wind"]


def test_markers_are_kept_by_frame_and_taken_away_by_writing_nothing(three):
    take, record = three.shots[0].chosen, three.record
    three.mark(take, 5, "wind\n picks up")
    three.mark(take, 2, "a bell")
    assert [(one.frame, one.text) for one in three.record.shots[0].choice.markers] == [
        (2, "a bell"),
        (5, "wind picks up"),
    ]
    three.mark(take, 2, " ")
    three.mark(take, 5, "rain")
    assert [(one.frame, one.text) for one in three.record.shots[0].choice.markers] == [(5, "rain")]
    for frame, text, said in ((9, "x", "no frame 9 to mark"), (1, "x" * 81, "at most 80 characters, not 81")):
        with pytest.raises(InputError, match=said):
            three.mark(take, frame, text)
    for _ in range(4):
        three.undo()
    assert three.record == record


def test_another_context_policy_makes_stale_what_would_see_other_frames_and_is_undone(film):
    for caption in ("In a cave.", "By the sea.", "By the sea.", "It eats.", "It sits.", "It runs.", "It naps."):
        film.shot(caption, seconds=0.5).wait()
    pictures = frames_of(film)
    film.set_context_policy("retrieval")
    assert (film.context_policy, film.stale) == ("retrieval", ())  # of six shots and fewer, all are seen either way
    take = film.shot("Back in the cave.", seconds=0.5).wait()
    assert film.shots[0].chosen.id in [seen.take for seen in take.record.saw]
    film.set_context_policy("first-last")
    assert film.stale == (3, 4, 5, 6, 7)  # and those of two shots and fewer
    film.undo()
    assert (film.context_policy, film.stale, film.redoable) == ("retrieval", (), "context_policy")
    film.set_context_policy("retrieval")  # the same: nothing happens
    film.set_context_policy(None)
    assert (film.context_policy, film.undoable, film.stale) == (None, "context_policy", (7,))
    np.testing.assert_array_equal(frames_of(film)[: len(pictures)], pictures)
    with pytest.raises(InputError, match=r"context_policy must be one of dynamic, .*retrieval"):
        film.set_context_policy("elephant")


def test_a_context_policy_is_part_of_the_script_and_of_a_saved_film(engine, tmp_path):
    film = Film.new(engine, "A red fox.", 7, context_policy="retrieval")
    for caption in ("In a cave.", "By the sea.", "It eats."):
        film.shot(caption, seconds=0.5).wait()
    film.save(tmp_path / "fox.film")
    again = Film.reopen(engine, tmp_path / "fox.film")
    assert film.story().context_policy == again.story().context_policy == "retrieval" and again.stale == ()


def test_a_shot_of_a_story_changes_in_the_middle_as_one_that_is_changed_while_it_runs(film, engine):
    told = Shot(caption="It walks.", seconds=2.0625, seed=5, changes=(ShotChange(seconds=1.3125, caption="It sits."),))
    take = film.add(told).wait()
    twin = Film.new(engine, film.global_caption, film.seed)
    live = twin.shot("It walks.", 2.0625, 5)
    for block in live:
        if block.index == 1:
            live.change("It sits.")
    np.testing.assert_array_equal(take.frames, live.frames)
    assert film.story().shots[0] == twin.story().shots[0] == told
    film.retake(0, seed=6).wait()
    assert film.story().shots[0].changes == told.changes
    with pytest.raises(InputError, match=r"shot 1: its changes must be .* it is 0.5625 s long"):
        film.add(Shot(caption="It eats.", seconds=0.7, changes=(ShotChange(seconds=0.6, caption="It sits."),)))
    assert len(film.shots) == 1
