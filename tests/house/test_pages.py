"""Documents that are written from the sources are up to date; links between documents lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import words_page
from file_map import make_map, written_map
from help_pages import PAGE, make_page
from sources import ROOT

PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "examples").glob("*.md"),
    *(ROOT / "integrations").rglob("*.md"),
]


def test_the_file_map_names_every_file_and_says_what_it_is_for() -> None:
    assert written_map().split("\n") == [*make_map().split("\n"), ""], "run: make map"


def test_the_help_pages_are_current() -> None:
    assert PAGE.read_text(encoding="utf-8").split("\n") == make_page().split("\n"), "run: make map"


def test_the_page_of_words_is_current() -> None:
    written = words_page.PAGE.read_text(encoding="utf-8")
    assert written.split("\n") == words_page.make_page().split("\n"), "run: python tests/house/words_page.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert not [target for target in targets if not (page.parent / target).exists()]


NO_MAP = {"log.md", "experiments.md", "CONTRIBUTING.md"}  # of other times, or of files that are to be written
PLACES = (ROOT, ROOT / "src", ROOT / "src" / "shotstream", ROOT / "tests")


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in NO_MAP], ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    named = set(re.findall(r"(?<![\w/.-])((?:\w+/)+\w+\.(?:py|js|yaml|json))\b", page.read_text(encoding="utf-8")))
    assert not [name for name in named if not any((place / name).exists() for place in PLACES)]


def test_what_the_paper_is_said_to_be_in_is_there() -> None:
    page = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
    for names, path in re.findall(r"((?:`\w+`(?:, | and )?)+) in `([\w/]+\.py)`", page):
        source = (ROOT / "src" / "shotstream" / path).read_text(encoding="utf-8")
        for name in re.findall(r"`(\w+)`", names):
            assert re.search(rf"\b(?:class|def) {name}\b|^\s*{name}\b", source, re.MULTILINE), f"{name} in {path}"
