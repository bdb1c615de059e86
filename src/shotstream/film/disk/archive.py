"""A film file: one zip that holds a film, readable without this program; and films that no model has open.

film.json            the record (:mod:`shotstream.film.record.film_record`)
takes/00000.mp4 ...  the footage of every made take (:mod:`shotstream.film.disk.store`)
storyboard.png       what is in the film, at a glance; for people, never read
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from shotstream.core.errors import InputError, StorageError
from shotstream.core.files import whole_file
from shotstream.film.disk.folder import FilmFolder, peek, takes_of, usage
from shotstream.film.disk.store import TakeStore, check_footage, checksum
from shotstream.film.record.film_record import MAX_TAKES, FilmRecord, TakeRecord
from shotstream.film.record.history import History, fresh_start
from shotstream.film.record.record_file import read_record
from shotstream.film.timeline import timeline_of
from shotstream.media.exports.storyboard import draw_board
from shotstream.media.storyboard import png

RECORD, BOARD = "film.json", "storyboard.png"
MOST_ON_BOARD = 100  # shots
MAX_RECORD_BYTES = 64 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same film is the same file, whenever it is saved


def pack(record: FilmRecord, store: TakeStore, path: Path) -> None:
    """Write the film to ``path``, whole or not at all. Raises :class:`StorageError`."""
    with whole_file(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(RECORD, _EPOCH), record.model_dump_json(indent=1))
        for take in {take.footage: take for take in record.all_takes() if take.made}.values():
            with store.path(take).open("rb") as source, archive.open(_info(take, source.seek(0, 2)), "w") as target:
                source.seek(0)
                while piece := source.read(1 << 20):
                    target.write(piece)
        if any(shot.choice for shot in record.shots):
            board = draw_board(timeline_of(record, store, path.stem), MOST_ON_BOARD)
            archive.writestr(zipfile.ZipInfo(BOARD, _EPOCH), png(board))


Accept = Callable[[FilmRecord, int], None]  # raises if such a film, of so many bytes, is not wanted


def accept_any(record: FilmRecord, unpacked: int) -> None:
    """Whatever a film file may hold."""


def unpack(path: Path, folder: Path | None = None, accept: Accept = accept_any) -> tuple[FilmRecord, TakeStore]:
    """The film in the file ``path``: its record, and its footage in ``folder``, or in a store of its own.

    Everything is checked first: see :func:`opened_zip`, the record's own rules, whether
    it is wanted, and then that every take is the footage the record states. Raises :class:`InputError`, one line.
    """
    with opened_zip(path, most_entries=2 * MAX_TAKES) as archive:
        try:
            record = read_record(read_entry(archive, RECORD, MAX_RECORD_BYTES), RECORD)
            takes = _one_per_footage(record)
            accept(record, sum(size_of(archive, take.video) for take in takes))
            store = TakeStore.of(record, folder)
            for take in takes:
                _unpack_take(archive, take, store)
        except InputError as fault:
            raise InputError(f"{path}: {fault}") from fault
    return record, store


def _one_per_footage(record: FilmRecord) -> list[TakeRecord]:
    """A take for every footage there is to unpack. Raises :class:`InputError` if two say different things of one."""
    found: dict[int, TakeRecord] = {}
    for take in record.all_takes():
        if take.made:
            first = found.setdefault(take.footage, take)
            if (first.frames, first.crc32) != (take.frames, take.crc32):
                raise InputError(f"{take.video}: takes {first.id} and {take.id} do not agree on it; it is damaged")
    return list(found.values())


def _unpack_take(archive: zipfile.ZipFile, take: TakeRecord, store: TakeStore) -> None:
    """Write the footage of ``take``; refuse what it should not be."""
    with whole_file(store.path(take)) as temporary:
        copy_entry(archive, take.video, temporary)
    check_footage(store.path(take), store.shape(take))
    if take.crc32 != checksum(store.path(take)):
        raise InputError(f"{take.video}: damaged footage (its checksum is another); fetch the film again")


def _info(take: TakeRecord, size: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(take.video, _EPOCH)
    info.file_size = size  # tells zipfile whether it needs 64-bit sizes
    return info


def read_stored(path: Path) -> tuple[FilmRecord, TakeStore]:
    """The film in the file, or kept in the folder, ``path``; another program may have it open.

    Raises :class:`InputError` if it is none, or damaged.
    """
    if not path.is_dir():
        return unpack(path)
    record = peek(path)
    store = TakeStore.of(record, takes_of(path))
    for take in record.takes():
        if take.made and not store.path(take).is_file():
            raise InputError(f"{path}: {take.video} is missing; open the film, and it is made again")
        if take.made:
            check_footage(store.path(take), store.shape(take))
    return record, store


def clean_folder(folder: Path, *, unchosen: bool = False) -> int:
    """Clean the film kept in ``folder``, which nobody has open; returns the bytes freed.

    Raises :class:`InputError` if there is none or it is open elsewhere, :class:`StorageError`.
    """
    before = usage(folder)
    kept = FilmFolder.open(folder)
    try:
        founded = fresh_start(kept.history, unchosen=unchosen)
        kept.restart(founded)
        kept.store().keep_only(History(founded).footage)
    finally:
        kept.close()
    return before - usage(folder)


VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi")  # what a person may take for the film itself
MAX_GROWTH = 4  # unpacked bytes per byte of the archive; footage hardly compresses
GRACE = 16 << 20  # bytes that need not obey it
_BYTES_PER_ENTRY = 512  # of the directory: header, name and extra fields
_TAIL = 22 + 65535 + 20  # end record, its longest comment, and the locator of a 64-bit one
_END, _LOCATOR, _END64 = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06"
_PIECE = 1 << 20
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error, UnicodeError)
_KINDS = (0, stat.S_IFREG, stat.S_IFDIR)  # of entries; 0: the writer did not say


@contextmanager
def opened_zip(path: Path, *, most_entries: int) -> Iterator[zipfile.ZipFile]:
    """The zip at ``path``, its directory checked before it is read, its entries before they are unpacked.

    Refused with a one-line :class:`InputError`: what is no zip, too many entries, names given twice or leading out
    of the archive, links and devices, encryption, rare compressions (their decoders ask for memory by the archive's
    word), and entries that unpack to far more than the file holds.
    Raises :class:`StorageError` if the disk refuses.
    """
    try:
        with path.open("rb") as file:
            _check_directory(file, path, most_entries)
            with zipfile.ZipFile(file) as archive:
                _check_entries(archive.infolist(), path, file.seek(0, 2), most_entries)
                yield archive
    except FileNotFoundError as fault:
        raise InputError(f"{path}: no such file; check the name") from fault
    except IsADirectoryError as fault:
        raise InputError(f"{path}: is a folder; name a film file") from fault
    except _DAMAGED as fault:
        raise InputError(f"{path}: damaged ({str(fault) or 'it ends too early'}); fetch or save it again") from fault
    except OSError as fault:
        raise StorageError(f"{path}: cannot be unpacked ({fault.strerror or fault})") from fault


def read_entry(archive: zipfile.ZipFile, name: str, most_bytes: int) -> bytes:
    """The bytes of entry ``name``. Raises :class:`InputError` if it is missing or larger than ``most_bytes``."""
    if _entry(archive, name).file_size > most_bytes:
        raise InputError(f"its {name} is larger than {most_bytes >> 20} MiB; this is no film file")
    return archive.read(name)


def copy_entry(archive: zipfile.ZipFile, name: str, target: Path) -> None:
    """Write entry ``name`` to the file ``target``, piece by piece. Raises :class:`InputError` if it is missing."""
    with archive.open(_entry(archive, name)) as source, target.open("wb") as file:
        while piece := source.read(_PIECE):
            file.write(piece)


def size_of(archive: zipfile.ZipFile, name: str) -> int:
    """Unpacked bytes of entry ``name``. Raises :class:`InputError` if it is missing."""
    return _entry(archive, name).file_size


def _entry(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    try:
        return archive.getinfo(name)
    except KeyError as fault:
        raise InputError(f"it holds no {name}; this is no film file, or it is damaged") from fault


def _check_directory(file: BinaryIO, path: Path, most_entries: int) -> None:
    """Refuse a directory larger than ``most_entries`` can need: reading it is what costs memory."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    end = tail.rfind(_END)
    if end < 0 or len(tail) < end + 22:
        if path.suffix.lower() in VIDEOS:
            raise InputError(
                f"{path}: is a video; this needs the film itself, which `generate --film FILE.film`, the studio and "
                "film.save write"
            )
        raise InputError(f"{path}: not a film file, or cut short (no zip directory at its end); fetch or save it again")
    _, entries, directory = struct.unpack("<HHI", tail[end + 8 : end + 16])
    at = max(0, size - _TAIL) + end - 20
    if tail[max(0, end - 20) : end].startswith(_LOCATOR):
        # zipfile takes the 64-bit record that ends here, whatever the locator says: they have to be the same one.
        pointed = struct.unpack("<Q", tail[end - 12 : end - 4])[0]
        file.seek(max(0, at - 56))
        record = file.read(56)
        if pointed != at - 56 or not record.startswith(_END64):
            raise InputError(f"{path}: its zip directory is not where it says; this file is not safe to open")
        entries, directory = struct.unpack("<QQ", record[32:48])
    file.seek(0)
    if entries > most_entries or directory > most_entries * _BYTES_PER_ENTRY:
        raise InputError(f"{path}: lists {entries} files in {directory} bytes; a film file has at most {most_entries}")


def _check_entries(entries: list[zipfile.ZipInfo], path: Path, archive_bytes: int, most_entries: int) -> None:
    if len(entries) > most_entries:
        raise InputError(f"{path}: lists {len(entries)} files; a film file has at most {most_entries}")
    names: set[str] = set()
    for entry in entries:
        name = entry.filename.replace("\\", "/")
        shown = f"{path}: {entry.filename[:80]!r}"
        if name.casefold() in names:  # some disks hold one name in one case only
            raise InputError(f"{shown} is in it twice; this file is not safe to open")
        names.add(name.casefold())
        parts = PurePosixPath(name).parts
        if not parts or parts[0] == "/" or ".." in parts or ":" in name:
            raise InputError(f"{shown} leads out of the archive; this file is not safe to open")
        if stat.S_IFMT(entry.external_attr >> 16) not in _KINDS:
            raise InputError(f"{shown} is a link or a device; this file is not safe to open")
        if entry.flag_bits & 1:
            raise InputError(f"{shown} is encrypted; save the film without a password")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(f"{shown} is packed in a rare way; zip the film with plain deflate")
    if sum(entry.file_size for entry in entries) > MAX_GROWTH * archive_bytes + GRACE:
        raise InputError(f"{path}: unpacks to far more than it holds; this file is not safe to open")
