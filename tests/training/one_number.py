"""Few-step students on ground where the answer is known: data of one number, a mixture of two Gaussians.

    python tests/training/one_number.py

Its flow is known in closed form and stands for the teacher. In one dimension the paths of an ODE do not cross, so where
each noise ends is known without any ODE: at the data's quantile of the same rank. The table says how far from there two
students end, one that learned from stored trajectories (causal initialisation), one by causal consistency.

Axes as in the stages: B batch, F latent frames, and one channel of one cell.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from shotstream.core.flow import FlowSchedule, add_noise, sigma_like
from shotstream.sampling.solvers import euler_states, few_step
from shotstream.training.methods.losses import regression_loss
from shotstream.training.stages.causal_consistency import consistency_loss, neighbours

WEIGHTS, MEANS, WIDTHS = torch.tensor([[0.4, 0.6], [-1.0, 1.2], [0.25, 0.4]]).unbind()
SCHEDULE, GRID = FlowSchedule(shift=3.0), 48  # steps of the teacher's ODE
FEW = {1: (1000,), 2: (1000, 500), 4: (1000, 750, 500, 250)}
FRAMES, BLOCK = 6, 3


def teacher(x: Tensor, timesteps: Tensor) -> Tensor:
    """E[noise - x0 | x_t = x], by Bayes' rule; x [B, F, 1, 1, 1], timesteps [B, F] above 0."""
    s = sigma_like(timesteps, x)[..., None]
    spread = (1 - s) ** 2 * WIDTHS**2 + s**2
    off = x[..., None] - (1 - s) * MEANS
    share = (WEIGHTS.log() - spread.log() / 2 - off**2 / (2 * spread)).softmax(-1)
    clean = (share * (MEANS + (1 - s) * WIDTHS**2 * off / spread)).sum(-1)
    return (x - clean) / s[..., 0]


def where_it_ends(noise: Tensor) -> Tensor:
    """The data's quantile of the noise's rank, by bisection."""
    rank = torch.special.ndtr(noise.double())
    low, high = torch.full_like(rank, -6), torch.full_like(rank, 6)
    for _ in range(60):
        middle = (low + high) / 2
        below = (WEIGHTS * torch.special.ndtr((middle[..., None] - MEANS) / WIDTHS)).sum(-1) < rank
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return low.float()


def data(count: int, generator: torch.Generator) -> Tensor:
    shape = (count, FRAMES, 1, 1, 1)
    kind = torch.multinomial(WEIGHTS, math.prod(shape), replacement=True, generator=generator).reshape(shape)
    return MEANS[kind] + WIDTHS[kind] * torch.randn(shape, generator=generator)


class Student(nn.Module):
    """A small network that predicts x0 of each number by itself, as a flow."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Linear(4, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1)
        )

    def forward(self, x: Tensor, timesteps: Tensor) -> Tensor:
        s = sigma_like(timesteps.clamp(min=1), x).expand(x.shape)
        told = torch.stack([x, s, s.sqrt(), (s + 0.01).log()], dim=-1)
        return (x - self.body(told)[..., 0]) / s


def learn(student: Student, updates: int, loss: object) -> Student:
    assert callable(loss)
    optimiser = torch.optim.Adam(student.parameters(), lr=3e-3)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, updates)
    for _ in range(updates):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
        decay.step()
    return student


def by_trajectories(pairs: int, updates: int, batch: int) -> tuple[Student, int]:
    """A student of so many stored trajectories, and how many passes of the teacher (over a sample) they took."""
    generator, student = torch.Generator().manual_seed(1), Student()
    grid = SCHEDULE.euler(GRID)
    noise = torch.randn(pairs, FRAMES, 1, 1, 1, generator=generator)
    states = list(euler_states(lambda x, t: teacher(x, torch.full(x.shape[:2], t)), noise, grid))
    places = [min(range(GRID), key=lambda place: abs(grid[place] - t)) for t in SCHEDULE.few_step(FEW[4])]
    kept, times = torch.stack([states[place] for place in places]), torch.tensor([grid[place] for place in places])

    def loss() -> Tensor:
        rows = torch.randint(pairs, (batch,), generator=generator)
        drawn = torch.randint(len(places), (batch, FRAMES // BLOCK), generator=generator)
        drawn = drawn.repeat_interleave(BLOCK, dim=1)
        noisy = kept[drawn, rows[:, None], torch.arange(FRAMES)]
        return regression_loss(noisy, student(noisy, times[drawn]), states[-1][rows], times[drawn])

    return learn(student, updates, loss), pairs * GRID


def by_consistency(updates: int, batch: int) -> tuple[Student, int]:
    """A student that learned from neighbouring points alone, and the passes of the teacher this took."""
    generator, student = torch.Generator().manual_seed(1), Student()
    grid = torch.tensor(SCHEDULE.euler(GRID), dtype=torch.float32)

    def loss() -> Tensor:
        clean = data(batch, generator)
        here, after = neighbours(grid, batch, FRAMES, BLOCK, generator)
        noisy = add_noise(clean, torch.randn(clean.shape, generator=generator), here)
        return consistency_loss(student, student, teacher, noisy, here, after)

    return learn(student, updates, loss), updates * batch


@torch.no_grad()
def errors(student: Student) -> dict[int, float]:
    """By number of steps: how far from its quantile a noise ends in one; in several, which draw fresh noise, how far
    the ends' quantiles are from the data's. Root of the mean square, over the data's deviation."""
    noise = torch.special.ndtri((torch.arange(6000) + 0.5) / 6000).reshape(1000, FRAMES, 1, 1, 1)
    wanted = where_it_ends(noise)
    found = {}
    for steps, timesteps in FEW.items():
        generator = torch.Generator().manual_seed(2)

        def draw(step: int, generator: torch.Generator = generator) -> Tensor:
            return torch.randn(noise.shape, generator=generator) if step else noise

        made = few_step(
            lambda x, t: student(x, torch.full(x.shape[:2], t)), draw, timesteps=SCHEDULE.few_step(timesteps)
        )
        made, true = (made, wanted) if steps == 1 else (made.flatten().sort().values, wanted.flatten().sort().values)
        found[steps] = float((made - true).square().mean().sqrt() / wanted.std())
    return found


def main(batch: int = 128) -> None:
    """The table, row by row."""
    print("| student | updates | passes of the teacher | 1 step | 2 steps | 4 steps |\n|---|---|---|---|---|---|")
    rows: list[tuple[str, int, tuple[Student, int]]] = []
    for updates in (500, 2000, 8000):
        rows += [("trajectories", updates, by_trajectories(updates * batch // GRID, updates, batch))]
        rows += [("causal consistency", updates, by_consistency(updates, batch))]
    rows += [("trajectories, of 250 pairs", 2000, by_trajectories(250, 2000, batch))]
    for name, updates, (student, passes) in rows:
        found = " | ".join(f"{error:.3f}" for error in errors(student).values())
        print(f"| {name} | {updates:,} | {passes:,} | {found} |")


if __name__ == "__main__":
    main()
