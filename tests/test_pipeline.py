"""The pipeline in the style of diffusers: its outputs against diffusers' own, callbacks, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.video_processor import VideoProcessor

from shotstream import Block, InputError, ShotStreamPipeline

FOX = "A red fox in the snow."
SHOTS = ["Wide shot. It walks.", "A close-up."]


@pytest.fixture
def pipe(tiny_model: Path) -> ShotStreamPipeline:
    return ShotStreamPipeline.from_pretrained(tiny_model, device="cpu", torch_dtype=torch.float32)


def test_outputs_are_what_the_video_processor_of_diffusers_makes_of_the_film(pipe: ShotStreamPipeline) -> None:
    made = {
        kind: pipe(SHOTS, global_caption=FOX, seconds=1.3, seed=3, output_type=kind) for kind in ("pil", "np", "pt")
    }
    film = np.stack(list(made["pil"].film.frames()))
    assert film.shape == (42, 32, 64, 3)
    pixels = torch.from_numpy(film).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
    processor = VideoProcessor(vae_scale_factor=8)
    for kind, output in made.items():
        assert output[0] is output["frames"] is output.frames and output[1] is output["film"] is output.film
        theirs = processor.postprocess_video(pixels, output_type=kind)
        if kind == "pil":
            assert len(output.frames) == len(theirs) == 1
            for one, other in zip(output.frames[0], theirs[0], strict=True):
                np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
        else:
            np.testing.assert_allclose(np.asarray(output.frames), np.asarray(theirs), atol=1e-6)


def test_a_generator_moves_on_and_one_seeded_alike_makes_the_same_film(pipe: ShotStreamPipeline) -> None:
    one, other = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5)

    def film(generator: torch.Generator) -> np.ndarray:
        asked: dict[str, Any] = {"global_caption": FOX, "num_frames": 9, "output_type": "np"}
        return np.asarray(pipe("It walks.", generator=generator, **asked).frames)

    first = film(one)
    np.testing.assert_array_equal(first, film(other))
    assert not np.array_equal(first, film(one))


def test_a_callback_changes_the_prompt_in_mid_shot_and_ends_the_call(pipe: ShotStreamPipeline) -> None:
    seen = []

    def on_block(asked: ShotStreamPipeline, shot: int, block: int, given: dict[str, Any]) -> dict[str, Any] | None:
        seen.append((shot, block, given["prompt"], len(given["frames"])))
        if block == 0:
            return {"prompt": "It sleeps."}
        asked.interrupt()
        return None

    output = pipe(["It walks.", "It sits."], global_caption=FOX, seconds=2, callback_on_block_end=on_block)
    assert seen == [(0, 0, "It walks.", 9), (0, 1, "It sleeps.", 12)]
    assert len(output.frames[0]) == 21 and len(output.film.shots) == 1
    assert output.film.shots[0].chosen is not None and output.film.shots[0].chosen.state == "cut"


def test_a_film_goes_on_and_streams(pipe: ShotStreamPipeline) -> None:
    film = pipe("It walks.", global_caption=FOX, seconds=0.6).film
    blocks = list(pipe.stream("It sits.", film=film, seconds=1.3))
    assert [(take.shot, type(block), len(block.frames)) for take, block in blocks] == [(1, Block, 9), (1, Block, 12)]
    assert [shot.caption for shot in film.shots] == ["It walks.", "It sits."]
    assert pipe.director.cache_bytes() == 0  # nothing is prepared that nobody asked for


def test_moving_it_loads_again_only_what_changes(pipe: ShotStreamPipeline) -> None:
    director = pipe.director
    assert pipe.to("cpu").director is director and pipe.to(torch.float32).director is director
    assert pipe.to(torch.bfloat16).dtype == torch.bfloat16 and pipe.director is not director
    director = pipe.director
    for place, said in (("abacus", "no device is called 'abacus'"), (torch.float64, "no number format")):
        with pytest.raises(InputError, match=said):
            pipe.to(place)
    assert pipe.to("cpu").director is director  # what was refused is not asked for again


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"prompt": "It walks."}, "global_caption is missing"),
        ({"prompt": [], "global_caption": FOX}, r"prompt is \[\]; give the caption"),
        ({"prompt": ["It walks.", " "], "global_caption": FOX}, "prompt 1: caption is blank"),
        ({"prompt": SHOTS, "global_caption": FOX, "seconds": [1.0]}, "lists 1 lengths for 2 shots"),
        ({"prompt": SHOTS, "global_caption": FOX, "seconds": 1, "num_frames": 9}, "both say how long"),
        ({"prompt": SHOTS, "global_caption": FOX, "output_type": "latent"}, "give pil, np or pt"),
        ({"prompt": "-", "global_caption": FOX, "seed": 1, "generator": torch.Generator()}, "both say what the noise"),
    ],
)
def test_what_it_refuses(pipe: ShotStreamPipeline, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        pipe(**asked)


def test_a_film_keeps_its_own_caption_and_seed(pipe: ShotStreamPipeline) -> None:
    film = pipe("It walks.", global_caption=FOX, seconds=0.6).film
    with pytest.raises(InputError, match="has a global caption and a seed already"):
        pipe("It sits.", film=film, seed=3)
    assert len(film.shots) == 1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"guidance_scale": 5.0}, "guidance_scale: is nothing this pipeline can be asked for; the student needs no"),
        ({"num_inference_steps": 4}, "say steps= where the pipeline is loaded"),
        ({"sedd": 4}, "sedd: .* there are global_caption, film, seconds"),
        ({"generator": [torch.Generator()]}, "give one torch.Generator"),
        ({"num_frames": "9"}, "num_frames '9': give a whole number"),
        ({"seconds": "2"}, "seconds '2': give a number"),
        ({"global_caption": 3}, "global_caption is missing"),
        ({"prompt": 3}, "prompt is 3; give the caption"),
        ({"film": "a.film"}, "film 'a.film': give a Film"),
        ({"prompt": {"a": 1}}, "give the caption of one shot, or a list"),
    ],
)
def test_what_would_be_passed_over_is_refused(pipe: ShotStreamPipeline, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        pipe(**{"prompt": "It walks.", "global_caption": FOX, **asked})


def test_numbers_of_numpy_are_numbers(pipe: ShotStreamPipeline) -> None:
    asked: dict[str, Any] = {"global_caption": FOX, "seed": np.int64(5)}
    assert len(pipe("It walks.", num_frames=np.int64(9), **asked).frames[0]) == 9
    assert len(pipe("It walks.", seconds=np.float32(0.6), **asked).frames[0]) == 9


def test_what_pipelines_of_diffusers_have_is_there_or_said(pipe: ShotStreamPipeline) -> None:
    assert pipe.to(device="cpu", dtype=torch.float32) is pipe and repr(pipe).startswith("<pipeline of director of tiny")
    assert not hasattr(pipe, "load_lora_weights")
    with pytest.raises(AttributeError, match="no enable_model_cpu_offload: the memory plan places what is large"):
        pipe.enable_model_cpu_offload()
