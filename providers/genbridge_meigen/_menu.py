"""The models of the emulated service, as its `GET /api/models` lists them.

Prices, ratios and limits are the published ones where there are any. Prices that no page gives are the emulator's own, as something
has to be charged; its list names them, so that a quote that was made of the list is what is charged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

_COMMON = ("1:1", "3:4", "4:3", "16:9", "9:16", "21:9")
_TEN = (*_COMMON, "3:2", "2:3", "4:5", "5:4")
_SIZES = ("1K", "2K", "3K", "4K")
_FLOORS = {"4": 8, "5": 9, "6": 10, "7": 11, "8": 12, "9": 13, "10": 14, "11": 15, "12": 16, "13": 17, "14": 18, "15": 19}


@attrs.frozen(kw_only=True)
class Offer:
    """One model: what the list says of it, the `seconds` that a job usually takes, and how many `candidates` one job makes."""

    id: str
    name: str
    maker: str
    media: str
    credits: int
    seconds: float
    ratios: tuple[str, ...] = _TEN
    references: int = 5
    candidates: int = 1
    config: Mapping[str, Any] = attrs.field(factory=dict)
    video: Mapping[str, Any] | None = None

    def document(self) -> dict[str, Any]:
        """Return its entry of the list."""
        entry = {
            "id": self.id,
            "name": self.name,
            "provider": self.maker,
            "description": None,
            "credits_per_generation": self.credits,
            "supports_4k": any(value.lower() == "4k" for value in self.config.get("resolutions", ())),
            "supported_ratios": list(self.ratios),
            "max_reference_images": self.references,
            "media_type": self.media,
            "api_provider": "sandbox",
            "request_transform": "default",
            "extra_config": dict(self.config),
        }
        return entry if self.video is None else {**entry, "capabilities": {"video": dict(self.video)}}


def _image(name: str, title: str, maker: str, *, price: int, seconds: float, **more: Any) -> Offer:
    config = more.pop("config", {"resolutions": _SIZES, "defaultResolution": "2K"})
    return Offer(id=name, name=title, maker=maker, media="image", credits=price, seconds=seconds, config=config, **more)


def _midjourney(name: str, title: str) -> Offer:
    return _image(name, title, "Midjourney", price=15, seconds=60.0, references=1, candidates=4)


def _between(low: int, high: int, default: int) -> dict[str, Any]:
    return {"kind": "range", "min": low, "max": high, "step": 1, "default": default}


_GPT_IMAGE = {
    "resolutions": ("1K", "2K", "4K"),
    "defaultResolution": "1K",
    "qualities": ("low", "medium", "high"),
    "defaultQuality": "medium",
    "pricing": {
        "1K": {"low": 2, "medium": 10, "high": 40},
        "2K": {"low": 5, "medium": 25, "high": 100},
        "4K": {"low": 8, "medium": 40, "high": 160},
    },
}
_SEEDANCE = {
    "resolutions": ("480p", "720p", "1080p", "4k"),
    "defaultResolution": "720p",
    "durations": tuple(range(4, 16)),
    "defaultDuration": 5,
    "pricingPerSec": {"480p": 13, "720p": 26, "1080p": 52, "4k": 104},
    "pricingPerSecWithVideo": {"480p": 8, "720p": 16},
    "minBillableTable": _FLOORS,
    "supportsReferenceVideo": True,
}
_SEEDANCE_VIDEO = {
    "valid": True,
    "outputDuration": _between(4, 15, 5),
    "referenceVideo": {
        "enabled": True,
        "minSeconds": 2,
        "maxSeconds": 15,
        "resolutions": ["480p", "720p"],
        "maxUploadBytes": 200 * 1024**2,
    },
    "billing": {"mode": "per_second", "requestDefaultSeconds": 5, "referenceSeconds": "reference_plus_output_with_minimum_table"},
    "requiresFirstFrame": False,
}
_VEO = {
    "resolutions": ("720p", "1080p", "4k"),
    "defaultResolution": "720p",
    "durations": (8,),
    "defaultDuration": 8,
    "pricingPerCall": {"8": 20},
}
_HAPPY_HORSE = {
    "resolutions": ("480p", "720p", "1080p"),
    "defaultResolution": "720p",
    "durations": tuple(range(3, 16)),
    "defaultDuration": 5,
    "pricingPerSec": {"480p": 10, "720p": 20, "1080p": 40},
}
_GROK = {
    "resolutions": ("480p", "720p"),
    "defaultResolution": "480p",
    "durations": tuple(range(4, 16)),
    "defaultDuration": 5,
    "pricingPerSec": {"480p": 5, "720p": 10},
    "requiresFirstFrame": True,
}

OFFERS = (
    _image("nanobanana-2", "Nanobanana 2", "Google", price=5, seconds=15.0),
    _image("gemini-3-pro-image-preview", "Nanobanana Pro", "Google", price=10, seconds=15.0),
    _image(
        "seedream-5.0-lite",
        "Seedream 5.0 Lite",
        "ByteDance",
        price=5,
        seconds=15.0,
        ratios=("1:1", "3:4", "4:3", "16:9", "9:16", "3:2", "2:3"),
        config={"resolutions": ("2K", "3K"), "defaultResolution": "2K"},
    ),
    _image("seedream-4.5", "Seedream 4.5", "ByteDance", price=5, seconds=15.0),
    _midjourney("midjourney-v7", "Midjourney V7"),
    _midjourney("midjourney-v8.1", "Midjourney V8.1"),
    _midjourney("midjourney-niji7", "Midjourney Niji 7"),
    _image("z-image-turbo", "Z Image Turbo", "Alibaba", price=2, seconds=5.0, references=0),
    _image("rhart-1.5", "GPT Image 1.5", "OpenAI", price=2, seconds=20.0),
    _image("gpt-image-2", "GPT Image 2", "OpenAI", price=10, seconds=30.0, config=_GPT_IMAGE),
    _image("flux2-klein", "FLUX.2 klein", "Black Forest Labs", price=2, seconds=10.0),
    Offer(
        id="seedance-2-0",
        name="Seedance 2.0",
        maker="ByteDance",
        media="video",
        credits=60,
        seconds=120.0,
        ratios=(*_COMMON, "adaptive"),
        config=_SEEDANCE,
        video=_SEEDANCE_VIDEO,
    ),
    Offer(
        id="veo-3.1",
        name="Veo 3.1",
        maker="Google",
        media="video",
        credits=20,
        seconds=240.0,
        ratios=_COMMON,
        references=2,
        config=_VEO,
    ),
    Offer(
        id="happyhorse-1.0",
        name="Happy Horse 1.0",
        maker="Alibaba",
        media="video",
        credits=100,
        seconds=120.0,
        ratios=_COMMON,
        references=1,
        config=_HAPPY_HORSE,
    ),
    Offer(
        id="grok-video",
        name="Grok Imagine 1.5",
        maker="xAI",
        media="video",
        credits=25,
        seconds=60.0,
        ratios=_COMMON,
        references=1,
        config=_GROK,
    ),
)
"""The first is what a request gets that names no model."""


def offer(name: str) -> Offer | None:
    """Return the model of that id."""
    return next((known for known in OFFERS if known.id == name), None)
