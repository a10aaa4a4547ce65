"""The ids of jobs that are tried again: the first try has the id that was given, and each later one `+` and a number behind it."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"\+\d+$")


def numbered(given: str, number: int) -> str:
    """Return the id of the try of that number of what was given an id."""
    return given if number == 1 else f"{given}+{number}"


def given_id(job_id: str) -> str:
    """Return the id that was given to what a job is a try of; no id that is given may hold a `+`."""
    return _NUMBER.sub("", job_id)
