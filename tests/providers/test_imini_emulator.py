"""The imini emulator, met by the plugin's own hooks and by bare calls, without a socket."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import attrs
import cattrs
import genbridge_imini as imini
import pytest
from genbridge_imini._emulator import IminiEmulator

from genbridge import (
    AssetRole,
    AuthenticationError,
    Call,
    ContentPolicyError,
    ImageRequest,
    InsufficientCreditsError,
    InvalidRequestError,
    Job,
    JobStatus,
    Media,
    NotFoundError,
    Quote,
    RateLimitError,
    Reference,
    Reply,
    Request,
    ServiceError,
    Snapshot,
    VideoRequest,
)
from genbridge.catalogue import choose
from genbridge.validation import check

PROVIDER = imini.describe()
ORIGIN = "http://127.0.0.1:8080"
NOW = 1_700_000_000.0
KEY = "sandbox-imini-key"
IMAGE = "https://files.example/a.png"
CLIP = "https://files.example/a.mp4"
TRACK = "https://files.example/a.mp3"


def ask(emulator: IminiEmulator, call: Call, now: float = NOW, *, key: str = KEY) -> Reply:
    """Make a call as the core does: with an absolute URL and the key."""
    url = ORIGIN + call.url if call.url.startswith("/files") else f"{ORIGIN}/imini/router{call.url}"
    return emulator.answer(attrs.evolve(call, url=url, headers={"authorization": f"Bearer {key}"}), now)


def a_job(request: Request) -> Job:
    """Make a job that is about to be submitted."""
    model = choose(PROVIDER.models, request, where="imini")
    assert [] == [*check(request, model), *imini.check(request, model)]
    return Job(
        id="job-1",
        key="key-1",
        backend="films",
        provider="imini",
        model=model.id,
        provider_model=model.provider_id,
        request=request,
        status=JobStatus.SUBMITTING,
        quote=Quote(amount=None),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def submit(emulator: IminiEmulator, request: Request, now: float = NOW) -> Job:
    """Submit a request through the hooks and return the accepted job."""
    job = a_job(request)
    reply = ask(emulator, imini.submit(attrs.evolve(request, model=job.provider_model)), now)
    return attrs.evolve(job, provider_id=imini.normalize(job, reply).provider_id)


def poll(emulator: IminiEmulator, job: Job, now: float) -> Snapshot:
    """Ask once through the hooks."""
    return imini.normalize(job, ask(emulator, imini.poll(job), now))


def finish(emulator: IminiEmulator, request: Request) -> Snapshot:
    """Drive a request to its end through the hooks."""
    job = submit(emulator, request)
    return poll(emulator, job, NOW + 200)


def refusal(emulator: IminiEmulator, request: Request, now: float = NOW) -> ServiceError:
    """Return the error that a submit ends with."""
    with pytest.raises(ServiceError) as caught:
        submit(emulator, request, now)
    return caught.value


def post(document: Any, *, kind: str = "videos") -> Call:
    """Describe a submit of any body."""
    return Call.post(f"/v1/{kind}/generate", json=document)


def error(reply: Reply) -> tuple[int, str, str]:
    """Return an error's status, code and message, and see that it is the documented envelope."""
    envelope = reply.json()["error"]
    assert ({"code", "message", "status", "request_id"}, reply.status) == (set(envelope), envelope["status"])
    return reply.status, envelope["code"], envelope["message"]


def test_the_documented_example_is_answered_as_documented() -> None:
    """The reply to a submit has the four documented fields and no status."""
    document = {"model": "doubao/seedance-2.0", "prompt": "a valley", "resolution": "720P", "aspect_ratio": "16:9", "duration": 5}
    reply = ask(IminiEmulator(), post(document))
    expected = {
        "task_id": "task_2044275355061448704",
        "model": "doubao/seedance-2.0",
        "created_at": "2023-11-14T22:13:20.000Z",
        "request_id": "sandbox-request-1",
    }
    assert (200, expected) == (reply.status, reply.json())


def test_a_video_is_queued_then_processing_then_done() -> None:
    """Its states take a typical time: half a minute."""
    emulator = IminiEmulator()
    job = submit(emulator, VideoRequest("a cat", aspect_ratio="21:9", duration=7))
    found = [poll(emulator, job, NOW + seconds).status for seconds in (0, 1.9, 2, 29.9, 30)]
    expected = [JobStatus.QUEUED, JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.RUNNING, JobStatus.SUCCEEDED]
    assert expected == found


def test_an_image_takes_ten_seconds() -> None:
    """The least of what is typical."""
    emulator = IminiEmulator()
    job = submit(emulator, ImageRequest("a cat"))
    assert [JobStatus.RUNNING, JobStatus.SUCCEEDED] == [poll(emulator, job, NOW + seconds).status for seconds in (9.9, 10)]


def test_a_finished_video_has_a_cover_and_its_last_frame_when_asked() -> None:
    """The roles, sizes and duration are as documented, and every file can be fetched without a key."""
    emulator = IminiEmulator()
    snapshot = finish(emulator, VideoRequest("a cat", aspect_ratio="9:16", duration=4, return_last_frame=True))
    assert [AssetRole.OUTPUT, AssetRole.COVER, AssetRole.LAST_FRAME] == [asset.role for asset in snapshot.assets]
    video = snapshot.assets[0]
    assert (Media.VIDEO, 270, 480, 4) == (video.media, video.width, video.height, video.duration)
    for asset in snapshot.assets:
        reply = emulator.answer(Call.get(asset.url), NOW + 300)
        start = b"ftyp" if asset.media is Media.VIDEO else b"\x89PNG"
        kind = "video/mp4" if asset.media is Media.VIDEO else "image/png"
        assert (200, kind, True) == (reply.status, reply.headers["content-type"], start in reply.body[:12])


def test_a_video_without_the_wish_has_no_last_frame() -> None:
    """Only what was asked for is made."""
    snapshot = finish(IminiEmulator(), VideoRequest("a cat"))
    assert [AssetRole.OUTPUT, AssetRole.COVER] == [asset.role for asset in snapshot.assets]


def test_several_images_look_different() -> None:
    """The count is kept, each at its own URL on the origin of the call."""
    emulator = IminiEmulator()
    snapshot = finish(emulator, ImageRequest("a cat", model="gpt-image-2", count=3, aspect_ratio="3:2"))
    urls = [asset.url for asset in snapshot.assets]
    assert [f"{ORIGIN}/files/task_2044275355061448704-{number}.png" for number in (1, 2, 3)] == urls
    assert 3 == len({emulator.answer(Call.get(url), NOW + 300).body for url in urls})


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (ImageRequest("a cat"), (1024, 1024)),
        (ImageRequest("a cat", resolution="512", aspect_ratio="16:9"), (512, 288)),
        (ImageRequest("a cat", resolution="4k", aspect_ratio="1:8"), (128, 1024)),
        (ImageRequest("a cat", aspect_ratio="2:3"), (683, 1024)),
        (VideoRequest("a cat"), (480, 270)),
        (VideoRequest("a cat", aspect_ratio="adaptive"), (480, 270)),
        (VideoRequest("a cat", aspect_ratio="21:9"), (480, 206)),
        (VideoRequest("a cat", aspect_ratio="1:1", resolution="480p"), (480, 480)),
    ],
)
def test_a_result_has_the_asked_ratio(request_: Request, expected: tuple[int, int]) -> None:
    """It is exact to within a pixel, at a size that is drawn quickly."""
    asset = finish(IminiEmulator(), request_).assets[0]
    assert expected == (asset.width, asset.height)


def test_a_task_is_known_under_its_own_kind_only() -> None:
    """A video asked for as an image does not exist, nor does another's."""
    emulator = IminiEmulator()
    job = submit(emulator, VideoRequest("a cat"))
    for other in (attrs.evolve(job, request=ImageRequest("a cat")), attrs.evolve(job, provider_id="task_1")):
        with pytest.raises(NotFoundError) as caught:
            poll(emulator, other, NOW)
        assert (404, "TASK_NOT_FOUND") == (caught.value.status, caught.value.code)


def test_a_wrong_key_is_refused() -> None:
    """For submits, queries and whatever else, before anything is looked at."""
    emulator = IminiEmulator()
    for call in (post(None), Call.get("/v1/videos/tasks/task_1"), Call.get("/v1/nothing")):
        assert (401, "UNAUTHORIZED", "missing or invalid API key") == error(ask(emulator, call, key="wrong"))
    with pytest.raises(AuthenticationError):
        imini.normalize(a_job(VideoRequest("a cat")), ask(emulator, post(None), key="wrong"))


def test_the_key_is_not_shown() -> None:
    """Not even that of a sandbox."""
    assert KEY not in repr(IminiEmulator())


def test_an_unknown_endpoint_does_not_exist() -> None:
    """No page has a way to cancel."""
    reply = ask(IminiEmulator(), Call(method="DELETE", url="/v1/videos/tasks/task_1"))
    assert (404, "NOT_FOUND", "no such endpoint") == error(reply)


@pytest.mark.parametrize(
    ("request_", "price"),
    [
        (VideoRequest("a cat"), 1000),
        (VideoRequest("a cat", model="kling-v3", audio=True, resolution="1080p", duration=3), 660),
        (ImageRequest("a cat", resolution="4k"), 150),
        (ImageRequest("a cat", model="nano-banana", references=(Reference(IMAGE),)), 100),
        (ImageRequest("a cat", model="gpt-image-2", count=2, quality="low"), 400),
        (VideoRequest("a cat", model="happyhorse-1.0", resolution="720p"), 0),
    ],
)
def test_a_submit_costs_what_the_catalogue_says(request_: Request, price: float) -> None:
    """Credits are taken at the submit; where no price is known it is free."""
    emulator = IminiEmulator(balance=5000)
    finish(emulator, request_)
    assert 5000 - price == emulator.balance


def test_without_enough_credits_nothing_is_started() -> None:
    """The submit is refused and nothing is taken."""
    emulator = IminiEmulator(balance=999)
    found = refusal(emulator, VideoRequest("a cat"))
    assert (InsufficientCreditsError, 402, "1000 credits are needed, 999 are left") == (type(found), found.status, found.message)
    assert (999, {}) == (emulator.balance, emulator.tasks)


def test_a_prompt_with_fail_fails_after_a_while_and_is_given_back() -> None:
    """The failure is a normal reply, and the credits come back once, whether or not somebody asks."""
    emulator = IminiEmulator(balance=1000)
    job = submit(emulator, VideoRequest("a cat [fail]"))
    assert (JobStatus.RUNNING, 0) == (poll(emulator, job, NOW + 29).status, emulator.balance)
    ask(emulator, Call.get("/v1/nothing"), NOW + 31)
    assert 1000 == emulator.balance
    snapshot = poll(emulator, job, NOW + 40)
    assert (JobStatus.FAILED, "GENERATION_FAILED") == (snapshot.status, snapshot.failure and snapshot.failure.code)
    assert (1000, None) == (emulator.balance, snapshot.cost)


def test_a_prompt_with_refuse_is_refused_at_the_submit() -> None:
    """As a flagged prompt, and for nothing."""
    emulator = IminiEmulator(balance=1000)
    found = refusal(emulator, ImageRequest("a cat [refuse]"))
    assert (ContentPolicyError, 400, "INVALID_PROMPT", 1000) == (type(found), found.status, found.code, emulator.balance)


def test_too_many_submits_in_a_minute_are_refused() -> None:
    """The account's quota frees itself a minute after each submit; refusals do not count."""
    emulator = IminiEmulator(per_minute=2)
    submit(emulator, ImageRequest("a cat"))
    submit(emulator, ImageRequest("a cat"), NOW + 30)
    found = refusal(emulator, ImageRequest("a cat"), NOW + 59)
    assert (RateLimitError, 429, "RATE_LIMITED") == (type(found), found.status, found.code)
    assert submit(emulator, ImageRequest("a cat"), NOW + 60).provider_id
    assert isinstance(refusal(emulator, ImageRequest("a cat"), NOW + 61), RateLimitError)


@pytest.mark.parametrize("document", [None, [], "text", 7])
def test_a_body_that_is_no_object_is_refused(document: object) -> None:
    """As when it is not JSON at all."""
    assert (400, "INVALID_PARAMETER", "the body is not a JSON object") == error(ask(IminiEmulator(), post(document)))


@pytest.mark.parametrize(
    "document", [{}, {"model": None}, {"model": "seedance-2.0"}, {"model": "google/nano-banana"}, {"model": []}]
)
def test_a_model_goes_by_its_own_name_at_its_own_endpoint(document: dict[str, object]) -> None:
    """The field is required, and canonical names are genbridge's alone."""
    assert (400, "INVALID_PARAMETER", "model: there is no such model for videos") == error(ask(IminiEmulator(), post(document)))


FRAME = {"url": IMAGE, "reference_type": "first_frame"}
LAST = {"url": IMAGE, "reference_type": "last_frame"}
ASSET = {"url": IMAGE}


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"prompt": 7}, "prompt"),
        ({"resolution": "720p"}, "resolution"),
        ({"resolution": "1080P"}, "resolution"),
        ({"resolution": None}, "resolution"),
        ({"aspect_ratio": "2:3"}, "aspect_ratio"),
        ({"duration": 5.0}, "duration"),
        ({"duration": True}, "duration"),
        ({"duration": 3}, "duration"),
        ({"duration": 16}, "duration"),
        ({"generate_audio": 1}, "generate_audio"),
        ({"quality": "low", "n": 2}, "quality, n"),
        ({"extra_params": None}, "extra_params"),
        ({"extra_params": {"seed": -2}}, "extra_params.seed"),
        ({"extra_params": {"seed": 2**32}}, "extra_params.seed"),
        ({"extra_params": {"watermark": "no", "return_last_frame": 0}}, "extra_params.watermark, extra_params.return_last_frame"),
        ({"reference_images": IMAGE}, "reference_images"),
        ({"reference_images": [IMAGE]}, "reference_images"),
        ({"reference_images": [{"url": "ftp://files.example/a.png"}]}, "reference_images"),
        ({"reference_images": [{"url": IMAGE, "reference_type": "style"}]}, "reference_images"),
        ({"reference_images": [ASSET] * 10}, "reference_images"),
        ({"reference_images": [FRAME, FRAME]}, "reference_images"),
        ({"reference_images": [LAST]}, "reference_images"),
        ({"reference_images": [FRAME, ASSET]}, "reference_images"),
        ({"reference_images": [FRAME], "reference_videos": [{"url": CLIP}]}, "reference_videos"),
        ({"reference_videos": [{"url": CLIP}] * 4}, "reference_videos"),
        ({"reference_audios": [{"url": TRACK}]}, "reference_audios"),
        ({"reference_audios": [{"url": TRACK}] * 4, "reference_images": [ASSET]}, "reference_audios"),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(fields: dict[str, object], wrong: str) -> None:
    """Each documented range of Seedance, and its input modes."""
    reply = ask(IminiEmulator(), post({"model": "doubao/seedance-2.0", "prompt": "a cat", **fields}))
    assert (400, "INVALID_PARAMETER", f"out of range or missing: {wrong}") == error(reply)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"model": "openai/gpt-image-2", "prompt": "a cat"}, "resolution, aspect_ratio, quality"),
        (
            {"model": "openai/gpt-image-2", "prompt": "a cat", "resolution": "1K", "aspect_ratio": "1:1", "quality": "top"},
            "quality",
        ),
        ({"model": "google/nano-banana"}, "prompt"),
        ({"model": "google/nano-banana", "prompt": "x" * 6001}, "prompt"),
        ({"model": "google/nano-banana", "prompt": "a cat", "images": [ASSET] * 4}, "images"),
        ({"model": "google/nano-banana", "prompt": "a cat", "images": [{"url": IMAGE, "reference_type": "first_frame"}]}, "images"),
    ],
)
def test_what_an_image_model_requires_is_refused_when_missing(fields: dict[str, object], wrong: str) -> None:
    """GPT Image 2 wants its three fields, and all of them a prompt."""
    reply = ask(IminiEmulator(), post(fields, kind="images"))
    assert (400, "INVALID_PARAMETER", f"out of range or missing: {wrong}") == error(reply)


def test_motion_control_wants_its_image_and_its_video() -> None:
    """Exactly one of each."""
    reply = ask(IminiEmulator(), post({"model": "kling/kling-v3-motion-control", "reference_images": [ASSET, ASSET]}))
    assert (400, "INVALID_PARAMETER", "out of range or missing: reference_images, reference_videos") == error(reply)


@pytest.mark.parametrize(
    "request_",
    [
        VideoRequest("a cat", references=(Reference(IMAGE, role="first_frame"), Reference(IMAGE, role="last_frame"))),
        VideoRequest("a cat", references=(*(Reference(IMAGE),) * 9, *(Reference(CLIP),) * 3, *(Reference(TRACK),) * 3)),
        VideoRequest(
            "a cat", model="seedance-2.0-fast", seed=7, watermark=True, audio=False, aspect_ratio="auto", resolution="480p"
        ),
        VideoRequest("a cat", model="kling-v3-omni", references=(Reference(CLIP),), options={"refer_type": "feature"}),
        VideoRequest("", model="kling-v3-motion-control", references=(Reference(IMAGE), Reference(CLIP))),
        VideoRequest("a cat", model="happyhorse-1.0", references=(Reference(IMAGE, role="first_frame"),)),
        ImageRequest("a cat", model="nano-banana-pro", references=(Reference("data:image/png;base64,AAAA", role="style"),)),
        ImageRequest("a cat", model="gpt-image-2"),
    ],
)
def test_what_the_plugin_finds_valid_the_service_takes(request_: Request) -> None:
    """Both go by the same pages."""
    assert JobStatus.SUCCEEDED is finish(IminiEmulator(), request_).status


def test_a_file_is_there_when_its_task_is_done() -> None:
    """Not before, and no other."""
    emulator = IminiEmulator()
    job = submit(emulator, ImageRequest("a cat"))
    for name, now in ((f"{job.provider_id}-1.png", NOW), (f"{job.provider_id}-2.png", NOW + 60), ("task_1-1.png", NOW + 60)):
        assert (404, "NOT_FOUND", "no such file") == error(ask(emulator, Call.get(f"/files/{name}"), now))


def test_an_invalid_submit_is_an_invalid_request_for_the_plugin() -> None:
    """The two sides of one error meet."""
    reply = ask(IminiEmulator(), post({"model": "doubao/seedance-2.0", "duration": 99}))
    with pytest.raises(InvalidRequestError, match="duration") as caught:
        imini.normalize(a_job(VideoRequest("a cat")), reply)
    assert "sandbox-request-1" == caught.value.request_id


def test_the_state_can_be_kept_between_processes() -> None:
    """It is plain values throughout, and a task goes on where it was."""
    emulator = IminiEmulator()
    jobs = [submit(emulator, VideoRequest("a cat", return_last_frame=True)), submit(emulator, ImageRequest("a dog [fail]"))]
    restored = cattrs.structure(cattrs.unstructure(emulator), IminiEmulator)
    assert emulator == restored
    expected = [JobStatus.SUCCEEDED, JobStatus.FAILED]
    assert expected == [poll(restored, job, NOW + 60).status for job in jobs]


def test_the_hook_gives_a_new_emulator_each_time() -> None:
    """With the key that the sandbox is to use."""
    first, second = imini.emulate(), imini.emulate()
    assert (KEY, True) == (first.key, first is not second)
