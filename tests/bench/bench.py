"""Measure genbridge beside the bare protocol and other clients, each at the same job, in one run.

    python bench.py [--quick] [--only NAME …] [--peer NAME=PYTHON …] [--folder FOLDER] [--json FILE] [--page PAGE] [--check]

A service on loopback, in a process of its own, answers from bytes made beforehand; every measurement is a process of its own too.
The clients take turns, round after round, and what counts are the ratios within a round: the figures themselves are this machine's.
Ends with 1 when a client did not do its work, and with `--check` also when a goal was not reached.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from contests import CONTESTS, NAMED, Client, Contest
from loopback import PINNED, Loopback, measure
from records import Records
from sheet import contest_table

from genbridge import __version__


def say(text: str = "") -> None:
    """Print, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def chosen(only: Sequence[str], *, quick: bool) -> list[Contest]:
    """Return the contests to hold."""
    return [each for each in CONTESTS if (each.name in only if only else not quick or each.quick is not None)]


def hold(contest: Contest, records: Records, pythons: Mapping[str, str], folder: Path, *, quick: bool) -> Iterator[str]:
    """Hold one contest; yield what was not done as it should be."""
    told = contest.arguments(quick=quick)
    clients = [NAMED[name] for name in contest.clients if NAMED[name].package in pythons]
    with Loopback() as loopback:
        for _ in range(contest.quick_rounds if quick else contest.rounds):
            for client in clients:
                found = one(client, pythons[client.package], {"plan": contest.plan, **told}, loopback, folder)
                records.add(contest, client.name, found)
                if not contest.done(found, told):
                    yield f"{contest.title}: {client.name} did not do its work: {found}"


def one(client: Client, python: str, told: Mapping[str, Any], loopback: Loopback, folder: Path) -> Mapping[str, Any]:
    """Measure one client once."""
    loopback.plan(told["plan"])
    who = {"module": client.module, "way": client.way, "word": client.word, "port": loopback.port}
    with place(folder) as own:
        return measure(python, {**who, "folder": own, **{name: value for name, value in told.items() if name != "plan"}})


def place(folder: Path) -> AbstractContextManager[str]:
    """Return a new folder, for a journal."""
    return tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True)


def about() -> dict[str, object]:
    """Return where and with what this run is made."""
    return {
        "genbridge": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "pinned": PINNED,
    }


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure genbridge beside the bare protocol and other clients.")
    parser.add_argument("--quick", action="store_true", help="two minutes' worth of it")
    parser.add_argument("--only", action="append", default=[], choices=[each.name for each in CONTESTS], help="one contest")
    parser.add_argument(
        "--peer", action="append", default=[], metavar="NAME=PYTHON", help="another client, and the Python that has it"
    )
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where journals are: on a real disk")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found as JSON")
    return parser.parse_args()


def main() -> int:
    """Run, print, and write what is asked for; return the exit code."""
    options = arguments()
    began = time.monotonic()
    pythons = {"": sys.executable, **dict(peer.split("=", 1) for peer in options.peer)}
    records, failures = Records(about()), []
    for contest in chosen(options.only, quick=options.quick):
        failures += hold(contest, records, pythons, options.folder, quick=options.quick)
        for line in ("", contest.title, *contest_table(records, contest)):
            say(line)
    say(f"\n{time.monotonic() - began:.0f} s; {len(failures)} not done as they should be")
    for line in failures:
        say(f"  {line}")
    if options.json:
        records.write(options.json)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
