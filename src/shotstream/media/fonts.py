"""Fonts for storyboards in every script: Pillow's own, or one of this machine's.

The extra ``fonts`` brings Noto Sans CJK, for machines that have no font for Chinese, Japanese and Korean.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Beginnings of file names, the one with the most scripts first.
KNOWN = (
    *("notosanscjk", "sourcehansans", "notosanscjktc", "arialuni", "unifont", "wqy", "droidsansfallback"),
    *("pingfang", "hiragino", "applesdgothic", "msyh", "msgothic", "meiryo", "malgun", "yugoth"),
    *("dejavusans.", "notosans", "liberationsans-regular", "arial.", "segoeui."),
)
PACKAGE = "cvttf_NotoSansCJK_Regular"
MOST = 40  # fonts that are looked into
_NONE = "\U0010fffd"  # a letter no font has
_PLAIN = {0x2013: "-", 0x2014: "-", 0x2212: "-"}


def font_for(text: str, size: int) -> Font:
    """The font for ``text``, ``size`` pixels high: Pillow's own if it has every letter, else the one with the most."""
    own = font_of(size)
    letters = frozenset(_composed(text))
    if not _lacks(own, letters):
        return own
    best, least = own, len(letters) + 1
    for path in font_files():
        found = _opened(path, size)
        lacking = len(_lacks(found, letters)) if found is not None else len(letters) + 1
        if found is not None and lacking < least:
            best, least = found, lacking
        if not least:
            break
    return best if least < len(_lacks(own, letters)) else own


def font_of(size: int) -> Font:
    """Pillow's own font, ``size`` pixels high."""
    return ImageFont.load_default(size)


def drawable(text: str, font: Font) -> str:
    """``text`` in letters that ``font`` has: where one is missing, its plain form stands for it (é: e), if that is
    there."""
    composed = _composed(text)
    missing = _lacks(font, frozenset(composed))
    return "".join(_plain(letter, font) if letter in missing else letter for letter in composed)


def undrawable(texts: Iterable[str]) -> str:
    """The letters of ``texts``, each drawn in a font of its own, that it does not have, each once."""
    found: list[str] = []
    for text in texts:
        font = font_for(text, 16)
        drawn = drawable(text, font)
        missing = _lacks(font, frozenset(drawn))
        found += [letter for letter in drawn if letter in missing]
    return "".join(dict.fromkeys(found))


@cache
def font_files() -> tuple[Path, ...]:
    """Fonts of this machine that are known to have many scripts, the best first."""
    found = [path for folder in _folders() for path in _files(folder)]
    ranked = [(rank, path) for path in found if (rank := _rank(path)) is not None]
    return tuple(path for _, path in sorted(ranked)[:MOST])


def _folders() -> Iterator[Path]:
    spec = find_spec(PACKAGE)
    if spec is not None and spec.origin is not None:
        yield Path(spec.origin).parent
    home = Path.home()
    if sys.platform == "win32":
        yield Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts"
    elif sys.platform == "darwin":
        yield from (Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library" / "Fonts")
    else:
        yield from (
            Path("/usr/share/fonts"),
            Path("/usr/local/share/fonts"),
            home / ".local/share/fonts",
            home / ".fonts",
        )


def _files(folder: Path) -> Iterator[Path]:
    for where, _, names in os.walk(folder):
        yield from (Path(where) / name for name in names if name.lower().endswith((".ttf", ".otf", ".ttc")))


def _rank(path: Path) -> int | None:
    name = path.name.lower()
    if any(word in name for word in ("bold", "italic", "oblique", "light", "black", "thin", "mono", "condensed")):
        return None
    return next((rank for rank, known in enumerate(KNOWN) if name.startswith(known)), None)


@lru_cache(maxsize=64)
def _opened(path: Path, size: int) -> Font | None:
    try:
        return ImageFont.truetype(path, size)
    except OSError:  # a file that is no font, or not for us: then another serves
        return None


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text.translate(_PLAIN))


def _plain(letter: str, font: Font) -> str:
    parts = [sign for sign in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(sign)]
    return letter if _lacks(font, frozenset(parts)) else "".join(parts)


def _lacks(font: Font, letters: frozenset[str]) -> frozenset[str]:
    """Those of ``letters`` that ``font`` has no picture of."""
    if not isinstance(font, ImageFont.FreeTypeFont):
        return frozenset(letter for letter in letters if ord(letter) > 0xFF)
    nothing = bytes(font.getmask(_NONE))
    return frozenset(
        letter
        for letter in letters
        if not letter.isspace() and not unicodedata.combining(letter) and bytes(font.getmask(letter)) == nothing
    )
