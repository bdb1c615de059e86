"""Two nodes: load a model, and make the film of a story, its blocks as previews while it is made.

Axes: T frames, H and W pixels; ComfyUI's images are float32 [T, H, W, 3], 0 to 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from shotstream.core.errors import InputError
from shotstream.core.story import MAX_SEED, Story
from shotstream.media.story_file import parse_story

if TYPE_CHECKING:
    import torch

    from shotstream.film.director import Director

STORY = """global_caption: A red fox with a blue hat in a snowy forest.
shots:
- caption: Wide shot. The fox walks to the left.
  seconds: 2
- caption: A close-up of the fox.
"""
LARGEST = 512  # pixels of a preview's longer side
Inputs = dict[str, dict[str, Any]]


class ShotStreamModel:
    """Loads a model once; later runs of the workflow find it loaded."""

    RETURN_TYPES = ("SHOTSTREAM_MODEL",)
    RETURN_NAMES = ("model",)
    FUNCTION = "load"
    CATEGORY = "ShotStream"
    DESCRIPTION = "A ShotStream model: the packaged storyworld, a folder of weights, or a pulled hub id."

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        model = ("STRING", {"default": "storyworld", "tooltip": "Preset, folder or pulled hub id."})
        return {"required": {"model": model, "device": (["auto", "cpu", "cuda"], {"default": "auto"})}}

    def load(self, model: str, device: str) -> tuple[Director]:
        """Raises :class:`InputError` for a model or device that is not there."""
        import shotstream

        return (shotstream.load(model, device=device),)


class ShotStreamFilm:
    """Makes every shot of a story, and shows each block as it is made. ComfyUI's cancel ends it at the next block."""

    RETURN_TYPES = ("IMAGE", "FLOAT")
    RETURN_NAMES = ("frames", "fps")
    FUNCTION = "make"
    CATEGORY = "ShotStream"
    DESCRIPTION = "A film of a story, in any form of script that ShotStream reads. fps goes to Create Video."

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        story = ("STRING", {"default": STORY, "multiline": True, "dynamicPrompts": False})
        seed = ("INT", {"default": 0, "min": 0, "max": MAX_SEED, "control_after_generate": True})
        return {"required": {"model": ("SHOTSTREAM_MODEL",), "story": story, "seed": seed}}

    @classmethod
    def VALIDATE_INPUTS(cls, story: str | None = None) -> Literal[True] | str:
        """Looked at when the workflow is queued; None: the story comes from another node."""
        try:
            if story is not None:
                _read(story)
        except InputError as fault:
            return str(fault)
        return True

    def make(self, model: Director, story: str, seed: int) -> tuple[torch.Tensor, float]:
        """Raises :class:`InputError` for what is no story, and what ComfyUI raises where it is cancelled."""
        import comfy.model_management
        import comfy.utils
        import numpy as np
        import torch

        script = _read(story)
        total = sum(model.geometry.shot_frames(shot.blocks(model.geometry)) for shot in script.shots)
        progress, made, blocks = comfy.utils.ProgressBar(total), 0, []
        policy = script.context_policy
        with model.open(global_caption=script.global_caption, seed=seed, context_policy=policy) as film:
            film.follow(script)
            for shot in script.shots:
                film.add(shot)
            for _, block in film.play():
                comfy.model_management.throw_exception_if_processing_interrupted()
                blocks.append(block.frames)
                made += len(block.frames)
                progress.update_absolute(made, total, ("JPEG", block.images()[-1], LARGEST))
        return torch.from_numpy(np.concatenate(blocks)).float() / 255, float(model.geometry.fps)


def _read(text: str) -> Story:
    """Raises :class:`InputError`."""
    story = parse_story(text, "story")
    if story.files:
        raise InputError(f"story: names the file {story.files[0]}; a workflow brings none, so leave it out")
    return story
