"""The live socket: feeds the state machine, enacts what it says, and sends a viewer's letters when they are due."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from fastapi import WebSocket, WebSocketDisconnect

from shotstream.core.errors import InputError, StorageError
from shotstream.film.folder import OpenElsewhereError
from shotstream.serving import connection
from shotstream.serving.desk import Desk
from shotstream.serving.frames import pack
from shotstream.serving.hub import Outbox, Showing
from shotstream.serving.pacing import AHEAD, Lateness
from shotstream.serving.picture_rule import pictures_for
from shotstream.serving.protocol import (
    Accepted,
    FilmView,
    Meters,
    Pictures,
    Refused,
    ServerMessage,
    Show,
    Shown,
    Welcome,
    parse,
)
from shotstream.serving.safety import is_loopback
from shotstream.serving.session import RefusedError
from shotstream.serving.studio import Studio
from shotstream.serving.wire_types import PictureKinds

MOST_EFFECTS = 64  # of one connection that wait; then it is not read


def refusal(ref: int, fault: Exception) -> Refused:
    """What went wrong, by name. Raises ``fault`` again if nobody planned for it."""
    match fault:
        case RefusedError():
            return Refused(ref=ref, code=fault.code, text=str(fault))
        case OpenElsewhereError():
            return Refused(ref=ref, code="busy", text=str(fault))
        case InputError():
            return Refused(ref=ref, code="refused", text=str(fault))
        case StorageError():
            return Refused(ref=ref, code="storage", text=str(fault))
        case _:
            raise fault


@dataclass(slots=True)
class Live:
    """One connection. ``effects``: what its messages ask for, done one after the other; None: the client has gone."""

    socket: WebSocket
    desk: Desk
    state: connection.State = field(default_factory=connection.State)
    effects: asyncio.Queue[connection.Effect | None] = field(default_factory=lambda: asyncio.Queue(MOST_EFFECTS))
    outbox: Outbox = field(default_factory=Outbox)
    lateness: Lateness = field(default_factory=Lateness)

    async def run(self) -> None:
        """Until the client goes, or is sent away. The film goes on without it."""
        await self.socket.accept()
        listening = asyncio.create_task(self._listen())
        ends = [asyncio.create_task(work()) for work in (self._enact_all, self._post, self._watch)]
        tasks = [listening, *ends]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if done == {listening} and listening.exception() is None:  # what the client asked for last is still done
                done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                fault = task.exception()
                if fault is not None and not isinstance(fault, WebSocketDisconnect | RuntimeError | OSError):
                    raise fault
        finally:
            for task in tasks:  # not waited for: whoever ends the connection must not be held up
                task.add_done_callback(_heard)
                task.cancel()
            if self.state.film:
                self.desk.hub.leave(self.state.film, self.outbox)

    async def _listen(self) -> None:
        """Read on while a command is done: what is not read hides the answers to the server's keep-alive."""
        while (message := await self.socket.receive())["type"] != "websocket.disconnect":
            text = message.get("text")
            read = Refused(code="malformed", text="messages are text") if text is None else parse(text)
            self.state, effects = connection.advance(self.state, read, self.desk.clock())
            for effect in effects:
                await self.effects.put(effect)
        await self.effects.put(None)

    async def _enact_all(self) -> None:
        while (effect := await self.effects.get()) is not None:
            if not await self._enact(effect):
                return

    async def _enact(self, effect: connection.Effect) -> bool:
        """Do it; False, and the connection is over."""
        match effect:
            case connection.Close():
                while not self.outbox.empty():
                    await asyncio.sleep(0.01)
                await self.socket.close(effect.code, effect.reason)
                return False
            case connection.Attach():
                await self._attach(effect)
            case connection.Do():
                self.outbox.put(await self._do(effect))
            case Show():
                self.outbox.put(await self._show(effect))
            case Refused():
                self.outbox.put(effect)
        return True

    async def _attach(self, effect: connection.Attach) -> None:
        self.desk.hub.join(effect.film, self.outbox)
        try:
            film, pictures = await self._look(effect.film, effect.pictures)
        except (RefusedError, InputError, StorageError) as fault:
            self.desk.hub.leave(effect.film, self.outbox)
            self.state = connection.detached(self.state)
            self.outbox.put(refusal(effect.ref, fault))
            return
        geometry = self.desk.geometry
        lengths = tuple(geometry.shot_seconds(blocks) for blocks in range(1, geometry.max_blocks + 1))
        usual = geometry.shot_seconds(geometry.default_blocks)
        self.outbox.put(
            Welcome(model=self.desk.model, film=film, pictures=pictures, lengths=lengths, usual_length=usual)
        )

    async def _look(self, id: str, plays: PictureKinds) -> tuple[FilmView, Pictures]:
        """The film ``id``, and pictures of it from here on that suit this viewer, who can show ``plays``."""
        client, rule = self.socket.client, self.desk.rule
        near = client is not None and is_loopback(client.host)

        def looked(studio: Studio) -> tuple[FilmView, Pictures]:
            film = studio.session(id).view()
            return film, pictures_for(rule, film, plays, near=near)

        film, pictures = await self.desk.ask(looked)
        self.desk.hub.choose(id, self.outbox, pictures.kind)
        return film, pictures

    async def _show(self, effect: Show) -> ServerMessage:
        try:
            _, pictures = await self._look(self.state.film, effect.pictures)
        except (RefusedError, InputError, StorageError) as fault:
            return refusal(effect.ref, fault)
        return Shown(ref=effect.ref, pictures=pictures)

    async def _do(self, effect: connection.Do) -> ServerMessage:
        film, command = self.state.film, effect.command
        try:
            take = await self.desk.ask(lambda studio: studio.session(film).do(command))
        except (RefusedError, InputError, StorageError) as fault:
            return refusal(command.ref, fault)
        return Accepted(ref=command.ref, take=take)

    async def _post(self) -> None:
        """Send letters in order; pictures when they are due, and not at all when they are late."""
        while True:
            letter = await self.outbox.get()
            if isinstance(letter, Showing):
                await self._post_block(letter)
                continue
            if isinstance(letter, Meters):
                letter = letter.model_copy(update={"dropped": self.lateness.dropped + self.outbox.dropped})
            await self.socket.send_text(letter.model_dump_json())

    async def _post_block(self, letter: Showing) -> None:
        prints = await letter.printed()
        for index, picture in enumerate(prints.pictures):
            due = max(letter.due + index / letter.fps, prints.ready)  # it is the line that makes a picture late
            ahead = AHEAD if picture.kind == "mp4" else 0.0
            wait = self.lateness.wait(due, self.desk.clock(), frames=picture.frames, ahead=ahead)
            if wait is None:
                self.desk.hub.metrics.dropped(picture.frames)
                continue
            if wait:
                await asyncio.sleep(wait)
            await self.socket.send_bytes(pack(picture))

    async def _watch(self) -> None:
        """A viewer that does not read its messages is sent away: it can come back and gets everything anew."""
        await self.outbox.overrun.wait()
        await self.socket.close(1013, "too slow")


def _heard(task: asyncio.Task[None]) -> None:
    """What a task says when its connection is already over is of interest to nobody."""
    if not task.cancelled():
        task.exception()
