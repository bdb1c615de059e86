"""Cold starts, each in a process of its own: importing the package, asking for help, the first frame of a film."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from shotstream.tools.bench.figures import Startup
from shotstream.tools.bench.script import GLOBAL_CAPTION, captions

IMPORT = "from time import perf_counter as now; began = now(); import shotstream; print(now() - began)"
HELP = """
import sys
from shotstream.cli.main import main
main(["--help"])
print("torch" in sys.modules, file=sys.stderr)
"""
# What `shotstream generate` does, with a look at the clock when the first block is there.
GENERATE = """
import sys, time
from shotstream.cli.main import main
from shotstream.api import render_story
model, device, dtype, prompt, shot, output, began = sys.argv[1:]
story = {"global_caption": prompt, "shots": [{"caption": shot, "seconds": 0.5}]}
def look(progress):
    if progress.blocks_done == 1:
        print(time.time() - float(began), flush=True)
render_story(story, output, model=model, device=device, dtype=dtype, on_progress=look)
"""


def startup(model: str, device: str, dtype: str, repeats: int) -> Startup:
    """Medians of ``repeats`` starts; files are in the system's cache by then, bytecode is as it is."""
    helps = [_timed(HELP) for _ in range(repeats)]
    with TemporaryDirectory(prefix="shotstream-bench-") as folder:
        arguments = (model, device, dtype, GLOBAL_CAPTION, captions(1)[0], str(Path(folder) / "film.mp4"))
        first = float(_run(GENERATE, *arguments, str(time.time())).stdout)
    return Startup(
        import_seconds=median(float(_run(IMPORT).stdout) for _ in range(repeats)),
        help_seconds=median(seconds for seconds, _ in helps),
        help_loads_torch=any(said.strip() == "True" for _, said in helps),
        generate_to_first_frame_seconds=first,
    )


def _timed(code: str) -> tuple[float, str]:
    """Seconds of a process that runs ``code``, and what it says on standard error."""
    began = time.perf_counter()
    said = _run(code).stderr
    return time.perf_counter() - began, said


def _run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
