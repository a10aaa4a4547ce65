"""What a command costs, from its start to its end: `command.py '{"word": "--version", …}'`."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

given = json.loads(sys.argv[1])
command = str(Path(sys.executable).with_name("genbridge"))
env = {**os.environ, "GENBRIDGE_STATE_DIR": given["folder"], "IMINI_API_KEY": "a-key"}
began = time.perf_counter()
subprocess.run([command, *given["word"].split()], check=True, cwd=given["folder"], env=env, stdout=subprocess.DEVNULL)
seconds = time.perf_counter() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
sys.stdout.write(json.dumps({"seconds": seconds, "cpu": used.ru_utime + used.ru_stime}))
