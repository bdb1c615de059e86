"""Errors a person can act on: one line that names the file, the place and the remedy."""

from __future__ import annotations


class ShotStreamError(Exception):
    """Base of every error this package raises on purpose. ``str(error)`` is one clear line."""


class PromptWarning(UserWarning):
    """A prompt is longer than the model reads, or has words it does not know: not all of it will be shown."""


class InputError(ShotStreamError):
    """What the caller gave is wrong: a story, an option, a file. Commands exit with 2."""


class WeightsError(ShotStreamError):
    """A weight file is missing, damaged, or belongs to another model. Commands exit with 2."""


class StorageError(ShotStreamError):
    """A file cannot be written or read: permissions, a full disk. Commands exit with 2."""
