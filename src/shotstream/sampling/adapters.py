"""LoRA adapters at run time: added to a loaded model's weights and taken away again, between blocks.

The weights that an adapter changes are set aside as they were, so that without adapters a model is the same to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from shotstream.core.errors import InputError
from shotstream.models.transformer import Transformer

Changes = tuple[Mapping[str, Callable[[], Tensor]], str]  # by parameter, what adapters add; their fingerprint
ReadLora = Callable[[Path, Transformer, float | None], Changes]


def no_lora(path: Path, model: Transformer, alpha: float | None) -> Changes:
    """For models whose weights cannot be added to. Raises :class:`InputError`."""
    raise InputError(f"{path}: this model takes no LoRA adapters")


@dataclass(frozen=True, slots=True)
class Adapter:
    """``changes``: by parameter, what is added to it at weight 1, in float32, computed when asked for. ``usual``: its
    weight in films that do not say another. ``fingerprint``: of its file."""

    changes: Mapping[str, Callable[[], Tensor]]
    usual: float
    fingerprint: str


class RuntimeAdapters:
    """The adapters of one model, by name, and which of them are in its weights."""

    def __init__(self, model: Transformer) -> None:
        self._model = model
        self._known: dict[str, Adapter] = {}
        self._before: dict[str, Tensor] = {}  # weights as they were, of those that are changed
        self._inside: dict[str, float] = {}

    @property
    def known(self) -> Mapping[str, Adapter]:
        """All that are loaded."""
        return dict(self._known)

    def add(self, name: str, adapter: Adapter) -> None:
        """Know ``adapter``; nothing changes yet. Raises :class:`InputError` for a name that is taken."""
        if name in self._known:
            raise InputError(f"LoRA {name!r} is loaded already; unload it first, or give another name")
        self._known[name] = adapter

    def remove(self, name: str) -> None:
        """Forget an adapter; out of the weights, too. Raises :class:`InputError` if there is none."""
        self.refuse_unknown(name)
        if name in self._inside:
            self.use({})
        del self._known[name]

    def refuse_unknown(self, *names: str) -> None:
        """Raise :class:`InputError` if one of ``names`` is not loaded."""
        for name in names:
            if name not in self._known:
                known = ", ".join(map(repr, self._known)) or "none"
                raise InputError(f"LoRA {name!r} is not loaded; loaded: {known}; load its file first")

    @torch.no_grad()
    def use(self, weights: Mapping[str, float]) -> bool:
        """Let exactly these adapters be in the model's weights, each as often; whether that changed anything.

        Whatever was computed from the weights (caches of prompts, prepared shots) is of the old ones then. Raises
        :class:`InputError` for a name that is not loaded.
        """
        wanted = {name: weight for name, weight in weights.items() if weight}
        if wanted == self._inside:
            return False
        self.refuse_unknown(*wanted)
        parameters = dict(self._model.named_parameters())
        changed = dict.fromkeys(name for one in wanted for name in self._known[one].changes)
        for name in changed:
            if name not in self._before:
                self._before[name] = parameters[name].detach().cpu().clone()
        for name in self._before:
            parameters[name].copy_(self._sum(name, wanted) if name in changed else self._before[name])
        self._before = {name: self._before[name] for name in changed}
        self._inside = wanted
        if self._model.fused:
            self._model.fuse_()  # what was made of the old weights
        return True

    def _sum(self, name: str, weights: Mapping[str, float]) -> Tensor:
        total = self._before[name].float()
        for one, weight in weights.items():
            change = self._known[one].changes.get(name)
            if change is not None:
                total = total.add(change().float().to(total.device), alpha=weight)
        return total
