"""What imini offers and charges.

`doubao/seedance-2.0` is from imini's page for it (the contract), the other models from the other pages under
docs.imini.ai/en/api-reference. The prices are from the tables of imini's official integration skill (Apr to May 2026), as its price
page was not to be had: every one is an estimate. What no page states is marked where it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from genbridge import (
    Anything,
    Capabilities,
    Certainty,
    Choice,
    Media,
    Model,
    Option,
    PollPolicy,
    Price,
    Provider,
    Quote,
    Range,
    ReferenceRole,
    ReferenceRule,
    Request,
    Text,
    VideoRequest,
)

SEEDANCE = "doubao/seedance-2.0"
SEEDANCE_FAST = "doubao/seedance-2.0-fast"
KLING = "kling/kling-v3"
OMNI = "kling/kling-v3-omni"
MOTION_CONTROL = "kling/kling-v3-motion-control"
HAPPYHORSE = "dashscope/happyhorse-1.0"
NANO_BANANA = "google/nano-banana"
NANO_BANANA_PRO = "google/nano-banana-pro"
NANO_BANANA_2 = "google/nano-banana-2"
GPT_IMAGE_2 = "openai/gpt-image-2"

BODY_LIMIT = 64 * 1024**2
"""The most bytes of a whole request, by the Seedance page."""

_MB = 1024**2
_TABLE = "imini-ai/imini-api-integration-skill, references/model_selection.md, Apr-May 2026"
_THUMB = "a rule of thumb"
_REMOTE_OR_DATA = ("https", "data")


def _images(
    role: ReferenceRole, most: int = 1, *, least: int = 0, suffixes: tuple[str, ...] = (), most_bytes: int | None = None
) -> ReferenceRule:
    return ReferenceRule(role=role, least=least, most=most, suffixes=suffixes, most_bytes=most_bytes, schemes=_REMOTE_OR_DATA)


def _clips(most: int = 1, least: int = 0, seconds: tuple[float, float] | None = None, total: float | None = None) -> ReferenceRule:
    """Return the rule for reference videos, which every page wants as public URLs."""
    role = ReferenceRole.ASSET
    return ReferenceRule(role=role, kind=Media.VIDEO, least=least, most=most, seconds=seconds, total_seconds=total, local=False)


# Seedance 2.0 and fast: the page of the first; the page of the second is the same but for the name.

_SEEDANCE_FILES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tiff", ".tif", ".gif")
_SEEDANCE = Capabilities(
    # `auto` is genbridge's word for a ratio that the service chooses, which imini calls `adaptive`.
    aspect_ratio=Choice(("16:9", "4:3", "1:1", "3:4", "9:16", "21:9", "adaptive", "auto"), default="adaptive"),
    resolution=Choice(("480p", "720p"), default="720p"),
    duration=Range(4, 15, default=5),
    audio=Choice((True, False), default=True),
    seed=Range(-1, 2**32 - 1, default=-1),
    watermark=Choice((True, False), default=False),
    return_last_frame=Choice((True, False), default=False),
    prompt_required=False,
    references=(
        _images(ReferenceRole.FIRST_FRAME, suffixes=_SEEDANCE_FILES, most_bytes=30 * _MB),
        _images(ReferenceRole.LAST_FRAME, suffixes=_SEEDANCE_FILES, most_bytes=30 * _MB),
        _images(ReferenceRole.ASSET, 9, suffixes=_SEEDANCE_FILES, most_bytes=30 * _MB),
        _clips(3, seconds=(2, 15), total=15),
        # The page says "avoid base64 for large files" of audio, from which follows that small files may be sent so.
        ReferenceRule(
            role=ReferenceRole.ASSET,
            kind=Media.AUDIO,
            most=3,
            seconds=(2, 15),
            total_seconds=15,
            suffixes=(".wav", ".mp3"),
            most_bytes=15 * _MB,
            schemes=_REMOTE_OR_DATA,
        ),
    ),
    most_references=9,
)


# Kling v3, omni and motion control.

_MULTI_SHOT = (
    Option("multi_shot", Choice((True, False), default=False), "several shots in one video"),
    Option("shot_type", Choice(("customize", "intelligence")), "customize: the shots of multi_prompt; intelligence: the prompt"),
    Option("multi_prompt", Anything(), 'the shots, as [{"index": 1, "prompt": "…", "duration": "2"}]'),
)
_KLING_OPTIONS = (
    *_MULTI_SHOT,
    Option("negative_prompt", Text(), "what is not to be seen"),
    Option("cfg_scale", Range(0, 1, step=None), "how closely the prompt is followed; the range is Kling's own"),
    Option("camera_control", Anything(), "a camera movement, in Kling's own form"),
)
# No page gives a number of asset images for Kling, so the most of any imini page is taken, and the service may take fewer.
_KLING_IMAGES = (_images(ReferenceRole.FIRST_FRAME), _images(ReferenceRole.LAST_FRAME), _images(ReferenceRole.ASSET, 9))
_ORIENTATION = Option("character_orientation", Choice(("video", "image")), "which of the two says where the character faces")
_REFER_TYPE = Option("refer_type", Choice(("base", "feature")), "base edits the reference video, feature takes it as a model")


def _kling(options: tuple[Option, ...], references: tuple[ReferenceRule, ...]) -> Capabilities:
    return Capabilities(
        aspect_ratio=Choice(("16:9", "9:16", "1:1"), default="16:9"),
        resolution=Choice(("720p", "1080p"), default="720p"),
        duration=Range(3, 15, default=5),
        audio=Choice((True, False), default=False),
        prompt_limit=2500,
        prompt_required=False,
        references=references,
        options=options,
    )


_MOTION = Capabilities(
    resolution=Choice(("720p", "1080p"), default="720p"),
    audio=Choice((True, False), default=False),
    prompt_limit=2500,
    prompt_required=False,
    references=(
        _images(ReferenceRole.ASSET, least=1, suffixes=(".jpg", ".jpeg", ".png"), most_bytes=10 * _MB),
        _clips(least=1, seconds=(3, 30)),
    ),
    options=(_ORIENTATION,),
)
_HAPPYHORSE_FILES = (".jpg", ".jpeg", ".png", ".webp")
_HAPPYHORSE = Capabilities(
    aspect_ratio=Choice(("16:9", "9:16", "1:1", "4:3", "3:4"), default="16:9"),
    resolution=Choice(("720p", "1080p"), default="1080p"),
    duration=Range(3, 15, default=5),
    prompt_limit=5000,
    prompt_required=False,
    references=(
        _images(ReferenceRole.FIRST_FRAME, suffixes=_HAPPYHORSE_FILES, most_bytes=10 * _MB),
        _images(ReferenceRole.ASSET, 9, suffixes=_HAPPYHORSE_FILES),
        _clips(seconds=(3, 60)),
    ),
    options=(Option("audio_setting", Text(), "how the audio is made; its values are not among the documents"),),
)


# Images.

_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")


def _nano_banana(*resolutions: str, references: int, ratios: tuple[str, ...] = _RATIOS) -> Capabilities:
    """Return what a nano-banana takes: one image a call, as no page of theirs names a count.

    The defaults are those of the page of nano-banana-pro; of the other two they are inferred.
    """
    return Capabilities(
        aspect_ratio=Choice(ratios, default="1:1"),
        resolution=Choice(resolutions, default="1k"),
        count=Choice((1,), default=1),
        prompt_limit=6000,
        references=(_images(ReferenceRole.ASSET, references), _images(ReferenceRole.STYLE, references)),
        most_references=references,
    )


# The page wants resolution, aspect_ratio and quality in every call and gives no defaults: these are ours, and they are sent.
_GPT = Capabilities(
    aspect_ratio=Choice((*_RATIOS, "9:21"), default="1:1"),
    resolution=Choice(("1k", "2k", "4k"), default="1k"),
    quality=Choice(("low", "medium", "high"), default="medium"),
    count=Range(1, 10, default=1),
    prompt_limit=32000,
    # The field's limit; the summary of the same page says 6.
    references=(_images(ReferenceRole.ASSET, 3), _images(ReferenceRole.STYLE, 3)),
    most_references=3,
)
ALWAYS_SENT = {GPT_IMAGE_2: ("resolution", "aspect_ratio", "quality")}
"""The fields that a model must be given, and that are sent with their defaults when the user leaves them out."""


# Prices.


def _estimate(amount: float, per: Literal["image", "second"], note: str = "", **when: object) -> Price:
    return Price(amount=amount, per=per, when=when, certainty=Certainty.ESTIMATED, note=note, source=_TABLE)


def _by_resolution(per: Literal["image", "second"], amounts: Mapping[str, float]) -> tuple[Price, ...]:
    return tuple(_estimate(amount, per, resolution=resolution) for resolution, amount in amounts.items())


def _by_audio(quiet: Mapping[str, float], loud: Mapping[str, float]) -> tuple[Price, ...]:
    return tuple(
        _estimate(amount, "second", resolution=resolution, audio=audio)
        for audio, amounts in ((False, quiet), (True, loud))
        for resolution, amount in amounts.items()
    )


_NANO_BANANA_PRICES = (_estimate(100, "image", references=True), _estimate(50, "image", references=False))
_GPT_PRICES = (
    _estimate(200, "image", "the cheapest of about 200 to 1000", resolution="1k", quality="low"),
    _estimate(1000, "image", "the dearest of about 200 to 1000, as the steps between are not known"),
)
_HAPPYHORSE_PRICES = (_estimate(300, "second", _THUMB, resolution="1080p"),)
_MOTION_RATE = 220
_MOTION_PRICES = (_estimate(_MOTION_RATE, "second", _THUMB, resolution="1080p"),)
_OMNI_WITH_VIDEO = {"720p": 170, "1080p": 220}
_NO_RATE = {
    SEEDANCE: "with a reference video the price rises with its length, at a rate that is only on imini's price page",
    SEEDANCE_FAST: "with a reference video the price rises with its length, at a rate that is only on imini's price page",
    OMNI: "an edit is billed by the length of the reference video; with the option refer_type='feature' the price is known",
    MOTION_CONTROL: "the price follows the reference video: give the Reference its duration, and 1080p, for an estimate",
    HAPPYHORSE: "an edit is as long as the reference video, at a rate that is not public",
}


def quote(request: Request, model: Model) -> Quote | None:
    """Return what a request with a reference video costs, which the price list cannot say; `None` for any other."""
    clip = next((reference for reference in request.references if reference.kind is Media.VIDEO), None)
    if clip is None or model.provider_id not in _NO_RATE:
        return None
    resolution = request.resolution or model.default("resolution")
    if model.provider_id == OMNI and request.options.get("refer_type") == "feature":
        return _rated(_OMNI_WITH_VIDEO[resolution], _seconds(request, model), model)
    if model.provider_id == MOTION_CONTROL and clip.duration is not None and resolution == "1080p":
        return _rated(_MOTION_RATE, clip.duration, model)
    return Quote(amount=None, basis=_NO_RATE[model.provider_id], model=model.id)


def _seconds(request: Request, model: Model) -> float:
    asked = request.duration if isinstance(request, VideoRequest) else None
    return float(model.default("duration") if asked is None else asked)


def _rated(rate: float, seconds: float, model: Model) -> Quote:
    basis = f"{rate:g} credits per second × {seconds:g}, with a reference video"
    return Quote(amount=rate * seconds, certainty=Certainty.ESTIMATED, basis=basis, model=model.id)


# The catalogue. By the skill, an image usually takes 10 to 30 s and a video 30 to 120 s.


def _video(**fields: Any) -> Model:
    return Model(media=Media.VIDEO, expected=75.0, **fields)


def _image(**fields: Any) -> Model:
    return Model(media=Media.IMAGE, expected=20.0, **fields)


_MODELS = (
    _video(
        id="seedance-2.0",
        provider_id=SEEDANCE,
        title="Seedance 2.0",
        capabilities=_SEEDANCE,
        prices=_by_resolution("second", {"480p": 100, "720p": 200}),
    ),
    _video(
        id="seedance-2.0-fast",
        provider_id=SEEDANCE_FAST,
        title="Seedance 2.0 Fast",
        capabilities=_SEEDANCE,
        prices=_by_resolution("second", {"480p": 80, "720p": 160}),
    ),
    _video(
        id="kling-v3",
        provider_id=KLING,
        title="Kling v3",
        capabilities=_kling(_KLING_OPTIONS, _KLING_IMAGES),
        prices=_by_audio({"720p": 120, "1080p": 160}, {"720p": 170, "1080p": 220}),
    ),
    _video(
        id="kling-v3-omni",
        provider_id=OMNI,
        title="Kling v3 Omni",
        # No page gives a number of reference videos for omni: one is what Kling itself takes.
        capabilities=_kling((*_MULTI_SHOT, _REFER_TYPE), (*_KLING_IMAGES, _clips())),
        prices=_by_audio({"720p": 120, "1080p": 160}, {"720p": 160, "1080p": 200}),
    ),
    _video(
        id="kling-v3-motion-control",
        provider_id=MOTION_CONTROL,
        title="Kling v3 Motion Control",
        capabilities=_MOTION,
        prices=_MOTION_PRICES,
    ),
    _video(
        id="happyhorse-1.0",
        provider_id=HAPPYHORSE,
        title="HappyHorse 1.0",
        capabilities=_HAPPYHORSE,
        prices=_HAPPYHORSE_PRICES,
    ),
    # The skill recommends this one to whoever is unsure.
    _image(
        id="nano-banana-2",
        provider_id=NANO_BANANA_2,
        title="Nano Banana 2",
        capabilities=_nano_banana("512", "1k", "2k", "4k", references=14, ratios=(*_RATIOS, "1:4", "1:8", "4:1", "8:1")),
        prices=_by_resolution("image", {"512": 50, "1k": 75, "2k": 100, "4k": 150}),
    ),
    _image(
        id="nano-banana-pro",
        provider_id=NANO_BANANA_PRO,
        title="Nano Banana Pro",
        capabilities=_nano_banana("1k", "2k", "4k", references=14),
        prices=_by_resolution("image", {"1k": 120, "2k": 120, "4k": 200}),
    ),
    _image(
        id="nano-banana",
        provider_id=NANO_BANANA,
        title="Nano Banana",
        capabilities=_nano_banana("1k", references=3),
        prices=_NANO_BANANA_PRICES,
    ),
    _image(
        id="gpt-image-2",
        provider_id=GPT_IMAGE_2,
        title="GPT Image 2",
        capabilities=_GPT,
        prices=_GPT_PRICES,
    ),
)

PROVIDER = Provider(
    name="imini",
    title="imini",
    base_url="https://openapi.imini.ai/imini/router",
    key_variable="IMINI_API_KEY",
    key_url="https://imini.ai/api-keys",
    poll=PollPolicy(interval=2.0, timeouts={Media.IMAGE: 600.0, Media.VIDEO: 1800.0}),
    models=_MODELS,
)
