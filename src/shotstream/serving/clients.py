"""Rate limits of one client: requests, new films, wrong tokens, live sockets."""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["requests", "films", "wrong"]
# Tokens a second that come back, and how many at once.
REQUESTS = (100.0, 400.0)
FILMS = (20 / 3600, 20.0)  # begun by one client; asked of clients elsewhere only
WRONG = (0.1, 10.0)  # tokens that are not the right one
Share = Literal["requests", "uploads", "live"]
AT_ONCE: dict[Share, int] = {"requests": 64, "uploads": 2, "live": 64}  # of one client
SHARES: dict[Share, str] = {"requests": "requests", "uploads": "uploads", "live": "live sockets and streams"}
MOST_CLIENTS = 4096  # remembered; the one that has been silent longest is forgotten first


@dataclass(slots=True)
class Bucket:
    """What may be had right now: ``rate`` a second come back, up to ``burst``."""

    rate: float
    burst: float
    tokens: float = field(default=-1.0)
    at: float = 0.0

    def take(self, now: float) -> bool:
        """Take one, if there is one at ``now`` (seconds of a clock that never goes back)."""
        self._fill(now)
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def empty(self, now: float) -> bool:
        self._fill(now)
        return self.tokens < 1

    def _fill(self, now: float) -> None:
        if self.tokens < 0:
            self.tokens, self.at = self.burst, now
        self.tokens = min(self.burst, self.tokens + max(0.0, now - self.at) * self.rate)
        self.at = max(now, self.at)


@dataclass(slots=True)
class Client:
    """What one client has used."""

    requests: Bucket = field(default_factory=lambda: Bucket(*REQUESTS))
    films: Bucket = field(default_factory=lambda: Bucket(*FILMS))
    wrong: Bucket = field(default_factory=lambda: Bucket(*WRONG))
    at_once: Counter[Share] = field(default_factory=Counter)

    def bucket(self, kind: Kind) -> Bucket:
        match kind:
            case "requests":
                return self.requests
            case "films":
                return self.films
            case "wrong":
                return self.wrong


class Clients:
    """Every client of late, by address; an IPv6 network of 64 bits, which one household or machine has, is one."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: OrderedDict[str, Client] = OrderedDict()

    def take(self, address: str, kind: Kind) -> bool:
        """May this client have one more?"""
        return self._client(address).bucket(kind).take(self._clock())

    def spent(self, address: str, kind: Kind) -> bool:
        """Whether none is left; asking takes none."""
        return self._client(address).bucket(kind).empty(self._clock())

    def begin(self, address: str, share: Share) -> bool:
        """Count something this client has at once; False: it has too many of them."""
        client = self._client(address)
        if client.at_once[share] >= AT_ONCE[share]:
            return False
        client.at_once[share] += 1
        return True

    def end(self, address: str, share: Share) -> None:
        self._client(address).at_once[share] -= 1

    def _client(self, address: str) -> Client:
        name = _household(address)
        client = self._known.setdefault(name, Client())
        self._known.move_to_end(name)
        while len(self._known) > MOST_CLIENTS and (idle := self._idlest()) is not None:
            del self._known[idle]
        return client

    def _idlest(self) -> str | None:
        """The client that has been silent longest, with nothing under way; never the latest."""
        names = list(self._known)[:-1]
        return next((name for name in names if not self._known[name].at_once.total()), None)


def _household(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6 and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
