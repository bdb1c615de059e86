"""Short untrusted text files: bounded memory, UTF-8; JSON and YAML as plain data with the line of every key and item.

Duplicate keys and deep nesting are refused. YAML is limited to mappings, lists, text and numbers: tags, anchors and
aliases and several documents are refused too, each with its line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from json.decoder import JSONDecodeError, JSONDecoder
from pathlib import Path

import yaml
from yaml.constructor import SafeConstructor

from shotstream.core.errors import InputError, StorageError
from shotstream.core.story import unknown_key

MAX_DEPTH = 8  # a story is three deep

Place = tuple[str | int, ...]


@dataclass
class Located:
    """``data`` as read, and the line (from 1) of every key and list item by its place in ``data``."""

    data: object = None
    lines: dict[Place, int] = field(default_factory=dict)

    def line(self, place: Place) -> int:
        """The line of ``place``, or of the nearest thing around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def fault(self, place: Place, name: str, said: str) -> InputError:
        """What to raise for ``place`` of the file ``name``."""
        return InputError(f"{name}, line {self.line(place)}: {said}")


def refuse_twice(key: str, found: Container[str], line: int, name: str) -> None:
    """Raise :class:`InputError` if ``key`` was already ``found`` in this mapping."""
    if key in found:
        raise InputError(f"{name}, line {line}: {json.dumps(key[:40])} is given twice; keep one")


def refuse_unknown(found: Located, known: Iterable[str], name: str) -> None:
    """Raise :class:`InputError` for the first key of the mapping ``found`` that is not ``known``."""
    names = list(known)
    assert isinstance(found.data, dict)
    for key in found.data:
        if key not in names:
            raise found.fault((key,), name, unknown_key(key, names))


_WHITE = re.compile(r"[ \t\r\n]*")
_OTHER_QUOTES = tuple("'`“”„‘’")


def parse_json(text: str, name: str) -> Located:
    """Read ``text`` as JSON. Raises :class:`InputError` that names ``name``, the line and the mend."""
    reader = _JsonReader(text, name)
    try:
        found = Located(reader.value(0, ()), reader.lines)
        reader.finish()
    except JSONDecodeError as fault:
        said = fault.msg
        if text[fault.pos :].lstrip().startswith(("//", "/*", "#")):
            said = "it holds no comments; remove them, or save the story as YAML"
        elif text[fault.pos :].lstrip()[:1] in _OTHER_QUOTES:
            said = 'text stands in straight double quotes, "so"'
        raise InputError(f"{name}, line {fault.lineno}: not valid JSON ({said})") from fault
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


LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader  # the same rules in C: twenty times as fast
_VALUE = re.compile(r"\s*(?:- +)*(?:[\w-]+: +|[\w-]+:$|- +)?(.*)")
_NO_SPACE = re.compile(r"\s*(?:- +)?[A-Za-z_]\w*:\S")
_SIGNS = "@`%&*!|>[]{},?#"  # text must not begin with these
_MEANT = re.compile(r" +(#[^\s#!]\S*)")
_CURLY = ("“", "”", "„", "‘", "’")


def parse_yaml(text: str, name: str) -> Located:
    """Read ``text`` as YAML. Raises :class:`InputError` that names ``name``, the line and the mend."""
    try:
        _refuse_extras(text, name)
        node = yaml.compose(text, Loader=LOADER)
    except yaml.MarkedYAMLError as fault:
        mark, begun = fault.problem_mark or fault.context_mark, fault.context_mark or fault.problem_mark
        where, said = _advice(text, _line(mark), _line(begun), f"{fault.context or ''} {fault.problem or ''}".strip())
        raise InputError(f"{name}, line {where}: {said}") from fault
    except yaml.reader.ReaderError as fault:
        line = text.count("\n", 0, fault.position) + 1
        raise InputError(f"{name}, line {line}: holds a control character; remove it") from fault
    except ValueError as fault:
        raise InputError(f"{name}: not valid YAML (a version or an escape no program can read)") from fault
    found = Located()
    if node is not None:
        found.data = _from_node(node, (), found.lines, name)
    return found


def _line(mark: yaml.Mark | None) -> int:
    return mark.line + 1 if mark else 1


def _refuse_extras(text: str, name: str) -> None:
    """Walk the events, which need no memory of what was read: a bomb is refused before it is built."""
    depth = documents = 0
    lines = re.split(r"\r\n|[\n\r\x85\u2028\u2029]", text)  # as YAML counts them
    for event in yaml.parse(text, Loader=LOADER):
        line = event.start_mark.line + 1 if event.start_mark else 1
        documents += isinstance(event, yaml.DocumentStartEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if documents > 1:
            raise InputError(f"{name}, line {line}: a second YAML document; one file holds one story")
        if depth > MAX_DEPTH:
            raise InputError(f"{name}, line {line}: nested more than {MAX_DEPTH} deep; a story is flat")
        if isinstance(event, yaml.NodeEvent) and event.anchor:
            raise InputError(f"{name}, line {line}: YAML anchors and aliases are not allowed; write the text out")
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag:
            raise InputError(f"{name}, line {line}: YAML tags are not allowed; remove {event.tag[:40]!r}")
        _refuse_lost_words(event, lines, name)


def _from_node(node: yaml.Node, place: Place, lines: dict[Place, int], name: str) -> object:
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_from_node(item, (*place, index), lines, name) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        found: dict[str, object] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise InputError(f"{name}, line {line}: a key must be one word")
            key = str(key_node.value)
            refuse_twice(key, found, line, name)
            lines[(*place, key)] = line
            found[key] = _from_node(value_node, (*place, key), lines, name)
        return found
    return _scalar(node, name)


def _refuse_lost_words(event: yaml.Event, lines: list[str], name: str) -> None:
    """Raise :class:`InputError` for text behind which a comment begins without a space: it was most likely meant."""
    mark = event.end_mark
    if not isinstance(event, yaml.ScalarEvent) or event.style or mark is None or mark.line >= len(lines):
        return
    lost = _MEANT.match(lines[mark.line], mark.column)
    if lost and re.search(r"[^\W\d]", event.value):
        raise InputError(
            f"{name}, line {mark.line + 1}: what stands behind {lost[1][:20]!r} is a comment in YAML, and lost; put "
            "the text in quotes, or a space behind the #"
        )


def _scalar(node: yaml.Node, name: str) -> object:
    """Text stays text unless YAML reads it as a number, a truth value or nothing; dates stay text."""
    if node.tag.rpartition(":")[2] not in ("int", "float", "bool", "null"):
        return str(node.value)
    try:
        value: object = SafeConstructor().construct_object(node)
    except (ValueError, OverflowError) as fault:  # YAML 1.1 reads 1:59:59 in base 60
        line = node.start_mark.line + 1
        raise InputError(f"{name}, line {line}: {node.value[:40]} is not a number this program can read") from fault
    if re.fullmatch(r"[-+]?0[\d_]+", node.value):  # YAML 1.1 reads 010 in base 8
        line = node.start_mark.line + 1
        raise InputError(f"{name}, line {line}: {node.value[:40]} begins with a zero; leave the zero out")
    return value


def _advice(text: str, line: int, context_line: int, problem: str) -> tuple[int, str]:
    """A line (from 1) and what to change in it, in words that need no knowledge of YAML, where the parser stops in
    ``line`` at a ``problem`` that began in ``context_line``."""
    lines = text.split("\n")
    for number in dict.fromkeys((line, context_line, line - 1)):
        if 1 <= number <= len(lines):
            said = _fault_of(lines[number - 1].rstrip("\r"))
            if said:
                return (number, said)
    if "quoted scalar" in problem or "end of stream" in problem:
        return (context_line, "the quotes that begin here are not closed")
    if "'-' indicator" in problem or "block collection" in problem or "block mapping" in problem:
        return (line, "is not indented like the lines it belongs to")
    if "expected ':'" in problem:
        return (line, "is no `key: value` and no list item; indent text that goes on, or put it in quotes")
    return (line, f"cannot be read as YAML ({problem}); text in quotes is always safe")


def _fault_of(line: str) -> str:
    """What is wrong with ``line``, looked at alone; blank if nothing is."""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "is indented by a tab; use spaces"
    found = _VALUE.match(line)
    value = found[1].strip() if found else ""
    quote = value[:1]
    if quote in _CURLY:
        return "stands in curly quotes, which mean nothing in YAML; use straight ones"
    if quote in ("'", '"'):
        inside = value[1:-1] if len(value) > 1 and value.endswith(quote) else value[1:]
        if quote == "'" and "'" in inside.replace("''", ""):
            return "holds an apostrophe inside single quotes; put the text in double quotes"
        if quote == '"' and '"' in inside.replace('\\"', ""):
            return "holds double quotes inside double quotes; put the text in single quotes"
        return ""
    if quote and quote in _SIGNS and not (quote in "[{" and value.endswith(("]", "}", ","))):
        return f"begins its text with {quote!r}, which means something in YAML; put the text in quotes"
    if re.search(r":(?:\s|$)", value):
        return "holds a colon inside its text; put the text in quotes"
    if _NO_SPACE.match(line):
        return "has no space behind its colon; write `key: value`"
    return ""


MAX_BYTES = 512 * 1024


def read_text(path: Path) -> str:
    """The text in ``path``. Raises :class:`InputError` (what is in it) or :class:`StorageError` (it cannot be read)."""
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder; name a story file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as fault:
        raise InputError(f"{path}: no such file; check the name") from fault
    except (OSError, ValueError) as fault:
        said = fault.strerror if isinstance(fault, OSError) else fault
        raise StorageError(f"{str(path)!r}: cannot be read ({said})") from fault
    return decoded(data, str(path))


def decoded(data: bytes, name: str) -> str:
    """``data`` as text; ``name`` is what errors call it. Raises :class:`InputError`."""
    if len(data) > MAX_BYTES:
        raise InputError(f"{name}: larger than {MAX_BYTES // 1024} KiB; a story is a short text")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(f"{name}: is UTF-16, as PowerShell writes it; save it as UTF-8 (Out-File -Encoding utf8)")
    if b"\0" in data:
        raise InputError(f"{name}: is not a text file; a story is YAML or JSON in UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        raise InputError(f"{name}, line {line}: is not UTF-8; save the file as UTF-8") from fault
