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
    never: list[str]
    """Those that are unknown, and of which no POST arrived."""

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
            "unknown, stopped or cut off in a POST": causes.count(Cause.STOPPED),
            "unknown, for no reason": causes.count(Cause.NOTHING),
            "of those, never arrived": len(self.never),
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
    intents: Mapping[str, float] | None = None,
    silences: Sequence[Silence] = (),
    outages: Sequence[Outage] = (),
) -> Audit:
    """Compare what a service saw with what is on record when all is over; `intents` are when submits were begun, by job id."""
    records = {marker_of(job): job for job in jobs}
    by_status = {status: [marker for marker, job in records.items() if job.status is status] for status in JobStatus}
    ids = {job.provider_id for job in records.values()}
    unknown = by_status[JobStatus.UNKNOWN]
    abandoned = [made.job for made in report.accepted if made.id not in ids and made.job not in unknown]
    unfinished = [marker for marker in markers if marker not in records or records[marker].status in _OPEN]
    spans = _spans({marker: (intents or {}).get(records[marker].id) for marker in unknown}, report, outages)
    return Audit(
        jobs=len(records),
        succeeded=len(by_status[JobStatus.SUCCEEDED]),
        accepted=len(report.accepted),
        lost=sorted({*abandoned, *unfinished}),
        twice=sorted(report.twice),
        failed=[marker for marker, job in records.items() if job.status not in {*_OPEN, JobStatus.SUCCEEDED, JobStatus.UNKNOWN}],
        unknown={marker: _cause(span, silences) for marker, span in spans.items()},
        never=[marker for marker, span in spans.items() if span is None or not span.worker],
    )


@attrs.frozen
class _Span:
    """From when to when a submit was under way, and whose it was; of one that never arrived nobody can tell."""

    since: float
    until: float
    worker: str

    def has(self, silence: Silence) -> bool:
        """Whether a worker may have been silenced in it."""
        return silence.since <= self.until and silence.until >= self.since and self.worker in {"", silence.worker}


def _spans(intents: Mapping[str, float | None], report: Report, outages: Sequence[Outage]) -> dict[str, _Span | None]:
    """Return when each submit was under way; `None` where neither an intent nor a POST is known."""
    posts = {arrival.job: arrival for arrival in report.at(Step.SUBMIT)}
    return {marker: _span(intent, posts.get(marker), outages) for marker, intent in intents.items()}


def _span(intent: float | None, post: Arrival | None, outages: Sequence[Outage]) -> _Span | None:
    """Return when a submit was under way: while the database is away, its answer cannot be recorded."""
    begun = intent if post is None else post.at
    if begun is None:
        return None
    until = (begun if post is None else post.answered or post.at) + _COMMITTED
    late = [outage.until + _COMMITTED for outage in outages if outage.since <= until and outage.until >= begun]
    return _Span(begun - _COMMITTED, max([until, *late]), "" if post is None else post.by)


def _cause(span: _Span | None, silences: Sequence[Silence]) -> Cause:
    """Return what was done to a worker between the record of a submit's intent and that of its answer."""
    if span is None:
        return Cause.NOTHING
    # While it is stopped, it can record nothing either.
    until = max([span.until, *(silence.until + _COMMITTED for silence in silences if span.has(silence))])
    hits = [silence for silence in silences if attrs.evolve(span, until=until).has(silence)]
    if any(silence.killed for silence in hits):
        return Cause.KILLED
    return Cause.STOPPED if hits else Cause.NOTHING


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
    """Return how many there are, the middle, what nine in ten keep below, and the most, in words."""
    if not seconds:
        return "0"
    ninth = sorted(seconds)[int(len(seconds) * 0.9)]
    return f"{len(seconds)}, p50 {median(seconds):.1f} s, p90 {ninth:.1f} s, max {max(seconds):.1f} s"


def most_at_once(accepted: Iterable[Accepted], seconds: float) -> int:
    """Return how many jobs a service worked on at most at once, where each takes it so many seconds."""
    times = [made.at for made in accepted]
    changes = sorted([(at + seconds, -1) for at in times] + [(at, 1) for at in times])
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most
