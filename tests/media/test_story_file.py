"""Every way a story can be written, and every way it can be wrong: one line, with the place and the mend."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from shotstream.core.errors import InputError, ShotStreamError, StorageError
from shotstream.core.story import Shot, Story
from shotstream.media.located import MAX_BYTES
from shotstream.media.story_file import parse_story, read_story

EXAMPLES = sorted(
    path for path in (Path(__file__).parents[2] / "examples").iterdir() if path.suffix in (".yaml", ".json")
)
HEAD = "global_caption: A fox.\n"
ONE = HEAD + "shots:\n- caption: It walks.\n"

FAULTS = {
    "empty": ("  \n", "s: is empty"),
    "a list": ("- 1\n- 2\n", "s: is a list that is no story; give global_caption and shots"),
    "a word": ("fox\n", "s: is no story; give global_caption and shots (YAML or JSON), lines such as"),
    "no captions": ("seed: 3\n", "s, line 1: global_caption is missing"),
    "no shots": (HEAD, "s, line 1: shots is missing"),
    "null shots": (HEAD + "shots:\n", "s, line 2: shots is empty"),
    "empty shots": (HEAD + "shots: []\n", "s, line 2: shots is empty"),
    "shots a mapping": (HEAD + "shots: {a: 1}\n", "s, line 2: shots must be a list, not a mapping"),
    "shot a text": (HEAD + "shots:\n- It walks.\n", "s, line 3: shots[0] must be a mapping with the key caption"),
    "blank caption": (HEAD + "shots:\n- caption:\n", "s, line 3: shots[0].caption is blank"),
    "caption a number": (
        HEAD + "shots:\n- caption: 42\n",
        "s, line 3: shots[0].caption must be text in quotes, not 42",
    ),
    "caption a truth": (HEAD + "shots:\n- caption: yes\n", "s, line 3: shots[0].caption must be text in quotes"),
    "unknown key": (ONE + "  secnods: 2\n", "s, line 4: unknown key 'secnods'; did you mean 'seconds'?"),
    "unknown top key": (ONE + "sed: 2\n", "s, line 4: unknown key 'sed'; did you mean 'seed'?"),
    "merge key": (ONE + "<<: {seed: 1}\n", "s, line 4: unknown key '<<'; known keys:"),
    "key twice": (ONE + "  caption: x\n", 's, line 4: "caption" is given twice'),
    "key a list": ("[a]: 1\n", "s, line 1: a key must be one word"),
    "zero": (ONE + "  seconds: 0\n", "s, line 4: shots[0].seconds is 0; give 0.3 to 60"),
    "negative": (ONE + "  seconds: -2.0\n", "s, line 4: shots[0].seconds is -2.0; give 0.3 to 60"),
    "not a number": (ONE + "  seconds: .nan\n", "s, line 4: shots[0].seconds is nan; give 0.3 to 60"),
    "infinite": (ONE + "  seconds: .inf\n", "s, line 4: shots[0].seconds is inf"),
    "huge": (ONE + "  seconds: 1" + "0" * 400 + "\n", "s, line 4: shots[0].seconds is a huge number"),
    "too many digits": (ONE + "  seconds: 1" + "0" * 9000 + "\n", "s, line 4: 1000"),
    "seconds a text": (ONE + "  seconds: two\n", "s, line 4: shots[0].seconds must be a number, not 'two'"),
    "seed a fraction": (ONE + "seed: 1.5\n", "s, line 4: seed is 1.5; give a whole number"),
    "tag": ("global_caption: !!python/name:os.system x\n", "s, line 1: YAML tags are not allowed"),
    "plain tag": ("global_caption: !!str 3\n", "s, line 1: YAML tags are not allowed"),
    "anchor": ("global_caption: &a x\n", "s, line 1: YAML anchors and aliases"),
    "alias": ("global_caption: x\nshots: *a\n", "s, line 2: YAML anchors and aliases"),
    "two documents": (ONE + "---\n" + ONE, "s, line 4: a second YAML document"),
    "deep": ("a: " + "[" * 1000, "s, line 1: nested more than 8 deep"),
    "not YAML": ("global_caption: [a\nb: c\n", "s, line 1: begins its text with '[', which means something in YAML"),
    "tab": ("global_caption: a\n\tseed: 1\n", "s, line 2: is indented by a tab; use spaces"),
    "colon": ("global_caption: Night: a fox\n", "s, line 1: holds a colon inside its text; put the text in quotes"),
    "colon in a shot": (HEAD + "shots:\n- caption: Wide: a fox\n", "s, line 3: holds a colon inside its text"),
    "no space": ("global_caption:A fox\nshots:\n- caption: x\n", "s, line 1: has no space behind its colon"),
    "sign": ("global_caption: @fox\n", "s, line 1: begins its text with '@', which means something in YAML"),
    "backtick": ("global_caption: `fox`\n", "s, line 1: begins its text with '`'"),
    "apostrophe": ("global_caption: 'it's a fox'\n", "s, line 1: holds an apostrophe inside single quotes"),
    "quotes in quotes": ('global_caption: "a "red" fox"\n', "s, line 1: holds double quotes inside double quotes"),
    "open quotes": ('global_caption: "A fox\nshots: []\n', "s, line 1: the quotes that begin here are not closed"),
    "crooked": (HEAD + "shots:\n - caption: x\n  - caption: y\n", "s, line 4: is not indented like the lines"),
    "text that goes on": ("global_caption: >\nA fox\nshots: []\n", "s, line 3: is no `key: value`"),
    "misspelt": ("global_captoin: x\nshots:\n- caption: y\n", "s, line 1: unknown key 'global_captoin'; did you mean"),
    "camel case": ("globalCaption: x\nshots: []\n", "s, line 1: unknown key 'globalCaption'; did you mean"),
    "duration": (ONE + "  duration: 3\n", "s, line 4: unknown key 'duration'; did you mean 'seconds'?"),
    "prompt": (HEAD + "shots:\n- prompt: x\n", "s, line 3: unknown key 'prompt'; did you mean 'caption'?"),
    "scenes": (HEAD + "scenes:\n- caption: x\n", "s, line 2: unknown key 'scenes'; did you mean 'shots'?"),
    "curly quotes": ("global_caption: “Night: a fox”\n", "s, line 1: stands in curly quotes"),
    "JSON apostrophes": ("{'seed': 1}", "s, line 1: not valid JSON (text stands in straight double quotes"),
    "JSON curly": ("{“seed”: 1}", "s, line 1: not valid JSON (text stands in straight double quotes"),
    "lost words": (
        "global_caption: A fox #3 in\n  the snow\nshots: []\n",
        "s, line 1: what stands behind '#3' is a comment",
    ),
    "base eight": (ONE + "seed: 010\n", "s, line 4: 010 begins with a zero; leave the zero out"),
    "fenced": ("Here:\n```yaml\nseed: x\n```\n", "s, line 3: seed must be a number"),
    "JSON comment": ('{\n// who\n"seed": 1}', "s, line 2: not valid JSON (it holds no comments"),
    "control character": ("global_caption: a\nseed: \x07\n", "s, line 2: holds a control character"),
    "not JSON": ('{"global_caption": "x",\n"shots": [}', "s, line 2: not valid JSON"),
    "JSON comma": ('{"global_caption": "x",\n"seed": 1,\n}', "s, line 2: not valid JSON (a comma too many)"),
    "JSON after the end": ('{"seed": 1}\n x', "s, line 2: not valid JSON"),
    "JSON key": ("{1: 2}", "s, line 1: not valid JSON"),
    "JSON twice": ('{"seed": 1,\n"seed": 2}', 's, line 2: "seed" is given twice'),
    "JSON deep": ('{"a":\n' + "[" * 1000, "s, line 2: nested more than 8 deep"),
    "JSON digits": ('{"seed": ' + "1" * 9000 + "}", "s, line 1: a number with too many digits"),
    "JSON not a number": (
        '{"global_caption": "g", "shots": [\n{"caption": "c",\n"seconds": NaN}]}',
        "s, line 3: shots[0].seconds is nan",
    ),
    "JSON surrogate": (
        '{"global_caption": "\\ud83d", "shots": [{"caption": "c"}]}',
        "s, line 1: global_caption holds half",
    ),
    "JSON cut short": ('{"global_caption": "g', "s, line 1: not valid JSON"),
    "gap": ('{"global_caption": "g",\n"shot1": "a",\n"shot3": "c"}', "s, line 3: shot3 comes without shot2"),
    "from zero": ('{"global_caption": "g",\n"shot0": "a"}', "s, line 2: shot0 comes without shot1"),
    "reference shot a mapping": (
        '{"global_caption": "g",\n"shot1": {"caption": "a"}}',
        "s, line 2: shot1 must be text",
    ),
    "reference shot blank": ('{"global_caption": "g",\n"shot1": " "}', "s, line 2: shots[0].caption is blank"),
    "reference unknown": ('{"global_caption": "g",\n"shot1": "a",\n"shoot2": "b"}', "s, line 3: unknown key 'shoot2'"),
    "reference near": (
        '{"global_caption": "g",\n"shot1": "a",\n"Shot_2": "b"}',
        "s, line 3: unknown key 'Shot_2'; did you",
    ),
    "reference spaced": (
        '{"global_caption": "g",\n"Shot 1": "a"}',
        "s, line 2: unknown key 'Shot 1'; did you mean 'shot1'?",
    ),
    "nothing to see": (
        '{"global_caption": "g", "shots": [\n{"caption": "\u200b\ufeff\u00a0"}]}',
        "s, line 2: shots[0].caption is blank",
    ),
    "both layouts": (
        '{"global_caption": "g", "shots": [{"caption": "a"}],\n"shot1": "a"}',
        "s, line 2: unknown key 'shot1'",
    ),
}


@pytest.mark.parametrize(("text", "said"), FAULTS.values(), ids=FAULTS)
def test_every_fault_is_one_line_that_names_place_and_mend(text: str, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        parse_story(text, "s")
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_are_stories_of_five_shots(path: Path) -> None:
    assert len(read_story(path).shots) == 5


def test_yaml_and_json_say_the_same() -> None:
    data = {
        "global_caption": "Ein Füchslein 🦊",
        "seed": 7,
        "shots": [{"caption": "a: b # c", "seconds": 2.0}, {"caption": "no"}],
    }
    expected = Story.model_validate(data)
    assert parse_story(yaml.safe_dump(data)) == expected
    assert parse_story(json.dumps(data)) == expected
    assert parse_story(json.dumps(data, ensure_ascii=False, indent="\t")) == expected


def test_the_reference_layout_keeps_every_caption() -> None:
    shots = {f"shot{number}": f"shot {number}: The camera shows {number}." for number in range(1, 13)}
    data = {"video_path": "a/0001.mp4", "global_caption": "Two people.", **dict(reversed(shots.items()))}
    found = parse_story(json.dumps(data))
    assert found.shots == tuple(Shot(caption=text) for text in shots.values())
    assert parse_story(yaml.safe_dump(data)) == found


def test_an_answer_of_a_chat_program_is_read_between_its_fences() -> None:
    expected = parse_story(ONE)
    assert parse_story(f"Here is your story:\r\n\r\n```yaml\r\n{ONE}```\r\nEnjoy!") == expected
    assert parse_story(f"```json\n{expected.model_dump_json()}\n```", "s.txt") == expected


def test_comments_are_comments() -> None:
    text = "# ours\nglobal_caption: A fox. # who\nseed: 7 #optional\nshots: #todo\n"
    text += "- caption: '#1 walks' #x\n- caption: C#4 #\n"
    found = parse_story(text)
    assert (found.global_caption, found.seed, [one.caption for one in found.shots]) == (
        "A fox.",
        7,
        ["#1 walks", "C#4"],
    )


def test_a_date_stays_text() -> None:
    assert parse_story("global_caption: 2024-01-01\nshots: [{caption: c}]").global_caption == "2024-01-01"


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "story.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + ONE.replace("\n", "\r\n").encode())
    assert read_story(path).shots == (Shot(caption="It walks."),)
    for data, said in (
        (b"global_caption: ok\nseed: \xff\xfe", ", line 2: is not UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not a text file"),
        (ONE.encode("utf-16"), "is UTF-16"),
        (b"#" * (MAX_BYTES + 1), "larger than 512 KiB"),
        (b"", "is empty"),
    ):
        path.write_bytes(data)
        with pytest.raises(InputError, match=re.escape(said)):
            read_story(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_story(tmp_path / "missing.yaml")
    with pytest.raises(InputError, match="is a folder"):
        read_story(tmp_path)
    with pytest.raises(StorageError, match="cannot be read"):
        read_story("x" * 5000)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(ONE.encode())))
    assert read_story("-").global_caption == "A fox."
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"seed: 1")))
    with pytest.raises(InputError, match=r"^<stdin>, line 1: global_caption is missing"):
        read_story("-")


def test_a_closed_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(InputError, match="standard input is closed"):
        read_story("-")


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=80)
    | st.text(alphabet='{}[]":,-\n &*!a1', max_size=40)
    | st.text(max_size=30).map(lambda end: ONE + end)
)
def test_whatever_comes_is_a_story_or_one_clear_line(text: str) -> None:
    try:
        parse_story(text, "s")
    except ShotStreamError as fault:
        assert "\n" not in str(fault)
        assert str(fault).startswith("s")


ODD_NUMBERS = ("1:59" + ":59" * 300 + ".5", "1:59" + ":59" * 20_000, "0x" + "f" * 20_000, "9" * 5000, "._", "-.inf")


@pytest.mark.parametrize("number", ODD_NUMBERS)
def test_numbers_as_yaml_1_1_has_them_are_refused_in_one_line(number: str) -> None:
    with pytest.raises(InputError) as fault:
        parse_story(f"global_caption: a fox\nseed: {number}\nshots: [{{caption: it walks}}]")
    assert "line 2" in str(fault.value) and "\n" not in str(fault.value) and len(str(fault.value)) < 300


@pytest.mark.parametrize(
    "directive", ["%YAML 999", f"%YAML {'1' * 5000}.1", "%YAML 1.1.1", "%TAG ! ", "%" + "x" * 5000]
)
def test_directives_no_program_can_read_are_refused_in_one_line(directive: str) -> None:
    with pytest.raises(InputError) as fault:
        parse_story(f"{directive}\n---\nglobal_caption: a fox\nshots: {{}}")
    assert "\n" not in str(fault.value) and len(str(fault.value)) < 300
