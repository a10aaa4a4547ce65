"""The loopback service from outside, and the processes that are measured against it.

    with Loopback(seconds=[None]) as loopback:
        found = measure(python, "run.py", {"task": "wait", "port": loopback.port, …})

Where the system allows it, the service has a core for itself, and who is measured has the others.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).parent
sys.path.append(str(HERE / "clients"))

from gauge import ask  # noqa: E402 (the clients' modules are found by their folder)

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
PINNED = len(CORES) > 1


class Loopback:
    """The process; use it as `with Loopback() as loopback`. Jobs take so many seconds (`None`: for ever), in turn."""

    def __init__(self, seconds: Sequence[float | None], size: int = 1000) -> None:
        self._plan = {"seconds": seconds, "size": size}
        self.port = 0

    def __enter__(self) -> Self:
        command = [sys.executable, str(HERE / "origin.py")]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment())
        pin(self._process.pid, CORES[-1:])
        self.port = int(self._process.stdout.readline())  # type: ignore[union-attr]  # it was made with pipes
        ask(self.port, "/plan", self._plan)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.communicate()


def environment() -> dict[str, str]:
    """Return an environment in which a script finds the modules beside it."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}


def pin(pid: int, cores: Sequence[int]) -> None:
    """Keep a process on some cores, where there is more than one and the system can."""
    if PINNED:
        os.sched_setaffinity(pid, cores)


def measure(python: str, script: str, arguments: Mapping[str, Any], patience: float) -> dict[str, Any]:
    """Run one measurement in a process of its own; raises `RuntimeError` with what it complained of."""
    command = [python, str(HERE / "clients" / script), json.dumps(arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        pin(process.pid, CORES[:-1])
        try:
            said, complaint = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            raise RuntimeError(f"it was not done after {patience:g} s") from None
    if process.returncode:
        raise RuntimeError(complaint.strip().rpartition("\n")[2] or f"exit code {process.returncode}")
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found
