"""Who may ask, how much and how often: hosts, origins, sizes, rates, and what the page may load."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shotstream.core.errors import InputError

MAX_JSON = 64 * 1024  # bytes of a request's body, but for films that are opened
MAX_UPLOAD = 1 << 30
RATE, BURST = 100.0, 400.0  # requests a second per client address, and how many at once
UPLOADS = "/api/open"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}


def loopback(host: str) -> str:
    """``host`` if only this machine can reach it. Raises :class:`InputError`."""
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise InputError(
            f"--host {host}: the studio has no passwords and answers only on this machine; give 127.0.0.1, and reach "
            "it from elsewhere through ssh -L 7860:127.0.0.1:7860"
        )
    return host


@dataclass(slots=True)
class Bucket:
    """How many requests one client may send right now."""

    tokens: float = BURST
    at: float = 0.0

    def take(self, now: float) -> bool:
        self.tokens = min(BURST, self.tokens + max(0.0, now - self.at) * RATE)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(slots=True)
class Guard:
    """ASGI middleware. A page of another site cannot make this studio's browser act (Origin), nor reach it under a
    name of its own (Host, against DNS rebinding)."""

    app: ASGIApp
    port: int
    clock: Callable[[], float]
    buckets: dict[str, Bucket] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        said = self._refusal(scope, headers)
        if said is not None:
            return await _refuse(scope, send, *said)
        if scope["type"] == "websocket":
            return await self.app(scope, receive, send)
        limit = MAX_UPLOAD if scope["path"] == UPLOADS else MAX_JSON
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > limit:
            return await _refuse(scope, send, 413, "too_large", f"a request has at most {limit} bytes")
        await self.app(scope, _limited(receive, limit), _with_headers(send))

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str, str] | None:
        names = {f"{name}{port}" for name in ("127.0.0.1", "localhost", "[::1]") for port in ("", f":{self.port}")}
        if headers.get("host", "") not in names or len(headers.getlist("host")) != 1:
            return 421, "foreign_host", "this studio answers to 127.0.0.1 and localhost only"
        origin = headers.get("origin")
        if origin is not None and origin.removeprefix("http://") not in names:
            return 403, "foreign_origin", "a page of another site may not use this studio"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return 403, "foreign_origin", "a page of another site may not use this studio"
        client = scope["client"][0] if scope.get("client") else ""
        if len(self.buckets) > 1000:
            self.buckets.clear()
        if not self.buckets.setdefault(client, Bucket()).take(self.clock()):
            return 429, "too_fast", f"at most {RATE:g} requests a second"
        return None


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


async def _refuse(scope: Scope, send: Send, status: int, code: str, text: str) -> None:
    if scope["type"] == "websocket":
        return await send({"type": "websocket.close", "code": 1008, "reason": code})
    body = json.dumps({"code": code, "text": text}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
