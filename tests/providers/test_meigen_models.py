"""What MeiGen offers and charges: the provider's facts, its table of models and the quotes that come of it."""

from __future__ import annotations

import genbridge_meigen as meigen
import pytest

from genbridge import Certainty, ImageRequest, Limits, Media, Quote, Reference, ReferenceRole, Request, VideoRequest
from genbridge.catalogue import choose, find
from genbridge.prices import price

PROVIDER = meigen.describe()
CLIP = "https://images.meigen.art/generations/eagle-clip.mp4"


def quote(request: Request) -> Quote:
    """Price a request as the core does."""
    return price(request, choose(PROVIDER.models, request, where="meigen"), PROVIDER.unit)


def continuation(clip: float, duration: float | None, resolution: str = "480p") -> Quote:
    """Price a continuation of Seedance."""
    reference = Reference(CLIP, role=ReferenceRole.EXTEND, duration=clip)
    return quote(VideoRequest("on", resolution=resolution, duration=duration, references=(reference,)))


def test_the_provider_is_described_as_documented() -> None:
    """Address, key, pace, limits and what happens to failures."""
    assert ("meigen", "MeiGen", "https://www.meigen.ai") == (PROVIDER.name, PROVIDER.title, PROVIDER.base_url)
    assert ("MEIGEN_API_TOKEN", "Authorization", "Bearer ") == (PROVIDER.key_variable, PROVIDER.auth_header, PROVIDER.auth_prefix)
    assert Limits(submits=12, per=60.0) == PROVIDER.limits
    assert (3.0, 300.0, 600.0) == (PROVIDER.poll.interval, PROVIDER.poll.deadline(Media.IMAGE), PROVIDER.poll.deadline(Media.VIDEO))
    assert 300.0 == PROVIDER.catalogue_ttl
    assert [("upload_url", "UPLOAD_GATEWAY_URL", "")] == [(it.name, it.variable, it.default) for it in PROVIDER.settings]
    assert "MEIGEN_BASE_URL" == PROVIDER.base_url_variable


def test_every_documented_model_is_there_under_the_services_id() -> None:
    """Those of the page, whatever else there is."""
    images = "nanobanana-2 gemini-3-pro-image-preview seedream-5.0-lite seedream-4.5 midjourney-v7 midjourney-niji7"
    images += " z-image-turbo rhart-1.5"
    for medium, names in ((Media.IMAGE, images), (Media.VIDEO, "seedance-2-0 veo-3.1")):
        assert [] == [name for name in names.split() if find(PROVIDER.models, name, medium) is None]


def test_ids_are_told_apart() -> None:
    """No canonical id and no id of the service's is there twice."""
    for names in ([model.id for model in PROVIDER.models], [model.provider_id for model in PROVIDER.models]):
        assert len(set(names)) == len(names)


def test_seedance_costs_what_the_page_says() -> None:
    """720p × 5 s = 26 × 5 = 130 credits, also with 5 s as the default."""
    expected = Quote(amount=130, certainty=Certainty.EXACT, basis="26 credits per second × 5", model="seedance-2.0")
    assert expected == quote(VideoRequest("go", aspect_ratio="16:9", resolution="720p", duration=5))
    assert expected == quote(VideoRequest("go", resolution="720p"))
    assert 390 == quote(VideoRequest("go", resolution="720p", duration=15)).amount


def test_reference_images_do_not_change_the_price_of_seedance() -> None:
    """Only a reference video is billed otherwise."""
    request = VideoRequest("go", resolution="720p", duration=5, references=(Reference("https://e.com/a.png"),))
    assert (130, Certainty.EXACT) == (quote(request).amount, quote(request).certainty)


def test_a_continuation_costs_what_the_page_says() -> None:
    """480p: 8 credits a second, billable seconds max(3 + 5, 9) = 9, total 72."""
    expected = Quote(amount=72, certainty=Certainty.EXACT, basis="8 credits per second × max(3 + 5, 9)", model="seedance-2.0")
    assert expected == continuation(3, 5) == continuation(3.0, None)


@pytest.mark.parametrize(
    ("clip", "resolution", "expected"), [(2, "480p", 72), (4, "480p", 72), (10, "480p", 120), (3, "720p", 144)]
)
def test_the_floor_holds_for_5_seconds_at_either_resolution(clip: float, resolution: str, expected: float) -> None:
    """Above it the seconds of both count."""
    found = continuation(clip, 5, resolution)
    assert (expected, Certainty.EXACT) == (found.amount, found.certainty)


def test_a_continuation_of_another_length_is_an_estimate_that_says_why() -> None:
    """The floor is published for 5 s alone."""
    found = continuation(3, 6)
    assert (72, Certainty.ESTIMATED) == (found.amount, found.certainty)
    assert found.basis.startswith("8 credits per second × (3 + 6); more when the floor is higher")


@pytest.mark.parametrize(
    "request_",
    [
        VideoRequest("go", duration=5),
        VideoRequest("go", resolution="480p", duration=5),
        VideoRequest("go", resolution="1080p", duration=5),
        VideoRequest("go", resolution="720p", duration=5, options={"tier": "pro"}),
        VideoRequest("go", resolution="1080p", references=(Reference(CLIP, role=ReferenceRole.EXTEND, duration=3),)),
        VideoRequest("go", model="happyhorse-1.0"),
        VideoRequest("go", model="veo-3.1", options={"tier": "pro"}),
        ImageRequest("go", model="gpt-image-2", quality="high"),
        ImageRequest("go", model="midjourney-v8.1"),
    ],
)
def test_what_nobody_published_is_not_quoted(request_: Request) -> None:
    """Nothing is invented."""
    found = quote(request_)
    assert (None, Certainty.UNKNOWN) == (found.amount, found.certainty)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("nano-banana-2", 5),
        ("nano-banana-pro", 10),
        ("seedream-5.0-lite", 5),
        ("seedream-4.5", 5),
        ("midjourney-v7", 15),
        ("midjourney-niji7", 15),
        ("z-image-turbo", 2),
        ("gpt-image-1.5", 2),
        ("gpt-image-2", 10),
    ],
)
def test_a_price_that_is_known_from_elsewhere_is_an_estimate(model: str, expected: float) -> None:
    """An image's price is for the whole job, also for Midjourney's four candidates."""
    found = quote(ImageRequest("go", model=model))
    assert (expected, Certainty.ESTIMATED) == (found.amount, found.certainty)


@pytest.mark.parametrize(("resolution", "quality", "expected"), [("1k", "low", 2), ("2k", None, 25), ("4k", "medium", 40)])
def test_gpt_image_2_is_priced_by_resolution_and_quality(resolution: str, quality: str | None, expected: float) -> None:
    """As the public client had it."""
    assert expected == quote(ImageRequest("go", model="gpt-image-2", resolution=resolution, quality=quality)).amount


def test_veo_is_priced_by_the_call() -> None:
    """20 credits, as the public client had it."""
    found = quote(VideoRequest("go", model="veo-3.1", duration=8))
    assert (20, Certainty.ESTIMATED) == (found.amount, found.certainty)
