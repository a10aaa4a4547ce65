"""Several processes on one journal: what they may do together is what one may do alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the processes are forked")

_SHARED = Path(__file__).with_name("faults") / "shared.py"


def _shared(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    """Run the harness and return its counts; its own directory is on its path, which is where its modules are."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    command = [sys.executable, str(_SHARED), *arguments, "--json", str(tmp_path / "counts.json")]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr
    counts: dict[str, Any] = json.loads((tmp_path / "counts.json").read_text())
    return counts


def test_twenty_submitters_in_four_processes_spend_a_cap_to_its_last_credit(tmp_path: Path) -> None:
    """Neither the service nor the record has one credit more, or less, than the 500 of the cap."""
    counts = _shared(tmp_path, "cap", "--credits", "500")

    assert 500 == counts["spent at the service"]
    assert 500 == counts["spent on record"]
    assert 1 < counts["processes"]
    assert counts["jobs"] == counts["succeeded"]


def test_two_processes_keep_a_limit_together_and_each_job_has_one_driver(tmp_path: Path) -> None:
    """Of 48 jobs no minute has more than 12, each is sent once and polled by one process, and all are made."""
    counts = _shared(tmp_path, "pace", "--jobs", "48")

    assert 12 >= counts["most a minute on record"]
    assert 12 >= counts["most a minute at the service"]
    assert (48, 48, 48) == (counts["jobs"], counts["accepted"], counts["succeeded"])
    assert 1 == counts["most POSTs of a job"]
    assert (48, 0) == (counts["polled"], counts["polled by both"])
