"""What the harness of several workers counts: each way to lose a job or to pay twice, and what explains a doubt."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest

HERE = Path(__file__).parent
sys.path.append(str(HERE))

from fleet_counts import Cause, Outage, Silence, audited, most_at_once, recoveries  # noqa: E402
from service import Accepted, Arrival, Report  # noqa: E402

from genbridge import ImageRequest, Job, JobStatus, Quote  # noqa: E402

_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_AT = _NOON.timestamp()


def job(marker: str, status: JobStatus = JobStatus.SUCCEEDED) -> Job:
    """Return a record."""
    return Job(
        id=f"job-{marker}",
        key=marker,
        backend="main",
        provider="imini",
        model="a-model",
        provider_model="a-model",
        request=ImageRequest(f"a drawing [job {marker}]"),
        status=status,
        quote=Quote(amount=1.0),
        created_at=_NOON,
        provider_id=None if status is JobStatus.UNKNOWN else f"task-{marker}",
    )


def post(marker: str, *, at: float = 0.0, by: str = "a.1") -> Arrival:
    """Return a submit that was answered within a fifth of a second."""
    return Arrival(
        step="submit", method="POST", path="/generate", job=marker, at=_AT + at, keyed=True, by=by, answered=_AT + at + 0.2
    )


def poll(marker: str, *, at: float, by: str = "a.1") -> Arrival:
    """Return a poll."""
    return attrs.evolve(post("", at=at, by=by), step="poll", method="GET", path=f"/tasks/task-{marker}")


def report(*arrivals: Arrival, accepted: tuple[str, ...] | None = None) -> Report:
    """Return what a service saw, which accepted the submits, unless others are given."""
    made = [arrival.job for arrival in arrivals if arrival.step == "submit"] if accepted is None else accepted
    return Report(
        accepted=tuple(Accepted(job=marker, id=f"task-{marker}", key=None, at=_AT) for marker in made),
        arrivals=arrivals,
        files={},
    )


def silence(since: float, until: float, *, worker: str = "a.1", killed: bool = True) -> Silence:
    """Return when a worker was killed, or stopped."""
    return Silence(worker=worker, since=_AT + since, until=_AT + until, killed=killed)


def test_jobs_that_ended_well_break_no_promise() -> None:
    """Nothing is wrong with a job that was posted once and succeeded."""
    assert [] == audited(["1"], [job("1")], report(post("1"))).wrong()


@pytest.mark.parametrize("status", [JobStatus.PENDING, JobStatus.SUBMITTING, JobStatus.QUEUED, JobStatus.RUNNING])
def test_a_job_that_never_ends_is_lost(status: JobStatus) -> None:
    """A job is lost where its record says for ever that it goes on."""
    assert ["1"] == audited(["1"], [job("1", status)], report(post("1"))).lost


def test_a_job_without_a_record_is_lost() -> None:
    """A job is lost where nothing is on record of it."""
    assert ["1", "2"] == audited(["1", "2"], [], report(post("2"))).lost


def test_a_job_is_lost_whose_id_at_the_service_nobody_knows() -> None:
    """What the service made counts as lost where the record has another id and no doubt."""
    other = attrs.evolve(job("1"), provider_id="task-of-another")
    assert ["1"] == audited(["1"], [other], report(post("1"))).lost


def test_a_job_that_was_made_twice_is_found() -> None:
    """Two ids of one job are one too many."""
    seen = report(post("1"), post("1", at=5.0))
    twice = attrs.evolve(seen, accepted=(seen.accepted[0], attrs.evolve(seen.accepted[1], id="task-1-again")))
    assert ["1"] == audited(["1"], [job("1")], twice).twice


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED])
def test_a_job_that_failed_is_found(status: JobStatus) -> None:
    """No job may end otherwise than well."""
    assert ["1"] == audited(["1"], [job("1", status)], report(post("1"))).failed


@pytest.mark.parametrize(
    ("done", "cause"),
    [
        (silence(0.1, 0.1), Cause.KILLED),
        (silence(0.1, 40.0, killed=False), Cause.STOPPED),
        (silence(-40.0, -5.0), Cause.NOTHING),
        (silence(5.0, 5.0), Cause.NOTHING),
        (silence(0.1, 0.1, worker="b.1"), Cause.NOTHING),
    ],
    ids=["killed in it", "stopped in it", "before it", "after it", "another worker"],
)
def test_only_what_was_done_to_its_worker_in_a_post_explains_that_it_is_unknown(done: Silence, cause: Cause) -> None:
    """A doubt has the cause that overlaps with the POST of the job, by the same worker."""
    found = audited(["1"], [job("1", JobStatus.UNKNOWN)], report(post("1")), silences=[done])
    assert {"1": cause} == found.unknown


def test_a_post_lasts_as_long_as_its_worker_is_stopped() -> None:
    """A kill right after a stop falls into the POST that the stop fell into."""
    done = [silence(0.1, 8.0, killed=False), silence(8.1, 8.1)]
    found = audited(["1"], [job("1", JobStatus.UNKNOWN)], report(post("1")), silences=done)
    assert {"1": Cause.KILLED} == found.unknown


def test_a_doubt_without_a_cause_breaks_a_promise() -> None:
    """It is said, and names the job."""
    assert ["1 unknown for no reason: ['1']"] == audited(["1"], [job("1", JobStatus.UNKNOWN)], report(post("1"))).wrong()


def test_a_post_lasts_until_its_answer_can_be_recorded() -> None:
    """A kill falls into a POST, too, whose answer had to wait for the database."""
    kill = silence(20.0, 20.0)
    found = audited(
        ["1"], [job("1", JobStatus.UNKNOWN)], report(post("1")), silences=[kill], outages=[Outage(_AT - 1.0, _AT + 19.0)]
    )
    assert {"1": Cause.KILLED} == found.unknown


@pytest.mark.parametrize(("killed_at", "cause"), [(0.5, Cause.KILLED), (9.0, Cause.NOTHING)])
def test_a_post_that_never_arrived_is_explained_by_a_kill_at_its_intent(killed_at: float, cause: Cause) -> None:
    """Nobody can tell whose it was, so that any worker's counts, at that time."""
    kill = silence(killed_at, killed_at, worker="c.1")
    found = audited(["1"], [job("1", JobStatus.UNKNOWN)], report(), silences=[kill], intents={"job-1": _AT})
    assert ({"1": cause}, ["1"]) == (found.unknown, found.never)


def test_recovery_is_from_the_kill_to_the_next_request_of_another_worker() -> None:
    """The job that ended before and the one of another worker do not count."""
    seen = report(
        post("1"),
        post("2"),
        post("3", by="b.1"),
        poll("1", at=1.0),
        poll("3", at=4.0, by="b.1"),
        poll("1", at=33.0, by="b.1"),
    )
    assert [("1", "b.1", 31.0)] == [(each.job, each.by, each.seconds) for each in recoveries(seen, [silence(2.0, 2.0)])]


def test_a_worker_that_went_on_itself_was_not_recovered_from() -> None:
    """Where a stopped worker polls again before anybody else does, nothing was taken from it."""
    seen = report(post("1"), poll("1", at=5.0), poll("1", at=9.0, by="b.1"))
    assert [] == recoveries(seen, [silence(2.0, 4.0, killed=False)])


def test_a_recovery_during_an_outage_is_told_apart() -> None:
    """It is disturbed where the database was away in between."""
    seen = report(post("1"), poll("1", at=33.0, by="b.1"))
    (found,) = recoveries(seen, [silence(2.0, 2.0)], [Outage(_AT + 10.0, _AT + 12.0)])
    assert found.disturbed


def test_jobs_at_once_are_those_that_overlap() -> None:
    """Of three, the third begins as the first ends."""
    accepted = [Accepted(job=str(number), id=str(number), key=None, at=at) for number, at in enumerate([0.0, 3.0, 5.0])]
    assert 2 == most_at_once(accepted, 5.0)
