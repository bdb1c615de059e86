"""The guard in front of the application: host names, origins, tokens, sizes, rates, content policy."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shotstream.core.errors import InputError
from shotstream.serving.access import LOGIN, OPEN_PATHS, Authentication
from shotstream.serving.clients import AT_ONCE, REQUESTS, SHARES, Share
from shotstream.serving.http_types import problem_of
from shotstream.serving.listener import STREAM

MAX_JSON = 64 * 1024  # bytes of a request's body, but for files that are sent in
MAX_UPLOAD = 1 << 30
UPLOADS = "/api/open"
OWN = re.compile(r"/api/films/[0-9a-f]{12}/(clips|references|exports/[a-z-]+)")  # what these take in are files, too
VIDEOS, REALTIME = "/v1/videos", "/v1/realtime/video"  # a socket at the latter begins a film
BEGINNINGS = ("/api/films", UPLOADS, VIDEOS)  # a POST to these begins a film
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src blob:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}
NAME = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:/?#@\[\]]+)(?::(\d{1,5}))?", re.IGNORECASE)
LAST_PORT = 65535
USUAL_PORTS = {"http": 80, "https": 443}
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")  # as a browser's address line has them
Refusal = tuple[int, str, str]  # status, code, and a sentence for a person


def is_loopback(host: str) -> bool:
    """Can only this machine reach ``host``?"""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Names:
    """The names under which the studio answers, as ``Host`` gives them; any, if there are none: then its token keeps
    other sites' pages out, as a browser sends a cookie only to the name that gave it.

    A page may ask if it comes from where it asks (its ``Origin`` is the ``Host``, port and all), or from one of the
    ``origins``: a proxy may have changed the host.
    """

    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()

    @classmethod
    def of_loopback(cls, port: int) -> Names:
        """This machine's own names, against DNS rebinding."""
        return cls(frozenset(_at(name, port) for name in LOOPBACK))

    @classmethod
    def of(cls, names: tuple[str, ...], port: int) -> Names:
        """Names of its own: with the port they come with, else at ``port`` and at the usual ports, where a proxy may
        stand. Their pages may be another's, who passes requests on under this studio's own name: over https, or from a
        port of this machine."""
        lower = [name.lower() for name in names]
        hosts = frozenset(host for name in lower for host in ((name,) if port_of(name) else (name, _at(name, port))))
        here = [name for name in lower if port_of(name) and name.rpartition(":")[0] in LOOPBACK]
        return cls(hosts, frozenset((*(f"https://{name}" for name in lower), *(f"http://{name}" for name in here))))

    def __or__(self, other: Names) -> Names:
        return Names(self.hosts | other.hosts, self.origins | other.origins)

    def refusal(self, headers: Headers) -> Refusal | None:
        """Why a request under this name, or from a page of this origin, is not for us."""
        host = headers.get("host", "").lower()
        if len(headers.getlist("host")) != 1 or not host or (self.hosts and host not in self.hosts):
            return 421, "foreign_host", "this studio does not answer to that name"
        foreign = 403, "foreign_origin", "a page of another site may not use this studio"
        origin = headers.get("origin")
        if origin is not None:
            scheme, _, site = origin.lower().partition("://")
            own = scheme in USUAL_PORTS and site in (host, host.removesuffix(f":{USUAL_PORTS[scheme]}"))
            if not own and origin.lower() not in self.origins:
                return foreign
        return None if headers.get("sec-fetch-site", "none") in ("none", "same-origin") else foreign


def port_of(name: str) -> int | None:
    """The port that ``name`` (``studio.example``, ``localhost:9000``, ``[::1]:9000``) comes with.

    Raises :class:`InputError` for what is no name."""
    found = NAME.fullmatch(name)
    if found is None or int(found[2] or 1) > LAST_PORT:
        raise InputError(f"--allow-host {name}: give NAME or NAME:PORT, as a browser's address line has it")
    return None if found[2] is None else int(found[2])


def _at(name: str, port: int) -> str:
    """``name`` as a browser's Host says it at ``port``."""
    return name if port in USUAL_PORTS.values() else f"{name}:{port}"


@dataclass(slots=True)
class Guard:
    """ASGI middleware. A page of another site cannot make this studio's browser act (Origin), nor reach it under a
    name of its own (Host); whoever has no token sees the login page and nothing else."""

    app: ASGIApp
    names: Names
    authentication: Authentication

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        said = self._refusal(scope, headers) or _malformed(scope, headers)
        if said is not None:
            return await _refuse(scope, send, headers, *said)
        if scope["type"] == "websocket":
            return await self._in_share("live", scope, receive, send)
        upload = scope["path"] == UPLOADS or OWN.fullmatch(scope["path"]) is not None
        limit = MAX_UPLOAD if upload else MAX_JSON
        length = headers.get("content-length", "0")
        if not length.isdigit() or len(length) > 20 or int(length) > limit:
            return await _refuse(scope, send, headers, 413, "too_large", f"a request has at most {limit} bytes")
        share: Share = "requests"
        if upload:
            share = "uploads"
        elif scope["path"].endswith(STREAM):
            share = "live"
        await self._in_share(share, scope, _limited(receive, limit), _with_headers(send))

    async def _in_share(self, share: Share, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a client have so much at once, and no more."""
        client, clients = _client(scope), self.authentication.clients
        if not clients.begin(client, share):
            text = f"at most {AT_ONCE[share]} {SHARES[share]} of one client at once; let one end first"
            return await _refuse(scope, send, Headers(), 429, "too_many", text)
        try:
            await self.app(scope, receive, send)
        finally:
            clients.end(client, share)

    def _refusal(self, scope: Scope, headers: Headers) -> Refusal | None:
        said = self.names.refusal(headers)
        if said is not None:
            return said
        client, clients = _client(scope), self.authentication.clients
        if not clients.take(client, "requests"):
            return 429, "too_fast", f"at most {REQUESTS[0]:g} requests a second"
        if self.authentication.access.open or scope["path"] in OPEN_PATHS:
            return None
        if "authorization" in headers and clients.spent(client, "wrong"):
            return 429, "too_fast", "too many wrong tokens; wait a minute"
        entry = self.authentication.access.entry(headers, self.authentication.cookie)
        if entry == "wrong":
            clients.take(client, "wrong")
        if entry != "yes":
            return 401, "no_token", "this studio asks for its token: Authorization: Bearer TOKEN, or log in at /login"
        posted = scope["type"] == "http" and scope["method"] == "POST"
        begins = scope["path"] in BEGINNINGS if posted else (scope["type"], scope["path"]) == ("websocket", REALTIME)
        if begins and not clients.take(client, "films"):
            return 429, "too_many", "you have begun many films; go on with one of them, or come back in a while"
        return None


def _malformed(scope: Scope, headers: Headers) -> Refusal | None:
    """Why a request could be read in two ways: by us, by a proxy before us, by a replica behind us."""
    path, raw = scope["path"], scope.get("raw_path") or b""
    steps = path.split("/")
    odd = steps[0] or "" in steps[1:-1] or "." in steps or ".." in steps or "\\" in path or not path.isprintable()
    if odd or b"%2f" in raw.lower():
        return 400, "malformed", "a path is plain: no //, no . or .. as a step, nothing hidden in %2f"
    if "content-length" in headers and "transfer-encoding" in headers:
        return 400, "malformed", "a body has a Content-Length or a Transfer-Encoding, not both"
    return None


def _client(scope: Scope) -> str:
    return str(scope["client"][0]) if scope.get("client") else ""


def _limited(receive: Receive, limit: int) -> Receive:
    """``receive`` that ends a body behind ``limit`` bytes, whatever its length was said to be."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        return message if seen <= limit else {"type": "http.disconnect"}

    return counted


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sent


async def _refuse(scope: Scope, send: Send, headers: Headers, status: int, code: str, text: str) -> None:
    """Say no; a person who only wants to see a page is shown the way to the login form."""
    if scope["type"] == "websocket":
        return await send({"type": "websocket.close", "code": 1008, "reason": code})
    answer: dict[str, str] = {"content-type": "application/json"}
    body = json.dumps(problem_of(scope["path"], code, text).model_dump()).encode()
    if status == 401:
        answer["www-authenticate"] = "Bearer"
        if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            status, answer, body = 303, {"location": LOGIN.removeprefix("/")}, b""
    answer["content-length"] = str(len(body))
    raw = [(name.encode(), value.encode()) for name, value in answer.items()]
    send = _with_headers(send)
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
