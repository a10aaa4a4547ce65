"""What came of a fleet as a page in the documentation."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fleet_stage import JOB_SECONDS, SUBMIT_SECONDS

_INTRODUCTION = """\
# Workers under fault

<!-- Written by `nox -s fleet -- --write docs/reference/fleet.md`; do not edit. -->

What was done to workers that share a PostgreSQL database, and what came of it. The database, the service, the workers and the
client are processes of their own; a job takes {job:g} s at the service and a POST {least:g} to {most:g} s, unless it says
otherwise. What was submitted is counted at the service, and compared with what is on record. Where the system allows it, each
worker is as on a machine of its own: nobody can tell by a process id that it has gone.

`nox -s fleet` runs all of it, and fails where a promise does not hold: no job is lost, submitted twice or fails, and what became
of one is unknown only where its worker was killed, stopped or cut off inside its POST. `nox -s fleet -- --quick` takes three
minutes.

This page was written by genbridge {version} with seed {seed}, on {cores} cores."""

SECTIONS: Mapping[str, tuple[str, str]] = {
    "kill": (
        "Workers and the database are killed",
        """\
There are three workers. Each second one of them is killed, or stopped for half a second to 45, unless no other would be at work;
who was killed is started again a second later. The database is killed twice, and comes back after some seconds. A job that was
given to a worker which is killed as well is driven again later. At last one worker is killed, and another stopped for longer
than its lease, with nothing else going on.""",
    ),
    "limits": (
        "Limits over three workers",
        """\
`rate`: the backend takes 20 submits a second, and asks one of the workers to wait 4 s in the middle. `cap`: it works on 50 jobs at
once. All jobs are handed in at once. Both are counted at the service.""",
    ),
    "cut": (
        "A link is cut",
        """\
Two of three workers, and the client, are in a network of their own; its link to the database, the service and the third worker
is cut, and healed.""",
    ),
    "drain": (
        "A worker is asked to end",
        "One of two gets SIGTERM while its jobs are running, which take 60 s each, and others are being submitted.",
    ),
    "outage": ("The database is away", "There are two workers; no one ends, and polls go on. Here a job takes 10 s."),
}


def write(path: Path, found: Mapping[str, Mapping[str, Any]], seed: int) -> None:
    """Write the page."""
    about = {"job": JOB_SECONDS, "least": SUBMIT_SECONDS[0], "most": SUBMIT_SECONDS[1]}
    blocks = [_INTRODUCTION.format(version=version("genbridge"), seed=seed, cores=os.cpu_count(), **about)]
    for part, (heading, words) in SECTIONS.items():
        blocks += [f"## {heading}", words, "\n".join(_table(found[part]["counts"]))]
    path.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")


def _table(counts: Mapping[str, Any]) -> Iterator[str]:
    yield "| counted | |"
    yield "| --- | --- |"
    for name, value in counts.items():
        yield f"| {name} | {_shown(value)} |"


def _shown(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{name} {number}" for name, number in sorted(value.items())) or "nothing"
        case list():
            return ", ".join(map(str, value))
    return str(value)
