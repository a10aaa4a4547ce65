"""The service as its pages describe it, in memory.

A prompt with `[fail]` makes a task that fails; one with `[refuse]` is refused at the submit. A refusal has imini's error envelope.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs

from genbridge import Call, Choice, Fields, Media, Model, Range, ReferenceRule, Reply
from genbridge_imini._models import ALWAYS_SENT, PROVIDER

_BASE = "/imini/router"
_KINDS = {"images": Media.IMAGE, "videos": Media.VIDEO}
_FIRST_ID = 2_044_275_355_061_448_704
_MINUTE = 60.0
_LONG_SIDE = {"512": 512, "1K": 1024, "2K": 1024, "4K": 1024}
"""The pixels of an image's long side: the ratio is kept, the size of 2K and 4K is not, so that they are drawn quickly."""
_LONG_VIDEO_SIDE = 480
_PLAIN_RATIOS = {"images": "1:1", "videos": "16:9"}
"""What there is without a ratio, or with `adaptive`."""
_REFERENCES: Mapping[Media, Mapping[str, Media]] = {
    Media.IMAGE: {"images": Media.IMAGE},
    Media.VIDEO: {"reference_images": Media.IMAGE, "reference_videos": Media.VIDEO, "reference_audios": Media.AUDIO},
}
"""The fields with references, and the kind of file in each."""
_FIELDS = {
    "resolution": "resolution",
    "aspect_ratio": "aspect_ratio",
    "quality": "quality",
    "duration": "duration",
    "n": "count",
    "generate_audio": "audio",
}
"""The fields of a body, and the capability that bounds each."""
_EXTRA = {"seed": "seed", "watermark": "watermark", "return_last_frame": "return_last_frame"}


@attrs.frozen(kw_only=True)
class Task:
    """One accepted task; `created` is in the seconds of the emulator's clock, `cost` in credits."""

    id: str
    kind: str
    model: str
    prompt: str
    width: int
    height: int
    count: int
    seconds: float
    last_frame: bool
    cost: float
    created: float

    @property
    def fails(self) -> bool:
        """Whether its prompt asks for a failure."""
        return "[fail]" in self.prompt


@attrs.define(kw_only=True)
class IminiEmulator:
    """A stand-in for imini.

    A task is queued for `queued` seconds, and done when it is `image_seconds` or `video_seconds` old: by default the least of what
    imini's skill calls typical. More than `per_minute` submits in a minute are refused: imini has such a quota and publishes no
    number for it. `balance` is in credits; those of a failed task are given back, which no page states.
    """

    key: str = attrs.field(default="sandbox-imini-key", repr=False)
    balance: float = 100_000
    queued: float = 2.0
    image_seconds: float = 10.0
    video_seconds: float = 30.0
    per_minute: int = 60
    answers: int = 0
    tasks: dict[str, Task] = attrs.field(factory=dict)
    failing: list[str] = attrs.field(factory=list)
    submitted: list[float] = attrs.field(factory=list)

    def answer(self, call: Call, now: float) -> Reply:
        """Answer one call at the time `now`, in seconds."""
        self.answers += 1
        self._give_back(now)
        match (call.method, *call.path.removeprefix(_BASE).strip("/").split("/")):
            case ("GET", "files", name):
                return self._file(name, now)
            case ("POST", "v1", "images" | "videos" as kind, "generate"):
                return self._guard(call) or self._submit(kind, call.json, now)
            case ("GET", "v1", "images" | "videos" as kind, "tasks", task_id):
                return self._guard(call) or self._query(kind, task_id, call.origin, now)
        return self._guard(call) or self._refuse(404, "NOT_FOUND", "no such endpoint")

    # Submits.

    def _guard(self, call: Call) -> Reply | None:
        if call.headers.get("authorization") == f"Bearer {self.key}":
            return None
        return self._refuse(401, "UNAUTHORIZED", "missing or invalid API key")

    def _submit(self, kind: str, document: Any, now: float) -> Reply:
        self.submitted = [time for time in self.submitted if now - time < _MINUTE]
        if len(self.submitted) >= self.per_minute:
            return self._refuse(429, "RATE_LIMITED", "too many requests in a short window")
        if not isinstance(document, dict):
            return self._refuse(400, "INVALID_PARAMETER", "the body is not a JSON object")
        model = _model(kind, document.get("model"))
        if model is None:
            return self._refuse(400, "INVALID_PARAMETER", f"model: there is no such model for {kind}")
        if wrong := ", ".join(dict.fromkeys(_wrong(model, document))):
            return self._refuse(400, "INVALID_PARAMETER", f"out of range or missing: {wrong}")
        if "[refuse]" in document.get("prompt", ""):
            return self._refuse(400, "INVALID_PROMPT", "the prompt was flagged by the content policy")
        return self._accept(kind, model, document, now)

    def _accept(self, kind: str, model: Model, document: dict[str, Any], now: float) -> Reply:
        task = self._task(kind, model, document, now)
        if task.cost > self.balance:
            return self._refuse(402, "INSUFFICIENT_CREDITS", f"{task.cost:g} credits are needed, {self.balance:g} are left")
        self.balance -= task.cost
        self.submitted.append(now)
        self.tasks[task.id] = task
        if task.fails:
            self.failing.append(task.id)
        return Reply.of({"task_id": task.id, "model": task.model, "created_at": _iso(now), "request_id": self._request_id()})

    def _task(self, kind: str, model: Model, document: dict[str, Any], now: float) -> Task:
        width, height = _pixels(kind, document)
        seconds = document.get("duration", model.default("duration") or 5)
        return Task(
            id=f"task_{_FIRST_ID + len(self.tasks)}",
            kind=kind,
            model=model.provider_id,
            prompt=document.get("prompt", ""),
            width=width,
            height=height,
            count=document.get("n", 1),
            seconds=seconds,
            last_frame=document.get("extra_params", {}).get("return_last_frame", False),
            cost=_cost(model, document, seconds),
            created=now,
        )

    # Queries and files.

    def _query(self, kind: str, task_id: str, origin: str, now: float) -> Reply:
        task = self.tasks.get(task_id)
        if task is None or task.kind != kind:
            return self._refuse(404, "TASK_NOT_FOUND", "the task does not exist or has expired")
        status = self._status(task, now)
        return Reply.of(
            {
                "task_id": task.id,
                "status": status,
                "model": task.model,
                "created_at": _iso(task.created),
                "completed_at": _iso(self._end(task)) if status in ("succeeded", "failed") else None,
                kind: _items(task, f"{origin}/files/{task.id}") if status == "succeeded" else None,
                "error": self._envelope(500, "GENERATION_FAILED", "the model could not make it") if status == "failed" else None,
                "request_id": self._request_id(),
            }
        )

    def _status(self, task: Task, now: float) -> str:
        if now < task.created + self.queued:
            return "queued"
        if now < self._end(task):
            return "processing"
        return "failed" if task.fails else "succeeded"

    def _end(self, task: Task) -> float:
        return task.created + (self.image_seconds if task.kind == "images" else self.video_seconds)

    def _give_back(self, now: float) -> None:
        for task in [self.tasks[task_id] for task_id in self.failing]:
            if self._status(task, now) == "failed":
                self.failing.remove(task.id)
                self.balance += task.cost

    def _file(self, name: str, now: float) -> Reply:
        task_id, _, part = name.partition("-")
        task = self.tasks.get(task_id)
        if task is None or self._status(task, now) != "succeeded" or part not in _parts(task):
            return self._refuse(404, "NOT_FOUND", "no such file")
        return _draw(task, part)

    # Refusals.

    def _refuse(self, status: int, code: str, message: str) -> Reply:
        # No header says when to try again: none is documented.
        return Reply.of({"error": self._envelope(status, code, message)}, status=status)

    def _envelope(self, status: int, code: str, message: str) -> dict[str, Any]:
        return {"code": code, "message": message, "status": status, "request_id": self._request_id()}

    def _request_id(self) -> str:
        return f"sandbox-request-{self.answers}"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _model(kind: str, name: object) -> Model | None:
    models = (model for model in PROVIDER.models if model.media is _KINDS[kind])
    return next((model for model in models if model.provider_id == name), None)


# What is wrong with a body.


def _wrong(model: Model, document: dict[str, Any]) -> Iterator[str]:
    if not _prompt_fits(model, document.get("prompt", "")):
        yield "prompt"
    yield from (name for name in ALWAYS_SENT.get(model.provider_id, ()) if name not in document)
    yield from _wrong_values(model, document, _FIELDS)
    extra = document.get("extra_params", {})
    if isinstance(extra, dict):
        yield from (f"extra_params.{name}" for name in _wrong_values(model, extra, _EXTRA))
    else:
        yield "extra_params"
    references = list(_wrong_references(model, document))
    yield from references or _wrong_modes(document)


def _prompt_fits(model: Model, prompt: object) -> bool:
    if not isinstance(prompt, str) or (not prompt and model.capabilities.prompt_required):
        return False
    return model.capabilities.prompt_limit is None or len(prompt) <= model.capabilities.prompt_limit


def _wrong_values(model: Model, document: dict[str, Any], fields: Mapping[str, str]) -> Iterator[str]:
    for name, capability in fields.items():
        domain = getattr(model.capabilities, capability)
        if name in document and (domain is None or not _fits(domain, document[name], upper=name == "resolution")):
            yield name


def _fits(domain: Choice | Range, value: object, *, upper: bool) -> bool:
    if isinstance(domain, Range):
        return isinstance(value, int) and domain.problem(value) is None
    known = [choice.upper() if upper else choice for choice in domain.values]
    return any(type(value) is type(choice) and value == choice for choice in known)


def _wrong_references(model: Model, document: dict[str, Any]) -> Iterator[str]:
    for name, kind in _REFERENCES[model.media].items():
        rules = [rule for rule in model.capabilities.references if rule.kind is kind]
        if not _references_fit(document.get(name, []), rules, model.capabilities.most_references):
            yield name


def _references_fit(items: object, rules: Sequence[ReferenceRule], most: int | None) -> bool:
    if not isinstance(items, list) or (most is not None and len(items) > most):
        return False
    roles = [_role(item) for item in items]
    if not set(roles) <= {str(rule.role) for rule in rules}:
        return False
    return all(rule.least <= roles.count(str(rule.role)) <= rule.most for rule in rules)


def _role(item: object) -> str:
    """Return the role of a reference item; an empty one when it has no usable URL."""
    fields = Fields(item)
    scheme = (fields.text("url") or "").partition(":")[0]
    return (fields.text("reference_type") or "asset") if scheme in ("http", "https", "data") else ""


def _wrong_modes(document: dict[str, Any]) -> Iterator[str]:
    """Name the references that make no input mode together, as the Seedance page has it."""
    roles = [_role(item) for item in document.get("reference_images", [])]
    frames = [role for role in roles if role != "asset"]
    if frames and (len(frames) < len(roles) or "first_frame" not in frames):
        yield "reference_images"
    others = [name for name in ("reference_videos", "reference_audios") if document.get(name)]
    if frames or (others == ["reference_audios"] and not roles):
        yield from others


# What comes out.


def _cost(model: Model, document: dict[str, Any], seconds: float) -> float:
    """Return what the catalogue's prices say of a body; where they say nothing, as of some reference videos, it is free here."""
    given = {capability: document[name] for name, capability in _FIELDS.items() if name in document}
    asked = {name: model.default(name) for name in _FIELDS.values()} | given
    asked["resolution"] = str(asked["resolution"]).lower()
    asked["references"] = any(document.get(name) for name in _REFERENCES[model.media])
    price = next((price for price in model.prices if price.when.items() <= asked.items()), None)
    if price is None:
        return 0
    return price.amount * (seconds if price.per == "second" else document.get("n", 1))


def _pixels(kind: str, document: dict[str, Any]) -> tuple[int, int]:
    ratio = document.get("aspect_ratio", "adaptive")
    width, height = (int(part) for part in (_PLAIN_RATIOS[kind] if ratio == "adaptive" else ratio).split(":"))
    long_side = _LONG_VIDEO_SIDE if kind == "videos" else _LONG_SIDE[document.get("resolution", "1K")]
    scale = long_side / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _items(task: Task, stem: str) -> list[dict[str, Any]]:
    size = {"width": task.width, "height": task.height}
    if task.kind == "images":
        return [{"url": f"{stem}-{part}", **size} for part in _parts(task)]
    item = {"url": f"{stem}-video.mp4", **size, "duration": task.seconds, "cover_url": f"{stem}-cover.png"}
    # The query page has no field for the last frame: the name is made up.
    return [item | {"last_frame_url": f"{stem}-last.png"}] if task.last_frame else [item]


def _parts(task: Task) -> list[str]:
    """Return the ends of the names of a task's files."""
    if task.kind == "images":
        return [f"{number}.png" for number in range(1, task.count + 1)]
    return ["video.mp4", "cover.png", "last.png"] if task.last_frame else ["video.mp4", "cover.png"]


def _draw(task: Task, part: str) -> Reply:
    from genbridge import draw_png, draw_video  # noqa: PLC0415

    if part == "video.mp4":
        body = draw_video(task.prompt, task.width, task.height, task.seconds)
        return Reply(status=200, headers={"content-type": "video/mp4"}, body=body)
    title = f"{task.prompt} ({part.removesuffix('.png')} of {task.count})" if task.count > 1 else task.prompt
    return Reply(status=200, headers={"content-type": "image/png"}, body=draw_png(title, task.width, task.height))
