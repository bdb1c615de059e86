"""The recipes of CONTRIBUTING.md, applied to a copy of the package, do what they say and touch no other file."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = re.compile(r"(Add to|New file) `src/([^`]+)`:\n\n```\w+\n(.*?)```", re.DOTALL)


def recipe(title: str) -> list[tuple[str, str, str]]:
    """(what to do, file below src, code) of every step of a recipe."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = CODE.findall(page.split(f"### {title}\n")[1].split("\n### ")[0])
    assert found, f"no code under {title!r}"
    return found


class Copy:
    """A copy of the package that contributions are tried on."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "src"
        weights = self.source / "shotstream" / "bundled"
        ignored = shutil.ignore_patterns("__pycache__", "bundled")
        shutil.copytree(ROOT / "src" / "shotstream", self.source / "shotstream", ignore=ignored)
        weights.symlink_to(ROOT / "src" / "shotstream" / "bundled", target_is_directory=True)

    def apply(self, title: str) -> None:
        """Do what the recipe says."""
        for what, name, code in recipe(title):
            path = self.source / name
            assert path.exists() == (what == "Add to"), f"{what} {name}"
            path.write_text((path.read_text() + "\n\n" if path.exists() else "") + code)

    def run(self, *command: str | Path) -> str:
        """What Python prints that sees this copy and no other."""
        environment = os.environ | {"PYTHONPATH": str(self.source)}
        ran = subprocess.run(
            [sys.executable, *map(str, command)], env=environment, capture_output=True, text=True, timeout=120
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


SECOND_ORDER = """
import torch
from shotstream.core.flow import FlowSchedule
from shotstream.families.preset import SamplerSettings
from shotstream.sampling.solvers import sampler

flow = lambda x, timestep: 3 * (timestep / 1000) ** 2 * torch.ones_like(x)  # dx/ds = 3 s^2: x = s^3 + c
def error(kind, steps):
    end = sampler(SamplerSettings(kind=kind, steps=steps), FlowSchedule(shift=1))(flow, lambda step: torch.ones(1))
    return abs(float(end))
print(error("euler", 32) / error("euler", 64), error("heun", 32) / error("heun", 64))
"""


def test_a_sampler(copy: Copy, tiny_model: Path, tmp_path: Path) -> None:
    copy.apply("Add a sampler")
    euler, heun = map(float, copy.run("-c", SECOND_ORDER).split())
    assert euler == pytest.approx(2, abs=0.2) and heun == pytest.approx(4, abs=0.4)  # first and second order
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    preset = json.loads((model / "preset.json").read_text())
    preset["student"] |= {"kind": "heun", "steps": 2}
    (model / "preset.json").write_text(json.dumps(preset))
    film = "import sys, shotstream; f = shotstream.load(sys.argv[1], device='cpu').open(global_caption='A fox.')\n"
    assert copy.run("-c", film + "print(len(f.shot('It sits.', seconds=0.6).wait().frames))", model).strip() == "9"


def test_an_export_format(copy: Copy, tiny_model: Path, tmp_path: Path) -> None:
    copy.apply("Add an export format")
    made = """
import sys, shotstream
film = shotstream.load(sys.argv[1], device="cpu").open(global_caption="A fox.")
film.shot('It sits, "here".', seconds=0.6).wait()
film.shot("It sleeps.", seconds=1.3).wait()
film.save(sys.argv[2] + "/film.film")
film.export(sys.argv[2] + "/film.csv")
"""
    copy.run("-c", made, tiny_model, tmp_path)
    rows = (tmp_path / "film.csv").read_text().splitlines()
    assert rows == ["shot,seconds,caption", '0,0.562,"It sits, ""here""."', "1,1.312,It sleeps."]
    again = tmp_path / "again.csv"
    command = "import sys; from shotstream.cli.main import run; sys.argv[0] = 'shotstream'; run()"
    copy.run("-c", command, "export", tmp_path / "film.film", "-o", again)
    assert again.read_text().splitlines() == rows


MEASURED = """
import sys
from pathlib import Path
import torch
from shotstream.core.geometry import Geometry
from shotstream.data.recognition.network import load_recogniser, save_recogniser
from shotstream.data.recognition.network import Recogniser, RecogniserConfig
from shotstream.evaluation.detectors import PySceneDetect
from shotstream.evaluation.judge import Recognisers
from shotstream.evaluation.report import write_report
from shotstream.evaluation.run import SuiteRun
from shotstream.evaluation.scores import score
from shotstream.evaluation.suites import Suite, SuiteFile, SuiteGroup
from shotstream.evaluation.run import Truth

folder, geometry = Path(sys.argv[1]), Geometry(width=64, height=32, spatial=16, latent_channels=4)
sizes = {"width": 32, "height": 16, "channels": (8, 8, 16), "depths": (0, 1, 1), "embedding": 8, "picture_features": 8}
save_recogniser(Recogniser(RecogniserConfig(**sizes)), folder / "r.safetensors", {})
group = SuiteGroup(shots=3, seconds=(0.5625,), seeds=(1,))
suite = Suite(SuiteFile(name="small", version=1, world_version=1, groups=(group,), captions_sha256=""))
run = SuiteRun(suite, Recognisers(*load_recogniser(folder / "r.safetensors")), PySceneDetect(), folder)
run.run([Truth(name, geometry) for name in ("truth", "fading")], None, lambda *_: None)
scores = score(run, ("truth", "fading"), None, {})
write_report(run, scores, folder / "page.md")
print(*(scores.systems[name].measures["contrast"].mean for name in ("truth", "fading")))
"""


def test_a_measure(copy: Copy, tmp_path: Path) -> None:
    copy.apply("Add a measure")
    truth, fading = map(float, copy.run("-c", MEASURED, tmp_path).split())
    assert truth > fading > 0
    assert "| contrast |" in (tmp_path / "page.md").read_text()


def test_a_stage(copy: Copy, tmp_path: Path) -> None:
    """One file and a recipe: the toy stage, put where CONTRIBUTING says."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (toy,) = re.findall(r"`(tests/training/\w+/\w+\.py)`", page.split("### Add a training stage")[1].split("###")[0])
    for name in re.findall(r"New file `src/([^`]+)`", page.split("### Add a training stage")[1].split("###")[0]):
        (copy.source / name).parent.mkdir(exist_ok=True)
        shutil.copy((ROOT / toy).with_suffix(Path(name).suffix), copy.source / name)
    command = "import sys; from shotstream.cli.main import run; sys.argv[0] = 'shotstream'; run()"
    copy.run("-c", command, "train", "toy/line", "--out", tmp_path / "runs")
    assert list((tmp_path / "runs").rglob("line.safetensors"))


def test_a_family(copy: Copy) -> None:
    copy.apply("Add a model family")
    command = "import sys; from shotstream.cli.main import run; sys.argv[0] = 'shotstream'; run()"
    plan = copy.run("-c", command, "train", "storyworld/teacher", "preset=tall", "--dry-run")
    assert "preset: tall" in plan and "11,507,680 parameters" in plan
    size = "from shotstream.families.family import preset; print(preset('tall').geometry.latent_shape)"
    assert copy.run("-c", size).strip() == "(16, 16, 10)"
