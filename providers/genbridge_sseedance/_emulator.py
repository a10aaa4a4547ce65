"""The service as its pages describe it, in memory.

A prompt with `[fail]` makes a task that fails; one with `[refuse]` is refused at the submit. What the pages do not say is inferred
from services of its kind: every refusal is `{"code": -1, "message": …}`, with HTTP 401, 404 or 429 where the way in is closed, and
with HTTP 200 where the request itself is refused. A failed task is not refunded, as no page promises that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

import attrs

from genbridge import Call, Fields, Reply
from genbridge_sseedance._models import COMMON_SIZES, PIXELS, PRESETS, PROVIDER

_MODELS = tuple(model.provider_id for model in PROVIDER.models if model.unavailable is None)
_LONG_SIDE = 1024
"""The most pixels of a 4k image's long side here: the ratio is kept, the size is not, so that it is drawn quickly."""
_LARGEST = 2048
"""The most pixels of a side that is asked for in pixels."""
_MINUTE = 60.0
_COUNTS = (1, 2, 4)
_FORMS = {
    "model": "|".join(map(re.escape, _MODELS)),
    "size": "|".join((PIXELS, *COMMON_SIZES)),
    "resolution": "1k|4k",
    "imageResolution": "1k|4k",
    "imageSizePreset": "|".join(PRESETS),
}


@attrs.frozen(kw_only=True)
class Task:
    """One accepted task; `created` is in the seconds of the emulator's clock."""

    id: str
    model: str
    provider: str
    prompt: str
    count: int
    width: int
    height: int
    created: float


@attrs.define(kw_only=True)
class SseedanceEmulator:
    """A stand-in for sseedance.

    A task is pending for `queued` seconds and processing for `runs` more. More than `per_minute` submits in a minute are refused.
    """

    key: str = attrs.field(default="sandbox-sseedance-key", repr=False)
    credits: int = 1000
    queued: float = 0.5
    runs: float = 2.0
    per_minute: int = 600
    tasks: dict[str, Task] = attrs.field(factory=dict)
    submitted: list[float] = attrs.field(factory=list)

    def answer(self, call: Call, now: float) -> Reply:
        """Answer one call at the time `now`, in seconds."""
        match (call.method, *call.path.strip("/").split("/")):
            case ("GET", "files", name):
                return self._file(name)
            case ("POST", "v1", "images", "generations"):
                return self._guard(call) or self._submit(Fields(call.json), now)
            case ("GET", "v1", "tasks", task_id):
                return self._guard(call) or self._status(task_id, call.origin, now)
        return self._guard(call) or _refuse("this endpoint is not open", status=404)

    def _guard(self, call: Call) -> Reply | None:
        if call.headers.get("authorization") == f"Bearer {self.key}":
            return None
        return _refuse("invalid api key", status=401)

    def _submit(self, document: Fields, now: float) -> Reply:
        self.submitted = [time for time in self.submitted if now - time < _MINUTE]
        if len(self.submitted) >= self.per_minute:
            wait = math.ceil(self.submitted[0] + _MINUTE - now)
            return _refuse("too many requests", status=429, headers={"retry-after": str(wait)})
        problem = _problem(document)
        if problem is not None:
            return _refuse(problem)
        return self._accept(document, now)

    def _accept(self, document: Fields, now: float) -> Reply:
        count = document.whole("n") or 1
        price = count * (4 if _is_4k(document) else 2)
        if price > self.credits:
            return _refuse(f"insufficient credits: {price} are needed, {self.credits} are left")
        self.credits -= price
        self.submitted.append(now)
        task = self._new(document, count, now)
        self.tasks[task.id] = task
        data = {"id": task.id, "mediaType": "image", "status": "pending", "imageUrls": []}
        return Reply.of({"id": task.id, "object": "image.generation.task", "status": "pending", "data": [data]})

    def _new(self, document: Fields, count: int, now: float) -> Task:
        width, height = _pixels(document)
        return Task(
            id=f"task_{len(self.tasks) + 1:06d}",
            model=document.text("model") or _MODELS[0],
            provider=document.text("provider") or "sandbox",
            prompt=document.text("prompt") or "",
            count=count,
            width=width,
            height=height,
            created=now,
        )

    def _status(self, task_id: str, origin: str, now: float) -> Reply:
        task = self.tasks.get(task_id)
        if task is None:
            return _refuse("task not found", status=404)
        status = self._word(task, now)
        urls = [f"{origin}/files/{task.id}-{number}.png" for number in range(1, task.count + 1)]
        data = {
            "id": task.id,
            "mediaType": "image",
            "provider": task.provider,
            "model": task.model,
            "prompt": task.prompt,
            "status": status,
            "imageUrls": urls if status == "success" else [],
            "videoUrls": [],
            "audioUrls": [],
            "errorMessage": "the image could not be made" if status == "failed" else None,
        }
        return Reply.of({"object": "task", "data": data})

    def _word(self, task: Task, now: float) -> str:
        age = now - task.created
        if age < self.queued:
            return "pending"
        if age < self.queued + self.runs:
            return "processing"
        return "failed" if "[fail]" in task.prompt else "success"

    def _file(self, name: str) -> Reply:
        task_id, _, number = name.removesuffix(".png").rpartition("-")
        task = self.tasks.get(task_id)
        if task is None or number not in map(str, range(1, task.count + 1)):
            return _refuse("file not found", status=404)
        return Reply(status=200, headers={"content-type": "image/png"}, body=_draw(task, number))


def _refuse(message: str, *, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    return Reply.of({"code": -1, "message": message}, status=status, headers=headers)


def _draw(task: Task, number: str) -> bytes:
    from genbridge import draw_png  # noqa: PLC0415

    title = task.prompt if task.count == 1 else f"{task.prompt} ({number} of {task.count})"
    drawing: bytes = draw_png(title, task.width, task.height)
    return drawing


def _is_4k(document: Fields) -> bool:
    return "4k" in (document.text("resolution"), document.text("imageResolution"))


def _problem(document: Fields) -> str | None:
    if "[refuse]" in (document.text("prompt") or ""):
        return "the prompt violates the content policy"
    wrong = ", ".join(_wrong(document))
    return f"invalid params: {wrong}" if wrong else None


def _wrong(document: Fields) -> Iterator[str]:
    if not (document.text("prompt") or "").strip():
        yield "prompt"
    if "n" in document and document.number("n") not in _COUNTS:
        yield "n"
    for name, pattern in _FORMS.items():
        if name in document and not re.fullmatch(pattern, document.text(name) or ""):
            yield name


def _pixels(document: Fields) -> tuple[int, int]:
    size = document.text("imageSizePreset", "size") or "1:1"
    if size in COMMON_SIZES and not _is_4k(document):
        return COMMON_SIZES[size]
    if ":" in size:
        return _scaled(size.split(":"), _LONG_SIDE)
    width, height = size.split("x")
    return _scaled((width, height), min(max(int(width), int(height)), _LARGEST))


def _scaled(ratio: Sequence[str], long_side: int) -> tuple[int, int]:
    width, height = (int(part) for part in ratio)
    scale = long_side / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))
