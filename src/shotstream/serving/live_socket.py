"""The live socket: feeds the state machine, carries out its effects, sends a viewer's messages when they are due."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from fastapi import WebSocket, WebSocketDisconnect

from shotstream.core.errors import InputError, StorageError
from shotstream.serving import connection
from shotstream.serving.app_state import AppState, refusal
from shotstream.serving.broadcaster import Outbox, PendingBlock
from shotstream.serving.client_messages import Cut, PictureKinds, Position, Show, Stop
from shotstream.serving.frames import pack, pictures_for
from shotstream.serving.pacing import AHEAD, Lateness
from shotstream.serving.protocol import (
    Accepted,
    Applied,
    FilmView,
    Meters,
    Pictures,
    Refused,
    ServerMessage,
    Shown,
    Welcome,
    parse,
)
from shotstream.serving.security import is_loopback
from shotstream.serving.session import RefusedError
from shotstream.serving.studio import Studio

MOST_EFFECTS = 64  # of one connection that wait; then it is not read


@dataclass(slots=True)
class LiveSocket:
    """One connection. ``effects``: what its messages ask for, done one after the other; None: the client has gone."""

    socket: WebSocket
    app_state: AppState
    state: connection.State = field(default_factory=connection.State)
    effects: asyncio.Queue[connection.Effect | None] = field(default_factory=lambda: asyncio.Queue(MOST_EFFECTS))
    under_way: asyncio.Queue[tuple[int, asyncio.Future[Applied]]] = field(
        default_factory=lambda: asyncio.Queue(MOST_EFFECTS)
    )
    outbox: Outbox = field(default_factory=Outbox)
    lateness: Lateness = field(default_factory=Lateness)

    async def run(self) -> None:
        """Until the client goes, or is sent away. The film goes on without it."""
        await self.socket.accept()
        listening = asyncio.create_task(self._listen())
        ends = [asyncio.create_task(work()) for work in (self._enact_all, self._answer_all, self._post, self._watch)]
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
                self.app_state.broadcaster.leave(self.state.film, self.outbox)

    async def _listen(self) -> None:
        """Read on while a command is done: what is not read hides the answers to the server's keep-alive."""
        while (message := await self.socket.receive())["type"] != "websocket.disconnect":
            text = message.get("text")
            read = Refused(code="malformed", text="messages are text") if text is None else parse(text)
            self.state, effects = connection.advance(self.state, read, self.app_state.clock())
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
                await self._submit(effect)
            case Show():
                self.outbox.put(await self._show(effect))
            case Refused():
                self.outbox.put(effect)
        return True

    async def _attach(self, effect: connection.Attach) -> None:
        self.app_state.broadcaster.join(effect.film, self.outbox)
        try:
            film, pictures = await self._look(effect.film, effect.pictures)
        except (RefusedError, InputError, StorageError) as fault:
            self.app_state.broadcaster.leave(effect.film, self.outbox)
            self.state = connection.detached(self.state)
            self.outbox.put(refusal(effect.ref, fault))
            return
        geometry = self.app_state.geometry
        lengths = tuple(geometry.shot_seconds(blocks) for blocks in range(1, geometry.max_blocks + 1))
        usual = geometry.shot_seconds(geometry.default_blocks)
        self.outbox.put(
            Welcome(model=self.app_state.model, film=film, pictures=pictures, lengths=lengths, usual_length=usual)
        )

    async def _look(self, id: str, plays: PictureKinds) -> tuple[FilmView, Pictures]:
        """The film ``id``, and pictures of it from here on that suit this viewer, who can show ``plays``."""
        client, rule = self.socket.client, self.app_state.rule
        near = client is not None and is_loopback(client.host)

        def looked(studio: Studio) -> tuple[FilmView, Pictures]:
            film = studio.session(id).view()
            return film, pictures_for(rule, film, plays, near=near)

        film, pictures = await self.app_state.ask(looked)
        self.app_state.broadcaster.choose(id, self.outbox, pictures.kind)
        return film, pictures

    async def _show(self, effect: Show) -> ServerMessage:
        try:
            _, pictures = await self._look(self.state.film, effect.pictures)
        except (RefusedError, InputError, StorageError) as fault:
            return refusal(effect.ref, fault)
        return Shown(ref=effect.ref, pictures=pictures)

    async def _submit(self, effect: connection.Do) -> None:
        """Take a command in, without waiting for the block under work: those sent at once act at the same block."""
        film, command = self.state.film, effect.command
        client = self.socket.client.host if self.socket.client else ""
        try:
            done = self.app_state.worker.submit(
                lambda studio: studio.command(film, command, client), urgent=isinstance(command, Cut | Stop)
            )
        except RefusedError as fault:
            self.outbox.put(refusal(command.ref, fault))
            return
        if not isinstance(command, Position):  # which is sent many times a second, and which nobody waits for
            self.outbox.put(Accepted(ref=command.ref))
        await self.under_way.put((command.ref, asyncio.wrap_future(done)))

    async def _answer_all(self) -> None:
        """Say what became of every command, in the order in which they came."""
        while True:
            ref, done = await self.under_way.get()
            try:
                self.outbox.put(await done)
            except (RefusedError, InputError, StorageError) as fault:
                self.outbox.put(refusal(ref, fault))

    async def _post(self) -> None:
        """Send messages in order; pictures when they are due, and not at all when they are late."""
        while True:
            message = await self.outbox.get()
            if isinstance(message, PendingBlock):
                await self._post_block(message)
                continue
            if isinstance(message, Meters):
                message = message.model_copy(update={"dropped": self.lateness.dropped + self.outbox.dropped})
            await self.socket.send_text(message.model_dump_json())

    async def _post_block(self, message: PendingBlock) -> None:
        encoded = await message.finished()
        for index, picture in enumerate(encoded.pictures):
            due = max(message.due + index / message.fps, encoded.ready)  # it is the line that makes a picture late
            ahead = AHEAD if picture.kind == "mp4" else 0.0
            wait = self.lateness.wait(due, self.app_state.clock(), frames=picture.frames, ahead=ahead)
            if wait is None:
                self.app_state.broadcaster.metrics.dropped(picture.frames)
                continue
            if wait:
                await asyncio.sleep(wait)
            await self.socket.send_bytes(pack(picture))

    async def _watch(self) -> None:
        """A viewer that does not read its messages is sent away: it can come back and gets everything anew."""
        await self.outbox.overrun.wait()
        await self.socket.close(1013, "too slow")


def _heard(task: asyncio.Task[None]) -> None:
    """Retrieve a task's exception after its connection has ended, so that asyncio does not log it."""
    if not task.cancelled():
        task.exception()
