"""What the service accepted beside what is on record."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs
from crash_child import Batch, marker_of, never_sent
from service import Report
from storage_torn import copied, jobs_of

from genbridge import GenbridgeError, Job, JobStatus

_IN_DOUBT = frozenset({JobStatus.SUBMITTING, JobStatus.UNKNOWN})


@attrs.frozen(kw_only=True)
class Audit:
    """The comparison: counts, and the markers of jobs for which something does not agree."""

    accepted: int
    collected: int
    under_way: int
    lost: list[str]
    twice: list[str]
    unknown: list[str]
    wrong: list[str]


def audited(batch: Batch, report: Report, *, copied_to: Path | None = None) -> Audit:
    """Compare; `copied_to` is for a batch that goes on, so that its journal is left as the kill left it."""
    path = batch.journal if copied_to is None else copied(batch.journal, copied_to)
    jobs = jobs_of(path) if path.exists() else []
    if isinstance(jobs, GenbridgeError):
        raise jobs
    return compared(batch, report, jobs, ended=copied_to is None)


def compared(batch: Batch, report: Report, jobs: Sequence[Job], *, ended: bool) -> Audit:
    """Compare what a service reports with what is on record, while a batch goes on or after it has `ended`."""
    records: dict[str, list[Job]] = {}
    for job in jobs:
        records.setdefault(marker_of(job), []).append(job)
    ids = {job.provider_id for job in jobs}
    doubtful = [marker for marker, found in records.items() if any(job.status in _IN_DOUBT for job in found)]
    collected = [job for job in jobs if job.status is JobStatus.SUCCEEDED]
    return Audit(
        accepted=len(report.accepted),
        collected=len(collected),
        under_way=sum(job.status is JobStatus.SUBMITTING for job in jobs),
        lost=[made.job for made in report.accepted if made.id not in ids and made.job not in doubtful],
        twice=[marker for marker, posts in report.posts.items() if marker in report.twice or posts > len(records.get(marker, []))],
        unknown=doubtful,
        wrong=_wrong(batch, report, jobs, doubtful) if ended else [],
    )


def _wrong(batch: Batch, report: Report, jobs: Sequence[Job], doubtful: list[str]) -> list[str]:
    """Return what else must not be at the end: a job not collected, or one whose id the service never gave."""
    given = {made.id for made in report.accepted}
    done = {marker_of(job) for job in jobs if job.status is JobStatus.SUCCEEDED}
    uncollected = [f"{marker} was not collected" for marker in batch.markers if marker not in done and marker not in doubtful]
    foreign = [f"{marker_of(job)} has an id of nobody" for job in jobs if job.provider_id and job.provider_id not in given]
    other = [f"{marker_of(job)} is {job.status}" for job in jobs if not _is_settled(job)]
    return [*uncollected, *foreign, *other, *_misplaced(batch, len(done))]


def _misplaced(batch: Batch, wanted: int) -> list[str]:
    """Return what is wrong with the folder of files: one file and its sidecar for each job, and nothing else."""
    if batch.files is None:
        return []
    names = [path.name for path in batch.files.iterdir()] if batch.files.exists() else []
    files = [name for name in names if name.endswith(".png")]
    strange = set(names) - set(files) - {f"{name}.json" for name in files}
    return [*([f"{len(files)} files, not {wanted}"] if len(files) != wanted else []), *(f"{name} was left" for name in strange)]


def _is_settled(job: Job) -> bool:
    return job.status in {JobStatus.SUCCEEDED, JobStatus.UNKNOWN} or never_sent(job)
