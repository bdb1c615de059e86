"""Which replica holds which film, who has a seat, and who waits. Pure.

A film stays with the replica that holds its caches until that replica dies. A film that is watched takes a seat there;
any number of viewers share it. Who finds none waits, first come first served, and is told the truth about it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(eq=False, slots=True)
class Ticket:
    """One viewer's request for a seat at ``film``. ``admitted``: the viewer has one."""

    film: str
    admitted: bool = False


@dataclass(slots=True)
class Placement:
    """``seats``: films that may be watched at one replica at the same time."""

    seats: int
    replicas: set[str] = field(default_factory=set)
    homes: dict[str, str] = field(default_factory=dict)  # film -> replica
    _tickets: list[Ticket] = field(default_factory=list)  # in the order they came

    def join(self, replica: str) -> None:
        """A replica is ready."""
        self.replicas.add(replica)

    def lose(self, replica: str) -> list[str]:
        """A replica has died: its films have none until their viewers ask again."""
        self.replicas.discard(replica)
        films = [film for film, home in self.homes.items() if home == replica]
        for film in films:
            del self.homes[film]
        return films

    def settle(self, film: str, replica: str) -> None:
        """``film`` has been opened at ``replica``."""
        self.homes[film] = replica

    def forget(self, film: str) -> None:
        """There is no such film."""
        self.homes.pop(film, None)

    def home(self, film: str) -> str | None:
        """Where ``film`` is; if nowhere, it goes to the emptiest replica. None: no replica is ready."""
        if film not in self.homes and self.replicas:
            self.homes[film] = self.emptiest()
        return self.homes.get(film)

    def emptiest(self) -> str:
        """The replica with most free seats, then with fewest films. There must be one."""
        taken, films = self._taken(), Counter(self.homes.values())
        return min(sorted(self.replicas), key=lambda replica: (taken[replica], films[replica]))

    def ask(self, film: str) -> Ticket:
        """Queue another viewer of ``film``."""
        self._tickets.append(Ticket(film))
        return self._tickets[-1]

    def leave(self, ticket: Ticket) -> None:
        """A viewer has gone, from its seat or from the queue."""
        self._tickets.remove(ticket)

    def advance(self) -> None:
        """Let in whoever can be let in, in the order they came."""
        for ticket in self._tickets:
            ticket.admitted = ticket.admitted or self._let_in(ticket)

    def waiting(self) -> int:
        return sum(not ticket.admitted for ticket in self._tickets)

    def taken(self) -> int:
        """Seats that are taken."""
        return sum(self._taken().values())

    def position(self, ticket: Ticket) -> int:
        """How many seats must become free until ``ticket`` has its own: 1 is next. 0: it is in."""
        if ticket.admitted:
            return 0
        mine = self.homes.get(ticket.film)
        before = self._tickets[: self._tickets.index(ticket)]
        films = {
            other.film
            for other in before
            if not other.admitted and other.film != ticket.film and mine in (None, self.homes.get(other.film, mine))
        }
        return len(films) + 1

    def _let_in(self, ticket: Ticket) -> bool:
        if any(other.admitted and other.film == ticket.film for other in self._tickets):
            return ticket.film in self.homes
        taken = self._taken()
        if ticket.film not in self.homes:
            if not self.replicas or taken[self.emptiest()] >= self.seats:
                return False
            self.homes[ticket.film] = self.emptiest()
            return True
        return taken[self.homes[ticket.film]] < self.seats

    def _taken(self) -> Counter[str]:
        """How many seats of each replica are taken."""
        films = {ticket.film for ticket in self._tickets if ticket.admitted}
        return Counter(self.homes[film] for film in films if film in self.homes)
