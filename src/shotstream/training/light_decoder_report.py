"""How a light decoder compares with the autoencoder's own on held-out shots: decibels, and a picture."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from PIL import Image
from torch import Tensor

from shotstream.codecs.video_autoencoder import Decoder
from shotstream.core.devices import mixed_precision
from shotstream.sampling.context import to_pictures
from shotstream.training.decoder_pairs import DENOISED, OWN, TRUE, DecoderPairs

SHOWN = 6  # shots in the picture
MEASURED = 48


def compare(light: Decoder, full: Decoder, pairs: DecoderPairs) -> tuple[Image.Image, Mapping[str, float]]:
    """A row per shot: its true last frame; then of true, denoised and own latents what both decoders show, the full
    one first. ``psnr_...`` in dB against the true frames of true and of denoised latents, by both."""
    rows: list[Tensor] = []
    errors: dict[str, list[float]] = {}
    for number in range(min(MEASURED, len(pairs))):
        pair = pairs[number]
        shown = [pair.frames[-1]]
        for version, name in ((TRUE, "true"), (DENOISED, "denoised"), (OWN, "own")):
            for decoder, whose in ((full, "full"), (light, "light")):
                pictures = _decoded(decoder, pair.latents[version])
                shown.append(pictures[-1])
                if version != OWN:
                    error = (pictures.float() - pair.frames.float()).square().mean()
                    errors.setdefault(f"psnr_{name}_{whose}", []).append(float(error))
        if len(rows) < SHOWN:
            rows.append(torch.cat(shown, dim=1))
    figures = {
        name: float(10 * torch.log10(255**2 / torch.tensor(found).mean())) for name, found in sorted(errors.items())
    }
    return Image.fromarray(torch.cat(rows).numpy()), figures


@torch.no_grad()
def _decoded(decoder: Decoder, latents: Tensor) -> Tensor:
    """Latents [F, C, h, w] -> uint8 [T, H, W, 3]."""
    with mixed_precision("auto", torch.device("cpu")):
        pixels, _ = decoder(latents[None])
    return torch.from_numpy(to_pictures(pixels[0].float().clamp(-1, 1)))
