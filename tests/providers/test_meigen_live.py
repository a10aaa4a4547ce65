"""MeiGen's live list of models, read over the plugin's own table."""

from __future__ import annotations

import json
from typing import Any

import attrs
import genbridge_meigen as meigen
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbridge import (
    Backend,
    Certainty,
    Choice,
    GenbridgeError,
    ImageRequest,
    Media,
    Model,
    Quote,
    Range,
    Reference,
    ReferenceRole,
    Reply,
    Request,
    ServiceError,
    TransportError,
    VideoRequest,
)
from genbridge.prices import price
from genbridge.validation import check

BACKEND = Backend(name="studio", provider="meigen", base_url="https://www.meigen.ai")
CLIP = "https://images.meigen.ai/clip.mp4"
FIRST, LAST, EXTEND = ReferenceRole.FIRST_FRAME, ReferenceRole.LAST_FRAME, ReferenceRole.EXTEND

IMAGE: dict[str, Any] = {
    "id": "nanobanana-2",
    "name": "Nanobanana 2.5",
    "provider": "Google",
    "description": None,
    "credits_per_generation": 7,
    "supported_ratios": ["1:1", "16:9"],
    "max_reference_images": 3,
    "media_type": "image",
    "supports_4k": True,
    "extra_config": None,
}
SEEDANCE: dict[str, Any] = {
    "id": "seedance-2-0",
    "name": "Seedance 2.0",
    "provider": "ByteDance",
    "credits_per_generation": 60,
    "supported_ratios": ["16:9", "9:16"],
    "max_reference_images": 5,
    "media_type": "video",
    "extra_config": {
        "resolutions": ["480p", "720p"],
        "tierResolutions": {"fast": ["480p", "720p"], "pro": ["1080p", "4K"]},
        "tiers": ["fast", "pro"],
        "defaultTier": "fast",
        "defaultResolution": "720p",
        "durations": [4, 5, 10],
        "defaultDuration": 5,
        "pricingPerSec": {"fast": {"480p": 12, "720p": 26}, "pro": {"1080p": 50, "4K": 90}},
        "pricingPerSecWithVideo": {"fast": {"480p": 8, "720p": 16}},
        "minBillableTable": {"4": 8, "5": 9, "10": 14},
        "tags": ["New"],
    },
    "capabilities": {
        "video": {
            "valid": True,
            "outputDuration": {"kind": "range", "min": 4, "max": 15, "step": 1, "default": 5},
            "referenceVideo": {
                "enabled": True,
                "minSeconds": 3,
                "maxSeconds": 12,
                "maxCount": 3,
                "maxTotalSeconds": 20,
                "maxUploadBytes": 1000,
            },
            "referenceAudio": {
                "enabled": True,
                "minSeconds": 2,
                "maxSeconds": 15,
                "maxCount": 2,
                "maxUploadBytes": 500,
                "formats": ["mp3"],
            },
            "billing": {"mode": "per_second", "referenceSeconds": "reference_plus_output_with_minimum_table"},
            "requiresFirstFrame": False,
        }
    },
}


def listed(*entries: dict[str, Any]) -> list[Model]:
    """Read a list with these entries."""
    return list(meigen.catalogue(BACKEND, Reply.of({"success": True, "models": list(entries)})))


def one(entry: dict[str, Any], **changed: Any) -> Model:
    """Read a list with one entry."""
    (model,) = listed({**entry, **changed})
    return model


def configured(entry: dict[str, Any], **config: Any) -> Model:
    """Read an entry with this `extra_config` and no `capabilities`."""
    return one({name: value for name, value in entry.items() if name != "capabilities"}, extra_config=config)


def quote(model: Model, request: Request) -> Quote:
    """Price a valid request."""
    assert [] == check(request, model)
    return price(request, model, "credits")


# What it can do.


def test_a_known_model_keeps_its_canonical_name_and_takes_the_rest_from_the_list() -> None:
    """Title, ratios, references and price are the service's; what it does not say stays."""
    model = one(IMAGE)
    assert ("nano-banana-2", "nanobanana-2", "Nanobanana 2.5", True) == (model.id, model.provider_id, model.title, model.live)
    assert Choice(("auto", "1:1", "16:9"), default="auto") == model.capabilities.aspect_ratio
    assert [3] == [rule.most for rule in model.capabilities.references]
    known = next(model for model in meigen.describe().models if model.provider_id == "nanobanana-2")
    assert (known.capabilities.resolution, known.expected) == (model.capabilities.resolution, model.expected)


def test_a_model_that_only_the_list_knows_can_be_used() -> None:
    """By the service's own id."""
    model = one(
        IMAGE, id="brand-new", extra_config={"resolutions": ["1K", "2K"], "defaultResolution": "1K", "qualities": ["low", "high"]}
    )
    assert ("brand-new", "brand-new", Media.IMAGE) == (model.id, model.provider_id, model.media)
    assert (Choice(("1k", "2k"), default="1k"), Choice(("low", "high"))) == (
        model.capabilities.resolution,
        model.capabilities.quality,
    )
    request = ImageRequest(
        "a cat", model="brand-new", resolution="2k", aspect_ratio="1:1", references=(Reference("https://e.com/a.png"),)
    )
    assert Quote(amount=7, certainty=Certainty.EXACT, basis="7 credits per call", model="brand-new") == quote(model, request)
    assert {
        "prompt": "a cat",
        "modelId": "brand-new",
        "aspectRatio": "1:1",
        "resolution": "2K",
        "referenceImages": ["https://e.com/a.png"],
    } == (meigen.submit(BACKEND, request, None).json)


def test_an_unknown_video_takes_frames_and_assets_as_far_as_it_takes_images() -> None:
    """Two images are a first and a last frame."""

    def taken(most: int | None) -> dict[str, int]:
        model = one(SEEDANCE, id="new-video", max_reference_images=most, capabilities=None)
        return {str(rule.role): rule.most for rule in model.capabilities.references}

    assert {} == taken(0)
    assert {"asset": 1, "first_frame": 1} == taken(1)
    assert {"asset": 5, "first_frame": 1, "last_frame": 1} == taken(5)
    assert {"first_frame": 1, "last_frame": 1} == taken(None)
    assert {} == taken(-3)


def test_a_model_that_takes_no_images_any_more_takes_none() -> None:
    """Also where the table says otherwise."""
    assert () == one(IMAGE, max_reference_images=0).capabilities.references


def test_midjourney_takes_as_many_images_in_all_as_the_list_says() -> None:
    """Whatever they are for."""
    model = one(IMAGE, id="midjourney-v7", max_reference_images=2)
    assert (2, [2, 2]) == (model.capabilities.most_references, [rule.most for rule in model.capabilities.references])
    assert 1 == one(IMAGE, id="midjourney-v7", max_reference_images=None).capabilities.most_references


def test_models_come_in_the_tables_order_with_the_unknown_ones_last() -> None:
    """So that the default of a medium stays the same."""
    names = [model.id for model in listed({"id": "new"}, {"id": "z-image-turbo"}, SEEDANCE, IMAGE)]
    assert ["nano-banana-2", "z-image-turbo", "seedance-2.0", "new"] == names


def test_hidden_and_nameless_models_are_left_out() -> None:
    """The service offers them to nobody."""
    assert [] == listed({**IMAGE, "extra_config": {"hidden": True}}, {"name": "x"}, {"id": ""})


def test_an_entry_that_says_next_to_nothing_is_the_tables() -> None:
    """Only that it is live."""
    known = next(model for model in meigen.describe().models if model.provider_id == "seedance-2-0")
    model = one({"id": "seedance-2-0"})
    assert attrs.evolve(known, live=True) == model


def test_the_limits_of_a_video_are_the_services() -> None:
    """Ratios with `auto` and `adaptive`, resolutions of every tier, tiers, lengths, clips and sound."""
    capabilities = one(SEEDANCE).capabilities
    assert Choice(("auto", "16:9", "9:16", "adaptive"), default="auto") == capabilities.aspect_ratio
    assert Choice(("480p", "720p", "1080p", "4k"), default="720p") == capabilities.resolution
    assert Range(4, 15, step=1, default=5) == capabilities.duration
    (tier,) = capabilities.options
    assert ("tier", Choice(("fast", "pro"), default="fast")) == (tier.name, tier.domain)
    clip = next(rule for rule in capabilities.references if rule.role is EXTEND)
    assert (3, (3, 12), 20, 1000, True) == (clip.most, clip.seconds, clip.total_seconds, clip.most_bytes, clip.needs_duration)
    sound = next(rule for rule in capabilities.references if rule.kind is Media.AUDIO)
    assert (ReferenceRole.ASSET, 2, (".mp3",), 500) == (sound.role, sound.most, sound.suffixes, sound.most_bytes)


@pytest.mark.parametrize(
    ("limits", "config", "expected"),
    [
        ({"kind": "enum", "values": [4, 6, 8], "default": 4}, {"durations": [5]}, Choice((4, 6, 8), default=4)),
        ({"kind": "enum", "values": [4, 6], "default": 9}, {}, Choice((4, 6))),
        ({"kind": "range", "min": 3, "max": 15, "step": 3, "default": 6}, {}, Range(3, 15, step=3, default=6)),
        ({"kind": "range", "min": 3, "max": 15, "step": 0}, {}, Range(3, 15)),
        ({"kind": "range", "min": 15, "max": 3}, {"durations": [5, 5, 10], "defaultDuration": 10}, Choice((5, 10), default=10)),
        (None, {"durations": [5, -1, 1e300]}, Choice((5,))),
        (None, {}, Choice((8,), default=8)),
    ],
)
def test_lengths_are_read_in_either_form(limits: Any, config: dict[str, Any], expected: object) -> None:
    """The newer form counts first; without any the table's stay."""
    entry = {"id": "veo-3.1", "extra_config": config, "capabilities": {"video": {"outputDuration": limits}}}
    assert expected == one(entry).capabilities.duration


@pytest.mark.parametrize(
    ("capabilities", "config", "expected"),
    [
        ({"referenceVideo": {"enabled": False}}, {"supportsReferenceVideo": True}, None),
        ({"referenceVideo": {"enabled": True}}, {}, (1, (2, 15), 15, 200 * 1024**2)),
        ({"referenceVideo": {"enabled": True, "maxUploadBytes": -1}}, {}, (1, (2, 15), 15, 200 * 1024**2)),
        ({}, {"supportsReferenceVideo": True}, (1, (2, 15), 15, 200 * 1024**2)),
        ({}, {"supportsReferenceVideo": False}, None),
    ],
)
def test_whether_a_video_can_be_continued_is_read_in_either_form(
    capabilities: Any, config: dict[str, Any], expected: object
) -> None:
    """The newer form counts first."""
    model = one({"id": "new", "media_type": "video", "extra_config": config, "capabilities": {"video": capabilities}})
    rules = [rule for rule in model.capabilities.references if rule.role is EXTEND]
    found = [(rule.most, rule.seconds, rule.total_seconds, rule.most_bytes) for rule in rules]
    assert ([] if expected is None else [expected]) == found


def test_sound_without_its_formats_takes_the_known_ones() -> None:
    """And without a limit none."""
    entry = {"id": "new", "media_type": "video", "capabilities": {"video": {"referenceAudio": {"enabled": True}}}}
    sound = next(rule for rule in one(entry).capabilities.references if rule.kind is Media.AUDIO)
    assert (1, (".wav", ".mp3"), None) == (sound.most, sound.suffixes, sound.most_bytes)


@pytest.mark.parametrize("where", ["extra_config", "capabilities"])
def test_a_model_may_need_a_first_frame(where: str) -> None:
    """In either form."""
    needed = {"requiresFirstFrame": True}
    model = one({"id": "new", "media_type": "video", where: needed if where == "extra_config" else {"video": needed}})
    assert {FIRST: 1, LAST: 0} == {rule.role: rule.least for rule in model.capabilities.references}
    assert ["references"] == [problem.field for problem in check(VideoRequest("go", model="new"), model)]


def test_tiers_without_a_default_have_none() -> None:
    """The service picks one."""
    assert None is configured(SEEDANCE, tiers=["a", "b"], defaultTier="c").capabilities.options[0].domain.default


# What it costs.


def test_an_image_costs_what_the_list_says() -> None:
    """Exactly, whatever the table has."""
    assert (7, Certainty.EXACT) == (quote(one(IMAGE), ImageRequest("go")).amount, quote(one(IMAGE), ImageRequest("go")).certainty)


@pytest.mark.parametrize("name", ["pricing", "pricingPerCall"])
@pytest.mark.parametrize(
    "table",
    [
        {"1K": {"low": 2, "medium": 10}, "2K": {"medium": 25}},
        {"low": {"1K": 2}, "medium": {"1K": 10, "2K": 25}},
        {"low": {"1k": 2, "low": 99}, "medium": {"1k": 10, "2k": 25, "huge": 1, "4k": -1}, "other": 5},
    ],
)
def test_an_image_is_priced_by_a_table_in_whatever_order(name: str, table: dict[str, Any]) -> None:
    """Keys that mean nothing known are left out."""
    entry = {**IMAGE, "id": "gpt-image-2", "credits_per_generation": 10}
    model = one(entry, extra_config={name: table})
    amounts = [
        quote(model, ImageRequest("go", resolution=size, quality=quality)).amount
        for size, quality in ((None, "low"), (None, None), ("2k", None))
    ]
    assert [2, 10, 25] == amounts
    found = quote(model, ImageRequest("go", resolution="4k", quality="high"))
    assert (10, Certainty.ESTIMATED, True) == (found.amount, found.certainty, "some settings only" in found.basis)


def test_a_table_without_a_price_for_display_leaves_the_rest_unknown() -> None:
    """Nothing is invented."""
    model = one({**IMAGE, "id": "gpt-image-2", "credits_per_generation": None}, extra_config={"pricing": {"1K": 3}})
    assert [3, None] == [quote(model, ImageRequest("go", resolution=size)).amount for size in ("1k", "2k")]


def test_a_video_is_priced_by_tier_and_resolution() -> None:
    """The tier and resolution that are left out are the service's defaults; the price for display is no price."""
    model = one(SEEDANCE)
    assert Quote(amount=130, certainty=Certainty.EXACT, basis="26 credits per second × 5", model="seedance-2.0") == quote(
        model, VideoRequest("go")
    )
    assert 48 == quote(model, VideoRequest("go", resolution="480p", duration=4)).amount
    assert 500 == quote(model, VideoRequest("go", resolution="1080p", duration=10, options={"tier": "pro"})).amount
    assert None is quote(model, VideoRequest("go", resolution="1080p")).amount


@pytest.mark.parametrize(
    ("clip", "duration", "expected", "certainty"),
    [(3, 5, 72, Certainty.EXACT), (10, 4, 112, Certainty.EXACT), (3, 10, 112, Certainty.EXACT), (3, 6, 72, Certainty.ESTIMATED)],
)
def test_a_continuation_is_priced_with_the_lists_floors(
    clip: float, duration: float, expected: float, certainty: Certainty
) -> None:
    """A length without a floor is an estimate."""
    request = VideoRequest("go", resolution="480p", duration=duration, references=(Reference(CLIP, role=EXTEND, duration=clip),))
    found = quote(one(SEEDANCE), request)
    assert (expected, certainty) == (found.amount, found.certainty)


@pytest.mark.parametrize(
    ("billing", "table", "expected"),
    [
        ("output_only", {"5": 9}, 40),
        ("reference_plus_output_with_minimum_table", {"5": 9, "five": 11, "4": None}, 72),
        ("reference_plus_output", {"5": 9}, 64),
        ("reference_plus_output_with_minimum_table", {"5": 9}, 72),
        (None, {"5": 9}, 72),
        (None, None, 40),
    ],
)
def test_a_continuation_is_billed_as_the_list_says(billing: str | None, table: Any, expected: float) -> None:
    """A list that does not say is read as the public client reads it."""
    config = {"pricingPerSecWithVideo": {"480p": 8}, "minBillableTable": table, "supportsReferenceVideo": True}
    limits = {"video": {"billing": {"referenceSeconds": billing}}}
    model = one({**SEEDANCE, "extra_config": config, "capabilities": limits})
    found = quote(model, VideoRequest("go", resolution="480p", duration=5, references=(Reference(CLIP, role=EXTEND, duration=3),)))
    assert (expected, Certainty.EXACT) == (found.amount, found.certainty)


def test_a_video_may_be_priced_by_the_call() -> None:
    """By tier and length."""
    table = {"fast": {"4": 20, "8": 35}, "pro": {"8": 80}}
    config = {
        "tiers": ["fast", "pro"],
        "defaultTier": "fast",
        "durations": [4, 6, 8],
        "defaultDuration": 4,
        "pricingPerCall": table,
    }
    model = configured({"id": "veo-3.1", "credits_per_generation": 1}, **config)
    assert [20, 35, None] == [quote(model, VideoRequest("go", duration=seconds)).amount for seconds in (None, 8, 6)]
    assert 80 == quote(model, VideoRequest("go", duration=8, options={"tier": "pro"})).amount


def test_a_video_that_is_billed_by_the_call_costs_its_one_price() -> None:
    """Where the table or the list says that it is."""
    assert 25 == quote(one({"id": "veo-3.1", "credits_per_generation": 25}), VideoRequest("go")).amount
    by_call = {"video": {"billing": {"mode": "per_call"}}}
    entry = {"id": "new", "media_type": "video", "credits_per_generation": 30}
    assert 30 == quote(one({**entry, "capabilities": by_call}), VideoRequest("go")).amount
    assert None is quote(one(entry), VideoRequest("go")).amount


def test_a_known_video_without_live_prices_keeps_the_documented_ones() -> None:
    """60 is for display."""
    model = configured(SEEDANCE)
    assert 130 == quote(model, VideoRequest("go", resolution="720p", duration=5)).amount


# What is no list.


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Reply.of({"success": False, "error": "down"}), ServiceError),
        (Reply.of({"error": "down"}, status=500), ServiceError),
        (Reply(status=502, body=b"<html>"), ServiceError),
        (Reply.of({"success": True}), TransportError),
        (Reply.of([]), TransportError),
        (Reply(status=200, body=b"<html>"), TransportError),
    ],
)
def test_an_answer_that_is_no_list_is_an_error(answer: Reply, expected: type[GenbridgeError]) -> None:
    """And not an empty list."""
    with pytest.raises(expected):
        list(meigen.catalogue(BACKEND, answer))


_LIMITS = [*SEEDANCE["capabilities"]["video"], "kind", "min", "max", "values", "enabled"]
_NAMES = [*SEEDANCE, *SEEDANCE["extra_config"], *_LIMITS, "video", "5", "720p"]
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["seedance-2-0", "range", "video", "720p"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.sampled_from(_NAMES), inner, max_size=6),
    max_leaves=20,
)


@given(entries=st.lists(_VALUES | st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=12), max_size=3))
def test_any_list_is_read_or_one_of_genbridges_errors(entries: Any) -> None:
    """What it makes of it can check and price a request."""
    reply = Reply(status=200, body=json.dumps({"models": entries}).encode())
    try:
        models = list(meigen.catalogue(BACKEND, reply))
    except GenbridgeError:
        return
    for model in models:
        request: Request = VideoRequest("go", duration=5, resolution="720p") if model.media is Media.VIDEO else ImageRequest("go")
        check(request, model)
        price(request, model, "credits")
