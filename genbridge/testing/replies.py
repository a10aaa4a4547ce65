"""Replies of every kind, and whether `normalize` makes a snapshot or an error of genbridge's out of each."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import attrs

from genbridge.catalogue import Provider
from genbridge.errors import BackendError, GenbridgeError, PluginError, ServiceError
from genbridge.plugins import Plugin
from genbridge.testing.calls import Take
from genbridge.testing.findings import Findings, kind, told
from genbridge.testing.stage import KEY, backend_of, job_of
from genbridge.types import Asset, Job, JobStatus, Media, Snapshot
from genbridge.wire import Exchange, Reply

_HTML = b"<!doctype html><html><head><title>Bad gateway</title></head><body>The secret of the proxy</body></html>"
_GARBAGE = (
    b"",
    b"\x00\xff\xfe",
    b"{",
    b'{"data": ',
    b"null",
    b"true",
    b"7",
    b"NaN",
    b'"a text"',
    b"[]",
    b"{}",
    b"[{}]",
    b'[["a"], [7]]',
    _HTML,
    b"[" * 20_000,
)
"""Bodies that no service means to send. None says that anything was made."""
_REFUSALS: tuple[Any, ...] = (
    {"error": "no"},
    {"error": {"code": "no", "message": "no"}},
    {"errors": [{"message": "no"}]},
    {"success": False, "message": "no", "data": None},
    {"code": 40001, "message": "no", "data": None},
    {"code": "no", "msg": "no", "request_id": "r-1"},
    {"detail": "no"},
)
"""Errors as services write them under a status of success. None has a job's id."""
_STATUSES = (200, 201, 204, 302, 400, 401, 402, 403, 404, 409, 410, 422, 429, 451, 500, 502, 503, 504, 599)
_ODD: tuple[Any, ...] = (None, True, False, 0, -1, 7.5, 1e308, "", "odd", [], ["odd"], [{}], [None], {}, {"odd": "odd"})
_OBSERVABLE = frozenset(JobStatus) - {JobStatus.PENDING, JobStatus.SUBMITTING, JobStatus.UNKNOWN}
_SHOWN = 120
_MOST_SEEDS = 12


def check_replies(plugin: Plugin, chosen: Iterable[Take], seeds: Iterable[Reply], findings: Findings) -> None:
    """Note every reply on which `normalize` stumbles: garbage, and `seeds` (replies of the service) with a part of each changed."""
    kept = list({seed.body: seed for seed in seeds}.values())[:_MOST_SEEDS]
    for job in _jobs(plugin.provider, chosen):
        reader = _Reader(plugin, job, findings)
        for status in _STATUSES:
            for body in _GARBAGE:
                reader.read_garbage(Reply(status=status, headers={"content-type": "text/html"}, body=body))
        for seed in kept:
            for body in _changed(seed.body):
                for status in {200, seed.status}:
                    reader.read(Reply(status=status, headers=seed.headers, body=body))
        if job.provider_id is None:
            reader.read_refusals(kept)
        reader.read_hint()


def check_ends(plugin: Plugin, chosen: Iterable[Take], seeds: Iterable[Reply], findings: Findings) -> None:
    """Note an exchange of `submit` or `poll` that ends with something else than a reply, whatever its calls are answered with."""
    replies = [*(Reply(status=status, body=b"{}") for status in _STATUSES), *list(seeds)[:_MOST_SEEDS]]
    backend = backend_of(plugin.provider)
    for take in chosen:
        request = attrs.evolve(take.request, model=take.model.provider_id)
        job = job_of(plugin.provider, take.model, take.request, provider_id="task-1")
        for reply in replies:
            with findings.of("submit", _answered(reply)), suppress(BackendError):
                _run(plugin.exchange("submit", backend=backend, request=request, key=KEY), reply)
            with findings.of("poll", _answered(reply)), suppress(BackendError):
                _run(plugin.exchange("poll", backend=backend, job=job), reply)


def _answered(reply: Reply) -> str:
    return f"with its calls answered by {_shown(reply)}"


def _run(exchange: Exchange[Any], reply: Reply) -> None:
    """Answer every call of an exchange with the same reply."""
    with suppress(StopIteration):
        next(exchange)
        while True:
            exchange.send(reply)


def _jobs(provider: Provider, chosen: Iterable[Take]) -> Iterator[Job]:
    by_media = {take.model.media: take for take in chosen}
    for take in by_media.values():
        yield job_of(provider, take.model, take.request)
        yield job_of(provider, take.model, take.request, provider_id="task-1")


class _Reader:
    """Reads replies for one job, which is being submitted or was accepted."""

    def __init__(self, plugin: Plugin, job: Job, findings: Findings) -> None:
        self._plugin = plugin
        self._job = job
        self._findings = findings
        self._what = "a submit" if job.provider_id is None else "a poll"

    def read(self, reply: Reply) -> Snapshot | None:
        """Read a reply; return the snapshot, or `None` when there is an error."""
        try:
            snapshot = self._normalize(reply)
        except PluginError as error:
            self._add(reply, told(error), once=kind(error))
        except GenbridgeError as error:
            self._check_error(error, reply)
        else:
            if problem := flaw(snapshot, self._job):
                self._add(reply, problem)
            return snapshot
        return None

    def _normalize(self, reply: Reply) -> Snapshot:
        backend = backend_of(self._plugin.provider)
        snapshot: Snapshot = self._plugin.call("normalize", backend=backend, job=self._job, reply=reply)
        return snapshot

    def read_garbage(self, reply: Reply) -> None:
        """Read a reply that says nothing: it starts no job and ends none, except one that the service does not know."""
        snapshot = self.read(reply)
        if snapshot is None:
            return
        if self._job.provider_id is None:
            self._add(reply, "it raised nothing; raise ServiceError for a refusal, TransportError for what cannot be read")
        elif snapshot.status.terminal and not (snapshot.status is JobStatus.EXPIRED and reply.status in (404, 410)):
            self._add(reply, f"it ended a paid job as {snapshot.status}; a failed poll is only a missed one")

    def read_refusals(self, seeds: Iterable[Reply]) -> None:
        """Read errors under a status of success, as services write them and as this one does: they accept no job."""
        own = [seed for seed in seeds if not seed.ok and self.read(seed) is None]
        for reply in (*map(Reply.of, _REFUSALS), *(attrs.evolve(seed, status=200) for seed in own)):
            snapshot = self.read(reply)
            if snapshot is not None and snapshot.status is not JobStatus.FAILED:
                self._add(reply, f"it took an error for a job that is {snapshot.status}; raise ServiceError", once="refusal")

    def read_hint(self) -> None:
        """Read a reply that says when to come back."""
        reply = Reply(status=429, headers={"retry-after": "7", "content-type": "application/json"}, body=b"{}")
        try:
            self._normalize(reply)
        except ServiceError as error:
            if error.retry_after != 7:
                self._add(reply, "the error does not have reply.retry_after")
        except GenbridgeError as error:
            self._add(reply, f"it raised {type(error).__name__}, not a RateLimitError with reply.retry_after")

    def _check_error(self, error: GenbridgeError, reply: Reply) -> None:
        if not isinstance(error, BackendError):
            self._add(reply, f"it raised {type(error).__name__}; raise ServiceError or TransportError")
        elif 400 <= reply.status < 500 and not isinstance(error, ServiceError):
            self._add(reply, f"it raised {type(error).__name__}; a 4xx is a ServiceError, see ServiceError.for_status", once="4xx")
        if "<html" in str(error).lower():
            self._add(reply, "the error quotes a page of HTML; say in plain words that there is no reason to read", once="html")

    def _add(self, reply: Reply, problem: str, *, once: str | None = None) -> None:
        self._findings.add(
            "normalize", f"given, as the reply to {self._what}, {_shown(reply)}: {problem}", once=f"{self._what} {once or problem}"
        )


def _shown(reply: Reply) -> str:
    return f"HTTP {reply.status} with {reply.body[:_SHOWN]!r}{' …' if len(reply.body) > _SHOWN else ''}"


def flaw(snapshot: Snapshot, job: Job) -> str | None:
    """Return what is wrong with a snapshot of a job."""
    if snapshot.status not in _OBSERVABLE:
        return f"the status {snapshot.status!r} is not one that a service can report"
    if snapshot.provider_id is None and job.provider_id is None and snapshot.status is not JobStatus.FAILED:
        return f"the job is {snapshot.status}, but has no provider_id; without one raise TransportError"
    provider_id: object = snapshot.provider_id
    if provider_id is not None and not (isinstance(provider_id, str) and provider_id):
        return f"the provider_id is {provider_id!r}, not a text"
    if snapshot.status is JobStatus.SUCCEEDED and not snapshot.assets:
        return "the job has succeeded without any asset; keep it running until its URLs are there"
    return _flaw_of_numbers(snapshot) or next((problem for asset in snapshot.assets if (problem := _flaw_of_asset(asset))), None)


def _flaw_of_numbers(snapshot: Snapshot) -> str | None:
    if snapshot.progress is not None and not 0 <= snapshot.progress <= 1:
        return f"the progress is {snapshot.progress!r}, not between 0 and 1"
    for name in ("poll_after", "expected", "balance"):
        number = getattr(snapshot, name)
        if number is not None and not (isinstance(number, int | float) and math.isfinite(number)):
            return f"{name} is {number!r}, not a number"
    return None


def _flaw_of_asset(asset: object) -> str | None:
    if not isinstance(asset, Asset):
        return f"one of the assets is a {type(asset).__name__}"
    url: object = asset.url
    media: object = asset.media
    if not isinstance(url, str) or not url:
        return f"an asset has the URL {url!r}"
    return None if isinstance(media, Media) else f"an asset has the media {media!r}, not a Media"


def _changed(body: bytes) -> Iterator[bytes]:
    """Yield a body of JSON whole, cut short, and with each part replaced or left out in turn."""
    try:
        document = json.loads(body)
    except ValueError:
        return
    yield body
    yield body[: len(body) // 2]
    yield from (json.dumps(other).encode() for other in _variants(document))


def _variants(document: Any) -> Iterator[Any]:
    yield from _ODD
    match document:
        case dict():
            for name, value in document.items():
                rest = {other: value for other, value in document.items() if other != name}
                yield rest
                yield from ({**document, name: variant} for variant in _variants(value))
        case [first, *rest]:
            yield rest
            yield from ([variant, *rest] for variant in _variants(first))
