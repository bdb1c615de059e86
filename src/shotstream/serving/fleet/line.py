"""One viewer's line through the front: waits for a seat, then everything goes to the film's replica and back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from fastapi import WebSocket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from shotstream.serving import connection
from shotstream.serving.fleet.crew import Crew
from shotstream.serving.fleet.placement import Ticket
from shotstream.serving.protocol import Notice, Refused, ServerMessage, parse

INBOX = 64  # messages of a viewer that wait to be passed on
ENDED_WELL = frozenset((1000, 1002, 1003, 1008, 1009, 1013))  # what a replica says that is alive
COME_BACK = 1012


@dataclass(slots=True)
class Line:
    """``clock``: seconds that never go back."""

    socket: WebSocket
    crew: Crew
    clock: Callable[[], float]
    inbox: asyncio.Queue[str | bytes | None] = field(default_factory=lambda: asyncio.Queue(INBOX))

    async def run(self) -> None:
        """Until the viewer goes, is sent away, or its replica dies: then it is asked to come back."""
        await self.socket.accept()
        reader = asyncio.create_task(self._read())
        try:
            attach = await self._hello()
            if attach is not None:
                await self._watch(*attach, reader)
        except (RuntimeError, OSError):
            return  # the viewer has gone while something was said to it
        finally:
            reader.cancel()

    async def _read(self) -> None:
        """Everything the viewer sends; None when it has gone."""
        while (message := await self.socket.receive())["type"] != "websocket.disconnect":
            text = message.get("text")
            await self.inbox.put(message.get("bytes", b"") if text is None else text)
        await self.inbox.put(None)

    async def _hello(self) -> tuple[str, str] | None:
        """The film the viewer wants, and its own words; None: it has gone, or was sent away."""
        state = connection.State()
        while (message := await self.inbox.get()) is not None:
            read = parse(message) if isinstance(message, str) else Refused(code="malformed", text="messages are text")
            state, effects = connection.advance(state, read, self.clock())
            for effect in effects:
                match effect:
                    case connection.Attach():
                        return effect.film, str(message)
                    case connection.Close():
                        await self.socket.close(effect.code, effect.reason)
                        return None
                    case Refused():
                        await self._say(effect)
        return None

    async def _watch(self, film: str, hello: str, reader: asyncio.Task[None]) -> None:
        placement = self.crew.placement
        ticket = placement.ask(film)
        try:
            self.crew.tell()
            if await self._let_in(ticket, reader):
                await self._pass_on(film, hello)
        finally:
            placement.leave(ticket)
            self.crew.tell()

    async def _let_in(self, ticket: Ticket, reader: asyncio.Task[None]) -> bool:
        """Wait for a seat, and say how many have to become free first whenever that changes. False: it has gone."""
        told = 0
        while not ticket.admitted:
            changed, position = self.crew.changed, self.crew.placement.position(ticket)
            if position != told:
                told = position
                text = f"All seats are taken. You are number {position} in the queue; the film is shown when it is you."
                await self._say(Notice(code="waiting", text=text, position=position))
            waiting = asyncio.create_task(changed.wait())
            await asyncio.wait({waiting, reader}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if reader.done():
                return False
        return True

    async def _pass_on(self, film: str, hello: str) -> None:
        home = self.crew.placement.home(film)
        try:
            url = self.crew.url(home or "").replace("http", "ws", 1)
            viewer = {"x-forwarded-for": self.socket.client.host} if self.socket.client else {}
            headers = {**self.crew.key, **viewer}  # a replica chooses pictures by how far away their viewer is
            async with connect(
                f"{url}/ws", additional_headers=headers, max_size=None, proxy=None, compression=None
            ) as replica:
                await replica.send(hello)
                code = await self._both_ways(replica)
        except (WebSocketException, OSError, KeyError):
            code = COME_BACK
        if code is None:
            return
        if code not in ENDED_WELL:
            code = COME_BACK
            await self._say(Notice(code="moved", text="A part of the studio died. The film goes on at another."))
        await self.socket.close(code)

    async def _both_ways(self, replica: ClientConnection) -> int | None:
        """Pass messages on until one side ends; the code with which the replica did. None: the viewer has gone."""

        async def up() -> None:
            while (message := await self.inbox.get()) is not None:
                await replica.send(message)

        async def down() -> None:
            async for message in replica:
                await (self.socket.send_text(message) if isinstance(message, str) else self.socket.send_bytes(message))

        tasks = [asyncio.create_task(way()) for way in (up, down)]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        faults = await asyncio.gather(*tasks, return_exceptions=True)
        closed = any(isinstance(fault, ConnectionClosed) for fault in faults)
        if tasks[1] not in done and not closed:
            return None
        return replica.close_code or COME_BACK

    async def _say(self, message: ServerMessage) -> None:
        await self.socket.send_text(message.model_dump_json())
