"""A model's files: by preset name, folder, weight file or hub id; what their headers say; and downloads from the hub.

Downloads are resumed, and checked against the digest the hub states.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from math import prod
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from shotstream.checkpoints.codec_weights import READER
from shotstream.checkpoints.quantisation import SCALE
from shotstream.checkpoints.safetensors_file import read_header
from shotstream.checkpoints.tensor_files import said
from shotstream.core.config import Config
from shotstream.core.errors import InputError, StorageError, WeightsError
from shotstream.core.files import fingerprint_all, make_folder, model_folder
from shotstream.families.family import CodecFiles, family_of, known_families, known_presets, preset
from shotstream.families.preset import PRESET_FILE, Preset, read_preset
from shotstream.families.storyworld import BUNDLED, STORYWORLD, bundled

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


class WeightFile(Config):
    """One safetensors file. ``metadata`` is its header's own text, ``bytes`` the size on disk."""

    name: str
    kind: str
    version: str
    bytes: int
    parameters: int
    metadata: dict[str, str]


def bundled_files() -> list[WeightFile]:
    """The weight files that ship with the package, by name."""
    folder = Path(str(files("shotstream").joinpath("bundled")))
    return [describe_file(path) for path in sorted(folder.rglob("*.safetensors"))]


def describe_file(path: Path) -> WeightFile:
    """What ``path`` says it is. Raises :class:`WeightsError` if it is no safetensors file."""
    header = read_header(path)
    kind, version = _what(header.metadata)
    return WeightFile(
        name=path.name,
        kind=kind,
        version=version,
        bytes=header.size,
        parameters=sum(_numbers(tensor) for name, tensor in header.entries.items() if not name.endswith(SCALE)),
        metadata=header.metadata,
    )


def _numbers(entry: Mapping[str, Any]) -> int:
    """How many weights a tensor holds; unsigned bytes hold two each (see :mod:`.quantisation`)."""
    return prod(entry["shape"]) * (2 if entry["dtype"] == "U8" else 1)


def _what(metadata: dict[str, str]) -> tuple[str, str]:
    """Kind and version: codecs say them plainly, transformers inside their one JSON entry
    (:class:`shotstream.checkpoints.transformer_weights.WeightsHeader`)."""
    if "shotstream" not in metadata:
        return metadata.get("kind", "unknown"), metadata.get("version", "unknown")
    inside = json.loads(metadata["shotstream"])
    base = inside.get("base")
    kind = f"{inside['role']} {inside['kind']}"
    return f"{kind}, added to the {base['role']}" if base else kind, inside.get("version", "1")


EMBEDDED = STORYWORLD.name
UNFINISHED = ".pulling"  # in a folder whose pull has not come to its end


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFiles:
    """``described``: a preset's JSON, or None where the weights name it. ``codecs``: those of the folder, of whichever
    family, or the package's."""

    transformer: Path
    described: Path | None
    codecs: CodecFiles

    def preset(self, name: str) -> Preset:
        """The preset the folder describes, else the known one called ``name``. Raises :class:`WeightsError`."""
        if self.described is not None:
            return read_preset(self.described)
        if name not in known_presets():
            raise WeightsError(f"{self.transformer}: made for preset {name!r}; put its preset.json beside it")
        return preset(name)

    def version(self, chosen: Preset) -> str:
        """Eight letters that tell films of these weights, made as ``chosen`` says, from all others."""
        # What is younger than the first films counts only where it is not as it was when they were made.
        young = {
            "student": {"window", "refresh"},
            "transformer": {"caption_padding"},
            "": {"context", "prompt_form", "negative_prompt"},
        }
        left_out: dict[str, Any] = {"name": True, "teacher": {"window", "refresh"}}
        for part, fields in young.items():
            whole = getattr(chosen, part) if part else chosen
            usual = {name for name in fields if getattr(whole, name) == type(whole).model_fields[name].default}
            left_out |= {part: usual} if part else dict.fromkeys(usual, True)
        how = chosen.model_dump_json(exclude=left_out).replace('"timesteps":', '"listed":')  # their name at that time
        content = fingerprint_all((self.transformer, *self.codecs.files))
        return hashlib.sha256(f"{content}{how}".encode()).hexdigest()[:8]


def find_model(model: str, role: str) -> ModelFiles:
    """The files of ``model``. Raises :class:`InputError` if nothing is called that, :class:`WeightsError` for a known
    model that is not here."""
    folder = BUNDLED if model == EMBEDDED else _folder_of(model)
    transformer = folder / f"{role}.safetensors"
    if folder.is_file():
        folder, transformer = folder.parent, folder
    codecs = codecs_in(folder)
    described = folder / PRESET_FILE
    return ModelFiles(
        transformer=transformer,
        described=described if described.exists() else None,
        codecs=bundled(folder, READER) if codecs is None else codecs,
    )


def codecs_in(folder: Path) -> CodecFiles | None:
    """The codecs in ``folder``, of whichever family they are; None if it holds none."""
    found = (family.codecs.find(folder, READER) for family in known_families())
    return next((one for one in found if one is not None), None)


def is_pulled(name: str) -> bool:
    """Was the model ``name`` pulled, to its end?"""
    folder = model_folder(name)
    return folder.is_dir() and not missing_parts(name, folder)


def missing_parts(name: str, folder: Path) -> list[str]:
    """What a pull of the model ``name`` into ``folder`` that was stopped has still to bring."""
    family = family_of(name)
    parts = () if family is None else family.hub.get(name, ())
    missing = [part.file for part in parts if not (folder / part.file).is_file()]
    return missing or (["the rest"] if (folder / UNFINISHED).exists() else [])


def _folder_of(model: str) -> Path:
    """The folder (or weight file) called ``model``, or where it was pulled to."""
    pulled = model_folder(model)
    if model not in known_presets() and model and Path(model).exists():
        return Path(model)
    if model and is_pulled(model):
        return pulled
    if model and pulled.is_dir() and missing_parts(model, pulled):
        raise WeightsError(
            f"{model}: is not completely downloaded ({said('missing', missing_parts(model, pulled))}); "
            f"shotstream models pull {model} resumes"
        )
    if model in known_presets() or _like_a_hub_id(model):
        raise WeightsError(
            f"{model}: its weights are not here; fetch them (shotstream models pull {model}), "
            "or give the folder that holds them"
        )
    known = known_presets()
    near = get_close_matches(model.lower(), known, n=1)
    mend = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}, or a folder, or a weight file"
    raise InputError(f"no model is called {model!r}; {mend}")


def _like_a_hub_id(model: str) -> bool:
    """``someone/model``: two names and one stroke."""
    parts = model.split("/")
    return len(parts) == 2 and all(part and not part.startswith(".") for part in parts) and "\\" not in model
