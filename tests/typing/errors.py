"""How errors are caught. Type-checked, never run."""

from __future__ import annotations

from typing import assert_type

from genbridge import (
    Asset,
    BackendError,
    BudgetError,
    ConfigError,
    DownloadError,
    GenbridgeError,
    Job,
    JobError,
    JobTimeoutError,
    PluginError,
    Problem,
    Quote,
    RateLimitError,
    RequestError,
    ServiceError,
    TransportError,
    Verdict,
)


def explains(error: GenbridgeError) -> str:
    """Read every field there is."""
    match error:
        case BudgetError():
            assert_type(error.quote, Quote | None)
        case RequestError() | ConfigError():
            assert_type(error.problems, tuple[Problem, ...])
        case ServiceError():
            assert_type(error.status, int | None)
            assert_type(error.code, str | None)
            assert_type(error.request_id, str | None)
            assert_type(error.retry_after, float | None)
        case BackendError():
            assert_type(error.backend, str | None)
            assert_type(error.verdict, Verdict | None)
        case JobError():
            assert_type(error.job, Job)
        case DownloadError():
            assert_type(error.asset, Asset | None)
        case PluginError():
            assert_type(error.package, str | None)
        case _:
            pass
    return error.message


def waits(error: JobTimeoutError) -> TimeoutError:
    """Take it for Python's own `TimeoutError`, which it is too."""
    return error


RAISED: tuple[GenbridgeError, ...] = (
    ServiceError.for_status(429, "slow down", retry_after=3),
    RateLimitError("slow down", status=429, backend="studio"),
    TransportError("not reached", verdict=Verdict.NOT_SENT),
    RequestError("two problems", problems=[Problem("duration", "17 is not between 4 and 15")]),
)
