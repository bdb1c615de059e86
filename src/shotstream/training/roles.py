"""The three networks of a distillation: the frozen teacher, the student, and the critic that follows the student."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from shotstream.core.config import Config
from shotstream.models.presets import Preset
from shotstream.models.transformer import Transformer
from shotstream.models.weights import Role as RoleName
from shotstream.training.material import start_from
from shotstream.training.release import release_transformers


class Starts(Config):
    """Where the networks start: weight files, or "bundled". ``critic`` None is the teacher's weights."""

    teacher: str
    student: str
    critic: str | None = None


class Networks:
    """Teacher, student and critic of one preset, loaded; the teacher never learns."""

    def __init__(self, preset: Preset, starts: Starts) -> None:
        self._preset = preset
        self._teacher = self._load(starts.teacher, "teacher").requires_grad_(False).eval()
        self.student = self._load(starts.student, "student")
        self.critic = self._load(starts.critic or starts.teacher, "critic" if starts.critic else "teacher")

    @property
    def teacher(self) -> Transformer:
        """Frozen, on the student's device."""
        return self._teacher.to(self.student.device)

    def _load(self, name: str, bundled: RoleName) -> Transformer:
        model = Transformer(self._preset.transformer)
        start_from(model, name, bundled)
        return model

    def release(self, averaged: Mapping[str, nn.Module], folder: Path, versions: Mapping[str, str]) -> None:
        """Write student.safetensors and critic.safetensors into ``folder``, and the preset they are sampled by."""
        release_transformers(averaged, ("student", "critic"), self._preset, versions, folder)
