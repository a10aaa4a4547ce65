"""The calls that hooks describe, before anybody answers them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from typing import TypeGuard
from urllib.parse import urlsplit

import attrs

from genbridge.catalogue import Model, Provider, ReferenceRule, choose
from genbridge.errors import Problem, RequestError
from genbridge.plugins import Plugin
from genbridge.testing.findings import Findings
from genbridge.testing.stage import KEY, backend_of, job_of
from genbridge.types import File, ImageRequest, Media, Reference, Request, VideoRequest
from genbridge.validation import check
from genbridge.wire import Call

_OTHER_KEY = "0b7d1f34-9c1e-4a57-8a2b-5d9f7e6c1a02"
_PROXY = "https://proxy.example/behind"
_AWKWARD_ID = "a/../b?x=1#y %41"
_SUFFIXES = {Media.IMAGE: "png", Media.VIDEO: "mp4", Media.AUDIO: "mp3"}
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
"""A PNG of one pixel."""


@attrs.frozen
class Take:
    """A valid canonical request, and the model it is for."""

    model: Model
    request: Request


def takes(plugin: Plugin, examples: Iterable[Request], findings: Findings) -> list[Take]:
    """Return the examples, and the smallest request for each model that none of them is for."""
    found = [take for request in examples if (take := _example(plugin, request, findings))]
    covered = {(take.model.media, take.model.id) for take in found}
    for model in plugin.provider.models:
        if (model.media, model.id) in covered or model.unavailable is not None:
            continue
        take = Take(model, _smallest(model))
        problems = _problems(plugin, take, findings)
        if problems:
            reason = "; ".join(map(str, problems))
            findings.add(
                "examples", f"what model {model.id!r} needs cannot be guessed ({reason}); give an example of a request for it"
            )
        else:
            found.append(take)
    return found


def _example(plugin: Plugin, request: Request, findings: Findings) -> Take | None:
    try:
        take = Take(choose(plugin.provider.models, request, where=plugin.name), request)
    except RequestError as error:
        findings.add("examples", f"{request!r} is for no model: {'; '.join(map(str, error.problems))}")
        return None
    problems = _problems(plugin, take, findings)
    if problems:
        findings.add("examples", f"{request!r} is not valid: {'; '.join(map(str, problems))}")
    return None if problems else take


def _problems(plugin: Plugin, take: Take, findings: Findings) -> list[Problem]:
    problems = check(take.request, take.model)
    if plugin.supports("check"):
        with findings.of("check", "given a valid request"):
            problems += plugin.call("check", backend=backend_of(plugin.provider), request=take.request, model=take.model)
    return problems


def _smallest(model: Model) -> Request:
    kind = VideoRequest if model.media is Media.VIDEO else ImageRequest
    references = tuple(_reference(rule, number) for rule in model.capabilities.references for number in range(1, rule.least + 1))
    return kind("A lighthouse at dawn", model=model.id, references=references)


def _reference(rule: ReferenceRule, number: int) -> Reference:
    low, high = rule.seconds or (1.0, 1.0)
    source = f"https://files.example/reference-{number}.{_SUFFIXES[rule.kind]}"
    return Reference(source, role=rule.role, kind=rule.kind, duration=(low + high) / 2 if rule.needs_duration else None)


def check_calls(plugin: Plugin, chosen: list[Take], findings: Findings) -> None:
    """Note what is wrong with the calls that are made for requests, with any answer still to come."""
    for take in chosen:
        _check_submit(plugin, take, findings)
        _check_poll(plugin, take, findings)
        _check_quote(plugin, take, findings)
    _check_others(plugin, chosen[:1], findings)


def _check_submit(plugin: Plugin, take: Take, findings: Findings) -> None:
    provider = plugin.provider
    given = {"backend": backend_of(provider), "request": attrs.evolve(take.request, model=take.model.provider_id)}
    with findings.of("submit", f"given {_named(take)}"):
        call = _first(plugin, "submit", **given, key=KEY)
        if not _fits(call, "submit", provider, findings):
            return
        if call != _first(plugin, "submit", **given, key=KEY):
            findings.add(
                "submit", f"given {_named(take)} twice, it described two different calls; a hook has no clock and throws no dice"
            )
        if isinstance(plugin.call("submit", **given, key=KEY), Call):
            check_key(call, KEY, findings)
            check_key(_first(plugin, "submit", **given, key=None), None, findings)
        proxied = given | {"backend": backend_of(provider, base_url=_PROXY)}
        _check_place(_first(plugin, "submit", **proxied, key=KEY), "submit", provider, findings)


def check_key(call: object, key: str | None, findings: Findings) -> None:
    """Note a paid call that may be repeated although nothing in it tells the service that it is the same."""
    if not isinstance(call, Call) or not call.repeatable or call.free:
        return
    said = json.dumps([call.json, dict(call.params), dict(call.headers), call.url, (call.body or b"").decode("latin-1")])
    if key is None or key not in said:
        findings.add(
            "submit", f"{_shown(call)} says that it may be repeated, but has no idempotency key in it: it could be paid twice"
        )


def _check_poll(plugin: Plugin, take: Take, findings: Findings) -> None:
    provider = plugin.provider
    for provider_id in ("task-1", _AWKWARD_ID):
        job = job_of(provider, take.model, take.request, provider_id=provider_id)
        with findings.of("poll", f"given a job with the id {provider_id!r}"):
            call = _first(plugin, "poll", backend=backend_of(provider), job=job)
            if not _fits(call, "poll", provider, findings):
                return
            if call.free and not call.repeatable:
                findings.add("poll", f"{_shown(call)} is not marked as repeatable; make it with Call.get")
            if "/../" in call.url or "?x=1" in call.url or "#" in call.url:
                findings.add("poll", f"the id {provider_id!r} is in the URL as it is; quote it with urllib.parse.quote(…, safe='')")
            proxied = backend_of(provider, base_url=_PROXY)
            _check_place(_first(plugin, "poll", backend=proxied, job=job), "poll", provider, findings)


def _check_quote(plugin: Plugin, take: Take, findings: Findings) -> None:
    if not plugin.supports("quote"):
        return
    provider = plugin.provider
    with findings.of("quote", f"given {_named(take)}"):
        quote = plugin.call("quote", backend=backend_of(provider), request=take.request, model=take.model)
        if quote is None:
            return
        if quote.amount is not None and not 0 <= quote.amount < math.inf:
            findings.add("quote", f"for {_named(take)} it asks {quote.amount!r}")
        elif quote.unit != provider.unit:
            findings.add("quote", f"its unit is {quote.unit!r}, but the provider's is {provider.unit!r}")


def _check_others(plugin: Plugin, chosen: list[Take], findings: Findings) -> None:
    provider = plugin.provider
    file = File(name="pixel.png", kind=Media.IMAGE, content_type="image/png", data=PIXEL)
    arguments: dict[str, dict[str, object]] = {"models": {}, "upload": {"file": file}}
    for take in chosen:
        job = job_of(provider, take.model, take.request, provider_id="task-1")
        arguments |= {"cancel": {"job": job}, "recover": {"job": attrs.evolve(job, provider_id=None)}}
    for hook, given in arguments.items():
        if plugin.supports(hook):
            with findings.of(hook, "called"):
                call = _first(plugin, hook, backend=backend_of(provider), **given)
                if not (hook == "upload" and isinstance(call, str)):
                    _fits(call, hook, provider, findings)


def _first(plugin: Plugin, hook: str, **given: object) -> object:
    """Return the first call that a hook describes, or what it comes to without any."""
    exchange = plugin.exchange(hook, **given)
    try:
        return next(exchange)
    except StopIteration as done:
        return done.value
    finally:
        exchange.close()


def _fits(call: object, hook: str, provider: Provider, findings: Findings) -> TypeGuard[Call]:
    if not isinstance(call, Call):
        findings.add(hook, f"it described {type(call).__name__}, not a Call")
        return False
    flaws = list(_flaws(call, provider))
    for flaw in flaws:
        findings.add(hook, f"{_shown(call)} {flaw}")
    return not flaws


def _flaws(call: Call, provider: Provider) -> Iterator[str]:
    parts = urlsplit(call.url)
    if not call.method.isascii() or not call.method.isalpha() or not call.method.isupper():
        yield f"has the method {call.method!r}"
    if parts.netloc and parts.scheme != "https":
        yield "goes to an address that is not https"
    if not parts.netloc and not call.url.startswith("/"):
        yield "has a path that does not begin with '/'"
    if provider.auth_header.lower() in call.headers:
        yield f"has the header {provider.auth_header!r}, which is the core's to add: a hook never sees the key"
    if call.json is not None and call.body is not None:
        yield "has both json and body"
    if not all(isinstance(text, str) for pair in (*call.params.items(), *call.headers.items()) for text in pair):
        yield "has params or headers that are not strings"
    try:
        json.dumps(call.json, allow_nan=False)
    except (TypeError, ValueError) as error:
        yield f"has a document that cannot be written as JSON: {error}"


def _check_place(call: object, hook: str, provider: Provider, findings: Findings) -> None:
    """Note a call that would pass by the `base_url` of a config file."""
    if isinstance(call, Call) and call.origin == Call.get(provider.base_url).origin:
        findings.add(
            hook, f"{_shown(call)} names the service's own address; give the path alone, or a base_url in a config does nothing"
        )


def _named(take: Take) -> str:
    return f"a request for model {take.model.id!r}"


def _shown(call: Call) -> str:
    return f"the call {call.method} {call.url}"
