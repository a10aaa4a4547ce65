# ruff: noqa: T201 (a harness prints what it counts)
"""Put a journal on bad storage, and count where a promise does not hold.

    python storage.py [--quick] [--seed 1] [--json FILE]

A disk that is full before a submit and after it, a folder or file that may not be written, a file that another process holds, a
write-ahead log torn at every interesting byte, a damaged database, and the power going while a process writes. What each scene
promises is the first line of its function. A scene that cannot be played here says why. The exit code is 1 when a promise does not
hold.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import attrs
import storage_full as full
from service import Service
from storage_full import Skip, Stage
from storage_power import copies, synced
from storage_torn import spoilt, torn

Play = Callable[[Path, Service], tuple[int, list[str]]]
"""Plays a scene in an empty folder; returns how often something was tried, and what is wrong."""


@attrs.frozen(kw_only=True)
class Scene:
    """One scene; a `slow` one is not for `--quick`."""

    name: str
    play: Play
    slow: bool = False


@attrs.frozen(kw_only=True)
class Outcome:
    """What came of a scene."""

    name: str
    tried: int
    seconds: float
    findings: list[str]
    skipped: str = ""


def scenes(*, quick: bool, seed: int) -> Iterator[Scene]:
    """Yield all scenes, the longest first."""
    yield Scene(name="another process holds the journal when a POST is answered", play=_once(full.locked_after), slow=True)
    yield Scene(name="another process holds the journal before a submit", play=_once(full.locked_before), slow=True)
    yield Scene(name="the log is torn", play=lambda folder, _: torn(folder, jobs=4 if quick else 8, step=7 if quick else 1))
    yield Scene(name="the power goes", play=partial(copies, number=40 if quick else 250, seed=seed))
    yield Scene(name="another process holds the journal for a second", play=_once(full.locked_briefly))
    yield Scene(name="the intent is forced to the disk", play=partial(synced, number=1 if quick else 3))
    yield Scene(name="the database is damaged", play=lambda folder, _: spoilt(folder, jobs=30))
    for where, room in (("no byte may be written", full.limited), ("the disk is full", full.mounted)):
        for when, play in (("before", full.full_before), ("after", full.full_after), ("for good after", full.full_for_good)):
            yield Scene(name=f"{where} {when} a POST", play=_once(partial(room, play)))
    for what, folder_mode, file_mode in (
        ("a folder that may not be written", 0o555, None),
        ("a file that may not be written", 0o555, 0o444),
        ("a file that may be written in a folder that may not", 0o555, 0o666),
        ("a folder that may not be looked into", 0o000, 0o666),
    ):
        yield Scene(name=what, play=_once(partial(full.read_only, folder=folder_mode, file=file_mode)))


def _once(play: Callable[[Stage], list[str]]) -> Play:
    """Play a scene of one stage, and have SQLite look at the journal that it leaves."""

    def whole(folder: Path, service: Service) -> tuple[int, list[str]]:
        stage = Stage.set_up(folder, service)
        return 1, [*play(stage), *full.integrity_of(stage)]

    return whole


def played(number: int, *, quick: bool, seed: int) -> Outcome:
    """Play the scene of a number in this process."""
    # What a damaged row says in the log is not what is counted here.
    logging.getLogger("genbridge").addHandler(logging.NullHandler())
    scene = list(scenes(quick=quick, seed=seed))[number]
    started = time.monotonic()
    skipped = ""
    with tempfile.TemporaryDirectory(prefix="genbridge-storage-") as folder, Service() as service:
        try:
            tried, findings = scene.play(Path(folder), service)
        except Skip as reason:
            tried, findings, skipped = 0, [], str(reason)
    return Outcome(name=scene.name, tried=tried, seconds=time.monotonic() - started, findings=findings, skipped=skipped)


def line(outcome: Outcome) -> str:
    """Return an outcome as a line of the table."""
    said = f"not played: {outcome.skipped}" if outcome.skipped else "held" if not outcome.findings else "DID NOT HOLD"
    lines = [f"{outcome.name:62} {outcome.tried:5} {outcome.seconds:6.1f} s  {said}"]
    return "\n".join([*lines, *(f"  ! {finding}" for finding in outcome.findings[:20])])


def main() -> int:
    """Run from the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer damages and copies, and no scene that has to wait for long")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write what came of it to this file too")
    arguments = parser.parse_args()
    numbers = [number for number, scene in enumerate(scenes(quick=arguments.quick, seed=1)) if not (arguments.quick and scene.slow)]
    outcomes: list[Outcome] = []
    with ProcessPoolExecutor(3, mp_context=get_context("fork")) as pool:
        for outcome in pool.map(partial(played, quick=arguments.quick, seed=arguments.seed), numbers):
            print(line(outcome), flush=True)
            outcomes.append(outcome)
    if arguments.json:
        arguments.json.write_text(json.dumps([attrs.asdict(outcome) for outcome in outcomes], indent=1))
    broken = [outcome for outcome in outcomes if outcome.findings]
    print(
        f"{sum(outcome.tried for outcome in outcomes)} faults: "
        + (f"{len(broken)} promises did not hold" if broken else "every promise held")
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
