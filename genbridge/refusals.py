"""What a submit failed with, on record: so that a process that did not make the call raises the same error."""

from __future__ import annotations

from collections.abc import Mapping

from genbridge import errors
from genbridge.backends import has_files
from genbridge.errors import BackendError, BudgetError, GenbridgeError, JobError, ServiceError
from genbridge.types import Failure, Job, JobStatus, Verdict

_KINDS: Mapping[str, type[GenbridgeError]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, GenbridgeError)
}
_FILES = (
    "its local files are read by the worker that sends it, so each has to be at the same path there as here; else give a public URL"
)


def failure_of(error: GenbridgeError) -> Failure:
    """Return the record of an error that a submit failed with."""
    failure = Failure(message=str(error), kind=_kind(error))
    if not isinstance(error, ServiceError):
        return failure
    return Failure(
        message=failure.message,
        code=error.code,
        kind=failure.kind,
        status=error.status,
        request_id=error.request_id,
        retry_after=error.retry_after,
    )


def _kind(error: GenbridgeError) -> str:
    """Return the name of an error's class, or of the first above it that genbridge has itself."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _KINDS)


def refusal(job: Job) -> GenbridgeError | None:
    """Return the error that a submit failed with which started nothing; `None` where a job ended in any other way."""
    failure = job.failure
    if failure is None or failure.kind is None or job.status is not JobStatus.FAILED or job.provider_id is not None:
        return None
    kind = _KINDS.get(failure.kind)
    if kind is None or issubclass(kind, JobError):
        return None
    return _backends(kind, job, failure) if issubclass(kind, BackendError) else _ours(kind, job, failure)


def _ours(kind: type[GenbridgeError], job: Job, failure: Failure) -> GenbridgeError:
    """Return an error that is not of the backend."""
    if issubclass(kind, BudgetError):
        return kind(failure.message, quote=job.quote)
    if issubclass(kind, errors.RequestError) and has_files(job.request):
        return kind(f"{failure.message}; {_FILES}")
    return kind(failure.message)


def _backends(kind: type[BackendError], job: Job, failure: Failure) -> BackendError:
    message = failure.message.removeprefix(f"backend {job.backend!r}: ")
    if issubclass(kind, ServiceError):
        error: BackendError = kind(
            message, status=failure.status, code=failure.code, request_id=failure.request_id, retry_after=failure.retry_after
        )
        error.verdict = Verdict.REFUSED
    else:
        error = kind(message, verdict=Verdict.NOT_SENT)
    error.backend = job.backend
    error.job = job
    return error
