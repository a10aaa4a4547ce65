"""The outcomes as tables, for the terminal and for the page in the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import attrs
from rivals import CALL_SECONDS, FAULTS, SOUND, Count
from scenarios import COLUMNS
from script import Step
from trial import Outcome


@attrs.frozen
class Section:
    """One step on the page: its heading, and what has to be said before its table."""

    heading: str
    words: str = ""


SECTIONS: Mapping[Step, Section] = {
    Step.SUBMIT: Section(
        "The submit",
        """\
The number is of paid POSTs that reached the service, the word is the job's status on record. A submit that may have been accepted
is `unknown`, also to a later process, and is never sent again. MeiGen can be asked what became of a submit, so that a job which it
did make goes on; in the second column it cannot be reached for that. Only what was refused for the moment (429), or never reached
the service, is tried again.""",
    ),
    Step.LOOK_UP: Section(
        "The look-up of a submit",
        """\
MeiGen made the job, and the answer was lost; then the look-up goes wrong too. What it does not prove stays `unknown`.""",
    ),
    Step.POLL: Section("The poll", "A poll that fails is a missed poll, not a failed job: every job comes to its end."),
    Step.FILE: Section(
        "The file",
        """\
`right` is the service's file, to the byte. `refused` is a `DownloadError`: nothing was left under the file's name, and the right
file came when it was asked for once more.""",
    ),
    Step.PREPARE: Section(
        "A call before the submit", "The plugin of the tests asks for a workspace first. Without one, nothing is sent."
    ),
    Step.UPLOAD: Section("The announcement of a local file", "Without the file, nothing is sent."),
    Step.STORE: Section("The upload of the file"),
    Step.CANCEL: Section(
        "The cancel",
        """\
Of the services only that of the tests has one. A cancel that failed leaves the job alone; what the service did with it is seen at
the next poll.""",
    ),
}

_INTRODUCTION = """\
# Faults

<!-- Written by `nox -s faults -- --write docs/reference/faults.md`; do not edit. -->

What was broken, at every step, and what came of it. A server in a process of its own speaks each service's protocol through its
plugin's emulator, over raw sockets, and misbehaves as a script says; real clients submit to it, follow their jobs and fetch the
files. It counts the paid POSTs of every job. `acme` is a plugin of somebody else's, from the tests.

`nox -s faults` runs all of it, and fails where something comes out that must not; what must hold is written beside each fault in
`tests/faults/scenarios.py`. `nox -s faults -- --quick` runs the decisive faults of the submit and a few of each other step, in less
than a minute.

This page was written by genbridge {version} after {trials} trials. In none of them did a service make a job twice, did a later
process that picked the job up send it again, was a redirect followed (but for a file), or did the key go to another origin."""

_RIVALS = """\
## Other clients

The decisive faults once more, in the same run, with the clients that people use today: as they come, but for a time limit of
{seconds:g} s a call. The service makes a job of every POST, and the fault lasts for as long as the client tries. The numbers are
the POSTs of one call, which are the jobs that are made and billed. For genbridge it is the most that any of the services got."""


def sections(outcomes: Iterable[Outcome]) -> Iterator[tuple[Step, list[str]]]:
    """Yield the lines of each step's table, as Markdown has them."""
    by_step: dict[Step, dict[str, list[Outcome]]] = {}
    for outcome in outcomes:
        by_step.setdefault(outcome.scenario.step, {}).setdefault(outcome.scenario.name, []).append(outcome)
    for step, named in by_step.items():
        head = ["what goes wrong", *(column.name for column in COLUMNS[step])]
        yield step, list(table(head, ([name, *(outcome.cell for outcome in found)] for name, found in named.items())))


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of one table."""
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for cells in lines:
        yield f"| {' | '.join(cells)} |"


def rival_table(outcomes: Sequence[Outcome], counts: Sequence[Count]) -> Iterator[str]:
    """Yield the lines of the table of POSTs for one submit: our own at every service, and the other clients'."""
    lines = [["genbridge " + version("genbridge"), "`Client.submit`", *_own(outcomes)]]
    for rival in dict.fromkeys(count.rival for count in counts):
        found = {count.fault: count for count in counts if count.rival == rival}
        lines.append([f"{rival.package} {found[SOUND].version}", rival.call, *(found[fault].cell for fault in FAULTS)])
    yield from table(["client", "call", *FAULTS], lines)


def _own(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield the most POSTs that any of the services got from us at the same faults."""
    for named in FAULTS.values():
        found = [
            outcome for outcome in outcomes if outcome.scenario.step is Step.SUBMIT and outcome.scenario.name == named.scenario
        ]
        yield str(max(outcome.posts for outcome in found))


def printed(outcomes: Sequence[Outcome], counts: Sequence[Count]) -> Iterator[str]:
    """Yield everything for the terminal."""
    for step, lines in sections(outcomes):
        yield from ("", SECTIONS[step].heading, *lines)
    if counts:
        yield from ("", "POSTs for one submit", *rival_table(outcomes, counts))


def write(path: Path, outcomes: Sequence[Outcome], counts: Sequence[Count]) -> None:
    """Write the page."""
    blocks = [_INTRODUCTION.format(version=version("genbridge"), trials=len(outcomes))]
    for step, lines in sections(outcomes):
        section = SECTIONS[step]
        blocks += [f"## {section.heading}", *filter(None, [section.words]), "\n".join(lines)]
    if counts:
        blocks += [_RIVALS.format(seconds=CALL_SECONDS), "\n".join(rival_table(outcomes, counts))]
    path.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
