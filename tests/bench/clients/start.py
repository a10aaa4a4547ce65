"""What an import costs, in a process that has done nothing else: `start.py '{"module": "asyncio"}'`.

Prints the seconds, those of CPU, the bytes of memory, the modules, and of how many packages outside the standard library they are.
"""

from __future__ import annotations

import os
import sys
import time


def resident() -> int:
    """Return the bytes of memory that this process has, where the system tells."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 (pathlib would be an import)
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


module = sys.argv[1].partition('"module": "')[2].partition('"')[0]
known, memory, began, used = set(sys.modules), resident(), time.perf_counter(), time.process_time()
__import__(module)
seconds, used = time.perf_counter() - began, time.process_time() - used
memory = resident() - memory
added = set(sys.modules) - known
packages = {name.partition(".")[0] for name in added} - sys.stdlib_module_names
found = {"seconds": seconds, "cpu": used, "bytes": memory, "modules": len(added), "packages": len(packages)}
sys.stdout.write(str(found).replace("'", '"'))
