"""sseedance's emulator: the service as its pages describe it."""

from __future__ import annotations

import struct
from typing import Any

import attrs
import cattrs
import genbridge_sseedance as sseedance
import pytest
from genbridge_sseedance._emulator import SseedanceEmulator

from genbridge import Call, ContentPolicyError, Emulator, ImageRequest, InsufficientCreditsError, JobStatus, RateLimitError, Reply
from genbridge.testing import drive

ORIGIN = "http://127.0.0.1:7070"
KEY = {"authorization": "Bearer sandbox-sseedance-key"}


def post(emulator: Emulator, now: float = 0.0, *, path: str = "/v1/images/generations", **document: Any) -> Reply:
    """Submit an image."""
    fields = {"model": "gpt-image-2-all", "prompt": "a cat", "n": 1, **document}
    return emulator.answer(Call(method="POST", url=ORIGIN + path, headers=KEY, json=fields), now)


def get(emulator: Emulator, path: str, now: float = 0.0) -> Reply:
    """Ask for something."""
    return emulator.answer(Call(method="GET", url=ORIGIN + path, headers=KEY), now)


def data(emulator: Emulator, now: float, task_id: str = "task_000001") -> dict[str, Any]:
    """Return what the service says of a task."""
    fields: dict[str, Any] = get(emulator, f"/v1/tasks/{task_id}", now).json()["data"]
    return fields


def size(png: bytes) -> tuple[int, ...]:
    """Return the width and height of a PNG."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", png[16:24])


def test_a_submit_gets_the_documented_reply() -> None:
    """It is accepted, pending, and has no file yet."""
    expected = {
        "id": "task_000001",
        "object": "image.generation.task",
        "status": "pending",
        "data": [{"id": "task_000001", "mediaType": "image", "status": "pending", "imageUrls": []}],
    }
    assert expected == post(SseedanceEmulator()).json()


def test_a_task_goes_through_its_states_as_time_passes() -> None:
    """It is pending, then processing, then done with one address for each image."""
    emulator = SseedanceEmulator(queued=1.0, runs=2.0)
    post(emulator, 10.0, n=2)
    words = [data(emulator, now)["status"] for now in (10.0, 10.9, 11.0, 12.9, 13.0)]
    assert ["pending", "pending", "processing", "processing", "success"] == words
    urls = [f"{ORIGIN}/files/task_000001-1.png", f"{ORIGIN}/files/task_000001-2.png"]
    assert urls == data(emulator, 13.0)["imageUrls"]


def test_a_task_reply_has_every_documented_field() -> None:
    """The fields of the "Tasks" page are all there, with the file addresses empty at first."""
    emulator = SseedanceEmulator()
    post(emulator, provider="yunwu")
    expected: dict[str, Any] = {
        "id": "task_000001",
        "mediaType": "image",
        "provider": "yunwu",
        "model": "gpt-image-2-all",
        "prompt": "a cat",
        "status": "pending",
        "imageUrls": [],
        "videoUrls": [],
        "audioUrls": [],
        "errorMessage": None,
    }
    assert expected == data(emulator, 0.0)


def test_a_prompt_can_ask_for_a_failure() -> None:
    """`[fail]` ends in a failed task, which stays paid."""
    emulator = SseedanceEmulator()
    post(emulator, prompt="a cat [fail]")
    failed = data(emulator, 60.0)
    assert ("failed", "the image could not be made", []) == (failed["status"], failed["errorMessage"], failed["imageUrls"])
    assert 998 == emulator.credits


def test_a_prompt_can_ask_for_a_refusal() -> None:
    """`[refuse]` starts nothing and costs nothing."""
    emulator = SseedanceEmulator()
    reply = post(emulator, prompt="a cat [refuse]")
    assert (200, {"code": -1, "message": "the prompt violates the content policy"}) == (reply.status, reply.json())
    assert (1000, {}) == (emulator.credits, emulator.tasks)


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "sandbox-sseedance-key"}])
def test_only_its_own_key_is_accepted(headers: dict[str, str]) -> None:
    """Whatever is asked for, a wrong key is refused first."""
    emulator = SseedanceEmulator()
    for url in ("/v1/images/generations", "/v1/tasks/task_000001", "/v1/videos/generations"):
        method = "GET" if "tasks" in url else "POST"
        reply = emulator.answer(Call(method=method, url=ORIGIN + url, headers=headers, json={"prompt": "a cat"}), 0.0)
        assert (401, {"code": -1, "message": "invalid api key"}) == (reply.status, reply.json())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"prompt": " "}, "prompt"),
        ({"prompt": ["a cat"]}, "prompt"),
        ({"model": "gpt-image-2"}, "model"),
        ({"model": 7.5}, "model"),
        ({"n": 3}, "n"),
        ({"n": "2"}, "n"),
        ({"size": "3:2"}, "size"),
        ({"resolution": "2k"}, "resolution"),
        ({"imageResolution": "2k"}, "imageResolution"),
        ({"resolution": "4k", "imageSizePreset": "7:3"}, "imageSizePreset"),
        ({"n": 0, "size": "huge"}, "n, size"),
    ],
)
def test_what_the_pages_do_not_allow_is_refused(fields: dict[str, Any], expected: str) -> None:
    """The fields are named, and nothing is started."""
    emulator = SseedanceEmulator()
    assert {"code": -1, "message": f"invalid params: {expected}"} == post(emulator, **fields).json()
    assert {} == emulator.tasks


def test_a_body_that_is_not_json_is_refused() -> None:
    """It has no prompt."""
    call = Call(method="POST", url=f"{ORIGIN}/v1/images/generations", headers=KEY, body=b"{")
    assert {"code": -1, "message": "invalid params: prompt"} == SseedanceEmulator().answer(call, 0.0).json()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [({}, 2), ({"n": 4}, 8), ({"resolution": "4k"}, 4), ({"imageResolution": "4k", "n": 2}, 8), ({"n": None}, 2)],
)
def test_credits_are_taken_for_each_image(fields: dict[str, Any], expected: int) -> None:
    """The prices are the documented ones, by either name of the resolution."""
    emulator = SseedanceEmulator()
    post(emulator, **fields)
    assert 1000 - expected == emulator.credits


def test_an_account_that_cannot_pay_is_refused() -> None:
    """Nothing is taken from it."""
    emulator = SseedanceEmulator(credits=7)
    assert {"code": -1, "message": "insufficient credits: 8 are needed, 7 are left"} == post(emulator, n=4).json()
    assert (7, {}) == (emulator.credits, emulator.tasks)


def test_too_many_submits_in_a_minute_are_refused() -> None:
    """The answer says when there is room again, and then there is."""
    emulator = SseedanceEmulator(per_minute=2)
    post(emulator, 0.0)
    post(emulator, 10.0)
    reply = post(emulator, 20.5)
    assert (429, 40.0, "too many requests") == (reply.status, reply.retry_after, reply.json()["message"])
    assert post(emulator, 60.0).json()["id"] == "task_000003"


@pytest.mark.parametrize("path", ["/v1/tasks/task_000009", "/v1/tasks", "/v1/nothing", "/files/task_000001-1.png", "/files/x"])
def test_what_does_not_exist_is_not_found(path: str) -> None:
    """Unknown tasks, files and paths are all a 404."""
    assert 404 == get(SseedanceEmulator(), path).status


@pytest.mark.parametrize("path", ["/v1/videos/generations", "/v1/music/generations"])
def test_the_announced_endpoints_are_not_open(path: str) -> None:
    """They answer like a path that does not exist."""
    reply = post(SseedanceEmulator(), path=path)
    assert (404, "this endpoint is not open") == (reply.status, reply.json()["message"])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, (1024, 1024)),
        ({"size": "1:1"}, (1024, 1024)),
        ({"size": "4:5"}, (1024, 1280)),
        ({"size": "16:9"}, (1536, 864)),
        ({"size": "9:16"}, (864, 1536)),
        ({"imageSizePreset": "2:1"}, (1024, 512)),
        ({"size": "300x200"}, (300, 200)),
        ({"size": "4096x1024"}, (2048, 512)),
        ({"resolution": "4k", "imageSizePreset": "1:1"}, (1024, 1024)),
        ({"resolution": "4k", "imageSizePreset": "1:3"}, (341, 1024)),
    ],
)
def test_an_image_has_the_size_that_was_asked_for(fields: dict[str, Any], expected: tuple[int, int]) -> None:
    """A 1k preset has its documented pixels; what is larger keeps its ratio and is drawn smaller."""
    emulator = SseedanceEmulator()
    post(emulator, **fields)
    assert expected == (emulator.tasks["task_000001"].width, emulator.tasks["task_000001"].height)


def test_each_image_of_a_task_is_a_picture_of_its_own() -> None:
    """Two images of one prompt differ, and each is a PNG of the asked size; there is no third."""
    emulator = SseedanceEmulator()
    post(emulator, size="64x48", n=2)
    first, second = (get(emulator, f"/files/task_000001-{number}.png") for number in (1, 2))
    assert ("image/png", (64, 48), (64, 48)) == (first.headers["content-type"], size(first.body), size(second.body))
    assert first.body != second.body
    assert [404, 404, 404] == [get(emulator, f"/files/task_000001-{number}.png").status for number in ("3", "0", "")]


def test_a_file_needs_no_key() -> None:
    """Whoever has the address can have it, as with the links of the service."""
    emulator = SseedanceEmulator()
    post(emulator, size="64x48")
    reply = emulator.answer(Call(method="GET", url=f"{ORIGIN}/files/task_000001-1.png"), 9.0)
    assert (200, (64, 48)) == (reply.status, size(reply.body))


def test_the_hook_gives_a_new_emulator_each_time() -> None:
    """Two sandboxes share nothing."""
    one, other = sseedance.emulate(), sseedance.emulate()
    post(one)
    assert (one != other, other == SseedanceEmulator()) == (True, True)


def test_its_state_can_be_kept_as_plain_values() -> None:
    """A sandbox that is stopped goes on where it was."""
    emulator = SseedanceEmulator()
    post(emulator, 5.0, n=2)
    kept = cattrs.unstructure(emulator)
    assert emulator == cattrs.structure(kept, SseedanceEmulator)
    assert attrs.asdict(emulator) == kept


def test_the_plugin_takes_a_job_through_it() -> None:
    """The statuses are canonical, and the addresses of all images come out."""
    snapshots = drive(sseedance, SseedanceEmulator(queued=4.0), ImageRequest("a cat", count=2))
    assert [JobStatus.QUEUED, JobStatus.QUEUED, JobStatus.SUCCEEDED] == [snapshot.status for snapshot in snapshots]
    assert 2 == len(snapshots[-1].assets)


def test_the_plugin_reads_its_refusals() -> None:
    """Each is an error of its own kind."""
    with pytest.raises(ContentPolicyError):
        drive(sseedance, None, ImageRequest("a cat [refuse]"))
    with pytest.raises(InsufficientCreditsError, match="insufficient credits: 2 are needed, 1 are left"):
        drive(sseedance, SseedanceEmulator(credits=1), ImageRequest("a cat"))
    with pytest.raises(RateLimitError):
        drive(sseedance, SseedanceEmulator(per_minute=0, submitted=[0.0]), ImageRequest("a cat"))
