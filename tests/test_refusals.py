"""A submit that failed in one process fails in the same way for whoever waits for it in another."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest

from genbridge import (
    BudgetError,
    ConfigError,
    Failure,
    GenbridgeError,
    InsufficientCreditsError,
    Job,
    JobError,
    JobStatus,
    PluginError,
    Problem,
    Quote,
    RateLimitError,
    Reference,
    RequestError,
    ServiceError,
    TransportError,
    Verdict,
    VideoRequest,
)
from genbridge.journal.records import dump, load
from genbridge.refusals import failure_of, refusal

JOB = Job(
    id="job-1",
    key="key-1",
    backend="main",
    provider="studio",
    model="clip",
    provider_model="clip-1",
    request=VideoRequest("a fox", duration=5),
    status=JobStatus.FAILED,
    quote=Quote(amount=50.0),
    created_at=datetime(2026, 1, 1, 12, tzinfo=UTC),
)


def told(error: GenbridgeError, job: Job = JOB) -> GenbridgeError | None:
    """Return the error that somebody else raises once an error is on record."""
    return refusal(load(dump(attrs.evolve(job, failure=failure_of(error)))))


REFUSALS = [
    RateLimitError("too many", status=429, code="slow", request_id="r1", retry_after=7.0, backend="main", verdict=Verdict.REFUSED),
    InsufficientCreditsError("no credits", status=402, backend="main", verdict=Verdict.REFUSED),
    ServiceError("it said 418", status=418, backend="main", verdict=Verdict.REFUSED),
    TransportError("no connection", backend="main", verdict=Verdict.NOT_SENT),
    TransportError("backend 'main' is not known there", backend="main", verdict=Verdict.NOT_SENT),
]


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: error.message)
def test_what_a_backend_said_is_the_same_error_again(error: GenbridgeError) -> None:
    """Its class, its sentence, the verdict by which a route falls back, and all that the service gave with it."""
    again = told(error)
    assert type(error) is type(again)
    assert str(error) == str(again)
    assert error.__dict__ == {name: value for name, value in vars(again).items() if name != "job"}


def test_the_error_carries_the_job_on_record() -> None:
    """As it does where the submit was made."""
    again = told(REFUSALS[0])
    assert isinstance(again, RateLimitError)
    assert again.job is not None
    assert ("job-1", JobStatus.FAILED) == (again.job.id, again.job.status)


OURS = [
    RequestError("the request has a problem", problems=[Problem("duration", "too long")]),
    BudgetError("it would exceed the cap"),
    PluginError("the package is broken", package="studio"),
    ConfigError("there is no key"),
]


@pytest.mark.parametrize("error", OURS, ids=lambda error: error.message)
def test_what_was_wrong_here_is_the_same_error_again(error: GenbridgeError) -> None:
    """With everything that it says."""
    again = told(error)
    assert (type(error), str(error)) == (type(again), str(again))


def test_a_cap_that_was_exceeded_says_by_what() -> None:
    """The quote is the job's own."""
    again = told(BudgetError("it would exceed the cap"))
    assert isinstance(again, BudgetError)
    assert JOB.quote == again.quote


def test_a_local_file_that_the_worker_has_not_got_is_said_to_be_read_there() -> None:
    """Where the request has a file; the sentence says what to do."""
    job = attrs.evolve(JOB, request=VideoRequest("a fox", references=[Reference(Path("/a/fox.png"))]))
    error = told(RequestError("the reference '/a/fox.png' cannot be read: No such file; nothing was sent"), job)
    assert "'/a/fox.png' cannot be read" in str(error)
    assert "by the worker" in str(error)


class OddError(ServiceError):
    """What a provider's package may raise."""


def test_an_error_of_a_packages_own_is_told_as_the_kind_that_everybody_knows() -> None:
    """Who waits may not have that package."""
    assert ServiceError is type(told(OddError("odd", status=400)))


@pytest.mark.parametrize(
    "job",
    [
        JOB,
        attrs.evolve(JOB, failure=Failure(message="too dark")),
        attrs.evolve(JOB, failure=Failure(message="odd", kind="SystemExit")),
        attrs.evolve(JOB, failure=failure_of(JobError("odd", job=JOB))),
        attrs.evolve(JOB, failure=failure_of(REFUSALS[0]), provider_id="p1"),
        attrs.evolve(JOB, failure=failure_of(REFUSALS[0]), status=JobStatus.UNKNOWN),
    ],
)
def test_any_other_end_is_no_refusal(job: Job) -> None:
    """What the service made and failed at, what it says itself, and what nobody here knows as an error."""
    assert refusal(job) is None
