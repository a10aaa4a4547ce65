"""The models of the emulated service, as its `GET /api/models` lists them.

They are those of the plugin's own table. What no page says is the emulator's own: some prices, as something has to be charged,
usual times and defaults. Its list names all prices, so that a quote that was made of the list is what is charged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from genbridge import Choice, Media, Model, Range, ReferenceRole, ReferenceRule
from genbridge_meigen._models import MODELS

_FRAMES = frozenset({ReferenceRole.FIRST_FRAME, ReferenceRole.LAST_FRAME})


@attrs.frozen(kw_only=True)
class _Own:
    """What the table does not say of a model. `credits` is the figure that is shown; prices are by resolution, and by quality."""

    maker: str
    credits: float | None = None
    seconds: float = 0.0
    resolution: str = "720p"
    duration: float | None = None
    by_second: Mapping[str, float] = attrs.field(factory=dict)
    by_quality: Mapping[str, Mapping[str, float]] = attrs.field(factory=dict)


_OWN = {
    "nanobanana-2": _Own(maker="Google"),
    "gemini-3-pro-image-preview": _Own(maker="Google"),
    "seedream-5.0-lite": _Own(maker="ByteDance"),
    "seedream-4.5": _Own(maker="ByteDance"),
    "midjourney-v7": _Own(maker="Midjourney"),
    "midjourney-v8.1": _Own(maker="Midjourney", credits=15),
    "midjourney-niji7": _Own(maker="Midjourney"),
    "z-image-turbo": _Own(maker="Alibaba"),
    "rhart-1.5": _Own(maker="OpenAI"),
    "gpt-image-2": _Own(
        maker="OpenAI",
        credits=10,
        seconds=30.0,
        by_quality={"1k": {"high": 40}, "2k": {"low": 5, "high": 100}, "4k": {"low": 8, "high": 160}},
    ),
    "flux2-klein": _Own(maker="Black Forest Labs", credits=2, seconds=10.0),
    "seedance-2-0": _Own(maker="ByteDance", credits=60, by_second={"480p": 13, "1080p": 52, "4k": 104}),
    "veo-3.1": _Own(maker="Google"),
    "happyhorse-1.0": _Own(
        maker="Alibaba", credits=100, seconds=120.0, duration=5, by_second={"480p": 10, "720p": 20, "1080p": 40}
    ),
    "grok-video": _Own(maker="xAI", credits=25, seconds=60.0, resolution="480p", duration=5, by_second={"480p": 5, "720p": 10}),
}


@attrs.frozen(kw_only=True)
class Offer:
    """One model: what the list says of it, the `seconds` that a job usually takes, and how many `candidates` one job makes."""

    id: str
    name: str
    maker: str
    media: str
    credits: float
    seconds: float
    ratios: tuple[str, ...]
    references: int
    candidates: int
    config: Mapping[str, Any]
    video: Mapping[str, Any] | None

    def document(self) -> dict[str, Any]:
        """Return its entry of the list."""
        entry = {
            "id": self.id,
            "name": self.name,
            "provider": self.maker,
            "description": None,
            "credits_per_generation": self.credits,
            "supports_4k": any(value.lower() == "4k" for value in self.config["resolutions"]),
            "supported_ratios": list(self.ratios),
            "max_reference_images": self.references,
            "media_type": self.media,
            "api_provider": "sandbox",
            "request_transform": "default",
            "extra_config": dict(self.config),
        }
        return entry if self.video is None else {**entry, "capabilities": {"video": dict(self.video)}}


def _offer(model: Model) -> Offer:
    own = _OWN[model.provider_id]
    config = {name: value for name, value in _config(model, own).items() if value}
    return Offer(
        id=model.provider_id,
        name=model.title or model.id,
        maker=own.maker,
        media=str(model.media),
        credits=_flat(model) or own.credits or 0,
        seconds=model.expected or own.seconds,
        ratios=tuple(ratio for ratio in _values(model.capabilities.aspect_ratio) if ratio != "auto"),
        references=_references(model),
        candidates=model.default("count") or 1,
        config=config,
        video=_continuation(model, config),
    )


def _config(model: Model, own: _Own) -> dict[str, Any]:
    """Return its `extra_config`: what can be asked for and what it costs; empty is what it does not have."""
    takes = model.capabilities
    durations = _values(takes.duration)
    return {
        "resolutions": tuple(_spelt(model, value) for value in _values(takes.resolution)),
        "defaultResolution": _spelt(model, model.default("resolution") or own.resolution),
        "qualities": _values(takes.quality),
        "defaultQuality": model.default("quality"),
        "pricing": {_spelt(model, value): {**_by_quality(model, value), **prices} for value, prices in own.by_quality.items()},
        "durations": durations,
        "defaultDuration": model.default("duration") or own.duration,
        "pricingPerSec": {**_by_second(model, extend=False), **own.by_second},
        "pricingPerCall": {} if own.by_second else {f"{duration:g}": _flat(model) for duration in durations},
        "pricingPerSecWithVideo": _by_second(model, extend=True),
        # The page: 9 s for 5 s of output. The others go on like that.
        "minBillableTable": {f"{duration:g}": duration + 4 for duration in durations} if _clip(model) else {},
        "supportsReferenceVideo": _clip(model) is not None,
        "requiresFirstFrame": any(rule.role is ReferenceRole.FIRST_FRAME and rule.least for rule in takes.references),
    }


def _continuation(model: Model, config: Mapping[str, Any]) -> dict[str, Any] | None:
    clip = _clip(model)
    if clip is None or clip.seconds is None:
        return None
    durations, default = config["durations"], config["defaultDuration"]
    return {
        "valid": True,
        "outputDuration": {"kind": "range", "min": durations[0], "max": durations[-1], "step": 1, "default": default},
        "referenceVideo": {
            "enabled": True,
            "minSeconds": clip.seconds[0],
            "maxSeconds": clip.seconds[1],
            "resolutions": list(config["pricingPerSecWithVideo"]),
            "maxUploadBytes": clip.most_bytes,
        },
        "billing": {
            "mode": "per_second",
            "requestDefaultSeconds": default,
            "referenceSeconds": "reference_plus_output_with_minimum_table",
        },
        "requiresFirstFrame": False,
    }


def _clip(model: Model) -> ReferenceRule | None:
    return next((rule for rule in model.capabilities.references if rule.role is ReferenceRole.EXTEND), None)


def _references(model: Model) -> int:
    """Return how many images it takes. Frames are the first and the second of the one list of images."""
    rules = [rule for rule in model.capabilities.references if rule.kind is Media.IMAGE]
    frames = sum(rule.role in _FRAMES for rule in rules)
    return max(frames, *(rule.most for rule in rules), 0)


def _flat(model: Model) -> float | None:
    """Return the price of a job that costs the same whatever is asked for."""
    return next((price.amount for price in model.prices if price.per == "call" and "quality" not in price.when), None)


def _by_quality(model: Model, resolution: str) -> dict[str, float]:
    return {price.when["quality"]: price.amount for price in model.prices if price.when["resolution"] == resolution}


def _by_second(model: Model, *, extend: bool) -> dict[str, float]:
    prices = [price for price in model.prices if price.when.get("extend") is extend]
    return {price.when["resolution"]: price.amount for price in prices}


def _spelt(model: Model, resolution: str) -> str:
    return resolution.upper() if model.media is Media.IMAGE else resolution


def _values(domain: object) -> tuple[Any, ...]:
    if isinstance(domain, Range):
        return tuple(range(int(domain.low), int(domain.high) + 1))
    return domain.values if isinstance(domain, Choice) else ()


OFFERS = tuple(_offer(model) for model in MODELS)
"""The first is what a request gets that names no model."""


def offer(name: str) -> Offer | None:
    """Return the model of that id."""
    return next((known for known in OFFERS if known.id == name), None)
