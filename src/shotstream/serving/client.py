"""A Python client of the studio's HTTP API.

with StudioClient() as studio:
    film = studio.begin("A red fox in a snowy forest.", seed=7)
    film.shoot("Wide shot. The fox walks.", seconds=2)
    film.wait()
    film.fetch("fox.mp4")
"""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx
import numpy as np
from PIL import Image
from pydantic import TypeAdapter

from shotstream.core.context_budget import PolicyName
from shotstream.core.errors import InputError, ShotStreamError
from shotstream.core.files import whole_file
from shotstream.core.story import ShotChange, Story
from shotstream.media.exports.formats import format_named, format_of
from shotstream.media.story_file import read_story
from shotstream.serving import protocol
from shotstream.serving.client_messages import Command, Shoot
from shotstream.serving.frames import unpack
from shotstream.serving.http_types import MAX_NAME, PinnedPicture, Placed, Problem
from shotstream.serving.library import FilmSummary

USUAL = "http://127.0.0.1:7860"
POLL = 0.2  # seconds between two looks at what is being made
_FILMS = TypeAdapter(list[FilmSummary])
T = TypeVar("T")


class StudioError(ShotStreamError):
    """The studio refused, or cannot be reached. ``code``: why, in one word (docs/protocol.md)."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class StudioClient:
    """One connection to the studio at ``url``; ``timeout``: seconds any one answer may take; ``token``: of a studio
    that asks for one, sent with every request. A proxy is not used; https is checked against this machine's list.

    Every method raises :class:`StudioError` when the studio refuses or does not answer.
    """

    def __init__(self, url: str = USUAL, *, timeout: float = 120, token: str | None = None) -> None:
        self.url = url.rstrip("/")
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        self._http = httpx.Client(base_url=self.url, timeout=timeout, trust_env=False, headers=headers)

    def __enter__(self) -> StudioClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the connection. The studio and its films go on."""
        self._http.close()

    def model(self) -> protocol.ModelView:
        """The model, and whether it is ready."""
        return protocol.ModelView.model_validate_json(self.ask("GET", "/api/model").content)

    def ready(self, seconds: float = 120) -> protocol.ModelView:
        """Wait until the model can make films."""

        def state() -> protocol.ModelView | None:
            model = self.model()
            if model.state == "stopped":
                raise StudioError("closed", f"{self.url}: {model.fault or 'its model has stopped'}")
            return model if model.state == "ready" else None

        return _wait(state, seconds, "the model is not ready")

    def films(self) -> list[FilmSummary]:
        """All films, the latest first."""
        return _FILMS.validate_json(self.ask("GET", "/api/films").content)

    def begin(self, global_caption: str, seed: int = 0, context_policy: PolicyName | None = None) -> RemoteFilm:
        """A new film, without shots. context_policy: what chooses condition frames; None: the model's own."""
        new = {"global_caption": global_caption, "seed": seed, "context_policy": context_policy}
        return self._opened(self.ask("POST", "/api/films", json=new))

    def film(self, id: str) -> RemoteFilm:
        """The film with this id."""
        return self._opened(self.ask("GET", f"/api/films/{id}"))

    def open(self, path: str | Path) -> RemoteFilm:
        """A film of its own from a film file, or with every shot queued from a story in any format we read.

        Raises :class:`InputError` for a story with a fault.
        """
        if Path(path).is_file() and zipfile.is_zipfile(path):
            with Path(path).open("rb") as file:
                return self._opened(self.ask("POST", "/api/open", content=file))
        story = read_story(path)
        if story.files:
            return self._begun(story)
        told = story.model_dump_json(exclude_none=True)
        return self._opened(self.ask("POST", "/api/open", content=told.encode()))

    def _begun(self, story: Story) -> RemoteFilm:
        """A film of a story that names files, which are sent one by one."""
        film = self.begin(story.global_caption, story.seed, story.context_policy)
        for one in story.references or ():
            film.pin(one.picture, one.caption)
        if story.lora is not None:
            film.set_lora(story.lora)
        for shot in story.shots:
            if shot.clip is None:
                told = shot.model_dump(exclude={"clip"}, exclude_none=True)
                film.do(Shoot.model_validate(told))
            else:
                start, stop = shot.clip.start, shot.clip.stop
                film.place(shot.clip.file, shot.caption, start=start, stop=stop, seconds=shot.seconds, cuts=False)
        return film

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send any request of the API. Raises :class:`StudioError` if it is refused."""
        try:
            answer = self._http.request(method, path, **options)
        except httpx.TransportError as fault:
            raise self._absent(fault) from fault
        if answer.is_error:
            raise _refusal(answer)
        return answer

    def fetch(self, path: str, target: Path, params: dict[str, int], sent: bytes | None = None) -> None:
        """Write what the API answers to the file ``target``, whole or not at all. Raises :class:`StorageError` too."""
        try:
            with self._http.stream("GET" if sent is None else "POST", path, params=params, content=sent) as answer:
                if answer.is_error:
                    answer.read()
                    raise _refusal(answer)
                with whole_file(target) as temporary, temporary.open("wb") as file:
                    for piece in answer.iter_bytes():
                        file.write(piece)
        except httpx.TransportError as fault:
            raise self._absent(fault) from fault

    def _opened(self, answer: httpx.Response) -> RemoteFilm:
        return RemoteFilm(self, protocol.FilmView.model_validate_json(answer.content).id)

    def _absent(self, fault: httpx.TransportError) -> StudioError:
        said = str(fault) or type(fault).__name__
        return StudioError("no_studio", f"{self.url}: no studio answers ({said}); start one with `shotstream studio`")


class RemoteFilm:
    """A film in a studio. Made by :class:`StudioClient`. Raises as that does."""

    def __init__(self, studio: StudioClient, id: str) -> None:
        self.studio, self.id = studio, id

    def view(self) -> protocol.FilmView:
        """The film as it stands."""
        return protocol.FilmView.model_validate_json(self.studio.ask("GET", f"/api/films/{self.id}").content)

    def do(self, command: Command) -> int | None:
        """Any command of :mod:`shotstream.serving.client_messages`; returns the id of the take it is about."""
        return self._say(**command.model_dump())

    def shoot(
        self,
        caption: str,
        seconds: float | None = None,
        seed: int | None = None,
        *,
        changes: Mapping[float, str] | Sequence[ShotChange] | None = None,
        lora: Mapping[str, float] | None = None,
        endless: bool = False,
    ) -> int | None:
        """Queue a shot at the film's end; returns the id of its first take. changes: captions that take over in its
        middle, by the second at which they do, or as a story has them. lora: adapters and their weights; None: the
        film's. endless: until it is cut, or another waits."""
        if isinstance(changes, Mapping):
            changes = [ShotChange(seconds=at, caption=text) for at, text in changes.items()]
        told = [one.model_dump() for one in changes or ()]
        shot = {"caption": caption, "seconds": seconds, "seed": seed, "changes": told or None, "lora": lora}
        return self._say(type="shoot", endless=endless, **shot)

    def change(self, caption: str, *, frame: int | None = None, blend: float | None = None) -> int | None:
        """Make the running shot under ``caption`` from its next block or this frame on; ``blend``: seconds in which it
        takes over."""
        return self._say(type="change", caption=caption, frame=frame, blend=blend)

    def retake(
        self, shot: int, seed: int | None = None, *, caption: str | None = None, seconds: float | None = None
    ) -> int | None:
        """Queue another take of ``shot``; returns its id."""
        return self._say(type="retake", shot=shot, seed=seed, caption=caption, seconds=seconds)

    def set_lora(self, lora: Mapping[str, float] | None) -> None:
        """Make takes to come with these LoRA adapters, by name; None: with all that the studio has loaded."""
        self._say(type="lora", lora=lora)

    def choose(self, shot: int, take: int) -> None:
        """Put the take with the id ``take`` into the film."""
        self._say(type="choose", shot=shot, take=take)

    def place(
        self,
        path: str | Path,
        caption: str | Sequence[str],
        *,
        at: int | None = None,
        start: float = 0.0,
        stop: float | None = None,
        seconds: float | None = None,
        cuts: bool = True,
    ) -> tuple[int, ...]:
        """Put a clip or picture of your own in, as :meth:`shotstream.film.film.Film.place` does; ids of its takes."""
        part = {"at": at, "start": start, "stop": stop, "seconds": seconds, "cuts": cuts}
        captions = [caption] if isinstance(caption, str) else list(caption)
        answer = self._send("clips", Path(path), {"caption": captions, **part})
        return Placed.model_validate_json(answer.content).takes

    def pin(self, path: str | Path, caption: str) -> int:
        """Pin a reference image, as :meth:`shotstream.film.film.Film.pin` does; returns its id."""
        answer = self._send("references", Path(path), {"caption": caption})
        return PinnedPicture.model_validate_json(answer.content).picture

    def unpin(self, picture: int) -> None:
        """Unpin the reference image with this id."""
        self._say(type="unpin", picture=picture)

    def _send(self, what: str, path: Path, fields: Mapping[str, Any]) -> httpx.Response:
        """Send the file ``path`` with what is to be said of it. Raises :class:`InputError` if it cannot be read."""
        params = {name: value for name, value in fields.items() if value is not None}
        try:
            with path.open("rb") as file:
                params["name"] = path.name[-MAX_NAME:]
                return self.studio.ask("POST", f"/api/films/{self.id}/{what}", params=params, content=file)
        except OSError as fault:
            raise InputError(f"{path}: cannot be read ({fault.strerror})") from fault

    def wait(self, seconds: float = 3600) -> protocol.FilmView:
        """Wait until everything that is queued is made; returns the film."""

        def done() -> protocol.FilmView | None:
            view = self.view()
            if view.queue and view.paused and view.running is None:
                raise StudioError("paused", "the film is paused, or a take of it failed; say Resume to go on")
            return view if view.running is None and not view.queue else None

        return _wait(done, seconds, "the film is not done")

    def frames(self, take: int) -> np.ndarray:
        """Every frame of a made take as the page shows it (JPEG): uint8 [T, height, width, 3]."""
        pictures = unpack(self.studio.ask("GET", f"/api/films/{self.id}/takes/{take}/frames").content)
        return np.stack([np.asarray(Image.open(io.BytesIO(one.data)).convert("RGB")) for one in pictures])

    def fetch(
        self,
        path: str | Path,
        name: str | None = None,
        shot: int | None = None,
        *,
        fps: int | None = None,
        sound: str | Path | None = None,
    ) -> Path:
        """Write the film to ``path`` in the format called ``name``, or else as its suffix says; ``.film`` is the film.

        shot: that shot alone. fps, sound: as in :meth:`shotstream.film.film.Film.export`. What is more than one file
        (clips, otio, edl) comes as a zip: name one. Raises :class:`InputError` for a format or suffix that means
        nothing, :class:`StorageError` when the disk refuses.
        """
        target = Path(path)
        if name is None and target.suffix.lower() == ".film":
            self.studio.fetch(f"/api/films/{self.id}/film.film", target, {})
            return target
        chosen = format_of(target) if name is None else format_named(name)
        suffixes = (".zip",) if chosen.several else chosen.suffixes
        if target.suffix.lower() not in suffixes:
            wanted = " or ".join(suffixes)
            raise InputError(f"{target}: {chosen.name} comes as {wanted}; name the file so and say {chosen.name!r}")
        params = {key: value for key, value in (("shot", shot), ("fps", fps)) if value is not None}
        track = None if sound is None else _contents(Path(sound))
        self.studio.fetch(f"/api/films/{self.id}/exports/{chosen.name}", target, params, track)
        return target

    def _say(self, **command: object) -> int | None:
        answer = self.studio.ask("POST", f"/api/films/{self.id}/commands", json=command)
        return protocol.Applied.model_validate_json(answer.content).take


def _contents(path: Path) -> bytes:
    """Raises :class:`InputError` if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as fault:
        raise InputError(f"{path}: cannot be read ({fault.strerror})") from fault


def _refusal(answer: httpx.Response) -> StudioError:
    """The studio's refusal; or that something else has answered, such as a proxy."""
    try:
        said = Problem.model_validate_json(answer.content)
    except ValueError:
        said = Problem(code="malformed", text=f"{answer.url.host} answered {answer.status_code}")
    return StudioError(said.code, said.text)


def _wait(look: Callable[[], T | None], seconds: float, said: str) -> T:
    end = time.monotonic() + seconds
    while (found := look()) is None:
        if time.monotonic() > end:
            raise StudioError("too_slow", f"{said} after {seconds:g} s; wait longer")
        time.sleep(POLL)
    return found
