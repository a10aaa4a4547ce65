"""The values that everything else is made of."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbridge.types import (
    Asset,
    AssetRole,
    Certainty,
    Cost,
    File,
    ImageRequest,
    Job,
    JobStatus,
    Media,
    Quote,
    Reference,
    ReferenceRole,
    Result,
    VideoRequest,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def result(*assets: Asset, prompt: str = "Mist") -> Result:
    """Return a result with those assets."""
    return Result(
        job_id="job",
        backend="studio",
        provider="meigen",
        model="gpt-image-2",
        request=ImageRequest(prompt),
        assets=assets,
        cost=Cost(amount=4),
        created_at=NOW,
        finished_at=NOW,
    )


def test_four_statuses_are_terminal() -> None:
    """A job in any other can still change."""
    expected = {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED}
    assert expected == {status for status in JobStatus if status.terminal}


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("https://files.example/x.MP4?signature=a.png", Media.VIDEO),
        (Path("clip.webm"), Media.VIDEO),
        (Path("voice.WAV"), Media.AUDIO),
        ("https://files.example/x.png", Media.IMAGE),
        ("https://files.example/x", Media.IMAGE),
        ("data:image/png;base64,AAAA", Media.IMAGE),
    ],
)
def test_the_kind_of_a_reference_is_guessed_from_its_ending(source: str | Path, kind: Media) -> None:
    """An image where that says nothing."""
    assert kind is Reference(source).kind


def test_a_reference_to_go_on_from_is_a_video() -> None:
    """Whatever its ending, unless the caller says otherwise."""
    assert Media.VIDEO is Reference("https://files.example/x", role=ReferenceRole.EXTEND).kind
    assert Media.IMAGE is Reference("https://files.example/x", role=ReferenceRole.EXTEND, kind=Media.IMAGE).kind


def test_a_reference_takes_words_for_its_role_and_kind() -> None:
    """As they come from a command line or a file."""
    reference = Reference("https://files.example/x", role="first_frame", kind="video")
    assert (ReferenceRole.FIRST_FRAME, Media.VIDEO) == (reference.role, reference.kind)
    assert isinstance(reference.role, ReferenceRole)


@given(value=st.none() | st.integers() | st.text() | st.lists(st.integers()) | st.dictionaries(st.text(), st.integers()))
def test_a_request_takes_any_value_and_leaves_it_to_the_check(value: Any) -> None:
    """Nothing raises for a wrong value, so that every problem can be reported at once."""
    names = [field.name for field in attrs.fields(ImageRequest) if field.name != "prompt"]
    request = ImageRequest(value, **dict.fromkeys(names, value))
    reference = Reference(value, role=value, kind=value, duration=value)
    assert (value, value) == (request.prompt, request.model)
    assert value in (reference.source, reference.role)


def test_words_of_a_request_are_lower_case() -> None:
    """`1K` and `1k` are the same resolution."""
    image = ImageRequest("Mist", aspect_ratio="AUTO", size="1024X1024", resolution="1K", quality="High")
    assert ("auto", "1024x1024", "1k", "high") == (image.aspect_ratio, image.size, image.resolution, image.quality)
    video = VideoRequest("Mist", aspect_ratio="Adaptive", resolution="720P")
    assert ("adaptive", "720p") == (video.aspect_ratio, video.resolution)


@pytest.mark.parametrize("kind", [ImageRequest, VideoRequest])
def test_a_request_is_a_value(kind: type[ImageRequest]) -> None:
    """It keeps copies of what it was made from, can be compared, hashed and pickled."""
    references, options = [Reference("https://files.example/x")], {"a": 1}
    request = kind("Mist", references=references, options=options)
    references.clear()
    options.clear()
    same = kind("Mist", references=(Reference("https://files.example/x"),), options={"a": 1})
    assert (same, hash(same), same) == (request, hash(request), pickle.loads(pickle.dumps(request)))
    assert kind("Mist", references=same.references) != request


def test_the_medium_of_a_request_is_that_of_its_kind() -> None:
    """An image request makes images, and its job says so."""
    assert [Media.IMAGE, Media.VIDEO] == [ImageRequest("Mist").media, VideoRequest("Mist").media]
    job = Job(
        id="job",
        key="key",
        backend="studio",
        provider="meigen",
        model="veo-3.1",
        provider_model="veo",
        request=VideoRequest("Mist"),
        status=JobStatus.PENDING,
        quote=Quote(amount=1),
        created_at=NOW,
    )
    assert Media.VIDEO is job.media


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        (Cost(amount=130), "130 credits"),
        (Cost(amount=2.5, unit="USD", certainty=Certainty.ESTIMATED), "about 2.5 USD"),
        (Cost(amount=None), "unknown cost"),
        (Cost(amount=1_234_567.5), "1234567.5 credits"),
        (Quote(amount=4), "about 4 credits"),
    ],
)
def test_an_amount_says_its_unit_and_how_sure_it_is(cost: Cost, words: str) -> None:
    """A quote is not sure unless it says so."""
    assert words == str(cost)


def test_the_bytes_of_a_file_are_not_shown() -> None:
    """Their number is."""
    shown = repr(File(name="x.png", kind=Media.IMAGE, content_type="image/png", data=b"secret"))
    assert "<6 bytes>" in shown
    assert "secret" not in shown


def test_a_result_is_its_assets() -> None:
    """One after the other."""
    assets = tuple(Asset(url=f"https://files.example/{number}", media=Media.IMAGE) for number in range(3))
    assert assets == tuple(result(*assets))


def test_a_result_shows_itself_in_a_notebook() -> None:
    """Images, videos and audio, each in its own element."""
    assets = [Asset(url=f"https://files.example/{media}", media=media, role=AssetRole.OUTPUT) for media in Media]
    expected = [
        '<img src="https://files.example/image" alt="Mist" title="Mist" style="max-width: 100%">',
        '<video src="https://files.example/video" title="Mist" controls style="max-width: 100%"></video>',
        '<audio src="https://files.example/audio" title="Mist" controls></audio>',
    ]
    assert expected == result(*assets)._repr_html_().splitlines()


@pytest.mark.parametrize("media", list(Media))
def test_nothing_in_a_result_can_end_its_element(media: Media) -> None:
    """Neither prompt nor URL brings markup of its own."""
    evil = "\"'><script>alert(1)</script>"
    shown = result(Asset(url=evil, media=media), prompt=evil)._repr_html_()
    assert "<script" not in shown
    assert evil not in shown
