"""What a model family is: presets, codecs, files of the hub. Families are the modules here with a ``FAMILY``."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from shotstream.codecs.protocols import Placement, TextEncoder, VideoCodec
from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.families.preset import Preset

Module = TypeVar("Module", bound=nn.Module)


class CodecReader(Protocol):
    """Reads modules from disk, every name and shape checked. All raise :class:`WeightsError`, one line."""

    def single(
        self, path: Path, kind: str, build: Callable[[Mapping[str, str]], Module]
    ) -> tuple[Module, Mapping[str, str]]:
        """The module of a file of ours, which says ``kind`` in its header, and the header it is built from."""

    def unread(self, folder: Path, build: Callable[[dict[str, Any]], Module]) -> Module:
        """The module of a folder in diffusers' or transformers' layout, on the meta device: checked, not read."""

    def fill(self, module: nn.Module, folder: Path, device: torch.device, dtype: torch.dtype | None = None) -> None:
        """Read the numbers of such a module; ``dtype`` None leaves them in the format they have."""

    def tensors(self, path: Path) -> dict[str, Tensor]:
        """All tensors of a safetensors file or a plain torch checkpoint."""

    def check(self, module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
        """Refuse tensors that are not the module's."""

    def files(self, folder: Path) -> tuple[Path, ...]:
        """The weight files of a folder."""

    def shapes(self, folder: Path) -> Mapping[str, tuple[int, ...]]:
        """Name -> shape of all tensors in the weight files of a folder."""


class CodecSizes(Config):
    """What the codecs hold, in bytes. ``video_work``: at most while decoding, ``video_carried`` of it from push to
    push; ``text_layer``: the largest part of the text encoder that is needed at once. text_len: tokens per caption."""

    text_len: int
    video: int
    video_work: int
    video_carried: int
    text: int
    text_layer: int


# What the codecs hold for pictures of a geometry, in a number format, with or without the light decoder.
SizesOf = Callable[[Geometry, torch.dtype, bool], CodecSizes]


@dataclass(frozen=True, kw_only=True, slots=True)
class CodecOptions:
    """How codecs are opened. light: with the light decoder. placement: of a large text encoder. store: a folder in
    which embeddings are cached."""

    device: torch.device
    dtype: torch.dtype
    light: bool = False
    placement: Placement = "device"
    store: Path | None = None


class FamilyText(TextEncoder, Protocol):
    """A text encoder that says which words it knows; none, if it reads any."""

    @property
    def words(self) -> frozenset[str]: ...


class CodecFiles(Protocol):
    """The codecs of one model on disk."""

    @property
    def files(self) -> tuple[Path, ...]:
        """What tells these codecs from others, by content."""

    @property
    def versions(self) -> Mapping[str, str]:
        """What the header of a transformer trained on them calls its ``autoencoder`` and its ``text_encoder``."""

    @property
    def text_source(self) -> Path:
        """Where the text encoder is read from."""

    @property
    def sizes(self) -> SizesOf | None:
        """What they take of the memory; None where that is not worth a plan."""

    def check(self, versions: Mapping[str, str], transformer: Path) -> None:
        """Refuse codecs other than those the transformer was trained on, as its header's ``versions`` say."""

    def open_video(self, geometry: Geometry, options: CodecOptions) -> VideoCodec: ...

    def open_text(self, options: CodecOptions) -> FamilyText: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Rebuilt:
    """A foreign codec in the layout it is kept in: the module its tensors must fit, the tensors under its names, the
    weight file's name, and how its config is written into a folder."""

    module: nn.Module
    tensors: Mapping[str, Any]
    file: str
    write_config: Callable[[Path], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class ForeignCodec:
    """A codec as other programs keep it, recognised by the names of its tensors. ``folder``: the part of a model it
    becomes; ``published``: its file in the release; ``anchors``: names any such has, what stands before is a prefix."""

    folder: str
    published: str
    anchors: tuple[str, ...]
    recognises: Callable[[Mapping[str, Any]], bool]
    rebuild: Callable[[Mapping[str, Any], str], Rebuilt]


@dataclass(frozen=True, kw_only=True, slots=True)
class Codecs:
    """How a family's codecs are found and brought. ``find``: in a model's folder; None if it holds none of this kind.
    ``parts``: folders that a complete model has; ``extra``: files beside them that are taken along."""

    find: Callable[[Path, CodecReader], CodecFiles | None]
    parts: tuple[str, ...] = ()
    foreign: tuple[ForeignCodec, ...] = ()
    tokenizer: str | None = None  # the part that is a tokenizer
    extra: tuple[str, ...] = ()
    published_sizes: SizesOf | None = None


@dataclass(frozen=True, slots=True)
class HubPart:
    """One published file that a model needs. ``file``: the one in the model's folder that shows it is there.
    ``becomes``: the student, a part of the codecs by its folder, or the same file again."""

    repo: str
    name: str
    file: str
    becomes: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """``presets``: the models it is known by, the usual one first. ``hub``: by preset, the files that are pulled."""

    name: str
    presets: tuple[Preset, ...]
    codecs: Codecs
    hub: Mapping[str, tuple[HubPart, ...]] = field(default_factory=dict)


def known_families() -> tuple[Family, ...]:
    """The families whose modules lie in this folder, by name."""
    package = __name__.rpartition(".")[0]
    names = [one.name for one in pkgutil.iter_modules(import_module(package).__path__)]
    modules = (import_module(f"{package}.{name}") for name in names)
    found = [family for module in modules if isinstance(family := vars(module).get("FAMILY"), Family)]
    return tuple(sorted(found, key=lambda family: family.name))


def known_presets() -> dict[str, Preset]:
    """The presets of all families, by name."""
    return {preset.name: preset for family in known_families() for preset in family.presets}


def preset(name: str) -> Preset:
    """The preset called ``name``; raises InputError that lists the known ones."""
    known = known_presets()
    if name not in known:
        raise InputError(f"no preset is called {name!r}; known: {', '.join(known)}")
    return known[name]


def family_of(name: str) -> Family | None:
    """The family one of whose presets is called ``name``."""
    return next((one for one in known_families() if any(preset.name == name for preset in one.presets)), None)
