"""The scale of a LoRA's update, alpha / rank or alpha / sqrt(rank), as the program that wrote it would use.

Said by peft's config beside the file (under any name), by that config in the file's header (diffusers), or by an alpha
tensor beside every adapter (kohya). Settings that make another sum are refused.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from shotstream.checkpoints.safetensors_file import LazyTensor, read_header, short
from shotstream.checkpoints.tensor_files import said
from shotstream.core.errors import WeightsError

PEFT_FILE, PEFT_CONFIG = "adapter_model.safetensors", "adapter_config.json"
KOHYA = re.compile(r"(?:lora_(?:unet|transformer)|lycoris)_+(?P<layer>[^\W_]\w*)")
_PEFT = "base_model.model."
_CHANGING = (
    *("use_dora", "fan_in_fan_out", "lora_bias", "modules_to_save", "use_qalora", "layer_replication"),
    *("target_parameters", "trainable_token_indices", "use_bdlora", "velora_config", "monteclora_config"),
    *("kasa_config", "arrow_config", "alora_invocation_tokens", "megatron_config"),
)
_SAID_IN_HEADERS = ("ss_network_alpha", "network_alpha", "lora_alpha", "alpha")
_BASE_IS_CHANGED = ("pissa", "olora", "loftq", "corda", "lora_ga")  # starts that leave another base behind


class Scales:
    """The scale of each adapter's update: alpha / rank (or by the root of the rank), from wherever the file
    or its neighbours say so."""

    def __init__(
        self,
        path: Path,
        sides: Iterable[str],
        alphas: Mapping[str, LazyTensor],
        alpha: float | None,
        *,
        reference: bool,
    ) -> None:
        unknown = sorted(set(alphas) - set(sides))
        if unknown:
            raise WeightsError(f"{path}: {said('alpha without an adapter:', unknown)}; not a LoRA that can be read")
        self._path = path
        self._alphas = {layer: _one_number(one, f"{path}: alpha of {layer}") for layer, one in alphas.items()}
        self._given = alpha
        self._reference = reference
        self._config, self._said_by = _peft_config(path, sides)
        self._header = read_header(path).metadata if path.suffix == ".safetensors" else {}
        if alpha is not None and (self._config is not None or set(sides) == set(self._alphas)):
            raise WeightsError(f"{path}: {self._said_by or 'the file itself'} says alpha; leave out --alpha")

    def of(self, layer: str, rank: int) -> float:
        own = self._alphas.get(layer)
        if self._config is not None:
            scale = peft_scale(self._config, layer.removeprefix(_PEFT), rank, self._said_by)
            if own is not None and not math.isclose(own / rank, scale, rel_tol=1e-6):
                raise WeightsError(
                    f"{self._path}: {layer}: its alpha makes the scale {own / rank:g}, {self._said_by} {scale:g}; "
                    "remove the one that is wrong"
                )
            return scale
        if own is not None:
            return own / rank
        if self._given is not None:
            return self._given / rank
        if self._alphas:
            raise WeightsError(f"{self._path}: {layer} has no alpha and others have; say it with --alpha")
        self._refuse_what_the_header_says(rank)
        if layer.startswith(_PEFT) and not self._reference:
            raise WeightsError(
                f"{self._path}: written by peft, and no {PEFT_CONFIG} beside it says the scale; put it there, or say "
                "--alpha N (the rank for a scale of one)"
            )
        return 1.0  # ComfyUI's, diffusers' and the reference's rule: alpha is the rank where nobody says otherwise

    def _refuse_what_the_header_says(self, rank: int) -> None:
        """Programs that convert LoRAs may keep a header after they have multiplied by its alpha, or may not have."""
        for name in _SAID_IN_HEADERS:
            told = self._header.get(name)
            if told is not None and not _is(told, rank):
                raise WeightsError(
                    f"{self._path}: its header says {name} {told[:20]}, the rank is {rank}, and no tensor says alpha; "
                    f"say --alpha N ({rank} if the weights are scaled already)"
                )


def peft_scale(config: Mapping[str, Any], layer: str, rank: int, source: str) -> float:
    """What peft multiplies the adapter of ``layer`` by under its ``config``. Raises :class:`WeightsError` if the
    config's rank is not the adapter's."""
    told = _pattern(config.get("rank_pattern"), layer, config["r"])
    alpha = _pattern(config.get("alpha_pattern"), layer, config["lora_alpha"])
    if told != rank:
        raise WeightsError(f"{source}: says rank {told} for {layer}, whose adapter has {rank}; not its config")
    return float(alpha) / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _pattern(patterns: Mapping[str, Any] | None, layer: str, usual: Any) -> Any:
    """The value whose pattern is the end of ``layer``, the first that fits, as peft looks it up."""
    try:
        found = (value for key, value in (patterns or {}).items() if re.match(rf"(.*\.)?({key})$", layer))
        return next(found, usual)
    except re.error as fault:
        raise WeightsError(f"a pattern of peft's config cannot be read ({fault}); mend it") from fault


def _peft_config(path: Path, layers: Iterable[str]) -> tuple[dict[str, Any] | None, str]:
    """peft's config of the adapters in ``path`` and where it is: beside it under its usual name or another, or in the
    file's own header, as diffusers puts it."""
    layers = list(layers)
    if path.suffix == ".safetensors":
        inside = read_header(path).metadata.get("lora_adapter_metadata")
        if inside is not None:
            return _checked(_of_diffusers(inside, layers, path), f"{path}"), f"{path}"
    if any(KOHYA.fullmatch(layer) for layer in layers):
        return None, ""
    usual = path.parent / PEFT_CONFIG
    places = [usual] if usual.is_file() else sorted(path.parent.glob("*.json"))
    found = {place: config for place in places if (config := _read_config(place, must=place == usual)) is not None}
    named = {place: config for place, config in found.items() if place.stem.startswith(path.stem)}
    found = named or found
    if len(found) > 1:
        raise WeightsError(f"{path}: {said('several configs beside it:', [one.name for one in found])}; leave one")
    for place, config in found.items():
        return _checked(config, str(place)), str(place)
    return None, ""


def _read_config(place: Path, *, must: bool) -> dict[str, Any] | None:
    """peft's config in ``place``; None if it is none and need not be one."""
    try:
        told = json.loads(place.read_text(encoding="utf-8"))
        if not must and not (isinstance(told, dict) and "lora_alpha" in told and "r" in told):
            return None
        if not isinstance(told, dict):
            raise TypeError(f"it holds a {type(told).__name__}, not a mapping")
        if told.get("peft_type", "LORA") != "LORA":
            return told  # has other settings; refused by its name
        return {**told, "r": int(told["r"]), "lora_alpha": float(told["lora_alpha"])}
    except (OSError, ValueError, KeyError, TypeError) as fault:
        if not must:
            return None
        raise WeightsError(f"{place}: not readable as peft's ({short(fault)}); fetch it again") from fault


def _of_diffusers(text: str, layers: Iterable[str], path: Path) -> dict[str, Any]:
    """peft's config as diffusers keeps it in a header: flat, behind the component's name."""
    try:
        flat = json.loads(text)
        components = {key.split(".", 1)[0] for key in flat}
        used = {layer.split(".", 1)[0] for layer in layers} & components
        (component,) = used or components
        told = {key.split(".", 1)[1]: value for key, value in flat.items() if key.startswith(f"{component}.")}
        return {**told, "r": int(told["r"]), "lora_alpha": float(told["lora_alpha"])}
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as fault:
        raise WeightsError(f"{path}: its lora_adapter_metadata is not readable ({short(fault)})") from fault


def _checked(config: dict[str, Any], source: str) -> dict[str, Any]:
    """Raise :class:`WeightsError` for settings that make another sum than W + scale B A."""
    kind = config.get("peft_type") or "LORA"
    if kind != "LORA":
        raise WeightsError(f"{source}: peft_type {kind} is not supported, LORA alone; merge it with peft")
    changing = [name for name in _CHANGING if config.get(name)]
    changing += ["bias"] if config.get("bias") not in (None, "none") else []
    start = str(config.get("init_lora_weights", "")).lower()
    changing += ["init_lora_weights"] if start.startswith(_BASE_IS_CHANGED) else []
    if changing:
        values = ", ".join(f"{name}: {str(config[name])[:40]}" for name in changing[:3])
        raise WeightsError(f"{source}: {values} is not supported; merge these adapters with peft instead")
    return config


def _one_number(tensor: LazyTensor, what: str) -> float:
    values = tensor.read().float().reshape(-1).tolist()
    if len(values) != 1 or not math.isfinite(values[0]):
        raise WeightsError(f"{what} is {str(values)[:40]}, not one number; not a LoRA that can be read")
    return float(values[0])


def _is(text: str, number: int) -> bool:
    try:
        return float(text) == number
    except ValueError:
        return False
