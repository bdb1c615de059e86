"""Other systems' prompts become stories; what is wrong with them is one line with file, line and mend."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shotstream.core.errors import InputError, ShotStreamError
from shotstream.core.story import MAX_SECONDS, Story
from shotstream.media.story_file import parse_story, read_story

TAGGED = """[global caption] A painter, [character1], in a bright studio. This scene contains 3 shots.
[per shot caption] Medium shot of [character1] before the canvas.
[shot cut] Close-up of her hand.
[shot cut] A wide shot: she steps back."""
PARTS = "A fox runs[2s] | It sits, static camera [2.5s#] | Night; no, dusk[1s#]"
ROPE = "A fox runs[2s] | It sits, static camera [2.5s#] | Night falls[100s#] ; run | sit | sleep"
LONGLIVE = '{"prompts": ["A fox runs.", "It sits."]}'

# text, the name of its file, the beginning of the error
FAULTS = {
    "holocine without shots": ("[global caption] A fox.", "h.txt", "h.txt, line 1: [per shot caption] is missing"),
    "holocine cut first": ("[global caption] A fox.\n[shot cut] It runs.", "h.txt", "h.txt, line 2: [shot cut] stands"),
    "holocine twice": (
        "[global caption] A.\n[per shot caption] B.\n[per shot caption] C.",
        "h.txt",
        "h.txt, line 3: [per shot caption] stands where [shot cut] should",
    ),
    "holocine blank shot": (
        "[global caption] A.\n[per shot caption] B.\n[shot cut]",
        "h.txt",
        "h.txt, line 3: shots[1].caption is blank",
    ),
    "holocine blank film": ("[global caption][per shot caption] B.", "h.txt", "h.txt, line 1: global_caption is blank"),
    "holocine both": (
        json.dumps({"prompt": TAGGED, "shot_captions": ["a"]}, indent=1),
        "h.json",
        "h.json, line 3: prompt and shot_captions are both given",
    ),
    "holocine cuts": (
        '{"global_caption": "g", "shot_captions": ["a", "b"],\n"shot_cut_frames": [3, 9]}',
        "h.json",
        "h.json, line 2: shot_cut_frames has 2 cuts for 2 shots; give 1",
    ),
    "holocine falling cuts": (
        '{"global_caption": "g", "shot_captions": ["a", "b", "c"],\n"shot_cut_frames": [30, 9]}',
        "h.json",
        "h.json, line 2: shot_cut_frames must rise from 1 to 240",
    ),
    "holocine text for cuts": (
        '{"global_caption": "g", "shot_captions": ["a", "b"],\n"shot_cut_frames": "30"}',
        "h.json",
        "h.json, line 2: shot_cut_frames must be a list",
    ),
    "holocine too short": (
        '{"global_caption": "g", "shot_captions": ["a", "b"],\n"shot_cut_frames":\n[2]}',
        "h.json",
        "h.json, line 3: shots[0].seconds is 0.125; give 0.3 to 60",
    ),
    "holocine frames": (
        '{"global_caption": "g", "shot_captions": ["a"],\n"num_frames": "x"}',
        "h.json",
        "h.json, line 2: num_frames must be",
    ),
    "holocine unknown": (
        '{"global_caption": "g", "shot_captions": ["a"],\n"num_frame": 9}',
        "h.json",
        "h.json, line 2: unknown key 'num_frame'; did you mean 'num_frames'?",
    ),
    "holocine no film": ('{"shot_captions": ["a"]}', "h.json", "h.json, line 1: global_caption is missing"),
    "longlive empty": ('\n{"prompts": []}', "l.jsonl", "l.jsonl, line 2: prompts must be a list"),
    "longlive a number": ('{"prompts": ["a",\n3]}', "l.json", "l.json, line 2: shots[1].caption must be text"),
    "longlive unknown": ('{"prompts": ["a"], "prompt": "b"}', "l.json", "l.json, line 1: unknown key 'prompt'"),
    "longlive many": (f"{LONGLIVE}\n\n{LONGLIVE}", "l.jsonl", "l.jsonl: holds 2 stories, one per line; name one, such"),
    "longlive broken": ('{"prompts": ["a]}', "l.jsonl", "l.jsonl, line 1: not valid JSON"),
    "rope without length": ("A fox[2s] | it sits", "r.txt", "r.txt, line 1: part 1 does not say how long it lasts"),
    "rope semicolons": (f"{ROPE}; more", "r.txt", "r.txt, line 1: two semicolons"),
    "rope blank": ("\nA fox[2s] | [2s#]", "r.txt", "r.txt, line 2: shots[1].caption is blank"),
    "rope too short": ("A fox[0.1s]", "r.txt", "r.txt, line 1: shots[0].seconds is 0.1; give 0.3 to 60"),
    "scenes no list": ('{"story_overview": "o",\n"scenes": {}}', "s.json", "s.json, line 2: scenes must be a list"),
    "scenes cuts": (
        '{"scenes": [\n{"video_prompts": ["a", "b"], "cut": [true]}]}',
        "s.json",
        "s.json, line 2: scene 1: cut must be a list of true or false, one per prompt",
    ),
    "scenes a number": (
        '{"scenes": [{"video_prompts": [3], "cut": [true]}]}',
        "s.json",
        "s.json, line 1: scene 1: video_",
    ),
    "scenes without cut": (
        '{"scenes": [{"video_prompts": ["a"], "cut": ["False"]}]}',
        "s.json",
        "s.json, line 1: the first prompt of all must begin with a cut",
    ),
    "scenes blank": (
        '{"scenes": [{"cut": [true, false], "video_prompts": ["a",\n" "]}]}',
        "s.json",
        "s.json, line 2: shots[0].changes[0].caption is blank",
    ),
    "rope semicolon in a caption": (PARTS, "r.txt", "r.txt, line 1: part 2 does not say how long it lasts"),
}


@pytest.mark.parametrize(("text", "name", "said"), FAULTS.values(), ids=FAULTS)
def test_every_fault_names_file_line_and_mend(text: str, name: str, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        parse_story(text, name)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def captions(story: Story) -> list[str]:
    return [shot.caption for shot in story.shots]


def test_holocine_as_text() -> None:
    story = parse_story(TAGGED, "h.txt")
    assert story.global_caption == "A painter, [character1], in a bright studio. This scene contains 3 shots."
    assert captions(story) == [
        "Medium shot of [character1] before the canvas.",
        "Close-up of her hand.",
        "A wide shot: she steps back.",
    ]
    assert parse_story(" ".join(TAGGED.split("\n")), "story") == story


def test_holocine_as_the_scripts_arguments() -> None:
    told: list[str] = []
    cuts = {"num_frames": 1241, "shot_cut_frames": [37, 73]}
    from_prompt = parse_story(json.dumps({"prompt": TAGGED, **cuts}), "h.json", tell=told.append)
    by_name = {"global_caption": from_prompt.global_caption, "shot_captions": captions(from_prompt)}
    assert parse_story(json.dumps({**by_name, **cuts}), "h.json") == from_prompt
    assert [shot.seconds for shot in from_prompt.shots] == [37 / 16, 36 / 16, MAX_SECONDS]
    assert told == ["h.json, line 1: shot 2 asks for 73 s; a shot here is at most 60 s"]
    evenly = parse_story(json.dumps({**by_name, "num_frames": 96, "seed": 3}), "h.json")
    assert ([shot.seconds for shot in evenly.shots], evenly.seed) == ([2.0, 2.0, 2.0], 3)
    assert [shot.seconds for shot in parse_story(json.dumps(by_name)).shots] == [None] * 3


def test_longlive_one_line_of_many(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text(f'{LONGLIVE}\n\n{{"prompts": ["An owl.", "It sleeps."], "global_caption": "Night.", "seed": 4}}\n')
    told: list[str] = []
    story = read_story(f"{path}:1", told.append)
    assert (captions(story), story.global_caption) == (["A fox runs.", "It sits."], "This scene contains 2 shots.")
    assert len(told) == 2 and all(said.startswith(f"{path}, line 1: ") for said in told)
    assert read_story(f"{path}:3").global_caption == "Night."
    with pytest.raises(InputError, match=r"prompts.jsonl: holds 2 stories, one per line; name one, such as .*:1"):
        read_story(path)
    with pytest.raises(InputError, match=r"there is no story on line 2; it holds 2"):
        read_story(f"{path}:2")
    (tmp_path / "one.yaml").write_text("global_caption: g\nshots: [{caption: c}]\n")
    with pytest.raises(InputError, match=r"holds one story, not one per line; leave out :1"):
        read_story(f"{tmp_path / 'one.yaml'}:1")


def test_longlive_2_is_a_folder(tmp_path: Path) -> None:
    for number, caption in enumerate(("A robot.", "Its hand.", "The door.")):
        (tmp_path / f"{number}.json").write_text(json.dumps({"caption": caption, "refers": []}))
    told: list[str] = []
    assert [shot.seconds for shot in read_story(tmp_path, told.append).shots] == [None] * 3
    (tmp_path / "shot_durations.txt").write_text("2 1, 48\n")
    (tmp_path / "global.json").write_text('{"caption": "A laboratory."}')
    story = read_story(tmp_path, told.append)
    assert (story.global_caption, captions(story)) == ("A laboratory.", ["A robot.", "Its hand.", "The door."])
    assert [shot.seconds for shot in story.shots] == pytest.approx([8 / 3, 4 / 3, 60])
    assert "shot 2 asks for 64 s" in told[-1]


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("1.json", '{\n"caption": " "}', "1.json, line 2: no caption; write"),
        ("1.json", "[1, 2]", "1.json, line 1: no caption; write"),
        ("1.json", "{", "1.json, line 1: not valid JSON"),
        ("3.json", '{"caption": "x"}', ": 3.json comes without 2.json; number shots from 0"),
        ("shot_durations.txt", "2", "shot_durations.txt, line 1: 1 lengths for 2 shots"),
        ("shot_durations.txt", "2 two", "shot_durations.txt, line 1: must be whole numbers of chunks"),
        ("shot_durations.txt", "0 1", "shot_durations.txt, line 1: must be whole numbers of chunks"),
    ],
)
def test_what_is_wrong_in_such_a_folder(tmp_path: Path, file: str, text: str, said: str) -> None:
    for number in range(2):
        (tmp_path / f"{number}.json").write_text('{"caption": "A robot."}')
    (tmp_path / file).write_text(text)
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        read_story(tmp_path)
    assert str(caught.value).startswith(str(tmp_path))


def test_infinity_rope() -> None:
    told: list[str] = []
    story = parse_story(ROPE, "r.txt", tell=told.append)
    assert captions(story) == ["A fox runs", "It sits, static camera", "Night falls"]
    assert [shot.seconds for shot in story.shots] == [2.0, 2.5, 60.0]
    assert told == [
        "r.txt, line 1: the subtitles are left out",
        "r.txt, line 1: no global caption; 'This scene contains 3 shots.' stands in for it",
        "r.txt, line 1: shot 2 asks for 100 s; a shot here is at most 60 s",
    ]
    told.clear()
    parse_story("a[1s] | b[2s] | c[2s#] | d[1s]", "r.txt", tell=told.append)
    assert told[0] == "r.txt, line 1: no hard cut before part 1, 3; here every part is a shot, and begins with one"


def test_our_own_story_may_speak_of_lengths_in_brackets() -> None:
    text = "global_caption: A sign says wait[5s]\nshots:\n- caption: a[2s] | b[3s#]\n"
    assert parse_story(text).global_caption == "A sign says wait[5s]"
    assert captions(parse_story(text, "s.txt")) == ["a[2s] | b[3s#]"]


CAPTION = st.text("abcdefgh é,.'\"-:()", min_size=1, max_size=20).map(str.strip).filter(bool)


@settings(max_examples=100, deadline=None)
@given(st.lists(CAPTION, min_size=1, max_size=5))
def test_what_a_format_says_is_what_is_read(wanted: list[str]) -> None:
    tagged = f"[global caption] g [per shot caption] {' [shot cut] '.join(wanted)}"
    lines = {
        "h.txt": tagged,
        "h.json": json.dumps({"prompt": tagged}),
        "l.jsonl": json.dumps({"prompts": wanted, "global_caption": "g"}),
        "r.txt": "zz[1s] | " + " | ".join(f"{caption}[2s#]" for caption in wanted),
    }
    for name, text in lines.items():
        story = parse_story(text, name)
        assert [shot.caption for shot in story.shots][name == "r.txt" :] == wanted


WORDS = (
    "[global caption]~[per shot caption]~[shot cut]~[2s]~[9s#]~|~;~\n~a fox~:~{~}~[~]~,~1~-3~null~true~1e999~- ~#~ ~\t~"
    '"prompts"~"prompt"~"shot_captions"~"shot_cut_frames"~"num_frames"~"global_caption"~"shot1"~"x"~caption~shots'
)
PIECES = st.sampled_from(WORDS.split("~"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.just(TAGGED),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=6,
)
KEY_WORDS = "global_caption seed shots shot1 shot2 prompts prompt shot_captions shot_cut_frames num_frames video_path x"
KEYS = st.sampled_from(KEY_WORDS.split())
MAPPINGS = st.dictionaries(KEYS, VALUES, max_size=5).map(json.dumps)
NAMES = st.sampled_from(["s", "s.txt", "s.json", "s.jsonl", "s.yaml"])


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=14).map("".join) | MAPPINGS | st.lists(MAPPINGS, max_size=3).map("\n".join), NAMES)
@example('{"prompts": ["\\ud83d"]}', "s.jsonl")
@example("[global caption]\x00[per shot caption]", "s")
@example("a[999999.999999s]", "s.txt")
@example('{"prompt": "[global caption] a [per shot caption] b", "num_frames": true}', "s.json")
def test_whatever_comes_is_a_story_or_one_clear_line(text: str, name: str) -> None:
    told: list[str] = []
    try:
        assert isinstance(parse_story(text, name, tell=told.append), Story)
    except ShotStreamError as fault:
        assert "\n" not in str(fault) and str(fault).startswith(name)
    assert all("\n" not in said for said in told)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=60) | st.lists(PIECES, max_size=10).map(lambda parts: "".join(parts).encode()))
def test_whatever_is_in_a_file_is_a_story_or_one_clear_line(data: bytes, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    for name in ("0.json", "1.json", "shot_durations.txt", "s.jsonl"):
        (folder / name).write_bytes(data)
    for source in (folder, f"{folder / 's.jsonl'}:1"):
        try:
            read_story(source)
        except ShotStreamError as fault:
            assert "\n" not in str(fault)


def test_scenes_of_st_bench_and_entity_bench_go_on_in_mid_shot_where_there_is_no_cut() -> None:
    scenes = [
        {"scene_num": 1, "video_prompts": ["A fox runs.", "It sits."], "cut": ["True", "False"]},
        {"scene_num": 2, "video_prompts": ["It sleeps.", "Night.", "A bear."], "cut": [False, True, True]},
    ]
    script = {"story_overview": "A fox.", "scenes": scenes, "entity_schedule": {}, "_num_shots": 5}
    story = parse_story(json.dumps(script), "s.json")
    assert story.global_caption == "A fox." and captions(story) == ["A fox runs.", "Night.", "A bear."]
    assert [(one.seconds, one.caption) for one in story.shots[0].changes or ()] == [
        (81 / 16, "It sits."),
        (165 / 16, "It sleeps."),
    ]
    assert [shot.seconds for shot in story.shots] == [249 / 16, 81 / 16, 81 / 16] and story.shots[1].changes is None


def test_a_scene_that_never_cuts_is_cut_where_a_shot_ends_and_that_is_said() -> None:
    told: list[str] = []
    scene = {"video_prompts": [f"It walks {number}." for number in range(30)], "cut": [True] + [False] * 29}
    story = parse_story(json.dumps({"story_overview": "A fox.", "scenes": [scene]}), "s.json", tell=told.append)
    assert [1 + len(shot.changes or ()) for shot in story.shots] == [11, 11, 8]
    assert len(told) == 2 and "longer than 60 s; there is a cut here" in told[0]
    assert all(shot.seconds is not None and shot.seconds <= MAX_SECONDS for shot in story.shots)
