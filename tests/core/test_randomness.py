"""Named streams: the same name, the same numbers; another name, others."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from shotstream.core.randomness import derive, stream

NAMES = st.lists(st.one_of(st.integers(0, 99), st.text(max_size=5)), max_size=4)


def test_a_stream_is_the_same_whatever_was_drawn_before() -> None:
    first = torch.randn(4, generator=stream(7, "shot", 3, "block", 0, "start"))
    torch.randn(100)
    torch.randn(4, generator=stream(7, "shot", 2, "block", 0, "start"))
    assert torch.equal(first, torch.randn(4, generator=stream(7, "shot", 3, "block", 0, "start")))


def test_the_derived_number_never_changes() -> None:
    assert derive(7, "shot", 3) == 1848207023358368939


@given(seed=st.integers(0, 2**63 - 1), names=NAMES, others=NAMES)
def test_different_names_give_different_seeds(seed: int, names: list[int | str], others: list[int | str]) -> None:
    same = [type(n) for n in names] == [type(n) for n in others] and names == others
    assert (derive(seed, *names) == derive(seed, *others)) == same


def test_numbers_and_texts_are_different_names() -> None:
    assert derive(1, "3") != derive(1, 3)


@given(seed=st.integers(0, 2**63 - 1))
def test_seeds_fit_a_generator(seed: int) -> None:
    assert 0 <= derive(seed, "x") < 2**63
    stream(seed, "x")
