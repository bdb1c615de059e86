"""One role's optimiser: Muon on the layers' matrices (convolutions seen as matrices), AdamW on the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from shotstream.training.settings import OptimiserSettings
from shotstream.training.sharding import shard_like, whole
from shotstream.training.wide_muon import WideMuon

_NO_MATRIX = ("embedding", "head", "modulation", "norm", "enter", "out", "classifier")


def is_matrix(name: str, parameter: Tensor) -> bool:
    """Does Muon turn this parameter? Matrices and convolutions inside the layers, not embeddings, heads or gains."""
    return parameter.ndim in (2, 4) and not any(part in name for part in _NO_MATRIX)


def _as_matrix(tensor: Tensor) -> Tensor:
    """[out, in, kh, kw] or [out, in] as [out, numbers]; a view where the memory layout allows."""
    return tensor.permute(0, 2, 3, 1).reshape(tensor.shape[0], -1) if tensor.ndim == 4 else tensor


class RoleOptimiser:
    """Steps one module's trainable parameters; ``factor`` scales every learning rate (the schedule)."""

    def __init__(self, module: nn.Module, settings: OptimiserSettings) -> None:
        self.settings = settings
        named = [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]
        muon = settings.kind == "muon"
        self._matrices = [parameter for name, parameter in named if muon and is_matrix(name, parameter)]
        rest = [parameter for name, parameter in named if not (muon and is_matrix(name, parameter))]
        self._parameters = [parameter for _, parameter in named]
        self._views = [nn.Parameter(_as_matrix(parameter.data)) for parameter in self._matrices]
        self._names = {id(parameter): name for name, parameter in named}
        self._names |= {
            id(view): self._names[id(parameter)] for view, parameter in zip(self._views, self._matrices, strict=True)
        }
        for view, parameter in zip(self._views, self._matrices, strict=True):
            if view.data_ptr() != parameter.data_ptr():
                raise RuntimeError(
                    "a convolution's weights must be in channels_last layout for Muon to see them as a matrix"
                )
        decay = settings.weight_decay
        self._optimisers: list[torch.optim.Optimizer] = []
        if rest:
            self._optimisers.append(torch.optim.AdamW(rest, lr=settings.rate, betas=settings.betas, weight_decay=decay))
        if self._views:
            self._optimisers.append(WideMuon(self._views, lr=settings.matrix_rate, weight_decay=decay))

    @property
    def parameters(self) -> Sequence[Tensor]:
        """All that learn."""
        return self._parameters

    def step(self, factor: float) -> float:
        """Clip, step, clear. Returns the gradient norm before clipping."""
        norm = whole({"norm": torch.nn.utils.clip_grad_norm_(self._parameters, self.settings.clip)})["norm"]
        for view, parameter in zip(self._views, self._matrices, strict=True):
            view.grad = None if parameter.grad is None else _as_matrix(parameter.grad)
        for optimiser in self._optimisers:
            base = self.settings.matrix_rate if isinstance(optimiser, torch.optim.Muon) else self.settings.rate
            for group in optimiser.param_groups:
                group["lr"] = base * factor
            optimiser.step()
        for parameter in [*self._parameters, *self._views]:
            parameter.grad = None
        return float(norm)

    def state_dict(self) -> list[dict[str, Any]]:
        return [optimiser.state_dict() for optimiser in self._optimisers]

    def load_state_dict(self, states: Iterable[dict[str, Any]]) -> None:
        """Take up what :meth:`state_dict` of one process gave; sharded parameters split their moments as they are."""
        for optimiser, state in zip(self._optimisers, states, strict=True):
            optimiser.load_state_dict(state)
            for parameter, moments in optimiser.state.items():
                for name, value in moments.items():
                    moments[name] = shard_like(value, parameter.detach())

    def moments(self) -> dict[str, Tensor]:
        """What the optimisers remember, by parameter and name: ``blocks.0.ffn.0.weight.exp_avg``. Writing to these
        tensors writes to the state."""
        found: dict[str, Tensor] = {}
        for optimiser in self._optimisers:
            for group in optimiser.param_groups:
                for parameter in group["params"]:
                    state = optimiser.state[parameter]
                    if not state:  # has not learned yet: the state its first step would begin with
                        state.update(_first_state(optimiser, parameter))
                    found |= {f"{self._names[id(parameter)]}.{name}": value for name, value in state.items()}
        return found


def _first_state(optimiser: torch.optim.Optimizer, parameter: Tensor) -> dict[str, Tensor]:
    if isinstance(optimiser, torch.optim.Muon):
        return {"momentum_buffer": torch.zeros_like(parameter)}
    zeros = {
        name: torch.zeros_like(parameter, memory_format=torch.preserve_format) for name in ("exp_avg", "exp_avg_sq")
    }
    return {"step": torch.tensor(0.0), **zeros}
