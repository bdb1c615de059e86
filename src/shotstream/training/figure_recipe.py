"""What recipes share in whose loss characters may count for more than their share of the picture."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from shotstream.training.material import MaterialSettings
from shotstream.training.presets import PresetRecipe


class FigureRecipe(PresetRecipe):
    """``figure_weight``: what a shot's characters count for together in its loss, beside the whole shot as 1."""

    material: MaterialSettings
    figure_weight: float = Field(default=0, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _the_world_tells_where_they_are(self) -> Self:
        if self.figure_weight and self.material.clips is not None:
            raise ValueError("figure_weight: clips do not tell where their characters are; set it to 0")
        return self
