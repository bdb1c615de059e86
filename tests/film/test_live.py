"""Directing while it plays: queue, extend, change, stop, remove, prepare; and a film kept in a folder."""

from __future__ import annotations

import errno
import shutil

import numpy as np
import pytest

from shotstream.core.errors import InputError, StorageError
from shotstream.core.story import Shot, ShotChange
from shotstream.film.disk.store import FootageWriter
from shotstream.film.film import Film


def test_the_queue_is_played_in_order_and_grows_meanwhile(film):
    first, second = film.shot("It walks."), film.shot("It sits.")
    assert film.queue == (first, second)
    seen = []
    for take, block in film.play():
        if (take, block.index) == (second, 0):
            assert film.running is second
            film.shot("It sleeps.")
        seen.append((take.shot, block.index))
    assert seen == [(shot, block) for shot in range(3) for block in range(2)]
    assert film.queue == () and film.running is None


def test_what_was_prepared_is_used_if_it_still_fits(film, engine):
    film.shot("It walks.")
    list(film.play())
    film.prepare()
    assert engine.prepared == 1
    film.shot("It sits.").wait()
    assert engine.used_prepared == 1
    film.prepare()
    film.retake(0).wait()  # the past is another one now
    film.shot("It sleeps.").wait()
    assert (engine.prepared, engine.used_prepared) == (2, 1)


def test_a_memory_that_reads_the_next_prompt_waits_for_it(film, engine):
    engine.target_captions = True
    film.shot("It walks.").wait()
    film.prepare()  # nobody knows yet what comes next: as if it went on
    film.shot("It sits.").wait()
    assert (engine.prepared, engine.used_prepared) == (1, 0)
    film.shot("It sleeps.")
    film.prepare()
    film.shot("It jumps.")
    list(film.play())
    assert engine.used_prepared == 2


def test_what_waits_in_the_queue_is_read_before_its_turn(film, engine):
    film.shot("It walks.").wait()
    film.prepare()
    assert engine.read == []
    film.shot("It sits.")
    film.prepare()
    assert engine.read == ["A red fox in a forest. It sits."]


def test_a_draft_is_read_as_the_shot_will_be(film, engine):
    film.read_ahead("  It walks. ")
    film.shot("  It walks. ").wait()
    assert engine.read == ["A red fox in a forest. It walks."] == [engine.made[0][0].prompt]
    with pytest.raises(InputError, match="shot 1"):
        film.read_ahead(" ")


def test_a_shot_is_extended_while_it_runs_and_stays_that_long(film, engine):
    take = film.shot("It walks.", seconds=0.6)
    for block in take:
        if block.index == 0:
            take.extend(9)
    assert take.blocks_made == 10 > film.geometry.max_blocks
    assert film.retake(0).wait().blocks_made == 10
    assert film.story().shots[0].seconds == film.geometry.shot_seconds(10)
    with pytest.raises(InputError, match="only a running take can be extended"):
        take.extend()


def test_a_change_acts_from_the_next_block_on_and_is_heeded_when_made_again(film, engine, tmp_path):
    plain = Film.new(type(engine)(), film.global_caption, film.seed).shot("It walks.", seconds=2).wait().frames
    take = film.shot("It walks.", seconds=2)
    for block in take:
        if block.index == 0:
            take.change("It sits.")
    np.testing.assert_array_equal(take.frames[:9], plain[:9])
    assert (take.frames[9:] != plain[9:]).any()
    film.shot("It sleeps.").wait()
    assert engine.made[-1][1][0].prompt == "A red fox in a forest. It sits."
    film.save(tmp_path / "a.film")
    again = Film.reopen(engine, tmp_path / "a.film").remake(0).wait()
    np.testing.assert_array_equal(again.frames, take.frames)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (lambda take: take.change(" "), "shot 0: caption is blank"),
        (lambda take: take.extend(0), "give 1 or more"),
        (lambda take: take.extend(2000), "1000 in all"),
    ],
)
def test_a_refused_command_changes_nothing(film, command, said):
    take = film.shot("It walks.")
    next(iter(take))
    before = film.record
    with pytest.raises(InputError, match=said):
        command(take)
    assert film.record == before
    take.wait()


def test_stop_keeps_the_blocks_there_are(film):
    take = film.shot("It walks.", seconds=2)
    next(iter(take))
    assert take.stop().state == "cut"
    with pytest.raises(InputError, match="only a running take can be stopped"):
        take.stop()


def test_planned_shots_are_removed_and_ids_are_never_used_again(film):
    film.shot("It walks.").wait()
    second, third = film.shot("It sits."), film.shot("It sleeps.")
    film.remove(second)
    assert [shot.caption for shot in film.shots] == ["It walks.", "It sleeps."]
    film.remove(third)
    retake = film.retake(0)
    assert retake.id == 3
    film.shot("It runs.")
    film.remove(*film.queue)
    assert [len(shot.takes) for shot in film.shots] == [1]
    film.undo()  # of all of them
    assert [len(shot.takes) for shot in film.shots] == [2, 1]
    film.redo()
    for gone in (second, third, retake):
        with pytest.raises(InputError, match="no longer in the film"):
            film.remove(gone)
    with pytest.raises(InputError, match="only a queued take"):
        film.remove(film.shots[0].takes[0])


def test_a_snapshot_is_exported_while_the_film_goes_on(film, tmp_path):
    film.shot("It walks.").wait()
    next(iter(film.shot("It sits.")))
    film.snapshot().export(tmp_path / "a.mp4")
    film.snapshot().save(tmp_path / "a.film")
    assert (tmp_path / "a.mp4").stat().st_size > 0


def test_a_folder_has_everything_at_every_moment(engine, tmp_path):
    film = Film.new(engine, "A red fox.", 7, tmp_path / "fox")
    film.shot("It walks.").wait()
    running = film.shot("It sits.", seconds=2)
    next(iter(running))
    running.change("It sleeps.")
    running.extend()
    shutil.copytree(tmp_path / "fox", tmp_path / "crashed")  # what is on the disk at this moment
    again = Film.reopen(engine, tmp_path / "crashed")
    assert again.record == film.record
    assert [take.state for take in again.queue] == ["queued"]
    np.testing.assert_array_equal(again.queue[0].wait().frames, running.wait().frames)


def test_a_film_file_is_opened_into_a_folder(film, engine, tmp_path):
    film.shot("It walks.").wait()
    film.save(tmp_path / "a.film")
    Film.reopen(engine, tmp_path / "a.film", tmp_path / "kept").close()
    assert Film.reopen(engine, tmp_path / "kept").record == film.record
    (tmp_path / "a.film").write_bytes(b"no film")
    for _ in range(2):  # what could not be opened leaves its folder free
        with pytest.raises(InputError, match="not a film file"):
            Film.reopen(engine, tmp_path / "a.film", tmp_path / "other")
    with pytest.raises(InputError, match="is not empty"):
        Film.new(engine, "A red fox.", 0, tmp_path / "kept")


def full_after(taken: int):
    """A disk that takes so many bytes of a line, and no more."""

    def write(file, data: bytes) -> None:
        file.write(data[:taken])
        raise OSError(errno.ENOSPC, "No space left on device")

    return write


def test_what_cannot_be_written_down_did_not_happen(engine, tmp_path, monkeypatch):
    film = Film.new(engine, "A red fox.", 7, tmp_path / "fox")

    with monkeypatch.context() as patch:
        patch.setattr("shotstream.film.disk.journal._write", full_after(20))
        with pytest.raises(StorageError, match=r"journal\.jsonl: the disk is full; make room"):
            film.shot("It walks.")
    assert film.record.shots == ()
    film.shot("It sits.")
    film.close()
    again = Film.reopen(engine, tmp_path / "fox")
    assert (again.repairs, [shot.caption for shot in again.shots]) == ((), ["It sits."])


def test_a_change_is_applied_at_a_named_frame(film):
    take = film.shot("It walks.", seconds=2.8)  # blocks begin at frames 0, 9, 21 and 33
    blocks = iter(take)
    next(blocks)
    take.change("It sits.", frame=30)
    for frame, said in ((8, "is made already, up to 8"), (45, "has frames 0 to 44; there is no frame 45 to change at")):
        with pytest.raises(InputError, match=said):
            take.change("It sleeps.", frame=frame)
    list(blocks)
    assert [(change.block, change.caption) for change in take.record.changes] == [(2, "It sits.")]
    again = film.remake(0).wait()
    assert np.array_equal(again.frames, take.frames)
    plain = film.retake(0, take.seed, caption="It walks.").wait()
    assert np.array_equal(plain.frames[:21], take.frames[:21]) and not np.array_equal(
        plain.frames[21:33], take.frames[21:33]
    )


def test_a_change_takes_over_block_by_block_and_is_made_again_so(film, engine, tmp_path):
    take = film.shot("It walks.", seconds=4.3)  # six blocks
    heard = []
    for block in take:
        plan = engine.made[-1][0]
        heard.append((plan.prompt, plan.blend and (plan.blend.begins, round(plan.blend.share, 3))))
        if block.index == 0:
            take.change("It sits.", frame=21, blend=1.5)
        if block.index == 3:
            take.change("It sleeps.")
            film.undo()
    walks, sits = ("A red fox in a forest. It walks.", "A red fox in a forest. It sits.")
    assert heard == [
        (walks, None),
        (walks, None),
        (sits, (walks, 0.333)),
        (sits, (walks, 0.667)),
        (sits, None),
        (sits, None),
    ]
    assert [(one.block, one.caption, one.blend) for one in take.record.changes] == [(2, "It sits.", 2)]
    film.save(tmp_path / "a.film")
    again = Film.reopen(engine, tmp_path / "a.film").remake(0).wait()
    np.testing.assert_array_equal(again.frames, take.frames)
    (change,) = film.story().shots[0].changes
    assert (change.seconds, change.caption, change.blend) == (21 / 16, "It sits.", 1.5)
    retold = Film.new(type(engine)(), film.global_caption, film.seed)
    np.testing.assert_array_equal(retold.add(film.story().shots[0]).wait().frames, take.frames)


def test_a_blend_that_was_undone_half_way_is_made_again_as_it_was(film, engine):
    take = film.shot("It walks.", seconds=4.3)
    for block in take:
        if block.index in (0, 3):
            take.change("It sits." if block.index == 0 else "It sleeps.", blend=60 if block.index == 0 else None)
        if block.index == 4:
            film.undo()
    assert [(one.block, one.caption) for one in take.record.changes] == [
        (1, "It sits."),
        (4, "It sleeps."),
        (5, "It sits."),
    ]
    np.testing.assert_array_equal(film.remake(0).wait().frames, take.frames)


@pytest.mark.parametrize("blend", [-1, 61, "soon", float("nan")])
def test_a_blend_lasts_so_many_seconds(film, blend):
    take = film.shot("It walks.")
    next(iter(take))
    with pytest.raises(InputError, match=r"shot 0: changes\[0\]\.blend must be 0 to 60 seconds, not"):
        take.change("It sits.", blend=blend)
    take.wait()


def test_an_endless_shot_goes_on_until_it_is_cut_and_is_made_again_as_long(film, engine, monkeypatch):
    monkeypatch.setattr("shotstream.film.takes.take.HELD", 4)
    take = film.shot("It walks.", seconds=0.6, endless=True)
    with pytest.raises(InputError, match="shot 0 goes on until it is cut"):
        take.wait()
    seen = []
    for block in take:
        seen.append(block.frames)
        if block.index == 11:
            assert np.array_equal(take.frames, np.concatenate(seen))
            assert next(iter(take)).frames.filename.name == "0.npy"  # not in memory
            take.cut()
    assert (take.state, take.blocks_made) == ("cut", 12)
    np.testing.assert_array_equal(take.frames, np.concatenate(seen))
    assert not [one for one in film.store.folder.iterdir() if one.is_dir()]
    np.testing.assert_array_equal(film.remake(0).wait().frames, take.frames)
    assert film.retake(0).wait().blocks_made == 12
    assert film.story().shots[0].seconds == film.geometry.shot_seconds(12)


def test_a_long_take_is_encoded_as_it_is_made_not_at_its_end(film, monkeypatch):
    monkeypatch.setattr("shotstream.film.takes.take.HELD", 2)
    wrote, write = [], FootageWriter.write
    monkeypatch.setattr(FootageWriter, "write", lambda self, block: (wrote.append(len(block)), write(self, block))[1])
    take = film.shot("It walks.", seconds=4)
    blocks = iter(take)
    made = [next(blocks).frames for _ in range(5)]
    assert wrote == [len(frames) for frames in made[:3]]
    take.cut()
    assert wrote == [len(frames) for frames in made]
    np.testing.assert_array_equal(take.frames, np.concatenate(made))


@pytest.mark.parametrize("where", ["put", "finish"])
def test_a_long_take_is_whole_though_the_disk_was_full_for_a_while(film, monkeypatch, where):
    monkeypatch.setattr("shotstream.film.takes.take.HELD", 2)

    def full(*given):
        raise OSError(errno.ENOSPC, "No space left on device")

    take = film.shot("It walks.", seconds=4)
    blocks = iter(take)
    made = [next(blocks).frames for _ in range(3)]
    with monkeypatch.context() as disk, pytest.raises(StorageError, match="the disk is full; make room"):
        disk.setattr(FootageWriter, "write", full)
        next(blocks) if where == "put" else take.cut()
    for block in take:
        made[block.index :] = [block.frames]
        if block.index == 5:
            take.cut()
    np.testing.assert_array_equal(take.frames, np.concatenate(made))
    assert not [one for one in film.store.folder.iterdir() if one.is_dir()]


def test_an_endless_shot_ends_when_another_waits_but_not_before_its_time(film, monkeypatch):
    first = film.shot("It walks.", seconds=0.6, endless=True)
    made = []
    for take, block in film.play():
        made.append((take.shot, block.index))
        if made == [(0, 0), (0, 1), (0, 2)]:
            film.shot("It sits.", seconds=2, endless=True)
            film.shot("It sleeps.", seconds=0.6)
    assert made == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0)]
    assert first.state == "finished"
    monkeypatch.setattr("shotstream.film.takes.maker.MAX_ENDLESS", 5)
    assert len(list(film.shot("It flies.", endless=True))) == 5


def test_an_endless_shot_of_a_story_changes_as_it_says_long_after_its_least_length(film):
    change = ShotChange(seconds=film.geometry.shot_seconds(5), caption="It sits.")
    shot = Shot(caption="It walks.", seconds=0.6, endless=True, changes=(change,))
    take = film.add(shot)
    assert film.story().shots[0].endless and film.story().shots[0].changes is None  # a shot of 0.6 s has none
    for block in take:
        if block.index == 6:
            take.cut()
    assert [(one.block, one.caption) for one in take.record.changes] == [(5, "It sits.")]
    assert film.story().shots[0] == shot.model_copy(
        update={"endless": None, "seconds": film.geometry.shot_seconds(7), "seed": take.record.seed}
    )
    film.add(shot.model_copy(update={"changes": None}))
    film.shot("It sleeps.")
    assert not film.story().shots[1].endless
