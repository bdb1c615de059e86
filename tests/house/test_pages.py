"""Documents that are written from the sources are up to date; links between documents lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from file_map import make_map, written_map
from help_pages import PAGE, make_page
from sources import ROOT

PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")]


def test_the_file_map_names_every_file_and_says_what_it_is_for() -> None:
    assert written_map().split("\n") == [*make_map().split("\n"), ""], "run: make map"


def test_the_help_pages_are_current() -> None:
    assert PAGE.read_text(encoding="utf-8").split("\n") == make_page().split("\n"), "run: make map"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert not [target for target in targets if not (page.parent / target).exists()]
