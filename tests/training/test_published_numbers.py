"""The recipes of Wan's stages are the published settings: numbers of the paper and of its public code, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from shotstream.families.wan import WAN_1_3B
from shotstream.training.recipes import read_recipe

ADAMW = {"kind": "adamw", "betas": (0.0, 0.999), "weight_decay": 0.01, "ema": 0.0}
PUBLISHED: dict[str, dict[str, Any]] = {
    "teacher": {
        "samples": {"lengths": "clips", "context_drop": 0.1, "caption_drop": 0.1, "context_noise": 0.0},
        "optimiser": {**ADAMW, "rate": 1e-5, "clip": 10},
        "loop": {"updates": 10_000, "accumulate": 64},
        "times": "uniform",
        "trained": "self-attention",
    },
    "trajectories": {
        "samples": {"lengths": "clips", "context_drop": 0.0, "caption_drop": 0.0},
        "steps": 50,
        "guidance": 6,
        "pairs": 5000,
        "student_steps": (1000, 740, 500, 260),
    },
    "causal-init": {
        "samples": {"lengths": "clips"},
        "caption_drop": 0.1,
        "true_share": 0.0,
        "optimiser": {"rate": 1e-6, "clip": 1},
        "loop": {"updates": 2000, "accumulate": 64},
    },
    "intra-shot": {
        "samples": {"lengths": "clips", "context_drop": 0.1, "caption_drop": 0.0},
        "dmd": {"guidance": 3 + 1, "critic_updates": 5, "context_gradient": False, "lowest": 20, "highest": 980},
        "student": {**ADAMW, "rate": 2e-6, "clip": 1},
        "critic": {**ADAMW, "rate": 4e-7, "clip": 10},
        "loop": {"updates": 500, "accumulate": 32},
    },
    "inter-shot": {
        "lengths": {21: 1.0},
        "context_drop": 0.1,
        "full_history": False,
        "dmd": {"guidance": 3 + 1, "critic_updates": 5},
        "student": {"lora": {"rank": 256, "alpha": None}},
        "critic": {"lora": {"rank": 256, "alpha": None}},
        "loop": {"updates": 1000},
    },
}


@pytest.mark.parametrize("stage", PUBLISHED)
def test_wans_recipe_is_the_published_one(stage: str) -> None:
    recipe = read_recipe(f"wan-1.3b/{stage}").model_dump()
    for name, value in PUBLISHED[stage].items():
        if isinstance(value, dict) and name != "lengths":
            assert {key: recipe[name][key] for key in value} == value, name
        else:
            assert recipe[name] == value, name


def test_on_one_gpu_condition_frames_are_dropped_as_often() -> None:
    assert read_recipe("wan-1.3b/intra-shot-1gpu").model_dump()["samples"]["context_drop"] == 0.1


def test_a_shot_has_at_most_81_frames_and_guidance_leads_away_from_wans_negative_prompt() -> None:
    assert WAN_1_3B.geometry.shot_frames(WAN_1_3B.geometry.max_blocks) == 81
    assert WAN_1_3B.negative_prompt is not None and WAN_1_3B.negative_prompt.startswith("色调艳丽")
