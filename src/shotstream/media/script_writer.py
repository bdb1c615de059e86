"""Writes a story from an idea by a chat model, at any endpoint that speaks OpenAI's chat completions."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

import httpx
from pydantic import Field

from shotstream.core.config import Config
from shotstream.core.errors import InputError, StorageError
from shotstream.core.story import Story
from shotstream.media.prompt_formats.rewriting import Tell, silent
from shotstream.media.story_file import parse_story

KEY_ENV = "SHOTSTREAM_WRITER_KEY"
TRIES = 3  # an answer that cannot be read is told what is wrong with it
PATIENCE = 300.0  # seconds without a byte of an answer
MAX_ANSWER = 1 << 20  # bytes
MAX_IDEA = 20_000  # characters
HERE = ("localhost", "127.0.0.1", "::1")
FORM = """You write scripts for a video model that makes a film shot by shot. Answer with YAML and nothing else:

global_caption: One sentence: who is in the film, where it plays, how it looks. It is part of every shot's prompt.
shots:
  - caption: One sentence: framing, who, what is done, where. It says what is seen, not what is meant.
    seconds: 2.0

Write {shots} shots of 1 to 5 seconds. Call characters and places by the same words whenever they come back. Shots that
follow each other differ in framing, place or who is seen, so that the cut can be told."""
VOCABULARY = "\n\nThe model knows these words and no others, so use no others: {words}"
_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)  # what models that think aloud begin with


class ChatModel(Config):
    """A chat model that writes stories: the base address of its endpoint, its name there, the key it wants, if any."""

    endpoint: str
    name: str
    key: str | None = Field(default=None, repr=False)


def chat_model(endpoint: str, name: str, key: str | None = None) -> ChatModel:
    """One that may be asked, as far as can be seen without asking. Raises :class:`InputError`."""
    _address(endpoint, key)
    if not name.strip() or not name.isprintable():
        raise InputError("the writer: give the chat model's name at its endpoint, such as qwen3")
    return ChatModel(endpoint=endpoint, name=name.strip(), key=key)


def write_story(
    idea: str,
    endpoint: str,
    writer: str,
    *,
    shots: int = 6,
    words: Collection[str] = (),
    key: str | None = None,
    tell: Tell = silent,
) -> Story:
    """The story of about so many ``shots`` that the model ``writer`` makes of ``idea``.

    endpoint: its base address, such as ``http://localhost:11434/v1``. words: all that may be used; none: any. key: sent
    as a Bearer token. tell: hears what of the answer a story cannot say. Raises :class:`InputError` for arguments that
    cannot be, and for a model whose answers are no story; :class:`StorageError` when it is not there.
    """
    if not idea.strip() or len(idea) > MAX_IDEA:
        raise InputError(f"the idea: say in 1 to {MAX_IDEA} characters what the film is about")
    url = _address(endpoint, key)
    form = FORM.format(shots=shots) + (VOCABULARY.format(words=", ".join(sorted(words))) if words else "")
    messages = [{"role": "system", "content": form}, {"role": "user", "content": idea}]
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    with httpx.Client(timeout=PATIENCE, headers=headers) as client:
        for _ in range(TRIES):
            text = _answer(client, url, {"model": writer, "messages": messages})
            try:
                return _story(text, f"the answer of {writer}", tell)
            except InputError as fault:
                wrong = str(fault)
                said = f"This cannot be read: {wrong}. Answer with the whole script again, mended."
                messages += [{"role": "assistant", "content": text}, {"role": "user", "content": said}]
    raise InputError(f"{wrong} (after {TRIES} tries; another model may do better)")


def _address(endpoint: str, key: str | None) -> httpx.URL:
    """Where to ask. Raises :class:`InputError`."""
    try:
        url = httpx.URL(f"{endpoint.rstrip('/').removesuffix('/chat/completions')}/chat/completions")
    except httpx.InvalidURL as fault:
        raise InputError(f"the endpoint {endpoint:.80}: {fault}; give an address such as https://HOST/v1") from fault
    if url.scheme not in ("http", "https") or not url.host:
        raise InputError(f"the endpoint {endpoint:.80}: give an address such as https://HOST/v1")
    if key is not None and not re.fullmatch("[!-~]+", key):
        raise InputError(f"{KEY_ENV}: a key is letters, digits and signs, without spaces; mend it")
    if key is not None and url.scheme == "http" and url.host not in HERE:
        raise InputError(f"the endpoint {endpoint:.80} would be sent the key in the clear; give https, or no {KEY_ENV}")
    return url


def _answer(client: httpx.Client, url: httpx.URL, asked: dict[str, Any]) -> str:
    """What the model says. Raises :class:`StorageError`."""
    try:
        with client.stream("POST", url, json=asked) as answer:
            data = b""
            for piece in answer.iter_bytes():
                data += piece
                if len(data) > MAX_ANSWER:
                    raise StorageError(f"{url}: answers without an end; is this a chat model's endpoint?")
    except httpx.HTTPError as fault:
        raise StorageError(f"{url}: does not answer ({fault or type(fault).__name__}); check --endpoint") from fault
    if answer.status_code in (401, 403):
        raise StorageError(f"{url}: wants another key; set {KEY_ENV}")
    try:
        if answer.is_success:
            return str(json.loads(data)["choices"][0]["message"]["content"] or "")
    except (ValueError, LookupError, TypeError, RecursionError):
        pass
    told = " ".join(data[:200].decode("utf-8", "replace").split())
    raise StorageError(
        f"{url}: answered {answer.status_code}, {told!r}, no chat completion; check --endpoint, --writer"
    )


def _story(text: str, name: str, tell: Tell) -> Story:
    story = parse_story(_THOUGHT.sub("", text), name, tell=tell)
    if story.files:
        raise InputError(f"{name}: names the file {story.files[0]!r}; a writer has none")
    return story
