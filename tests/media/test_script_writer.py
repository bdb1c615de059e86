"""Stories by a chat model: a stand-in server for the endpoint; requests and answers checked by OpenAI's own types."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from chat_rig import ChatServer
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import TypeAdapter

from shotstream.cli.main import main
from shotstream.core.errors import InputError, StorageError
from shotstream.core.geometry import Geometry
from shotstream.media import script_writer
from shotstream.media.script_writer import KEY_ENV, write_story
from shotstream.media.story_file import read_story

STORY = "global_caption: A red fox.\nshots:\n- {caption: It walks., seconds: 1}\n- {caption: It sits.}\n"
PAGE = Path(__file__).parents[2] / "docs" / "exchange.md"


def test_a_story_is_asked_for_and_read(chat: ChatServer) -> None:
    chat.answer(f"<think>\nshots: 3?\n</think>\nHere it is:\n```yaml\n{STORY}```\nEnjoy!")
    story = write_story("a fox", chat.url + "/", "scribe", shots=2, words={"fox", "walks"}, key="k-1")
    assert [shot.caption for shot in story.shots] == ["It walks.", "It sits."]
    ((key, asked),) = chat.heard
    TypeAdapter(CompletionCreateParamsNonStreaming).validate_python(asked)
    assert (key, asked["model"], asked["messages"][-1]["content"]) == ("Bearer k-1", "scribe", "a fox")
    assert "Write 2 shots" in asked["messages"][0]["content"] and "fox, walks" in asked["messages"][0]["content"]


def test_other_forms_are_read_and_what_cannot_be_goes_back(chat: ChatServer) -> None:
    chat.answer("I cannot do that.", "global_caption: A fox.\nshot: 3", "Shot 1: It walks.\nShot 2: It sits.")
    told: list[str] = []
    assert len(write_story("a fox", chat.url, "scribe", tell=told.append).shots) == 2 and told
    _, last = chat.heard[-1]
    assert [one["role"] for one in last["messages"]] == ["system", "user", *["assistant", "user"] * 2]
    assert "unknown key 'shot'" in last["messages"][-1]["content"]
    chat.answer(*["global_caption: A fox.\nshots: [{caption: x, clip: /etc/passwd}]"] * 3)
    with pytest.raises(InputError, match=r"the answer of scribe: names the file '/etc/passwd'.*after 3 tries"):
        write_story("a fox", chat.url, "scribe")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, b"{}"), f"wants another key; set {KEY_ENV}"),
        ((500, b"<h1>\nno</h1>"), "answered 500, '<h1> no</h1>', no chat completion"),
        ((200, b"{}"), "no chat completion"),
        ((200, b"[" * 100_000), "no chat completion"),
        ((200, b"\xff\x00"), "no chat completion"),
        ((307, b""), "answered 307"),
        ((200, b" " * (script_writer.MAX_ANSWER + 1)), "answers without an end"),
    ],
)
def test_an_endpoint_that_is_none_is_told_in_one_line(chat: ChatServer, answer: tuple[int, bytes], said: str) -> None:
    chat.say.append(answer)
    with pytest.raises(StorageError, match=re.escape(said)) as fault:
        write_story("a fox", chat.url, "scribe")
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize(
    ("endpoint", "key", "said"),
    [
        ("localhost:11434/v1", None, "give an address such as"),
        ("http://", None, "give an address such as"),
        ("http://[::1/v1", None, "the endpoint"),
        ("http://192.0.2.1/v1", "k-1", "in the clear"),
        ("http://127.0.0.1:9/v1", "k 1\n", "without spaces"),
        ("http://127.0.0.1:9/v1", None, "does not answer"),
    ],
)
def test_addresses_and_keys_are_looked_at_first(endpoint: str, key: str | None, said: str) -> None:
    with pytest.raises((InputError, StorageError), match=said) as fault:
        write_story("a fox", endpoint, "scribe", key=key)
    assert "k-1" not in str(fault.value) and "k 1" not in str(fault.value)
    with pytest.raises(InputError, match="what the film is about"):
        write_story(" ", endpoint, "scribe")


def test_the_command_of_the_page(chat: ChatServer, tmp_path: Path, monkeypatch, capfd) -> None:
    director = SimpleNamespace(
        geometry=Geometry(width=256, height=160, spatial=16, latent_channels=4),
        unknown_words=lambda text: [],
        known_words=lambda: frozenset({"fox", "walks"}),
        lost_words=lambda prompt: [],
        prompt=lambda global_caption, caption, shot: f"{global_caption} {caption}",
        text_len=64,
    )
    monkeypatch.setitem(sys.modules, "shotstream.api", SimpleNamespace(load=lambda name, device: director))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(KEY_ENV, "k-2")
    (command,) = re.findall(r"^shotstream (story write .*?)\n```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    words = [chat.url if word.startswith("http") else word for word in shlex.split(command.replace("\\\n", " "))]
    chat.answer(STORY)
    assert main(words) == 0
    said = capfd.readouterr()
    assert said.out == "hat.yaml\n" and "warning: shot 0: 1 s becomes 1.31 s" in said.err
    assert chat.heard[0][0] == "Bearer k-2" and "k-2" not in said.err
    assert [shot.seconds for shot in read_story("hat.yaml").shots] == [1.0, None]
    assert main(words) == 2 and "--force" in capfd.readouterr().err and len(chat.heard) == 1
