"""Files of requests."""

from __future__ import annotations

import io
import json
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbridge.cli.item import Item
from genbridge.cli.sheet import STDIN, Sheet, read, refusal
from genbridge.errors import RequestError
from genbridge.types import ImageRequest, Reference, ReferenceRole, VideoRequest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder for files of requests."""
    return tmp_path.resolve()


def read_text(folder: Path, text: str | bytes, name: str = "shots.jsonl") -> Sheet:
    """Read a file with that in it."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read(path)


def mistakes(found: Sheet) -> list[str]:
    """Return what is wrong with a file, as a person reads it."""
    return [str(problem) for problem in refusal(Path("shots"), found.problems).problems]


# JSON lines.


def test_each_line_is_a_request_with_its_line(folder: Path) -> None:
    """Blank lines, a byte order mark and the line ends of Windows are nothing."""
    found = read_text(folder, '\ufeff{"prompt": "a"}\r\n\r\n  {"prompt": "b", "media": "video", "id": "x"}\r\n')

    expected = (Item(line=1, request=ImageRequest("a")), Item(line=3, request=VideoRequest("b"), id="x"))
    assert (expected, {}) == (found.items, found.problems)


def test_a_string_may_have_what_python_takes_for_the_end_of_a_line(folder: Path) -> None:
    """JSON lines end at a line feed, and nowhere else."""
    (item,) = read_text(folder, json.dumps({"prompt": "a\u2028b\x85c"}, ensure_ascii=False)).items

    assert "a\u2028b\x85c" == item.request.prompt


def test_every_mistake_of_a_file_is_listed_with_its_line(folder: Path) -> None:
    """In the order of the lines, whatever found it."""
    lines = [
        '{"prompt": "a", "durration": 5}',
        "# a comment",
        '{"prompt": "b"},',
        '{"prompt": "c", "id": "x"}',
        '{"prompt": "d", "id": "x"}',
        "[1]",
        '{"prompt": "e" "f"}',
        '{"prompt": "e", "seed": NaN}',
        '{"prompt": "e", "prompt": "f"}',
        '"g"',
        "{}",
    ]

    assert [
        "line 1, durration: unknown key; did you mean 'duration'?",
        "line 2: it is not JSON; comments are not possible",
        "line 3: it ends with a comma; write one object on each line, with nothing between them",
        "line 5, id: 'x' is taken by line 4; each needs one of its own",
        'line 6: a list is not an object; write {"prompt": "…"}',
        "line 7: it is not JSON: expecting ',' delimiter at column 16",
        "line 8: it is not JSON: NaN is not a JSON value",
        "line 9: it is not JSON: 'prompt' is given twice",
        'line 10: \'g\' is not an object; write {"prompt": "…"}',
        "line 11, prompt: it is missing; say what you want",
    ] == mistakes(read_text(folder, "\n".join(lines)))


def test_a_json_array_is_one_mistake(folder: Path) -> None:
    """And not one on each of its lines."""
    text = json.dumps([{"prompt": "a"}, {"prompt": "b"}], indent=2)

    assert ["line 1: it begins a JSON array; write one object on each line, with nothing around them"] == mistakes(
        read_text(folder, text)
    )


def test_brackets_without_end_are_a_mistake_like_others(folder: Path) -> None:
    """They do not exhaust the stack."""
    assert 1 == len(mistakes(read_text(folder, '{"prompt": ' + "[" * 100_000)))


@given(text=st.text())
def test_no_text_is_too_strange(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """It is requests, mistakes with their lines, or one sentence."""
    folder = tmp_path_factory.mktemp("strange")
    for name in ("a.jsonl", "a.csv"):
        with suppress(RequestError):
            found = read_text(folder, text.encode("utf-8", "replace"), name)
            assert found.items or found.problems


# CSV.


def test_a_table_has_a_request_in_each_row(folder: Path) -> None:
    """An empty cell is not given; a row begins on its first line, however many it has."""
    text = (
        "prompt,media,duration,audio,count,references,options\n"
        '"a\nb",video,5.0,No,,a.png:first_frame; https://host.example/b.png ,"{""tier"": ""fast""}"\n'
        ",,,,,,\n"
        "\n"
        "c,,,,2\n"
    )

    first, second = read_text(folder, text, "shots.csv").items

    references = (Reference(folder / "a.png", role=ReferenceRole.FIRST_FRAME), Reference("https://host.example/b.png"))
    film = VideoRequest("a\nb", duration=5, audio=False, references=references, options={"tier": "fast"})
    assert (Item(line=2, request=film), Item(line=6, request=ImageRequest("c", count=2))) == (first, second)


def test_every_mistake_of_a_table_is_listed_with_its_line(folder: Path) -> None:
    """An unknown column is one mistake, not one in each row."""
    text = 'prompt,media,durration,seed,options,audio,audio\na,video,,x,{3,maybe\nb,image,,4,,yes\nc,image,,,,,,,\n"d\n'

    assert [
        "line 1, durration: unknown column; did you mean 'duration'?",
        "line 1, audio: the column is there twice",
        "line 2, options: it is not JSON: expecting property name enclosed in double quotes at column 2",
        "line 2, seed: 'x' cannot be used; give a whole number",
        "line 2, audio: 'maybe' is not true or false",
        "line 3, audio: it is for a video; give media video, or leave it out",
        "line 4: it has 9 cells and the header 7; put quotes around a cell with a comma in it",
        "line 5: from here on it is not CSV: unexpected end of data; is a quote open?",
    ] == mistakes(read_text(folder, text, "shots.csv"))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("prompt;media", "line 1: the columns are separated by ';'; save the table with commas"),
        ("prompt\tmedia", r"line 1: the columns are separated by '\t'; save the table with commas"),
        ("media", "line 1: the header has no column 'prompt'; it begins the table with names such as prompt, media, id"),
    ],
)
def test_a_table_without_prompts_is_one_mistake(folder: Path, header: str, expected: str) -> None:
    """However many rows it has."""
    assert [expected] == mistakes(read_text(folder, f"{header}\na\nb\n", "shots.CSV"))


def test_a_column_without_a_name_is_called_by_its_number(folder: Path) -> None:
    """It holds what would be dropped in silence."""
    (mistake,) = mistakes(read_text(folder, "prompt,\na,b\n", "shots.csv"))

    assert mistake.startswith("line 1, column 2: unknown column; known are prompt, media, id")


# Files.


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("shots.jsonl", b"\n\n", "shots.jsonl has no request; write one on each line"),
        ("shots.csv", b"prompt,media\n", "shots.csv has no request; write one on each line"),
        ("shots.csv", b"", "shots.csv has no request; write one on each line"),
        ("shots.txt", b"", "shots.txt is neither .jsonl nor .csv; a batch is JSON lines, or a table with a header"),
        ("shots.jsonl", b'{"prompt": "a"}\n{"prompt": "\xff"}', "shots.jsonl is not UTF-8 in line 2; save it as UTF-8"),
    ],
)
def test_a_file_that_is_no_batch_is_refused_in_a_sentence(folder: Path, name: str, data: bytes, expected: str) -> None:
    """It says what to do."""
    with pytest.raises(RequestError) as caught:
        read_text(folder, data, name)

    assert expected == caught.value.message.removeprefix(f"{folder}/")


def test_a_file_that_is_not_there_is_told(folder: Path) -> None:
    """And a folder is no file."""
    with pytest.raises(RequestError, match=r"nope\.csv cannot be read: No such file or directory"):
        read(folder / "nope.csv")
    (folder / "a.csv").mkdir()
    with pytest.raises(RequestError, match=r"a\.csv cannot be read: Is a directory"):
        read(folder / "a.csv")


def test_stdin_is_json_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its references are relative to the current folder."""
    text = io.TextIOWrapper(io.BytesIO(b'{"prompt": "a", "references": ["a.png"]}\n'))
    monkeypatch.setattr(sys, "stdin", text)

    (item,) = read(STDIN).items

    assert Item(line=1, request=ImageRequest("a", references=(Reference(Path.cwd().resolve() / "a.png"),))) == item


def test_a_single_mistake_is_counted_in_words(folder: Path) -> None:
    """And nothing is sent for any number of them."""
    error = refusal(Path("shots.jsonl"), read_text(folder, "x").problems)

    assert "shots.jsonl has a mistake; nothing was sent" == error.message
