"""Whole jobs, from submit to file, between a plugin and its own emulator."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import attrs
import cattrs

from genbridge.errors import AuthenticationError, GenbridgeError
from genbridge.plugins import Plugin
from genbridge.testing.calls import PIXEL, Take, check_key
from genbridge.testing.declarations import check_model
from genbridge.testing.findings import Findings
from genbridge.testing.replies import flaw
from genbridge.testing.stage import KEY, Stage, job_of
from genbridge.types import File, Job, JobStatus, Media, Snapshot
from genbridge.wire import Call, Emulator, Reply

_ODD_BODIES: tuple[Any, ...] = (None, [], {}, "odd", 7)
_UNKNOWN_KEY = "99999999-9999-4999-8999-999999999999"


def rehearse(plugin: Plugin, chosen: Iterable[Take], findings: Findings) -> list[Reply]:
    """Note what goes wrong when each request is made of the plugin's own emulator; return every reply that was given."""
    if not plugin.supports("emulate"):
        return []
    chosen, replies = list(chosen), list[Reply]()
    with findings.of("emulate", "called"):
        emulator = plugin.call("emulate")
        if not callable(getattr(emulator, "answer", None)) or not isinstance(getattr(emulator, "key", None), str):
            findings.add("emulate", f"it returned {type(emulator).__name__}, which has no `key` and `answer(call, now)`")
            return []
        for take in chosen:
            stage = Stage.of(plugin)
            with findings.of("emulate", f"making {take.request!r}"):
                _play(stage, take, findings)
            _check_again(stage, findings)
            _check_oddities(stage, findings)
            replies += stage.replies
        for take in chosen[:1]:
            replies += _side_scenes(plugin, take, findings)
    return replies


def _play(stage: Stage, take: Take, findings: Findings) -> None:
    job, first = stage.submit(take.request)
    _check_paid_call(stage, findings)
    seen = [first] if first.status.terminal else [first, *stage.finish(job)]
    for snapshot in seen:
        if problem := flaw(snapshot, job):
            findings.add("normalize", f"on the emulator: {problem}")
    last = seen[-1]
    if last.status is not JobStatus.SUCCEEDED:
        reason = last.failure.message if last.failure else "no reason is given"
        findings.add("emulate", f"{take.request!r} ended as {last.status} ({reason}); it is valid, so it should succeed")
    for asset in last.assets:
        _check_file(stage, asset.url, findings)


def _check_paid_call(stage: Stage, findings: Findings) -> None:
    posts = [call for call in stage.calls if call.method == "POST"]
    for call in posts[-1:]:
        check_key(call, KEY, findings)


def _check_file(stage: Stage, url: str, findings: Findings) -> None:
    reply = stage.send(Call.get(url))
    if not reply.ok or not reply.body:
        findings.add("emulate", f"the file {url} is answered with HTTP {reply.status} and {len(reply.body)} bytes")
    stage.replies.pop()  # a file is not for `normalize`


def _check_again(stage: Stage, findings: Findings) -> None:
    """Note an emulator that answers the same calls differently, or whose state cannot be kept."""
    with findings.of("emulate", "given the same calls once more"):
        times = [float(number) for number in range(len(stage.calls))]
        first, second = (_answers(stage.plugin.call("emulate"), stage.calls, times) for _ in range(2))
        if first != second:
            findings.add(
                "emulate", "two emulators answered the same calls differently; its only clock is `now`, and it throws no dice"
            )
    kind: Any = type(stage.emulator)
    if attrs.has(kind):
        with findings.of("emulate", "its state written down and read again with cattrs"):
            kept: object = cattrs.structure(cattrs.unstructure(stage.emulator), kind)
            if kept != stage.emulator:
                findings.add("emulate", "its state is not the same after it was written down and read again with cattrs")


def _answers(emulator: Emulator, calls: Iterable[Call], times: Iterable[float]) -> list[tuple[int, bytes]]:
    replies = (emulator.answer(call, now) for call, now in zip(calls, times, strict=True))
    return [(reply.status, reply.body) for reply in replies]


def _check_oddities(stage: Stage, findings: Findings) -> None:
    """Note an emulator that stumbles over calls that nobody should make."""
    emulator, now = stage.plugin.call("emulate"), stage.now
    odd = [Call(method="GET", url=stage.backend.base_url + "/no/such/path"), Call(method="DELETE", url=stage.backend.base_url)]
    for call in stage.calls:
        odd += [attrs.evolve(call, json=body) for body in _ODD_BODIES]
        odd += [attrs.evolve(call, json=None, body=b"{"), attrs.evolve(call, headers={}), attrs.evolve(call, url=call.url + "/odd")]
    for call in odd:
        with findings.of("emulate", "given calls that make no sense"):
            reply = emulator.answer(call, now)
            if not isinstance(reply, Reply):
                findings.add("emulate", f"it answered {call.method} {call.url} with {type(reply).__name__}, not a Reply")


def _side_scenes(plugin: Plugin, take: Take, findings: Findings) -> list[Reply]:
    scenes: dict[str, Callable[[Stage, Take, Findings], None]] = {
        "cancel": _cancel,
        "recover": _recover,
        "models": _models,
        "upload": _upload,
    }
    replies = _refusals(plugin, take, findings)
    for hook, scene in scenes.items():
        if plugin.supports(hook):
            stage = Stage.of(plugin)
            with findings.of(hook, "used on the emulator"):
                scene(stage, take, findings)
            replies += stage.replies
    return replies


def _refusals(plugin: Plugin, take: Take, findings: Findings) -> list[Reply]:
    stage = Stage.of(plugin, api_key="not-the-key")
    try:
        stage.submit(take.request)
    except AuthenticationError:
        pass
    except GenbridgeError as error:
        findings.add("normalize", f"a wrong key is refused with {type(error).__name__}, not AuthenticationError: {error}")
    else:
        findings.add("emulate", "it accepts a wrong key")
    stranger = Stage.of(plugin)
    job = job_of(plugin.provider, take.model, take.request, provider_id="00000000-0000-4000-8000-000000000000")
    try:
        snapshot = stranger.poll(job)
    except GenbridgeError:
        return stage.replies + stranger.replies
    if snapshot.status is not JobStatus.EXPIRED:
        findings.add(
            "poll", f"a job that the emulator does not know is {snapshot.status}; raise NotFoundError, or report it as expired"
        )
    return stage.replies + stranger.replies


def _cancel(stage: Stage, take: Take, findings: Findings) -> None:
    job, _ = stage.submit(take.request)
    snapshot = stage.normalize(job, stage.perform("cancel", job=job))
    _check_snapshot(snapshot, job, "cancel", findings)
    last = snapshot if snapshot.status.terminal else stage.finish(job)[-1]
    if last.status is not JobStatus.CANCELLED:
        findings.add("cancel", f"a job that was cancelled right after the submit ended as {last.status}")


def _recover(stage: Stage, take: Take, findings: Findings) -> None:
    accepted, _ = stage.submit(take.request)
    lost = attrs.evolve(accepted, provider_id=None, status=JobStatus.UNKNOWN)
    reply = stage.perform("recover", job=lost)
    if reply is None:
        findings.add("recover", "it does not find the job that was submitted with that key")
        return
    snapshot = stage.normalize(lost, reply)
    _check_snapshot(snapshot, lost, "recover", findings)
    if snapshot.provider_id != accepted.provider_id:
        findings.add(
            "recover", f"it found the job {snapshot.provider_id!r}, but {accepted.provider_id!r} was submitted with that key"
        )
    never = attrs.evolve(lost, key=_UNKNOWN_KEY)
    if stage.perform("recover", job=never) is not None:
        findings.add("recover", "for a key that was never used it does not return None, so that the job stays unknown for ever")


def _models(stage: Stage, _take: Take, findings: Findings) -> None:
    reply = stage.perform("models")
    models = stage.plugin.call("catalogue", backend=stage.backend, reply=reply)
    if not models:
        findings.add("catalogue", "it read no model from the emulator's list")
    for model in models:
        check_model(model, "catalogue", findings)
    stage.replies.clear()  # a catalogue is not for `normalize`


def _upload(stage: Stage, take: Take, findings: Findings) -> None:
    file = File(name="pixel.png", kind=Media.IMAGE, content_type="image/png", data=PIXEL, model=take.model.provider_id)
    url = stage.perform("upload", file=file)
    if not url.startswith(("https://", "http://", "data:")):
        findings.add("upload", f"it returned {url!r}, not a URL")
    stage.replies.clear()  # nor is an upload


def _check_snapshot(snapshot: Snapshot, job: Job, hook: str, findings: Findings) -> None:
    if problem := flaw(snapshot, job):
        findings.add(hook, problem)
