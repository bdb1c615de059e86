"""A hub on this machine: what the Hugging Face hub answers to a download, and downloads that get stuck."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """Repositories are folders ``root/someone/model``. ``stall``: send that many bytes of the next download, then
    nothing until ``go``; ``lie``: state another digest. ``asked``: the method, path and range of every request."""

    root: Path
    stall: int | None = None
    lie: bool = False
    go: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    endpoint: str = ""

    def downloads(self) -> list[tuple[str, str | None]]:
        return [(Path(path).name, part) for method, path, part in self.asked if method == "GET" and "/resolve/" in path]


@contextmanager
def serve(root: Path) -> Iterator[Hub]:
    """A hub over ``root`` on a free port, for the length of the block."""
    hub = Hub(root)

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *arguments: object) -> None:
            """Silence."""

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            hub.asked.append((self.command, self.path, self.headers["Range"]))
            someone, model, *rest = self.path.split("?")[0].removeprefix("/api/models").strip("/").split("/")
            if self.path.startswith("/api/models"):
                self._list(f"{someone}/{model}")
                return
            path = hub.root / someone / model / "/".join(rest[2:])  # resolve, revision, the file
            if rest[0] != "resolve" or not path.is_file():
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self._file(path.read_bytes(), body)

        def _list(self, repo: str) -> None:
            folder = hub.root / repo
            names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
            told = {"id": repo, "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}
            data = json.dumps(told).encode()
            self.send_response(200 if names else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _file(self, data: bytes, body: bool) -> None:
            digest = hashlib.sha256(data + (b"!" if hub.lie else b"")).hexdigest()
            start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").split("-")[0])
            self.send_response(206 if start else 200)
            self.send_header("ETag", f'"{digest}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(data) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.end_headers()
            if not body:
                return
            part = data[start:]
            if hub.stall is not None:
                part, hub.stall = part[: hub.stall], None
                self.wfile.write(part)
                hub.go.wait(60)
                self.close_connection = True
                return
            self.wfile.write(part)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
