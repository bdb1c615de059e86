"""A role's optimiser: Muon on the layers' matrices (convolutions as matrices), AdamW on the rest.

Muon (Jordan et al. 2024) is done in fewer matmuls than usual: matrices of one shape together, three Newton-Schulz
iterations. An update is the momentum's nearest semi-orthogonal matrix, roughly: all singular values end between 0.5 and
1.5 (in bfloat16 a few at 2). Three things make it half as dear as torch's: a tighter bound on the largest singular
value, coefficients chosen for what is left (minimax, one iteration after the other, as in arXiv 2505.16932), and wide
matrices iterated on through their small Gram matrix. Where bfloat16 is slow it computes in float32.

Axes: N matrices of one shape · R rows, C columns, R <= C
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from shotstream.core.devices import pick_dtype
from shotstream.training.distributed import shard_like, whole
from shotstream.training.engine.stage import OptimiserSettings

# Of a x + b x^3 + c x^5, each as close to 1 as such a polynomial comes between the smallest and the largest value
# that the one before leaves, from singular values between 0.005 and 1.
COEFFICIENTS = (
    (8.298703492667, -24.430498154378, 18.090304198003),
    (3.915220960656, -2.921130232516, 0.559223259887),
    (3.174603657064, -2.380432833907, 0.497826393529),
)
_MARGIN = 1.02  # what rounding to bfloat16 may add to the largest singular value
_SMALLEST = 1e-7  # of the norm that a matrix is divided by
_WIDE = 2  # columns per row from which the Gram matrix is the cheaper way


class Muon(torch.optim.Muon):
    """torch's Muon with :func:`orthogonalised`; its settings and its state are torch's."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        if closure is not None:
            raise TypeError("Muon.step takes no closure; call backward before it")
        for group in self.param_groups:
            by_shape: dict[tuple[int, ...], list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape.setdefault(tuple(parameter.shape), []).append(parameter)
            for parameters in by_shape.values():
                self._step_together(parameters, group)
        return None

    def _step_together(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        """One step of parameters of one shape."""
        gradients = [cast(Tensor, parameter.grad) for parameter in parameters]
        momenta = [self._momentum(parameter) for parameter in parameters]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        directions = torch._foreach_lerp(gradients, momenta, group["momentum"]) if group["nesterov"] else momenta
        rows, columns = parameters[0].shape
        turned = orthogonalised(torch.stack(tuple(directions)))
        rate = group["lr"] * max(1, rows / columns) ** 0.5
        if group["weight_decay"]:
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, list(turned.to(parameters[0].dtype)), alpha=-rate)

    def _momentum(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        return cast(Tensor, state["momentum_buffer"])


def orthogonalised(matrices: Tensor) -> Tensor:
    """[N, R, C] or [N, C, R] -> the same singular vectors, singular values near 1; in what the device is fast in.

    Of singular values below 0.5% of a matrix's largest less is made: they are noise.
    """
    dtype = pick_dtype("auto", matrices.device)
    if matrices.shape[-2] > matrices.shape[-1]:
        return orthogonalised(matrices.mT).mT
    x = matrices.to(dtype)
    gram = x @ x.mT  # [N, R, R]
    # The largest singular value of X is at most the fourth root of the sum of squares of X X^T.
    size = (gram.float().norm(dim=(-2, -1), keepdim=True).sqrt() * _MARGIN).clamp(min=_SMALLEST)
    x, gram = x / size.to(dtype), (gram.float() / size.square()).to(dtype)
    if x.shape[-1] < _WIDE * x.shape[-2]:
        for place, (linear, cubic, quintic) in enumerate(COEFFICIENTS):
            gram = x @ x.mT if place else gram
            x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=cubic, alpha=quintic), x, beta=linear)
        return x
    one = torch.eye(x.shape[-2], dtype=dtype, device=x.device)
    whole = one.expand_as(gram)
    for place, (linear, cubic, quintic) in enumerate(COEFFICIENTS):
        factor = torch.baddbmm(gram, gram, gram, beta=cubic, alpha=quintic) + linear * one
        whole = factor @ whole if place else factor
        gram = factor @ (gram @ factor)
    return whole @ x


_NO_MATRIX = ("embedding", "head", "modulation", "norm", "enter", "out", "classifier")


def is_matrix(name: str, parameter: Tensor) -> bool:
    """Does Muon update this parameter? Matrices and convolutions inside the layers, not embeddings, heads or gains."""
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
            self._optimisers.append(Muon(self._views, lr=settings.matrix_rate, weight_decay=decay))

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
            base = self.settings.matrix_rate if isinstance(optimiser, Muon) else self.settings.rate
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
        """What the optimisers keep, by parameter and name: ``blocks.0.ffn.0.weight.exp_avg``. Writing to these
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
    if isinstance(optimiser, Muon):
        return {"momentum_buffer": torch.zeros_like(parameter)}
    zeros = {
        name: torch.zeros_like(parameter, memory_format=torch.preserve_format) for name in ("exp_avg", "exp_avg_sq")
    }
    return {"step": torch.tensor(0.0), **zeros}
