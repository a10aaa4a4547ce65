"""MeiGen's replies, read as snapshots and errors."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import genbridge_meigen as meigen
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbridge import (
    Asset,
    AuthenticationError,
    Backend,
    ContentPolicyError,
    Cost,
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
    Request,
    ServiceError,
    Snapshot,
    TransportError,
    VideoRequest,
)

BACKEND = Backend(name="studio", provider="meigen", base_url="https://www.meigen.ai")
ID = "550e8400-e29b-41d4-a716-446655440000"
PNG = "https://images.meigen.art/generations/xxx.png"
MP4 = "https://images.meigen.art/generations/xxx.mp4"

# The replies of the "Generate Image" page.
ACCEPTED = {
    "success": True,
    "generationId": ID,
    "status": "processing",
    "creditsUsed": 5,
    "modelId": "nanobanana-2",
    "credits": {"daily": 10, "purchased": 50, "unlimited": False},
}
PROCESSING = {
    "jobId": ID,
    "status": "processing",
    "imageUrl": None,
    "imageUrls": None,
    "videoUrl": None,
    "mediaType": "image",
    "r2Key": None,
    "error": None,
}
IMAGE_DONE = {
    **PROCESSING,
    "status": "completed",
    "imageUrl": PNG,
    "imageUrls": [PNG],
    "r2Key": "generations/xxx.png",
    "aspectRatio": "16:9",
}
VIDEO_DONE = {
    **PROCESSING,
    "status": "completed",
    "videoUrl": MP4,
    "mediaType": "video",
    "r2Key": "generations/xxx.mp4",
    "aspectRatio": "16:9",
}
FAILED = {**PROCESSING, "status": "failed", "error": "Content policy violation"}


def a_job(provider_id: str | None = ID, request: Request | None = None) -> Job:
    """Make a job, accepted unless `provider_id` is `None`."""
    return Job(
        id="job-1",
        key="3f0b7a52-7a43-4a7b-9a51-3d6d1f3b8a10",
        backend="studio",
        provider="meigen",
        model="nano-banana-2",
        provider_model="nanobanana-2",
        request=request or ImageRequest("a cat"),
        status=JobStatus.RUNNING if provider_id else JobStatus.SUBMITTING,
        quote=Quote(amount=5),
        created_at=datetime(2026, 4, 1, tzinfo=UTC),
        provider_id=provider_id,
    )


SENT, RUNNING = a_job(None), a_job()
FILMING = a_job(request=VideoRequest("a cat"))


def read(document: Any, job: Job = RUNNING, *, status: int = 200, headers: dict[str, str] | None = None) -> Snapshot:
    """Read a reply with a JSON document."""
    return meigen.normalize(BACKEND, job, Reply.of(document, status=status, headers=headers))


def refused(document: Any, job: Job = SENT, *, status: int = 400, headers: dict[str, str] | None = None) -> ServiceError:
    """Read a reply that is an error, and return that."""
    with pytest.raises(ServiceError) as caught:
        read(document, job, status=status, headers=headers)
    return caught.value


# The documented replies.


def test_an_accepted_submit_names_the_job_its_cost_and_the_balance() -> None:
    """Purchased credits are what a key can spend."""
    expected = Snapshot(status=JobStatus.RUNNING, provider_id=ID, cost=Cost(amount=5), balance=50)
    assert expected == read(ACCEPTED, SENT)


def test_a_running_job_is_running() -> None:
    """It says nothing else."""
    assert Snapshot(status=JobStatus.RUNNING, provider_id=ID) == read(PROCESSING)


def test_a_finished_image_is_one_asset() -> None:
    """Named twice in the reply, and once in the result."""
    assets = (Asset(url=PNG, media=Media.IMAGE),)
    assert Snapshot(status=JobStatus.SUCCEEDED, provider_id=ID, assets=assets, aspect_ratio="16:9") == read(IMAGE_DONE)


def test_a_finished_video_is_one_asset() -> None:
    """With the ratio that the service chose."""
    assets = (Asset(url=MP4, media=Media.VIDEO),)
    assert Snapshot(status=JobStatus.SUCCEEDED, provider_id=ID, assets=assets, aspect_ratio="16:9") == read(VIDEO_DONE, FILMING)


def test_a_failed_job_says_why_and_that_the_credits_came_back() -> None:
    """The page: credits are refunded automatically."""
    expected = Snapshot(status=JobStatus.FAILED, provider_id=ID, failure=Failure(message="Content policy violation"), refunded=True)
    assert expected == read(FAILED)


def test_four_candidates_are_four_assets_in_order() -> None:
    """The first is named twice in the reply."""
    urls = [f"https://images.meigen.art/{number}.png" for number in range(4)]
    found = read({**IMAGE_DONE, "imageUrl": urls[0], "imageUrls": urls})
    assert urls == [asset.url for asset in found.assets]


# What the replies may say besides.


@pytest.mark.parametrize(
    ("document", "job", "expected"),
    [
        ({**IMAGE_DONE, "imageUrls": None}, RUNNING, [PNG]),
        ({**IMAGE_DONE, "imageUrl": None}, RUNNING, [PNG]),
        ({**IMAGE_DONE, "imageUrls": [PNG, PNG, "b"]}, RUNNING, [PNG, "b"]),
        ({**IMAGE_DONE, "imageUrls": ["b", PNG]}, RUNNING, ["b", PNG]),
        ({**IMAGE_DONE, "imageUrls": ["b"]}, RUNNING, ["b", PNG]),
        ({**IMAGE_DONE, "mediaType": None}, RUNNING, [PNG]),
        ({**VIDEO_DONE, "mediaType": None}, FILMING, [MP4]),
        ({**VIDEO_DONE, "mediaType": "clip"}, FILMING, [MP4]),
        ({**VIDEO_DONE, "mediaType": "image"}, FILMING, [MP4]),
        ({**VIDEO_DONE, "imageUrl": PNG}, FILMING, [MP4]),
        (VIDEO_DONE, RUNNING, [MP4]),
    ],
)
def test_files_are_found_where_the_reply_has_them(document: dict[str, Any], job: Job, expected: list[str]) -> None:
    """What the reply calls itself counts first, then what was asked for."""
    found = read(document, job)
    assert (JobStatus.SUCCEEDED, expected) == (found.status, [asset.url for asset in found.assets])


@pytest.mark.parametrize(
    ("document", "job"),
    [
        ({**IMAGE_DONE, "imageUrl": None, "imageUrls": None}, RUNNING),
        ({**IMAGE_DONE, "imageUrl": "", "imageUrls": []}, RUNNING),
        ({**VIDEO_DONE, "videoUrl": None}, FILMING),
        ({**VIDEO_DONE, "videoUrl": None, "imageUrl": PNG}, FILMING),
    ],
)
def test_done_without_a_file_is_not_done(document: dict[str, Any], job: Job) -> None:
    """The address may come a little later; the job goes on and says why."""
    found = read(document, job)
    assert (JobStatus.RUNNING, ()) == (found.status, found.assets)
    assert "no file yet" in str(found.note)


def test_pending_is_queued() -> None:
    """Older services say it."""
    assert JobStatus.QUEUED is read({**PROCESSING, "status": "pending"}).status


@pytest.mark.parametrize("word", ["cancelled", "weird", "Completed!"])
def test_an_unknown_status_keeps_the_job_running(word: str) -> None:
    """And is noted."""
    found = read({**IMAGE_DONE, "status": word})
    assert (JobStatus.RUNNING, f"the status {word!r} is not documented") == (found.status, found.note)


def test_a_status_may_be_written_in_capitals() -> None:
    """It means the same."""
    assert JobStatus.SUCCEEDED is read({**IMAGE_DONE, "status": "COMPLETED"}).status


def test_a_submit_may_be_answered_with_the_result() -> None:
    """As newer services do, also when they know the job by its key."""
    found = read({**ACCEPTED, "status": "completed", "imageUrl": PNG, "deduped": True}, SENT)
    assert (JobStatus.SUCCEEDED, ID, Cost(amount=5)) == (found.status, found.provider_id, found.cost)


def test_a_submit_may_be_answered_with_a_failure() -> None:
    """The job is there and has failed; what it cost is given back."""
    answer = {**ACCEPTED, "success": False, "status": "failed", "error": "no", "failureCode": "generation_failed"}
    found = read(answer, SENT)
    assert (JobStatus.FAILED, ID, True) == (found.status, found.provider_id, found.refunded)
    assert (Failure(message="no", code="generation_failed"), Cost(amount=5)) == (found.failure, found.cost)


def test_a_submit_that_names_the_job_and_no_status_is_running() -> None:
    """The page: the first status is always processing."""
    assert Snapshot(status=JobStatus.RUNNING, provider_id=ID) == read({"success": True, "generationId": ID}, SENT)


def test_a_look_up_names_the_job_by_either_name() -> None:
    """The page has both."""
    assert [ID, ID] == [read({"status": "processing", name: ID}, SENT).provider_id for name in ("generationId", "jobId")]


def test_a_job_keeps_its_id() -> None:
    """Whatever a poll says."""
    assert ID == read({**PROCESSING, "jobId": "other"}).provider_id


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"error": None}, Failure(message="the service gives no reason")),
        ({"error": {"message": "too dark", "code": "dark"}}, Failure(message="too dark", code="dark")),
        ({"error": "busy", "failureCode": "upstream_busy"}, Failure(message="busy", code="upstream_busy")),
        ({"error": "a\n b" + "c" * 400}, Failure(message="a b" + "c" * 297)),
        ({"error": "key meigen_sk_abcDEF123 is bad"}, Failure(message="key meigen_sk_… is bad")),
    ],
)
def test_a_failure_is_in_the_services_words(document: dict[str, Any], expected: Failure) -> None:
    """On one line, not too long, and never with a key."""
    assert expected == read({**FAILED, **document}).failure


@pytest.mark.parametrize(("word", "refunded"), [(None, True), ("refunded", True), ("charged", False)])
def test_a_failure_whose_credits_are_said_to_be_kept_is_not_refunded(word: str | None, *, refunded: bool) -> None:
    """The reply is believed before the page."""
    found = read({**FAILED, "creditsStatus": word})
    assert (refunded, refunded) == (found.refunded, found.note is None)


@pytest.mark.parametrize(
    ("balances", "expected"),
    [
        ({"daily": 10, "purchased": 50}, 50),
        ({"purchased": 0}, 0),
        ({"purchased": 50, "unlimited": True}, None),
        ({}, None),
        ([], None),
    ],
)
def test_the_balance_is_what_a_key_can_spend(balances: object, expected: float | None) -> None:
    """Daily credits are for the browser; an unlimited account has no balance."""
    assert expected == read({**ACCEPTED, "credits": balances}, SENT).balance


@pytest.mark.parametrize("used", [None, -1, "5", True])
def test_a_cost_that_makes_no_sense_is_not_known(used: object) -> None:
    """It is left out."""
    assert read({**ACCEPTED, "creditsUsed": used}, SENT).cost is None


@pytest.mark.parametrize(
    ("document", "headers", "expected"),
    [
        ({}, {}, None),
        ({}, {"Retry-After": "7"}, 7.0),
        ({"pollHintSeconds": 2400}, {}, 3.0),
        ({"pollHintSeconds": 2}, {}, 1.0),
        ({"pollHintSeconds": 0}, {}, 30.0),
        ({"pollHintSeconds": -5}, {}, 30.0),
        ({"pollHintSeconds": 2400}, {"Retry-After": "12"}, 12.0),
        ({"retryAfterSeconds": 9}, {}, 9.0),
        ({"retryAfterSeconds": 0, "pollHintSeconds": 10}, {}, 3.0),
    ],
)
def test_the_service_may_say_when_to_ask_next(document: dict[str, Any], headers: dict[str, str], expected: float | None) -> None:
    """`Retry-After` is obeyed; the time that is left for the job is not a time to wait."""
    assert expected == read({**PROCESSING, **document}, headers=headers).poll_after


def test_a_job_that_the_service_no_longer_watches_goes_on_and_says_so() -> None:
    """That is no proof of failure."""
    found = read({**PROCESSING, "pollHintSeconds": 0})
    assert (JobStatus.RUNNING, True) == (found.status, "no longer watches" in str(found.note))


@pytest.mark.parametrize(("seconds", "expected"), [(95, 95), (0, None), (-1, None), ("95", None)])
def test_the_service_may_say_how_long_it_takes(seconds: object, expected: float | None) -> None:
    """A time that makes no sense is left out."""
    assert expected == read({**PROCESSING, "expectedWaitSeconds": seconds}).expected


# What cannot be read.


@pytest.mark.parametrize("document", [{}, {"success": True}, {"status": "processing"}, {"generationId": ""}, {"message": "ok"}])
def test_an_answer_to_a_submit_that_names_no_job_is_unreadable(document: dict[str, Any]) -> None:
    """The job may have been made: this is no refusal."""
    with pytest.raises(TransportError, match="look at the account"):
        read(document, SENT)


def test_a_poll_without_a_status_is_unreadable() -> None:
    """It is a missed poll, and not a failed job."""
    with pytest.raises(TransportError, match="status"):
        read({"jobId": ID, "error": None})


@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b'{"jobId": "1', b"[]", b'"done"', b"null", b"\xff\xfe"])
@pytest.mark.parametrize("job", [SENT, RUNNING])
def test_an_answer_that_is_no_json_object_is_unreadable(body: bytes, job: Job) -> None:
    """Whatever it is that came."""
    with pytest.raises(TransportError):
        meigen.normalize(BACKEND, job, Reply(status=200, body=body))


# Refusals.


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (400, "Prompt is required", InvalidRequestError),
        (400, "Your prompt was flagged", ContentPolicyError),
        (400, "Blocked by safety system", ContentPolicyError),
        (400, "This content cannot be made", ContentPolicyError),
        (400, "Bad content-type", InvalidRequestError),
        (400, "Invalid or inactive model: x", InvalidRequestError),
        (400, "Aspect ratio 1:9 is not supported", InvalidRequestError),
        (400, "Insufficient credits", InsufficientCreditsError),
        (400, "Not enough credits for this content", InsufficientCreditsError),
        (401, "Missing token", AuthenticationError),
        (402, "Insufficient credits", InsufficientCreditsError),
        (402, "no", InsufficientCreditsError),
        (403, "no", AuthenticationError),
        (403, "Insufficient credits", InsufficientCreditsError),
        (403, "Invalid or expired token", AuthenticationError),
        (400, "The token has expired", AuthenticationError),
        (404, "Content not found", NotFoundError),
        (410, "The job was deleted", NotFoundError),
        (408, "slow", ServiceError),
        (409, "conflict", ServiceError),
        (429, "Rate limit policy", RateLimitError),
        (451, "content", ContentPolicyError),
        (500, "policy service is down", ServiceError),
        (503, "insufficient capacity", ServiceError),
    ],
)
def test_a_refusal_is_the_error_that_its_status_and_words_say(status: int, message: str, expected: type[ServiceError]) -> None:
    """The status counts first; words only where it says little."""
    found = refused({"success": False, "error": message}, status=status)
    assert (expected, message, status) == (type(found), found.message, found.status)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "content_policy_violation", ContentPolicyError),
        (500, "content_policy_violation", ContentPolicyError),
        (400, "insufficient_credits", InsufficientCreditsError),
        (404, "request_not_found", NotFoundError),
        (409, "idempotency_conflict", ServiceError),
        (409, "request_id_collision", ServiceError),
        (409, "in_progress", ServiceError),
        (503, "upstream_busy", ServiceError),
        (503, "temporarily_unavailable", ServiceError),
        (400, "generation_failed", InvalidRequestError),
    ],
)
def test_a_refusal_has_the_services_own_code(status: int, code: str, expected: type[ServiceError]) -> None:
    """Which says more than the words."""
    found = refused({"error": "no", "code": code}, status=status)
    assert (expected, code) == (type(found), found.code)


def test_a_refusal_for_want_of_credits_says_how_many() -> None:
    """As the reply does."""
    found = refused({"error": "Insufficient credits", "required": 130, "available": 12.5}, status=402)
    assert "Insufficient credits (130 credits are needed, 12.5 are available)" == found.message


@pytest.mark.parametrize("amounts", [{}, {"required": 5}, {"available": 5}, {"required": "5", "available": 1}])
def test_a_refusal_for_want_of_credits_need_not_say_how_many(amounts: dict[str, Any]) -> None:
    """The message is the service's then."""
    assert "no" == refused({"error": "no", **amounts}, status=402).message


@pytest.mark.parametrize(
    ("headers", "document", "expected"),
    [
        ({"Retry-After": "60", "X-RateLimit-Limit": "12", "X-RateLimit-Remaining": "0"}, {}, 60.0),
        ({"Retry-After": "60"}, {"retryAfterSeconds": 5}, 60.0),
        ({"Retry-After": "0"}, {"retryAfterSeconds": 5}, 0.0),
        ({"Retry-After": "Wed, 01 Apr 2026 00:00:30 GMT", "Date": "Wed, 01 Apr 2026 00:00:00 GMT"}, {}, 30.0),
        ({}, {"retryAfterSeconds": 5}, 5),
        ({}, {"retryAfterSeconds": 0}, 0),
        ({}, {"retryAfterSeconds": -5}, None),
        ({}, {}, None),
    ],
)
def test_a_refusal_says_when_to_try_again(headers: dict[str, str], document: dict[str, Any], expected: float | None) -> None:
    """By the header, or else in the body."""
    assert expected == refused({"error": "slow down", **document}, status=429, headers=headers).retry_after


def test_a_refusal_has_an_id_for_support() -> None:
    """By the header, or else in the body."""
    assert "h1" == refused({"error": "no", "requestId": "b1"}, headers={"X-Request-Id": "h1"}).request_id
    assert "b1" == refused({"error": "no", "requestId": "b1"}).request_id
    assert refused({"error": "no"}).request_id is None


@pytest.mark.parametrize("body", [b"<html><body>502 Bad Gateway, policy</body></html>", b"", b"[1]", b"\xff", b'{"error": {}}'])
def test_a_refusal_without_a_reason_is_plain(body: bytes) -> None:
    """Nothing of a page is repeated."""
    for status, expected in ((404, NotFoundError), (502, ServiceError), (400, InvalidRequestError), (302, ServiceError)):
        with pytest.raises(ServiceError) as caught:
            meigen.normalize(BACKEND, RUNNING, Reply(status=status, headers={"content-type": "text/html"}, body=body))
        assert (expected, status) == (type(caught.value), caught.value.status)
        assert f"it answered HTTP {status} without a reason that can be read" == str(caught.value)


@pytest.mark.parametrize("name", ["error", "message"])
def test_a_reason_is_found_in_any_form(name: str) -> None:
    """A text, or an object with one."""
    assert "too big" == refused({name: "too big"}).message
    found = refused({"error": {"message": "too big", "code": "size"}})
    assert ("too big", "size") == (found.message, found.code)


def test_a_refusal_never_repeats_a_key() -> None:
    """Not even one that the service names."""
    assert "Invalid token meigen_sk_…" == refused({"error": "Invalid token meigen_sk_0123456789abcdef"}, status=401).message


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"success": False, "error": "Insufficient credits"}, InsufficientCreditsError),
        ({"success": False, "error": "x", "code": "content_policy_violation"}, ContentPolicyError),
        ({"error": "Unsupported aspect ratio"}, InvalidRequestError),
        ({"success": False, "error": "Something broke"}, InvalidRequestError),
        ({"error": "Something broke"}, ServiceError),
        ({"success": False}, InvalidRequestError),
    ],
)
def test_an_error_in_a_success_is_an_error(document: dict[str, Any], expected: type[ServiceError]) -> None:
    """Of a kind where its words or its code are known."""
    assert expected is type(refused(document, SENT, status=200))


@pytest.mark.parametrize("document", [{"success": False, "error": "broken"}, {"error": "broken"}, {"success": False, "jobId": ID}])
def test_an_error_in_a_successful_poll_is_an_error(document: dict[str, Any]) -> None:
    """And not a failed job, which has a status."""
    assert ServiceError is type(refused(document, RUNNING, status=200))


def test_a_submit_that_was_not_accepted_is_an_error_although_it_names_a_job() -> None:
    """There is no telling what became of it: it is looked up."""
    assert ServiceError is type(refused({"success": False, "generationId": ID, "error": "broken"}, SENT, status=200))


# Anything at all.

_NAMES = [
    *ACCEPTED,
    *IMAGE_DONE,
    "code",
    "failureCode",
    "creditsStatus",
    "pollHintSeconds",
    "expectedWaitSeconds",
    "retryAfterSeconds",
]
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["processing", "pending", "completed", "failed", "image", "video", "content_policy_violation"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.sampled_from(_NAMES), inner, max_size=6),
    max_leaves=12,
)
_DOCUMENTS = _VALUES | st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=12)
_STATUSES = st.sampled_from([200, 201, 204, 400, 401, 402, 403, 404, 409, 410, 422, 429, 451, 500, 503]) | st.integers(100, 599)


def survives(reply: Reply) -> None:
    """Read a reply; it becomes a snapshot or one of genbridge's errors."""
    for job in (SENT, RUNNING, FILMING):
        try:
            found = meigen.normalize(BACKEND, job, reply)
        except GenbridgeError as error:
            assert str(error)  # noqa: PT017 (the error's own text must not fail either)
        else:
            assert found.provider_id
            assert (found.status is JobStatus.SUCCEEDED) == bool(found.assets)
            assert (found.status is JobStatus.FAILED) == bool(found.failure)


@given(document=_DOCUMENTS, status=_STATUSES)
def test_any_json_is_a_snapshot_or_one_of_genbridges_errors(document: Any, status: int) -> None:
    """Never a `KeyError` or its like."""
    survives(Reply(status=status, body=json.dumps(document).encode()))


@given(
    body=st.binary(), status=_STATUSES, headers=st.dictionaries(st.sampled_from(["retry-after", "date", "content-type"]), st.text())
)
def test_any_bytes_are_a_snapshot_or_one_of_genbridges_errors(body: bytes, status: int, headers: dict[str, str]) -> None:
    """Whatever the status and the headers."""
    survives(Reply(status=status, headers=headers, body=body))
