"""What MeiGen offers and charges.

From its "Generate Image" and "Introduction" pages (April 2026), which are the contract. What is newer, or known from elsewhere, is
offered and never required: such prices are estimates, and the live list (`GET /api/models`) beats this table.
"""

from __future__ import annotations

from typing import Any

import attrs

from genbridge import (
    Anything,
    Capabilities,
    Certainty,
    Choice,
    Group,
    Limits,
    Media,
    Model,
    Option,
    PollPolicy,
    Price,
    Provider,
    Range,
    ReferenceRole,
    ReferenceRule,
    Setting,
    Text,
)

BASE_URL = "https://www.meigen.ai"
"""The service's own address; its paths begin with `/api`."""

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif")
VIDEO_SUFFIXES = (".mp4", ".mov")
AUDIO_SUFFIXES = (".wav", ".mp3")

_PAGE = "docs.meigen.ai, Generate Image"
_CLIENT = "the public MeiGen client and older pages of docs.meigen.ai, April and May 2026"

_COMMON = ("1:1", "3:4", "4:3", "16:9", "9:16", "21:9")
# The page names the common ratios and leaves the others to the live list. These ten are all that any image model there has.
_TEN = (*_COMMON, "3:2", "2:3", "4:5", "5:4")
_SEEDREAM_5 = ("1:1", "3:4", "4:3", "16:9", "9:16", "3:2", "2:3")

_RESOLUTIONS = Choice(("1k", "2k", "3k", "4k"), default="2k")

VARIANT = Option("modelVariant", Text(r"\S(.*\S)?", hint="a name"), "a variant of the model; which there are is not documented")


def ratios(values: tuple[str, ...]) -> Choice:
    """Return the domain of the aspect ratio: `auto`, which every model takes and is the default, and those values."""
    return Choice(tuple(dict.fromkeys(("auto", *values))), default="auto")


def images(role: ReferenceRole, *, least: int = 0, most: int = 1) -> ReferenceRule:
    """Return the rule for reference images of a role."""
    return ReferenceRule(role=role, least=least, most=most, suffixes=IMAGE_SUFFIXES)


def continuation(
    *, seconds: tuple[float, float] = (2, 15), most: int = 1, total: float | None = None, most_bytes: int = 200 * 1024**2
) -> ReferenceRule:
    """Return the rule for videos to continue. Their length is needed, as it is billed."""
    return ReferenceRule(
        role=ReferenceRole.EXTEND,
        kind=Media.VIDEO,
        most=most,
        seconds=seconds,
        total_seconds=total,
        needs_duration=True,
        suffixes=VIDEO_SUFFIXES,
        most_bytes=most_bytes,
    )


def tiers(*names: str, default: str | None = None) -> Option:
    """Return the option for the quality tier of a video model."""
    return Option("tier", Choice(names, default=default), "the tier; the service picks one when it is left out")


_REFERENCE_TYPE = Option(
    "referenceType",
    Choice(("content", "style")),
    "how the reference image is meant; the role of the reference says it as well, and better: style, or asset for its content",
)

_NIJI = Option(
    "niji7Options",
    Group(
        (
            Option("stylize", Range(0, 1000, default=100)),
            Option("chaos", Range(0, 100, default=0)),
            Option("weird", Range(0, 3000, default=0)),
            Option("raw", Choice((True, False), default=False)),
            Option("iw", Range(0, 2, step=None, default=1)),
            Option("sref", Text(), "a style reference: a URL or text"),
            Option("sw", Range(0, 1000, default=100)),
            Option("sv", Range(1, 4, default=4)),
        )
    ),
    "advanced parameters of Midjourney Niji 7",
)

# The newest page says that the field of this name now carries the options of V8.1; their ranges are not published.
_V8 = Option(
    "niji7Options",
    Group(tuple(Option(name, Anything()) for name in ("stylize", "chaos", "weird", "raw", "iw", "sref", "sw", "sv"))),
    "advanced parameters of Midjourney V8.1; their ranges are not published",
)


def _flat(amount: float) -> tuple[Price, ...]:
    return (Price(amount=amount, certainty=Certainty.ESTIMATED, source=_CLIENT),)


_STILLS = Capabilities(
    aspect_ratio=ratios(_TEN),
    resolution=_RESOLUTIONS,
    # There is no field for it: one image is what comes back.
    count=Choice((1,), default=1),
    references=(images(ReferenceRole.ASSET, most=5),),
    options=(VARIANT,),
)
_MIDJOURNEY = attrs.evolve(
    _STILLS,
    # There is no field for it: four candidates are what comes back.
    count=Choice((4,), default=4),
    references=(images(ReferenceRole.ASSET), images(ReferenceRole.STYLE)),
    most_references=1,
)


def _image(name: str, provider_id: str, title: str, capabilities: Capabilities = _STILLS, **more: Any) -> Model:
    return Model(id=name, provider_id=provider_id, media=Media.IMAGE, title=title, capabilities=capabilities, **more)


def _midjourney(name: str, title: str, *options: Option, prices: tuple[Price, ...] = ()) -> Model:
    capabilities = attrs.evolve(_MIDJOURNEY, options=(_REFERENCE_TYPE, *options, VARIANT))
    return _image(name, name, title, capabilities, expected=60.0, prices=prices)


def _video(name: str, provider_id: str, title: str, capabilities: Capabilities, **more: Any) -> Model:
    return Model(id=name, provider_id=provider_id, media=Media.VIDEO, title=title, capabilities=capabilities, **more)


def _continued(resolution: str, amount: float) -> tuple[Price, Price]:
    """Return the prices of a continuation: the floor is published for 5 s of output, and for no other length."""
    when = {"extend": True, "resolution": resolution, "tier": None}
    unknown = "more when the floor is higher: the fewest seconds billed are published for a duration of 5 s only"
    return (
        Price(amount=amount, per="second", clips=True, least=9, when={**when, "duration": 5}, source=_PAGE),
        Price(amount=amount, per="second", clips=True, when=when, certainty=Certainty.ESTIMATED, note=unknown, source=_PAGE),
    )


_SEEDANCE_PRICES = (
    *_continued("480p", 8),
    *_continued("720p", 16),
    Price(amount=26, per="second", when={"extend": False, "resolution": "720p", "tier": None}, source=_PAGE),
)


def _quality(amount: float, resolution: str, quality: str) -> Price:
    when = {"resolution": resolution, "quality": quality}
    return Price(amount=amount, when=when, certainty=Certainty.ESTIMATED, source=_CLIENT)


_GPT_IMAGE_PRICES = (
    _quality(2, "1k", "low"),
    _quality(10, "1k", "medium"),
    _quality(25, "2k", "medium"),
    _quality(40, "4k", "medium"),
)

_VEO_PRICES = (Price(amount=20, when={"tier": None}, certainty=Certainty.ESTIMATED, source=_CLIENT),)

MODELS = (
    _image("nano-banana-2", "nanobanana-2", "Nano Banana 2", prices=_flat(5), expected=15.0),
    _image("nano-banana-pro", "gemini-3-pro-image-preview", "Nano Banana Pro (Gemini 3)", prices=_flat(10), expected=15.0),
    _image(
        "seedream-5.0-lite",
        "seedream-5.0-lite",
        "Seedream 5.0 Lite",
        attrs.evolve(_STILLS, aspect_ratio=ratios(_SEEDREAM_5), resolution=Choice(("2k", "3k"), default="2k")),
        prices=_flat(5),
        expected=15.0,
    ),
    _image("seedream-4.5", "seedream-4.5", "Seedream 4.5", prices=_flat(5), expected=15.0),
    _midjourney("midjourney-v7", "Midjourney V7", prices=_flat(15)),
    _midjourney("midjourney-niji7", "Midjourney Niji 7", _NIJI, prices=_flat(15)),
    _image("z-image-turbo", "z-image-turbo", "Z Image Turbo", attrs.evolve(_STILLS, references=()), prices=_flat(2), expected=5.0),
    _image("gpt-image-1.5", "rhart-1.5", "GPT Image 1.5", prices=_flat(2), expected=20.0),
    _image(
        "gpt-image-2",
        "gpt-image-2",
        "GPT Image 2",
        attrs.evolve(
            _STILLS,
            resolution=Choice(("1k", "2k", "4k"), default="1k"),
            quality=Choice(("low", "medium", "high"), default="medium"),
        ),
        prices=_GPT_IMAGE_PRICES,
    ),
    _midjourney("midjourney-v8.1", "Midjourney V8.1", _V8),
    _image("flux2-klein", "flux2-klein", "FLUX.2 klein"),
    _video(
        "seedance-2.0",
        "seedance-2-0",
        "Seedance 2.0",
        Capabilities(
            aspect_ratio=ratios((*_COMMON, "adaptive")),
            resolution=Choice(("480p", "720p", "1080p", "4k")),
            duration=Range(4, 15, default=5),
            references=(
                images(ReferenceRole.ASSET, most=5),
                images(ReferenceRole.FIRST_FRAME),
                images(ReferenceRole.LAST_FRAME),
                continuation(),
            ),
            options=(tiers("mini", "fast", "pro"),),
        ),
        prices=_SEEDANCE_PRICES,
        expected=120.0,
    ),
    _video(
        "veo-3.1",
        "veo-3.1",
        "Veo 3.1",
        Capabilities(
            aspect_ratio=ratios(_COMMON),
            resolution=Choice(("720p", "1080p", "4k")),
            # The page says that it is always 8 s and that the field is ignored; a live list that has other lengths adds them.
            duration=Choice((8,), default=8),
            references=(images(ReferenceRole.FIRST_FRAME), images(ReferenceRole.LAST_FRAME)),
            options=(tiers("fast", "pro"),),
        ),
        prices=_VEO_PRICES,
        expected=240.0,
    ),
    _video(
        "happyhorse-1.0",
        "happyhorse-1.0",
        "Happy Horse 1.0",
        Capabilities(
            aspect_ratio=ratios(_COMMON),
            resolution=Choice(("480p", "720p", "1080p")),
            duration=Range(3, 15),
            references=(images(ReferenceRole.FIRST_FRAME),),
        ),
    ),
    _video(
        "grok-video",
        "grok-video",
        "Grok Imagine 1.5",
        Capabilities(
            aspect_ratio=ratios(_COMMON),
            resolution=Choice(("480p", "720p")),
            duration=Range(4, 15),
            references=(images(ReferenceRole.FIRST_FRAME, least=1),),
        ),
    ),
)
"""Every model that is known beforehand; the first of a medium is the default."""

PROVIDER = Provider(
    name="meigen",
    title="MeiGen",
    base_url=BASE_URL,
    base_url_variable="MEIGEN_BASE_URL",
    key_variable="MEIGEN_API_TOKEN",
    key_url="https://www.meigen.ai/profile/api-keys",
    poll=PollPolicy(interval=3.0, timeouts={Media.IMAGE: 300.0, Media.VIDEO: 600.0}),
    limits=Limits(submits=12, per=60.0),
    models=MODELS,
    settings=(
        Setting(
            name="upload_url",
            description="the gateway that local reference images are uploaded through; the service's own when it is left out",
            variable="UPLOAD_GATEWAY_URL",
        ),
    ),
    # The page on caching: 5 minutes for GET /api/models.
    catalogue_ttl=300.0,
)
