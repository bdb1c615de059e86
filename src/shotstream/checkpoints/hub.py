"""Downloads from the Hugging Face hub: resumed, and checked against the digest the hub states."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from shotstream.core.errors import StorageError, WeightsError
from shotstream.core.files import make_folder

_CHUNK = 1 << 20  # bytes
_SHA256_DIGITS = 64
_OURS = (".safetensors", ".json", ".pth")  # what a model folder of ours is made of
PATIENCE = 30.0  # seconds for the list of a repository's files; the library would wait for ever


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository: of the branch or commit ``revision``."""

    repo: str
    name: str
    revision: str = "main"


def fetch(file: HubFile, folder: Path, *, endpoint: str | None = None) -> Path:
    """``file`` in ``folder``, under its own name; what an earlier call left unfinished is gone on with.

    endpoint: of the hub; None is the one huggingface-hub is set to. Raises :class:`WeightsError` if it cannot be
    fetched or is not what the hub says it is, :class:`StorageError` if there is no room.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    target = folder / file.name
    make_folder(target.parent)
    with _explained(file):
        url = hf_hub_url(file.repo, file.name, revision=file.revision, endpoint=endpoint)
        told = get_hf_file_metadata(url, endpoint=endpoint)
        if not told.etag:
            raise WeightsError(f"{file.repo}/{file.name}: the hub states no digest; try again later")
        part = target.with_name(f".{target.name}.{told.etag[:12]}.part")
        _check_room(part, told.size)
        headers = build_hf_headers()
        if urlsplit(told.location).netloc != urlsplit(url).netloc:
            headers.pop("authorization", None)  # a person's token is for the hub alone, not for where its files lie
        with part.open("ab") as out:
            http_get(
                told.location,
                out,
                resume_size=out.tell(),
                headers=headers,
                expected_size=told.size,
                displayed_filename=file.name,
            )
    if digest(part, told.etag) != told.etag:
        part.unlink()
        raise WeightsError(f"{file.repo}/{file.name}: came damaged (its digest is not {told.etag[:12]}); pull again")
    os.replace(part, target)
    return target


def snapshot_of(folder: Path) -> Path:
    """The files of the repository that ``folder`` is in the cache of Hugging Face's libraries, as its branch ``main``
    was pulled last, or as the only one there; any other folder itself."""
    snapshots = folder / "snapshots"
    with suppress(OSError):
        named = snapshots / (folder / "refs" / "main").read_text(encoding="ascii").strip()
        if named.is_dir():
            return named
    there = [one for one in snapshots.glob("*") if one.is_dir()]
    return there[0] if len(there) == 1 else folder


def list_model(repo: str, *, revision: str = "main", endpoint: str | None = None) -> list[HubFile]:
    """The files of ``repo`` that a model folder of ours is made of, at one commit. Raises :class:`WeightsError`."""
    wanted = list_files(repo, _OURS, revision=revision, endpoint=endpoint)
    if not any(file.name in ("student.safetensors", "teacher.safetensors") for file in wanted):
        raise WeightsError(
            f"{repo}: holds no student.safetensors: not a model of ours; download and convert it instead"
        )
    return wanted


def list_files(
    repo: str, endings: tuple[str, ...], *, revision: str = "main", endpoint: str | None = None
) -> list[HubFile]:
    """The files of ``repo`` with one of these ``endings``, at one commit. Raises :class:`WeightsError`."""
    from huggingface_hub import HfApi

    with _explained(HubFile(repo, "*", revision)):
        info = HfApi(endpoint=endpoint).model_info(repo, revision=revision, timeout=PATIENCE)
    names = [sibling.rfilename for sibling in info.siblings or []]
    return [
        HubFile(repo, name, info.sha or revision) for name in names if name.endswith(endings) and _stays_inside(name)
    ]


def digest(path: Path, like: str) -> str:
    """The digest of ``path`` of the kind of ``like``: SHA-256 for large files, git's blob name for small ones."""
    if len(like) == _SHA256_DIGITS:
        made = hashlib.sha256()
    else:
        made = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            made.update(chunk)
    return made.hexdigest()


def _stays_inside(name: str) -> bool:
    """Is ``name`` a path that leads nowhere but into the folder it is put in?"""
    return not name.startswith(("/", ".")) and ".." not in name.split("/") and "\\" not in name and ":" not in name


def _check_room(part: Path, size: int | None) -> None:
    missing = (size or 0) - (part.stat().st_size if part.exists() else 0)
    free = shutil.disk_usage(part.parent).free
    if missing > free:
        raise StorageError(
            f"{part.parent}: {missing / 1e9:.1f} GB are still to be downloaded, {free / 1e9:.1f} GB are free; make room"
        )


@contextmanager
def _explained(file: HubFile) -> Iterator[None]:
    """Turn an error of the hub, the network or the disk into one line."""
    from huggingface_hub.errors import HTTPError

    try:
        yield
    except (OSError, HTTPError, ValueError) as fault:
        said = " ".join(str(fault).split()) or type(fault).__name__
        raise WeightsError(
            f"{file.repo}/{file.name}: cannot be fetched ({said[:200]}); check the network and pull again, "
            "it goes on where it stopped; or name folders that hold the files with --from"
        ) from fault
