"""Authentication: the token as a Bearer, or the cookie of the login form; and that form."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from shotstream.core.errors import InputError
from shotstream.serving.clients import Clients

TOKEN_ENV = "SHOTSTREAM_TOKEN"
SHORTEST = 16  # characters of a token a person may choose
LONGEST = 512
LASTS = 7 * 24 * 3600  # seconds a login lasts, at most as long as the studio runs
MOST_LOGINS = 1000  # the oldest ends first
Entry = Literal["yes", "no", "wrong"]


def given_token(file: Path | None, environment: str | None) -> str | None:
    """The token a person gave, in a file or in the environment; None if they gave none. Raises :class:`InputError`."""
    if file is None:
        return None if environment is None else _checked(environment, TOKEN_ENV)
    try:
        return _checked(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as fault:
        said = fault.strerror if isinstance(fault, OSError) else "not text"
        raise InputError(f"--token-file {file}: cannot be read ({said}); give a file with one line") from fault


def new_token() -> str:
    """A token nobody can guess: 256 bits."""
    return secrets.token_urlsafe(32)


def _checked(text: str, where: str) -> str:
    token = text.strip()
    if not SHORTEST <= len(token) <= LONGEST or not all("!" <= letter <= "~" for letter in token):
        raise InputError(
            f"{where}: a token is {SHORTEST} to {LONGEST} letters, digits or signs without spaces; for example the "
            "output of `openssl rand -hex 24`"
        )
    return token


class Access:
    """Knows the token and who is logged in, both only as digests. ``token`` None: everybody is let in."""

    def __init__(self, token: str | None, clock: Callable[[], float]) -> None:
        self._token = None if token is None else _digest(token)
        self._clock = clock
        self._logins: OrderedDict[bytes, float] = OrderedDict()  # digest of the ticket -> when it ends

    @property
    def open(self) -> bool:
        return self._token is None

    def right(self, token: str) -> bool:
        """Is this the token? Takes as long whatever it is."""
        return self._token is not None and hmac.compare_digest(self._token, _digest(token))

    def log_in(self) -> str:
        """A ticket for the cookie of somebody who knew the token."""
        ticket = secrets.token_urlsafe(32)
        self._logins[_digest(ticket)] = self._clock() + LASTS
        while len(self._logins) > MOST_LOGINS:
            self._logins.popitem(last=False)
        return ticket

    def entry(self, headers: Headers, cookie: str) -> Entry:
        """May a request with these headers enter? ``cookie``: the name of ours. ``wrong``: it guessed a token."""
        if self.open or self._logged_in(headers, cookie):
            return "yes"
        given = headers.get("authorization")
        if given is None:
            return "no"
        scheme, _, token = given.partition(" ")
        return "yes" if scheme.lower() == "bearer" and self.right(token.strip()) else "wrong"

    def _logged_in(self, headers: Headers, cookie: str) -> bool:
        ticket = cookie_parser(headers.get("cookie", "")).get(cookie)
        if ticket is None:
            return False
        ends = self._logins.get(_digest(ticket))  # by digest: the time it takes says nothing about a ticket
        return ends is not None and ends > self._clock()


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


LOGIN = "/login"
OPEN_PATHS = frozenset((LOGIN, "/login.css", "/icon.svg"))  # what somebody who is not logged in may fetch
_HIDDEN, _SHOWN = '<p class="wrong" role="alert" hidden>', '<p class="wrong" role="alert">'
# The form's own rights. Without a referrer browsers send Origin: null with a form, which the guard refuses.
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Authentication:
    """What the guard and the login form share. ``cookie``: its name; cookies know no ports, so the name has it."""

    access: Access
    clients: Clients
    cookie: str


def login_routes(authentication: Authentication) -> APIRouter:
    """The page, and what its form is sent to."""
    router = APIRouter(include_in_schema=False)

    @router.get(LOGIN)
    async def page() -> Response:
        return RedirectResponse("./", 303) if authentication.access.open else _page(wrong=False)

    @router.post(LOGIN)
    async def enter(request: Request) -> Response:
        client = request.client.host if request.client else ""
        if authentication.clients.spent(client, "wrong"):
            return _page(wrong=True, status=429)
        token = parse_qs((await request.body()).decode("ascii", "replace")).get("token", [""])[0].strip()
        if not authentication.access.right(token):
            authentication.clients.take(client, "wrong")
            return _page(wrong=True, status=401)
        answer = RedirectResponse("./", 303)
        secure = request.url.scheme == "https"
        answer.set_cookie(
            authentication.cookie,
            authentication.access.log_in(),
            max_age=LASTS,
            httponly=True,
            samesite="strict",
            secure=secure,
        )
        return answer

    return router


def _page(*, wrong: bool, status: int = 200) -> Response:
    text = (files("shotstream.serving") / "web" / "login.html").read_text(encoding="utf-8")
    return HTMLResponse(text.replace(_HIDDEN, _SHOWN) if wrong else text, status, headers=_HEADERS)
