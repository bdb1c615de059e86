"""An append-only file of lines, each on the disk before it counts.

    xxxxxxxx {"type": ...}\n

``xxxxxxxx``: CRC-32 in hex, of the text and of every line before it. What is cut short, damaged, missing, or put in
from elsewhere breaks the chain, and nothing behind the break is believed. It guards against accidents, not forgers.
"""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from shotstream.core.errors import InputError, StorageError
from shotstream.core.files import explained, write_bytes

MAX_LINE = 64 << 20  # bytes
_HEAD = 9  # the checksum and a space


@dataclass(frozen=True, slots=True)
class Scan:
    """What a journal holds: whole lines without their checksums, where they end, and what comes behind.

    ``torn``: the rest is one line that was being written; else it is damage.
    """

    lines: list[bytes]
    end: int
    chain: int
    rest: bytes

    @property
    def torn(self) -> bool:
        return b"\n" not in self.rest[:-1]


class Journal:
    """Open for appending behind byte ``end``, where the chain of checksums stands at ``chain``."""

    def __init__(self, path: Path, end: int, chain: int) -> None:
        self.path = path
        self._end, self._chain = end, chain
        with explained(path):
            self._file: BinaryIO = path.open("r+b", buffering=0)

    @classmethod
    def create(cls, path: Path, text: bytes) -> Journal:
        """A journal of one line, in the place of any that was there; whole or not at all."""
        line, chain = _line(text, 0)
        write_bytes(path, line)
        return cls(path, len(line), chain)

    def append(self, text: bytes) -> None:
        """Write one line behind the others; it is on the disk when this returns.

        Raises :class:`StorageError`; the journal is then as it was.
        """
        self.refuse_if_closed()
        line, chain = _line(text, self._chain)
        with explained(self.path):
            try:
                self._file.seek(self._end)
                _write(self._file, line)
                os.fsync(self._file.fileno())
            except BaseException:
                with suppress(OSError):  # if this fails too, the next line is written over what is left
                    self._file.truncate(self._end)
                raise
        self._end, self._chain = self._end + len(line), chain

    def cut_rest(self) -> None:
        """Drop whatever is in the file behind the last line. Raises :class:`StorageError`."""
        with explained(self.path):
            self._file.truncate(self._end)
            os.fsync(self._file.fileno())

    @property
    def closed(self) -> bool:
        return self._file.closed

    def refuse_if_closed(self) -> None:
        """Raise :class:`StorageError` if it is."""
        if self.closed:
            raise StorageError(f"{self.path}: the film is closed; open it again")

    def close(self) -> None:
        self._file.close()


def scan(path: Path) -> Scan:
    """Read the journal at ``path`` as far as it is whole. Raises :class:`StorageError` if the disk refuses."""
    lines: list[bytes] = []
    end = chain = 0
    with explained(path), path.open("rb") as file:
        while (text := _checked(file.readline(MAX_LINE), chain)) is not None:
            lines.append(text)
            chain = zlib.crc32(text, chain)
            end = file.tell()
        file.seek(end)
        return Scan(lines, end, chain, file.read())


def repaired(path: Path, found: Scan) -> tuple[Journal, str]:
    """The journal at ``path``, ready to be written on, without what is not whole; and a sentence about that, or none.

    A line that was being written when the program died is dropped: nobody was told that it counts. Damage is put
    aside, into a file of its own. Raises :class:`InputError` if nothing is left, :class:`StorageError`.
    """
    if not found.lines:
        raise InputError(f"{path}: damaged from its first line on; put back a copy of the film")
    said = ""
    if found.rest and found.torn:
        said = "the last line of the journal was cut short and is dropped"
    elif found.rest:
        aside = _free_name(path)
        write_bytes(aside, found.rest)
        said = f"the journal is damaged after line {len(found.lines)}: what came later is put aside in {aside.name}"
    journal = Journal(path, found.end, found.chain)
    if found.rest:
        journal.cut_rest()
    return journal, said


def _line(text: bytes, chain: int) -> tuple[bytes, int]:
    chain = zlib.crc32(text, chain)
    return b"%08x %s\n" % (chain, text), chain


def _checked(line: bytes, chain: int) -> bytes | None:
    """The text of a whole, undamaged line; else None."""
    text = line[_HEAD:-1]
    return text if text and line == _line(text, chain)[0] else None


def _write(file: BinaryIO, data: bytes) -> None:
    """All of ``data``: a raw file may take less at a time."""
    while data:
        data = data[file.write(data) :]


def _free_name(path: Path) -> Path:
    number = 0
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return aside
