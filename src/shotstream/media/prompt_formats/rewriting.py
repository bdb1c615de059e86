"""Common parts of the readers of other systems' prompts: they rewrite what they read as a story, with line numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shotstream.core.story import MAX_SECONDS
from shotstream.media.located import Located, Place

Tell = Callable[[str], None]  # takes one sentence for a person

_COUNTED = re.compile(r"\bThis scene contains \d+ shots?\.")


def silent(said: str) -> None:
    """Nobody listens."""


def without_count(global_caption: str) -> str:
    """``global_caption`` without the sentence that counts the shots, HoloCine's or ours: it asks for nothing that could
    be seen."""
    return _COUNTED.sub("", global_caption).strip()


@dataclass(frozen=True, slots=True)
class ReadShot:
    """One shot as another system's file has it, and the lines its caption and its length stand on.

    ``changes``: captions that take over in mid-shot, with their moments in seconds and their lines.
    """

    caption: object
    line: int
    seconds: float | None = None
    seconds_line: int = 0
    changes: tuple[tuple[float, object, int], ...] = ()


def as_story(found: Located, shots: Sequence[ReadShot], name: str, tell: Tell) -> Located:
    """``shots`` in the layout of a story, with ``global_caption`` and ``seed`` where ``found`` has them.

    Without a global caption the story says how many shots it has, as HoloCine's do: it needs one, and everything
    else would be made up. A shot longer than any here becomes as long as one can be. ``tell`` hears of both.
    """
    given = found.data if isinstance(found.data, dict) else {}
    data = {key: given[key] for key in ("global_caption", "seed") if key in given}
    lines: dict[Place, int] = {(): found.line(()), **{(key,): found.line((key,)) for key in data}}
    if "global_caption" not in data:
        data["global_caption"] = f"This scene contains {len(shots)} {'shot' if len(shots) == 1 else 'shots'}."
        tell(f"{name}, line {found.line(())}: no global caption; {data['global_caption']!r} stands in for it")
    rewritten: list[dict[str, object]] = []
    for index, shot in enumerate(shots):
        lines[("shots", index)] = shot.line
        entry: dict[str, object] = {"caption": shot.caption}
        if shot.seconds is not None:
            lines[("shots", index, "seconds")] = shot.seconds_line or shot.line
            entry["seconds"] = min(shot.seconds, MAX_SECONDS)
        if shot.seconds is not None and shot.seconds > MAX_SECONDS:
            where = f"{name}, line {shot.seconds_line or shot.line}"
            tell(f"{where}: shot {index} asks for {shot.seconds:g} s; a shot here is at most {MAX_SECONDS:g} s")
        if shot.changes:
            entry["changes"] = [{"seconds": moment, "caption": caption} for moment, caption, _ in shot.changes]
            lines |= {("shots", index, "changes", at): line for at, (_, _, line) in enumerate(shot.changes)}
        rewritten.append(entry)
    return Located({**data, "shots": rewritten}, lines)
