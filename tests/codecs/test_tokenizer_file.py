"""Tokenizers that are none, or that would fill the memory: refused in one line, or read without what they ask for."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models

from shotstream.codecs import text_encoder
from shotstream.codecs.text_encoder import make_tokenizer, read_tokenizer
from shotstream.core.errors import WeightsError

GOOD = json.loads(Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]")).to_str())


def test_what_it_says_of_lengths_is_not_heeded() -> None:
    padding = {"strategy": {"Fixed": 1 << 60}, "direction": "Right", "pad_to_multiple_of": None}
    padding |= {"pad_id": 0, "pad_type_id": 0, "pad_token": "a"}
    tokenizer = make_tokenizer(json.dumps(GOOD | {"padding": padding}), "a.json")
    assert tokenizer.encode("a").ids == [0] and tokenizer.padding is None and tokenizer.truncation is None


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", "[" * 100_000, json.dumps(GOOD | {"model": {"type": "BPE", "vocab": 3}})]
)
def test_what_is_no_tokenizer_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(text)
    with pytest.raises(WeightsError, match="not a tokenizer") as fault:
        read_tokenizer(path)
    assert "\n" not in str(fault.value) and len(str(fault.value)) < 400


def refused(model: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(text_encoder, "MAX_MEMORY", 400 << 20)
    with pytest.raises(WeightsError) as fault:
        make_tokenizer(json.dumps(GOOD | model), "a.json")
    assert "\n" not in str(fault.value) and len(str(fault.value)) < 400
    return str(fault.value)


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process cannot be limited here")
def test_what_would_fill_the_memory_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three megabytes that become three gigabytes when they are read; and one line that grows with every space."""
    dice = random.Random(0)
    words = ["".join(chr(dice.randrange(0x4E00, 0x9FFF)) for _ in range(200)) for _ in range(3000)]
    vocabulary = [["[UNK]", 0.0], *([word, -1.0] for word in words)]
    model = {"type": "Unigram", "unk_id": 0, "vocab": vocabulary, "byte_fallback": False}
    assert "not a tokenizer" in refused({"model": model}, monkeypatch)
    grows = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 1000}
    normaliser = {"type": "Sequence", "normalizers": [grows] * 3}
    assert "not a tokenizer" in refused({"normalizer": normaliser}, monkeypatch)


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process cannot be limited here")
def test_where_the_limit_cannot_be_set_a_good_one_is_read() -> None:
    """Under a harder limit than ours, as a batch system sets it, which cannot be raised."""
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30)); "
        "from shotstream.codecs.text_encoder import make_tokenizer; make_tokenizer(sys.argv[1], 'a.json')"
    )
    done = subprocess.run([sys.executable, "-c", program, json.dumps(GOOD)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_good_one_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps(GOOD | {"version": "1.0", "truncation": None})
    assert make_tokenizer(text, "a.json").encode("a").ids == [0]
    monkeypatch.setattr(text_encoder.subprocess, "run", None)  # not asked again
    assert make_tokenizer(text, "a.json").encode("a").ids == [0]
    assert make_tokenizer(json.dumps(GOOD), "b.json", trusted=True).encode("a").ids == [0]


def test_size_comes_before_work(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(text_encoder, "MAX_CHARACTERS", 10)
    (tmp_path / "tokenizer.json").write_text(json.dumps(GOOD))
    for read in (lambda: read_tokenizer(tmp_path / "tokenizer.json"), lambda: make_tokenizer(json.dumps(GOOD), "a")):
        with pytest.raises(WeightsError, match="larger than any"):
            read()
    with pytest.raises(WeightsError, match="no such file"):
        read_tokenizer(tmp_path / "none.json")
