"""One item ahead, in order, and whatever goes wrong is heard."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from shotstream.sampling.overlap import one_behind


class Story:
    """What happened, in order: items made here, work begun and done there."""

    def __init__(self, items: int = 4) -> None:
        self.told: list[str] = []
        self.count = items
        self.threads: set[str] = set()

    def items(self) -> Iterator[int]:
        for item in range(self.count):
            self.told.append(f"make {item}")
            yield item

    def work(self, item: int) -> int:
        self.threads.add(threading.current_thread().name)
        self.told.append(f"work {item}")
        return 10 * item


def test_everything_comes_out_once_and_in_order() -> None:
    story = Story()
    assert list(one_behind(story.work, story.items())) == [0, 10, 20, 30]
    assert threading.current_thread().name not in story.threads
    assert sorted(story.told) == sorted([f"{verb} {item}" for verb in ("make", "work") for item in range(4)])
    assert list(one_behind(story.work, [])) == []


def test_the_next_item_is_made_while_one_is_worked_on() -> None:
    """Work on the first item ends only when the second has been made: without overlap this would never end."""
    made = threading.Event()

    def items() -> Iterator[int]:
        yield 0
        made.set()
        yield 1

    def work(item: int) -> int:
        assert made.wait(20)
        return item

    assert list(one_behind(work, items())) == [0, 1]


def test_the_first_can_be_had_at_once() -> None:
    story = Story()
    done = one_behind(story.work, story.items(), first_at_once=True)
    assert next(done) == 0
    assert story.told == ["make 0", "work 0"]
    assert list(done) == [10, 20, 30]


def test_what_the_work_raises_is_raised_here() -> None:
    def work(item: int) -> int:
        if item == 1:
            raise OSError("full")
        return item

    done = one_behind(work, range(4))
    assert next(done) == 0
    with pytest.raises(OSError, match="full"):
        next(done)


def test_what_is_under_way_is_finished_when_the_items_fail_or_nobody_wants_more() -> None:
    finished: list[int] = []

    def items() -> Iterator[int]:
        yield 0
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(one_behind(finished.append, items()))
    assert finished == [0]
    done = one_behind(finished.append, range(9))
    next(done)
    done.close()
    assert finished == [0, 0, 1]
