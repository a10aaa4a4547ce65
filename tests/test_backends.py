"""One account: what is checked before a submit, what is known after one, and who is told."""

from __future__ import annotations

import logging
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from traceback import TracebackException
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest

from genbridge import (
    AuthenticationError,
    Backend,
    BackendError,
    Call,
    Capabilities,
    Certainty,
    ConfigError,
    Cost,
    Exchange,
    Failure,
    File,
    GenbridgeError,
    ImageRequest,
    InsufficientCreditsError,
    InvalidRequestError,
    Job,
    JobStatus,
    Limits,
    Media,
    Model,
    NotFoundError,
    PluginError,
    PollPolicy,
    Price,
    Problem,
    Provider,
    Quote,
    Range,
    RateLimitError,
    Reference,
    ReferenceRole,
    ReferenceRule,
    Reply,
    Request,
    RequestError,
    ServiceError,
    Setting,
    Snapshot,
    TransportError,
    Verdict,
    VideoRequest,
    hookimpl,
)
from genbridge.backends import Account
from genbridge.config import BackendConfig, PollConfig, Secret
from genbridge.limits import Rule
from genbridge.plugins import plugin_of
from genbridge.testing.clock import FakeClock
from genbridge.transport import Origin

KEY = "sk-0123456789-do-not-tell"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)

CLIP = Model(
    id="clip",
    provider_id="clip-1",
    media=Media.VIDEO,
    capabilities=Capabilities(
        duration=Range(1, 10, default=5),
        references=(ReferenceRule(role=ReferenceRole.FIRST_FRAME), ReferenceRule(role=ReferenceRole.ASSET, most=3)),
    ),
    prices=(Price(amount=10, per="second"),),
    expected=20.0,
)
PROVIDER = Provider(name="acme", base_url="https://api.acme.example", key_variable="ACME_KEY", unit="points", models=(CLIP,))
REQUEST = VideoRequest("a fox", duration=4)
JOB = Job(
    id="job-1",
    key="key-1",
    backend="main",
    provider="acme",
    model="clip",
    provider_model="clip-1",
    request=REQUEST,
    status=JobStatus.SUBMITTING,
    quote=Quote(amount=40.0),
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)

ACCEPTED = Reply.of({"id": "p1"})
PAGE = {"content-type": "text/html"}
UNSENT = TransportError("no connection", verdict=Verdict.NOT_SENT)
LOST = TransportError("the connection broke", verdict=Verdict.UNKNOWN)

Answer = Reply | Exception | Callable[[Call], Reply]


@attrs.define
class Script:
    """A transport that answers by a script, of which the last line is for ever, and remembers what it was given."""

    answers: deque[Answer]
    calls: list[Call] = attrs.field(factory=list)
    origins: list[Origin] = attrs.field(factory=list)

    async def send(self, call: Call, origin: Origin) -> Reply:
        self.calls.append(call)
        self.origins.append(origin)
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise pickle.loads(pickle.dumps(answer))
        return answer if isinstance(answer, Reply) else answer(call)

    @property
    def sent(self) -> list[str]:
        return [f"{call.method} {call.url}" for call in self.calls]

    @property
    def posts(self) -> int:
        return sum(call.method == "POST" for call in self.calls)


def normalize(reply: Reply) -> Snapshot:
    """Read an answer of the service that the tests are about."""
    if not reply.ok and reply.headers.get("content-type") != "text/html":
        raise ServiceError.for_status(reply.status, f"it said {reply.status}")
    fields = reply.fields()
    if "bug" in fields:
        raise KeyError(KEY)
    if code := fields.text("error"):
        error = ERRORS[code]()
        raise error
    status = JobStatus(fields.text("status") or "running")
    return Snapshot(
        status=status, provider_id=reply.json().get("id"), failure=Failure(message="no") if "failed" in fields else None
    )


ERRORS: Mapping[str, Callable[[], ServiceError]] = {
    "credits": lambda: InsufficientCreditsError("the account is empty"),
    "odd": lambda: ServiceError("something went wrong"),
    "doubt": lambda: InvalidRequestError("try again later", verdict=Verdict.UNKNOWN),
}


def submit(request: Request, key: str) -> Call:
    """Describe a submit of one call."""
    return Call.post("/jobs", json={"prompt": request.prompt, "model": request.model, "key": key})


def an_account(
    *answers: Answer, provider: Provider = PROVIDER, config: BackendConfig | None = None, **hooks: Callable[..., Any]
) -> tuple[Account, Script, FakeClock]:
    """Return an account at a provider with those hooks, the transport that it has, and its clock."""
    functions: dict[str, Callable[..., Any]] = {
        "describe": lambda: provider,
        "submit": submit,
        "poll": lambda job: Call.get(f"/jobs/{job.provider_id}"),
        "normalize": normalize,
        **hooks,
    }
    plugin = SimpleNamespace(__name__="acme-plugin", **{name: hookimpl(function) for name, function in functions.items()})
    script, clock = Script(deque(answers or (ACCEPTED,))), FakeClock()
    config = config or BackendConfig(name="main", provider="acme", api_key=Secret(KEY))
    return Account(config, plugin_of("acme", plugin), cast("Any", script), clock), script, clock


async def failure(account: Account, clock: FakeClock, job: Job = JOB) -> GenbridgeError:
    """Submit a job that fails, and return the error."""
    with pytest.raises(GenbridgeError) as caught:
        await clock.run(account.submit(job, job.request))
    return caught.value


# Submits: what is known of each answer, however many calls it took.


def after_a_free_call(request: Request, key: str) -> Exchange[Reply]:
    """Ask for something before the paid call."""
    yield Call.get("/quota")
    return (yield submit(request, key))


def after_another_post(request: Request, key: str) -> Exchange[Reply]:
    """Prepare something by a POST that costs nothing."""
    yield Call.post("/prepare", repeatable=True)
    return (yield submit(request, key))


def keyed(request: Request, key: str) -> Call:
    """Make a paid call whose key the service honours."""
    return attrs.evolve(submit(request, key), repeatable=True)


SHAPES: dict[str, tuple[Callable[..., Any], int, int]] = {
    "one call": (submit, 0, 1),
    "after a free call": (after_a_free_call, 1, 1),
    "after another POST": (after_another_post, 1, 1),
    "with a key": (keyed, 0, 3),
}
"""A submit's shape: its hook, how many calls go before the paid one, and how often that is made where no answer comes."""

OUTCOMES: dict[str, tuple[Answer, Verdict, type[BackendError]]] = {
    "400": (Reply.of({}, status=400), Verdict.REFUSED, InvalidRequestError),
    "401": (Reply.of({}, status=401), Verdict.REFUSED, AuthenticationError),
    "402": (Reply.of({}, status=402), Verdict.REFUSED, InsufficientCreditsError),
    "404": (Reply.of({}, status=404), Verdict.REFUSED, NotFoundError),
    "405": (Reply.of({}, status=405), Verdict.REFUSED, ServiceError),
    "422": (Reply.of({}, status=422), Verdict.REFUSED, InvalidRequestError),
    "429": (Reply.of({}, status=429), Verdict.REFUSED, RateLimitError),
    "408, which nobody documents": (Reply.of({}, status=408), Verdict.UNKNOWN, ServiceError),
    "409, which may be a copy": (Reply.of({}, status=409), Verdict.UNKNOWN, ServiceError),
    "500": (Reply.of({}, status=500), Verdict.UNKNOWN, ServiceError),
    "502": (Reply.of({}, status=502), Verdict.UNKNOWN, ServiceError),
    "503": (Reply.of({}, status=503), Verdict.UNKNOWN, ServiceError),
    "529, declared": (Reply.of({}, status=529), Verdict.REFUSED, ServiceError),
    "a page with 403": (Reply(status=403, headers=PAGE, body=b"<html>"), Verdict.REFUSED, AuthenticationError),
    "a page with 502": (Reply(status=502, headers=PAGE, body=b"<html>"), Verdict.UNKNOWN, TransportError),
    "a page with 200": (Reply(status=200, headers=PAGE, body=b"<html>"), Verdict.UNKNOWN, TransportError),
    "nothing with 200": (Reply(status=200), Verdict.UNKNOWN, TransportError),
    "no id": (Reply.of({}), Verdict.UNKNOWN, TransportError),
    "an empty id": (Reply.of({"id": ""}), Verdict.UNKNOWN, TransportError),
    "an error with 200": (Reply.of({"error": "credits"}), Verdict.REFUSED, InsufficientCreditsError),
    "an error with 200 that says nothing": (Reply.of({"error": "odd"}), Verdict.UNKNOWN, ServiceError),
    "an error with 200 that is in doubt": (Reply.of({"error": "doubt"}), Verdict.UNKNOWN, InvalidRequestError),
    "an answer that trips the plugin": (Reply.of({"bug": 1}), Verdict.UNKNOWN, TransportError),
    "a refusal that trips the plugin": (Reply.of({"bug": 1}, status=400, headers=PAGE), Verdict.REFUSED, InvalidRequestError),
    "no connection": (UNSENT, Verdict.NOT_SENT, TransportError),
    "no answer": (LOST, Verdict.UNKNOWN, TransportError),
    "a bug of ours": (RuntimeError("oops"), Verdict.UNKNOWN, TransportError),
}


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("shape", SHAPES)
async def test_a_submit_that_fails_says_what_is_known(shape: str, outcome: str) -> None:
    """By the kind of its error and its verdict, with the backend's name; and no paid call is made once too often."""
    hook, before, tries = SHAPES[shape]
    answer, verdict, kind = OUTCOMES[outcome]
    provider = attrs.evolve(PROVIDER, refusals=PROVIDER.refusals | {529})
    account, script, clock = an_account(*[Reply.of({})] * before, answer, submit=hook, provider=provider)
    error = await failure(account, clock)
    if shape == "after another POST" and verdict is Verdict.NOT_SENT:
        verdict = Verdict.UNKNOWN  # something did leave
    assert isinstance(error, BackendError)
    assert (kind, verdict, "main") == (type(error), error.verdict, error.backend)
    assert str(error).startswith("backend 'main': ")
    paid = script.sent.count("POST /jobs")
    assert (tries if isinstance(answer, TransportError) else 1) == paid


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_submit_that_works_is_one_call(shape: str) -> None:
    """To the provider's own model, with the job's key in it and the account's key beside it."""
    hook, before, _ = SHAPES[shape]
    account, script, clock = an_account(*[Reply.of({})] * before, ACCEPTED, submit=hook)
    assert "p1" == (await clock.run(account.submit(JOB, REQUEST))).provider_id
    assert {"prompt": "a fox", "model": "clip-1", "key": "key-1"} == script.calls[-1].json
    assert {("https://api.acme.example", f"Bearer {KEY}")} == {
        (each.base_url, each.headers["authorization"]) for each in script.origins
    }
    assert (1, 0.0) == (script.sent.count("POST /jobs"), clock.elapsed)


async def test_a_job_that_fails_at_once_needs_no_id() -> None:
    """The service says that it made nothing; there is nothing to poll."""
    account, _, clock = an_account(Reply.of({"status": "failed"}))
    assert JobStatus.FAILED is (await clock.run(account.submit(JOB, REQUEST))).status


async def test_an_exchange_may_read_its_answer_itself() -> None:
    """Its snapshot is taken as it is."""

    def read(request: Request, key: str) -> Exchange[Snapshot]:
        reply = yield submit(request, key)
        return Snapshot(status=JobStatus.QUEUED, provider_id=reply.fields().text("id"))

    account, _, clock = an_account(submit=read)
    assert Snapshot(status=JobStatus.QUEUED, provider_id="p1") == await clock.run(account.submit(JOB, REQUEST))


async def test_an_exchange_may_end_with_its_last_call() -> None:
    """Instead of the answer to it."""

    def last(request: Request, key: str) -> Exchange[Any]:
        yield Call.get("/quota")
        return submit(request, key)

    account, script, clock = an_account(submit=last)
    await clock.run(account.submit(JOB, REQUEST))
    assert ["GET /quota", "POST /jobs"] == script.sent


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_paid_call_that_must_not_leave_any_more_does_not(shape: str) -> None:
    """As when its process was stopped for a while; what is free was asked, and what had left before is in doubt."""
    hook, before, _ = SHAPES[shape]
    account, script, clock = an_account(*[Reply.of({})] * before, ACCEPTED, submit=hook)

    def too_late() -> None:
        if len(script.calls) == before:
            raise TransportError("this process was stopped", verdict=Verdict.NOT_SENT)

    with pytest.raises(TransportError) as caught:
        await clock.run(account.submit(JOB, REQUEST, check=too_late))
    assert 0 == script.sent.count("POST /jobs")
    assert (Verdict.UNKNOWN if shape == "after another POST" else Verdict.NOT_SENT) is caught.value.verdict


async def test_a_pause_that_a_good_answer_asks_for_is_heard() -> None:
    """From the header, where the plugin says nothing of it."""
    account, _, clock = an_account(Reply.of({"id": "p1"}, headers={"Retry-After": "60"}))
    assert 60.0 == (await clock.run(account.poll(attrs.evolve(JOB, provider_id="p1")))).poll_after


async def test_a_number_that_is_none_does_not_lose_a_job() -> None:
    """The service's id is what counts."""

    def wild(reply: Reply) -> Snapshot:
        return attrs.evolve(normalize(reply), cost=Cost(amount="a lot"), progress="half")  # type: ignore[arg-type]

    account, _, clock = an_account(normalize=wild)
    snapshot = await clock.run(account.submit(JOB, REQUEST))
    assert ("p1", None, None) == (snapshot.provider_id, snapshot.cost, snapshot.progress)


# Submits with a key.
# Submits with a key.


@pytest.mark.parametrize(
    ("answers", "posts"), [([LOST, ACCEPTED], 2), ([UNSENT, UNSENT, ACCEPTED], 3), ([LOST, UNSENT, ACCEPTED], 3)]
)
async def test_a_keyed_submit_is_repeated_until_it_is_answered(answers: list[Answer], posts: int) -> None:
    """The service makes one job of it, however often it arrives; there is a pause between."""
    account, script, clock = an_account(*answers, submit=keyed)
    assert "p1" == (await clock.run(account.submit(JOB, REQUEST))).provider_id
    assert posts == script.posts
    assert {"key-1"} == {call.json["key"] for call in script.calls}
    assert clock.elapsed == {2: 0.5, 3: 1.5}[posts]


@pytest.mark.parametrize("second", [Reply.of({}, status=402), Reply.of({"error": "credits"}), UNSENT, Reply.of({}, status=500)])
async def test_a_refused_repeat_does_not_prove_that_the_first_was_refused(second: Answer) -> None:
    """It may be refused because the first one took the last credits."""
    account, script, clock = an_account(LOST, second, submit=keyed)
    error = await failure(account, clock)
    assert isinstance(error, BackendError)
    assert Verdict.UNKNOWN is error.verdict
    assert script.posts >= 2


@pytest.mark.parametrize(("configured_for", "expected"), [(None, 90.0), (7.0, 7.0)])
async def test_what_is_configured_beats_how_long_the_plugin_would_wait_for_an_answer(
    configured_for: float | None, expected: float
) -> None:
    """A plugin's own time is what holds where the user has set none."""

    def patient(request: Request, key: str) -> Call:
        return Call.post("/jobs", json={"prompt": request.prompt, "key": key}, timeout=90.0)

    config = BackendConfig(name="main", provider="acme", api_key=Secret(KEY), submit_timeout=configured_for)
    account, script, clock = an_account(ACCEPTED, submit=patient, config=config)
    await clock.run(account.submit(JOB, REQUEST))
    assert [expected] == [call.timeout for call in script.calls]


async def test_a_submit_by_put_is_a_paid_call() -> None:
    """The job's key is in its address, so that it may be repeated; a lost answer is a job in doubt all the same."""

    def order(request: Request, key: str) -> Call:
        return Call(method="PUT", url=f"/jobs/{key}", json={"prompt": request.prompt}, repeatable=True)

    account, script, clock = an_account(LOST, submit=order)
    error = await failure(account, clock)
    assert isinstance(error, TransportError)
    assert (Verdict.UNKNOWN, ["PUT /jobs/key-1"] * 3) == (error.verdict, script.sent)


# Submits of several calls.


async def test_a_free_call_that_fails_is_repeated_and_then_nothing_was_sent() -> None:
    """It has three tries, and the paid call none."""
    account, script, clock = an_account(LOST, submit=after_a_free_call)
    error = await failure(account, clock)
    assert isinstance(error, TransportError)
    assert (Verdict.NOT_SENT, ["GET /quota"] * 3, 1.5) == (error.verdict, script.sent, clock.elapsed)


@pytest.mark.parametrize("answers", [[LOST, Reply.of({}), ACCEPTED], [Reply.of({}, status=503), UNSENT, Reply.of({}), ACCEPTED]])
async def test_a_free_call_that_fails_once_does_no_harm(answers: list[Answer]) -> None:
    """The submit goes on as if nothing had been."""
    account, script, clock = an_account(*answers, submit=after_a_free_call)
    await clock.run(account.submit(JOB, REQUEST))
    assert (1, "POST /jobs") == (script.posts, script.sent[-1])


async def test_a_free_call_that_is_refused_refuses_the_submit() -> None:
    """Nothing was paid for."""

    def careful(request: Request, key: str) -> Exchange[Reply]:
        reply = yield Call.get("/quota")
        if not reply.ok:
            raise ServiceError.for_status(reply.status, "the key is not valid")
        return (yield submit(request, key))

    account, script, clock = an_account(Reply.of({}, status=401), submit=careful)
    error = await failure(account, clock)
    assert isinstance(error, AuthenticationError)
    assert (Verdict.REFUSED, 0, "backend 'main': the key is not valid") == (error.verdict, script.posts, str(error))


def followed_up(request: Request, key: str) -> Exchange[Reply]:
    """Ask again after the paid call, and take what is wrong with that for the submit's outcome."""
    yield submit(request, key)
    reply = yield Call.get("/jobs/latest")
    if not reply.ok:
        raise ServiceError.for_status(reply.status, "there is no such job")
    return reply


@pytest.mark.parametrize("later", [Reply.of({}, status=404), Reply.of({}, status=401), Reply.of({"error": "credits"})])
async def test_a_call_after_the_paid_one_cannot_prove_a_refusal(later: Reply) -> None:
    """The paid call was answered well; that its job cannot be found is another matter."""
    account, script, clock = an_account(ACCEPTED, later, submit=followed_up)
    error = await failure(account, clock)
    assert isinstance(error, ServiceError)
    assert (Verdict.UNKNOWN, 1) == (error.verdict, script.posts)


async def test_a_refusal_of_the_paid_call_holds_whatever_is_asked_later() -> None:
    """An exchange may ask for the balance before it gives up."""
    account, _, clock = an_account(Reply.of({}, status=402), Reply.of({}, status=404), submit=followed_up)
    error = await failure(account, clock)
    assert isinstance(error, ServiceError)
    assert Verdict.REFUSED is error.verdict


async def test_a_lost_answer_after_the_paid_call_leaves_it_unknown() -> None:
    """The job is there, and its id is not."""
    account, _, clock = an_account(ACCEPTED, UNSENT, submit=followed_up)
    error = await failure(account, clock)
    assert isinstance(error, TransportError)
    assert Verdict.UNKNOWN is error.verdict


def twice(request: Request, key: str) -> Exchange[Reply]:
    """Make two calls that each may cost money."""
    yield Call.post("/sessions")
    return (yield submit(request, key))


@pytest.mark.parametrize(
    ("first", "verdict"),
    [(Reply.of({}), Verdict.UNKNOWN), (Reply.of({}, status=500), Verdict.UNKNOWN), (Reply.of({}, status=409), Verdict.UNKNOWN)],
)
async def test_a_refusal_of_the_second_paid_call_does_not_refuse_the_first(first: Reply, verdict: Verdict) -> None:
    """Which may have started something."""
    account, script, clock = an_account(first, Reply.of({}, status=402), submit=twice)
    error = await failure(account, clock)
    assert isinstance(error, InsufficientCreditsError)
    assert (verdict, 2) == (error.verdict, script.posts)


async def test_two_paid_calls_that_are_both_refused_are_a_refusal() -> None:
    """Neither has started anything."""
    account, _, clock = an_account(Reply.of({}, status=404), Reply.of({}, status=402), submit=twice)
    error = await failure(account, clock)
    assert isinstance(error, InsufficientCreditsError)
    assert Verdict.REFUSED is error.verdict


@pytest.mark.parametrize("first", [ACCEPTED, Reply.of({}, status=500)])
async def test_a_plugin_cannot_send_its_paid_call_again(first: Reply) -> None:
    """Whatever it thinks of the answer: that would pay twice."""

    def stubborn(request: Request, key: str) -> Exchange[Reply]:
        while True:
            reply = yield submit(request, key)
            if reply.status == 201:
                return reply

    account, script, clock = an_account(first, submit=stubborn)
    error = await failure(account, clock)
    assert isinstance(error, BackendError)
    assert (Verdict.UNKNOWN, 1) == (error.verdict, script.posts)
    assert "would pay twice" in str(error)


async def test_a_plugin_may_send_again_what_was_refused() -> None:
    """With nothing started there is nothing to pay twice."""

    def patient(request: Request, key: str) -> Exchange[Reply]:
        reply = yield submit(request, key)
        while reply.status == 429:
            reply = yield submit(request, key)
        return reply

    account, script, clock = an_account(Reply.of({}, status=429), ACCEPTED, submit=patient)
    await clock.run(account.submit(JOB, REQUEST))
    assert 2 == script.posts


# Plugins with bugs.


def fails() -> Any:
    """Fail before anything is described."""
    raise LookupError("a typo")


def fails_at_once(request: Request) -> Exchange[Reply]:
    """Fail in an exchange, before its first call."""
    if request.prompt:
        raise LookupError("a typo")
    return (yield Call.get("/"))


def fails_after_a_free_call(request: Request) -> Exchange[Reply]:
    """Fail before the paid call."""
    yield Call.get("/quota")
    raise LookupError("a typo")


def yields_a_text(request: Request) -> Exchange[Reply]:
    """Yield something else than a call."""
    return (yield "POST /jobs")  # type: ignore[misc]


def returns_nothing(request: Request) -> Exchange[Any]:
    """Return nothing, after a free call."""
    yield Call.get("/quota")


@pytest.mark.parametrize("hook", [fails, fails_at_once, fails_after_a_free_call, yields_a_text, returns_nothing])
async def test_a_bug_before_the_paid_call_is_the_plugins_and_nothing_was_sent(hook: Callable[..., Any]) -> None:
    """The error names the package; it is not a verdict on the backend."""
    account, script, clock = an_account(submit=hook)
    error = await failure(account, clock)
    assert (PluginError, 0) == (type(error), script.posts)
    assert "of the package 'acme-plugin'" in str(error)


def fails_after_the_paid_call(request: Request, key: str) -> Exchange[Reply]:
    """Fail with the answer in hand."""
    yield submit(request, key)
    raise LookupError("a typo")


def gives_up_after_the_paid_call(request: Request, key: str) -> Exchange[Reply]:
    """Take the answer for a mistake of the user's."""
    yield submit(request, key)
    raise RequestError("that cannot be")


def returns_nothing_after_the_paid_call(request: Request, key: str) -> Exchange[Any]:
    """Lose the answer."""
    yield submit(request, key)


def never_ends(request: Request, key: str) -> Exchange[Reply]:
    """Ask for ever."""
    yield submit(request, key)
    while True:
        yield Call.get("/status")


@pytest.mark.parametrize(
    "hook", [fails_after_the_paid_call, gives_up_after_the_paid_call, returns_nothing_after_the_paid_call, never_ends]
)
async def test_a_bug_after_the_paid_call_never_means_that_nothing_was_sent(hook: Callable[..., Any]) -> None:
    """The job may be there."""
    account, script, clock = an_account(submit=hook)
    error = await failure(account, clock)
    assert isinstance(error, TransportError)
    assert (Verdict.UNKNOWN, 1, "main") == (error.verdict, script.posts, error.backend)
    assert len(script.calls) <= 100


async def test_an_exchange_that_never_ends_is_stopped() -> None:
    """Before it has paid for anything; the error says so."""

    def wait() -> Exchange[Reply]:
        while True:
            yield Call.get("/queue")

    account, script, clock = an_account(submit=wait)
    error = await failure(account, clock)
    bug = "has a bug in its hook 'submit', whose exchange made 100 calls and did not end"
    assert f"the provider 'acme' of the package 'acme-plugin' {bug}" == str(error)
    assert (PluginError, 100) == (type(error), len(script.calls))


async def test_a_bug_of_ours_before_the_paid_call_comes_out_as_it_is() -> None:
    """It is reported as a bug, and nothing was sent."""
    account, script, clock = an_account(RuntimeError("oops"), submit=after_a_free_call)
    with pytest.raises(RuntimeError, match="oops"):
        await clock.run(account.submit(JOB, REQUEST))
    assert 0 == script.posts


async def test_a_missing_key_is_named_before_anything_is_sent() -> None:
    """With where to put it."""
    config = BackendConfig(name="main", provider="acme", key_source="env ACME_KEY")
    account, script, clock = an_account(config=config)
    error = await failure(account, clock)
    assert "backend 'main' has no API key: set the environment variable ACME_KEY" == str(error)
    assert (ConfigError, []) == (type(error), script.calls)


async def test_the_key_is_in_no_error() -> None:
    """Whatever the plugin or the transport say."""
    for answer, *_ in OUTCOMES.values():
        account, _, clock = an_account(answer, submit=keyed)
        error = await failure(account, clock)
        causes = [error, error.__cause__, error.__context__]
        assert not any(f"Bearer {KEY}" in repr((each, vars(each))) for each in causes if each is not None)


async def test_the_key_is_no_variable_of_a_frame_that_an_error_comes_from() -> None:
    """There are tools that show those of a traceback."""
    for answer in (LOST, UNSENT, RuntimeError("no")):
        account, _, clock = an_account(answer)
        with pytest.raises((GenbridgeError, RuntimeError)) as caught:
            await clock.run(account.submit(JOB, JOB.request))
        told = "".join(TracebackException.from_exception(caught.value, capture_locals=True).format())
        assert (True, False) == ("paid = " in told, KEY in told)


@pytest.mark.parametrize("written", [KEY, KEY.replace("-", "\\u002d"), KEY.replace("-", "%2D")])
async def test_a_service_that_repeats_the_key_is_not_quoted_on_it(written: str) -> None:
    """However it writes it, in the body and in the headers."""
    body = f'{{"error": "credits", "id": "{written}"}}'.encode()
    account, *_ = an_account(Reply(status=200, body=body, headers={"x-odd": f"Bearer {written}"}))
    seen: list[Reply] = []
    account.plugin = plugin_of("acme", _watched(seen))
    await account.poll(attrs.evolve(JOB, provider_id="p1"))
    assert ("***", "Bearer ***") == (seen[0].json()["id"], seen[0].headers["x-odd"])


def _watched(seen: list[Reply]) -> SimpleNamespace:
    def read(reply: Reply) -> Snapshot:
        seen.append(reply)
        return Snapshot(status=JobStatus.RUNNING)

    hooks = {"describe": lambda: PROVIDER, "submit": submit, "poll": lambda job: Call.get("/jobs/1"), "normalize": read}
    return SimpleNamespace(__name__="acme-plugin", **{name: hookimpl(function) for name, function in hooks.items()})


# Plans.


async def refused(account: Account, clock: FakeClock, request: Request) -> list[str]:
    """Plan a request that is not valid, and return what is wrong with it."""
    with pytest.raises(RequestError) as caught:
        await clock.run(account.plan(request))
    return [str(problem) for problem in caught.value.problems]


async def test_a_valid_request_is_priced_by_the_list() -> None:
    """Without a call."""
    account, script, clock = an_account()
    plan = await clock.run(account.plan(REQUEST))
    assert (REQUEST, CLIP, []) == (plan.request, plan.model, script.calls)
    assert (40.0, "points", Certainty.EXACT, "clip", "main") == (
        plan.quote.amount,
        plan.quote.unit,
        plan.quote.certainty,
        plan.quote.model,
        plan.quote.backend,
    )


@pytest.mark.parametrize(("said", "amount"), [(Quote(amount=7.0, unit="coins"), 7.0), (None, 40.0)])
async def test_a_plugin_may_know_the_price_better(said: Quote | None, amount: float) -> None:
    """Or leave it to the list."""
    account, _, clock = an_account(quote=lambda request: said)
    quote = (await clock.run(account.plan(REQUEST))).quote
    assert (amount, "clip", "main") == (quote.amount, quote.model, quote.backend)


async def test_every_problem_is_in_one_error() -> None:
    """The catalogue's, those of the references, and the plugin's own."""
    references = [Reference("https://10.0.0.1/a.png", role="first_frame"), Reference(Path("gone.png"), role="first_frame")]
    request = attrs.evolve(REQUEST, prompt=" ", duration=11, references=tuple(references))
    account, script, clock = an_account(check=lambda request: [Problem("prompt", "no foxes"), Problem("prompt", "no foxes")])
    problems = await refused(account, clock, request)
    assert ["prompt", "duration", "references", "references[0]", "references[1]", "prompt"] == [
        problem.partition(":")[0] for problem in problems
    ]
    assert ("prompt: no foxes", []) == (problems[-1], script.calls)


async def test_the_error_of_a_request_names_the_backend_and_says_that_nothing_was_sent() -> None:
    """In one line above the problems."""
    account, _, clock = an_account()
    with pytest.raises(RequestError) as caught:
        await clock.run(account.plan(attrs.evolve(REQUEST, duration=11)))
    assert "the request has a problem on backend 'main'; nothing was sent" == caught.value.message
    with pytest.raises(RequestError, match="the request has 2 problems on backend 'main'; nothing was sent"):
        await clock.run(account.plan(attrs.evolve(REQUEST, duration=11, prompt="")))


async def test_a_plugins_check_that_trips_over_a_wrong_request_hides_nothing() -> None:
    """It may rely on what the catalogue has checked; on a request that is right, it is a bug."""
    account, _, clock = an_account(check=lambda request: [Problem("duration", "odd")] if request.duration % 2 else [])
    problems = await refused(account, clock, VideoRequest("a fox", duration=cast("Any", "long")))
    assert ["duration: 'long' is not a number"] == problems
    broken, _, clock = an_account(check=fails)
    with pytest.raises(PluginError, match="has a bug in its hook 'check'"):
        await clock.run(broken.plan(REQUEST))


async def test_a_local_file_needs_a_plugin_that_uploads(tmp_path: Path) -> None:
    """It is said before anything is sent, once it is known to be a good file."""
    path = tmp_path / "fox.png"
    path.write_bytes(PNG)
    request = attrs.evolve(REQUEST, references=(Reference(path, role="first_frame"), Reference("https://example.com/a.png")))
    account, _, clock = an_account()
    problems = await refused(account, clock, request)
    assert ["references[0]: backend 'main' cannot take local files; give a public URL"] == problems
    account, _, clock = an_account(upload=lambda file: "data:,")
    assert CLIP == (await clock.run(account.plan(request))).model


async def test_a_backend_on_this_machine_takes_what_it_serves() -> None:
    """As the sandbox does."""
    request = attrs.evolve(REQUEST, references=(Reference("http://127.0.0.1:8000/a.png", role="first_frame"),))
    config = BackendConfig(name="main", provider="acme", base_url="http://127.0.0.1:8000/base")
    account, _, clock = an_account(config=config)
    assert CLIP == (await clock.run(account.plan(request))).model
    account, _, clock = an_account()
    assert 1 == len(await refused(account, clock, request))


async def test_a_medium_that_the_provider_does_not_make_is_an_error() -> None:
    """Which names the backend."""
    account, _, clock = an_account()
    assert ["model: backend 'main' makes no images"] == await refused(account, clock, ImageRequest("a fox"))


# The live list.


NEW = Model(id="new", provider_id="new-1", media=Media.VIDEO, expected=99.0)


def with_a_list(*answers: Answer, models: Iterable[Model] = (NEW,)) -> tuple[Account, Script, FakeClock]:
    """Return an account at a service that has a live list of its models."""

    def catalogue(reply: Reply) -> Iterable[Model]:
        if not reply.ok:
            raise ServiceError.for_status(reply.status, "no list today")
        return models

    return an_account(*answers, models=lambda: Call.get("/models"), catalogue=catalogue)


async def test_the_live_list_is_asked_for_a_model_that_is_not_in_the_table() -> None:
    """Once in a while, not at every request."""
    account, script, clock = with_a_list()
    for name in ("new", "new-1", "new"):
        plan = await clock.run(account.plan(VideoRequest("a fox", model=name)))
        assert NEW == plan.model
    assert ["GET /models"] == script.sent
    clock.advance(PROVIDER.catalogue_ttl - 1)
    await clock.run(account.plan(VideoRequest("a fox", model="new")))
    clock.advance(1)
    await clock.run(account.plan(VideoRequest("a fox", model="new")))
    assert ["GET /models"] * 2 == script.sent


@pytest.mark.parametrize("model", ["clip", "clip-1", None])
async def test_the_live_list_is_not_asked_for_a_model_in_the_table(model: str | None) -> None:
    """A check needs no call."""
    account, script, clock = with_a_list()
    await clock.run(account.plan(VideoRequest("a fox", model=model)))
    assert [] == script.calls


async def test_a_model_that_no_list_has_is_an_error_with_what_is_near() -> None:
    """After the service was asked."""
    account, script, clock = with_a_list()
    assert ["model: backend 'main' has no video model 'newt'; did you mean 'new'?"] == await refused(
        account, clock, VideoRequest("a fox", model="newt")
    )
    assert 1 == len(script.calls)


@pytest.mark.parametrize("answer", [LOST, Reply.of({}, status=500), Reply.of({}, status=401)])
async def test_without_the_live_list_the_table_is_what_there_is(answer: Answer, caplog: pytest.LogCaptureFixture) -> None:
    """The log says why, and the request is refused as for a model that nobody has."""
    account, _, clock = with_a_list(answer)
    problems = await refused(account, clock, VideoRequest("a fox", model="new"))
    assert 1 == len(problems)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.startswith("backend 'main': the live list of models could not be read: ")


async def test_the_live_list_says_more_of_a_known_model() -> None:
    """What it says is taken for that model, in its place; others come behind."""
    live = attrs.evolve(CLIP, expected=33.0, live=True)
    account, script, clock = with_a_list(models=(NEW, live))
    assert (CLIP,) == await clock.run(account.models(live=False))
    assert (live, NEW) == await clock.run(account.models(live=True))
    assert (live, NEW) == await clock.run(account.models(live=True))
    assert (live, NEW) == await clock.run(account.models(live=False))
    assert 1 == len(script.calls)
    assert (33.0, 99.0, None) == (account.usual("clip-1"), account.usual("new-1"), account.usual("gone"))
    clock.advance(PROVIDER.catalogue_ttl)
    assert ((CLIP,), 20.0) == (await clock.run(account.models(live=False)), account.usual("clip-1"))


async def test_a_provider_without_a_live_list_has_its_table() -> None:
    """Whoever asks."""
    account, script, clock = an_account()
    assert ((CLIP,), []) == (await clock.run(account.models(live=True)), script.calls)


async def test_a_list_that_was_asked_for_and_fails_is_an_error() -> None:
    """With the backend's name, after three tries where that may help."""
    account, script, clock = with_a_list(LOST)
    with pytest.raises(TransportError) as caught:
        await clock.run(account.models(live=True))
    assert ("backend 'main': the connection broke", 3) == (str(caught.value), len(script.calls))


# Uploads.


@pytest.fixture
def local(tmp_path: Path) -> Request:
    """Give a request with a local file and a URL."""
    path = tmp_path / "fox.png"
    path.write_bytes(PNG)
    return attrs.evolve(REQUEST, references=(Reference(path, role="first_frame"), Reference("https://example.com/a.png")))


def presigned(file: File) -> Exchange[str]:
    """Upload by a URL that the service makes."""
    reply = yield Call.post("/presign", json={"name": file.name}, repeatable=True)
    if not reply.ok:
        raise ServiceError.for_status(reply.status, "no room")
    yield Call.put("https://files.example/put?sig=1", body=file.data, content_type=file.content_type)
    return f"https://files.example/{file.name}"


async def test_a_local_file_becomes_a_url(local: Request) -> None:
    """Which the plugin makes at once; other references stay as they are, roles and all."""
    given: list[File] = []

    def upload(backend: Backend, file: File) -> str:
        given.append(file)
        return "data:image/png;base64,AA"

    account, script, _ = an_account(upload=upload)
    ready = await account.upload(local, "clip-1")
    assert [("data:image/png;base64,AA", "first_frame"), ("https://example.com/a.png", "asset")] == [
        (reference.source, reference.role) for reference in ready.references
    ]
    assert [("fox.png", PNG, "image/png", "clip-1")] == [(file.name, file.data, file.content_type, file.model) for file in given]
    assert ([], attrs.evolve(local, references=())) == (script.calls, attrs.evolve(ready, references=()))


async def test_an_upload_may_take_several_calls(local: Request) -> None:
    """The plugin describes them."""
    account, script, clock = an_account(Reply.of({}), upload=presigned)
    ready = await clock.run(account.upload(local, "clip-1"))
    assert "https://files.example/fox.png" == ready.references[0].source
    assert ["POST /presign", "PUT https://files.example/put?sig=1"] == script.sent


@pytest.mark.parametrize(
    "answers", [[LOST, Reply.of({})], [Reply.of({}), LOST, UNSENT, Reply.of({})], [Reply.of({}, status=503), Reply.of({})]]
)
async def test_an_upload_that_fails_is_tried_again(local: Request, answers: list[Answer]) -> None:
    """It costs nothing."""
    account, _, clock = an_account(*answers, upload=presigned)
    assert "https://files.example/fox.png" == (await clock.run(account.upload(local, "clip-1"))).references[0].source


@pytest.mark.parametrize(("answer", "kind"), [(LOST, TransportError), (Reply.of({}, status=413), InvalidRequestError)])
async def test_an_upload_that_cannot_be_made_means_that_nothing_was_submitted(
    local: Request, answer: Answer, kind: type[BackendError]
) -> None:
    """Whatever is known of the upload itself."""
    account, _, clock = an_account(answer, upload=presigned)
    with pytest.raises(kind) as caught:
        await clock.run(account.upload(local, "clip-1"))
    assert (Verdict.NOT_SENT, "main") == (caught.value.verdict, caught.value.backend)
    assert str(caught.value).startswith("backend 'main': ")


async def test_an_upload_without_a_url_is_a_bug_of_the_plugin(local: Request) -> None:
    """Before the submit is made with it."""

    def forgets(file: File) -> Exchange[Any]:
        yield Call.get("/")

    account, _, clock = an_account(Reply.of({}), upload=forgets)
    with pytest.raises(PluginError, match="returned NoneType, not a URL"):
        await clock.run(account.upload(local, "clip-1"))


# Afterwards.


ACTIVE = attrs.evolve(JOB, provider_id="p1", status=JobStatus.RUNNING)


async def test_a_poll_asks_once() -> None:
    """And is read by the plugin."""
    account, script, clock = an_account()
    assert "p1" == (await clock.run(account.poll(ACTIVE))).provider_id
    assert ["GET /jobs/p1"] == script.sent


@pytest.mark.parametrize("answer", [LOST, UNSENT, Reply.of({}, status=500), Reply(status=200, body=b"<html>")])
async def test_a_poll_that_fails_is_an_error_and_not_repeated(answer: Answer) -> None:
    """When to ask again is for the scheduler."""
    account, script, clock = an_account(answer)
    with pytest.raises(BackendError) as caught:
        await clock.run(account.poll(ACTIVE))
    assert ("main", 1) == (caught.value.backend, len(script.calls))
    assert str(caught.value).startswith("backend 'main': ")


async def test_a_poll_that_comes_to_nothing_is_a_bug_of_the_plugin() -> None:
    """It has to come to an answer."""
    account, _, clock = an_account(poll=returns_nothing_at_all)
    with pytest.raises(PluginError, match="returned NoneType, not a Reply"):
        await clock.run(account.poll(ACTIVE))


def returns_nothing_at_all(job: Job) -> Exchange[Any]:
    """Ask, and lose the answer."""
    yield Call.get("/")


@pytest.mark.parametrize("repeatable", [True, False])
async def test_a_cancel_is_repeated_only_where_that_is_safe(repeatable: bool) -> None:
    """As its plugin says."""
    call = Call(method="DELETE", url="/jobs/p1", repeatable=repeatable)
    account, script, clock = an_account(LOST, ACCEPTED, cancel=lambda: call)
    if repeatable:
        assert "p1" == (await clock.run(account.cancel(ACTIVE))).provider_id
    else:
        with pytest.raises(TransportError):
            await clock.run(account.cancel(ACTIVE))
    assert (2 if repeatable else 1) == len(script.calls)


async def test_a_cancel_that_the_service_refuses_is_told() -> None:
    """With the backend's name."""
    account, _, clock = an_account(
        Reply.of({}, status=404), cancel=lambda job: Call(method="DELETE", url=f"/jobs/{job.provider_id}")
    )
    with pytest.raises(NotFoundError, match="backend 'main': it said 404"):
        await clock.run(account.cancel(ACTIVE))


def look_up(job: Job) -> Exchange[Reply | None]:
    """Ask for a job by its key."""
    reply = yield Call.get(f"/requests/{job.key}")
    return None if reply.status == 404 else reply


@pytest.mark.parametrize(("answer", "found"), [(ACCEPTED, "p1"), (Reply.of({}, status=404), None)])
async def test_a_look_up_finds_the_job_or_proves_that_there_is_none(answer: Reply, found: str | None) -> None:
    """By the job's key."""
    account, script, clock = an_account(answer, recover=look_up)
    snapshot = await clock.run(account.recover(JOB))
    assert (found, ["GET /requests/key-1"]) == (snapshot and snapshot.provider_id, script.sent)


async def test_a_look_up_that_fails_proves_nothing() -> None:
    """It is an error, with the backend's name."""
    account, _, clock = an_account(LOST, recover=look_up)
    with pytest.raises(TransportError, match="backend 'main': the connection broke"):
        await clock.run(account.recover(JOB))


# What the configuration says.


def configured(**changes: Any) -> BackendConfig:
    """Return a configuration of the backend."""
    return attrs.evolve(BackendConfig(name="main", provider="acme", api_key=Secret(KEY)), **changes)


def test_hooks_see_the_account_and_never_its_key() -> None:
    """Its settings with their defaults, and the proxy instead of the service where there is one."""
    settings = (Setting(name="region", description="where", default="eu"), Setting(name="tier", description="how", default="free"))
    provider = attrs.evolve(PROVIDER, settings=settings)
    account, _, _ = an_account(provider=provider, config=configured(settings={"tier": "pro"}))
    expected = Backend(name="main", provider="acme", base_url="https://api.acme.example", settings={"region": "eu", "tier": "pro"})
    assert expected == account.backend
    assert KEY not in repr(vars(account))
    account, _, _ = an_account(config=configured(base_url="https://proxy.example/acme"))
    assert "https://proxy.example/acme" == account.backend.base_url


async def test_the_key_is_sent_as_the_provider_says() -> None:
    """In its own header, without a prefix where it wants none."""
    provider = attrs.evolve(PROVIDER, auth_header="X-Api-Key", auth_prefix="")
    account, script, clock = an_account(provider=provider, config=configured(base_url="https://proxy.example/acme"))
    await clock.run(account.poll(ACTIVE))
    assert [("https://proxy.example/acme", {"x-api-key": KEY})] == [(each.base_url, each.headers) for each in script.origins]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Limits(submits=12, per=30.0, concurrent=4)),
        ({"submits_per_minute": 6}, Limits(submits=6, per=60.0, concurrent=4)),
        ({"max_concurrent": 1}, Limits(submits=12, per=30.0, concurrent=1)),
        ({"submits_per_minute": 6, "max_concurrent": 1}, Limits(submits=6, per=60.0, concurrent=1)),
    ],
)
def test_limits_are_the_providers_unless_the_configuration_says_otherwise(changes: dict[str, Any], expected: Limits) -> None:
    """Each by itself."""
    provider = attrs.evolve(PROVIDER, limits=Limits(submits=12, per=30.0, concurrent=4))
    account, _, _ = an_account(provider=provider, config=configured(**changes))
    assert [Rule(limits=expected)] == account.rules(ACTIVE)


def test_media_and_models_have_limits_of_their_own() -> None:
    """What the configuration says goes before what the provider says, each number by itself."""
    model = attrs.evolve(PROVIDER.models[0], limits=Limits(submits=3, per=10.0))
    provider = attrs.evolve(
        PROVIDER, limits=Limits(submits=12), media_limits={ACTIVE.media: Limits(concurrent=5, submits=6)}, models=(model,)
    )
    limits = {"": Limits(concurrent=9), ACTIVE.media: Limits(submits=2, per=1.0), model.id: Limits(concurrent=1)}
    account, _, _ = an_account(provider=provider, config=configured(limits=limits))
    assert [
        Rule(limits=Limits(submits=12, concurrent=9)),
        Rule(limits=Limits(submits=2, per=1.0, concurrent=5), media=ACTIVE.media),
        Rule(limits=Limits(submits=3, per=10.0, concurrent=1), model=ACTIVE.model),
    ] == account.rules(ACTIVE)


def test_without_limits_there_are_no_rules() -> None:
    """And nothing to count."""
    account, _, _ = an_account()
    assert [] == account.rules(ACTIVE)


@pytest.mark.parametrize(
    ("poll", "expected"),
    [
        (PollConfig(), PollPolicy(interval=7.0)),
        (PollConfig(interval=2.0), PollPolicy(interval=2.0, fixed=True)),
        (PollConfig(learn=False), PollPolicy(interval=7.0, fixed=True)),
        (PollConfig(timeout=90.0), PollPolicy(interval=7.0, timeout=90.0)),
        (PollConfig(interval=2.0, learn=False, timeout=90.0), PollPolicy(interval=2.0, fixed=True, timeout=90.0)),
    ],
)
def test_polls_are_as_the_provider_says_unless_the_configuration_says_otherwise(poll: PollConfig, expected: PollPolicy) -> None:
    """An interval that somebody writes down is kept throughout."""
    account, _, _ = an_account(provider=attrs.evolve(PROVIDER, poll=PollPolicy(interval=7.0)), config=configured(poll=poll))
    assert expected == account.poll_policy
