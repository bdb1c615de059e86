"""Checks that the tensors of a weight file fit a module; what does not is counted, with a guess at why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from torch import nn

from shotstream.core.errors import WeightsError

_SHOWN = 3
# What a name gives away, the surest first.
_LOOKS = (
    (r"^lora_(unet|te|transformer)", "a LoRA as kohya writes them"),
    (r"\.(hada_w|lokr_w|oft_)", "a LoHa, LoKr or OFT adapter"),
    (r"\.lora_|\.lora\.", "a LoRA"),
    (r"\.(absmax|quant_map|quant_state)|\.qweight$|\.comfy_quant$", "weights quantised in another program's layout"),
    (r"vace_blocks\.|img_emb\.|\.k_img\.", "another kind of Wan model than text-to-video"),
    (r"condition_embedder\.|blocks\.\d+\.attn1\.", "a Wan transformer as diffusers names it"),
    (r"blocks\.\d+\.self_attn\.", "a Wan transformer"),
    (r"double_blocks\.|single_transformer_blocks\.", "a transformer of Flux's or Hunyuan's family"),
    (r"joint_blocks\.|input_blocks\.|down_blocks\.\d+\.attentions\.", "an image model of Stable Diffusion's family"),
    (r"encoder\.downsamples\.|decoder\.upsamples\.|encoder\.down_blocks\.", "a video autoencoder"),
    (r"blocks\.\d+\.attn\.q\.|SelfAttention|token_embedding\.", "a text encoder"),
)


class Shaped(Protocol):
    """A tensor, or what stands for one that has not been read."""

    @property
    def shape(self) -> tuple[int, ...]: ...


def check_names_and_shapes(module: nn.Module, tensors: Mapping[str, Shaped], source: str) -> None:
    """Raise one short :class:`WeightsError` that says what of ``source`` is missing, extra or misshaped."""
    expected = module.state_dict()
    missing = [name for name in expected if name not in tensors]
    extra = [name for name in tensors if name not in expected]
    other = [
        f"{name} is {list(tensor.shape)} instead of {list(expected[name].shape)}"
        for name, tensor in tensors.items()
        if name in expected and tuple(tensor.shape) != expected[name].shape
    ]
    faults = [said("missing", missing), said("extra", extra), said("", other)]
    if any(faults):
        guess = _prefix(missing, extra) or looks_like(extra)
        raise WeightsError(f"{source}: not this model's weights: {'; '.join(filter(None, [*faults, guess]))}")


def said(what: str, names: Sequence[str]) -> str:
    """``what`` of these: how many, and the first three by name; empty for none."""
    if not names:
        return ""
    shown = ", ".join(name if len(name) <= 100 else name[:97] + "..." for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{what} {shown}{more}".strip()


def looks_like(names: Iterable[str]) -> str:
    """What tensors of these names probably are, as "looks like ..."; empty if nothing is known of them."""
    names = list(names)
    guess = next((what for sign, what in _LOOKS if any(re.search(sign, name) for name in names)), "")
    return guess and f"looks like {guess}"


def _prefix(missing: Sequence[str], extra: Sequence[str]) -> str:
    """Is what is extra what is missing, behind a prefix?"""
    for name in missing[:1]:
        for one in extra:
            prefix = one.removesuffix(name)
            if one.endswith("." + name) and all(prefix + other in extra for other in missing):
                return f"the same names stand behind the prefix {prefix!r}"
    return ""
