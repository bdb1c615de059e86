"""A film file: one zip that holds a film, readable without this program.

film.json            the record (:mod:`shotstream.film.record`)
takes/00000.mp4 ...  the footage of every made take (:mod:`shotstream.film.footage`)
storyboard.png       what is in the film, at a glance; for people, never read
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from shotstream.core.errors import InputError
from shotstream.core.files import whole_file
from shotstream.film.footage import check_footage, checksum
from shotstream.film.record import MAX_TAKES, FilmRecord, TakeRecord
from shotstream.film.record_file import read_record
from shotstream.film.store import TakeStore
from shotstream.film.timeline import timeline_of
from shotstream.film.zip_guard import copy_entry, opened_zip, read_entry
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


def unpack(path: Path, folder: Path | None = None) -> tuple[FilmRecord, TakeStore]:
    """The film in the file ``path``: its record, and its footage in ``folder``, or in a store of its own.

    Everything is checked first: see :func:`shotstream.film.zip_guard.opened_zip`, the record's own rules, and that
    every take is the footage the record states. Raises :class:`InputError`, one line.
    """
    with opened_zip(path, most_entries=2 * MAX_TAKES) as archive:
        try:
            record = read_record(read_entry(archive, RECORD, MAX_RECORD_BYTES), RECORD)
            store = TakeStore.of(record, folder)
            for take in record.all_takes():
                if take.made:
                    _unpack_take(archive, take, store)
        except InputError as fault:
            raise InputError(f"{path}: {fault}") from fault
    return store.summed(record), store


def _unpack_take(archive: zipfile.ZipFile, take: TakeRecord, store: TakeStore) -> None:
    """Write the footage of ``take``, if no other take that shows it came before; refuse what it should not be."""
    if not store.path(take).exists():
        with whole_file(store.path(take)) as temporary:
            copy_entry(archive, take.video, temporary)
    check_footage(store.path(take), store.shape(take))
    if take.crc32 and take.crc32 != checksum(store.path(take)):
        raise InputError(f"{take.video}: damaged footage (its checksum is another); fetch the film again")


def _info(take: TakeRecord, size: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(take.video, _EPOCH)
    info.file_size = size  # tells zipfile whether it needs 64-bit sizes
    return info
