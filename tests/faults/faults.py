"""Break everything at every step, and count.

    python faults.py [--quick] [--peer NAME=PYTHON …] [--write PAGE] [--json FILE]

Runs the scenarios over all services with real clients, prints what came of each, and ends with 1 when a row does not hold. The
short run (`--quick`, less than a minute) has the decisive faults of the submit and a few of each other step. `--peer` is an
interpreter in whose environment another client is installed (`openai`, `fal-client`, `litellm`), for the same faults. A page is
written only when everything holds.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

from page import printed, write
from rivals import Count, count_all
from scenarios import COLUMNS, SCENARIOS
from service import Service
from trial import Outcome, attempt

HERE = Path(__file__).parent
_AT_ONCE = 32 * (os.cpu_count() or 1)


def say(text: str = "") -> None:
    """Print, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def third_parties() -> dict[str, ModuleType]:
    """Return the tests' third-party plugin, from where it is installed or else from its sources."""
    sys.path.extend((str(HERE.parent / "fakes"), str(HERE.parent / "thirdparty" / "genbridge-acme" / "src")))
    return {"acme": importlib.import_module("genbridge_acme")}


async def run_all(*, quick: bool) -> list[Outcome]:
    """Run every scenario at every service that has its step; return the outcomes in the scenarios' order."""
    providers = third_parties()
    turns = asyncio.Semaphore(_AT_ONCE)
    pairs = [(scenario, column) for scenario in SCENARIOS if scenario.quick or not quick for column in COLUMNS[scenario.step]]
    with Service() as service, tempfile.TemporaryDirectory() as place:

        async def one(number: int) -> Outcome:
            async with turns:
                return await attempt(service, *pairs[number], Path(place, str(number)), providers)

        return await asyncio.gather(*(one(number) for number in range(len(pairs))))


async def run_both(*, quick: bool, peers: Mapping[str, str]) -> tuple[list[Outcome], list[Count]]:
    """Run the scenarios, and beside them the other clients, as all of them mostly wait."""
    return await asyncio.gather(run_all(quick=quick), count_all(peers))


def verdict(outcomes: Sequence[Outcome]) -> list[str]:
    """Return a line for each outcome that is not as it must be."""
    return [
        f"{outcome.scenario.step}: {outcome.scenario.name}, at {outcome.column.name}: {outcome.cell}, where "
        f"{outcome.scenario.expect.cell(outcome.column)} must hold" + "".join(f"; {why}" for why in outcome.wrong)
        for outcome in outcomes
        if not outcome.holds
    ]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Break everything at every step, and count.")
    parser.add_argument("--quick", action="store_true", help="less than a minute's worth of it")
    parser.add_argument(
        "--peer", action="append", default=[], metavar="NAME=PYTHON", help="another client, and the Python that has it"
    )
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the tables to a page")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcomes as JSON")
    return parser.parse_args()


def dump(path: Path, outcomes: Sequence[Outcome], counts: Sequence[Count]) -> None:
    """Write the outcomes as JSON."""
    ours = [[each.scenario.step, each.scenario.name, each.column.name, each.cell, each.wrong] for each in outcomes]
    theirs = [[each.rival.package, each.version, each.rival.call, each.fault, each.posts, each.ended] for each in counts]
    path.write_text(json.dumps({"trials": ours, "peers": theirs}, indent=1))


def main() -> int:
    """Run, print, and write what is asked for; return the exit code."""
    chosen = arguments()
    # What the faults make it say is what is meant to happen.
    logging.getLogger("genbridge").setLevel(logging.CRITICAL)
    began = time.monotonic()
    outcomes, counts = asyncio.run(run_both(quick=chosen.quick, peers=dict(peer.split("=", 1) for peer in chosen.peer)))
    for line in printed(outcomes, counts):
        say(line)
    failures = verdict(outcomes)
    took = time.monotonic() - began
    say(f"\n{len(outcomes)} trials, and {len(counts)} of other clients, in {took:.0f} s; {len(failures)} do not hold")
    for line in failures:
        say(f"  {line}")
    if chosen.json:
        dump(chosen.json, outcomes, counts)
    if chosen.write and not failures:
        write(chosen.write, outcomes, counts)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
