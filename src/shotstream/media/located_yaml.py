"""YAML with line numbers: mappings, lists, text and numbers, and nothing else YAML can do.

Tags, anchors and aliases, several documents, duplicate keys and deep nesting are refused, each with its line.
"""

from __future__ import annotations

import yaml
from yaml.constructor import SafeConstructor

from shotstream.core.errors import InputError
from shotstream.media.located import MAX_DEPTH, Located, Place, refuse_twice


def parse_yaml(text: str, name: str) -> Located:
    """Read ``text`` as YAML. Raises :class:`InputError` that names ``name``, the line and the mend."""
    try:
        _refuse_extras(text, name)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        raise InputError(f"{name}, line {mark.line + 1 if mark else 1}: not valid YAML ({fault.problem})") from fault
    except yaml.reader.ReaderError as fault:
        line = text.count("\n", 0, fault.position) + 1
        raise InputError(f"{name}, line {line}: holds a control character; remove it") from fault
    found = Located()
    if node is not None:
        found.data = _from_node(node, (), found.lines, name)
    return found


def _refuse_extras(text: str, name: str) -> None:
    """Walk the events, which need no memory of what was read: a bomb is refused before it is built."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
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


def _scalar(node: yaml.Node, name: str) -> object:
    """Text stays text unless YAML reads it as a number, a truth value or nothing; dates stay text."""
    if node.tag.rpartition(":")[2] not in ("int", "float", "bool", "null"):
        return str(node.value)
    try:
        value: object = SafeConstructor().construct_object(node)
    except ValueError as fault:
        line = node.start_mark.line + 1
        raise InputError(f"{name}, line {line}: {node.value[:40]} is not a number this program can read") from fault
    return value
