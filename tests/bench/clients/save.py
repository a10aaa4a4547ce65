"""What saving a file with curl costs, from start to end: `save.py '{"word": "durable", "port": 1234, "folder": "…", …}'`.

With the word `durable` the file is then digested and brought to the disk, by the same functions that genbridge has for that.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path


def make_durable(path: Path) -> None:
    """Digest a file, and bring it to the disk."""
    with path.open("rb") as file:
        hashlib.file_digest(file, "sha256")
        os.fsync(file.fileno())


def cpu() -> float:
    """Return the seconds of CPU that this process and those that it ran have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


given = json.loads(sys.argv[1])
path = Path(given["folder"]) / "file"
began, before = time.perf_counter(), cpu()
subprocess.run(["curl", "--silent", "--output", path, f"http://127.0.0.1:{given['port']}/file.mp4"], check=True)
if given["word"] == "durable":
    make_durable(path)
found = {"seconds": time.perf_counter() - began, "cpu": cpu() - before, "bytes": path.stat().st_size}
sys.stdout.write(json.dumps(found))
