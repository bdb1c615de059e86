"""The login page: a form that takes the token once and gives a cookie for it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from shotstream.serving.access import LASTS, Access
from shotstream.serving.clients import Clients

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
class Door:
    """What the guard and the login form share. ``cookie``: its name; cookies know no ports, so the name has it."""

    access: Access
    clients: Clients
    cookie: str


def login_routes(door: Door) -> APIRouter:
    """The page, and what its form is sent to."""
    router = APIRouter(include_in_schema=False)

    @router.get(LOGIN)
    async def page() -> Response:
        return RedirectResponse("/", 303) if door.access.open else _page(wrong=False)

    @router.post(LOGIN)
    async def enter(request: Request) -> Response:
        client = request.client.host if request.client else ""
        if door.clients.spent(client, "wrong"):
            return _page(wrong=True, status=429)
        token = parse_qs((await request.body()).decode("ascii", "replace")).get("token", [""])[0].strip()
        if not door.access.right(token):
            door.clients.take(client, "wrong")
            return _page(wrong=True, status=401)
        answer = RedirectResponse("/", 303)
        secure = request.url.scheme == "https"
        answer.set_cookie(
            door.cookie, door.access.log_in(), max_age=LASTS, httponly=True, samesite="strict", secure=secure
        )
        return answer

    return router


def _page(*, wrong: bool, status: int = 200) -> Response:
    text = (files("shotstream.serving") / "web" / "login.html").read_text(encoding="utf-8")
    return HTMLResponse(text.replace(_HIDDEN, _SHOWN) if wrong else text, status, headers=_HEADERS)
