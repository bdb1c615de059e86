"""Seats and queue as a state machine: never too many, first come first served, positions that are true."""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shotstream.serving.fleet.placement import Placement, Ticket

FILMS, REPLICAS = st.sampled_from("abcdef"), st.sampled_from(("0.1", "1.1", "2.1"))


class Seats(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.placement = Placement(seats=2)
        self.tickets: list[Ticket] = []

    @rule(replica=REPLICAS)
    def join(self, replica: str) -> None:
        self.placement.join(replica)
        self.placement.advance()

    @rule(replica=REPLICAS)
    def lose(self, replica: str) -> None:
        films = set(self.placement.lose(replica))
        for ticket in [one for one in self.tickets if one.admitted and one.film in films]:
            self.go(ticket)  # the line breaks; the viewer comes again
        self.placement.advance()

    @rule(film=FILMS)
    def ask(self, film: str) -> None:
        before = {id(one): self.placement.position(one) for one in self.tickets}
        self.tickets.append(self.placement.ask(film))
        self.placement.advance()
        assert {id(one): self.placement.position(one) for one in self.tickets[:-1]} == before

    @rule(which=st.integers(0, 20))
    def leave(self, which: int) -> None:
        if self.tickets:
            before = {id(one): self.placement.position(one) for one in self.tickets}
            self.go(self.tickets[which % len(self.tickets)])
            self.placement.advance()
            assert all(self.placement.position(one) <= before[id(one)] for one in self.tickets)

    def go(self, ticket: Ticket) -> None:
        self.tickets.remove(ticket)
        self.placement.leave(ticket)

    @invariant()
    def seats_are_never_too_many(self) -> None:
        seated = {one.film for one in self.tickets if one.admitted}
        assert seated <= set(self.placement.homes)
        taken = Counter(self.placement.homes[film] for film in seated)
        assert all(number <= 2 for number in taken.values()) and set(taken) <= self.placement.replicas
        assert self.placement.taken() == len(seated)

    @invariant()
    def nobody_waits_beside_a_seat(self) -> None:
        seated = {one.film for one in self.tickets if one.admitted}
        taken = Counter(self.placement.homes[film] for film in seated)
        for one in self.tickets:
            if not one.admitted:
                homes = (
                    [self.placement.homes[one.film]] if one.film in self.placement.homes else self.placement.replicas
                )
                assert one.film not in seated and all(taken[home] == 2 for home in homes)
                assert 1 <= self.placement.position(one) <= len(self.tickets)

    @invariant()
    def films_are_where_there_is_a_replica(self) -> None:
        assert set(self.placement.homes.values()) <= self.placement.replicas


TestSeats = Seats.TestCase
TestSeats.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)


def test_a_film_stays_where_it_is_and_moves_when_that_dies() -> None:
    placement = Placement(seats=1)
    assert placement.home("a") is None
    placement.join("0.1")
    placement.join("1.1")
    first, second = placement.home("a"), placement.home("b")
    assert {first, second} == {"0.1", "1.1"} and placement.home("a") == first
    assert placement.lose(str(first)) == ["a"]
    assert placement.home("a") == second


def test_positions_count_seats_not_people() -> None:
    placement = Placement(seats=1)
    placement.join("0.1")
    tickets = [placement.ask(film) for film in "abbbc"]
    placement.advance()
    assert [placement.position(one) for one in tickets] == [0, 1, 1, 1, 2]
    placement.leave(tickets[0])
    placement.advance()
    assert [placement.position(one) for one in tickets[1:]] == [0, 0, 0, 1]
