"""vLLM-Omni's socket for video while it is made, /v1/realtime/video: one session is one film. docs/protocol.md."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import WebSocket, WebSocketDisconnect
from pydantic import Field, TypeAdapter, ValidationError

from shotstream.core.config import Config, first_fault
from shotstream.core.errors import InputError, ShotStreamError, StorageError
from shotstream.core.geometry import Geometry
from shotstream.media.h264 import following
from shotstream.serving.app_state import AppState, refusal
from shotstream.serving.asked_video import AskedVideo
from shotstream.serving.broadcaster import Outbox, OutMessage, PendingBlock
from shotstream.serving.client_messages import Change, Prompt
from shotstream.serving.client_messages import Stop as StopFilm
from shotstream.serving.clients import Bucket
from shotstream.serving.connection import BURST, MAX_STRIKES, RATE
from shotstream.serving.protocol import MAX_MESSAGE, FilmView, ModelChanged, Notice, Refused
from shotstream.serving.session import RefusedError
from shotstream.serving.videos import PREFIX, begin_video

START_SECONDS = 10.0  # in which a client says what it wants
MOST_EVENTS = 16  # that wait to be applied
Size = Annotated[int, Field(ge=1, le=99_999)]


class Start(AskedVideo):
    """The first message. ``num_frames``: of the one shot, as ``seconds`` in another unit."""

    type: Literal["session.start"]
    format: Literal["m4s"] = "m4s"
    width: Size | None = None
    height: Size | None = None
    fps: Size | None = None
    num_frames: Size | None = None

    def asked(self, geometry: Geometry) -> AskedVideo:
        """The same as other APIs ask for it. Raises :class:`InputError`."""
        if self.fps not in (None, geometry.fps):
            raise InputError(f"fps: the model makes {geometry.fps} frames a second; give that, or leave it out")
        if self.num_frames is not None and self.seconds is not None:
            raise InputError("num_frames and seconds both say how long the shot is; give one of them")
        told = self.model_dump(include=set(AskedVideo.model_fields))
        if self.num_frames is not None:
            told["seconds"] = self.num_frames / geometry.fps
        if self.width is not None or self.height is not None:
            told["size"] = f"{self.width or geometry.width}x{self.height or geometry.height}"
        try:
            return AskedVideo.model_validate(told)
        except ValidationError as fault:
            raise InputError(first_fault(fault).replace("seconds", "num_frames")) from fault


class Event(Config):
    """What is to become of the video."""

    prompt: Prompt


class Interaction(Config):
    """``event_id``: what the chunk that shows it says; None: a new one."""

    event_id: Annotated[str, Field(min_length=1, max_length=80)] | None = None
    event: Event
    transition_chunks: int | None = None


class Interact(Config):
    """Another prompt, from the next block on."""

    type: Literal["session.interaction"]
    interaction: Interaction


class Stop(Config):
    """End with the blocks there are."""

    type: Literal["session.stop"]


class Ping(Config):
    """Asks for a pong, to see that the connection is alive."""

    type: Literal["session.ping"]


Control = Annotated[Start | Interact | Stop | Ping, Field(discriminator="type")]
_CONTROL: TypeAdapter[Start | Interact | Stop | Ping] = TypeAdapter(Control)


class FailedError(ShotStreamError):
    """The session is over before its video is whole."""


@dataclass(slots=True)
class RealtimeVideo:
    """One connection. ``waiting``: events that are still to be applied; ``begun``: those that were, by the take and
    its frame from which they show; ``frames``, ``chunks``: sent so far."""

    socket: WebSocket
    app_state: AppState
    film: str = ""
    outbox: Outbox = field(default_factory=lambda: Outbox("mp4"))
    waiting: asyncio.Queue[tuple[str, str]] = field(default_factory=lambda: asyncio.Queue(MOST_EVENTS))
    begun: dict[str, tuple[int, int]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    running: asyncio.Event = field(default_factory=asyncio.Event)
    line: asyncio.Lock = field(default_factory=asyncio.Lock)
    speed: Bucket = field(default_factory=lambda: Bucket(RATE, BURST))
    frames: int = 0
    chunks: int = 0
    stopped: bool = False
    over: bool = False

    async def run(self) -> None:
        """Until the video is whole, or the client stops it or goes: then the film stays as it is."""
        await self.socket.accept()
        self.film = self.app_state.library.new_id()
        self.app_state.broadcaster.join(self.film, self.outbox)
        try:
            if await self._start():
                await self._while_it_is_made()
        except (WebSocketDisconnect, RuntimeError, OSError):
            return  # the client has gone while something was said to it
        finally:
            self.app_state.broadcaster.leave(self.film, self.outbox)
            if not self.over and self.app_state.library.has(self.film):
                with suppress(RefusedError):
                    self.app_state.worker.submit(lambda studio: studio.command(self.film, StopFilm()), urgent=True)

    @property
    def _client(self) -> str:
        return self.socket.client.host if self.socket.client else ""

    async def _start(self) -> bool:
        """Begin what the first message asks for; False: it asks for nothing that can be made, and was told so."""
        try:
            text = await asyncio.wait_for(self._heard(), START_SECONDS)
            start = _read(text)
            if not isinstance(start, Start):
                raise InputError("say session.start first: with a prompt, and if wanted num_frames and seed")
            asked = start.asked(self.app_state.geometry)
            ticket = await begin_video(self.app_state, asked, self._client, self.film)
        except TimeoutError:
            return await self._end_with("the first message, session.start, did not come in time", "timeout")
        except (RefusedError, InputError, StorageError) as fault:
            said = refusal(0, fault)
            return await self._end_with(said.text, said.code)
        geometry = self.app_state.geometry
        config = {"prompt": asked.prompt, "model": ticket.model, "seed": asked.seed, "num_frames": ticket.frames}
        config |= {"width": geometry.width, "height": geometry.height, "fps": geometry.fps}
        await self._say("video.start", format="m4s", config=config)
        return True

    async def _end_with(self, message: str, code: str) -> Literal[False]:
        await self._say("error", message=message, code=code)
        await self.socket.close(1008, code)
        return False

    async def _while_it_is_made(self) -> None:
        tasks = [asyncio.create_task(work()) for work in (self._listen, self._apply_all, self._post)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except FailedError as fault:
            await self._end_with(str(fault), "failed")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _heard(self) -> str:
        """The next message. Raises :class:`WebSocketDisconnect` when the client has gone."""
        message = await self.socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect
        return message.get("text") or ""

    async def _listen(self) -> None:
        strikes = 0
        while True:
            text = await self._heard()
            try:
                if not self.speed.take(self.app_state.clock()):
                    strikes += 1
                    if strikes >= MAX_STRIKES:
                        raise FailedError(f"at most {RATE:g} messages a second")
                    raise RefusedError("too_fast", f"at most {RATE:g} messages a second")
                await self._do(_read(text))
            except (RefusedError, InputError, StorageError) as fault:
                said = refusal(0, fault)
                await self._say("error", message=said.text, code=said.code)

    async def _do(self, message: Start | Interact | Stop | Ping) -> None:
        match message:
            case Ping():
                await self._say("session.pong")
            case Stop():
                self.stopped = True
                await asyncio.wrap_future(
                    self.app_state.worker.submit(lambda studio: studio.command(self.film, StopFilm()), urgent=True)
                )
            case Interact():
                await self._queue(message.interaction)
            case Start():
                raise InputError("this session has a video already; open another one")

    async def _queue(self, asked: Interaction) -> None:
        id = asked.event_id or uuid4().hex
        if asked.transition_chunks not in (None, 0, 1):
            said = "transition_chunks: a prompt takes over at once, at the next block; give 0 or 1, or leave it out"
            return await self._say("error", message=said, code="interaction_failed", event_id=id)
        if id in self.seen:
            said = "this event_id was used before; give another one, or none"
            return await self._say("error", message=said, code="event_id_conflict", event_id=id)
        if self.waiting.full():
            raise RefusedError("too_fast", f"{MOST_EVENTS} interactions are waiting to be applied; wait until some are")
        self.seen.add(id)
        self.waiting.put_nowait((id, asked.event.prompt))
        await self._say("session.interaction.queued", event_id=id)

    async def _apply_all(self) -> None:
        """Give every event to the film, in the order in which they came, as soon as a shot is being made."""
        while True:
            id, prompt = await self.waiting.get()
            try:
                await self._apply(id, Change(caption=prompt))
            except (RefusedError, InputError, StorageError) as fault:
                self.seen.discard(id)
                said = refusal(0, fault).text
                await self._say("error", message=said, code="interaction_failed", event_id=id)

    async def _apply(self, id: str, change: Change) -> None:
        while True:
            await self.running.wait()
            try:
                done = await self.app_state.ask(lambda studio: studio.command(self.film, change, self._client))
            except RefusedError as fault:
                if fault.code != "nothing_running":
                    raise
                self.running.clear()  # it stands between two shots; the film says when it goes on
                continue
            first = self.app_state.geometry.shot_frames(done.block) if done.block else 0
            self.begun[id] = (done.take or 0, first)
            return

    async def _post(self) -> None:
        """Send chunks as they come, until the video is whole or was stopped."""
        while not self.over or not self.outbox.empty():
            message = await self.outbox.get()
            if self.outbox.dropped:
                raise FailedError("the client reads too slowly; the whole video is at /v1/videos")
            if isinstance(message, PendingBlock):
                await self._send(message)
            else:
                self._look(message)
        await self._say("session.done", chunks=self.chunks, stopped=self.stopped)
        await self.socket.close()

    def _look(self, message: OutMessage) -> None:
        """Note how the film stands. Raises :class:`FailedError` when it will not go on."""
        match message:
            case FilmView():
                (self.running.clear if message.running is None else self.running.set)()
                self.over = message.running is None and (self.stopped or not message.queue)
            case Notice(code="take_failed") | Refused():
                raise FailedError(message.text)
            case ModelChanged(model=model) if model.state == "stopped":
                raise FailedError(model.fault or "the studio is closing")

    async def _send(self, block: PendingBlock) -> None:
        for picture in (await block.finished()).pictures:
            data = following(picture.data, self.chunks, self.frames, block.fps)
            shown = list(self._shown(picture.take, picture.frame))
            async with self.line:
                await self.socket.send_json(
                    {
                        "type": "video.chunk_metadata",
                        "request_id": PREFIX + self.film,
                        "kind": "media",
                        "transport_chunk_index": self.chunks,
                        "generation_chunk_index": self.chunks,
                        "num_frames": picture.frames,
                        "byte_length": len(data),
                        "started_event_ids": shown,
                        "active_event_ids": [],
                        "completed_event_ids": shown,
                    }
                )
                await self.socket.send_bytes(data)
            self.chunks, self.frames = self.chunks + 1, self.frames + picture.frames

    def _shown(self, take: int, frame: int) -> Iterator[str]:
        """Events that show from a chunk on, which begins at ``frame`` of ``take``."""
        for id, place in list(self.begun.items()):
            if place[0] == take and place[1] <= frame:
                del self.begun[id]
                yield id

    async def _say(self, type: str, **fields: Any) -> None:
        async with self.line:
            await self.socket.send_json({"type": type, "request_id": PREFIX + self.film, **fields})


def _read(text: str) -> Start | Interact | Stop | Ping:
    """The message in ``text``. Raises :class:`RefusedError`."""
    if len(text) > MAX_MESSAGE:
        raise RefusedError("too_large", f"a message has at most {MAX_MESSAGE} characters")
    try:
        return _CONTROL.validate_json(text)
    except ValidationError as fault:
        raise RefusedError("malformed", first_fault(fault, "message")[:300]) from fault
