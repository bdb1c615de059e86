"""Finds export formats by name or by the suffix of a file."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path

from shotstream.core.errors import InputError
from shotstream.media import exports
from shotstream.media.exports.format import Format
from shotstream.media.exports.timeline import Timeline


def _found() -> dict[str, Format]:
    """By name, in alphabetical order, what the modules of this folder list in ``FORMATS``."""
    names = [f"{exports.__name__}.{found.name}" for found in pkgutil.iter_modules(exports.__path__)]
    modules = [vars(import_module(name)) for name in names if name != __name__]
    found = {one.name: one for module in modules for one in module.get("FORMATS", ())}
    return dict(sorted(found.items()))


FORMATS = _found()
_BY_SUFFIX = {suffix: one for one in FORMATS.values() for suffix in one.suffixes}


def format_named(name: str) -> Format:
    """The format called ``name``. Raises :class:`InputError` if there is none."""
    if name not in FORMATS:
        raise InputError(f"no format is called {name!r}; known: {', '.join(FORMATS)}")
    return FORMATS[name]


def format_of(path: Path, name: str | None = None) -> Format:
    """The format called ``name``, or else the one ``path`` ends in.

    Raises :class:`InputError` if there is none, or if the two do not go together.
    """
    if name is None:
        found = _BY_SUFFIX.get(path.suffix.lower())
        if found is None:
            raise InputError(f"{path}: cannot tell what to export; a name ends in {', '.join(_BY_SUFFIX)}")
        return found
    wanted = format_named(name)
    if wanted.suffixes and path.suffix.lower() not in wanted.suffixes:
        raise InputError(f"{path}: a {name} export's name ends in {' or '.join(wanted.suffixes)}")
    return wanted


def cut_down(timeline: Timeline, chosen: Format, shot: int | None) -> Timeline:
    """``timeline``, or its shot ``shot`` alone. Raises :class:`InputError` if the format is of whole films only."""
    if shot is None:
        return timeline
    if not chosen.per_shot:
        able = ", ".join(one.name for one in FORMATS.values() if one.per_shot)
        raise InputError(f"{chosen.name}: is of the whole film; one shot can be exported as {able}")
    return timeline.only(shot)


def write_export(timeline: Timeline, path: Path, name: str | None = None, shot: int | None = None) -> list[Path]:
    """Export ``timeline``, or shot ``shot`` of it, to ``path``; returns every file written, each whole.

    Raises as :func:`format_of` and :func:`cut_down` do, and :class:`StorageError` when the disk refuses.
    """
    chosen = format_of(path, name)
    part = cut_down(timeline, chosen, shot)
    chosen.write(part, path)
    return chosen.files(part, path)
