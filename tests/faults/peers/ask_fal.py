"""Submit once with fal-client, as it comes: `ask_fal.py BASE_URL KEY SECONDS`. Prints what came of it as JSON."""

from __future__ import annotations

import json
import logging
import sys
from importlib.metadata import version

import fal_client

base_url, key, seconds = sys.argv[1:]
logging.disable()
# Its variable for the host takes no http.
fal_client.client.QUEUE_URL_FORMAT = f"{base_url}/"
client = fal_client.SyncClient(key=key, default_timeout=float(seconds))
try:
    said = client.submit("harness/flux", arguments={"prompt": "a fox [job 1]"})
    ended = f"returned {type(said).__name__}"
except Exception as error:  # noqa: BLE001 (whatever it raises is what came of it)
    ended = f"raised {type(error).__name__}"
sys.stdout.write(json.dumps({"version": version("fal-client"), "ended": ended}))
