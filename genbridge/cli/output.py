"""The JSON that `--json` prints: one document on stdout, and nothing else there.

What stands here is stable: fields may be added, none is renamed or removed. Times are ISO 8601 in UTC, durations seconds, paths as
the system writes them; what is not known is `null`. Wrong usage (exit code 2, with the usage on stderr) prints nothing on stdout.

============================== ====================================================================
command                        document
============================== ====================================================================
generate, jobs wait            `{"jobs": [JOB]}`, in the order asked for, whether or not they succeeded
jobs watch, resume             the same
jobs list                      `{"jobs": [JOB]}`, the newest first
jobs show                      `{"jobs": [JOB]}` with one
jobs cancel                    `{"jobs": [JOB]}`, each that was not cancelled with its `error`
jobs reconcile                 `{"jobs": [JOB]}`: those that were settled, then those that are in doubt still
generate --dry-run, quote      `{"quotes": [QUOTED]}`
batch                          `{"name", "manifest", "totals": [TOTAL], "entries": [ENTRY]}`
spend                          `{"since", "spent": [SPENT], "totals": [SPENT], "caps": [CAP]}`
models                         `{"models": [MODEL], "errors": [ERROR]}`
backends                       `{"backends": [BACKEND]}`
config check                   a CHECK
worker status                  `{"workers": [WORKER], "jobs", "oldest_waiting", "undriven", "tickets"}`
db upgrade                     `{"taken", "database", "lacking", "tables": [TABLE]}`
db status                      `{"database", "lacking", "tables": [TABLE]}`
any, when nothing came of it   `{"error": ERROR}`
any, on Ctrl-C or a bug        `{"jobs": [{"id"}], "error": ERROR}`, the jobs being those that go on
============================== ====================================================================

A JOB has
    `id` (null where no job came about), `backend`, `provider`, `provider_id`, `model`, `provider_model`, `media`, `prompt`,
    `status`, `created_at`, `submitted_at`, `finished_at`, `progress` (0 to 1), `quote` and `cost` (each a MONEY),
    `failure` (`{"message", "code"}`), `assets` (of `{"url", "media", "role", "width", "height", "duration", "expires_at"}`),
    `save_to` (the folder that its files are wanted in, until they are there), `paths` (the files that were saved now) and `error`
    (an ERROR).
A MONEY has
    `amount`, `unit`, `certainty` (`exact`, `estimated` or `unknown`) and `basis`.
A QUOTED has
    `backend`, `media`, `model`, `prompt`, `quote` (a MONEY) and `error` (an ERROR).
An ENTRY has
    `line`, `id` (as the file has them), `job_id`, `backend`, `model`, `media`, `prompt`, `status`, `quote` and `cost` (each a
    MONEY), `paths` and `error` (an ERROR). A line of a manifest is one too, with its paths relative to the folder.
A TOTAL has
    `backend`, `unit`, `amount`, `estimated` (whether any of it is), `jobs` and `unpriced` (how many have no known price).
A SPENT has
    `provider`, `unit`, `backend`, `model`, `day` (null where it is not sorted by that), `jobs`, `charged`, `estimated` (the part of
    it that the service did not say), `reserved` and `unpriced`.
A CAP has
    `backend`, `of`, `used` and `most`.
A MODEL has
    `id`, `provider_id`, `media`, `backend`, `title`, `aliases`, `unavailable` (why not, or null), `expected`,
    `usual` (`{"low", "high", "late"}` in seconds, as it was learned, or null), `live`,
    `capabilities` (what each field that can be set may be, in words), `references` (of `{"role", "kind", "least", "most"}`),
    `options` (of `{"name", "takes", "description"}`) and `prices` (of `{"amount", "per", "when", "certainty"}`).
A BACKEND has
    `name`, `provider`, `base_url`, `key` (whether there is one; never the key itself), `key_variable`, `default`,
    `settings` (of `{"name", "variable", "description"}`: what only its provider has) and `error` (an ERROR: why its provider cannot
    be used).
A CHECK has
    `ok`, `source`, `default`, `backends`, `routes` (names), `journal`, `engine`, `warnings` (of PROBLEM) and `errors` (of ERROR).
A WORKER has
    `owner`, `host`, `pid`, `version`, `backends`, `concurrency`, `driving`, `ended` (how many jobs), `draining`, `alive`,
    `silent` (seconds since it was heard of) and `started_at`. `jobs` is how many unfinished ones are in each state,
    `oldest_waiting` for how many seconds the oldest has waited to be sent (or null), `undriven` how many nobody alive drives, and
    `tickets` is `{"waiting", "held"}`.
A TABLE has
    `of` (whose tables), `there` (the last step that was taken, or null) and `wanted` (the one that this release wants).
An ERROR has
    `kind` (the class in `genbridge.errors`, `Interrupted`, or for a bug any other class), `message`, `problems` (of PROBLEM) and
    `exit_code`.
A PROBLEM has
    `field` and `message`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genbridge.cli.console import say
from genbridge.cli.exits import Exit, exit_for
from genbridge.errors import GenbridgeError, Problem
from genbridge.types import Asset, Cost, Job, JobStatus, Quote, Request

if TYPE_CHECKING:
    from genbridge.engine import Tally
    from genbridge.journal import Counts, Report


def print_json(document: Mapping[str, Any]) -> None:
    """Print a document on stdout, in ASCII, so that it survives any encoding."""
    say(json.dumps(document, indent=2, allow_nan=False))


def job_form(job: Job, *, paths: Iterable[Path] = (), error: GenbridgeError | None = None) -> dict[str, Any]:
    """Return a job as JSON has it, with the files that were saved and what went wrong."""
    return {
        "id": job.id,
        "backend": job.backend,
        "provider": job.provider,
        "provider_id": job.provider_id,
        "model": job.model,
        "provider_model": job.provider_model,
        "media": job.media.value,
        "prompt": job.request.prompt,
        "status": job.status.value,
        "created_at": time_form(job.created_at),
        "submitted_at": time_form(job.submitted_at),
        "finished_at": time_form(job.finished_at),
        "progress": job.progress,
        "quote": money_form(job.quote),
        "cost": money_form(job.cost),
        "failure": None if job.failure is None else {"message": job.failure.message, "code": job.failure.code},
        "assets": [asset_form(asset) for asset in (job.result.assets if job.result else ())],
        "save_to": None if job.save_to is None else str(job.save_to),
        "paths": [str(path) for path in paths],
        "error": None if error is None else error_form(error),
    }


def unrecorded_form(request: Request, *, backend: str | None, quote: Quote | None, error: GenbridgeError | None) -> dict[str, Any]:
    """Return the form of a job for a request of which no job came about."""
    known = {
        "backend": backend,
        "model": quote.model if quote else request.model,
        "media": request.media.value,
        "prompt": request.prompt,
        "quote": money_form(quote),
        "error": None if error is None else error_form(error),
    }
    unknown = ("id", "provider", "provider_id", "provider_model", "status", "created_at", "submitted_at", "finished_at")
    return {**dict.fromkeys([*unknown, "progress", "cost", "failure", "save_to"]), **known, "assets": [], "paths": []}


def asset_form(asset: Asset) -> dict[str, Any]:
    """Return a produced file as JSON has it."""
    return {
        "url": asset.url,
        "media": asset.media.value,
        "role": asset.role.value,
        "width": asset.width,
        "height": asset.height,
        "duration": asset.duration,
        "expires_at": time_form(asset.expires_at),
    }


def money_form(cost: Cost | None) -> dict[str, Any] | None:
    """Return an amount with its unit and how sure it is."""
    if cost is None:
        return None
    return {"amount": cost.amount, "unit": cost.unit, "certainty": cost.certainty.value, "basis": cost.basis}


def quoted_form(request: Request, backend: str | None, quote: Quote | None, *, error: GenbridgeError | None) -> dict[str, Any]:
    """Return what one request would cost, or why it cannot be sent."""
    return {
        "backend": backend,
        "media": request.media.value,
        "model": quote.model if quote else request.model,
        "prompt": request.prompt,
        "quote": money_form(quote),
        "error": None if error is None else error_form(error),
    }


def workers_form(reports: Sequence[Report], counts: Counts, tally: Tally) -> dict[str, Any]:
    """Return how the workers are doing, and how all jobs stand, as JSON has it."""
    return {
        "workers": [worker_form(report) for report in reports],
        "jobs": {status.value: counts.jobs.get(status, 0) for status in JobStatus if not status.terminal},
        "oldest_waiting": counts.oldest_waiting,
        "undriven": counts.undriven,
        "tickets": {"waiting": tally.waiting, "held": tally.held},
    }


def worker_form(report: Report) -> dict[str, Any]:
    """Return how a worker is doing as JSON has it."""
    return {
        "owner": report.owner,
        "host": report.host,
        "pid": report.pid,
        "version": report.version,
        "backends": list(report.backends),
        "concurrency": report.concurrency,
        "driving": report.driving,
        "ended": report.ended,
        "draining": report.draining,
        "alive": report.alive,
        "silent": report.silent,
        "started_at": time_form(datetime.fromtimestamp(report.started, UTC)),
    }


def error_form(error: GenbridgeError) -> dict[str, Any]:
    """Return an error as JSON has it."""
    problems: Sequence[Problem] = getattr(error, "problems", ())
    return {
        "kind": type(error).__name__,
        "message": error.message,
        "problems": [problem_form(problem) for problem in problems],
        "exit_code": int(exit_for(error)),
    }


def problem_form(problem: Problem) -> dict[str, str]:
    """Return one mistake and where it is."""
    return {"field": problem.field, "message": problem.message}


def bug_form(error: Exception) -> dict[str, Any]:
    """Return an error that nobody expected as JSON has it."""
    return {"kind": type(error).__name__, "message": str(error), "problems": [], "exit_code": int(Exit.FAILED)}


def interruption_form(message: str) -> dict[str, Any]:
    """Return Ctrl-C as an error."""
    return {"kind": "Interrupted", "message": message, "problems": [], "exit_code": int(Exit.INTERRUPTED)}


def time_form(time: datetime | None) -> str | None:
    """Return a time in ISO 8601, in UTC."""
    return None if time is None else time.astimezone(UTC).isoformat()
