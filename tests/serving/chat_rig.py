"""A stand-in for a chat model's endpoint: answers of OpenAI's own types, as they were given."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from openai.types.chat import ChatCompletion


class ChatServer(ThreadingHTTPServer):
    """Says what it was given to say, one answer after the other; ``heard``: what it was asked, with which key.

    ``before``: called before each answer; ``waiting``: how many it was asked for and has not given.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.say: list[tuple[int, bytes]] = []
        self.before: Callable[[], object] = lambda: None
        self.waiting = 0
        self.heard: list[tuple[str | None, dict[str, Any]]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def answer(self, *texts: str) -> None:
        for text in texts:
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "finish_reason": "stop", "logprobs": None, "message": message}
            whole = {"id": "1", "object": "chat.completion", "created": 0, "model": "scribe", "choices": [choice]}
            self.say.append((200, ChatCompletion.model_validate(whole).model_dump_json().encode()))


class Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.heard.append((self.headers["authorization"], asked))
        self.server.waiting += 1
        self.server.before()
        self.server.waiting -= 1
        status, data = self.server.say.pop(0) if self.path == "/v1/chat/completions" else (404, b"not here")
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *said: object) -> None:
        pass


@contextmanager
def answering() -> Iterator[ChatServer]:
    """A server in a thread of its own, while the block lasts."""
    with ChatServer() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
