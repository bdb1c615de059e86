"""Quality of the autoencoder on held-out clips: PSNR overall, on characters, on single frames; and an image."""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image

from shotstream.codecs.video_autoencoder import VideoAutoencoder
from shotstream.core.devices import mixed_precision
from shotstream.data.clips import Clips
from shotstream.sampling.context import to_frames, to_pixels

SHOWN = 6  # clips in the picture


def measure(
    module: VideoAutoencoder, clips: Clips, *, limit: int = 64, channels: int | None = None
) -> dict[str, float]:
    """PSNR in dB over the first ``limit`` clips: ``psnr`` (all frames), ``psnr_characters`` (inside their boxes,
    moving frames alone), ``psnr_still`` (first frames coded alone). channels: with so many of the latents' alone."""
    overall, still, inside, area = 0.0, 0.0, 0.0, 0
    count = min(limit, len(clips))
    for index in range(count):
        truth = np.asarray(clips.frames[index])
        error = np.square(roundtrip(module, truth, channels).astype(np.float32) - truth)
        overall += float(error.mean())
        still += float(np.square(roundtrip(module, truth[:1], channels).astype(np.float32) - truth[:1]).mean())
        for picture, boxes in zip(error[1:], clips.boxes[index, 1:], strict=True):
            for left, top, right, bottom in boxes * np.tile([truth.shape[2], truth.shape[1]], 2):
                crop = picture[int(top) : math.ceil(bottom), int(left) : math.ceil(right)]
                inside, area = inside + float(crop.sum()), area + crop.size
    return {
        "psnr": _decibels(overall / count),
        "psnr_still": _decibels(still / count),
        "psnr_characters": _decibels(inside / max(area, 1)),
    }


def roundtrip(module: VideoAutoencoder, frames: np.ndarray, channels: int | None = None) -> np.ndarray:
    """uint8 [T, H, W, 3] through encoder and decoder, which gets the first ``channels`` of the latents, or all."""
    video = to_pixels(frames.copy())[None]  # a memory map cannot be written to
    with torch.no_grad(), mixed_precision("auto", torch.device("cpu")):
        latents = module.encode_groups(video)
        if channels is not None:
            latents[:, :, channels:] = 0
        decoded, _ = module.decode_groups(latents)
    return to_frames(decoded[0])


def side_by_side(module: VideoAutoencoder, clips: Clips) -> Image.Image:
    """Truth above reconstruction: first and last frame of some clips."""
    rows = []
    for index in range(min(SHOWN, len(clips))):
        truth = np.asarray(clips.frames[index])
        again = roundtrip(module, truth)
        rows.append(np.concatenate([truth[0], again[0], truth[-1], again[-1]], axis=1))
    return Image.fromarray(np.concatenate(rows))


def _decibels(squared_error: float) -> float:
    return 10 * math.log10(255**2 / max(squared_error, 1e-9))
