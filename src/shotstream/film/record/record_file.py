"""Reads a film's record from JSON."""

from __future__ import annotations

from pydantic import ConfigDict, ValidationError

from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.core.story import describe
from shotstream.film.record.film_record import FilmRecord

FORMAT = "shotstream film"
VERSION = 2


class _Header(Config):
    """The two keys every version of the format has."""

    model_config = ConfigDict(extra="ignore")

    format: str
    version: int


def read_record(data: bytes, name: str) -> FilmRecord:
    """The film described by JSON ``data``; ``name`` is what errors call it. Raises :class:`InputError`, one line."""
    check_version(data, name)
    try:
        return FilmRecord.model_validate_json(data)
    except ValidationError as fault:
        raise InputError(f"{name}: {said(fault)}; the file is damaged") from fault


def check_version(data: bytes, name: str) -> None:
    """Refuse the film described by JSON ``data`` if it is of a version we cannot read. Raises :class:`InputError`."""
    try:
        header = _Header.model_validate_json(data)
    except ValidationError as fault:
        raise InputError(f"{name}: not a film's description ({said(fault)}); is this a film file?") from fault
    if header.format != FORMAT:
        raise InputError(f"{name}: its format is {header.format[:40]!r}, not {FORMAT!r}; give a film file")
    if header.version != VERSION:
        raise InputError(f"{name}: film file version {header.version}, this program reads {VERSION}; update shotstream")


def said(fault: ValidationError) -> str:
    """The first thing that is wrong, in a few words."""
    first = fault.errors(include_url=False, include_input=False)[0]
    return f"{describe(tuple(first['loc']))}: {first['msg'].removeprefix('Value error, ')}"
