"""What the exit code of `genbridge` says."""

from __future__ import annotations

from enum import IntEnum

from genbridge.errors import (
    BackendError,
    BudgetError,
    ConfigError,
    DownloadError,
    JobTimeoutError,
    JournalError,
    PluginError,
    RequestError,
    SubmitUnknownError,
)
from genbridge.types import Verdict


class Exit(IntEnum):
    """The exit codes; where several jobs ended differently, the highest counts."""

    OK = 0
    FAILED = 1
    USAGE = 2
    SETUP = 3
    REFUSED = 4
    UNKNOWN = 5
    TIMEOUT = 6
    DOWNLOAD = 7
    BUDGET = 8
    INTERRUPTED = 130
    PIPE = 141


MEANINGS = {
    Exit.OK: "done",
    Exit.FAILED: "a job failed, was cancelled or is no longer known; or an error in genbridge itself",
    Exit.USAGE: "wrong usage or an invalid request; nothing was sent",
    Exit.SETUP: "the configuration, a provider's package or the record of jobs cannot be used, or has no such job",
    Exit.REFUSED: "the service refused, or could not be reached; nothing was started",
    Exit.UNKNOWN: "a submit may have been accepted and may be billed; it is on record and is not sent again",
    Exit.TIMEOUT: "the wait ended; the job goes on",
    Exit.DOWNLOAD: "a file could not be saved; the job is done and can be collected again",
    Exit.BUDGET: "it would cost more than a cap allows; nothing was sent",
    Exit.INTERRUPTED: "interrupted, or not agreed to; a job that was accepted goes on",
    Exit.PIPE: "whoever read the output went away",
}
"""What each code means, as `genbridge --help` prints it."""

_KINDS: tuple[tuple[type[Exception], Exit], ...] = (
    (SubmitUnknownError, Exit.UNKNOWN),
    (JobTimeoutError, Exit.TIMEOUT),
    (BudgetError, Exit.BUDGET),
    (RequestError, Exit.USAGE),
    (ConfigError, Exit.SETUP),
    (PluginError, Exit.SETUP),
    (JournalError, Exit.SETUP),
    (DownloadError, Exit.DOWNLOAD),
    (BackendError, Exit.REFUSED),
)


def exit_for(error: BaseException) -> Exit:
    """Return the exit code for an error; `FAILED` for a kind that has no code of its own."""
    if isinstance(error, BackendError) and error.verdict is Verdict.UNKNOWN:
        return Exit.UNKNOWN
    return next((code for kind, code in _KINDS if isinstance(error, kind)), Exit.FAILED)
