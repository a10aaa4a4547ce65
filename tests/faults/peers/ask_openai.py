"""Submit once with the openai SDK: `ask_openai.py BASE_URL KEY SECONDS images|videos`. Prints what came of it as JSON."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version

import openai

base_url, key, seconds, what = sys.argv[1:]
client = openai.OpenAI(base_url=base_url, api_key=key, timeout=float(seconds))
try:
    if what == "videos":
        said: object = client.videos.create(model="sora-2", prompt="a fox [job 1]")
    else:
        said = client.images.generate(model="gpt-image-1", prompt="a fox [job 1]")
    ended = f"returned {type(said).__name__}"
except Exception as error:  # noqa: BLE001 (whatever it raises is what came of it)
    ended = f"raised {type(error).__name__}"
sys.stdout.write(json.dumps({"version": version("openai"), "ended": ended}))
