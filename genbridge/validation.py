"""The check of a request against what a model can do, before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from genbridge.addresses import is_loopback
from genbridge.catalogue import FIELDS, Capabilities, Domain, Model, Range, ReferenceRule, check_options, is_json
from genbridge.errors import Problem
from genbridge.types import Media, Reference, Request
from genbridge.words import listed


def check(request: Request, model: Model) -> list[Problem]:
    """Return everything that is wrong with a request on a model, as far as its capabilities say."""
    return [
        *_check_prompt(request, model.capabilities),
        *_check_fields(request, model),
        *_check_references(request, model),
        *_check_own_options(request, model.capabilities),
    ]


def _check_prompt(request: Request, capabilities: Capabilities) -> Iterator[Problem]:
    prompt: object = request.prompt
    if not isinstance(prompt, str):
        yield Problem("prompt", f"{prompt!r} is not a string")
    elif not is_json(prompt):
        yield Problem("prompt", "it has a character that cannot be sent (half of a surrogate pair)")
    elif not prompt.strip() and capabilities.prompt_required:
        yield Problem("prompt", "it is empty; say what you want")
    elif capabilities.prompt_limit is not None and len(prompt) > capabilities.prompt_limit:
        yield Problem("prompt", f"it has {len(prompt)} characters, the most is {capabilities.prompt_limit}")


def _check_fields(request: Request, model: Model) -> Iterator[Problem]:
    for field in FIELDS:
        value = getattr(request, field, None)
        if value is None:
            continue
        domain: Domain | None = getattr(model.capabilities, field)
        if domain is None:
            yield Problem(field, f"{model.id} has no such setting; leave it out")
        elif problem := domain.problem(value):
            yield Problem(field, problem)


def _check_own_options(request: Request, capabilities: Capabilities) -> Iterator[Problem]:
    options: object = request.options
    if not isinstance(options, Mapping):
        yield Problem("options", f"{options!r} is not a table of options")
        return
    for problem in check_options(options, capabilities.options):
        yield Problem(f"options.{problem.field}", problem.message)


def _check_references(request: Request, model: Model) -> Iterator[Problem]:
    references: object = request.references
    if not isinstance(references, tuple):
        yield Problem("references", f"{references!r} is not a list of Reference")
        return
    rules = {(rule.role, rule.kind): rule for rule in model.capabilities.references}
    for index, reference in enumerate(references):
        field = f"references[{index}]"
        if not isinstance(reference, Reference):
            yield Problem(field, f"{reference!r} is not a Reference")
        elif rule := next((rule for key, rule in rules.items() if key == (reference.role, reference.kind)), None):
            yield from _check_reference(field, reference, rule)
        else:
            known = listed(f"{kind} as {role}" for role, kind in rules) or "none"
            yield Problem(field, f"{model.id} takes no {reference.kind} as {reference.role}; it takes: {known}")
    given = [reference for reference in references if isinstance(reference, Reference)]
    for rule in rules.values():
        yield from _check_count(given, rule)
    yield from _check_total(given, model.capabilities.most_references)


def _check_reference(field: str, reference: Reference, rule: ReferenceRule) -> Iterator[Problem]:
    source: object = reference.source
    if isinstance(source, Path):
        if not rule.local:
            yield Problem(field, f"a local {rule.kind} cannot be used here; give a public URL instead of {str(source)!r}")
        elif rule.suffixes and source.suffix.lower() not in rule.suffixes:
            yield Problem(field, f"{source.name!r} is not one of {listed(rule.suffixes)}")
    elif not isinstance(source, str) or not is_json(source) or not _may_be_reached(source, rule):
        yield Problem(field, f"{_short(source)} is not a public {listed(rule.schemes)} URL; for a local file give a Path")
    yield from _check_seconds(field, reference, rule)


def _may_be_reached(url: str, rule: ReferenceRule) -> bool:
    """Whether a URL is of a kind that the model takes; addresses of this machine are looked at with the backend's own."""
    try:
        parts = urlsplit(url)
        return parts.scheme in rule.schemes or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    except ValueError:
        return False


def _short(value: object, most: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= most else text[:most] + "…"


def _check_seconds(field: str, reference: Reference, rule: ReferenceRule) -> Iterator[Problem]:
    seconds: object = reference.duration
    if seconds is None:
        if rule.needs_duration:
            yield Problem(f"{field}.duration", "the clip's length in seconds is needed, because it is billed")
    else:
        low, high = rule.seconds or (0.0, rule.total_seconds or math.inf)
        if problem := Range(low, high, step=None).problem(seconds):
            yield Problem(f"{field}.duration", problem)


def _check_count(references: Sequence[Reference], rule: ReferenceRule) -> Iterator[Problem]:
    matching = [reference for reference in references if (reference.role, reference.kind) == (rule.role, rule.kind)]
    if len(matching) > rule.most:
        yield Problem("references", f"{len(matching)} of {rule.kind} as {rule.role} are too many, the most is {rule.most}")
    if len(matching) < rule.least:
        yield Problem("references", f"at least {rule.least} {rule.kind} as {rule.role} is needed")
    total = sum(reference.duration for reference in matching if isinstance(reference.duration, int | float))
    if rule.total_seconds is not None and total > rule.total_seconds:
        message = f"the clips ({rule.kind} as {rule.role}) last {total:g} s together, the most is {rule.total_seconds:g} s"
        yield Problem("references", message)


def _check_total(references: Sequence[Reference], most: int | None) -> Iterator[Problem]:
    for kind in Media:
        count = sum(reference.kind is kind for reference in references)
        if most is not None and count > most:
            yield Problem("references", f"{count} {kind} references are too many, the most is {most}")
