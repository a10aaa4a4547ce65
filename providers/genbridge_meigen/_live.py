"""MeiGen's live list of models, `GET /api/models`, read into models.

Fields and their meaning are those of the public client; a list without the newer `capabilities` is read by `extra_config` alone.
What the list does not say of a model stays as the table has it, and what cannot be understood is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from genbridge import (
    Capabilities,
    Certainty,
    Choice,
    Fields,
    Media,
    Model,
    Option,
    Price,
    Range,
    ReferenceRole,
    ReferenceRule,
    Reply,
    TransportError,
)
from genbridge_meigen import _wire
from genbridge_meigen._models import AUDIO_SUFFIXES, MODELS, VARIANT, continuation, images, ratios, tiers

_SOURCE = "GET /api/models"
_KNOWN = {model.provider_id: model for model in MODELS}
_PLACES = {provider_id: place for place, provider_id in enumerate(_KNOWN)}
_QUALITIES = frozenset({"low", "medium", "high"})


def models(reply: Reply) -> list[Model]:
    """Return the models of the list, known ones first; raises `ServiceError` or `TransportError` when it is no list."""
    if not reply.ok:
        raise _wire.error(reply)
    document = reply.fields()
    if document.flag("success") is False:
        raise _wire.error(reply)
    if "models" not in document:
        raise TransportError("the answer has no list of models")
    found = {entry.provider_id: entry for item in document.items("models") if (entry := _model(item)) is not None}
    # The first of a medium is the default, and the service's order is not documented to mean anything.
    return sorted(found.values(), key=lambda model: _PLACES.get(model.provider_id, len(_PLACES)))


def _model(item: Fields) -> Model | None:
    provider_id = item.text("id")
    config = item.item("extra_config")
    if provider_id is None or config.flag("hidden"):
        return None
    model = _KNOWN.get(provider_id) or _unknown(provider_id, item)
    limits = item.item("capabilities").item("video")
    capabilities = _capabilities(model, item, config, limits)
    model = attrs.evolve(model, title=item.text("name") or model.title, capabilities=capabilities, live=True)
    return attrs.evolve(model, prices=tuple(_prices(model, item, config, limits)) or model.prices)


def _unknown(provider_id: str, item: Fields) -> Model:
    media = Media.VIDEO if item.text("media_type") == "video" else Media.IMAGE
    options = (VARIANT,) if media is Media.IMAGE else ()
    capabilities = Capabilities(aspect_ratio=ratios(()), references=_most_images(media), options=options)
    return Model(id=provider_id, provider_id=provider_id, media=media, capabilities=capabilities)


def _most_images(media: Media) -> tuple[ReferenceRule, ...]:
    if media is Media.IMAGE:
        return (images(ReferenceRole.ASSET, most=0),)
    return (images(ReferenceRole.ASSET, most=0), images(ReferenceRole.FIRST_FRAME), images(ReferenceRole.LAST_FRAME))


# What it can do.


def _capabilities(model: Model, item: Fields, config: Fields, limits: Fields) -> Capabilities:
    known = model.capabilities
    return attrs.evolve(
        known,
        aspect_ratio=_ratios(item) or known.aspect_ratio,
        resolution=_resolutions(config) or known.resolution,
        quality=_choice(config.texts("qualities"), config.text("defaultQuality")) or known.quality,
        duration=_duration(config, limits) or known.duration,
        references=_references(known.references, item, config, limits),
        most_references=None if known.most_references is None else _most(item) or known.most_references,
        options=_options(known.options, config),
    )


def _ratios(item: Fields) -> Choice | None:
    listed = item.texts("supported_ratios")
    # `adaptive` is the service's special value for Seedance, and need not be in the list.
    adaptive = ("adaptive",) if item.text("id") == "seedance-2-0" else ()
    return ratios((*(value.lower() for value in listed), *adaptive)) if listed else None


def _choice(values: tuple[str, ...], default: str | None) -> Choice | None:
    lower = tuple(dict.fromkeys(value.lower() for value in values))
    given = default.lower() if default is not None else None
    return Choice(lower, default=given if given in lower else None) if lower else None


def _resolutions(config: Fields) -> Choice | None:
    by_tier = config.item("tierResolutions")
    tiered = [value for tier in by_tier.names() for value in by_tier.texts(tier)]
    return _choice((*config.texts("resolutions"), *tiered), config.text("defaultResolution"))


def _duration(config: Fields, limits: Fields) -> Choice | Range | None:
    output = limits.item("outputDuration")
    low, high = output.number("min"), output.number("max")
    if output.text("kind") == "range" and low is not None and high is not None and low <= high:
        step = output.number("step")
        return Range(low, high, step=step if step is not None and step > 0 else 1, default=output.number("default"))
    values = _seconds(output, "values") or _seconds(config, "durations")
    default = output.number("default") or config.number("defaultDuration")
    return Choice(values, default=default if default in values else None) if values else None


def _seconds(fields: Fields, name: str) -> tuple[float, ...]:
    return tuple(dict.fromkeys(value for value in fields.numbers(name) if 0 < value < 86_400))


def _options(known: tuple[Option, ...], config: Fields) -> tuple[Option, ...]:
    names = config.texts("tiers")
    if not names:
        return known
    default = config.text("defaultTier")
    return (*(option for option in known if option.name != "tier"), tiers(*names, default=default if default in names else None))


def _references(known: tuple[ReferenceRule, ...], item: Fields, config: Fields, limits: Fields) -> tuple[ReferenceRule, ...]:
    first_needed = (limits.flag("requiresFirstFrame") or config.flag("requiresFirstFrame")) is True
    pictures = [_picture(rule, item, first_needed=first_needed) for rule in known if rule.kind is Media.IMAGE]
    clip = _clip(next((rule for rule in known if rule.role is ReferenceRole.EXTEND), None), config, limits)
    track = _track(limits.item("referenceAudio"))
    return tuple(rule for rule in (*pictures, clip, track) if rule is not None and rule.most > 0)


def _most(item: Fields) -> int | None:
    most = item.whole("max_reference_images")
    return None if most is None else max(most, 0)


def _picture(rule: ReferenceRule, item: Fields, *, first_needed: bool) -> ReferenceRule:
    if rule.role is ReferenceRole.FIRST_FRAME and first_needed:
        return attrs.evolve(rule, least=1)
    most = _most(item)
    if most is None:
        return rule
    # Frames are the first and the second image of the service's one list.
    bounds = {ReferenceRole.FIRST_FRAME: min(most, 1), ReferenceRole.LAST_FRAME: min(most - 1, 1)}
    return attrs.evolve(rule, most=bounds.get(rule.role, most))


def _clip(known: ReferenceRule | None, config: Fields, limits: Fields) -> ReferenceRule | None:
    said = limits.item("referenceVideo")
    enabled = said.flag("enabled") if said else config.flag("supportsReferenceVideo")
    if enabled is None:
        return known
    if not enabled:
        return None
    low, high = said.number("minSeconds") or 2, said.number("maxSeconds") or 15
    return continuation(
        seconds=(low, high),
        most=said.whole("maxCount") or 1,
        total=said.number("maxTotalSeconds") or high,
        **_bytes(said),
    )


def _bytes(said: Fields) -> dict[str, Any]:
    most = said.whole("maxUploadBytes")
    return {"most_bytes": most} if most is not None and most > 0 else {}


def _track(said: Fields) -> ReferenceRule | None:
    if not said.flag("enabled"):
        return None
    formats = tuple(f".{name.lower().lstrip('.')}" for name in said.texts("formats"))
    return ReferenceRule(
        role=ReferenceRole.ASSET,
        kind=Media.AUDIO,
        most=said.whole("maxCount") or 1,
        suffixes=formats or AUDIO_SUFFIXES,
        most_bytes=_bytes(said).get("most_bytes"),
    )


# What it costs.


def _prices(model: Model, item: Fields, config: Fields, limits: Fields) -> Iterator[Price]:
    if model.media is Media.IMAGE:
        yield from _image_prices(item, config)
        return
    extends = any(rule.role is ReferenceRole.EXTEND for rule in model.capabilities.references)
    own = {"extend": False} if extends else {}
    yield from _continued_prices(config, limits)
    for when, amount in _rates(config.item("pricingPerSec"), config):
        yield Price(amount=amount, per="second", when={**when, **own}, source=_SOURCE)
    for when, amount in _rates(config.item("pricingPerCall"), config):
        yield Price(amount=amount, when={**when, **own}, source=_SOURCE)
    flat = item.number("credits_per_generation")
    # For a video that is billed by the second this is a figure for display, which is no price.
    by_call = limits.item("billing").text("mode") == "per_call" or any(price.per == "call" for price in model.prices)
    if flat is not None and by_call and not config.item("pricingPerCall") and not config.item("pricingPerSec"):
        yield Price(amount=flat, when=own, source=_SOURCE)


def _image_prices(item: Fields, config: Fields) -> Iterator[Price]:
    tables = [config.item(name) for name in ("pricing", "pricingPerCall")]
    for table in tables:
        for when, amount in _rates(table, config):
            yield Price(amount=amount, when=when, source=_SOURCE)
    flat = item.number("credits_per_generation")
    if flat is None:
        return
    if any(tables):
        note = "the list has prices for some settings only, and this is the one that it shows"
        yield Price(amount=flat, certainty=Certainty.ESTIMATED, note=note, source=_SOURCE)
    else:
        yield Price(amount=flat, source=_SOURCE)


def _continued_prices(config: Fields, limits: Fields) -> Iterator[Price]:
    floors = dict(_floors(config.item("minBillableTable")))
    said = limits.item("billing").text("referenceSeconds")
    # As the public client reads a list that does not say: with a table of floors the clip's seconds count, without one they do not.
    clips = bool(floors) if said is None else said != "output_only"
    floored = clips and said != "reference_plus_output"
    unknown = "more when the floor is higher: the list has none for this duration"
    for when, amount in _rates(config.item("pricingPerSecWithVideo"), config):
        shared: dict[str, Any] = {"amount": amount, "per": "second", "clips": clips, "source": _SOURCE}
        for duration, least in floors.items() if floored else ():
            yield Price(when={**when, "extend": True, "duration": duration}, least=least, **shared)
        certainty = Certainty.ESTIMATED if floored else Certainty.EXACT
        yield Price(when={**when, "extend": True}, certainty=certainty, note=unknown if floored else "", **shared)


def _floors(table: Fields) -> Iterator[tuple[float, float]]:
    for name in table.names():
        least = table.number(name)
        if re.fullmatch(r"\d{1,4}", name) and least is not None:
            yield int(name), least


def _rates(table: Fields, config: Fields, when: Mapping[str, Any] = {}) -> Iterator[tuple[dict[str, Any], float]]:
    """Walk a table of prices, whatever it is keyed by (tier, resolution, quality, duration) and in whatever order."""
    for name in table.names():
        axis = _axis(name, config)
        if axis is None or axis[0] in when:
            continue
        inner = {**when, axis[0]: axis[1]}
        amount = table.number(name)
        if amount is not None and amount >= 0:
            yield inner, amount
        yield from _rates(table.item(name), config, inner)


def _axis(name: str, config: Fields) -> tuple[str, Any] | None:
    """Return which field of a request a key of a table of prices is a value of."""
    lower = name.lower()
    if name in config.texts("tiers"):
        return "tier", name
    if re.fullmatch(r"\d{1,4}(p|k)", lower):
        return "resolution", lower
    if lower in _QUALITIES or name in config.texts("qualities"):
        return "quality", lower
    return ("duration", int(name)) if re.fullmatch(r"\d{1,4}", name) else None
