"""Submit once with litellm's Router: `ask_litellm.py BASE_URL KEY SECONDS plain|fallback`. Prints what came of it as JSON.

The Router has its own defaults but for the time limit of a call, which is that of the deployment. The fallback is a second
deployment at the same service. Its retries are made within the call, which ends after the last of them.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import version
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from litellm import Router

base_url, key, seconds, what = sys.argv[1:]
litellm.suppress_debug_info = True


def deployment(name: str) -> dict[str, Any]:
    """Return a deployment of an image model."""
    parameters = {"model": "openai/gpt-image-1", "api_base": base_url, "api_key": key, "timeout": float(seconds)}
    return {"model_name": name, "litellm_params": parameters}


if what == "fallback":
    router = Router(model_list=[deployment("image"), deployment("spare")], fallbacks=[{"image": ["spare"]}])
else:
    router = Router(model_list=[deployment("image")])
try:
    said = router.image_generation(model="image", prompt="a fox [job 1]")
    ended = f"returned {type(said).__name__}"
except Exception as error:  # noqa: BLE001 (whatever it raises is what came of it)
    ended = f"raised {type(error).__name__}"
sys.stdout.write(json.dumps({"version": version("litellm"), "ended": ended}))
