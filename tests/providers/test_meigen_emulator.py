"""MeiGen's emulator: the service as its pages describe it, and the plugin's hooks against it."""

from __future__ import annotations

import json
import struct
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

import attrs
import cattrs
import genbridge_meigen as meigen
import pytest
from genbridge_meigen._emulator import MeigenEmulator
from genbridge_meigen._menu import OFFERS

from genbridge import (
    Backend,
    Call,
    Certainty,
    Cost,
    Emulator,
    Failure,
    File,
    ImageRequest,
    Job,
    JobStatus,
    Media,
    Model,
    Quote,
    Reference,
    ReferenceRole,
    Reply,
    Request,
    ServiceError,
    Snapshot,
    VideoRequest,
)
from genbridge.catalogue import choose
from genbridge.prices import price
from genbridge.validation import check

ORIGIN = "http://127.0.0.1:7070"
BACKEND = Backend(name="studio", provider="meigen", base_url=ORIGIN)
TOKEN = "meigen_sk_sandbox" + "0" * 25
KEY = {"authorization": f"Bearer {TOKEN}"}
REQUEST_ID = "3f0b7a52-7a43-4a7b-9a51-3d6d1f3b8a10"
CLIP = "https://images.meigen.art/generations/eagle-clip.mp4"


def post(emulator: Emulator, now: float = 0.0, *, headers: dict[str, str] = KEY, **document: Any) -> Reply:
    """Submit."""
    fields = {"prompt": "a cat", **document}
    return emulator.answer(Call(method="POST", url=f"{ORIGIN}/api/generate/v2", headers=headers, json=fields), now)


def get(emulator: Emulator, path: str, now: float = 0.0, *, headers: dict[str, str] = KEY) -> Reply:
    """Ask for something."""
    url = path if path.startswith("http") else ORIGIN + path
    return emulator.answer(Call(method="GET", url=url, headers=headers), now)


def submitted(emulator: Emulator, now: float = 0.0, **document: Any) -> dict[str, Any]:
    """Submit and return the accepted job."""
    reply = post(emulator, now, **document)
    assert 200 == reply.status, reply.body
    fields: dict[str, Any] = reply.json()
    return fields


def status(emulator: Emulator, name: str, now: float) -> dict[str, Any]:
    """Return what the service says of a job."""
    fields: dict[str, Any] = get(emulator, f"/api/generate/v2/status/{name}", now).json()
    return fields


def sizes(png: bytes) -> tuple[int, ...]:
    """Return the width and height of a PNG."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", png[16:24])


# Submits and states.


def test_the_key_has_the_services_form() -> None:
    """A prefix and 32 characters."""
    assert (TOKEN, 42) == (MeigenEmulator().key, len(TOKEN))


def test_a_submit_gets_the_documented_reply() -> None:
    """Accepted, charged and processing."""
    found = submitted(MeigenEmulator(purchased=55), modelId="nanobanana-2")
    name = found.pop("generationId")
    expected = {"success": True, "status": "processing", "creditsUsed": 5, "modelId": "nanobanana-2"}
    assert {**expected, "credits": {"daily": 10, "purchased": 50, "unlimited": False}} == found
    assert 36 == len(name)


def test_an_image_is_processing_and_then_completed_in_the_documented_form() -> None:
    """After the published usual time, 15 s."""
    emulator = MeigenEmulator()
    name = submitted(emulator, 100.0)["generationId"]
    waiting = {"jobId": name, "status": "processing", "imageUrl": None, "imageUrls": None, "videoUrl": None}
    waiting = {**waiting, "mediaType": "image", "r2Key": None, "error": None}
    assert waiting == status(emulator, name, 100.0) == status(emulator, name, 114.9)
    url = f"{ORIGIN}/files/{name}.png"
    done = {
        **waiting,
        "status": "completed",
        "imageUrl": url,
        "imageUrls": [url],
        "r2Key": f"files/{name}.png",
        "aspectRatio": "16:9",
    }
    assert done == status(emulator, name, 115.0)


def test_a_video_is_processing_and_then_completed_in_the_documented_form() -> None:
    """After the published usual time, 2 minutes."""
    emulator = MeigenEmulator()
    name = submitted(emulator, modelId="seedance-2-0", aspectRatio="9:16")["generationId"]
    assert "processing" == status(emulator, name, 119.9)["status"]
    found = status(emulator, name, 120.0)
    assert ("completed", f"{ORIGIN}/files/{name}.mp4", "video", "9:16") == (
        found["status"],
        found["videoUrl"],
        found["mediaType"],
        found["aspectRatio"],
    )
    assert (None, None) == (found["imageUrl"], found["imageUrls"])


def test_midjourney_makes_four_candidates() -> None:
    """The first is named twice."""
    emulator = MeigenEmulator()
    name = submitted(emulator, modelId="midjourney-v7")["generationId"]
    found = status(emulator, name, 60.0)
    assert [f"{ORIGIN}/files/{name}-{number}.png" for number in (1, 2, 3, 4)] == found["imageUrls"]
    assert found["imageUrls"][0] == found["imageUrl"]


def test_a_prompt_with_fail_fails_and_its_credits_come_back_once() -> None:
    """With the documented reason."""
    emulator = MeigenEmulator(purchased=20)
    name = submitted(emulator, prompt="a cat [fail]")["generationId"]
    assert (15, "processing") == (emulator.purchased, status(emulator, name, 14.0)["status"])
    found = status(emulator, name, 15.0)
    assert ("failed", "Content policy violation", None) == (found["status"], found["error"], found["imageUrl"])
    assert ("content_policy_violation", "refunded") == (found["failureCode"], found["creditsStatus"])
    status(emulator, name, 16.0)
    assert 20 == emulator.purchased
    assert 404 == get(emulator, f"/files/{name}.png", 16.0).status


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"modelId": "seedance-2-0", "aspectRatio": "16:9", "resolution": "720p", "duration": 5}, 130),
        (
            {
                "modelId": "seedance-2-0",
                "aspectRatio": "adaptive",
                "resolution": "480p",
                "duration": 5,
                "referenceVideo": CLIP,
                "referenceVideoDuration": 3,
            },
            72,
        ),
        ({"modelId": "seedance-2-0", "resolution": "480p", "duration": 5, "referenceVideo": CLIP}, 72),
        (
            {"modelId": "seedance-2-0", "resolution": "720p", "duration": 10, "referenceVideo": CLIP, "referenceVideoDuration": 15},
            400,
        ),
        ({"modelId": "seedance-2-0"}, 130),
        ({"modelId": "veo-3.1", "duration": 4}, 20),
        ({"modelId": "gpt-image-2"}, 10),
        ({"modelId": "gpt-image-2", "resolution": "1K", "quality": "low"}, 2),
        ({"modelId": "midjourney-niji7"}, 15),
        ({"modelId": "z-image-turbo"}, 2),
        ({}, 5),
    ],
)
def test_a_job_is_charged_as_published(document: dict[str, Any], expected: int) -> None:
    """130 and 72 credits for the page's two examples."""
    assert expected == submitted(MeigenEmulator(), **document)["creditsUsed"]


def test_a_fraction_of_a_credit_is_charged_as_one() -> None:
    """Where a clip's length is one."""
    document: dict[str, Any] = {"resolution": "480p", "duration": 5, "referenceVideo": CLIP, "referenceVideoDuration": 10.3}
    assert 122.4 == pytest.approx(submitted(MeigenEmulator(), modelId="seedance-2-0", **document)["creditsUsed"])


# Refusals.


@pytest.mark.parametrize(
    ("headers", "message"),
    [({}, "Missing API token"), ({"authorization": "Bearer meigen_sk_other"}, "Invalid or expired API token")],
)
def test_a_submit_without_the_key_is_refused(headers: dict[str, str], message: str) -> None:
    """401."""
    reply = post(MeigenEmulator(), headers=headers)
    assert (401, {"success": False, "error": message}) == (reply.status, reply.json())


def test_a_state_needs_no_key_but_no_wrong_one() -> None:
    """As the public client asks without, and newer services look at one that is sent."""
    emulator = MeigenEmulator()
    path = f"/api/generate/v2/status/{submitted(emulator)['generationId']}"
    assert [200, 200, 401] == [get(emulator, path, headers=headers).status for headers in (KEY, {}, {"authorization": "Bearer x"})]


def test_too_many_submits_in_a_minute_are_refused_as_documented() -> None:
    """The thirteenth, until the first is a minute old."""
    emulator = MeigenEmulator()
    assert [200] * 12 == [post(emulator, float(second)).status for second in range(12)]
    reply = post(emulator, 59.9)
    headers = {name: reply.headers[name] for name in ("retry-after", "x-ratelimit-limit", "x-ratelimit-remaining")}
    assert (429, {"retry-after": "60", "x-ratelimit-limit": "12", "x-ratelimit-remaining": "0"}) == (reply.status, headers)
    assert [200, 429] == [post(emulator, 60.0).status, post(emulator, 60.0).status]


def test_a_submit_that_the_account_cannot_pay_is_refused() -> None:
    """With what is needed and what is there; nothing is charged."""
    emulator = MeigenEmulator(purchased=100)
    reply = post(emulator, modelId="seedance-2-0")
    expected = {
        "success": False,
        "error": "Insufficient credits",
        "code": "insufficient_credits",
        "required": 130,
        "available": 100,
    }
    assert (402, expected, 100) == (reply.status, reply.json(), emulator.purchased)


def test_a_prompt_with_refuse_is_refused() -> None:
    """For its content; nothing is charged."""
    emulator = MeigenEmulator(purchased=100)
    reply = post(emulator, prompt="a cat [refuse]")
    assert (400, "content_policy_violation", 100) == (reply.status, reply.json()["code"], emulator.purchased)


@pytest.mark.parametrize(
    "document",
    [
        {"prompt": ""},
        {"prompt": None},
        {"modelId": "dall-e"},
        {"aspectRatio": "7:5"},
        {"aspectRatio": ["1:1"]},
        {"aspectRatio": "adaptive"},
        {"modelId": "seedance-2-0", "aspectRatio": "adaptive"},
        {"resolution": "720p"},
        {"resolution": "2k"},
        {"modelId": "seedance-2-0", "resolution": "2K"},
        {"modelId": "seedance-2-0", "duration": 3},
        {"modelId": "seedance-2-0", "duration": 5.5},
        {"modelId": "seedance-2-0", "duration": "5"},
        {"modelId": "gpt-image-2", "quality": "best"},
        {"quality": "best"},
        {"referenceImages": "https://e.com/a.png"},
        {"referenceImages": ["http://e.com/a.png"]},
        {"referenceImages": [7]},
        {"referenceImages": ["https://e.com/a.png"] * 6},
        {"modelId": "z-image-turbo", "referenceImages": ["https://e.com/a.png"]},
        {"referenceVideo": CLIP},
        {"modelId": "seedance-2-0", "resolution": "1080p", "referenceVideo": CLIP},
        {"modelId": "seedance-2-0", "resolution": "480p", "referenceVideo": "file:///clip.mp4"},
        {"modelId": "grok-video"},
        {"modelId": "midjourney-v7", "referenceType": "mood"},
        {"modelId": "seedance-2-0", "tier": "ultra"},
        {"modelId": "midjourney-niji7", "niji7Options": {"stylize": 1001}},
        {"modelId": "midjourney-niji7", "niji7Options": {"sv": 5}},
        {"idempotencyKey": "seven"},
    ],
)
def test_a_request_that_breaks_a_documented_rule_is_refused(document: dict[str, Any]) -> None:
    """400 with a reason; nothing is charged."""
    emulator = MeigenEmulator(purchased=1000)
    reply = post(emulator, **document)
    assert (400, False, 1000) == (reply.status, reply.json()["success"], emulator.purchased)
    assert reply.json()["error"]


@pytest.mark.parametrize(
    "document",
    [
        {"modelId": "midjourney-v7", "niji7Options": {"stylize": 9999}},
        {"modelId": "midjourney-niji7", "niji7Options": {"stylize": 300, "sw": 500, "sv": 4}, "referenceType": "style"},
        {"modelId": "seedance-2-0", "tier": "pro", "resolution": "4k"},
        {"modelId": "seedance-2-0", "aspectRatio": "adaptive", "referenceImages": [f"{ORIGIN}/files/a.png"]},
        {"modelId": "grok-video", "referenceImages": ["https://e.com/a.png"]},
        {"idempotencyKey": REQUEST_ID},
        {"modelId": None, "aspectRatio": "auto", "resolution": "2K"},
    ],
)
def test_a_request_that_keeps_the_rules_is_accepted(document: dict[str, Any]) -> None:
    """What is not for a model is ignored, as documented."""
    assert submitted(MeigenEmulator(), **document)["success"]


@pytest.mark.parametrize("document", [None, [], "text"])
def test_a_submit_that_is_no_json_object_is_refused(document: Any) -> None:
    """400."""
    call = Call(method="POST", url=f"{ORIGIN}/api/generate/v2", headers=KEY, json=document, body=b"{")
    assert 400 == MeigenEmulator().answer(call, 0.0).status


# Keys of requests.


def test_a_repeated_key_is_answered_with_the_same_job() -> None:
    """It is made and charged once."""
    emulator = MeigenEmulator(purchased=10)
    first = submitted(emulator, idempotencyKey=REQUEST_ID)
    again = submitted(emulator, 20.0, idempotencyKey=REQUEST_ID)
    assert (first["generationId"], True, "completed") == (again["generationId"], again["deduped"], again["status"])
    assert (5, 1) == (emulator.purchased, len(emulator.generations))


def test_a_key_used_for_another_request_is_a_conflict() -> None:
    """409."""
    emulator = MeigenEmulator()
    submitted(emulator, idempotencyKey=REQUEST_ID)
    reply = post(emulator, idempotencyKey=REQUEST_ID, prompt="a dog")
    assert (409, "idempotency_conflict") == (reply.status, reply.json()["code"])


def test_a_job_is_found_by_its_key() -> None:
    """With its state and its cost."""
    emulator = MeigenEmulator()
    name = submitted(emulator, idempotencyKey=REQUEST_ID)["generationId"]
    found = get(emulator, f"/api/generate/v2/requests/{REQUEST_ID}", 15.0).json()
    assert (True, name, name, REQUEST_ID, 5) == (
        found["success"],
        found["generationId"],
        found["jobId"],
        found["requestId"],
        found["creditsUsed"],
    )
    assert ("completed", "nanobanana-2") == (found["status"], found["modelId"])


def test_a_key_that_nobody_used_is_not_found() -> None:
    """In the words that prove it; jobs without a key are not in the way."""
    emulator = MeigenEmulator()
    submitted(emulator)
    reply = get(emulator, f"/api/generate/v2/requests/{REQUEST_ID}")
    assert (404, False, "request_not_found") == (reply.status, reply.json()["success"], reply.json()["code"])
    assert 401 == get(emulator, f"/api/generate/v2/requests/{REQUEST_ID}", headers={}).status


# The other endpoints.


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/generate/v2/status/nobody", 404),
        ("GET", "/api/images/nobody", 404),
        ("GET", "/api/tokens", 401),
        ("POST", "/api/tokens", 401),
        ("GET", "/api/search?q=cat", 200),
        ("GET", "/api/models", 200),
        ("GET", "/files/nobody.png", 404),
        ("GET", "/uploads/nobody.png", 404),
        ("PUT", "/uploads/nobody.png", 403),
        ("GET", "/", 404),
        ("DELETE", "/api/generate/v2", 404),
    ],
)
def test_other_paths_answer_in_json(method: str, path: str, expected: int) -> None:
    """Also where there is nothing."""
    reply = MeigenEmulator().answer(Call(method=method, url=ORIGIN + path), 0.0)
    assert (expected, 200 == expected) == (reply.status, reply.json()["success"])


def test_the_state_of_the_service_is_plain() -> None:
    """It can be kept as JSON between processes."""
    emulator = MeigenEmulator()
    name = submitted(emulator, idempotencyKey=REQUEST_ID)["generationId"]
    upload(emulator, PHOTO)
    kept = json.loads(json.dumps(cattrs.unstructure(emulator)))
    again = cattrs.structure(kept, MeigenEmulator)
    assert emulator == again
    assert "completed" == status(again, name, 15.0)["status"]


def test_two_services_that_were_started_apart_do_not_use_the_same_ids() -> None:
    """Their jobs may be on one record."""
    assert submitted(MeigenEmulator(), 1.0)["generationId"] != submitted(MeigenEmulator(), 2.0)["generationId"]


# Files.


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"aspectRatio": "1:1", "resolution": "4K"}, (1024, 1024)),
        ({"aspectRatio": "16:9", "resolution": "4K"}, (1024, 576)),
        ({"aspectRatio": "9:16", "resolution": "1K"}, (288, 512)),
        ({"aspectRatio": "21:9"}, (768, 329)),
        ({}, (768, 432)),
    ],
)
def test_an_image_is_a_png_of_the_asked_ratio(document: dict[str, Any], expected: tuple[int, int]) -> None:
    """Exact to within a pixel."""
    emulator = MeigenEmulator()
    name = submitted(emulator, **document)["generationId"]
    reply = get(emulator, status(emulator, name, 15.0)["imageUrl"], 15.0, headers={})
    assert ("image/png", expected) == (reply.headers["content-type"], sizes(reply.body))


def test_two_prompts_and_two_candidates_look_different() -> None:
    """And one is always the same."""
    emulator = MeigenEmulator()
    names = [
        submitted(emulator, prompt=prompt, modelId="midjourney-v7", resolution="1K")["generationId"]
        for prompt in ("a cat", "a dog")
    ]
    urls = [url for name in names for url in status(emulator, name, 60.0)["imageUrls"][:2]]
    files = [get(emulator, url, 60.0).body for url in urls]
    assert 4 == len(set(files))
    assert files == [get(emulator, url, 61.0).body for url in urls]


def test_a_video_is_an_mp4() -> None:
    """Of a playable form."""
    emulator = MeigenEmulator()
    name = submitted(emulator, modelId="seedance-2-0", resolution="480p", duration=4)["generationId"]
    url = f"/files/{name}.mp4"
    assert 404 == get(emulator, url, 119.0).status
    reply = get(emulator, url, 120.0)
    assert ("video/mp4", b"ftyp") == (reply.headers["content-type"], reply.body[4:8])


# Uploads.

PHOTO = File(name="photo.png", kind=Media.IMAGE, content_type="image/png", data=b"\x89PNG 12345")


def run(exchange: Generator[Call, Reply, Any], emulator: Emulator, now: float = 0.0, *, headers: dict[str, str] = KEY) -> Any:
    """Run an exchange against the emulator as the core does: paths below the base URL, the key to its origin alone."""
    try:
        call = next(exchange)
        while True:
            call = exchange.send(perform(call, emulator, now, headers=headers))
    except StopIteration as done:
        return done.value


def perform(call: Call, emulator: Emulator, now: float, *, headers: dict[str, str] = KEY) -> Reply:
    """Make one call."""
    url = call.url if call.origin else ORIGIN + call.url
    own = headers if url.startswith(ORIGIN) else {}
    return emulator.answer(attrs.evolve(call, url=url, headers={**call.headers, **own}), now)


def upload(emulator: Emulator, file: File, *, headers: dict[str, str] = KEY) -> str:
    """Upload a file through the hook."""
    url: str = run(meigen.upload(BACKEND, file), emulator, headers=headers)
    return url


@pytest.mark.parametrize(
    ("kind", "content_type", "suffix"),
    [
        (Media.IMAGE, "image/png", ".png"),
        (Media.IMAGE, "image/jpeg", ".jpg"),
        (Media.IMAGE, "image/webp", ".webp"),
        (Media.IMAGE, "image/gif", ".gif"),
        (Media.VIDEO, "video/mp4", ".mp4"),
        (Media.AUDIO, "audio/mpeg", ".mp3"),
    ],
)
def test_an_uploaded_file_is_served_again(kind: Media, content_type: str, suffix: str) -> None:
    """At its public URL, which is the service's own."""
    emulator = MeigenEmulator()
    url = upload(emulator, attrs.evolve(PHOTO, kind=kind, content_type=content_type))
    assert url.startswith(f"{ORIGIN}/uploads/")
    assert url.endswith(suffix)
    reply = get(emulator, url, headers={})
    assert (200, content_type, PHOTO.data) == (reply.status, reply.headers["content-type"], reply.body)


def test_an_uploaded_image_can_be_a_reference() -> None:
    """Although its address is no https URL."""
    emulator = MeigenEmulator()
    assert submitted(emulator, referenceImages=[upload(emulator, PHOTO)])["success"]


def test_an_image_needs_no_key_and_a_clip_does() -> None:
    """As published."""
    assert upload(MeigenEmulator(), PHOTO, headers={})
    with pytest.raises(ServiceError, match="Missing API token"):
        upload(MeigenEmulator(), attrs.evolve(PHOTO, kind=Media.VIDEO, content_type="video/mp4"), headers={})


@pytest.mark.parametrize("changed", [{"content_type": "image/tiff"}, {"data": b""}, {"name": ""}])
def test_a_file_that_is_not_taken_is_refused(changed: dict[str, Any]) -> None:
    """When it is announced."""
    with pytest.raises(ServiceError, match="contentType is one of"):
        upload(MeigenEmulator(), attrs.evolve(PHOTO, **changed))


def test_only_the_announced_file_can_be_put() -> None:
    """At the signed address, with the announced type and size."""
    emulator = MeigenEmulator()
    exchange = meigen.upload(BACKEND, PHOTO)
    put = exchange.send(perform(next(exchange), emulator, 0.0))
    wrong = [
        attrs.evolve(put, url=put.url.partition("?")[0]),
        attrs.evolve(put, body=b"short"),
        attrs.evolve(put, body=None),
        attrs.evolve(put, headers={"content-type": "image/gif"}),
    ]
    assert [403] * 4 == [emulator.answer(call, 0.0).status for call in wrong]
    assert 404 == get(emulator, put.url).status
    assert 200 == emulator.answer(put, 0.0).status


# The hooks against it, from end to end.


def a_job(request: Request, model: Model) -> Job:
    """Make a job as the core has it before the submit."""
    return Job(
        id="job-1",
        key=REQUEST_ID,
        backend="studio",
        provider="meigen",
        model=model.id,
        provider_model=model.provider_id,
        request=request,
        status=JobStatus.SUBMITTING,
        quote=Quote(amount=None),
        created_at=datetime(2026, 4, 1, tzinfo=UTC),
    )


def generate(emulator: MeigenEmulator, request: Request) -> tuple[Job, Snapshot, Snapshot]:
    """Submit a valid request and poll it to its end; return the job, the first snapshot and the last."""
    model = choose(meigen.describe().models, request, where="meigen")
    assert [] == [*check(request, model), *meigen.check(BACKEND, request, model)]
    job = a_job(request, model)
    call = meigen.submit(BACKEND, attrs.evolve(request, model=model.provider_id), job.key)
    first = meigen.normalize(BACKEND, job, perform(call, emulator, 0.0))
    job = attrs.evolve(job, provider_id=first.provider_id, status=first.status)
    last = meigen.normalize(BACKEND, job, perform(meigen.poll(BACKEND, job), emulator, 300.0))
    return job, first, last


def test_an_image_goes_from_request_to_result() -> None:
    """Accepted, charged, finished, and its file is there."""
    emulator = MeigenEmulator()
    _, first, last = generate(emulator, ImageRequest("a cat", aspect_ratio="4:3"))
    assert (JobStatus.RUNNING, Cost(amount=5), 4995) == (first.status, first.cost, first.balance)
    assert (JobStatus.SUCCEEDED, "4:3") == (last.status, last.aspect_ratio)
    assert [200] == [get(emulator, asset.url, 300.0).status for asset in last.assets]


def test_a_continuation_goes_from_request_to_result() -> None:
    """At the documented price."""
    clip = Reference(CLIP, role=ReferenceRole.EXTEND, duration=3)
    request = VideoRequest("Continue", aspect_ratio="adaptive", resolution="480p", duration=5, references=(clip,))
    _, first, last = generate(MeigenEmulator(), request)
    assert (Cost(amount=72), JobStatus.SUCCEEDED, [Media.VIDEO]) == (
        first.cost,
        last.status,
        [asset.media for asset in last.assets],
    )


def test_four_candidates_go_from_request_to_result() -> None:
    """All of them."""
    style = Reference("https://e.com/a.png", role=ReferenceRole.STYLE)
    _, _, last = generate(MeigenEmulator(), ImageRequest("a cat", model="midjourney-niji7", references=(style,)))
    assert 4 == len(last.assets)


def test_a_failure_goes_from_request_to_refund() -> None:
    """With the service's reason."""
    _, _, last = generate(MeigenEmulator(), ImageRequest("a cat [fail]"))
    expected = Failure(message="Content policy violation", code="content_policy_violation")
    assert (JobStatus.FAILED, expected, True) == (last.status, last.failure, last.refunded)


def test_a_lost_submit_is_found_again_and_one_that_never_came_is_known_to_be_absent() -> None:
    """By its key."""
    emulator = MeigenEmulator()
    lost = a_job(ImageRequest("a cat"), meigen.describe().models[0])
    assert run(meigen.recover(BACKEND, lost), emulator) is None
    job, first, _ = generate(emulator, ImageRequest("a cat"))
    reply = run(meigen.recover(BACKEND, attrs.evolve(job, provider_id=None)), emulator)
    assert first.provider_id == meigen.normalize(BACKEND, lost, reply).provider_id


def live(emulator: MeigenEmulator) -> list[Model]:
    """Read the emulator's list of models."""
    return list(meigen.catalogue(BACKEND, perform(meigen.models(BACKEND), emulator, 0.0)))


def test_the_list_has_every_model_of_the_table() -> None:
    """And what the table allows, the list does."""
    table = {model.provider_id: model for model in meigen.describe().models}
    found = {model.provider_id: model for model in live(MeigenEmulator())}
    assert set(table) == set(found) == {offer.id for offer in OFFERS}
    for name, model in found.items():
        for field in ("aspect_ratio", "resolution", "quality"):
            known = getattr(table[name].capabilities, field)
            listed = getattr(model.capabilities, field)
            assert (name, field, set(known.values if known else ())) == (name, field, set(listed.values if listed else ()))


@pytest.mark.parametrize("offer", OFFERS, ids=lambda offer: offer.id)
def test_what_the_list_quotes_is_what_is_charged(offer: Any) -> None:
    """Exactly, for every model with its defaults."""
    emulator = MeigenEmulator()
    model = next(model for model in live(emulator) if model.provider_id == offer.id)
    first = (Reference("https://e.com/a.png", role=ReferenceRole.FIRST_FRAME),) if model.media is Media.VIDEO else ()
    request: Request = VideoRequest("go", references=first) if model.media is Media.VIDEO else ImageRequest("go")
    assert [] == check(request, model)
    quote = price(request, model, "credits")
    call = meigen.submit(BACKEND, attrs.evolve(request, model=offer.id), None)
    charged = perform(call, emulator, 0.0).json()["creditsUsed"]
    assert (charged, Certainty.EXACT) == (quote.amount, quote.certainty)


def test_the_hook_returns_a_new_service_each_time() -> None:
    """With nothing in it."""
    first, second = meigen.emulate(), meigen.emulate()
    assert first is not second
    assert MeigenEmulator() == first
