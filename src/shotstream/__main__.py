"""``python -m shotstream``: the command, for when its script is not on the path."""

from __future__ import annotations

from shotstream.cli.main import run

if __name__ == "__main__":
    run()
