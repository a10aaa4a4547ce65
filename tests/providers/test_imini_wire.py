"""imini's replies, read as snapshots and errors."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import genbridge_imini as imini
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbridge import (
    Asset,
    AssetRole,
    AuthenticationError,
    ContentPolicyError,
    Failure,
    GenbridgeError,
    ImageRequest,
    InsufficientCreditsError,
    InvalidRequestError,
    Job,
    JobStatus,
    Media,
    NotFoundError,
    Quote,
    RateLimitError,
    Reply,
    ServiceError,
    Snapshot,
    TransportError,
    VideoRequest,
)

VIDEO = "https://file.iminicdn.com/file/2026/04/11/x.mp4"
COVER = "https://file.iminicdn.com/file/2026/04/11/x.jpg"
LAST = "https://file.iminicdn.com/file/2026/04/11/last.png"


def a_job(provider_id: str | None = "task_123", *, media: Media = Media.VIDEO) -> Job:
    """Make a job, accepted unless `provider_id` is `None`."""
    return Job(
        id="job-1",
        key="key-1",
        backend="films",
        provider="imini",
        model="kling-v3",
        provider_model="kling/kling-v3",
        request=VideoRequest("a cat") if media is Media.VIDEO else ImageRequest("a cat"),
        status=JobStatus.QUEUED if provider_id else JobStatus.SUBMITTING,
        quote=Quote(amount=None),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        provider_id=provider_id,
    )


def task(status: object = "succeeded", **fields: object) -> Reply:
    """Make the documented reply to a query."""
    document = {
        "task_id": "task_123",
        "status": status,
        "model": "kling/kling-v3",
        "created_at": "2026-04-11T08:00:00.000Z",
        "completed_at": None,
        "videos": None,
        "error": None,
        "request_id": "r-1",
    }
    return Reply.of({**document, **fields})


def error(status: int, code: str | None, message: str) -> Reply:
    """Make the documented error."""
    return Reply.of({"error": {"code": code, "message": message, "status": status, "request_id": "req_abc123"}}, status=status)


def read(reply: Reply) -> Snapshot:
    """Read a reply to a query."""
    return imini.normalize(a_job(), reply)


def refusal(reply: Reply, provider_id: str | None = None) -> ServiceError:
    """Return the refusal in a reply to a submit, or to a query of that task."""
    with pytest.raises(ServiceError) as caught:
        imini.normalize(a_job(provider_id), reply)
    return caught.value


def test_the_documented_submit_reply_is_an_accepted_job() -> None:
    """It has no status, so the job waits; its id is kept."""
    reply = Reply.of(
        {
            "task_id": "task_2044275355061448704",
            "model": "doubao/seedance-2.0",
            "created_at": "2026-04-15T04:43:20.233Z",
            "request_id": "67e2e394-cf6f-4998-b293-ebf20d14dc26",
        }
    )
    expected = Snapshot(status=JobStatus.QUEUED, provider_id="task_2044275355061448704")
    assert expected == imini.normalize(a_job(None), reply)


@pytest.mark.parametrize("document", [{"task_id": "t"}, {"task_id": "t", "error": None}, {"task_id": "t", "error": {"code": "X"}}])
def test_an_id_is_enough_to_accept_a_submit(document: dict[str, object]) -> None:
    """A task that exists may be paid for, whatever else the reply says."""
    assert Snapshot(status=JobStatus.QUEUED, provider_id="t") == imini.normalize(a_job(None), Reply.of(document, status=201))


@pytest.mark.parametrize("document", [{}, {"task_id": ""}, {"task_id": None, "status": "queued"}, {"error": None}, {"error": {}}])
def test_a_submit_reply_without_an_id_is_no_usable_answer(document: dict[str, object]) -> None:
    """It is not a refusal: the task may exist."""
    with pytest.raises(TransportError, match="no task_id; look at the account"):
        imini.normalize(a_job(None), Reply.of(document))


def test_the_documented_query_reply_gives_the_video_and_its_cover() -> None:
    """Sizes, duration and the cover image are kept, each file with its role."""
    videos = [{"url": VIDEO, "width": 1284, "height": 716, "duration": 5, "cover_url": COVER}]
    expected = (
        Asset(url=VIDEO, media=Media.VIDEO, width=1284, height=716, duration=5),
        Asset(url=COVER, media=Media.IMAGE, role=AssetRole.COVER),
    )
    assert Snapshot(status=JobStatus.SUCCEEDED, provider_id="task_123", assets=expected) == read(task(videos=videos))


def test_the_documented_query_reply_gives_every_image() -> None:
    """One asset for each item, with its size."""
    images = [{"url": "https://x.example/1.png", "width": 1024, "height": 768}, {"url": "https://x.example/2.png"}]
    expected = (
        Asset(url="https://x.example/1.png", media=Media.IMAGE, width=1024, height=768),
        Asset(url="https://x.example/2.png", media=Media.IMAGE),
    )
    assert expected == imini.normalize(a_job(media=Media.IMAGE), task(images=images)).assets


@pytest.mark.parametrize(
    ("item", "document"),
    [
        ({"last_frame_url": LAST}, {}),
        ({"last_frame": LAST}, {}),
        ({"last_frame": {"url": LAST}}, {}),
        ({"last_frame_image_url": LAST}, {}),
        ({"last_frame_image": LAST}, {}),
        ({}, {"last_frame_url": LAST}),
        ({"last_frame_url": LAST}, {"last_frame": {"url": LAST}}),
    ],
)
def test_the_last_frame_is_found_under_each_likely_name(item: dict[str, object], document: dict[str, object]) -> None:
    """Its field is not documented; it is there once, with its role."""
    snapshot = read(task(videos=[{"url": VIDEO, **item}], **document))
    expected = (Asset(url=VIDEO, media=Media.VIDEO), Asset(url=LAST, media=Media.IMAGE, role=AssetRole.LAST_FRAME))
    assert expected == snapshot.assets


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("queued", JobStatus.QUEUED),
        ("processing", JobStatus.RUNNING),
        ("failed", JobStatus.FAILED),
        ("pending", JobStatus.QUEUED),
        ("running", JobStatus.RUNNING),
        ("canceled", JobStatus.CANCELLED),
        ("cancelled", JobStatus.CANCELLED),
        ("expired", JobStatus.EXPIRED),
        ("Processing ", JobStatus.RUNNING),
    ],
)
def test_each_known_status_has_its_canonical_one(word: str, expected: JobStatus) -> None:
    """The four documented words, and those of older material."""
    assert (expected, None) == (read(task(word)).status, read(task(word)).note)


@pytest.mark.parametrize("word", ["succeeded", "completed", "success"])
def test_a_finished_task_has_succeeded_when_it_has_a_file(word: str) -> None:
    """A URL is what makes it done: a cover alone is none."""
    assert JobStatus.SUCCEEDED is read(task(word, videos=[{"url": VIDEO}])).status
    unfinished: list[object] = [None, [], [{}], [{"url": None, "cover_url": COVER}], [{"url": "soon"}], [7]]
    for videos in unfinished:
        snapshot = read(task(word, videos=videos))
        assert (JobStatus.RUNNING, "it is done, but its files have no URL yet") == (snapshot.status, snapshot.note)


def test_an_unknown_status_keeps_the_job_running() -> None:
    """A new word is noted and ends nothing."""
    snapshot = read(task("upscaling"))
    assert (JobStatus.RUNNING, "the status 'upscaling' is not documented") == (snapshot.status, snapshot.note)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (
            {"code": "UPSTREAM", "message": "the model  failed\n", "status": 502},
            Failure(message="the model failed", code="UPSTREAM"),
        ),
        ({"code": "UPSTREAM"}, Failure(message="the service gives no reason", code="UPSTREAM")),
        ("out of luck", Failure(message="out of luck")),
        (None, Failure(message="the service gives no reason")),
    ],
)
def test_a_failed_task_gives_the_reason(reason: object, expected: Failure) -> None:
    """It is a normal reply with an error in it; nothing is said of a refund or a cost, as no page promises one."""
    snapshot = read(task("failed", error=reason))
    assert Snapshot(status=JobStatus.FAILED, provider_id="task_123", failure=expected) == snapshot


def test_a_failed_task_is_one_even_without_its_id() -> None:
    """The status of the query that was asked counts, not the missing echo."""
    assert JobStatus.FAILED is read(task("failed", task_id=None, error={"code": "X", "message": "y"})).status


def test_a_query_reply_without_a_status_is_no_usable_answer() -> None:
    """It is a missed poll, not a failed job."""
    with pytest.raises(TransportError, match="nothing about the status of task 'task_123'"):
        read(task(None))


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (400, "INVALID_PROMPT", "Prompt contains disallowed content", ContentPolicyError),
        (400, "INVALID_PROMPT", "the prompt was flagged", ContentPolicyError),
        (400, "INVALID_PROMPT", "violates our policies", ContentPolicyError),
        (400, "INVALID_PROMPT", "the prompt is too long", InvalidRequestError),
        (400, "INVALID_PARAMETER", "duration is out of range", InvalidRequestError),
        (400, "INVALID_PARAMETER", "policy is not a known field", InvalidRequestError),
        (400, "SOMETHING_NEW", "flagged by moderation", ContentPolicyError),
        (400, None, "bad", InvalidRequestError),
        (401, None, "missing key", AuthenticationError),
        (402, "INSUFFICIENT_CREDITS", "balance too low", InsufficientCreditsError),
        (402, None, "pay first", InsufficientCreditsError),
        (403, "INSUFFICIENT_CREDITS", "no", InsufficientCreditsError),
        (403, None, "quota exhausted", InsufficientCreditsError),
        (403, "FORBIDDEN", "no permission for this model", AuthenticationError),
        (404, "TASK_NOT_FOUND", "task missing or expired", NotFoundError),
        (404, None, "gone", NotFoundError),
        (418, "RATE_LIMITED", "slow down", RateLimitError),
        (418, "SOMETHING_NEW", "I am a teapot", ServiceError),
        (429, "RATE_LIMITED", "account rate quota exceeded", RateLimitError),
        (429, None, "account rate quota exceeded", RateLimitError),
        (500, "INVALID_PARAMETER", "platform error", ServiceError),
        (502, None, "upstream model error", ServiceError),
    ],
)
def test_an_error_has_its_kind_by_code_and_status(status: int, code: str | None, message: str, kind: type[ServiceError]) -> None:
    """The documented envelope is read whole; a 5xx is never taken for a refusal."""
    found = refusal(error(status, code, message))
    expected = (kind, message, status, code, "req_abc123")
    assert expected == (type(found), found.message, found.status, found.code, found.request_id)


def test_an_error_carries_the_wait_that_is_asked_for() -> None:
    """No page has `Retry-After`, but what comes is kept."""
    reply = Reply(status=429, headers={"Retry-After": "7", "X-Request-Id": "r-9"}, body=b"{}")
    found = refusal(reply)
    assert (RateLimitError, 7.0, "r-9") == (type(found), found.retry_after, found.request_id)


@pytest.mark.parametrize("document", [{"error": "no credits"}, {"message": "no credits"}, {"error": {}, "message": "no\n credits"}])
def test_an_error_in_another_form_is_read_too(document: dict[str, object]) -> None:
    """A proxy or an older server may word it differently."""
    assert "no credits" == refusal(Reply.of(document, status=402)).message


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (401, AuthenticationError),
        (402, InsufficientCreditsError),
        (403, AuthenticationError),
        (404, NotFoundError),
        (429, RateLimitError),
        (502, ServiceError),
    ],
)
@pytest.mark.parametrize("body", [b"<html>flagged: no credit</html>", b"", b"[1]", b"\xff"])
def test_a_page_instead_of_json_is_an_error_of_its_status(status: int, kind: type[ServiceError], body: bytes) -> None:
    """The message is plain, and nothing of the page is in it."""
    found = refusal(Reply(status=status, headers={"content-type": "text/html"}, body=body))
    assert (kind, f"it answered HTTP {status} without a reason that can be read") == (type(found), found.message)


def test_a_long_message_is_cut() -> None:
    """A log line stays one."""
    assert 300 == len(refusal(error(400, None, "x" * 5000)).message)


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("INSUFFICIENT_CREDITS", 402, InsufficientCreditsError),
        ("INVALID_PROMPT", None, InvalidRequestError),
        (None, 429, RateLimitError),
        ("SOMETHING_NEW", None, ServiceError),
        ("INTERNAL", 500, ServiceError),
        ("INVALID_PARAMETER", 500, ServiceError),
    ],
)
def test_an_error_in_a_200_is_the_error_it_is(code: str | None, status: int | None, kind: type[ServiceError]) -> None:
    """Its own status counts."""
    reply = Reply.of({"error": {"code": code, "message": "no", "status": status, "request_id": "r-2"}})
    found = refusal(reply)
    assert (kind, "r-2", 200) == (type(found), found.request_id, found.status)


def test_an_error_in_the_200_of_a_query_is_the_error_it_is() -> None:
    """As it is in that of a submit."""
    assert NotFoundError is type(refusal(Reply.of({"error": {"code": "TASK_NOT_FOUND", "message": "expired"}}), "task_123"))


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"task_id": "t"', b"[]", b"null", b'"text"'])
def test_a_200_that_is_no_json_object_is_no_usable_answer(body: bytes) -> None:
    """Neither a task nor a refusal, for a submit and for a query."""
    for provider_id in (None, "task_123"):
        with pytest.raises(TransportError):
            imini.normalize(a_job(provider_id), Reply(status=200, body=body))


WORDS = ["queued", "processing", "succeeded", "failed", "canceled", VIDEO, "INVALID_PROMPT"]
NAMES = ["task_id", "status", "videos", "images", "url", "cover_url", "last_frame", "width", "duration", "error", "code", "message"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner),
    max_leaves=16,
)


@given(
    document=st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, JSON)) | JSON | st.binary(),
    status=st.just(200) | st.integers(100, 599),
    provider_id=st.none() | st.just("task_123"),
    media=st.sampled_from([Media.IMAGE, Media.VIDEO]),
    cut=st.integers(0, 40),
)
def test_whatever_comes_back_gives_a_snapshot_or_an_error_of_genbridge(
    document: object, status: int, provider_id: str | None, media: Media, cut: int
) -> None:
    """No reply makes the plugin stumble, and none finishes a job without a file."""
    whole = document if isinstance(document, bytes) else json.dumps(document).encode()
    reply = Reply(status=status, body=whole[: len(whole) - cut] if cut < 10 else whole)
    try:
        snapshot = imini.normalize(a_job(provider_id, media=media), reply)
    except GenbridgeError:
        return
    assert snapshot.provider_id
    assert snapshot.status is not JobStatus.SUCCEEDED or snapshot.assets[0].role is AssetRole.OUTPUT
    assert (snapshot.failure is not None) == (snapshot.status is JobStatus.FAILED)
