"""ShotStream in ComfyUI. ComfyUI reads these two names of every folder in its custom_nodes."""

from __future__ import annotations

from .nodes import ShotStreamFilm, ShotStreamModel

NODE_CLASS_MAPPINGS = {"ShotStreamModel": ShotStreamModel, "ShotStreamFilm": ShotStreamFilm}
NODE_DISPLAY_NAME_MAPPINGS = {
    "ShotStreamModel": "ShotStream: load a model",
    "ShotStreamFilm": "ShotStream: make a film",
}
__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
