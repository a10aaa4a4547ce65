"""One request of a file, from its fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from genbridge.cli.item import NAMES, Item, read_item
from genbridge.types import ImageRequest, Media, Reference, ReferenceRole, VideoRequest

FOLDER = Path("shots")


def problems(**fields: Any) -> list[str]:
    """Return what is wrong with the fields of a request."""
    return [str(problem) for problem in read_item(1, {"prompt": "a kite"} | fields, FOLDER)[1]]


def test_a_request_has_every_field_that_is_given() -> None:
    """What it is called and where it goes are no part of the request."""
    given = {
        "prompt": "a kite",
        "media": "video",
        "model": "filmer-2",
        "duration": 5.0,
        "audio": False,
        "seed": -1,
        "options": {"tier": "fast"},
        "id": "kite",
        "backend": "studio",
    }

    item, wrong = read_item(3, given, FOLDER)

    request = VideoRequest("a kite", model="filmer-2", duration=5, audio=False, seed=-1, options={"tier": "fast"})
    assert (Item(line=3, request=request, id="kite", backend="studio"), []) == (item, wrong)


def test_an_image_is_made_where_no_medium_is_named() -> None:
    """As by `generate`; `null` is not given."""
    item, _ = read_item(1, {"prompt": "a kite", "media": None, "count": 2, "duration": None}, FOLDER)

    assert Item(line=1, request=ImageRequest("a kite", count=2)) == item


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("a.png:first_frame", Reference(FOLDER / "a.png", role=ReferenceRole.FIRST_FRAME)),
        ("/tmp/a.png", Reference(Path("/tmp/a.png"))),
        ("https://host.example/a.png:style", Reference("https://host.example/a.png", role=ReferenceRole.STYLE)),
        ({"source": "a.mp4", "role": "extend", "duration": 4}, Reference(FOLDER / "a.mp4", role=ReferenceRole.EXTEND, duration=4)),
        ({"source": "https://host.example/x", "kind": "audio"}, Reference("https://host.example/x", kind=Media.AUDIO)),
        ({"source": "a.mp4"}, Reference(FOLDER / "a.mp4", kind=Media.VIDEO)),
    ],
)
def test_a_reference_is_written_as_for_ref_or_as_an_object(written: object, expected: Reference) -> None:
    """Paths are relative to the folder of the file, and colons belong to what is asked for alone."""
    item, wrong = read_item(1, {"prompt": "a kite", "references": [written]}, FOLDER)

    assert [] == wrong
    assert item is not None
    assert (expected,) == item.request.references


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"prompt": None}, "prompt: it is missing; say what you want"),
        ({"prompt": 5}, "prompt: 5 is not a string; put it in quotes"),
        ({"modle": "x"}, "modle: unknown key; did you mean 'model'?"),
        ({"media": "vidio"}, "media: 'vidio' is not one of image, video; did you mean 'video'?"),
        ({"count": 1.5}, "count: 1.5 cannot be used; give a whole number"),
        ({"media": "video", "duration": "5"}, "duration: '5' cannot be used; give a number"),
        ({"media": "video", "audio": "loud"}, "audio: 'loud' is not true or false"),
        ({"duration": 5}, "duration: it is for a video; give media video, or leave it out"),
        ({"media": "video", "quality": "high"}, "quality: it is for an image; give media image, or leave it out"),
        ({"options": [1]}, 'options: a list is not an object; write {"name": value}'),
        ({"references": "a.png"}, "references: 'a.png' is not a list; write [\"SOURCE:ROLE\"]"),
        ({"references": [5]}, 'references[0]: 5 is neither a string nor an object; write "SOURCE:ROLE"'),
        ({"references": ["no.png:stile"]}, "references[0]: unknown role 'stile'; did you mean 'style'?"),
        ({"references": [{"role": "style"}]}, "references[0].source: it is missing; give a path or a URL"),
        ({"references": [{"source": "a", "kid": "image"}]}, "references[0].kid: unknown key; did you mean 'kind'?"),
    ],
)
def test_each_mistake_is_named_with_its_field_and_what_to_do(fields: dict[str, Any], expected: str) -> None:
    """In the words of the file, not of Python."""
    assert [expected] == problems(**fields)


def test_a_field_like_no_other_is_answered_with_all_there_are() -> None:
    """So that nobody has to look them up."""
    (problem,) = problems(zzz="x")

    known = problem.removeprefix("zzz: unknown key; known are ").split(", ")
    assert sorted(NAMES) == sorted(known)


def test_all_mistakes_of_a_request_are_named_at_once() -> None:
    """Nobody mends a file one mistake at a time."""
    assert 4 == len(problems(prompt=None, count="x", colour="red", references=[1]))


def test_a_wrong_medium_makes_no_other_field_wrong() -> None:
    """It is not known which it is for."""
    assert ["media: 'flim' is not one of image, video"] == problems(media="flim", duration=5, quality="high")
