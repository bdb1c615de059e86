"""Importing the package is light, and so is asking for help."""

from __future__ import annotations

import json
import subprocess
import sys

from help_pages import commands

LIGHT = """
import sys
before = set(sys.modules)
touched = []
sys.addaudithook(lambda event, arguments: touched.append(event) if event.startswith("socket.") else None)
import shotstream
assert shotstream.__version__
loaded = {name.split(".")[0] for name in set(sys.modules) - before}
foreign = loaded - set(sys.stdlib_module_names) - {"shotstream"}
assert not foreign, foreign
assert not touched, touched
try:
    shotstream.nonsense
except AttributeError as fault:
    assert "nonsense" in str(fault)
"""

HELP = """
import json, sys
from shotstream.cli.main import main
for words in json.loads(sys.argv[1]):
    assert main([*words, "--help"]) == 0, words
heavy = {"torch", "numpy", "av", "skia", "tokenizers", "PIL", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
"""


def test_import_loads_nothing_but_the_standard_library() -> None:
    subprocess.run([sys.executable, "-c", LIGHT], check=True)


def test_every_help_page_comes_without_torch() -> None:
    words = json.dumps(list(commands()))
    done = subprocess.run([sys.executable, "-c", HELP, words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage: shotstream") == len(list(commands()))
