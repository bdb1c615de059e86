"""The guard before the application: names, origins, tokens, sizes, rates, and what the page may load."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shotstream.serving.clients import MOST_SOCKETS, REQUESTS
from shotstream.serving.login import LOGIN, OPEN_PATHS, Door

MAX_JSON = 64 * 1024  # bytes of a request's body, but for films that are opened
MAX_UPLOAD = 1 << 30
UPLOADS = "/api/open"
BEGINNINGS = ("/api/films", UPLOADS)  # a POST to these begins a film
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
Refusal = tuple[int, str, str]  # status, code, and a sentence for a person


def is_loopback(host: str) -> bool:
    """Can only this machine reach ``host``?"""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Names:
    """The names under which the studio answers; any, if there are none: then its token keeps other sites' pages out,
    as a browser sends a cookie only to the name that gave it."""

    hosts: frozenset[str] = frozenset()

    @classmethod
    def of_loopback(cls, port: int) -> Names:
        """This machine's own names, against DNS rebinding."""
        return cls.of(("127.0.0.1", "localhost", "[::1]"), port)

    @classmethod
    def of(cls, names: tuple[str, ...], port: int) -> Names:
        return cls(frozenset(f"{name.lower()}{end}" for name in names for end in ("", f":{port}")))

    def refusal(self, headers: Headers) -> Refusal | None:
        """Why a request under this name, or from a page of this origin, is not for us."""
        host = headers.get("host", "").lower()
        if len(headers.getlist("host")) != 1 or not host or (self.hosts and host not in self.hosts):
            return 421, "foreign_host", "this studio does not answer to that name"
        foreign = 403, "foreign_origin", "a page of another site may not use this studio"
        origin = headers.get("origin")
        if origin is not None:
            scheme, _, site = origin.lower().partition("://")
            if scheme not in ("http", "https") or site not in (self.hosts or {host}):
                return foreign
        return None if headers.get("sec-fetch-site", "none") in ("none", "same-origin") else foreign


@dataclass(slots=True)
class Guard:
    """ASGI middleware. A page of another site cannot make this studio's browser act (Origin), nor reach it under a
    name of its own (Host); whoever has no token sees the login page and nothing else."""

    app: ASGIApp
    names: Names
    door: Door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        said = self._refusal(scope, headers)
        if said is not None:
            return await _refuse(scope, send, headers, *said)
        if scope["type"] == "websocket":
            return await self._live(scope, receive, send)
        limit = MAX_UPLOAD if scope["path"] == UPLOADS else MAX_JSON
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > limit:
            return await _refuse(scope, send, headers, 413, "too_large", f"a request has at most {limit} bytes")
        await self.app(scope, _limited(receive, limit), _with_headers(send))

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = _client(scope)
        if not self.door.clients.open_socket(client):
            return await _refuse(scope, send, Headers(), 429, "too_many", f"at most {MOST_SOCKETS} live sockets")
        try:
            await self.app(scope, receive, send)
        finally:
            self.door.clients.close_socket(client)

    def _refusal(self, scope: Scope, headers: Headers) -> Refusal | None:
        said = self.names.refusal(headers)
        if said is not None:
            return said
        client, clients = _client(scope), self.door.clients
        if not clients.take(client, "requests"):
            return 429, "too_fast", f"at most {REQUESTS[0]:g} requests a second"
        if self.door.access.open or scope["path"] in OPEN_PATHS:
            return None
        if "authorization" in headers and clients.spent(client, "wrong"):
            return 429, "too_fast", "too many wrong tokens; wait a minute"
        entry = self.door.access.entry(headers, self.door.cookie)
        if entry == "wrong":
            clients.take(client, "wrong")
        if entry != "yes":
            return 401, "no_token", "this studio asks for its token: Authorization: Bearer TOKEN, or log in at /login"
        begins = scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in BEGINNINGS
        if begins and not clients.take(client, "films"):
            return 429, "too_many", "you have begun many films; go on with one of them, or come back in a while"
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
    body = json.dumps({"code": code, "text": text}).encode()
    if status == 401:
        answer["www-authenticate"] = "Bearer"
        if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            status, answer, body = 303, {"location": LOGIN}, b""
    answer["content-length"] = str(len(body))
    raw = [(name.encode(), value.encode()) for name, value in answer.items()]
    send = _with_headers(send)
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
