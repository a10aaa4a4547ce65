"""Everything genbridge raises.

GenbridgeError
├── ConfigError                 every mistake at once, with its place       .problems
├── JournalError                the record of jobs cannot be used
├── PluginError                 a provider package cannot be used           .package .problems
│   └── UnknownProviderError
├── RequestError                invalid before anything was sent            .problems
│   └── BudgetError             it would exceed a cap                       .quote
├── BackendError                                                            .backend .verdict
│   ├── TransportError          no usable answer
│   └── ServiceError            the service said no                         .status .code .request_id .retry_after
│       ├── AuthenticationError
│       ├── InsufficientCreditsError
│       ├── RateLimitError
│       ├── InvalidRequestError
│       ├── ContentPolicyError
│       └── NotFoundError
├── JobError                                                                .job
│   ├── SubmitUnknownError
│   ├── JobFailedError
│   ├── JobCancelledError
│   ├── JobExpiredError
│   ├── CancelUnsupportedError
│   └── JobTimeoutError         also a TimeoutError; the job goes on
└── DownloadError                                                           .asset .saved

Every message is a sentence that says what, where and what to do. All of them pickle; no field holds a key.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from genbridge.types import Asset, Job, Quote, Verdict


@attrs.frozen
class Problem:
    """One mistake: where it is (a request's field, a place in a file) and what to do about it."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class GenbridgeError(Exception):
    """Whatever went wrong, in one sentence."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[GenbridgeError], args: tuple[Any, ...], state: dict[str, Any]) -> GenbridgeError:
    error = cls.__new__(cls, *args)
    error.args = args  # an OSError takes them in its __init__
    error.__dict__.update(state)
    return error


class _ProblemsError(GenbridgeError):
    """An error that is a list of mistakes."""

    def __init__(self, message: str, *, problems: Iterable[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        lines = [f"  {problem}" for problem in self.problems]
        return "\n".join([self.message, *lines])


class ConfigError(_ProblemsError):
    """The configuration cannot be used; `problems` has every mistake with its place."""


class JournalError(GenbridgeError):
    """The record of jobs cannot be opened, read or written."""


class PluginError(GenbridgeError):
    """A provider's package cannot be used; `package` names it. The message has all `problems`, each with the hook it is about."""

    def __init__(self, message: str, *, package: str | None = None, problems: Iterable[Problem] = ()) -> None:
        super().__init__(message)
        self.package = package
        self.problems = tuple(problems)


class UnknownProviderError(PluginError):
    """No installed package offers that provider."""


class RequestError(_ProblemsError):
    """The request is invalid; nothing was sent. `problems` lists every mistake with its field."""


class BudgetError(RequestError):
    """The request would exceed a cap; nothing was sent. `quote` says what it would have cost."""

    def __init__(self, message: str, *, quote: Quote | None = None, problems: Iterable[Problem] = ()) -> None:
        super().__init__(message, problems=problems)
        self.quote = quote


class BackendError(GenbridgeError):
    """A backend did not do what it was asked.

    Of a submit, `verdict` says what that means and `job` is the record of the attempt.
    """

    job: Job | None = None

    def __init__(self, message: str, *, backend: str | None = None, verdict: Verdict | None = None) -> None:
        super().__init__(message)
        self.backend = backend
        self.verdict = verdict

    def __str__(self) -> str:
        return f"backend {self.backend!r}: {self.message}" if self.backend else self.message


class TransportError(BackendError):
    """No usable answer: not reached, cut off, too late, or unreadable."""


class ServiceError(BackendError):
    """The service said no.

    `status` is the HTTP status, `code` the service's own code, `request_id` its id for support, `retry_after` seconds.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        backend: str | None = None,
        verdict: Verdict | None = None,
    ) -> None:
        super().__init__(message, backend=backend, verdict=verdict)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after

    @staticmethod
    def kind_of(status: int) -> type[ServiceError]:
        """Return the kind of error that an HTTP status stands for; `ServiceError` itself when it stands for none."""
        return _BY_STATUS.get(status, ServiceError)

    @staticmethod
    def for_status(
        status: int,
        message: str,
        *,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> ServiceError:
        """Return an error of the kind that an HTTP status stands for."""
        kind = ServiceError.kind_of(status)
        return kind(message, status=status, code=code, request_id=request_id, retry_after=retry_after)


class AuthenticationError(ServiceError):
    """The service refused the key."""


class InsufficientCreditsError(ServiceError):
    """The account cannot pay for the request."""


class RateLimitError(ServiceError):
    """Too many requests; `retry_after` says when to try again, where the service does."""


class InvalidRequestError(ServiceError):
    """The service does not accept the request as it is."""


class ContentPolicyError(ServiceError):
    """The service refused the content of the request."""


class NotFoundError(ServiceError):
    """The service knows no such thing."""


_BY_STATUS: dict[int, type[ServiceError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    402: InsufficientCreditsError,
    403: AuthenticationError,
    404: NotFoundError,
    410: NotFoundError,
    413: InvalidRequestError,
    415: InvalidRequestError,
    422: InvalidRequestError,
    429: RateLimitError,
}


class JobError(GenbridgeError):
    """Something about one job; `job` is its record."""

    def __init__(self, message: str, *, job: Job) -> None:
        super().__init__(message)
        self.job = job


class SubmitUnknownError(JobError):
    """The service may have accepted the job, and may bill it; it is on record and is not sent again."""


class JobFailedError(JobError):
    """The service could not make it."""


class JobCancelledError(JobError):
    """The job was stopped."""


class JobExpiredError(JobError):
    """The service no longer knows the job; whoever waits for it again has it asked about once more."""


class CancelUnsupportedError(JobError):
    """The service has no way to cancel; the job goes on and will be billed."""


class JobTimeoutError(JobError, TimeoutError):
    """The wait ended; the job goes on."""


class DownloadError(GenbridgeError):
    """A produced file could not be saved; the job and its other files are not affected, and `saved` has the paths of those.

    `expired` says that the server does not know its link any more.
    """

    def __init__(self, message: str, *, asset: Asset | None = None, saved: Iterable[Path] = (), expired: bool = False) -> None:
        super().__init__(message)
        self.asset = asset
        self.saved = list(saved)
        self.expired = expired
