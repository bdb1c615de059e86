"""Shots written by a chat model for the studio: over HTTP, and on the page; the model is a stand-in's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from chat_rig import ChatServer
from page_rig import opened, shows, state_of, wait
from starlette.testclient import TestClient
from studio_rig import PORT, Painter, Server, until

from shotstream.media.script_writer import ChatModel, chat_model
from shotstream.serving.app import make_app
from shotstream.serving.fleet.processes import ReplicaSettings

STORY = "global_caption: a fox\nshots:\n- {caption: it walks, seconds: 0.6}\n- {caption: it sits}\n"
IDEA = {"idea": "a fox walks, then sits", "shots": 2}


@pytest.fixture
def writer(chat: ChatServer) -> ChatModel:
    return chat_model(chat.url, "scribe", "k-1")


@pytest.fixture
def desk(writer: ChatModel, tmp_path: Path) -> Iterator[TestClient]:
    app = make_app(Painter, tmp_path / "films", PORT, writer=writer)
    with TestClient(app, base_url=f"http://127.0.0.1:{PORT}") as client:
        until(lambda: client.get("/readyz").status_code == 200)
        yield client


def test_an_idea_becomes_shots(desk: TestClient, chat: ChatServer) -> None:
    assert desk.get("/api/writer").json() == {"name": "scribe"}
    chat.answer(f"```yaml\n{STORY}```")
    script = desk.post("/api/write", json={**IDEA, "story": "a red fox"}).json()
    assert (script["global_caption"], script["told"]) == ("a fox", [])
    assert [(one["caption"], one["seconds"]) for one in script["shots"]] == [("it walks", 0.6), ("it sits", None)]
    ((key, asked),) = chat.heard
    form, idea = (one["content"] for one in asked["messages"])
    assert key == "Bearer k-1" and "Write 2 shots" in form and "forest, fox, it, sits, the, walks" in form
    assert idea.startswith(IDEA["idea"]) and idea.endswith("the shots are of it: a red fox")


def test_without_a_chat_model_there_is_none(client: TestClient) -> None:
    assert client.get("/api/writer").json() == {"name": ""}
    answer = client.post("/api/write", json=IDEA)
    assert answer.status_code == 422 and "--endpoint and --writer" in answer.json()["text"]


def test_what_the_chat_model_does_wrong_is_told_without_saying_where_it_is(
    desk: TestClient, chat: ChatServer, caplog: pytest.LogCaptureFixture
) -> None:
    chat.say.append((401, b"{}"))
    answer = desk.post("/api/write", json=IDEA)
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert answer.json()["text"] == "scribe does not answer as it should; the studio's log says why"
    assert "SHOTSTREAM_WRITER_KEY" in caplog.text and "k-1" not in caplog.text
    chat.answer(*["I would rather not."] * 3)
    answer = desk.post("/api/write", json=IDEA)
    assert answer.status_code == 422 and "after 3 tries" in answer.json()["text"]
    for wrong in ({"idea": " "}, {"idea": "x", "shots": 0}, {"idea": "x", "shots": 51}, {"idea": "x" * 3000}, {}):
        assert desk.post("/api/write", json=wrong).json()["code"] == "malformed"


def test_two_are_written_at_a_time(desk: TestClient, chat: ChatServer) -> None:
    held, said = threading.Semaphore(0), []
    chat.before = held.acquire
    chat.answer(STORY, STORY)
    asking = [threading.Thread(target=lambda: said.append(desk.post("/api/write", json=IDEA))) for _ in range(2)]
    for one in asking:
        one.start()
    until(lambda: chat.waiting == 2)
    assert desk.post("/api/write", json=IDEA).json()["code"] == "busy"
    held.release(2)
    for one in asking:
        one.join()
    assert [one.status_code for one in said] == [200, 200]


def test_replicas_are_told_of_it_and_its_key_is_not_shown(writer: ChatModel) -> None:
    told = ReplicaSettings(films="films", token="t", writer=writer, loading={})
    assert ReplicaSettings.model_validate_json(told.model_dump_json()).writer == writer
    assert "k-1" not in repr(told)


class WritingServer(Server):
    def __init__(self, writer: ChatModel, films: Path) -> None:
        self.writer = writer
        super().__init__(Painter, films)

    def app(self):
        return make_app(self.load, self.films, self.port, writer=self.writer)


def test_the_page_writes_from_an_idea_and_shoots_what_was_made_of_it(
    browser, writer: ChatModel, chat: ChatServer, tmp_path: Path
) -> None:
    server = WritingServer(writer, tmp_path / "films")
    try:
        with opened(browser, server.url, model="painter") as page:
            page.set_viewport_size({"width": 390, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            page.get_by_role("button", name="From an idea…").click()
            page.get_by_text("sent to the chat model scribe").wait_for()
            page.get_by_label("Your idea", exact=True).fill("a fox walks, then sits")
            page.get_by_label("About how many shots").fill("2")
            chat.say.append((500, b"no"))
            page.get_by_role("button", name="Write", exact=True).click()
            wait(page, "document.getElementById('idea-said').textContent.includes('does not answer as it should')")
            chat.answer(STORY)
            page.get_by_role("button", name="Write", exact=True).click()
            wait(page, "document.getElementById('prompt').value === 'it walks\\n\\nit sits'")
            assert page.get_by_label("Who, where, and how it looks").input_value() == "a fox"
            assert page.inner_text("#shoot").startswith("Shoot 2 shots")
            page.locator("#prompt").fill("it walks\n\nthe fox sits")  # changed before it is shot
            page.locator("#shoot").click()
            shows(page, "it walks", "the fox sits")
            assert state_of(page, server)["shots"][0]["takes"][0]["frames"] == 9  # as long as was written
            page.get_by_role("button", name="From an idea…").click()
            held = threading.Semaphore(0)
            chat.before = held.acquire
            chat.answer(STORY)
            page.get_by_role("button", name="Write", exact=True).click()
            until(lambda: chat.waiting == 1)
            page.get_by_role("button", name="Cancel").click()
            held.release()
            until(lambda: len(chat.heard) == 3)
            page.wait_for_timeout(300)
            assert page.locator("#prompt").input_value() == ""
            assert chat.heard[-1][1]["messages"][-1]["content"].endswith("of it: a fox")
    finally:
        server.stop()


def test_the_page_does_not_offer_what_is_not_there(desk_page) -> None:
    assert desk_page.locator("#idea-open").is_hidden()
