"""Atomic files: written under a temporary name in the same folder, fsynced, renamed; and the cache folders."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import secrets
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shotstream.core.errors import InputError, StorageError

VARIABLE = "SHOTSTREAM_CACHE"


def cache_folder() -> Path:
    """The folder for all of it: ``$SHOTSTREAM_CACHE``, else ``shotstream`` in ``$XDG_CACHE_HOME`` or ``~/.cache``. It
    need not exist yet. As the XDG specification asks, a relative ``$XDG_CACHE_HOME`` is ignored."""
    named, shared = os.environ.get(VARIABLE), Path(os.environ.get("XDG_CACHE_HOME", ""))
    if named:
        return Path(named).expanduser()
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "shotstream"


def model_folder(name: str) -> Path:
    """Where the pulled model ``name`` (a preset, or a hub id such as ``someone/model``) lives."""
    return cache_folder() / "models" / name.replace("/", "--")


def embedding_folder() -> Path:
    """Where embeddings of prompts are kept."""
    return cache_folder() / "embeddings"


def locks_folder() -> Path:
    """Where programs say which files they are making."""
    return cache_folder() / "locks"


def renders_folder() -> Path:
    """Where interrupted renders wait until the same story is rendered again."""
    return cache_folder() / "renders"


PART = ".part"  # how the names of files end that are being written
_MACHINE = f"{zlib.crc32(platform.node().encode()):08x}"
_FOREIGN = 24 * 3600  # seconds
_HASHED_WHOLE = 64 << 20  # bytes
_SAMPLES, _SAMPLE = 64, 1 << 18  # how many, and bytes each


def ready_to_write(path: Path, *, force: bool) -> None:
    """Find out before any work whether ``path`` can be written.

    Raises :class:`InputError` if it exists and ``force`` is false, or is no plain file, and
    :class:`StorageError` if its folder is missing or closed to us.
    """
    with explained(path):
        target = Path(os.path.realpath(path))
        if target.is_dir():
            raise InputError(f"{path}: is a folder; name a file in it")
        if target.exists() and not target.is_file():
            raise InputError(f"{path}: is not a plain file; name another")
        if target.exists() and not force:
            raise InputError(f"{path}: already exists; name another or replace it with --force")
        probe = _temporary(target)
        _create(probe)
        probe.unlink()


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success sync it and move it into place, else remove it.

    A link is followed: the file it points to is replaced. Raises :class:`StorageError` when the disk
    refuses (no room, no permission), inside the body too.
    """
    with explained(path):
        target = Path(os.path.realpath(path))
        temporary = _temporary(target)
        _create(temporary)
        permissions = temporary.stat().st_mode
        try:
            yield temporary
            temporary.chmod(permissions)  # who writes it may have put a file of its own there (safetensors: 0600)
            sync(temporary)
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync(target.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, whole or not at all. Raises :class:`StorageError`."""
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 to ``path``, whole or not at all. Raises :class:`StorageError`."""
    write_bytes(path, text.encode())


def fingerprint(path: Path) -> str:
    """Twelve hex digits that tell a file's content from any other's. Raises OSError.

    They are the first of its SHA-256; of a file beyond 64 MB, whose reading a person would wait for, they stand for
    its size and evenly spaced samples.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size <= _HASHED_WHOLE:
            return hashlib.file_digest(file, "sha256").hexdigest()[:12]
        digest = hashlib.sha256(str(size).encode())
        for sample in range(_SAMPLES):
            file.seek((size - _SAMPLE) * sample // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE))
        return digest.hexdigest()[:12]


def fingerprint_all(paths: Iterable[Path]) -> str:
    """Twelve hex digits that tell the contents of ``paths``, in their order, from any others. Raises OSError."""
    return hashlib.sha256("".join(map(fingerprint, paths)).encode()).hexdigest()[:12]


def plain_entries(folder: Path) -> list[Path]:
    """What is in ``folder``, by name, but for what systems hide there, such as the ``._`` files of macOS."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def make_folder(path: Path) -> None:
    """Make the folder ``path``, and those around it, if they are missing; they survive a crash from then on.

    Raises :class:`StorageError`.
    """
    with explained(path):
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        path.mkdir(parents=True, exist_ok=True)
        for folder in missing:
            sync(folder.parent)


def _temporary(path: Path) -> Path:
    """A name beside ``path`` with the writer's process in it; what killed programs left there is removed."""
    start = f".{path.name[:80]}."
    with suppress(OSError), os.scandir(path.parent) as beside:
        for entry in beside:
            if entry.name.startswith(start) and entry.name.endswith(PART) and _is_left(entry):
                os.unlink(entry.path)
    return path.with_name(f"{start}{_MACHINE}-{os.getpid()}-{secrets.token_hex(4)}{PART}")


def _is_left(entry: os.DirEntry[str]) -> bool:
    """Whether its writer has ended. A file from another machine is given a day."""
    machine, _, rest = entry.name.removesuffix(PART).rpartition(".")[2].partition("-")
    process = rest.partition("-")[0]
    if machine == _MACHINE and process.isdigit():
        return int(process) != os.getpid() and not _runs(int(process))
    return time.time() - entry.stat().st_mtime > _FOREIGN


def _runs(process: int) -> bool:
    if os.name == "nt":  # where asking would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _create(path: Path) -> None:
    """Make an empty file that nobody else has, with the permissions any new file gets."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))


def sync(path: Path) -> None:
    """Push a file, or a folder's list of names, down to the disk. Windows cannot open folders: nothing to do there."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError about ``path`` into one line that says what to do."""
    try:
        yield
    except OSError as fault:
        mends: dict[int | None, str] = {
            errno.ENOSPC: "the disk is full; make room",
            errno.EDQUOT: "your disk quota is used up; make room",
            errno.EFBIG: "the file is larger than this disk or shell allows",
            errno.EACCES: "no permission to write here; choose another folder",
            errno.EPERM: "no permission to write here; choose another folder",
            errno.EROFS: "this disk is read-only; choose another folder",
            errno.ENOENT: "its folder does not exist; make it first",
            errno.ENOTDIR: "its folder is not a folder; choose another",
            errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
        }
        said = mends.get(fault.errno, f"cannot be written ({fault.strerror or fault})")
        raise StorageError(f"{path}: {said}") from fault
