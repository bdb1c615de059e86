"""The family ``wan``: presets of Wan2.1-T2V-1.3B, and the files to pull from the hub."""

from __future__ import annotations

from shotstream.core.flow import FlowSchedule
from shotstream.core.geometry import Geometry
from shotstream.core.story import PLAIN_PROMPT
from shotstream.families import wan_codecs
from shotstream.families.family import Family, HubPart
from shotstream.families.preset import Preset, SamplerSettings
from shotstream.models.config import TransformerConfig

# Published in Wan 2.1's own configuration, as `sample_neg_prompt`; its models were made to be guided away from it.
NEGATIVE_PROMPT = (
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG压缩残留，"
    "丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，"
    "静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走"
)

WAN_1_3B = Preset(
    name="wan-1.3b",
    geometry=Geometry(width=832, height=480, spatial=8, latent_channels=16, default_blocks=7),
    transformer=TransformerConfig(in_channels=16, dim=1536, ffn_dim=8960, heads=12, layers=30, text_dim=4096),
    schedule=FlowSchedule(shift=8.0),
    student=SamplerSettings(timesteps=(1000, 740, 500, 260)),
    teacher=SamplerSettings(kind="euler", steps=50, guidance=6.0),
    condition_time="same",
    prompt_form="{global_caption}shot{shot}:{caption}",  # as the reference puts them together, spaces none
    negative_prompt=NEGATIVE_PROMPT,
)

# Student weights of Self-Forcing and its kin: Wan's network and codecs, other timesteps, prompts of one caption.
SELF_FORCING = WAN_1_3B.model_copy(
    update={
        "name": "self-forcing-1.3b",
        "schedule": FlowSchedule(shift=5.0),
        "student": SamplerSettings(timesteps=(1000, 750, 500, 250)),
        "prompt_form": PLAIN_PROMPT,
    }
)

_RELEASE = "Wan-AI/Wan2.1-T2V-1.3B"
FAMILY = Family(
    name="wan",
    presets=(WAN_1_3B, SELF_FORCING),
    codecs=wan_codecs.CODECS,
    hub={
        WAN_1_3B.name: (
            HubPart(_RELEASE, f"{wan_codecs.TOKENIZER_FOLDER}/tokenizer.json", "tokenizer/tokenizer.json", "same"),
            HubPart(_RELEASE, f"{wan_codecs.VAE_FILE}.pth", "vae/config.json", "vae"),
            HubPart("KlingTeam/ShotStream", "shotstream_merged.pt", "student.safetensors", "student"),
            HubPart(_RELEASE, f"{wan_codecs.TEXT_FILE}.pth", "text_encoder/config.json", "text_encoder"),
        )
    },
)
