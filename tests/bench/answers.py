"""What the loopback service answers, by the protocol that its path begins with: bytes made beforehand, with a place for the id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

ID = "job-00000000"
"""The first id; all are as long, so that an answer is the same but for it."""
FILE = "http://127.0.0.1:65535/file.mp4"
"""Where a finished job's file is, with a port of as many digits as a port has."""


@attrs.frozen
class Answers:
    """Whole answers: to a submit, to a poll of a job that goes on, and to one of a job that is done."""

    accepted: bytes
    waiting: bytes
    done: bytes


def whole(document: object, status: str = "200 OK") -> bytes:
    """Return an HTTP answer with a JSON document."""
    body = json.dumps(document).encode()
    return b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (status.encode(), len(body), body)


def _openai(status: str) -> Mapping[str, Any]:
    times = {"created_at": 1, "completed_at": None, "expires_at": None, "error": None, "remixed_from_video_id": None}
    fixed = {"id": ID, "object": "video", "model": "sora-2", "seconds": "4", "size": "720x1280"}
    return {**fixed, **times, "status": status, "progress": 0}


def _fal(status: str) -> Mapping[str, Any]:
    url = f"https://queue.fal.run/bench/model/requests/{ID}"
    links = {"response_url": url, "status_url": f"{url}/status", "cancel_url": f"{url}/cancel"}
    return {"request_id": ID, "status": status, "queue_position": 0, "logs": None, "metrics": {}, **links}


def _replicate(status: str) -> Mapping[str, Any]:
    times = {"created_at": "2026-01-01T00:00:00Z", "started_at": None, "completed_at": None}
    links = {"urls": {"get": f"https://api.replicate.com/v1/predictions/{ID}", "cancel": f"https://api.replicate.com/{ID}"}}
    rest = {"model": "bench/model", "version": "1", "input": {"prompt": "a fox"}, "logs": "", "error": None, "metrics": {}}
    return {"id": ID, "status": status, "output": FILE if status == "succeeded" else None, **times, **links, **rest}


def _google(*, done: bool) -> Mapping[str, Any]:
    samples = {"generateVideoResponse": {"generatedSamples": [{"video": {"uri": FILE}}]}}
    return {"name": f"models/veo-3.1/operations/{ID}", "done": done, **({"response": samples} if done else {})}


PROTOCOLS: Mapping[bytes, Answers] = {
    b"imini": Answers(
        whole({"task_id": ID}),
        whole({"task_id": ID, "status": "processing"}),
        whole({"task_id": ID, "status": "succeeded", "videos": [{"url": FILE, "duration": 5}]}),
    ),
    b"openai": Answers(whole(_openai("queued")), whole(_openai("in_progress")), whole(_openai("completed"))),
    b"fal": Answers(whole(_fal("IN_QUEUE")), whole(_fal("IN_PROGRESS"), "202 Accepted"), whole(_fal("COMPLETED"))),
    b"replicate": Answers(
        whole(_replicate("starting"), "201 Created"), whole(_replicate("processing")), whole(_replicate("succeeded"))
    ),
    b"google": Answers(whole({"name": f"models/veo-3.1/operations/{ID}"}), whole(_google(done=False)), whole(_google(done=True))),
}
"""By the first part of the path. The bare loops speak the first, which is imini's."""
