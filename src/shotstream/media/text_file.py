"""Short text files from strangers: read in bounded memory, UTF-8, errors that name the line."""

from __future__ import annotations

from pathlib import Path

from shotstream.core.errors import InputError, StorageError

MAX_BYTES = 512 * 1024


def read_text(path: Path) -> str:
    """The text in ``path``. Raises :class:`InputError` (what is in it) or :class:`StorageError` (it cannot be read)."""
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder; name a story file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as fault:
        raise InputError(f"{path}: no such file; check the name") from fault
    except (OSError, ValueError) as fault:
        said = fault.strerror if isinstance(fault, OSError) else fault
        raise StorageError(f"{str(path)!r}: cannot be read ({said})") from fault
    return decoded(data, str(path))


def decoded(data: bytes, name: str) -> str:
    """``data`` as text; ``name`` is what errors call it. Raises :class:`InputError`."""
    if len(data) > MAX_BYTES:
        raise InputError(f"{name}: larger than {MAX_BYTES // 1024} KiB; a story is a short text")
    if b"\0" in data:
        raise InputError(f"{name}: is not a text file; a story is YAML or JSON in UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        raise InputError(f"{name}, line {line}: is not UTF-8; save the file as UTF-8") from fault
