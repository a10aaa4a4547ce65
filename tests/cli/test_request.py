"""The options that describe a request."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbridge.cli.request import make_requests, read_option, read_reference
from genbridge.types import ImageRequest, Media, Reference, ReferenceRole, VideoRequest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("photo.jpg", Reference(Path("photo.jpg"))),
        ("photo.jpg:first_frame", Reference(Path("photo.jpg"), role=ReferenceRole.FIRST_FRAME)),
        ("clip.mp4:extend:6", Reference(Path("clip.mp4"), role=ReferenceRole.EXTEND, duration=6)),
        ("clip.mp4:asset:2.5", Reference(Path("clip.mp4"), role=ReferenceRole.ASSET, duration=2.5)),
        ("https://host.example:8080/a.png", Reference("https://host.example:8080/a.png")),
        ("https://host.example:8080", Reference("https://host.example:8080")),
        ("https://host.example:8080/a.png:style", Reference("https://host.example:8080/a.png", role=ReferenceRole.STYLE)),
        ("https://host.example/a:b.mp4:extend:4", Reference("https://host.example/a:b.mp4", role=ReferenceRole.EXTEND, duration=4)),
        ("HTTPS://host.example/a.png:last_frame", Reference("HTTPS://host.example/a.png", role=ReferenceRole.LAST_FRAME)),
        ("data:image/png;base64,AAAA", Reference("data:image/png;base64,AAAA")),
        (r"C:\pictures\a.png", Reference(Path(r"C:\pictures\a.png"))),
        (r"C:\pictures\a.png:first_frame", Reference(Path(r"C:\pictures\a.png"), role=ReferenceRole.FIRST_FRAME)),
        ("C:a.png:style", Reference(Path("C:a.png"), role=ReferenceRole.STYLE)),
        ("./style", Reference(Path("style"))),
    ],
)
def test_a_reference_is_read_from_its_source_role_and_seconds(text: str, expected: Reference) -> None:
    """The colons of URLs, ports and drives stay with the source."""
    assert expected == read_reference(text)


def test_the_home_directory_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell leaves the tilde alone in `--ref=~/a.png`."""
    monkeypatch.setenv("HOME", "/home/ann")

    assert Path("/home/ann/a.png") == read_reference("~/a.png").source


def test_a_misspelt_role_is_named_with_the_one_that_was_meant() -> None:
    """It does not become a part of the file's name."""
    with pytest.raises(ValueError, match=r"unknown role 'frist_frame'; did you mean 'first_frame'\?"):
        read_reference("photo.jpg:frist_frame")


def test_a_role_that_is_like_no_other_is_answered_with_the_list() -> None:
    """The list says what there is."""
    with pytest.raises(ValueError, match="unknown role 'zzz'; the roles are first_frame, last_frame, asset, style, extend"):
        read_reference("photo.jpg:zzz")


def test_a_file_with_a_colon_in_its_name_can_be_used(tmp_path: Path) -> None:
    """What exists is not taken for a role."""
    path = tmp_path / "a:b"
    path.touch()

    assert Reference(path) == read_reference(str(path))


@given(role=st.sampled_from(ReferenceRole), name=st.from_regex(r"[a-z]{2,8}\.png", fullmatch=True), port=st.integers(1, 65535))
def test_every_role_can_follow_every_url(role: ReferenceRole, name: str, port: int) -> None:
    """Whatever the port and the name are."""
    url = f"https://host.example:{port}/{name}"

    assert Reference(url, role=role) == read_reference(f"{url}:{role}")


@given(st.text(min_size=1))
def test_any_text_is_a_reference_or_a_value_error(text: str) -> None:
    """Nothing else comes out, and a URL or path is never lost."""
    with suppress(ValueError):
        assert str(read_reference(text).source)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("stylize=250", ("stylize", 250)),
        ("raw=true", ("raw", True)),
        ("style=vivid", ("style", "vivid")),
        ("style=a=b", ("style", "a=b")),
        ("style=", ("style", "")),
        ('niji7Options={"chaos": 3}', ("niji7Options", {"chaos": 3})),
        ("date=2026-01-01", ("date", "2026-01-01")),
    ],
)
def test_an_option_is_json_or_plain_text(text: str, expected: tuple[str, Any]) -> None:
    """So that words need no quotes inside quotes."""
    assert expected == read_option(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("stylize", "is not KEY=VALUE"),
        ("=3", "is not KEY=VALUE"),
        ("a={", "the value of a is not JSON"),
        ("a=[1,", "the value of a is not JSON"),
        ('a="x', "the value of a is not JSON"),
        ("a=NaN", "NaN is not a JSON value"),
        ("a=-Infinity", "-Infinity is not a JSON value"),
        ("a=" + "[" * 100_000, "the value of a is not JSON"),
    ],
)
def test_an_option_that_is_neither_is_refused(text: str, complaint: str) -> None:
    """The message names it."""
    with pytest.raises(ValueError, match=complaint):
        read_option(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_every_json_value_arrives_as_it_is(value: Any) -> None:
    """Written as JSON, read back the same."""
    assert ("key", value) == read_option(f"key={json.dumps(value)}")


def test_an_image_is_made_when_no_medium_is_named() -> None:
    """Fields that were not given stay at the model's default."""
    assert [ImageRequest("kite", seed=3)] == make_requests(image=False, video=False, prompt="kite", seed=3, duration=None)


def test_both_media_give_a_request_each_with_the_fields_each_has() -> None:
    """A duration is the video's, a count the image's, a ratio both's."""
    made = make_requests(image=True, video=True, prompt="kite", duration=5, count=2, aspect_ratio="16:9")

    assert [ImageRequest("kite", count=2, aspect_ratio="16:9"), VideoRequest("kite", duration=5, aspect_ratio="16:9")] == made


@pytest.mark.parametrize(
    ("video", "fields", "complaint"),
    [
        (False, {"duration": 5}, "--duration is for a video; add --video or leave it out"),
        (False, {"duration": 5, "return_last_frame": True}, "--duration, --return-last-frame are for a video"),
        (True, {"count": 2}, "--count is for an image; add --image or leave it out"),
    ],
)
def test_a_field_of_the_other_medium_is_refused(video: bool, fields: dict[str, Any], complaint: str) -> None:
    """Nothing is dropped in silence."""
    with pytest.raises(click.UsageError, match=complaint):
        make_requests(image=False, video=video, prompt="kite", **fields)


def test_every_option_arrives_in_the_request(cli: Callable[..., Any], client: Any) -> None:
    """As the type the request has it."""
    words = "generate kite --video -m filmer-2 --duration 5 --aspect-ratio 16:9 --resolution 720P --seed 7 --no-audio --watermark"
    run = cli(*words.split(), "--return-last-frame", "--ref", "https://x.example/a.png:style", "--option", "fps=24", "--dry-run")

    expected = VideoRequest(
        "kite",
        model="filmer-2",
        duration=5,
        aspect_ratio="16:9",
        resolution="720p",
        seed=7,
        audio=False,
        watermark=True,
        return_last_frame=True,
        references=(Reference("https://x.example/a.png", role=ReferenceRole.STYLE, kind=Media.IMAGE),),
        options={"fps": 24},
    )
    assert 0 == run.exit_code
    assert [("quote", expected, None), ("closed",)] == client.asked
    assert isinstance(client.asked[0][1].duration, int)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--option", "a=1", "--option", "a=2"], "a is given twice"),
        (["--option", "a"], "'a' is not KEY=VALUE"),
        (["--ref", "a.png:stile"], "did you mean 'style'?"),
        (["--duration", "5"], "--duration is for a video"),
        (["--seed", "x"], "'x' is not a valid integer"),
    ],
)
def test_wrong_options_end_with_the_usage_code(cli: Callable[..., Any], client: Any, words: list[str], complaint: str) -> None:
    """Before a client is made."""
    run = cli("generate", "kite", *words)

    assert 2 == run.exit_code
    assert complaint in run.stderr
    assert [] == client.asked
