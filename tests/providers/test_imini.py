"""The imini plugin's hooks: what it says of itself, and the calls it describes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import attrs
import genbridge_imini as imini
import pytest
from genbridge_imini import _models

from genbridge import (
    Backend,
    Call,
    File,
    ImageRequest,
    Job,
    JobStatus,
    Media,
    Model,
    Problem,
    Quote,
    Reference,
    ReferenceRole,
    Request,
    RequestError,
    VideoRequest,
)
from genbridge.catalogue import choose
from genbridge.validation import check

BACKEND = Backend(name="films", provider="imini", base_url="https://openapi.imini.ai/imini/router")
PROVIDER = imini.describe()
IMAGE = "https://files.example/a.png"
CLIP = "https://files.example/a.mp4"
TRACK = "https://files.example/a.mp3"
SHOTS = [{"index": 1, "prompt": "two friends", "duration": "2"}, {"index": 2, "prompt": "a runner", "duration": "3"}]


def model_of(request: Request) -> Model:
    """Return the model that a request is for."""
    return choose(PROVIDER.models, request, where="imini")


def call_for(request: Request) -> Call:
    """Return the call of a valid request, as the core makes it: with the provider's own model id."""
    model = model_of(request)
    assert [] == [*check(request, model), *imini.check(request, model)]
    return imini.submit(attrs.evolve(request, model=model.provider_id))


def body(request: Request) -> dict[str, object]:
    """Return the body of a valid request, without its model and prompt."""
    document = dict(call_for(request).json)
    assert model_of(request).provider_id == document.pop("model")
    assert request.prompt == document.pop("prompt", "")
    return document


def a_job(request: Request, provider_id: str | None = "task_1") -> Job:
    """Make an accepted job."""
    return Job(
        id="job-1",
        key="key-1",
        backend="films",
        provider="imini",
        model="any",
        provider_model="any",
        request=request,
        status=JobStatus.QUEUED,
        quote=Quote(amount=None),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        provider_id=provider_id,
    )


def test_the_documented_example_comes_out_field_for_field() -> None:
    """The example of the Seedance 2.0 page is one canonical request, with its numbers as integers."""
    request = VideoRequest(
        "A slow pan across a misty mountain valley at sunrise, cinematic", resolution="720p", aspect_ratio="16:9", duration=5.0
    )
    call = call_for(request)
    expected = {
        "model": "doubao/seedance-2.0",
        "prompt": "A slow pan across a misty mountain valley at sunrise, cinematic",
        "resolution": "720P",
        "aspect_ratio": "16:9",
        "duration": 5,
    }
    assert ("POST", "/v1/videos/generate", expected) == (call.method, call.url, call.json)
    assert int is type(call.json["duration"])


def test_the_submit_is_never_repeated_and_sends_no_key() -> None:
    """No idempotency key is documented, so sending it twice could be paid twice."""
    for request in (ImageRequest("a cat"), VideoRequest("a cat")):
        call = call_for(request)
        assert (False, {}, {"model", "prompt"}) == (call.repeatable, call.headers, set(call.json))


def test_an_image_goes_to_the_image_endpoint() -> None:
    """The two media have endpoints of their own."""
    assert "/v1/images/generate" == call_for(ImageRequest("a cat")).url


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (VideoRequest("a cat", resolution="480P"), {"resolution": "480P"}),
        (VideoRequest("a cat", aspect_ratio="adaptive"), {"aspect_ratio": "adaptive"}),
        (VideoRequest("a cat", aspect_ratio="auto"), {"aspect_ratio": "adaptive"}),
        (VideoRequest("a cat", duration=15), {"duration": 15}),
        (VideoRequest("a cat", audio=False), {"generate_audio": False}),
        (VideoRequest("a cat", audio=True), {"generate_audio": True}),
        (VideoRequest("a cat", seed=-1), {"extra_params": {"seed": -1}}),
        (VideoRequest("a cat", seed=0), {"extra_params": {"seed": 0}}),
        (VideoRequest("a cat", watermark=False), {"extra_params": {"watermark": False}}),
        (VideoRequest("a cat", return_last_frame=True), {"extra_params": {"return_last_frame": True}}),
        (
            VideoRequest("a cat", seed=2**32 - 1, watermark=True, return_last_frame=False),
            {"extra_params": {"seed": 2**32 - 1, "watermark": True, "return_last_frame": False}},
        ),
        (
            VideoRequest(
                "a cat", model="kling-v3", options={"cfg_scale": 0.5, "negative_prompt": "dogs", "camera_control": {"type": "x"}}
            ),
            {"extra_params": {"cfg_scale": 0.5, "negative_prompt": "dogs", "camera_control": {"type": "x"}}},
        ),
        (
            VideoRequest("", model="kling-v3", options={"multi_shot": True, "shot_type": "customize", "multi_prompt": SHOTS}),
            {"extra_params": {"multi_shot": True, "shot_type": "customize", "multi_prompt": SHOTS}},
        ),
        (
            VideoRequest("a cat", model="happyhorse-1.0", resolution="1080p", options={"audio_setting": "auto"}),
            {"resolution": "1080P", "extra_params": {"audio_setting": "auto"}},
        ),
    ],
)
def test_only_what_is_asked_for_is_sent(request_: VideoRequest, expected: dict[str, object]) -> None:
    """A field is in the body only when the request has it, in imini's spelling."""
    assert expected == body(request_)


@pytest.mark.parametrize(
    ("references", "expected"),
    [
        ([Reference(IMAGE, role="first_frame")], {"reference_images": [{"url": IMAGE, "reference_type": "first_frame"}]}),
        (
            [Reference(IMAGE, role="first_frame"), Reference(IMAGE, role="last_frame")],
            {"reference_images": [{"url": IMAGE, "reference_type": "first_frame"}, {"url": IMAGE, "reference_type": "last_frame"}]},
        ),
        ([Reference(IMAGE)] * 9, {"reference_images": [{"url": IMAGE, "reference_type": "asset"}] * 9}),
        ([Reference(CLIP, duration=15)], {"reference_videos": [{"url": CLIP}]}),
        ([Reference(CLIP, duration=5)] * 3, {"reference_videos": [{"url": CLIP}] * 3}),
        (
            [Reference(IMAGE), Reference(CLIP), *[Reference(TRACK, duration=5)] * 3],
            {
                "reference_images": [{"url": IMAGE, "reference_type": "asset"}],
                "reference_videos": [{"url": CLIP}],
                "reference_audios": [{"url": TRACK}] * 3,
            },
        ),
        (
            [Reference("data:image/png;base64,AAAA")],
            {"reference_images": [{"url": "data:image/png;base64,AAAA", "reference_type": "asset"}]},
        ),
    ],
)
@pytest.mark.parametrize("name", ["seedance-2.0", "seedance-2.0-fast"])
def test_each_documented_input_mode_of_seedance_is_sent(
    name: str, references: list[Reference], expected: dict[str, object]
) -> None:
    """First frame, first and last, one to nine assets, and videos and audio beside them, in their order."""
    assert expected == body(VideoRequest("a cat", model=name, references=tuple(references)))


def test_a_prompt_that_is_empty_is_left_out() -> None:
    """The page of Seedance does not require one; an image may say enough."""
    call = call_for(VideoRequest(" ", references=(Reference(IMAGE),)))
    assert {"model": "doubao/seedance-2.0", "reference_images": [{"url": IMAGE, "reference_type": "asset"}]} == call.json


def test_the_purpose_of_an_omni_video_is_in_its_item() -> None:
    """The option `refer_type` belongs to the video, not to the extra parameters."""
    request = VideoRequest(
        "as in <<<video_1>>>", model="kling-v3-omni", references=(Reference(CLIP),), options={"refer_type": "base"}
    )
    assert {"reference_videos": [{"url": CLIP, "refer_type": "base"}]} == body(request)


def test_the_example_of_motion_control_comes_out_field_for_field() -> None:
    """Its one image has no type."""
    request = VideoRequest(
        "A dancer performs graceful movements in a sunlit studio",
        model="kling-v3-motion-control",
        resolution="720p",
        audio=False,
        references=(Reference("https://example.com/character.jpg"), Reference("https://example.com/motion-source.mp4")),
        options={"character_orientation": "video"},
    )
    expected = {
        "model": "kling/kling-v3-motion-control",
        "prompt": "A dancer performs graceful movements in a sunlit studio",
        "reference_images": [{"url": "https://example.com/character.jpg"}],
        "reference_videos": [{"url": "https://example.com/motion-source.mp4"}],
        "resolution": "720P",
        "generate_audio": False,
        "extra_params": {"character_orientation": "video"},
    }
    assert expected == call_for(request).json


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (ImageRequest("a cat", resolution="512"), {"resolution": "512"}),
        (ImageRequest("a cat", resolution="4k", aspect_ratio="1:8"), {"resolution": "4K", "aspect_ratio": "1:8"}),
        (ImageRequest("a cat", count=1), {}),
        (
            ImageRequest("a cat", model="nano-banana-pro", references=(Reference(IMAGE), Reference(IMAGE, role="style"))),
            {"images": [{"url": IMAGE, "reference_type": "asset"}, {"url": IMAGE, "reference_type": "style"}]},
        ),
        (ImageRequest("a cat", model="gpt-image-2"), {"resolution": "1K", "aspect_ratio": "1:1", "quality": "medium"}),
        (
            ImageRequest("a cat", model="openai/gpt-image-2", resolution="4k", aspect_ratio="9:21", quality="High", count=10),
            {"resolution": "4K", "aspect_ratio": "9:21", "quality": "high", "n": 10},
        ),
        (
            ImageRequest("a cat", model="gpt-image-2", quality="low", count=1),
            {"resolution": "1K", "aspect_ratio": "1:1", "quality": "low"},
        ),
    ],
)
def test_an_image_request_has_the_documented_fields(request_: ImageRequest, expected: dict[str, object]) -> None:
    """Only GPT Image 2 is sent more than was asked for: the three fields that its page requires."""
    assert expected == body(request_)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (VideoRequest("a cat"), "/v1/videos/tasks/task_1"),
        (ImageRequest("a cat"), "/v1/images/tasks/task_1"),
    ],
)
def test_a_poll_asks_under_the_kind_of_the_submit(request_: Request, expected: str) -> None:
    """A task is only known under the kind it was submitted as."""
    assert Call.get(expected) == imini.poll(a_job(request_))


def test_a_task_id_is_one_part_of_the_path() -> None:
    """Whatever is in it."""
    assert Call.get("/v1/videos/tasks/a%2Fb%3Fc") == imini.poll(a_job(VideoRequest("a cat"), "a/b?c"))
    assert Call.get("/v1/images/tasks/") == imini.poll(a_job(ImageRequest("a cat"), None))


@pytest.mark.parametrize(
    ("name", "kind", "content_type", "expected"),
    [
        ("a.jpg", Media.IMAGE, "", "data:image/jpeg;base64,/+8="),
        ("a.WEBP", Media.IMAGE, "application/octet-stream", "data:image/webp;base64,/+8="),
        ("a.tif", Media.IMAGE, "", "data:image/tiff;base64,/+8="),
        ("a.wav", Media.AUDIO, "audio/x-wav", "data:audio/wav;base64,/+8="),
        ("a.mp3", Media.AUDIO, "", "data:audio/mpeg;base64,/+8="),
        ("a.heic", Media.IMAGE, "image/heic", "data:image/heic;base64,/+8="),
    ],
)
def test_a_local_image_or_audio_file_becomes_a_data_uri(name: str, kind: Media, content_type: str, expected: str) -> None:
    """Its type is known by the ending on every machine; base64 is the usual alphabet."""
    assert expected == imini.upload(File(name=name, kind=kind, content_type=content_type, data=b"\xff\xef"))


def test_a_local_video_is_refused() -> None:
    """The page takes videos from public URLs only, and both the check and the hook say so."""
    with pytest.raises(RequestError, match=r"give a public URL instead of 'a\.mp4'") as caught:
        imini.upload(File(name="a.mp4", kind=Media.VIDEO, content_type="video/mp4", data=b"x"))
    assert ["references"] == [problem.field for problem in caught.value.problems]
    request = VideoRequest("a cat", references=(Reference(Path("a.mp4")),))
    expected = Problem("references[0]", "a local video cannot be used here; give a public URL instead of 'a.mp4'")
    assert [expected] == check(request, model_of(request))


@pytest.mark.parametrize("name", ["a.jpg", "a.jpeg", "a.png", "a.webp", "a.bmp", "a.tiff", "a.gif", "a.wav", "a.mp3"])
def test_a_local_file_of_each_documented_format_is_taken(name: str) -> None:
    """The formats of the Seedance page."""
    request = VideoRequest("a cat", references=(Reference(IMAGE), Reference(Path(name))))
    assert [] == check(request, model_of(request))


def test_a_request_that_local_files_make_too_large_is_not_sent() -> None:
    """64 MB is the most; it is said in the check when the data is there already, and at the submit otherwise."""
    image = Reference("data:image/png;base64," + "A" * (22 * 1024**2))
    request = VideoRequest("a cat", model=_models.SEEDANCE, references=(image,) * 3)
    message = "together they make the request larger than 64 MB; use smaller files, or public URLs"
    assert (Problem("references", message),) == imini.check(request, model_of(request))
    with pytest.raises(RequestError) as caught:
        imini.submit(request)
    assert (Problem("references", message),) == caught.value.problems
    assert () == imini.check(attrs.evolve(request, references=(image,) * 2), model_of(request))


def test_a_video_is_not_continued() -> None:
    """No page describes it, so it is refused, with what there is instead."""
    request = VideoRequest("go on", references=(Reference(CLIP, role=ReferenceRole.EXTEND, duration=3),))
    message = (
        "seedance-2.0 takes no video as extend; it takes: image as first_frame, image as last_frame, image as asset, "
        "video as asset, audio as asset"
    )
    assert [Problem("references[0]", message)] == check(request, model_of(request))


def test_no_hook_pretends_to_do_what_is_not_documented() -> None:
    """No page has a cancel, a look-up by key or a list of models."""
    assert {"cancel", "recover", "models", "catalogue"}.isdisjoint(dir(imini))


def test_the_provider_says_where_it_is_and_how_to_get_a_key() -> None:
    """The facts of the pages; a failure is not said to be refunded, and a 5xx is no refusal."""
    facts = (PROVIDER.name, PROVIDER.base_url, PROVIDER.key_variable, PROVIDER.key_url, PROVIDER.auth_header, PROVIDER.auth_prefix)
    expected = ("imini", BACKEND.base_url, "IMINI_API_KEY", "https://imini.ai/api-keys", "Authorization", "Bearer ")
    assert expected == facts
    assert (2.0, 600.0, 1800.0) == (
        PROVIDER.poll.interval,
        PROVIDER.poll.deadline(Media.IMAGE),
        PROVIDER.poll.deadline(Media.VIDEO),
    )
    assert PROVIDER.limits.submits is None
    assert {500, 502}.isdisjoint(PROVIDER.refusals)
