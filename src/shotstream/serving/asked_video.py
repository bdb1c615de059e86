"""What other APIs ask of a video, prompt, model, size, length and seed, as the story of a film."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.core.story import MAX_SECONDS, MAX_SEED, MIN_SECONDS, Story, make_shot, make_story
from shotstream.media.story_file import parse_story
from shotstream.serving.protocol import MAX_MESSAGE
from shotstream.serving.uploads import refuse_unfit

ONE_SHOT = "This scene contains 1 shot."  # what stands in for a global caption, as for other systems' prompts


class AskedVideo(Config):
    """``prompt``: one line is the caption of one shot; several, or what begins with a bracket, are a script in any form
    that stories are read in. ``size``: as ``256x160``; None: the model's. ``seconds``: of the one shot."""

    prompt: Annotated[str, Field(min_length=1, max_length=MAX_MESSAGE)]
    model: str | None = None
    size: Annotated[str, Field(pattern=r"^\d{1,5}x\d{1,5}$")] | None = None
    seconds: Annotated[float, Field(ge=MIN_SECONDS, le=MAX_SECONDS, allow_inf_nan=False)] | None = None
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None

    def story(self, model: str, geometry: Geometry) -> Story:
        """The film that is meant, to be made by ``model``. Raises :class:`InputError`, :class:`RefusedError`."""
        own = f"{geometry.width}x{geometry.height}"
        if self.model not in (None, model):
            raise InputError(f"model: this studio runs {model}, not {self.model[:80]!r}; name that, or none")
        if self.size not in (None, own):
            raise InputError(f"size: {model} makes {own}, not {self.size}; name that, or none")
        prompt = self.prompt.strip()
        if "\n" in prompt or prompt.startswith(("{", "[")):
            if self.seconds is not None:
                raise InputError("seconds or num_frames: a script says how long each of its shots is; leave them out")
            story = parse_story(prompt, "prompt")
            refuse_unfit(story)
        else:
            shot = make_shot("prompt", prompt, self.seconds)
            story = make_story({"global_caption": ONE_SHOT, "shots": [shot.model_dump()]}, "prompt")
        return story if self.seed is None else story.model_copy(update={"seed": self.seed})
