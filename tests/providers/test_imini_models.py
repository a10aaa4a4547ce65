"""imini's catalogue: names, limits and prices."""

from __future__ import annotations

import genbridge_imini as imini
import pytest

from genbridge import ImageRequest, Reference, Request, RequestError, VideoRequest
from genbridge.catalogue import choose
from genbridge.prices import price
from genbridge.validation import check

PROVIDER = imini.describe()
IMAGE = "https://files.example/a.png"
CLIP = "https://files.example/a.mp4"
TRACK = "https://files.example/a.mp3"
FIRST = Reference(IMAGE, role="first_frame")
STYLE = Reference(IMAGE, role="style")


def fields(request: Request) -> list[str]:
    """Return the fields that a request's model refuses."""
    return [problem.field for problem in check(request, choose(PROVIDER.models, request, where="imini"))]


def cost(request: Request) -> tuple[float | None, str]:
    """Return what a valid request costs and how sure that is, as a client works it out."""
    model = choose(PROVIDER.models, request, where="imini")
    assert [] == [*check(request, model), *imini.check(request, model)]
    quote = imini.quote(request, model) or price(request, model, PROVIDER.unit)
    assert (model.id, True) == (quote.model, bool(quote.basis))
    return quote.amount, str(quote.certainty)


@pytest.mark.parametrize(
    ("name", "own"),
    [
        (None, "doubao/seedance-2.0"),
        ("seedance-2.0", "doubao/seedance-2.0"),
        ("seedance-2.0-fast", "doubao/seedance-2.0-fast"),
        ("kling-v3", "kling/kling-v3"),
        ("kling-v3-omni", "kling/kling-v3-omni"),
        ("kling-v3-motion-control", "kling/kling-v3-motion-control"),
        ("happyhorse-1.0", "dashscope/happyhorse-1.0"),
    ],
)
def test_a_video_model_goes_by_its_canonical_name_or_its_own(name: str | None, own: str) -> None:
    """Both names choose the same model, and Seedance 2.0 is the default."""
    chosen = [choose(PROVIDER.models, VideoRequest("a cat", model=word), where="imini").provider_id for word in (name, own)]
    assert [own, own] == chosen


@pytest.mark.parametrize(
    ("name", "own"),
    [
        (None, "google/nano-banana-2"),
        ("nano-banana", "google/nano-banana"),
        ("nano-banana-pro", "google/nano-banana-pro"),
        ("nano-banana-2", "google/nano-banana-2"),
        ("gpt-image-2", "openai/gpt-image-2"),
    ],
)
def test_an_image_model_goes_by_its_canonical_name_or_its_own(name: str | None, own: str) -> None:
    """Both names choose the same model, and Nano Banana 2 is the default."""
    chosen = [choose(PROVIDER.models, ImageRequest("a cat", model=word), where="imini").provider_id for word in (name, own)]
    assert [own, own] == chosen


def test_a_model_of_the_other_medium_is_refused() -> None:
    """An image model makes no videos."""
    with pytest.raises(RequestError, match="does not make videos"):
        choose(PROVIDER.models, VideoRequest("a cat", model="nano-banana-2"), where="imini")


def test_every_model_says_how_long_it_takes_and_what_it_costs() -> None:
    """The expected time lies within what the skill calls typical, and every price is an estimate with its source."""
    for model in PROVIDER.models:
        low, high = (10, 30) if model.media == "image" else (30, 120)
        assert low <= (model.expected or 0) <= high
        assert {"estimated"} == {str(entry.certainty) for entry in model.prices}
        assert all(entry.source for entry in model.prices)


@pytest.mark.parametrize(
    "request_",
    [
        VideoRequest("a cat", resolution="480p", aspect_ratio="21:9", duration=4, seed=-1),
        VideoRequest("a cat", resolution="720p", aspect_ratio="3:4", duration=15, seed=2**32 - 1),
        VideoRequest("x" * 50_000),
        VideoRequest("a cat", references=(Reference(CLIP, duration=2), Reference(CLIP, duration=13))),
        VideoRequest("a cat", model="kling-v3", resolution="1080p", aspect_ratio="1:1", duration=3, audio=True),
        VideoRequest("x" * 2500, model="kling-v3-omni", duration=15),
        VideoRequest("x" * 5000, model="happyhorse-1.0", aspect_ratio="3:4", duration=3),
        VideoRequest("", model="kling-v3-motion-control", references=(Reference(IMAGE), Reference(CLIP, duration=30))),
        ImageRequest("x" * 6000, model="nano-banana", resolution="1k", references=(Reference(IMAGE),) * 3),
        ImageRequest("a cat", model="nano-banana-pro", resolution="4k", references=(Reference(IMAGE),) * 7 + (STYLE,) * 7),
        ImageRequest("a cat", aspect_ratio="8:1", references=(STYLE,) * 14, count=1),
        ImageRequest("x" * 32000, model="gpt-image-2", quality="low", aspect_ratio="9:21", count=10),
    ],
)
def test_what_is_just_within_the_limits_is_taken(request_: Request) -> None:
    """The documented bounds are included."""
    assert [] == fields(request_)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (VideoRequest("a cat", resolution="1080p"), ["resolution"]),
        (VideoRequest("a cat", aspect_ratio="2:3"), ["aspect_ratio"]),
        (VideoRequest("a cat", duration=3), ["duration"]),
        (VideoRequest("a cat", duration=16), ["duration"]),
        (VideoRequest("a cat", duration=5.5), ["duration"]),
        (VideoRequest("a cat", seed=-2), ["seed"]),
        (VideoRequest("a cat", seed=2**32), ["seed"]),
        (VideoRequest("a cat", options={"multi_shot": True}), ["options.multi_shot"]),
        (VideoRequest("a cat", references=(FIRST, FIRST)), ["references"]),
        (VideoRequest("a cat", references=(Reference(IMAGE),) * 10), ["references", "references"]),
        (VideoRequest("a cat", references=(FIRST, *(Reference(IMAGE),) * 9)), ["references"]),
        (VideoRequest("a cat", references=(Reference(CLIP),) * 4), ["references"]),
        (VideoRequest("a cat", references=(Reference(CLIP, duration=8),) * 2), ["references"]),
        (VideoRequest("a cat", references=(Reference(CLIP, duration=1),)), ["references[0].duration"]),
        (VideoRequest("a cat", references=(Reference(CLIP, duration=16),)), ["references[0].duration", "references"]),
        (VideoRequest("a cat", references=(Reference(IMAGE), *(Reference(TRACK),) * 4)), ["references"]),
        (VideoRequest("a cat", references=(Reference(IMAGE), *(Reference(TRACK, duration=8),) * 2)), ["references"]),
        (VideoRequest("a cat", references=(Reference("http://files.example/a.png"),)), ["references[0]"]),
        (VideoRequest("a cat", references=(Reference("data:video/mp4;base64,AA", kind="video"),)), ["references[0]"]),
        (VideoRequest("a cat", references=(STYLE,)), ["references[0]"]),
        (
            VideoRequest("a cat", model="kling-v3", seed=1, watermark=True, return_last_frame=True),
            ["seed", "watermark", "return_last_frame"],
        ),
        (VideoRequest("x" * 2501, model="kling-v3"), ["prompt"]),
        (
            VideoRequest("a cat", model="kling-v3", options={"cfg_scale": 2, "shot_type": "x"}),
            ["options.cfg_scale", "options.shot_type"],
        ),
        (VideoRequest("a cat", model="kling-v3", references=(Reference(CLIP),)), ["references[0]"]),
        (VideoRequest("a cat", model="kling-v3-omni", references=(Reference(CLIP),) * 2), ["references"]),
        (VideoRequest("a cat", model="kling-v3-motion-control"), ["references", "references"]),
        (
            VideoRequest("a cat", model="kling-v3-motion-control", duration=5, aspect_ratio="1:1"),
            ["aspect_ratio", "duration", "references", "references"],
        ),
        (VideoRequest("a cat", model="happyhorse-1.0", audio=True, duration=2), ["duration", "audio"]),
        (ImageRequest(" "), ["prompt"]),
        (ImageRequest("x" * 6001), ["prompt"]),
        (ImageRequest("a cat", count=2, quality="low", seed=1, size="1024x1024"), ["size", "quality", "count", "seed"]),
        (ImageRequest("a cat", model="nano-banana", resolution="2k"), ["resolution"]),
        (ImageRequest("a cat", model="nano-banana-pro", resolution="512", aspect_ratio="1:8"), ["aspect_ratio", "resolution"]),
        (ImageRequest("a cat", model="nano-banana", references=(Reference(IMAGE),) * 2 + (STYLE,) * 2), ["references"]),
        (ImageRequest("a cat", model="gpt-image-2", references=(STYLE,) * 4), ["references", "references"]),
        (ImageRequest("a cat", model="gpt-image-2", quality="best", count=11), ["quality", "count"]),
        (ImageRequest("x" * 32001, model="gpt-image-2"), ["prompt"]),
    ],
)
def test_what_is_beyond_a_limit_is_named(request_: Request, expected: list[str]) -> None:
    """Every field that is out of its documented range is a problem of its own."""
    assert expected == fields(request_)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (VideoRequest("a cat"), 1000),
        (VideoRequest("a cat", resolution="480p", duration=10), 1000),
        (VideoRequest("a cat", references=(Reference(IMAGE),)), 1000),
        (VideoRequest("a cat", model="seedance-2.0-fast", duration=4), 640),
        (VideoRequest("a cat", model="seedance-2.0-fast", resolution="480p"), 400),
        (VideoRequest("a cat", model="kling-v3"), 600),
        (VideoRequest("a cat", model="kling-v3", audio=True), 850),
        (VideoRequest("a cat", model="kling-v3", resolution="1080p"), 800),
        (VideoRequest("a cat", model="kling-v3", resolution="1080p", audio=True), 1100),
        (VideoRequest("a cat", model="kling-v3-omni", audio=True), 800),
        (VideoRequest("a cat", model="kling-v3-omni", resolution="1080p", audio=True), 1000),
        (VideoRequest("a cat", model="kling-v3-omni", references=(Reference(CLIP),), options={"refer_type": "feature"}), 850),
        (
            VideoRequest(
                "a cat",
                model="kling-v3-omni",
                resolution="1080p",
                duration=10,
                references=(Reference(CLIP),),
                options={"refer_type": "feature"},
            ),
            2200,
        ),
        (VideoRequest("a cat", model="happyhorse-1.0"), 1500),
        (
            VideoRequest(
                "", model="kling-v3-motion-control", resolution="1080p", references=(Reference(IMAGE), Reference(CLIP, duration=5))
            ),
            1100,
        ),
        (ImageRequest("a cat"), 75),
        (ImageRequest("a cat", resolution="512"), 50),
        (ImageRequest("a cat", resolution="2k"), 100),
        (ImageRequest("a cat", resolution="4k"), 150),
        (ImageRequest("a cat", model="nano-banana"), 50),
        (ImageRequest("a cat", model="nano-banana", references=(Reference(IMAGE),)), 100),
        (ImageRequest("a cat", model="nano-banana-pro"), 120),
        (ImageRequest("a cat", model="nano-banana-pro", resolution="4k"), 200),
        (ImageRequest("a cat", model="gpt-image-2", quality="low"), 200),
        (ImageRequest("a cat", model="gpt-image-2"), 1000),
        (ImageRequest("a cat", model="gpt-image-2", resolution="4k", quality="high", count=3), 3000),
    ],
)
def test_a_price_is_an_estimate(request_: Request, expected: float) -> None:
    """The tables of imini's skill come out, with the defaults of the fields that were left out."""
    assert (expected, "estimated") == cost(request_)


@pytest.mark.parametrize(
    "request_",
    [
        VideoRequest("a cat", references=(Reference(CLIP, duration=5),)),
        VideoRequest("a cat", model="seedance-2.0-fast", references=(Reference(CLIP), Reference(TRACK))),
        VideoRequest("a cat", model="kling-v3-omni", references=(Reference(CLIP),)),
        VideoRequest("a cat", model="kling-v3-omni", references=(Reference(CLIP, kind="video"),), options={"refer_type": "base"}),
        VideoRequest("a cat", model="happyhorse-1.0", references=(Reference(CLIP),)),
        VideoRequest("a cat", model="happyhorse-1.0", resolution="720p"),
        VideoRequest("", model="kling-v3-motion-control", resolution="1080p", references=(Reference(IMAGE), Reference(CLIP))),
        VideoRequest("", model="kling-v3-motion-control", references=(Reference(IMAGE), Reference(CLIP, duration=5))),
    ],
)
def test_a_price_that_is_not_public_is_unknown(request_: Request) -> None:
    """What a reference video adds is on a page that was not to be had, so no number is made up."""
    assert (None, "unknown") == cost(request_)


def test_a_model_that_takes_no_videos_is_left_to_the_price_list() -> None:
    """The hook speaks only where it knows more than the list."""
    request = VideoRequest("a cat", model="kling-v3", references=(Reference(CLIP),))
    assert imini.quote(request, choose(PROVIDER.models, request, where="imini")) is None
