"""What a command costs, from its start to its end: `command.py '{"module": "genbridge", "word": "--version", …}'`."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

given = json.loads(sys.argv[1])
words = {
    "genbridge": [str(Path(sys.executable).with_name("genbridge"))],
    "curl": ["curl", "--silent", "--output", f"{given['folder']}/file", f"http://127.0.0.1:{given['port']}/file.mp4"],
}[given["module"]]
env = {**os.environ, "GENBRIDGE_STATE_DIR": given["folder"], "IMINI_API_KEY": "a-key"}
began = time.perf_counter()
subprocess.run([*words, *given["word"].split()], check=True, cwd=given["folder"], env=env, stdout=subprocess.DEVNULL)
seconds = time.perf_counter() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
sizes = [path.stat().st_size for path in Path(given["folder"]).glob("file")]
sys.stdout.write(json.dumps({"seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "bytes": sum(sizes)}))
