"""Storyboards of the examples' films, made by the packaged model. Run this file to draw those of the documents anew."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from sources import ROOT

IMAGES = ROOT / "docs" / "images"
FILMS = {  # the picture's name: the story's
    "fox": "fox",
    "owl": "there_and_back",
    "friends": "two_friends",
    "robot": "robot_in_the_rain",
    "bear": "night_has_fallen",
}


def draw(picture: str, story: str) -> None:
    """Make the film of an example, and keep its storyboard."""
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "film.mp4"
        command = [sys.executable, "-m", "shotstream", "generate", str(ROOT / "examples" / f"{story}.yaml")]
        subprocess.run([*command, "-o", str(film)], check=True)
        with Image.open(film.with_suffix(".png")) as storyboard:
            storyboard.convert("RGB").save(IMAGES / f"film-{picture}.webp", quality=80, method=6)


if __name__ == "__main__":
    for picture, story in FILMS.items():
        draw(picture, story)
