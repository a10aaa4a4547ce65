"""The MeiGen plugin's hooks: canonical requests to its fields, look-ups and uploads."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import attrs
import genbridge_meigen as meigen
import pytest

from genbridge import (
    Backend,
    Call,
    ContentPolicyError,
    Exchange,
    File,
    ImageRequest,
    InvalidRequestError,
    Job,
    JobStatus,
    Media,
    Problem,
    Quote,
    Reference,
    ReferenceRole,
    Reply,
    Request,
    ServiceError,
    TransportError,
    VideoRequest,
)
from genbridge.catalogue import choose
from genbridge.testing import check_provider
from genbridge.validation import check

T = TypeVar("T")

BACKEND = Backend(name="studio", provider="meigen", base_url="https://www.meigen.ai", settings={"upload_url": ""})
PROVIDER = meigen.describe()
KEY = "3f0b7a52-7a43-4a7b-9a51-3d6d1f3b8a10"
IMAGE = "https://example.com/reference.jpg"
CLIP = "https://images.meigen.art/generations/eagle-clip.mp4"
FIRST, LAST, STYLE, EXTEND = ReferenceRole.FIRST_FRAME, ReferenceRole.LAST_FRAME, ReferenceRole.STYLE, ReferenceRole.EXTEND


def problems(request: Request) -> list[Problem]:
    """Check a request as the core does."""
    model = choose(PROVIDER.models, request, where="meigen")
    return check(request, model) or list(meigen.check(BACKEND, request, model))


def call_of(request: Request, key: str | None = None) -> Call:
    """Submit a request as the core does, with the provider's own id of the model."""
    assert problems(request) == []
    model = choose(PROVIDER.models, request, where="meigen")
    return meigen.submit(BACKEND, attrs.evolve(request, model=model.provider_id), key)


def body(request: Request, key: str | None = None) -> Any:
    """Return the JSON that a submit sends, as it crosses the wire."""
    return json.loads(json.dumps(call_of(request, key).json))


def a_job(provider_id: str | None = "550e8400-e29b-41d4-a716-446655440000") -> Job:
    """Make a job, accepted unless `provider_id` is `None`."""
    return Job(
        id="job-1",
        key=KEY,
        backend="studio",
        provider="meigen",
        model="nano-banana-2",
        provider_model="nanobanana-2",
        request=ImageRequest("a cat"),
        status=JobStatus.RUNNING if provider_id else JobStatus.UNKNOWN,
        quote=Quote(amount=5),
        created_at=datetime(2026, 4, 1, tzinfo=UTC),
        provider_id=provider_id,
    )


def drive(exchange: Exchange[T], answer: Callable[[Call], Reply]) -> tuple[T, list[Call]]:
    """Run an exchange against something that answers calls; return its value and the calls it made."""
    calls: list[Call] = []
    try:
        call = next(exchange)
        while True:
            calls.append(call)
            call = exchange.send(answer(call))
    except StopIteration as done:
        return done.value, calls


# What is sent. Each is an example of the "Generate Image" page.

BASIC = {
    "prompt": "A minimalist logo of a mountain, vector style, blue gradient",
    "modelId": "nanobanana-2",
    "aspectRatio": "1:1",
}
REFERENCE = {
    "prompt": "Similar style landscape but with autumn colors",
    "modelId": "seedream-5.0-lite",
    "aspectRatio": "16:9",
    "referenceImages": ["https://example.com/reference.jpg"],
}
NIJI = {
    "prompt": "a warrior princess in an enchanted forest",
    "modelId": "midjourney-niji7",
    "aspectRatio": "3:4",
    "referenceImages": ["https://example.com/style-ref.jpg"],
    "referenceType": "style",
    "niji7Options": {"stylize": 300, "sw": 500, "sv": 4},
}
SEEDANCE = {
    "prompt": "A majestic eagle soaring over a misty mountain valley at sunrise, cinematic camera movement",
    "modelId": "seedance-2-0",
    "aspectRatio": "16:9",
    "resolution": "720p",
    "duration": 5,
}
CONTINUATION = {
    "prompt": "Continue the scene as the eagle dives toward a river below",
    "modelId": "seedance-2-0",
    "aspectRatio": "adaptive",
    "resolution": "480p",
    "duration": 5,
    "referenceVideo": "https://images.meigen.art/generations/eagle-clip.mp4",
    "referenceVideoDuration": 3,
}
AUTO = {
    "prompt": "Blog hero banner image, abstract gradient background with code snippets",
    "modelId": "nanobanana-2",
}
EXAMPLES: list[tuple[dict[str, Any], Request]] = [
    (BASIC, ImageRequest(str(BASIC["prompt"]), model="nano-banana-2", aspect_ratio="1:1")),
    (
        REFERENCE,
        ImageRequest(str(REFERENCE["prompt"]), model="seedream-5.0-lite", aspect_ratio="16:9", references=(Reference(IMAGE),)),
    ),
    (
        NIJI,
        ImageRequest(
            str(NIJI["prompt"]),
            model="midjourney-niji7",
            aspect_ratio="3:4",
            references=(Reference("https://example.com/style-ref.jpg", role=STYLE),),
            options={"niji7Options": {"stylize": 300, "sw": 500, "sv": 4}},
        ),
    ),
    (SEEDANCE, VideoRequest(str(SEEDANCE["prompt"]), model="seedance-2.0", aspect_ratio="16:9", resolution="720p", duration=5)),
    (
        CONTINUATION,
        VideoRequest(
            str(CONTINUATION["prompt"]),
            model="seedance-2.0",
            aspect_ratio="adaptive",
            resolution="480p",
            duration=5.0,
            references=(Reference(CLIP, role=EXTEND, duration=3.0),),
        ),
    ),
    (AUTO, ImageRequest(str(AUTO["prompt"]))),
    ({**AUTO, "aspectRatio": "auto"}, ImageRequest(AUTO["prompt"], aspect_ratio="auto")),
]


@pytest.mark.parametrize(("expected", "request_"), EXAMPLES)
def test_a_documented_example_gives_the_documented_body(expected: dict[str, Any], request_: Request) -> None:
    """Field for field, and nothing besides; numbers that are whole are sent as whole numbers."""
    assert expected == body(request_)
    assert json.dumps(expected, sort_keys=True) == json.dumps(body(request_), sort_keys=True)


@pytest.mark.parametrize(("expected", "request_"), EXAMPLES)
def test_the_key_is_the_only_thing_added(expected: dict[str, Any], request_: Request) -> None:
    """A submit with a key has the documented body and `idempotencyKey`."""
    assert {**expected, "idempotencyKey": KEY} == body(request_, KEY)


def test_a_submit_is_a_post_that_is_never_repeated() -> None:
    """Images and videos go to one endpoint; even with a key, as older services may not honour it."""
    for request in (ImageRequest("a cat"), VideoRequest("a cat")):
        call = call_of(request, KEY)
        assert ("POST", "/api/generate/v2", False) == (call.method, call.url, call.repeatable)


def test_a_request_that_names_no_model_gets_the_default_of_its_medium() -> None:
    """Nano Banana 2 for images, Seedance 2.0 for videos; the model is always sent."""
    assert {"prompt": "a cat", "modelId": "nanobanana-2"} == body(ImageRequest("a cat"))
    assert {"prompt": "a cat", "modelId": "seedance-2-0"} == body(VideoRequest("a cat"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nano-banana-2", "nanobanana-2"),
        ("nanobanana-2", "nanobanana-2"),
        ("nano-banana-pro", "gemini-3-pro-image-preview"),
        ("gemini-3-pro-image-preview", "gemini-3-pro-image-preview"),
        ("seedream-5.0-lite", "seedream-5.0-lite"),
        ("seedream-4.5", "seedream-4.5"),
        ("midjourney-v7", "midjourney-v7"),
        ("midjourney-v8.1", "midjourney-v8.1"),
        ("midjourney-niji7", "midjourney-niji7"),
        ("z-image-turbo", "z-image-turbo"),
        ("gpt-image-1.5", "rhart-1.5"),
        ("rhart-1.5", "rhart-1.5"),
        ("gpt-image-2", "gpt-image-2"),
        ("flux2-klein", "flux2-klein"),
    ],
)
def test_an_image_model_goes_by_its_canonical_name_or_the_services(name: str, expected: str) -> None:
    """Both lead to the service's own id."""
    assert expected == body(ImageRequest("a cat", model=name))["modelId"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("seedance-2.0", "seedance-2-0"),
        ("seedance-2-0", "seedance-2-0"),
        ("veo-3.1", "veo-3.1"),
        ("happyhorse-1.0", "happyhorse-1.0"),
        ("grok-video", "grok-video"),
    ],
)
def test_a_video_model_goes_by_its_canonical_name_or_the_services(name: str, expected: str) -> None:
    """Both lead to the service's own id."""
    assert expected == body(VideoRequest("a cat", model=name, references=(Reference(IMAGE, role=FIRST),)))["modelId"]


@pytest.mark.parametrize(("canonical", "expected"), [("1k", "1K"), ("2k", "2K"), ("3K", "3K"), ("4k", "4K")])
def test_an_images_resolution_is_sent_in_upper_case(canonical: str, expected: str) -> None:
    """As the page writes them: 2K, 3K, 4K."""
    assert expected == body(ImageRequest("a cat", resolution=canonical))["resolution"]


@pytest.mark.parametrize("resolution", ["480p", "720p", "1080p", "4k"])
def test_a_videos_resolution_is_sent_in_lower_case(resolution: str) -> None:
    """As the page writes them: 480p, 720p, 1080p."""
    assert resolution == body(VideoRequest("a cat", resolution=resolution.upper()))["resolution"]


def test_quality_goes_to_the_model_that_has_it() -> None:
    """Only GPT Image 2 takes it."""
    request = ImageRequest("a cat", model="gpt-image-2", resolution="1k", quality="high")
    assert {"prompt": "a cat", "modelId": "gpt-image-2", "resolution": "1K", "quality": "high"} == body(request)
    assert ["quality"] == [problem.field for problem in problems(ImageRequest("a cat", quality="high"))]


def test_the_number_of_images_that_come_back_may_be_asked_for_and_is_not_sent() -> None:
    """The service has no field for it: one image, and four candidates of Midjourney; any other number is a mistake."""
    assert AUTO == body(ImageRequest(AUTO["prompt"], count=1))
    assert "count" not in body(ImageRequest("a cat", model="midjourney-v7", count=4))
    assert ["count"] == [problem.field for problem in problems(ImageRequest("a cat", count=2))]
    assert ["count"] == [problem.field for problem in problems(ImageRequest("a cat", model="midjourney-v7", count=1))]


def test_frames_are_sent_in_the_order_that_tells_them_apart() -> None:
    """The first frame is the first image, the last frame the second, however they were given."""
    request = VideoRequest(
        "a cat", references=(Reference("https://e.com/z.png", role=LAST), Reference("https://e.com/a.png", role=FIRST))
    )
    assert ["https://e.com/a.png", "https://e.com/z.png"] == body(request)["referenceImages"]


def test_assets_keep_their_order() -> None:
    """They are sent as they were given."""
    urls = [f"https://e.com/{number}.png" for number in (3, 1, 2)]
    request = VideoRequest("a cat", references=tuple(Reference(url) for url in urls))
    assert urls == body(request)["referenceImages"]


def test_a_content_reference_of_midjourney_leaves_the_type_to_its_default() -> None:
    """`content` is what the service takes when nothing is said."""
    request = ImageRequest("a cat", model="midjourney-v7", references=(Reference(IMAGE),))
    assert {"prompt": "a cat", "modelId": "midjourney-v7", "referenceImages": [IMAGE]} == body(request)


@pytest.mark.parametrize("kind", ["content", "style"])
def test_the_reference_type_may_be_given_by_the_services_own_name(kind: str) -> None:
    """An option overrides what a plain reference means."""
    request = ImageRequest("a cat", model="midjourney-niji7", references=(Reference(IMAGE),), options={"referenceType": kind})
    assert kind == body(request)["referenceType"]


def test_options_are_sent_by_the_services_names() -> None:
    """Tier, variant, and nested options with their whole numbers whole."""
    assert "pro" == body(VideoRequest("a cat", options={"tier": "pro"}))["tier"]
    assert "x" == body(ImageRequest("a cat", options={"modelVariant": "x"}))["modelVariant"]
    niji = {"stylize": 1000.0, "iw": 1.5, "raw": True, "sref": "ink"}
    sent = body(ImageRequest("a cat", model="midjourney-niji7", options={"niji7Options": niji}))["niji7Options"]
    assert '{"iw": 1.5, "raw": true, "sref": "ink", "stylize": 1000}' == json.dumps(sent, sort_keys=True)


def test_the_options_of_v8_are_sent_as_given() -> None:
    """They have the same field and names, but no published ranges."""
    options = {"niji7Options": {"stylize": 5000, "sref": ["a", {"b": 1.0}]}}
    assert options["niji7Options"] == body(ImageRequest("a cat", model="midjourney-v8.1", options=options))["niji7Options"]


def test_several_clips_and_sound_go_to_the_fields_of_a_newer_service() -> None:
    """It measures the clips itself."""
    clips = (Reference(CLIP, role=EXTEND, duration=3), Reference(f"{CLIP}?2", role=EXTEND, duration=4))
    sound = Reference("https://images.meigen.ai/a.mp3")
    call = meigen.submit(BACKEND, VideoRequest("a cat", model="seedance-2-0", references=(*clips, sound)), None)
    expected = {"referenceVideos": [CLIP, f"{CLIP}?2"], "referenceAudios": ["https://images.meigen.ai/a.mp3"]}
    assert {"prompt": "a cat", "modelId": "seedance-2-0", **expected} == call.json


# What is refused before anything is sent.


def wrong(fields: str, request: Request) -> tuple[list[str], Request]:
    """Name the fields that are wrong with a request."""
    return fields.split(), request


@pytest.mark.parametrize(
    ("fields", "request_"),
    [
        wrong("aspect_ratio", VideoRequest("a cat", aspect_ratio="adaptive")),
        wrong("aspect_ratio", ImageRequest("a cat", aspect_ratio="adaptive", references=(Reference(IMAGE),))),
        wrong("aspect_ratio", ImageRequest("a cat", aspect_ratio="17:9")),
        wrong("aspect_ratio", ImageRequest("a cat", model="seedream-5.0-lite", aspect_ratio="21:9")),
        wrong("resolution", ImageRequest("a cat", model="seedream-5.0-lite", resolution="4k")),
        wrong("resolution", ImageRequest("a cat", resolution="720p")),
        wrong("resolution", VideoRequest("a cat", resolution="2k")),
        wrong("resolution", VideoRequest("a cat", resolution="1080p", options={"tier": "fast"})),
        wrong(
            "options.tier", VideoRequest("a cat", options={"tier": "mini"}, references=(Reference(CLIP, role=EXTEND, duration=3),))
        ),
        wrong("options.tier", VideoRequest("a cat", model="veo-3.1", options={"tier": "mini"})),
        wrong("options.teir", VideoRequest("a cat", options={"teir": "pro"})),
        wrong("duration", VideoRequest("a cat", duration=3)),
        wrong("duration", VideoRequest("a cat", duration=16)),
        wrong("duration", VideoRequest("a cat", duration=4.5)),
        wrong("duration", VideoRequest("a cat", model="veo-3.1", duration=5)),
        wrong("audio", VideoRequest("a cat", audio=True)),
        wrong("seed", ImageRequest("a cat", seed=1)),
        wrong("size", ImageRequest("a cat", size="1024x1024")),
        wrong("references", VideoRequest("a cat", references=(Reference(IMAGE, role=LAST),))),
        wrong("references", VideoRequest("a cat", references=(Reference(IMAGE, role=FIRST), Reference(IMAGE)))),
        wrong("references references", VideoRequest("a cat", references=(Reference(IMAGE, role=LAST), Reference(IMAGE)))),
        wrong(
            "references", VideoRequest("a cat", references=(Reference(IMAGE, role=FIRST), Reference(CLIP, role=EXTEND, duration=3)))
        ),
        wrong("references", VideoRequest("a cat", references=(Reference(IMAGE),) * 6)),
        wrong("references", ImageRequest("a cat", references=(Reference(IMAGE),) * 6)),
        wrong(
            "references", ImageRequest("a cat", model="midjourney-v7", references=(Reference(IMAGE), Reference(IMAGE, role=STYLE)))
        ),
        wrong("references[0]", ImageRequest("a cat", model="z-image-turbo", references=(Reference(IMAGE),))),
        wrong("references[0]", ImageRequest("a cat", references=(Reference(IMAGE, role=STYLE),))),
        wrong("references[0]", ImageRequest("a cat", references=(Reference("http://e.com/a.png"),))),
        wrong("references[0]", ImageRequest("a cat", references=(Reference(Path("a.tiff")),))),
        wrong("references[0]", VideoRequest("a cat", model="veo-3.1", references=(Reference(CLIP, role=EXTEND, duration=3),))),
        wrong("references", VideoRequest("a cat", model="grok-video")),
        wrong("references[0].duration", VideoRequest("a cat", references=(Reference(CLIP, role=EXTEND),))),
        wrong("references[0].duration", VideoRequest("a cat", references=(Reference(CLIP, role=EXTEND, duration=1.9),))),
        wrong("references[0].duration", VideoRequest("a cat", references=(Reference(CLIP, role=EXTEND, duration=15.1),))),
        wrong("options.referenceType", ImageRequest("a cat", model="midjourney-v7", options={"referenceType": "style"})),
        wrong(
            "options.referenceType",
            ImageRequest(
                "a cat",
                model="midjourney-v7",
                references=(Reference(IMAGE, role=STYLE),),
                options={"referenceType": "content"},
            ),
        ),
        wrong("options.referenceType", ImageRequest("a cat", options={"referenceType": "style"})),
        wrong("options.niji7Options", ImageRequest("a cat", model="midjourney-v7", options={"niji7Options": {"sw": 1}})),
        wrong("options.niji7Options.sx", ImageRequest("a cat", model="midjourney-v8.1", options={"niji7Options": {"sx": 1}})),
    ],
)
def test_what_does_not_fit_is_named_by_its_field(fields: list[str], request_: Request) -> None:
    """Nothing is dropped silently."""
    assert fields == [problem.field for problem in problems(request_)]


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("stylize", 0, 1000), ("chaos", 0, 100), ("weird", 0, 3000), ("iw", 0, 2), ("sw", 0, 1000), ("sv", 1, 4)],
)
def test_the_options_of_niji_have_the_documented_ranges(name: str, low: int, high: int) -> None:
    """Both bounds are included and nothing outside is."""

    def found(value: object) -> int:
        return len(problems(ImageRequest("a cat", model="midjourney-niji7", options={"niji7Options": {name: value}})))

    assert (0, 0, 1, 1, 1) == (found(low), found(high), found(low - 1), found(high + 1), found("many"))


def test_the_raw_and_sref_options_of_niji_have_the_documented_types() -> None:
    """A boolean and a string; an unknown name is a mistake that says what was meant."""

    def found(**options: object) -> list[Problem]:
        return problems(ImageRequest("a cat", model="midjourney-niji7", options={"niji7Options": options}))

    assert [] == found(raw=True, sref="https://e.com/a.png")
    assert [1, 1] == [len(found(raw="yes")), len(found(sref=7))]
    assert "did you mean 'stylize'" in str(found(styliez=1)[0])


def test_two_sorts_of_midjourney_references_are_a_mistake_also_where_more_than_one_is_taken() -> None:
    """The service has one type for all of a request's images."""
    model = attrs.evolve(choose(PROVIDER.models, ImageRequest("a", model="midjourney-v7"), where="meigen"), live=True)
    request = ImageRequest("a cat", model="midjourney-v7", references=(Reference(IMAGE), Reference(IMAGE, role=STYLE)))
    assert ["references"] == [problem.field for problem in meigen.check(BACKEND, request, model)]


def test_the_tiers_of_a_live_model_are_left_to_the_service() -> None:
    """What the plugin knows of them may be old by then."""
    model = choose(PROVIDER.models, VideoRequest("a"), where="meigen")
    request = VideoRequest("a cat", resolution="1080p", options={"tier": "fast"})
    assert [1, 0] == [len(list(meigen.check(BACKEND, request, attrs.evolve(model, live=live)))) for live in (False, True)]


# Polls and look-ups.


@pytest.mark.parametrize(
    ("provider_id", "expected"),
    [("550e8400-e29b", "550e8400-e29b"), ("a/b?c#d%", "a%2Fb%3Fc%23d%25"), ("\ud800", "%ED%A0%80")],
)
def test_a_poll_asks_for_the_jobs_id_whatever_is_in_it(provider_id: str, expected: str) -> None:
    """It is one segment of the path."""
    call = meigen.poll(BACKEND, a_job(provider_id))
    assert ("GET", f"/api/generate/v2/status/{expected}", True) == (call.method, call.url, call.repeatable)


NOT_FOUND = {"success": False, "error": "no such request", "code": "request_not_found"}


def test_a_lost_submit_is_looked_up_by_its_key() -> None:
    """The reply is for `normalize`."""
    found = Reply.of({"success": True, "generationId": "g1", "status": "processing"})
    reply, calls = drive(meigen.recover(BACKEND, a_job(None)), lambda _: found)
    assert found == reply
    assert [("GET", f"/api/generate/v2/requests/{KEY}")] == [(call.method, call.url) for call in calls]
    assert reply is not None
    assert "g1" == meigen.normalize(BACKEND, a_job(None), reply).provider_id


def test_only_the_services_own_words_prove_that_there_is_no_job() -> None:
    """A 404 that says so."""
    reply, _ = drive(meigen.recover(BACKEND, a_job(None)), lambda _: Reply.of(NOT_FOUND, status=404))
    assert reply is None


@pytest.mark.parametrize(
    "answer",
    [
        Reply.of({"success": False, "error": "not found"}, status=404),
        Reply.of({"code": "request_not_found"}, status=404),
        Reply.of({**NOT_FOUND, "success": True}, status=404),
        Reply.of({**NOT_FOUND, "code": "other"}, status=404),
        Reply.of(NOT_FOUND, status=500),
        Reply.of(NOT_FOUND, status=200),
        Reply.of([NOT_FOUND], status=404),
        Reply(status=404, headers={"content-type": "text/html"}, body=b"<html>not here</html>"),
        Reply(status=404),
        Reply.of({"success": False, "error": "wait", "code": "in_progress", "retryAfterSeconds": 5}, status=409),
    ],
)
def test_any_other_answer_to_a_look_up_proves_nothing(answer: Reply) -> None:
    """It is handed on, and read as an error."""
    reply, _ = drive(meigen.recover(BACKEND, a_job(None)), lambda _: answer)
    assert answer == reply
    with pytest.raises(ServiceError):
        meigen.normalize(BACKEND, a_job(None), answer)


# Uploads.

PHOTO = File(name="photo.png", kind=Media.IMAGE, content_type="image/png", data=b"\x89PNG....", model="nanobanana-2")


def store(call: Call) -> Reply:
    """Answer as the gateway and the store behind it do."""
    if call.method == "PUT":
        return Reply(status=200)
    return Reply.of(
        {"success": True, "presignedUrl": "https://store.example/put?sig=1", "publicUrl": "https://store.example/photo.png"}
    )


def test_a_local_image_is_announced_and_put_where_the_gateway_says() -> None:
    """Its public URL is returned; the announcement costs nothing, so it may be repeated."""
    url, (presign, put) = drive(meigen.upload(BACKEND, PHOTO), store)
    assert "https://store.example/photo.png" == url
    assert ("POST", "https://gen.meigen.art/api/upload/presign", True) == (presign.method, presign.url, presign.repeatable)
    assert {"filename": "photo.png", "contentType": "image/png", "size": 8} == presign.json
    assert ("PUT", "https://store.example/put?sig=1", PHOTO.data) == (put.method, put.url, put.body)
    assert "image/png" == put.headers["content-type"]


@pytest.mark.parametrize(
    ("base_url", "setting", "expected"),
    [
        ("https://www.meigen.ai", "", "https://gen.meigen.art/api/upload/presign"),
        ("https://www.meigen.ai/", "", "https://gen.meigen.art/api/upload/presign"),
        ("http://127.0.0.1:8000", "", "http://127.0.0.1:8000/api/upload/presign"),
        ("https://proxy.example/meigen/", "", "https://proxy.example/meigen/api/upload/presign"),
        ("http://127.0.0.1:8000", "https://up.example/api/", "https://up.example/api/upload/presign"),
        ("https://www.meigen.ai", "https://up.example/api", "https://up.example/api/upload/presign"),
    ],
)
def test_a_stand_in_gets_its_own_uploads(base_url: str, setting: str, expected: str) -> None:
    """The public gateway is used with the public service alone; a setting decides otherwise."""
    backend = attrs.evolve(BACKEND, base_url=base_url, settings={"upload_url": setting})
    _, calls = drive(meigen.upload(backend, PHOTO), store)
    assert expected == calls[0].url


def test_a_backend_without_settings_can_upload() -> None:
    """The setting need not be there."""
    _, calls = drive(meigen.upload(attrs.evolve(BACKEND, settings={}), PHOTO), store)
    assert "https://gen.meigen.art/api/upload/presign" == calls[0].url


@pytest.mark.parametrize(
    ("kind", "content_type", "model", "expected"),
    [
        (Media.VIDEO, "video/mp4", "seedance-2-0", {"modelId": "seedance-2-0", "kind": "video"}),
        (Media.AUDIO, "audio/mpeg", None, {"kind": "audio"}),
    ],
)
def test_local_clips_and_sound_are_announced_at_the_service_itself(
    kind: Media, content_type: str, model: str | None, expected: dict[str, str]
) -> None:
    """With the key, which the core adds to a path; the model is named where it is known."""
    file = File(name="clip", kind=kind, content_type=content_type, data=b"12345", model=model)
    url, (presign, put) = drive(meigen.upload(BACKEND, file), store)
    assert "https://store.example/photo.png" == url
    assert "/api/upload/reference-video" == presign.url
    assert {"filename": "clip", "contentType": content_type, "size": 5, **expected} == presign.json
    assert content_type == put.headers["content-type"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Reply.of({"success": False, "error": "file too large"}), ServiceError),
        (Reply.of({"success": False, "error": "file too large"}, status=400), InvalidRequestError),
        (Reply.of({"error": "unsafe: content policy"}), ContentPolicyError),
        (Reply.of({"success": False, "presignedUrl": "https://a", "publicUrl": "https://b"}), ServiceError),
        (Reply.of({"success": True, "publicUrl": "https://b"}), TransportError),
        (Reply.of({"success": True, "presignedUrl": "https://a"}), TransportError),
        (Reply.of([]), TransportError),
        (Reply(status=200, body=b"<html>"), TransportError),
        (Reply(status=502, body=b"<html>"), ServiceError),
    ],
)
def test_an_announcement_that_fails_is_an_error(answer: Reply, expected: type[Exception]) -> None:
    """Nothing is put anywhere."""
    with pytest.raises(expected) as caught:
        drive(meigen.upload(BACKEND, PHOTO), lambda _: answer)
    assert expected is type(caught.value)
    assert "<html>" not in str(caught.value)


def test_a_put_that_fails_is_an_error() -> None:
    """The public URL would lead nowhere."""
    with pytest.raises(ServiceError, match="HTTP 403"):
        drive(
            meigen.upload(BACKEND, PHOTO), lambda call: Reply(status=403, body=b"<Error/>") if call.method == "PUT" else store(call)
        )


def test_the_live_list_is_asked_for_by_path() -> None:
    """Below the backend's own base URL."""
    call = meigen.models(BACKEND)
    assert ("GET", "/api/models") == (call.method, call.url)


def test_the_plugin_keeps_the_contract() -> None:
    """As the conformance kit checks it, against the plugin's own emulator."""
    check_provider(meigen, examples=[request for _, request in EXAMPLES])
