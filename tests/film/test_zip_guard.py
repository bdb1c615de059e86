"""Archives made to hurt: each is refused in one line, before it has cost anything; whatever comes, nothing else."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shotstream.core.errors import InputError, StorageError
from shotstream.film.disk.archive import GRACE, copy_entry, opened_zip, read_entry

MOST = 20


def archive(entries: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", compression) as zipped:
        for name, content in entries.items():
            zipped.writestr(name, content)
    return data.getvalue()


def opened(path: Path, data: bytes) -> None:
    """Open it and unpack everything, as a film is unpacked."""
    path.write_bytes(data)
    with opened_zip(path, most_entries=MOST) as zipped:
        for entry in zipped.infolist():
            read_entry(zipped, entry.filename, GRACE)
            copy_entry(zipped, entry.filename, path.with_suffix(".out"))


def refusal(path: Path, data: bytes) -> str:
    with pytest.raises(InputError) as fault:
        opened(path, data)
    said = str(fault.value)
    assert said.startswith(str(path)) and "\n" not in said
    return said


def test_a_good_one_is_read(tmp_path: Path) -> None:
    opened(tmp_path / "z", archive({"film.json": b"{}", "takes/": b"", "takes/0.mp4": b"x" * 1000}))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_links_and_devices(tmp_path: Path, kind: int) -> None:
    entry = zipfile.ZipInfo("takes/0.mp4")
    entry.external_attr = (kind | 0o777) << 16
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as zipped:
        zipped.writestr(entry, "/etc/passwd")
    assert "is a link or a device" in refusal(tmp_path / "z", data.getvalue())


@pytest.mark.parametrize("names", [("Film.json", "film.JSON"), ("takes/0.mp4", "takes\\0.mp4")])
def test_names_that_are_one_on_some_disks(tmp_path: Path, names: tuple[str, str]) -> None:
    assert "is in it twice" in refusal(tmp_path / "z", archive(dict.fromkeys(names, b"x")))


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_rare_compressions(tmp_path: Path, compression: int) -> None:
    assert "packed in a rare way" in refusal(tmp_path / "z", archive({"film.json": b"x" * 100}, compression))


def test_many_tiny_entries_behind_a_small_count(tmp_path: Path) -> None:
    data = bytearray(archive({f"{index}": b"" for index in range(3 * MOST)}))
    end = data.rfind(b"PK\x05\x06")
    struct.pack_into("<HH", data, end + 8, 1, 1)
    assert "lists 60 files" in refusal(tmp_path / "z", bytes(data))


def record64(count: int, length: int, start: int) -> bytes:
    return struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, length, start)


def with_64_bits(data: bytes, count: int, pointed: int | None = None) -> bytes:
    """``data`` with a 64-bit directory, whose locator points to it, or to ``pointed``."""
    end = data.rfind(b"PK\x05\x06")
    size, start = struct.unpack("<2L", data[end + 12 : end + 20])
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end if pointed is None else pointed, 1)
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return data[:end] + record64(count, size, start) + locator + tail


def test_an_honest_64_bit_directory_is_read(tmp_path: Path) -> None:
    opened(tmp_path / "z", with_64_bits(archive({"film.json": b"{}"}), 1))


def test_two_64_bit_directories(tmp_path: Path) -> None:
    """One to be checked, where the locator points; one to be read, where zipfile looks. The second is a large one."""
    small = record64(1, 50, 0)
    data = archive({"small": small, **{f"{index}": b"" for index in range(500)}}, zipfile.ZIP_STORED)
    hostile = with_64_bits(data, 501, data.find(small))
    with zipfile.ZipFile(io.BytesIO(hostile)) as zipped:
        assert len(zipped.namelist()) == 501  # what zipfile alone reads
    assert "not where it says" in refusal(tmp_path / "z", hostile)


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    data = archive({"fuchs-ü.json": b"{}"}).replace("ü".encode(), b"\xff\xff")
    assert "damaged" in refusal(tmp_path / "z", data)


def test_overlapping_entries(tmp_path: Path) -> None:
    """Many entries that share one body: small on disk, large unpacked."""
    body = archive({"a": b"\0" * (4 << 20)})
    start, end = body.rfind(b"PK\x01\x02"), body.rfind(b"PK\x05\x06")
    entry = body[start:end]
    directory = b"".join(entry.replace(b"a", bytes([97 + index])) for index in range(16))
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 16, 16, len(directory), start, 0)
    assert "unpacks to far more" in refusal(tmp_path / "z", body[:start] + directory + tail)


GOOD = archive({"film.json": b'{"a": 1}' * 30, "takes/00000.mp4": bytes(range(256)) * 3})
CHANGES = st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=9)), max_size=6)


@settings(max_examples=300, deadline=None)
@given(changes=CHANGES, cut=st.integers(0, len(GOOD)) | st.none(), more=st.binary(max_size=80))
def test_whatever_comes_is_read_or_refused_in_one_line(tmp_path_factory, changes, cut, more) -> None:
    data = bytearray(GOOD)
    for place, piece in changes:
        data[place : place + len(piece)] = piece
    try:
        opened(tmp_path_factory.getbasetemp() / "fuzz.film", bytes(data[:cut]) + more)
    except (InputError, StorageError) as fault:
        assert "\n" not in str(fault)
