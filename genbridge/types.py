"""Frozen values: what users ask for, and what genbridge knows about it.

Nothing here does I/O or raises for a wrong value: requests are checked as a whole by `genbridge.catalogue`, so that every
problem is reported at once. Durations are seconds; times are aware UTC `datetime`s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from enum import StrEnum
from html import escape
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

import attrs

from genbridge.words import number


class Media(StrEnum):
    """What a file is: an image, a video or an audio track."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"


class JobStatus(StrEnum):
    """Where a job stands; the last four are terminal."""

    PENDING = "pending"
    """Recorded; nothing has been sent."""
    SUBMITTING = "submitting"
    """The intent is recorded and the POST may be under way."""
    UNKNOWN = "unknown"
    """The POST may have been accepted; it is never sent again by itself."""
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    """The service no longer knows the job."""

    @property
    def terminal(self) -> bool:
        """Whether the job will not change any more."""
        return self in _TERMINAL


_TERMINAL = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED})


class Verdict(StrEnum):
    """What is known about a submit."""

    NOT_SENT = "not_sent"
    REFUSED = "refused"
    ACCEPTED = "accepted"
    UNKNOWN = "unknown"


class ReferenceRole(StrEnum):
    """What a reference is for."""

    FIRST_FRAME = "first_frame"
    LAST_FRAME = "last_frame"
    ASSET = "asset"
    """A subject or object to appear in the result."""
    STYLE = "style"
    EXTEND = "extend"
    """A video to continue."""


class AssetRole(StrEnum):
    """What a produced file is."""

    OUTPUT = "output"
    COVER = "cover"
    LAST_FRAME = "last_frame"


class Certainty(StrEnum):
    """How sure an amount is."""

    EXACT = "exact"
    ESTIMATED = "estimated"
    UNKNOWN = "unknown"


_KINDS = dict.fromkeys((".mp4", ".mov", ".webm", ".mkv", ".m4v"), Media.VIDEO) | dict.fromkeys(
    (".wav", ".mp3", ".m4a", ".ogg", ".flac"), Media.AUDIO
)


def _role(value: Any) -> Any:
    return _member(ReferenceRole, value)


def _kind(value: Any) -> Any:
    return _member(Media, value)


def _member(enum: type[StrEnum], value: Any) -> Any:
    """Return the member with that value; leave anything else as it is, for the check to report."""
    return next((member for member in enum if member == value), value)


def _mapping(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _guess_kind(reference: Reference) -> Media:
    if reference.role is ReferenceRole.EXTEND:
        return Media.VIDEO
    path = str(reference.source).partition("?")[0]
    return _KINDS.get(Path(path).suffix.lower(), Media.IMAGE)


@attrs.frozen
class Reference:
    """A file the result is made from.

    `source` is a public URL (`str`) or a local `Path`. `kind` is guessed from the file's ending when it is left out (an
    image when that says nothing; a video for `EXTEND`). `duration` is the clip's length in seconds, where a service asks for it.
    """

    source: str | Path
    role: ReferenceRole = attrs.field(default=ReferenceRole.ASSET, kw_only=True, converter=_role)
    kind: Media = attrs.field(default=attrs.Factory(_guess_kind, takes_self=True), kw_only=True, converter=_kind)
    duration: float | None = attrs.field(default=None, kw_only=True)


@attrs.frozen
class ImageRequest:
    """What the user wants: one or more images from one prompt.

    Fields left at `None` take the model's default. `options` carries a provider's own fields by the provider's own names.
    """

    media: ClassVar[Literal[Media.IMAGE]] = Media.IMAGE

    prompt: str
    model: str | None = attrs.field(default=None, kw_only=True)
    aspect_ratio: str | None = attrs.field(default=None, kw_only=True, converter=_lower)
    size: str | None = attrs.field(default=None, kw_only=True, converter=_lower)
    resolution: str | None = attrs.field(default=None, kw_only=True, converter=_lower)
    count: int | None = attrs.field(default=None, kw_only=True)
    quality: str | None = attrs.field(default=None, kw_only=True, converter=_lower)
    seed: int | None = attrs.field(default=None, kw_only=True)
    references: tuple[Reference, ...] = attrs.field(default=(), kw_only=True, converter=_tuple)
    options: Mapping[str, Any] = attrs.field(factory=dict, kw_only=True, converter=_mapping, hash=False)


@attrs.frozen
class VideoRequest:
    """What the user wants: one video from one prompt. `duration` is in seconds.

    Fields left at `None` take the model's default. `options` carries a provider's own fields by the provider's own names.
    """

    media: ClassVar[Literal[Media.VIDEO]] = Media.VIDEO

    prompt: str
    model: str | None = attrs.field(default=None, kw_only=True)
    aspect_ratio: str | None = attrs.field(default=None, kw_only=True, converter=_lower)
    resolution: str | None = attrs.field(default=None, kw_only=True, converter=_lower)
    duration: float | None = attrs.field(default=None, kw_only=True)
    audio: bool | None = attrs.field(default=None, kw_only=True)
    seed: int | None = attrs.field(default=None, kw_only=True)
    watermark: bool | None = attrs.field(default=None, kw_only=True)
    return_last_frame: bool | None = attrs.field(default=None, kw_only=True)
    references: tuple[Reference, ...] = attrs.field(default=(), kw_only=True, converter=_tuple)
    options: Mapping[str, Any] = attrs.field(factory=dict, kw_only=True, converter=_mapping, hash=False)


Request: TypeAlias = ImageRequest | VideoRequest


@attrs.frozen(kw_only=True)
class File:
    """A local reference file, read for a provider's `upload` hook."""

    name: str
    kind: Media
    content_type: str
    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    model: str | None = None
    """The provider's id of the model it is for."""


@attrs.frozen(kw_only=True)
class Backend:
    """One configured account at a provider, as hooks see it: never with its key."""

    name: str
    provider: str
    base_url: str
    settings: Mapping[str, str] = attrs.field(factory=dict, converter=_mapping, hash=False)
    """The provider's own settings (see `Provider.settings`), defaults filled in."""


@attrs.frozen(kw_only=True)
class Cost:
    """What was charged, or given back, in the provider's own `unit`; `amount` is `None` when it is not known."""

    amount: float | None
    unit: str = "credits"
    certainty: Certainty = Certainty.EXACT
    basis: str = ""

    def __str__(self) -> str:
        if self.amount is None:
            return "unknown cost"
        mark = "" if self.certainty is Certainty.EXACT else "about "
        return f"{mark}{number(self.amount)} {self.unit}"


@attrs.frozen(kw_only=True)
class Quote(Cost):
    """What a request will cost, before it is sent, on which `backend` and `model` (canonical); `basis` is the sum in words."""

    certainty: Certainty = Certainty.UNKNOWN
    backend: str | None = None
    model: str | None = None


@attrs.frozen(kw_only=True)
class Failure:
    """Why a job did not succeed, in the service's words.

    Of a submit that started nothing, `kind` is the name of the error that it ended with, and what follows is what that error says.
    """

    message: str
    code: str | None = None
    kind: str | None = None
    status: int | None = None
    request_id: str | None = None
    retry_after: float | None = None


@attrs.frozen(kw_only=True)
class Asset:
    """One produced file. Sizes are pixels, `duration` seconds; `None` where the service does not say."""

    url: str
    media: Media
    role: AssetRole = AssetRole.OUTPUT
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    expires_at: datetime | None = None


@attrs.frozen(kw_only=True)
class Snapshot:
    """One canonical observation of a job, made by a provider's `normalize`.

    `provider_id` is the service's id of the job. `progress` runs from 0 to 1. `poll_after` is the service's hint, in seconds,
    when to ask next; `expected` how long it says the whole job takes. `cost` is what was charged and `refunded` says that it
    was given back. `note` is a remark for the log, as on a status word that nobody documented.
    """

    status: JobStatus
    provider_id: str | None = None
    assets: tuple[Asset, ...] = ()
    failure: Failure | None = None
    cost: Cost | None = None
    refunded: bool = False
    balance: float | None = None
    progress: float | None = None
    poll_after: float | None = None
    expected: float | None = None
    aspect_ratio: str | None = None
    """The ratio that was used, where the service chose it."""
    note: str | None = None


@attrs.frozen(kw_only=True)
class Result:
    """What a job produced, what it cost and how it came about."""

    job_id: str
    backend: str
    provider: str
    model: str
    request: Request
    assets: tuple[Asset, ...]
    cost: Cost
    created_at: datetime
    finished_at: datetime
    aspect_ratio: str | None = None

    def __iter__(self) -> Iterator[Asset]:
        return iter(self.assets)

    def __len__(self) -> int:
        return len(self.assets)

    def __getitem__(self, index: int) -> Asset:
        return self.assets[index]

    def _repr_html_(self) -> str:
        """Show the images and videos in a notebook."""
        return "\n".join(_figure(asset, self.request.prompt) for asset in self.assets)


def _figure(asset: Asset, prompt: str) -> str:
    url, text = escape(asset.url), escape(prompt)
    if not asset.url.startswith(("https://", "http://")):
        return f"<p>{text}: {url}</p>"
    match asset.media:
        case Media.IMAGE:
            return f'<img src="{url}" alt="{text}" title="{text}" style="max-width: 100%">'
        case Media.VIDEO:
            return f'<video src="{url}" title="{text}" controls style="max-width: 100%"></video>'
        case Media.AUDIO:
            return f'<audio src="{url}" title="{text}" controls></audio>'


@attrs.frozen(kw_only=True)
class Job:
    """One accepted or attempted request, as the journal has it.

    `id` is ours and `provider_id` the service's; `key` is the idempotency key made for this job. `provider_model` is the
    provider's own id of the model. `save_to` is the folder that its files are wanted in, until they are there.
    """

    id: str
    key: str
    backend: str
    provider: str
    model: str
    provider_model: str
    request: Request
    status: JobStatus
    quote: Quote
    created_at: datetime
    submitted_at: datetime | None = None
    finished_at: datetime | None = None
    provider_id: str | None = None
    progress: float | None = None
    cost: Cost | None = None
    failure: Failure | None = None
    result: Result | None = None
    save_to: Path | None = None

    @property
    def media(self) -> Media:
        """Whether it makes an image or a video."""
        return self.request.media


@attrs.frozen(kw_only=True)
class Spent:
    """What a backend's jobs with one model cost that were created on one day (UTC), in the provider's `unit`.

    `charged` is what they cost as far as is known, `estimated` the part of it that the service did not say; `reserved` is held for
    jobs that have not ended or are in doubt, and `unpriced` is how many have a price that nobody knows.
    """

    backend: str
    provider: str
    model: str
    media: Media
    day: date
    unit: str
    jobs: int
    charged: float
    estimated: float
    reserved: float
    unpriced: int
