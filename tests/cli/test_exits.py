"""What the exit codes say."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from genbridge import errors
from genbridge.cli.exits import MEANINGS, Exit, exit_for
from genbridge.types import Job, Verdict


def test_every_code_has_a_meaning() -> None:
    """The table in `--help` is complete, and in order."""
    assert list(Exit) == list(MEANINGS)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.ConfigError("x"), 3),
        (errors.JournalError("x"), 3),
        (errors.PluginError("x"), 3),
        (errors.UnknownProviderError("x"), 3),
        (errors.RequestError("x"), 2),
        (errors.BudgetError("x"), 8),
        (errors.TransportError("x"), 4),
        (errors.AuthenticationError("x"), 4),
        (errors.InsufficientCreditsError("x"), 4),
        (errors.InvalidRequestError("x"), 4),
        (errors.TransportError("x", verdict=Verdict.UNKNOWN), 5),
        (errors.DownloadError("x"), 7),
        (errors.GenbridgeError("x"), 1),
        (KeyError("x"), 1),
    ],
)
def test_an_error_has_its_code(error: Exception, expected: int) -> None:
    """The most exact kind counts."""
    assert expected == exit_for(error)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (errors.SubmitUnknownError, 5),
        (errors.JobTimeoutError, 6),
        (errors.JobFailedError, 1),
        (errors.JobCancelledError, 1),
        (errors.JobExpiredError, 1),
        (errors.CancelUnsupportedError, 1),
    ],
)
def test_an_error_about_a_job_has_its_code(kind: type[errors.JobError], expected: int, make_job: Callable[[], Job]) -> None:
    """A job that may be billed, and one that goes on, are told from one that is over."""
    assert expected == exit_for(kind("x", job=make_job()))
