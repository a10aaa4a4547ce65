"""The sseedance plugin: canonical requests to its fields, its replies to snapshots."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import attrs
import genbridge_sseedance as sseedance
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbridge import (
    Asset,
    AuthenticationError,
    Backend,
    Call,
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
    Problem,
    Quote,
    RateLimitError,
    Reference,
    Reply,
    Request,
    RequestError,
    ServiceError,
    Snapshot,
    TransportError,
    VideoRequest,
)
from genbridge.catalogue import choose
from genbridge.prices import price
from genbridge.validation import check

BACKEND = Backend(name="pictures", provider="sseedance", base_url="https://sseedance.com")
PROVIDER = sseedance.describe()
IMAGE = "https://files.example/a.png"


def a_job(provider_id: str | None = "task_1") -> Job:
    """Make a job, accepted unless `provider_id` is `None`."""
    return Job(
        id="job-1",
        key="key-1",
        backend="pictures",
        provider="sseedance",
        model="gpt-image-2",
        provider_model="gpt-image-2-all",
        request=ImageRequest("a cat"),
        status=JobStatus.QUEUED if provider_id else JobStatus.SUBMITTING,
        quote=Quote(amount=2),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        provider_id=provider_id,
    )


def problems(request: Request) -> dict[str, str]:
    """Return what is wrong with a request, by field, as a client collects it."""
    model = choose(PROVIDER.models, request, where="sseedance")
    found = [*check(request, model), *sseedance.check(BACKEND, request, model)]
    return {problem.field: problem.message for problem in found}


def body(request: ImageRequest) -> object:
    """Return the body that a request is submitted with."""
    model = choose(PROVIDER.models, request, where="sseedance")
    call = sseedance.submit(BACKEND, attrs.evolve(request, model=model.provider_id), "key-1")
    return call.json


def cost(request: ImageRequest) -> tuple[float | None, str]:
    """Return what a request costs, and how sure that is."""
    quote = price(request, choose(PROVIDER.models, request, where="sseedance"), PROVIDER.unit)
    return quote.amount, str(quote.certainty)


def task(status: object = "success", **fields: object) -> Reply:
    """Make the documented reply to a poll."""
    data = {
        "id": "task_1",
        "mediaType": "image",
        "provider": "yunwu",
        "model": "gpt-image-2-all",
        "prompt": "a cat",
        "status": status,
        "imageUrls": [],
        "videoUrls": [],
        "audioUrls": [],
        "errorMessage": None,
    }
    return Reply.of({"object": "task", "data": {**data, **fields}})


def read(reply: Reply) -> Snapshot:
    """Read a reply to a poll."""
    return sseedance.normalize(BACKEND, a_job(), reply)


def refusal(reply: Reply, provider_id: str | None = None) -> ServiceError:
    """Return the refusal in a reply to a submit."""
    with pytest.raises(ServiceError) as caught:
        sseedance.normalize(BACKEND, a_job(provider_id), reply)
    return caught.value


def test_a_square_image_has_the_documented_body() -> None:
    """The first documented example comes out field for field."""
    prompt = "A premium skincare bottle on a warm beige pedestal, studio light, realistic shadows"
    expected = {"model": "gpt-image-2-all", "prompt": prompt, "size": "1:1", "n": 1}
    assert expected == body(ImageRequest(prompt, aspect_ratio="1:1"))


def test_a_wide_image_has_the_documented_body() -> None:
    """The second documented example comes out field for field."""
    prompt = "A cinematic mountain cabin at sunrise, wide landscape composition"
    expected = {"model": "gpt-image-2-all", "prompt": prompt, "size": "16:9", "n": 1}
    assert expected == body(ImageRequest(prompt, aspect_ratio="16:9"))


def test_a_4k_image_has_the_documented_body() -> None:
    """The third documented example comes out field for field."""
    prompt = "A luxury watch macro photo with crisp metal details and dramatic reflections"
    expected = {"model": "gpt-image-2-all", "prompt": prompt, "resolution": "4k", "imageSizePreset": "1:1", "n": 1}
    assert expected == body(ImageRequest(prompt, resolution="4K", aspect_ratio="1:1"))


def test_the_submit_is_one_post_that_is_never_repeated() -> None:
    """No key is documented, so sending it twice could be paid twice."""
    call = sseedance.submit(BACKEND, ImageRequest("a cat", model="gpt-image-2-all"), "key-1")
    assert ("POST", "/v1/images/generations", False) == (call.method, call.url, call.repeatable)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (ImageRequest("a cat"), {"n": 1}),
        (ImageRequest("a cat", count=4), {"n": 4}),
        (ImageRequest("a cat", size="1024X768"), {"size": "1024x768", "n": 1}),
        (ImageRequest("a cat", size="9:16"), {"size": "9:16", "n": 1}),
        (ImageRequest("a cat", size="21:9", resolution="4k"), {"resolution": "4k", "imageSizePreset": "21:9", "n": 1}),
        (ImageRequest("a cat", resolution="1k"), {"resolution": "1k", "n": 1}),
        (ImageRequest("a cat", resolution="4k"), {"resolution": "4k", "n": 1}),
        (ImageRequest("a cat", options={"provider": "yunwu"}), {"n": 1, "provider": "yunwu"}),
    ],
)
def test_only_what_is_asked_for_is_sent(request_: ImageRequest, expected: dict[str, object]) -> None:
    """Beside model, prompt and `n`, a field is there only when the request has it."""
    assert {} == problems(request_)
    assert {"model": "gpt-image-2-all", "prompt": "a cat", **expected} == body(request_)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, "gpt-image-2-all"),
        ("gpt-image-2", "gpt-image-2-all"),
        ("gpt-image-2-all", "gpt-image-2-all"),
        ("gpt-image-1.5", "gpt-image-1.5-all"),
        ("gpt-image-1.5-all", "gpt-image-1.5-all"),
    ],
)
def test_a_model_goes_by_its_canonical_name_or_its_own(name: str | None, expected: str) -> None:
    """Both names choose the same model, and GPT Image 2 is the default."""
    assert expected == choose(PROVIDER.models, ImageRequest("a cat", model=name), where="sseedance").provider_id


@pytest.mark.parametrize(
    "ratio", ["1:1", "3:2", "2:3", "4:3", "3:4", "5:4", "4:5", "16:9", "9:16", "2:1", "1:2", "3:1", "1:3", "21:9", "9:21"]
)
def test_a_4k_image_takes_all_fifteen_presets(ratio: str) -> None:
    """Every documented preset is accepted and sent as it is."""
    request = ImageRequest("a cat", resolution="4k", aspect_ratio=ratio)
    assert {} == problems(request)
    assert {"model": "gpt-image-2-all", "prompt": "a cat", "resolution": "4k", "imageSizePreset": ratio, "n": 1} == body(request)


def test_a_preset_for_4k_cannot_be_asked_for_at_1k() -> None:
    """The message says which ratios a 1k image takes, for either field."""
    message = "'3:2' is for 4k images only; a 1k image takes 1:1, 4:5, 16:9, 9:16, or a size in pixels such as 1024x1024"
    assert {"aspect_ratio": message} == problems(ImageRequest("a cat", aspect_ratio="3:2"))
    assert {"size": message} == problems(ImageRequest("a cat", size="3:2", resolution="1k"))


def test_a_4k_image_takes_no_pixels() -> None:
    """The message says to give a ratio."""
    expected = {"size": "a 4k image takes no pixels; leave size out and give an aspect_ratio, such as 16:9"}
    assert expected == problems(ImageRequest("a cat", resolution="4k", size="4096x4096"))


def test_size_and_ratio_exclude_each_other() -> None:
    """The message says to leave one out."""
    expected = {"size": "it cannot be given together with aspect_ratio; leave one of them out"}
    assert expected == problems(ImageRequest("a cat", aspect_ratio="1:1", size="1024x1024"))


def test_every_mistake_is_reported_at_once() -> None:
    """What sseedance has no field for, and what is out of range, is named by its field."""
    request = ImageRequest(
        " ",
        aspect_ratio="7:3",
        resolution="2k",
        count=3,
        quality="high",
        seed=7,
        references=(Reference(IMAGE),),
        options={"provder": "x", "provider": " "},
    )
    fields = [
        "aspect_ratio",
        "count",
        "options.provder",
        "options.provider",
        "prompt",
        "quality",
        "references[0]",
        "resolution",
        "seed",
    ]
    assert fields == sorted(problems(request))


@pytest.mark.parametrize("size", ["1024", "0x1024", "1024x", "16:10", "big"])
def test_a_size_is_pixels_or_a_documented_ratio(size: str) -> None:
    """Anything else is a problem of `size`."""
    assert ["size"] == list(problems(ImageRequest("a cat", size=size)))


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (ImageRequest("a cat"), 2),
        (ImageRequest("a cat", resolution="1k", count=4), 8),
        (ImageRequest("a cat", resolution="4k"), 4),
        (ImageRequest("a cat", resolution="4k", count=2, model="gpt-image-1.5"), 8),
    ],
)
def test_an_image_costs_two_credits_and_in_4k_four(request_: ImageRequest, expected: float) -> None:
    """The documented prices are exact, and count for each image."""
    assert (expected, "exact") == cost(request_)


@pytest.mark.parametrize("name", [None, "seedance-2.0", "sora-2-pro-text-to-video"])
def test_a_video_is_refused_because_the_endpoint_is_not_open(name: str | None) -> None:
    """Whoever asks for a video hears why there is none, before anything is sent."""
    with pytest.raises(RequestError, match="has announced POST /v1/videos/generations but not opened it") as caught:
        choose(PROVIDER.models, VideoRequest("a cat", model=name), where="sseedance")
    assert ["model"] == [problem.field for problem in caught.value.problems]


def test_the_submit_hook_makes_no_call_for_a_video() -> None:
    """A video that was not stopped before is stopped there."""
    with pytest.raises(RequestError, match="not opened"):
        sseedance.submit(BACKEND, VideoRequest("a cat", model="sora-2-pro-text-to-video"), None)
    assert () == sseedance.check(BACKEND, VideoRequest("a cat"), PROVIDER.models[0])


def test_a_poll_asks_for_the_task() -> None:
    """The id is one part of the path, whatever is in it."""
    assert Call.get("/v1/tasks/task_1") == sseedance.poll(BACKEND, a_job())
    assert Call.get("/v1/tasks/a%2Fb%3Fc") == sseedance.poll(BACKEND, a_job("a/b?c"))


def test_the_documented_submit_reply_is_an_accepted_job() -> None:
    """Its id is kept, and it waits."""
    data = [{"id": "task_id", "mediaType": "image", "status": "pending", "imageUrls": []}]
    reply = Reply.of({"id": "task_id", "object": "image.generation.task", "status": "pending", "data": data})
    expected = Snapshot(status=JobStatus.QUEUED, provider_id="task_id")
    assert expected == sseedance.normalize(BACKEND, a_job(None), reply)


@pytest.mark.parametrize(
    "document", [{"id": "task_9"}, {"id": 9}, {"data": [{"id": "task_9"}]}, {"code": 0, "data": {"id": "task_9"}}]
)
def test_an_id_is_enough_to_accept_a_submit(document: dict[str, object]) -> None:
    """A paid job is not lost because the rest of the reply is different."""
    snapshot = sseedance.normalize(BACKEND, a_job(None), Reply.of(document))
    assert (JobStatus.QUEUED, "9") == (snapshot.status, (snapshot.provider_id or "").removeprefix("task_"))


def test_an_id_beside_an_error_code_is_an_accepted_job() -> None:
    """A task that exists may be paid for, so its id counts more than the code."""
    reply = Reply.of({"code": -1, "message": "slow", "data": [{"id": "task_1", "status": "pending"}]})
    assert JobStatus.QUEUED is sseedance.normalize(BACKEND, a_job(None), reply).status


@pytest.mark.parametrize(
    "document", [{}, {"data": []}, {"data": [7]}, {"code": 0, "message": "ok"}, {"id": "", "status": "pending"}]
)
def test_a_submit_reply_without_an_id_is_no_usable_answer(document: dict[str, object]) -> None:
    """It is not a refusal: the task may exist."""
    with pytest.raises(TransportError, match="no task id"):
        sseedance.normalize(BACKEND, a_job(None), Reply.of(document))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("pending", JobStatus.QUEUED),
        ("processing", JobStatus.RUNNING),
        ("failed", JobStatus.FAILED),
        ("canceled", JobStatus.CANCELLED),
        ("cancelled", JobStatus.CANCELLED),
        ("Processing", JobStatus.RUNNING),
    ],
)
def test_each_documented_status_has_its_canonical_one(word: str, expected: JobStatus) -> None:
    """The words of the "Tasks" page are all known, in either spelling and case."""
    assert expected is read(task(word)).status


def test_a_finished_task_gives_its_files() -> None:
    """Images, videos and audio tracks are told apart, and each file is there once."""
    reply = task(
        imageUrls=[IMAGE, IMAGE, "https://files.example/b.png"],
        videoUrls=["https://files.example/c.mp4"],
        audioUrls=["https://files.example/d.mp3"],
    )
    expected = (
        Asset(url=IMAGE, media=Media.IMAGE),
        Asset(url="https://files.example/b.png", media=Media.IMAGE),
        Asset(url="https://files.example/c.mp4", media=Media.VIDEO),
        Asset(url="https://files.example/d.mp3", media=Media.AUDIO),
    )
    assert Snapshot(status=JobStatus.SUCCEEDED, provider_id="task_1", assets=expected) == read(reply)


def test_a_failed_task_gives_the_reason() -> None:
    """The service's own words are kept; nothing is said of a refund, as no page promises one."""
    snapshot = read(task("failed", errorMessage="upstream timeout"))
    assert (Failure(message="upstream timeout"), False) == (snapshot.failure, snapshot.refunded)
    assert Failure(message="the service gives no reason") == read(task("failed")).failure


def test_an_unknown_status_keeps_the_job_running() -> None:
    """A new word is noted and ends nothing."""
    snapshot = read(task("upscaling"))
    assert (JobStatus.RUNNING, "the status 'upscaling' is not documented") == (snapshot.status, snapshot.note)


def test_done_without_a_url_keeps_the_job_running() -> None:
    """The files may appear a moment later."""
    snapshot = read(task("success"))
    assert (JobStatus.RUNNING, "it is done, but its files have no URL yet") == (snapshot.status, snapshot.note)


def test_a_poll_reply_without_a_status_is_no_usable_answer() -> None:
    """It is a missed poll, not a failed job."""
    with pytest.raises(TransportError, match="nothing about the status of task 'task_1'"):
        read(Reply.of({"object": "task", "data": {}}))


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("invalid api key", AuthenticationError),
        ("insufficient credits", InsufficientCreditsError),
        ("rate limit exceeded, check your api key", RateLimitError),
        ("the prompt violates our content policy", ContentPolicyError),
        ("invalid params", InvalidRequestError),
        ("prompt is required", InvalidRequestError),
        ("task not found", NotFoundError),
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_an_error_is_known_by_its_words(message: str, kind: type[ServiceError], status: int) -> None:
    """Services of its kind answer every refusal with one status, so the message decides, also in a 200."""
    error = refusal(Reply.of({"code": -1, "message": message}, status=status))
    assert (kind, message, "-1", status) == (type(error), error.message, error.code, error.status)


@pytest.mark.parametrize(
    "document",
    [
        {"code": -1, "message": "insufficient credits"},
        {"code": "no_credits", "message": "insufficient credits"},
        {"error": "insufficient credits"},
        {"error": {"message": "insufficient credits", "code": "no_credits"}},
        {"error": {"message": "insufficient  \n credits"}, "data": None},
    ],
)
def test_every_form_of_an_error_in_a_200_is_read(document: dict[str, object]) -> None:
    """No page says which form it has, so all of them are understood."""
    error = refusal(Reply.of(document))
    assert (InsufficientCreditsError, "insufficient credits") == (type(error), error.message)


def test_an_unclear_error_in_a_200_leaves_it_open_whether_a_task_exists() -> None:
    """Services of its kind word a crash like a refusal, so nobody may send the job again."""
    assert ServiceError is type(refusal(Reply.of({"code": -1, "message": "socket hang up"})))


def test_an_error_without_any_words_still_has_a_message() -> None:
    """A code alone is an error too."""
    assert "it answered HTTP 200 without a reason that can be read" == refusal(Reply.of({"code": 7})).message


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (401, AuthenticationError),
        (402, InsufficientCreditsError),
        (404, NotFoundError),
        (418, ServiceError),
        (429, RateLimitError),
        (502, ServiceError),
    ],
)
def test_a_page_instead_of_json_is_an_error_of_its_status(status: int, kind: type[ServiceError]) -> None:
    """The message is plain, and nothing of the page is in it."""
    error = refusal(Reply(status=status, headers={"content-type": "text/html"}, body=b"<html>invalid api key</html>"))
    assert (kind, f"it answered HTTP {status} without a reason that can be read") == (type(error), error.message)


def test_the_words_of_a_server_error_are_not_taken_for_a_refusal() -> None:
    """A 500 may come after the task was made."""
    error = refusal(Reply.of({"code": -1, "message": "invalid params"}, status=500))
    assert (ServiceError, "invalid params") == (type(error), error.message)


def test_an_error_carries_what_helps_to_go_on() -> None:
    """The wait that the service asks for and its id for support are kept."""
    error = refusal(Reply.of({"error": "slow down"}, status=429, headers={"Retry-After": "7", "X-Request-Id": "r-1"}))
    assert (RateLimitError, 7.0, "r-1") == (type(error), error.retry_after, error.request_id)


def test_a_long_message_is_cut() -> None:
    """A log line stays one."""
    assert 300 == len(refusal(Reply.of({"error": "x" * 5000}, status=400)).message)


def test_json_that_is_not_an_object_is_no_usable_answer() -> None:
    """A 200 with a list is neither a task nor a refusal."""
    with pytest.raises(TransportError, match="not an object"):
        read(Reply.of([task().json()]))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["success", "failed", "pending", IMAGE]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "status", "data", "code", "message", "error", "imageUrls", "errorMessage", "x"]), inner
        )
    ),
    max_leaves=12,
)


@given(
    document=JSON | st.binary(),
    status=st.integers(100, 599),
    provider_id=st.none() | st.just("task_1"),
    cut=st.integers(0, 40),
)
def test_whatever_comes_back_gives_a_snapshot_or_an_error_of_genbridge(
    document: object, status: int, provider_id: str | None, cut: int
) -> None:
    """No reply makes the plugin stumble, and none finishes a job without a file."""
    whole = document if isinstance(document, bytes) else json.dumps(document).encode()
    reply = Reply(status=status, body=whole[: len(whole) - cut] if cut < 20 else whole)
    try:
        snapshot = sseedance.normalize(BACKEND, a_job(provider_id), reply)
    except GenbridgeError:
        return
    assert snapshot.provider_id
    assert snapshot.assets or snapshot.status is not JobStatus.SUCCEEDED


@given(value=st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()))
def test_the_check_of_sizes_takes_values_of_any_type(value: object) -> None:
    """A value of the wrong type is the catalogue's to report, not a crash."""
    request = ImageRequest("a cat", aspect_ratio=value, size=value, resolution=value)  # type: ignore[arg-type]
    assert all(isinstance(problem, Problem) for problem in sseedance.check(BACKEND, request, PROVIDER.models[0]))
