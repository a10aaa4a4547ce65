"""Measure genbridge beside the bare protocol and other clients, each at the same job, in one run.

    python bench.py [--quick] [--only NAME …] [--peer PACKAGE=PYTHON …] [--folder FOLDER] [--json FILE] [--page PAGE] [--check]
    python bench.py --from FILE [--only NAME …] [--json FILE] [--page PAGE]

Prints a table for each contest, and whether the goals were reached. `--from` takes what was found from a file, and measures only
what `--only` names anew. The file is written after each contest, as all of them take long. Ends with 1 when a client of ours did
not do its work, and with `--check` also when a goal was not reached.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from contests import CONTESTS, CURL, Client, Contest
from goals import GOALS
from loopback import PINNED, Loopback, measure
from records import FAILED, Records
from sheet import contest_table, goal_table, write

from genbridge import __version__

_PATIENCE, _PEER_PATIENCE = 1800.0, 120.0
"""Seconds after which a measurement is given up: some clients come to a stand with many jobs."""


def say(text: str = "") -> None:
    """Print, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def chosen(only: Sequence[str] | None, *, quick: bool) -> list[Contest]:
    """Return the contests to hold."""
    if only is not None:
        return [each for each in CONTESTS if each.name in only]
    return [each for each in CONTESTS if (each.quick is not None if quick else each.rounds)]


def hold(contest: Contest, records: Records, pythons: Mapping[str, str], folder: Path, *, quick: bool) -> Iterator[str]:
    """Hold one contest; yield what was not done as it should be."""
    size = contest.quick_size if quick else contest.size
    for number in range(contest.quick_rounds if quick else contest.rounds):
        clients = [each for each in contest.at(number) if is_here(each, pythons)]

        def one(client: Client) -> Mapping[str, Any]:
            with Loopback(contest.plan, size) as loopback, tempfile.TemporaryDirectory(dir=folder) as own:
                told = {**contest.arguments(client, quick=quick), "port": loopback.port, "folder": own}
                return attempt(client, pythons[client.package], told)

        with ThreadPoolExecutor(len(clients) if contest.together else 1) as turns:
            for client, found in zip(clients, turns.map(one, clients), strict=True):
                records.add(contest, client.name, found)
                told = {**contest.arguments(client, quick=quick), "size": size}
                if not client.package and (FAILED in found or not contest.done(found, told)):
                    yield f"{contest.title}: {client.name} did not do its work: {found}"


def is_here(client: Client, pythons: Mapping[str, str]) -> bool:
    """Whether a client is installed."""
    return client.package in pythons and (client.module != CURL.module or shutil.which("curl") is not None)


def attempt(client: Client, python: str, told: Mapping[str, Any]) -> Mapping[str, Any]:
    """Measure one client once; what it cannot do is a finding too."""
    who = {"module": client.module, "way": client.way, "word": client.word, "interval": client.interval}
    try:
        return measure(python, client.script, {**who, **told}, _PEER_PATIENCE if client.package else _PATIENCE)
    except RuntimeError as error:
        return {FAILED: str(error)[-300:]}


def about(*, quick: bool, note: str) -> dict[str, Any]:
    """Return where and with what this run is made."""
    return {
        "genbridge": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "pinned": PINNED,
        "quick": quick,
        "note": note,
    }


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure genbridge beside the bare protocol and other clients.")
    parser.add_argument("--quick", action="store_true", help="two minutes' worth of it")
    parser.add_argument("--only", action="append", choices=[each.name for each in CONTESTS], help="one contest")
    parser.add_argument(
        "--peer", action="append", default=[], metavar="PACKAGE=PYTHON", help="another client, and the Python that has it"
    )
    parser.add_argument("--folder", type=Path, help="where journals and files are written: on a real disk")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found as JSON")
    parser.add_argument("--page", type=Path, metavar="PAGE", help="write the tables to a page")
    parser.add_argument("--from", type=Path, metavar="FILE", dest="source", help="take what was found from a file")
    parser.add_argument("--note", default="", metavar="TEXT", help="what has to be said of this run on the page")
    parser.add_argument("--check", action="store_true", help="fail when a goal was measured and not reached")
    return parser.parse_args()


def run(contests: Sequence[Contest], records: Records, options: argparse.Namespace) -> list[str]:
    """Hold contests and print their tables; return what was not done as it should be."""
    pythons = {"": sys.executable, **dict(peer.rsplit("=", 1) for peer in options.peer)}
    failures: list[str] = []
    with tempfile.TemporaryDirectory(dir=options.folder and options.folder.absolute()) as folder:
        for contest in contests:
            records.rounds.pop(contest.name, None)
            failures += hold(contest, records, pythons, Path(folder), quick=options.quick)
            for line in ("", contest.title, *contest_table(records, contest)):
                say(line)
            if options.json:
                records.write(options.json)
    return failures


def main() -> int:
    """Run, print, and write what is asked for; return the exit code."""
    options, began = arguments(), time.monotonic()
    only = options.only or ([] if options.source else None)
    records = Records.read(options.source) if options.source else Records(about(quick=options.quick, note=options.note))
    failures = run(chosen(only, quick=options.quick), records, options)
    for line in ("", *goal_table(records)):
        say(line)
    say(f"\n{time.monotonic() - began:.0f} s; {len(failures)} not done as they should be")
    for line in failures:
        say(f"  {line}")
    if options.page and not failures:
        write(options.page, records)
    missed = options.check and any(goal.reached(records) is False for goal in GOALS)
    return 1 if failures or missed else 0


if __name__ == "__main__":
    sys.exit(main())
