"""Reads tokenizers from untrusted files, each tried first in a child process with limited memory, because some crash
the library or exhaust memory."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tokenizers import Tokenizer

from shotstream.core.errors import WeightsError

MAX_CHARACTERS = 64 << 20  # UMT5's has 17 million
# Bytes of address space. A vocabulary takes about a kilobyte for every character that it does not share.
MAX_MEMORY = 4 << 30
MAX_SECONDS = 120.0
# As long as the longest prompt, in several scripts: a normaliser can also turn it into text that fills the memory.
_PROBE = "A red fox walks through the forest. 狐狸穿过森林。 🦊 " * 400
_TRIAL = """
import sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
except (ImportError, ValueError, OSError):  # Windows has no limits, macOS may refuse this one, or a lower one is set
    pass
from tokenizers import Tokenizer
text = sys.stdin.buffer.read().decode()
try:
    tokenizer = Tokenizer.from_str(text)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode(sys.argv[2])
except BaseException as fault:
    sys.exit((str(fault).splitlines() or [type(fault).__name__])[0][:160])
"""
_tried: set[str] = set()  # digests of texts that were found to be good


def read_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer in the file ``path``. Raises :class:`WeightsError`."""
    try:
        if path.stat().st_size > MAX_CHARACTERS:
            raise WeightsError(f"{path}: larger than any tokenizer; fetch it again")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as fault:
        raise WeightsError(f"{path}: no such file; fetch or convert the weights first") from fault
    except (OSError, UnicodeDecodeError) as fault:
        raise WeightsError(f"{path}: not a tokenizer (cannot be read as text); fetch it again") from fault
    return make_tokenizer(text, str(path))


def make_tokenizer(text: str, name: str, *, trusted: bool = False) -> Tokenizer:
    """The tokenizer that JSON ``text`` describes, without padding and truncation; ``name`` is what errors call it.

    trusted: the text comes with the package, and is not tried first. Raises :class:`WeightsError`.
    """
    if len(text) > MAX_CHARACTERS:
        raise WeightsError(f"{name}: larger than any tokenizer; fetch it again")
    if not trusted:
        _try(text, name)
    try:
        tokenizer = Tokenizer.from_str(text)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as fault:  # plain Exception, or a panic of Rust, which is none
        said = (str(fault).splitlines() or [type(fault).__name__])[0][:160]
        raise WeightsError(f"{name}: not a tokenizer ({said}); fetch it again") from fault
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _try(text: str, name: str) -> None:
    """Read ``text``, and a long prompt with it, where it can do no harm. Raises :class:`WeightsError`."""
    data = text.encode()
    digest = hashlib.sha256(data).hexdigest()
    if digest in _tried:
        return
    quiet = {"RUST_BACKTRACE": "0", "TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}
    command = [sys.executable, "-I", "-c", _TRIAL, str(MAX_MEMORY), _PROBE]
    try:
        tried = subprocess.run(
            command, input=data, capture_output=True, timeout=MAX_SECONDS, env=os.environ | quiet, check=False
        )
    except subprocess.TimeoutExpired as fault:
        raise WeightsError(f"{name}: not a tokenizer (reading it takes minutes); fetch it again") from fault
    if tried.returncode == 1:  # it was refused in the ordinary way, or memory ran out in Python
        said = (tried.stderr.decode(errors="replace").strip().splitlines() or ["it cannot be read"])[-1][:160]
        raise WeightsError(f"{name}: not a tokenizer ({said}); fetch it again")
    if tried.returncode:
        size = f"{MAX_MEMORY / (1 << 30):.2g} GiB"
        raise WeightsError(
            f"{name}: not a tokenizer (it would end the program that reads it, or fill {size} of memory); "
            "fetch it again"
        )
    _tried.add(digest)
