"""What the services of other clients answer to a submit: as little as those clients need. `server.py` speaks it."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from genbridge import Call, Reply


@attrs.define(kw_only=True)
class Dialect:
    """A service that accepts every paid POST; `path` is the base URL's, and `documents` are its answers by the path's end."""

    path: str
    documents: dict[str, Callable[[str], dict[str, object]]]
    key: str = "a-key-of-the-harness"
    made: int = 0

    def answer(self, call: Call, now: float) -> Reply:
        """Answer one call; what is accepted has its name in a header."""
        document = next((document for end, document in self.documents.items() if call.path.endswith(end)), None)
        if call.method != "POST" or document is None:
            return Reply.of({"error": {"message": "there is no such endpoint"}}, status=404)
        self.made += 1
        name = f"made-{self.made}"
        return Reply.of(document(name), headers={"x-request-id": name})


def _image(name: str) -> dict[str, object]:
    return {"created": 1, "data": [{"url": f"https://files.example/{name}.png"}]}


def _video(name: str) -> dict[str, object]:
    times = {"created_at": 1, "completed_at": None, "expires_at": None}
    return {
        "id": name,
        "object": "video",
        "model": "sora-2",
        "status": "queued",
        "progress": 0,
        "seconds": "4",
        "size": "720x1280",
        **times,
    }


def _queued(name: str) -> dict[str, object]:
    url = f"https://files.example/requests/{name}"
    links = {"response_url": url, "status_url": f"{url}/status", "cancel_url": f"{url}/cancel"}
    return {"request_id": name, "status": "IN_QUEUE", "queue_position": 0, **links}


def dialect(name: str) -> Dialect:
    """Return a new service; raises `KeyError` for a name that is none."""
    documents = {"openai": {"/images/generations": _image, "/videos": _video}, "fal": {"/flux": _queued}}[name]
    return Dialect(path="/v1" if name == "openai" else "", documents=documents)
