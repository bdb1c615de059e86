"""Converts a family's codecs into a model's folder, from a release's files or other programs' layouts.

They are told by what is in them. All is looked at and checked before anything is written.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from shotstream.checkpoints.codec_weights import repeated, shapes_in
from shotstream.checkpoints.model_files import snapshot_of
from shotstream.checkpoints.safetensors_file import LazyTensor, refuse_lfs_pointer, write_safetensors
from shotstream.checkpoints.tensor_files import (
    CHECKPOINTS,
    by_prefix,
    check_names_and_shapes,
    is_index,
    read_tensors,
    without_fp8,
)
from shotstream.core.errors import WeightsError
from shotstream.core.files import make_folder, plain_entries, ready_to_write, whole_file
from shotstream.families.family import Codecs, ForeignCodec, known_families

_DEPTH = 4  # folders within folders that are looked through


@dataclass(frozen=True, slots=True)
class Found:
    """One part of the codecs, and how it is put into its place; ``check`` is done before anything is written."""

    name: str
    source: Path
    check: Callable[[], None]
    write: Callable[[], None]


def find_codecs(source: Path, folder: Path, *, force: bool = False, complete: bool = False) -> list[Found]:
    """The codecs of ``source``, checked and ready to be written into ``folder``.

    Files that need no change are linked where the disk allows it, else copied. complete: refuse what leaves ``folder``
    without a part of them. Raises :class:`WeightsError`, :class:`InputError` for what is there already.
    """
    if not source.is_dir():
        raise WeightsError(f"{source}: no such folder; name the folder that holds the codecs")
    source = snapshot_of(source)
    for family in known_families():
        if not family.codecs.parts:
            continue
        found = list(_parts(family.codecs, source, folder, force))
        lost = [name for name in family.codecs.parts if not (folder / name).is_dir()]
        lost = [name for name in lost if name not in {part.name for part in found}]
        if complete and (lost or not found):
            raise WeightsError(f"{source}: {_looked_for(family.codecs, lost or list(family.codecs.parts))}")
        for part in found:
            part.check()
        if found:
            return found
    return []


def convert_codec(codec: ForeignCodec, source: Path, folder: Path, *, force: bool = False) -> None:
    """The file ``source`` of another program -> a ``folder`` that diffusers or transformers loads.

    Raises :class:`WeightsError` for another file, before anything is written.
    """
    part = _foreign(codec, source, folder, force)
    part.check()
    part.write()


def _parts(codecs: Codecs, source: Path, folder: Path, force: bool) -> Iterator[Found]:
    places = list(_inside(source))
    for name in (*codecs.parts, *codecs.extra):
        same = next((place / name for place in places if _holds(place / name, name, codecs)), None)
        if same is not None:
            yield _same(same, folder / name, name, codecs, force)
        elif name == codecs.tokenizer:
            yield from _tokenizer(places, folder / name, name, force)
        else:
            foreign = [one for one in codecs.foreign if one.folder == name]
            for codec in foreign:
                path = _told_by_content(codec, places)
                if path is not None:
                    yield _foreign(codec, path, folder / name, force)


def _inside(folder: Path, depth: int = _DEPTH) -> Iterator[Path]:
    """``folder`` and those within it, the nearest first."""
    level = [folder]
    while level and depth:
        yield from level
        level = [one for place in level for one in plain_entries(place) if one.is_dir()]
        depth -= 1


def _holds(place: Path, name: str, codecs: Codecs) -> bool:
    """Is ``place`` the part ``name``, in the layout in which it is kept?"""
    if name in codecs.extra:
        return place.is_file()
    return (place / ("tokenizer.json" if name == codecs.tokenizer else "config.json")).is_file()


def _same(source: Path, target: Path, name: str, codecs: Codecs, force: bool) -> Found:
    def check() -> None:
        if name == codecs.tokenizer:
            _check_tokenizer(source / "tokenizer.json")
        elif source.is_dir():
            shapes_in(source)  # are its weights there, and can they be read?
        for path in source.rglob("*") if source.is_dir() else [source]:
            if path.is_file() and not path.name.startswith("."):
                refuse_lfs_pointer(path)
                there = target / path.relative_to(source) if source.is_dir() else target
                if not (there.exists() and there.samefile(path)):
                    _may_write(there, force)

    return Found(name, source, check, lambda: _linked(source, target, force))


def _tokenizer(places: list[Path], target: Path, name: str, force: bool) -> Iterator[Found]:
    """Any folder with a ``tokenizer.json``; one of another kind is refused."""
    found = next((place for place in places if (place / "tokenizer.json").is_file()), None)
    if found is not None:
        file = found / "tokenizer.json"

        def check() -> None:
            refuse_lfs_pointer(file)
            _check_tokenizer(file)
            _may_write(target / file.name, force)

        yield Found(name, found, check, lambda: _linked(file, target / file.name, force))
        return
    other = next((path for place in places for path in place.glob("*.model")), None)
    if other is not None:
        raise WeightsError(
            f"{other}: no tokenizer.json beside it, and that is what is loaded; fetch it (google/umt5-xxl)"
        )


def _told_by_content(codec: ForeignCodec, places: list[Path]) -> Path | None:
    """The weight file that is ``codec``, those with its published name first."""
    files = [path for place in places for path in plain_entries(place) if path.is_file()]
    files = [path for path in files if path.suffix in (".safetensors", *CHECKPOINTS) or is_index(path)]
    named = [path for path in files if path.stem == codec.published]
    whole = [path for path in files if path.suffix == ".json"]  # before the shards that each names
    for path in dict.fromkeys((*named, *whole, *files)):
        try:
            if codec.recognises(_tensors_of(codec, path)):
                return path
        except WeightsError:
            if path in named:
                raise
    return named[0] if named else None  # its name is right: what is wrong with it will be said


def _foreign(codec: ForeignCodec, source: Path, target: Path, force: bool) -> Found:
    made = codec.rebuild(_tensors_of(codec, source), str(source))

    def check() -> None:
        check_names_and_shapes(made.module, repeated(made.module, made.tensors), str(source))
        _may_write(target / made.file, force)

    def write() -> None:
        make_folder(target)
        write_safetensors(target / made.file, made.tensors, {"format": "pt"})
        made.write_config(target)

    return Found(codec.folder, source, check, write)


def _tensors_of(codec: ForeignCodec, source: Path) -> dict[str, LazyTensor]:
    """The tensors of ``codec`` in a file, without what may stand before their names, as ordinary numbers."""
    found = read_tensors(source, check=False)
    networks = [one for one in by_prefix(found, codec.anchors).values() if codec.recognises(one)]
    return without_fp8(networks[0] if len(networks) == 1 else found, str(source))


def _may_write(path: Path, force: bool) -> None:
    """Refuse what will not be allowed when it is written."""
    if path.parent.is_dir():
        ready_to_write(path, force=force)


def _check_tokenizer(path: Path) -> None:
    from shotstream.codecs.text_encoder import read_tokenizer

    read_tokenizer(path)


def _looked_for(codecs: Codecs, lost: list[str]) -> str:
    published = {one.folder: f"{one.published}.pth, or the same tensors in any file" for one in codecs.foreign}
    wanted = [f"{name}/ ({published.get(name, 'a folder with tokenizer.json')})" for name in lost]
    return f"no {' and no '.join(wanted)} in it or its sub-folders; bring what is missing, nothing was written"


def _linked(source: Path, target: Path, force: bool) -> None:
    """The file or folder ``source`` once more as ``target``."""
    if source.is_dir():
        make_folder(target)
        for inner in plain_entries(source):
            _linked(inner, target / inner.name, force)
        return
    if target.exists() and target.samefile(source):
        return
    make_folder(target.parent)
    ready_to_write(target, force=force)
    with whole_file(target) as temporary:
        temporary.unlink()
        try:
            os.link(os.path.realpath(source), temporary)
        except OSError:  # another disk, or one without links
            shutil.copyfile(source, temporary)
