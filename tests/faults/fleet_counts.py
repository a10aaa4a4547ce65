"""What came of jobs that several workers drove: what the service saw, beside what is on record and what was done to the workers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from statistics import median
from typing import Any

import attrs
from crash_child import marker_of
from script import Step
from service import Accepted, Arrival, Report

from genbridge import Job, JobStatus

_COMMITTED = 2.0
"""Seconds that may pass between the record of a submit's intent and its arrival, and between its answer and the record of that."""
_OPEN = frozenset({JobStatus.PENDING, JobStatus.SUBMITTING, JobStatus.QUEUED, JobStatus.RUNNING})


class Cause(StrEnum):
    """Why it may be unknown what became of a submit."""

    KILLED = "killed"
    STOPPED = "stopped"
    NOTHING = "nothing"


@attrs.frozen(kw_only=True)
class Silence:
    """From when to when a worker was stopped; one that was `killed` was so at the end of it. Times are seconds since the epoch."""

    worker: str
    since: float
    until: float
    killed: bool = False


@attrs.frozen
class Outage:
    """From when to when the database was away, for everybody or for some workers."""

    since: float
    until: float


@attrs.frozen(kw_only=True)
class Recovery:
    """After how many seconds a job of a worker that was silenced was driven again; `disturbed` where the database was away."""

    job: str
    worker: str
    by: str
    seconds: float
    killed: bool
    disturbed: bool


@attrs.frozen(kw_only=True)
class Audit:
    """The comparison: for each thing that can go wrong, the jobs for which it did."""

    jobs: int
    succeeded: int
    accepted: int
    lost: list[str]
    twice: list[str]
    failed: list[str]
    unknown: Mapping[str, Cause]

    def counts(self) -> dict[str, Any]:
        """Return them as numbers."""
        causes = list(self.unknown.values())
        return {
            "jobs": self.jobs,
            "accepted": self.accepted,
            "succeeded": self.succeeded,
            "lost": len(self.lost),
            "posted twice": len(self.twice),
            "failed": len(self.failed),
            "unknown, killed in a POST": causes.count(Cause.KILLED),
            "unknown, stopped in a POST": causes.count(Cause.STOPPED),
            "unknown, for no reason": causes.count(Cause.NOTHING),
        }

    def wrong(self) -> list[str]:
        """Return which promises do not hold."""
        unexplained = [marker for marker, cause in self.unknown.items() if cause is Cause.NOTHING]
        found = {"lost": self.lost, "posted twice": self.twice, "failed": self.failed, "unknown for no reason": unexplained}
        return [f"{len(markers)} {name}: {markers[:5]}" for name, markers in found.items() if markers]


def audited(
    markers: Sequence[str],
    jobs: Iterable[Job],
    report: Report,
    *,
    silences: Sequence[Silence] = (),
    outages: Sequence[Outage] = (),
) -> Audit:
    """Compare what a service saw with what is on record when all is over."""
    records = {marker_of(job): job for job in jobs}
    by_status = {status: [marker for marker, job in records.items() if job.status is status] for status in JobStatus}
    ids = {job.provider_id for job in records.values()}
    unknown = by_status[JobStatus.UNKNOWN]
    abandoned = [made.job for made in report.accepted if made.id not in ids and made.job not in unknown]
    unfinished = [marker for marker in markers if marker not in records or records[marker].status in _OPEN]
    posts = _posts(report)
    return Audit(
        jobs=len(records),
        succeeded=len(by_status[JobStatus.SUCCEEDED]),
        accepted=len(report.accepted),
        lost=sorted({*abandoned, *unfinished}),
        twice=sorted(report.twice),
        failed=[marker for marker, job in records.items() if job.status not in {*_OPEN, JobStatus.SUCCEEDED, JobStatus.UNKNOWN}],
        unknown={marker: _cause(records[marker], posts.get(marker), silences, outages) for marker in unknown},
    )


def _posts(report: Report) -> dict[str, Arrival]:
    """Return the last POST of each job."""
    return {arrival.job: arrival for arrival in report.at(Step.SUBMIT)}


def _cause(job: Job, post: Arrival | None, silences: Sequence[Silence], outages: Sequence[Outage]) -> Cause:
    """Return what was done to a worker between the record of a submit's intent and that of its answer."""
    since, until = _span(job, post, outages)
    hits = [
        silence for silence in silences if silence.since <= until and silence.until >= since and post_is_of(post, silence.worker)
    ]
    if any(silence.killed for silence in hits):
        return Cause.KILLED
    return Cause.STOPPED if hits else Cause.NOTHING


def post_is_of(post: Arrival | None, worker: str) -> bool:
    """Whether a POST may have been a worker's: of one that never arrived nobody can tell."""
    return post is None or post.by == worker


def _span(job: Job, post: Arrival | None, outages: Sequence[Outage]) -> tuple[float, float]:
    """Return from when to when a submit was under way; while the database is away, its answer cannot be recorded."""
    begun = job.submitted_at.timestamp() if job.submitted_at else job.created_at.timestamp()
    since = (begun if post is None else post.at) - _COMMITTED
    until = (begun if post is None else post.answered or post.at) + _COMMITTED
    late = [outage.until for outage in outages if outage.since <= until and outage.until >= since]
    return since, max([until, *(end + _COMMITTED for end in late)])


def drives(report: Report) -> dict[str, list[Arrival]]:
    """Return the requests for each job, its submit and its polls, in order."""
    jobs = {made.id: made.job for made in report.accepted}
    found: dict[str, list[Arrival]] = {}
    for arrival in report.arrivals:
        job = jobs.get(arrival.path.rpartition("/")[2]) if arrival.step == Step.POLL else arrival.job
        if job and arrival.step in {Step.SUBMIT, Step.POLL}:
            found.setdefault(job, []).append(arrival)
    return found


def recoveries(report: Report, silences: Iterable[Silence], outages: Sequence[Outage] = ()) -> list[Recovery]:
    """Return how long it took until each job of a silenced worker was driven by another, of those that had not ended."""
    jobs = drives(report)
    return [
        found for silence in silences for job, arrivals in jobs.items() if (found := _recovery(job, arrivals, silence, outages))
    ]


def _recovery(job: str, arrivals: Sequence[Arrival], silence: Silence, outages: Sequence[Outage]) -> Recovery | None:
    before = [arrival for arrival in arrivals if arrival.at <= silence.since]
    after = next((arrival for arrival in arrivals if arrival.at > silence.since and arrival.by != silence.worker), None)
    if not before or after is None or before[-1].by != silence.worker:
        return None
    if any(silence.since < arrival.at < after.at for arrival in arrivals):
        return None  # it was the same worker, which went on
    return Recovery(
        job=job,
        worker=silence.worker,
        by=after.by,
        seconds=after.at - silence.since,
        killed=silence.killed,
        disturbed=any(outage.since <= after.at and outage.until >= silence.since for outage in outages),
    )


def spread(seconds: Sequence[float]) -> str:
    """Return how many there are, the middle and the most, in words."""
    return f"{len(seconds)}, p50 {median(seconds):.1f} s, max {max(seconds):.1f} s" if seconds else "0"


def most_at_once(accepted: Iterable[Accepted], seconds: float) -> int:
    """Return how many jobs a service worked on at most at once, where each takes it so many seconds."""
    times = [made.at for made in accepted]
    changes = sorted([(at + seconds, -1) for at in times] + [(at, 1) for at in times])
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most
