"""The service as its pages describe it, in memory.

A prompt with `[fail]` makes a job that fails, and whose credits come back; one with `[refuse]` is refused at the submit. Both say
that the content is against the policy. Times are the published usual ones. A tier is taken and changes nothing, as none is priced.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import attrs

from genbridge import Call, Fields, Reply
from genbridge_meigen._menu import OFFERS, Offer, offer

_MINUTE = 60.0
_REFUSED = "Content policy violation"
_IMAGES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp", "image/gif": ".gif"}
_CLIPS = {"video/mp4": ".mp4", "video/quicktime": ".mov", "audio/wav": ".wav", "audio/x-wav": ".wav", "audio/mpeg": ".mp3"}
# Placeholders are kept small: the ratio is what was asked for, the size is not. Pixels of the long side.
_LONG_SIDES = {"1K": 512, "2K": 768, "3K": 896, "4K": 1024, "480p": 320, "720p": 400, "1080p": 480, "4k": 480}
_NIJI = {"stylize": 1000, "chaos": 100, "weird": 3000, "iw": 2, "sw": 1000}


@attrs.define(kw_only=True)
class Generation:
    """One accepted job; `created` and `ready` are in the seconds of the emulator's clock, `seconds` is the video's length."""

    id: str
    model: str
    media: str
    prompt: str
    ratio: str
    resolution: str
    seconds: float
    candidates: int
    cost: float
    created: float
    ready: float
    request: str = ""
    digest: str = ""
    refunded: bool = False

    @property
    def fails(self) -> bool:
        """Whether it will fail, as its prompt asks for."""
        return "[fail]" in self.prompt


@attrs.define(kw_only=True)
class Upload:
    """One announced file; `data` is its bytes in base 64, empty until they are there."""

    name: str
    content_type: str
    size: int
    data: str = ""


@attrs.define(kw_only=True)
class MeigenEmulator:
    """A stand-in for MeiGen: one account with `daily` and `purchased` credits, of which a key spends the purchased ones.

    More than `per_minute` submits in a minute are refused.
    """

    key: str = "meigen_sk_sandbox" + "0" * 25
    daily: float = 10
    purchased: float = 5000
    per_minute: int = 12
    generations: dict[str, Generation] = attrs.field(factory=dict)
    uploads: dict[str, Upload] = attrs.field(factory=dict)
    submitted: list[float] = attrs.field(factory=list)

    def answer(self, call: Call, now: float) -> Reply:
        """Answer one call at the time `now`, in seconds."""
        self._settle(now)
        match (call.method, *call.path.strip("/").split("/")):
            case ("POST", "api", "generate", "v2"):
                return self._guard(call) or self._submit(call, now)
            case ("GET", "api", "generate", "v2", "status", name):
                return self._owned(call) or self._status(name, call.origin, now)
            case ("GET", "api", "generate", "v2", "requests", name):
                return self._guard(call) or self._request(name, call.origin, now)
            case ("GET", "api", "models"):
                return Reply.of({"success": True, "models": [known.document() for known in OFFERS]})
            case ("GET", "api", "search"):
                return Reply.of({"success": True, "data": []})
            case ("GET", "api", "images", _):
                return _refuse(404, "Image not found")
            case (_, "api", "tokens", *_):
                return _refuse(401, "Keys are managed in the browser only")
            case _:
                return self._files(call, now)

    def _files(self, call: Call, now: float) -> Reply:
        match (call.method, *call.path.strip("/").split("/")):
            case ("POST", "api", "upload", "presign"):
                return self._announce(call, _IMAGES, now)
            case ("POST", "api", "upload", "reference-video"):
                return self._guard(call) or self._announce(call, _CLIPS, now)
            case ("PUT", "uploads", name):
                return self._store(name, call)
            case ("GET", "uploads", name):
                return self._uploaded(name)
            case ("GET", "files", name):
                return self._file(name, now)
        return _refuse(404, "Not found")

    # Who asks.

    def _guard(self, call: Call) -> Reply | None:
        given = call.headers.get("authorization")
        if given is None:
            return _refuse(401, "Missing API token")
        return None if given == f"Bearer {self.key}" else _refuse(401, "Invalid or expired API token")

    def _owned(self, call: Call) -> Reply | None:
        """Refuse a wrong key; asking for a job's state needs none."""
        return self._guard(call) if "authorization" in call.headers else None

    # Submits.

    def _submit(self, call: Call, now: float) -> Reply:
        self.submitted = [time for time in self.submitted if now - time < _MINUTE]
        if len(self.submitted) >= self.per_minute:
            return self._too_many()
        self.submitted.append(now)
        if not isinstance(call.json, dict):
            return _refuse(400, "Request body must be a JSON object")
        document, digest = Fields(call.json), _digest(call.json)
        earlier = self._earlier(document.text("idempotencyKey"))
        if earlier is not None:
            return self._repeated(earlier, digest, call.origin, now)
        refusal = _refusal(document, call.json, call.origin)
        return refusal or self._accept(document, digest, now)

    def _too_many(self) -> Reply:
        limit = str(self.per_minute)
        headers = {"retry-after": "60", "x-ratelimit-limit": limit, "x-ratelimit-remaining": "0"}
        return _refuse(429, f"Rate limit exceeded: {limit} requests per minute", headers=headers)

    def _earlier(self, request: str | None) -> Generation | None:
        return next((job for job in self.generations.values() if request and job.request == request), None)

    def _repeated(self, job: Generation, digest: str, origin: str, now: float) -> Reply:
        if job.digest != digest:
            return _refuse(409, "This idempotency key was used with another request", code="idempotency_conflict", retryable=False)
        return Reply.of({**self._accepted(job), **_state(job, origin, now), "deduped": True})

    def _accept(self, document: Fields, digest: str, now: float) -> Reply:
        model = offer(document.text("modelId") or OFFERS[0].id) or OFFERS[0]
        cost = _cost(model, document)
        if cost > self.purchased:
            return _refuse(
                402, "Insufficient credits", code="insufficient_credits", required=_whole(cost), available=_whole(self.purchased)
            )
        self.purchased -= cost
        job = Generation(
            id=self._new_id("generation", now),
            model=model.id,
            media=model.media,
            prompt=document.text("prompt") or "",
            ratio=_ratio(model, document),
            resolution=_resolution(model, document),
            seconds=_duration(model, document),
            candidates=model.candidates,
            cost=cost,
            created=now,
            ready=now + model.seconds,
            request=document.text("idempotencyKey") or "",
            digest=digest,
        )
        self.generations[job.id] = job
        return Reply.of(self._accepted(job))

    def _new_id(self, sort: str, now: float) -> str:
        return str(uuid5(NAMESPACE_URL, f"{sort} {len(self.generations)} {len(self.uploads)} {now!r}"))

    def _accepted(self, job: Generation) -> dict[str, Any]:
        return {
            "success": True,
            "generationId": job.id,
            "status": "processing",
            "creditsUsed": _whole(job.cost),
            "modelId": job.model,
            "credits": {"daily": _whole(self.daily), "purchased": _whole(self.purchased), "unlimited": False},
        }

    # States.

    def _settle(self, now: float) -> None:
        """Give back the credits of jobs that have failed by now."""
        for job in self.generations.values():
            if job.fails and now >= job.ready and not job.refunded:
                job.refunded = True
                self.purchased += job.cost

    def _status(self, name: str, origin: str, now: float) -> Reply:
        job = self.generations.get(name)
        return _refuse(404, "Generation not found") if job is None else Reply.of({"jobId": job.id, **_state(job, origin, now)})

    def _request(self, name: str, origin: str, now: float) -> Reply:
        job = self._earlier(name)
        if job is None:
            return _refuse(404, "No generation was made for this request", code="request_not_found", retryable=False)
        echoes = {"success": True, "generationId": job.id, "requestId": job.request, "modelId": job.model}
        return Reply.of({**echoes, "creditsUsed": _whole(job.cost), "jobId": job.id, **_state(job, origin, now)})

    def _file(self, name: str, now: float) -> Reply:
        for job in self.generations.values():
            if name in _names(job) and now >= job.ready and not job.fails:
                kind = "video/mp4" if job.media == "video" else "image/png"
                return Reply(status=200, headers={"content-type": kind}, body=_draw(job, _names(job).index(name)))
        return _refuse(404, "File not found")

    # Uploads.

    def _announce(self, call: Call, types: Mapping[str, str], now: float) -> Reply:
        document = Fields(call.json)
        kind, size = document.text("contentType") or "", document.whole("size") or 0
        if not document.text("filename") or kind not in types or size < 1:
            return _refuse(400, f"filename, size and contentType are needed; contentType is one of {', '.join(types)}")
        upload = Upload(name=self._new_id("upload", now) + types[kind], content_type=kind, size=size)
        self.uploads[upload.name] = upload
        url = f"{call.origin}/uploads/{upload.name}"
        return Reply.of({"success": True, "presignedUrl": f"{url}?signature=sandbox", "publicUrl": url})

    def _store(self, name: str, call: Call) -> Reply:
        upload = self.uploads.get(name)
        body = call.body or b""
        if upload is None or call.query.get("signature") != "sandbox":
            return _refuse(403, "The upload address is not signed")
        if call.headers.get("content-type") != upload.content_type or len(body) != upload.size:
            return _refuse(403, "The file is not the one that was announced")
        upload.data = b64encode(body).decode()
        return Reply(status=200)

    def _uploaded(self, name: str) -> Reply:
        upload = self.uploads.get(name)
        if upload is None or not upload.data:
            return _refuse(404, "File not found")
        return Reply(status=200, headers={"content-type": upload.content_type}, body=b64decode(upload.data))


def _refuse(status: int, message: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> Reply:
    return Reply.of({"success": False, "error": message, **more}, status=status, headers=headers)


def _whole(amount: float) -> float:
    return int(amount) if float(amount).is_integer() else amount


def _digest(document: Mapping[str, Any]) -> str:
    """Return what tells one request from another, which its key is no part of."""
    rest = {name: value for name, value in document.items() if name != "idempotencyKey"}
    return sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _state(job: Generation, origin: str, now: float) -> dict[str, Any]:
    """Return the documented fields of a job's state."""
    done, over = now >= job.ready and not job.fails, now >= job.ready
    urls = [f"{origin}/files/{name}" for name in _names(job)] if done else []
    pictures = urls if job.media == "image" else []
    state = {
        "status": "completed" if done else "failed" if over else "processing",
        "imageUrl": pictures[0] if pictures else None,
        "imageUrls": pictures or None,
        "videoUrl": urls[0] if urls and job.media == "video" else None,
        "mediaType": job.media,
        "r2Key": f"files/{_names(job)[0]}" if done else None,
        "error": _REFUSED if over and job.fails else None,
    }
    if done:
        return {**state, "aspectRatio": job.ratio}
    return {**state, "failureCode": "content_policy_violation", "creditsStatus": "refunded"} if over else state


def _names(job: Generation) -> list[str]:
    if job.media == "video":
        return [f"{job.id}.mp4"]
    return [f"{job.id}-{number}.png" if job.candidates > 1 else f"{job.id}.png" for number in range(1, job.candidates + 1)]


def _draw(job: Generation, index: int) -> bytes:
    from genbridge import draw_png, draw_video  # noqa: PLC0415 (only files need it)

    width, height = _pixels(job)
    if job.media == "video":
        return draw_video(job.prompt, width, height, job.seconds)
    prompt = job.prompt if job.candidates == 1 else f"{job.prompt} ({index + 1} of {job.candidates})"
    return draw_png(prompt, width, height)


def _pixels(job: Generation) -> tuple[int, int]:
    across, down = (int(side) for side in job.ratio.split(":"))
    longest = _LONG_SIDES[job.resolution]
    scale = longest / max(across, down)
    return max(1, round(across * scale)), max(1, round(down * scale))


# What a request is read as.


def _refusal(document: Fields, given: Mapping[str, Any], origin: str) -> Reply | None:
    if "[refuse]" in (document.text("prompt") or ""):
        return _refuse(400, _REFUSED, code="content_policy_violation", retryable=False)
    model = offer(document.text("modelId") or OFFERS[0].id)
    if model is None:
        return _refuse(400, f"Invalid or inactive model: {document.text('modelId')}", retryable=False)
    messages = tuple(_mistakes(model, document, given, origin))
    return _refuse(400, messages[0], retryable=False) if messages else None


def _mistakes(model: Offer, document: Fields, given: Mapping[str, Any], origin: str) -> Iterator[str]:
    if not (document.text("prompt") or "").strip():
        yield "Prompt is required"
    yield from _shape_mistakes(model, document, given)
    yield from _reference_mistakes(model, document, given, origin)
    yield from _option_mistakes(model, document)
    if "idempotencyKey" in document and not _is_uuid(document.text("idempotencyKey") or ""):
        yield "idempotencyKey must be a UUID"


def _shape_mistakes(model: Offer, document: Fields, given: Mapping[str, Any]) -> Iterator[str]:
    ratio, resolution = given.get("aspectRatio", "auto"), given.get("resolution")
    if ratio not in ("auto", *model.ratios):
        yield f"Aspect ratio {ratio} is not supported by {model.id}"
    if ratio == "adaptive" and not (document.texts("referenceImages") or document.text("referenceVideo")):
        yield "Aspect ratio adaptive needs a reference"
    if resolution is not None and resolution not in model.config["resolutions"]:
        yield f"Resolution {resolution} is not supported by {model.id}"
    if model.media == "video" and given.get("duration") is not None and not _fits(model, document.number("duration")):
        yield f"Duration {given.get('duration')} is not supported by {model.id}"
    if "quality" in document and document.text("quality") not in model.config.get("qualities", ("low", "medium", "high")):
        yield "quality must be low, medium or high"


def _fits(model: Offer, duration: float | None) -> bool:
    # The page: Veo is always 8 s and ignores the field.
    return model.id == "veo-3.1" or duration in model.config["durations"]


def _reference_mistakes(model: Offer, document: Fields, given: Mapping[str, Any], origin: str) -> Iterator[str]:
    pictures, clip = given.get("referenceImages") or [], given.get("referenceVideo")
    if not isinstance(pictures, list):
        yield "referenceImages must be an array"
        return
    if len(pictures) > model.references:
        yield f"{model.id} takes at most {model.references} reference images"
    if not all(_public(url, origin) for url in (*pictures, *([clip] if clip is not None else []))):
        yield "References must be publicly accessible HTTPS URLs"
    if clip is not None and not model.config.get("supportsReferenceVideo"):
        yield f"{model.id} takes no reference video"
    if clip is not None and _resolution(model, document) not in model.config.get("pricingPerSecWithVideo", ()):
        yield "A continuation is 480p or 720p"
    if model.config.get("requiresFirstFrame") and not pictures:
        yield f"{model.id} needs a first frame"


def _public(url: object, origin: str) -> bool:
    """Whether the service can read a reference; what it has itself is reachable, although a stand-in is no https address."""
    return isinstance(url, str) and url.startswith(("https://", f"{origin}/"))


def _option_mistakes(model: Offer, document: Fields) -> Iterator[str]:
    if "referenceType" in document and document.text("referenceType") not in ("content", "style"):
        yield "referenceType must be content or style"
    if "tier" in document and document.text("tier") not in ("mini", "fast", "pro"):
        yield "tier must be mini, fast or pro"
    if model.id != "midjourney-niji7":
        return
    options = document.item("niji7Options")
    for name, most in _NIJI.items():
        if not 0 <= (options.number(name) or 0) <= most:
            yield f"niji7Options.{name} must be 0-{most}"
    if not 1 <= (options.number("sv") or 4) <= 4:
        yield "niji7Options.sv must be 1-4"


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _ratio(model: Offer, document: Fields) -> str:
    """Return the ratio that is made; where the service chooses it, this one always takes 16:9, as in the page's example."""
    ratio = document.text("aspectRatio") or "auto"
    return "16:9" if ratio in ("auto", "adaptive") else ratio


def _resolution(model: Offer, document: Fields) -> str:
    return document.text("resolution") or str(model.config["defaultResolution"])


def _duration(model: Offer, document: Fields) -> float:
    if model.media == "image":
        return 0.0
    default = float(model.config["defaultDuration"])
    return default if model.id == "veo-3.1" else document.number("duration") or default


def _cost(model: Offer, document: Fields) -> float:
    resolution, duration = _resolution(model, document), _duration(model, document)
    config = model.config
    if "pricing" in config:
        quality = document.text("quality") or config["defaultQuality"]
        return float(config["pricing"][resolution][quality])
    if "pricingPerSec" not in config:
        return float(model.credits)
    if document.text("referenceVideo") is None:
        return float(config["pricingPerSec"][resolution] * duration)
    # The page: a length that is left out counts as none.
    seconds = (document.number("referenceVideoDuration") or 0) + duration
    return float(config["pricingPerSecWithVideo"][resolution] * max(seconds, config["minBillableTable"][f"{duration:g}"]))
