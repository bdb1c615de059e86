"""JSON with line numbers. Duplicate keys and deep nesting are refused, each with its line."""

from __future__ import annotations

import re
from json.decoder import JSONDecodeError, JSONDecoder

from shotstream.core.errors import InputError
from shotstream.media.located import MAX_DEPTH, Located, Place, refuse_twice

_WHITE = re.compile(r"[ \t\r\n]*")


def parse_json(text: str, name: str) -> Located:
    """Read ``text`` as JSON. Raises :class:`InputError` that names ``name``, the line and the mend."""
    reader = _JsonReader(text, name)
    try:
        found = Located(reader.value(0, ()), reader.lines)
        reader.finish()
    except JSONDecodeError as fault:
        raise InputError(f"{name}, line {fault.lineno}: not valid JSON ({fault.msg})") from fault
    return found


class _JsonReader:
    """Walks objects and arrays itself, to know their lines; leaves text and numbers to the json module."""

    def __init__(self, text: str, name: str) -> None:
        self.text, self.name = text, name
        self.lines: dict[Place, int] = {}
        self.end = 0  # just behind what was read last
        self._scalars = JSONDecoder(strict=False)
        self._counted = (0, 1)  # up to which position lines were counted, and the line there

    def value(self, start: int, place: Place) -> object:
        start = self._skip(start)
        self.lines.setdefault(place, self._line(start))
        if len(place) > MAX_DEPTH:
            raise self._fault(start, f"nested more than {MAX_DEPTH} deep; a story is flat")
        if self.text[start : start + 1] == "{":
            return self._object(start + 1, place)
        if self.text[start : start + 1] == "[":
            return self._array(start + 1, place)
        return self._scalar(start)

    def finish(self) -> None:
        if self._skip(self.end) != len(self.text):
            raise JSONDecodeError("extra data after the story", self.text, self._skip(self.end))

    def _object(self, position: int, place: Place) -> dict[str, object]:
        found: dict[str, object] = {}
        while self.text[(position := self._skip(position)) : position + 1] != "}":
            line, key = self._line(position), self._scalar(position)
            if not isinstance(key, str):
                raise JSONDecodeError("a key must be text in double quotes", self.text, position)
            refuse_twice(key, found, line, self.name)
            self.lines[(*place, key)] = line
            found[key] = self.value(self._past(":", self.end), (*place, key))
            position = self._next("}", self.end)
        self.end = position + 1
        return found

    def _array(self, position: int, place: Place) -> list[object]:
        found: list[object] = []
        while self.text[(position := self._skip(position)) : position + 1] != "]":
            found.append(self.value(position, (*place, len(found))))
            position = self._next("]", self.end)
        self.end = position + 1
        return found

    def _next(self, closing: str, position: int) -> int:
        """Where the next member starts, or where ``closing`` stands; a comma before ``closing`` is an error."""
        position = self._skip(position)
        if self.text[position : position + 1] == closing:
            return position
        after = self._skip(self._past(",", position))
        if self.text[after : after + 1] == closing:
            raise JSONDecodeError("a comma too many", self.text, position)
        return after

    def _past(self, sign: str, position: int) -> int:
        position = self._skip(position)
        if self.text[position : position + 1] != sign:
            raise JSONDecodeError(f"expected {sign!r}", self.text, position)
        return position + 1

    def _scalar(self, position: int) -> object:
        try:
            value: object
            value, self.end = self._scalars.raw_decode(self.text, position)
        except JSONDecodeError:
            raise
        except ValueError as fault:
            raise self._fault(position, "a number with too many digits") from fault
        return value

    def _skip(self, position: int) -> int:
        match = _WHITE.match(self.text, position)
        return match.end() if match else position

    def _line(self, position: int) -> int:
        counted, line = self._counted
        self._counted = (position, line + self.text.count("\n", counted, position))
        return self._counted[1]

    def _fault(self, position: int, said: str) -> InputError:
        return InputError(f"{self.name}, line {self._line(position)}: {said}")
