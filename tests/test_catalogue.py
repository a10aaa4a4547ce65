"""What a model takes and costs, and the check of a request against that."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbridge.catalogue import (
    FIELDS,
    Anything,
    Capabilities,
    Choice,
    Domain,
    Group,
    Model,
    Option,
    Price,
    Provider,
    Range,
    ReferenceRule,
    Setting,
    Text,
    check_options,
    choose,
    find,
)
from genbridge.errors import RequestError
from genbridge.prices import price
from genbridge.types import Certainty, ImageRequest, Media, Quote, Reference, ReferenceRole, VideoRequest
from genbridge.validation import check
from genbridge.words import did_you_mean, listed

ANY = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.lists(st.integers()) | st.just(object())
)
PHOTO = "https://files.example/x.png"
CLIP = "https://files.example/x.mp4"
YES_OR_NO = Choice((True, False))


def model(name: str = "veo-3.1", media: Media = Media.VIDEO, **fields: Any) -> Model:
    """Return a model of a name; the provider calls it by another."""
    return Model(id=name, provider_id=fields.pop("provider_id", f"own-{name}"), media=media, **fields)


def able(**capabilities: Any) -> Model:
    """Return a model with those capabilities."""
    return model(capabilities=Capabilities(**capabilities))


def problems(request: ImageRequest | VideoRequest, known: Model) -> list[str]:
    """Return what is wrong with a request, in words."""
    return [str(problem) for problem in check(request, known)]


def referring(*references: Reference) -> VideoRequest:
    """Return a request with those references."""
    return VideoRequest("Mist", references=references)


# Words


def test_a_word_close_to_a_known_one_is_suggested() -> None:
    """And any other is not."""
    assert ["; did you mean 'veo-3.1'?", ""] == [did_you_mean("veo-31", ["veo-3.1", "x"]), did_you_mean("other", ["veo-3.1"])]


def test_values_are_listed_in_words() -> None:
    """Whatever they are."""
    assert "1, a, image" == listed([1, "a", Media.IMAGE])


# Domains


@given(values=st.lists(st.integers() | st.booleans() | st.text(), min_size=1))
def test_a_choice_takes_its_values(values: list[Any]) -> None:
    """Each of them."""
    assert {None} == {Choice(values).problem(value) for value in values}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("720q", "'720q' is not one of 480p, 720p, 5; did you mean '720p'?"),
        (7, "7 is not one of 480p, 720p, 5"),
        (None, "None is not one of 480p, 720p, 5"),
        ([], "[] is not one of 480p, 720p, 5"),
    ],
)
def test_a_choice_lists_its_values_for_any_other(value: object, problem: str) -> None:
    """With a suggestion where one is close."""
    assert problem == Choice(("480p", "720p", 5)).problem(value)


def test_true_is_not_one() -> None:
    """Nor is false zero, though they are equal."""
    assert [None, None] == [YES_OR_NO.problem(value) for value in (True, False)]
    assert [True, True] == [bool(YES_OR_NO.problem(value)) for value in (1, 0)]
    assert [True, True] == [bool(Choice((0, 1)).problem(value)) for value in (True, False)]
    assert None is Choice((5,)).problem(5.0)


@given(low=st.integers(-1000, 1000), count=st.integers(0, 1000), step=st.sampled_from([1, 2, 5, 0.1, 0.25, 0.05, 1 / 3]))
def test_a_range_takes_every_step_from_its_lower_bound(low: int, count: int, step: float) -> None:
    """Also where a step has no exact form in binary."""
    bounds = Range(low, low + 1000 * step, step=step)
    assert None is bounds.problem(low + count * step)


@given(
    low=st.integers(-1000, 1000),
    count=st.integers(0, 999),
    step=st.sampled_from([2, 5, 0.1, 0.25, 0.05]),
    part=st.floats(0.01, 0.99),
)
def test_a_range_takes_nothing_between_its_steps(low: int, count: int, step: float, part: float) -> None:
    """It says which steps there are."""
    assert f"is not in steps of {step:g} from {low:g}" in str(
        Range(low, low + 1000 * step, step=step).problem(low + (count + part) * step)
    )


@given(value=st.floats(0, 1))
def test_a_range_without_steps_takes_every_fraction(value: float) -> None:
    """Between its bounds."""
    assert None is Range(0, 1, step=None).problem(value)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (4, None),
        (15, None),
        (5.0, None),
        (3, "3 is not between 4 and 15"),
        (15.5, "15.5 is not between 4 and 15"),
        (4.5, "4.5 is not a whole number"),
        ("5", "'5' is not a number"),
        (True, "True is not a number"),
        (None, "None is not a number"),
        (math.nan, "nan is not a number"),
        (math.inf, "inf is not a number"),
    ],
)
def test_a_range_says_what_it_takes(value: object, problem: str | None) -> None:
    """Its bounds are included."""
    assert problem == Range(4, 15).problem(value)


def test_a_number_beyond_all_floats_is_no_error_of_its_own() -> None:
    """A whole number can be larger than any float."""
    assert "is not between 4 and 15" in str(Range(4, 15).problem(10**400))
    assert None is Range(0, math.inf).problem(10**400)


@pytest.mark.parametrize(
    ("domain", "value", "problem"),
    [
        (Text(), "anything", None),
        (Text(), 7, "7 is not a string"),
        (Text(most=3), "abc", None),
        (Text(most=3), "abcd", "it has 4 characters, the most is 3"),
        (Text(r"\d+x\d+"), "10x10", None),
        (Text(r"\d+x\d+"), "10x10\n", "'10x10\\n' is not of the form \\d+x\\d+"),
        (Text(r"\d+x\d+", hint="a size, such as 1024x1024"), "big", "'big' is not a size, such as 1024x1024"),
    ],
)
def test_a_text_has_its_form_and_length(domain: Text, value: object, problem: str | None) -> None:
    """The hint says the form in words."""
    assert problem == domain.problem(value)


@pytest.mark.parametrize("value", [None, True, 7, 1.5, "a", [1, [2]], (1, 2), {"a": {"b": [None]}}])
def test_anything_that_json_has_will_do(value: object) -> None:
    """Where it is not documented what may be."""
    assert None is Anything().problem(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, object(), {1: 2}, [object()], {"a": {1, 2}}, b"bytes"])
def test_what_json_has_not_will_not(value: object) -> None:
    """It could not be sent."""
    assert f"{value!r} cannot be written as JSON" == Anything().problem(value)


def test_a_group_names_every_problem_within() -> None:
    """By the names of its options."""
    group = Group([Option("stylize", Range(0, 1000)), Option("raw", YES_OR_NO)])
    assert None is group.problem({"stylize": 100, "raw": True})
    assert "stylize: 1001 is not between 0 and 1000; row: unknown option; did you mean 'raw'?" == group.problem(
        {"stylize": 1001, "row": 1}
    )
    assert "[] is not a table of options" == group.problem([])


@given(value=ANY)
def test_every_domain_answers_for_every_value(value: object) -> None:
    """With words for what it does not take, with nothing for the rest, and never with an error."""
    number = value if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) else -1
    taken: list[tuple[Domain, bool]] = [
        (YES_OR_NO, isinstance(value, bool)),
        (Range(0, 9), 0 <= number <= 9 and abs(number - round(number)) <= 1e-9),
        (Range(0, 1, step=None), 0 <= number <= 1),
        (Text("a+"), isinstance(value, str) and {"a"} == set(value)),
        (Anything(), value is None or isinstance(value, bool | str | list) or number == value),
        (Group([]), False),
    ]
    for domain, fits in taken:
        problem = domain.problem(value)
        assert fits == (problem is None)
        assert "" != problem


def test_an_unknown_option_comes_with_a_suggestion_or_the_known_ones() -> None:
    """Or with nothing, where there are none."""
    known = [Option("seed", Range(0, 9)), Option("tile", YES_OR_NO)]
    assert ["sede: unknown option; did you mean 'seed'?"] == [str(problem) for problem in check_options({"sede": 1}, known)]
    assert ["other: unknown option; known are seed, tile"] == [str(problem) for problem in check_options({"other": 1}, known)]
    assert ["other: unknown option"] == [str(problem) for problem in check_options({"other": 1}, [])]
    assert ["7: unknown option"] == [str(problem) for problem in check_options({7: 1}, [])]  # type: ignore[dict-item]
    assert [] == list(check_options({"seed": 1, "tile": True}, known))


# Choosing a model


def test_a_model_is_found_by_any_of_its_names() -> None:
    """A canonical id goes before a provider's own, and that before an alias."""
    one = model("one", provider_id="two", aliases=("three",))
    two = model("two", provider_id="three", aliases=("four",))
    three = model("three", provider_id="five")
    known = (one, two, three)
    expected = [one, two, three, two, three, None]
    assert expected == [find(known, name, Media.VIDEO) for name in ("one", "two", "three", "four", "five", "six")]
    assert None is find(known, "one", Media.IMAGE)


def test_the_first_model_that_can_be_used_is_the_default() -> None:
    """Of the asked medium."""
    known = (model("soon", unavailable="it is not open"), model("a", Media.IMAGE), model("b"), model("c"))
    expected = ["b", "a", None]
    found = [find(known, None, media) for media in (Media.VIDEO, Media.IMAGE, Media.AUDIO)]
    assert expected == [known.id if known else None for known in found]


def test_a_chosen_model_is_the_asked_one() -> None:
    """Or the default."""
    known = (model("a"), model("b"))
    assert ["b", "a"] == [choose(known, VideoRequest("Mist", model=name), where="studio").id for name in ("own-b", None)]


@pytest.mark.parametrize(
    ("known", "name", "problem"),
    [
        ((model("veo-3.1"),), "veo-31", "model: studio has no video model 'veo-31'; did you mean 'veo-3.1'?"),
        ((model("veo-3.1"), model("kling")), "zzz", "model: studio has no video model 'zzz'; it has veo-3.1, kling"),
        (
            (model("veo-3.1"), model("veo-3.1-fast"), model("veo-31", Media.IMAGE), model("veo-3", unavailable="it is not open")),
            "veo-31",
            "model: 'veo-31' does not make videos on studio; those that do: veo-3.1, veo-3.1-fast",
        ),
        (
            (model("veo-3.1"), model("veo-3.1-fast"), model("veo-30", Media.IMAGE), model("veo-3", unavailable="it is not open")),
            "veo-3.0",
            "model: studio has no video model 'veo-3.0'; did you mean 'veo-3.1' or 'veo-3.1-fast'?",
        ),
        (
            (model("kling", provider_id="acme/film-two"),),
            "acme/film-2",
            "model: studio has no video model 'acme/film-2'; did you mean 'kling'?",
        ),
        (
            tuple(map(model, "abcdefghijk")),
            "zzz",
            "model: studio has no video model 'zzz'; it has a, b, c, d, e, f, g, h and 3 more",
        ),
        ((model("soon", unavailable="it is not open"),), "soon", "model: 'soon' cannot be used on studio: it is not open"),
        ((model("soon", unavailable="it is not open"),), None, "model: studio makes no videos: it is not open"),
        ((model("soon", unavailable="it is not open"),), "zzz", "model: studio makes no videos: it is not open"),
        ((model("gpt-image-2", Media.IMAGE),), "gpt-image-2", "model: studio makes no videos"),
        ((), None, "model: studio makes no videos"),
        (
            (model("gpt-image-2", Media.IMAGE), model("veo-3.1")),
            "own-gpt-image-2",
            "model: 'own-gpt-image-2' does not make videos on studio; those that do: veo-3.1",
        ),
        ((model("veo-3.1"),), 7, "model: studio has no video model 7; it has veo-3.1"),
        ((model("veo-3.1"),), ["x"], "model: studio has no video model ['x']; it has veo-3.1"),
    ],
)
def test_a_model_that_cannot_be_chosen_is_a_problem_with_its_reason(known: tuple[Model, ...], name: Any, problem: str) -> None:
    """And a way out, where there is one."""
    with pytest.raises(RequestError) as caught:
        choose(known, VideoRequest("Mist", model=name), where="studio")
    assert [problem] == [str(problem) for problem in caught.value.problems]


def test_a_default_is_that_of_the_fields_domain() -> None:
    """Nothing where a field cannot be set, or is none."""
    known = able(duration=Range(4, 15, default=5), audio=YES_OR_NO)
    assert [5, None, None, None] == [known.default(field) for field in ("duration", "audio", "seed", "other")]


# The check


def test_a_request_within_the_capabilities_has_no_problem() -> None:
    """Fields that are left out are not looked at."""
    assert [] == problems(VideoRequest("Mist"), able())
    known = able(duration=Range(4, 15), resolution=Choice(("720p",)))
    assert [] == problems(VideoRequest("Mist", duration=5, resolution="720P"), known)


@pytest.mark.parametrize(
    ("prompt", "capabilities", "expected"),
    [
        ("", {}, ["prompt: it is empty; say what you want"]),
        (" \n", {}, ["prompt: it is empty; say what you want"]),
        ("", {"prompt_required": False}, []),
        ("abc", {"prompt_limit": 3}, []),
        ("abcd", {"prompt_limit": 3}, ["prompt: it has 4 characters, the most is 3"]),
        (7, {}, ["prompt: 7 is not a string"]),
        (None, {"prompt_required": False}, ["prompt: None is not a string"]),
    ],
)
def test_a_prompt_is_checked(prompt: Any, capabilities: dict[str, Any], expected: list[str]) -> None:
    """Its type, its length, and whether it says anything."""
    assert expected == problems(VideoRequest(prompt), able(**capabilities))


def test_every_problem_is_reported_at_once() -> None:
    """With the field's name."""
    request = VideoRequest("", duration=99, audio=True, options={"x": 1}, references=(Reference(PHOTO),))
    expected = ["prompt", "duration", "audio", "references[0]", "options.x"]
    assert expected == [problem.field for problem in check(request, able(duration=Range(4, 15)))]


def test_a_field_that_a_model_has_not_is_to_be_left_out() -> None:
    """Nothing is dropped silently."""
    assert ["audio: veo-3.1 has no such setting; leave it out"] == problems(VideoRequest("Mist", audio=False), able())


def test_every_field_of_a_request_has_a_domain() -> None:
    """So that none escapes the check."""
    common = {"prompt", "model", "references", "options"}
    fields = {field.name for kind in (ImageRequest, VideoRequest) for field in attrs.fields(kind)} - common
    assert set(FIELDS) == fields
    assert set(FIELDS) <= {field.name for field in attrs.fields(Capabilities)}


@pytest.mark.parametrize("options", [[], "x", 7, None])
def test_options_are_a_table(options: Any) -> None:
    """And nothing else."""
    assert [f"options: {options!r} is not a table of options"] == problems(VideoRequest("Mist", options=options), able())


def test_own_options_are_checked_by_their_own_names() -> None:
    """Under `options`."""
    known = able(options=(Option("chaos", Range(0, 100)),))
    assert [] == problems(VideoRequest("Mist", options={"chaos": 5}), known)
    assert ["options.chaos: 101 is not between 0 and 100"] == problems(VideoRequest("Mist", options={"chaos": 101}), known)


@pytest.mark.parametrize("references", ["x", 7, None, {"a": 1}])
def test_references_are_a_list(references: Any) -> None:
    """And nothing else."""
    assert [f"references: {references!r} is not a list of Reference"] == problems(
        VideoRequest("Mist", references=references), able()
    )


def test_a_list_of_references_holds_references() -> None:
    """A string is none, though it may be a link."""
    request = VideoRequest("Mist", references=(PHOTO,))
    assert [f"references[0]: {PHOTO!r} is not a Reference"] == problems(request, able())


def test_a_reference_has_a_role_and_kind_that_the_model_takes() -> None:
    """The others are listed."""
    rule = ReferenceRule(role=ReferenceRole.FIRST_FRAME)
    request = referring(Reference(CLIP, role=ReferenceRole.LAST_FRAME))
    assert ["references[0]: veo-3.1 takes no video as last_frame; it takes: image as first_frame"] == problems(
        request, able(references=(rule,))
    )
    assert ["references[0]: veo-3.1 takes no video as last_frame; it takes: none"] == problems(request, able())


@pytest.mark.parametrize(
    ("source", "rule", "expected"),
    [
        (PHOTO, {}, []),
        ("HTTPS://files.example/x.png", {}, []),
        (Path("x.PNG"), {"suffixes": (".png",)}, []),
        ("data:image/png;base64,AAAA", {"schemes": ("https", "data")}, []),
        (Path("x.png"), {"local": False}, ["a local image cannot be used here; give a public URL instead of 'x.png'"]),
        (Path("a/x.gif"), {"suffixes": (".png", ".jpg")}, ["'x.gif' is not one of .png, .jpg"]),
        ("http://files.example/x", {}, ["'http://files.example/x' is not a public https URL; for a local file give a Path"]),
        ("x.png", {}, ["'x.png' is not a public https URL; for a local file give a Path"]),
        (7, {}, ["7 is not a public https URL; for a local file give a Path"]),
        ("data:" + "A" * 99, {}, [f"'data:{'A' * 74}… is not a public https URL; for a local file give a Path"]),
    ],
)
def test_a_references_source_is_one_that_can_be_used(source: Any, rule: dict[str, Any], expected: list[str]) -> None:
    """A public URL, or a local file of the right sort."""
    known = able(references=(ReferenceRule(role=ReferenceRole.ASSET, **rule),))
    request = referring(Reference(source, kind=Media.IMAGE))
    assert [f"references[0]: {words}" for words in expected] == problems(request, known)


@pytest.mark.parametrize(
    ("seconds", "rule", "expected"),
    [
        (None, {}, []),
        (None, {"needs_duration": True}, ["the clip's length in seconds is needed, because it is billed"]),
        (5, {"needs_duration": True}, []),
        (5, {}, []),
        (-5, {}, ["-5 is less than 0"]),
        (2.5, {"seconds": (2, 15)}, []),
        (1, {"seconds": (2, 15)}, ["1 is not between 2 and 15"]),
        ("5", {"seconds": (2, 15)}, ["'5' is not a number"]),
        (15.5, {"total_seconds": 15.0}, ["15.5 is not between 0 and 15"]),
        (-1, {"needs_duration": True}, ["-1 is less than 0"]),
    ],
)
def test_a_clips_length_is_checked_where_it_counts(seconds: Any, rule: dict[str, Any], expected: list[str]) -> None:
    """Elsewhere it is a fact about the clip, and no mistake."""
    known = able(references=(ReferenceRule(role=ReferenceRole.EXTEND, kind=Media.VIDEO, **rule),))
    found = [problem.message for problem in check(referring(Reference(CLIP, role=ReferenceRole.EXTEND, duration=seconds)), known)]
    assert expected == found[: len(expected)]
    assert bool(expected) == bool(found)


def test_references_have_a_least_and_a_most() -> None:
    """For each role and kind."""
    known = able(references=(ReferenceRule(role=ReferenceRole.FIRST_FRAME, least=1, most=1),))
    frame = Reference(PHOTO, role=ReferenceRole.FIRST_FRAME)
    assert [] == problems(referring(frame), known)
    assert ["references: at least 1 image as first_frame is needed"] == problems(referring(), known)
    assert ["references: 2 of image as first_frame are too many, the most is 1"] == problems(referring(frame, frame), known)


def test_clips_have_a_length_together() -> None:
    """Those whose length is known."""
    rule = ReferenceRule(role=ReferenceRole.ASSET, kind=Media.VIDEO, most=3, seconds=(2, 15), total_seconds=15)
    clips = [Reference(CLIP, duration=seconds) for seconds in (8, 7.5, None)]
    expected = ["references: the clips (video as asset) last 15.5 s together, the most is 15 s"]
    assert expected == problems(referring(*clips), able(references=(rule,)))
    assert [] == problems(referring(clips[0], clips[2]), able(references=(rule,)))


def test_references_of_all_roles_have_a_most_together() -> None:
    """Each kind of file for itself."""
    rules = [ReferenceRule(role=role, most=9) for role in (ReferenceRole.ASSET, ReferenceRole.STYLE)]
    known = able(references=tuple(rules), most_references=2)
    photos = [Reference(PHOTO), Reference(PHOTO, role=ReferenceRole.STYLE), Reference(PHOTO)]
    assert ["references: 3 image references are too many, the most is 2"] == problems(referring(*photos), known)
    assert [] == problems(referring(*photos[:2]), known)


@given(value=ANY)
def test_any_request_can_be_checked(value: Any) -> None:
    """Whatever is in it, the check answers with problems, and raises nothing."""
    known = able(
        duration=Range(4, 15),
        resolution=Choice(("720p",)),
        references=(ReferenceRule(role=ReferenceRole.ASSET, seconds=(2, 15), total_seconds=15),),
        options=(Option("x", Text()),),
    )
    fields = {field.name: value for field in attrs.fields(VideoRequest)}
    reference = Reference(value, role=value, kind=value, duration=value)
    asset = Reference(PHOTO, duration=value)
    checked = [VideoRequest(**fields), VideoRequest("Mist", references=(reference, value, asset), options={"x": value})]
    assert all(problem.field and problem.message for request in checked for problem in check(request, known))


# Prices


def priced(*prices: Price, **capabilities: Any) -> Model:
    """Return a model with those prices."""
    return model(prices=prices, capabilities=Capabilities(**capabilities))


def test_the_first_price_that_fits_is_taken() -> None:
    """By what the request says, and by defaults where it says nothing."""
    known = priced(
        Price(amount=1, when={"resolution": "480p"}),
        Price(amount=2, when={"resolution": "720p"}),
        Price(amount=9),
        resolution=Choice(("480p", "720p", "1080p"), default="720p"),
    )
    costs = [price(VideoRequest("Mist", resolution=resolution), known, "credits").amount for resolution in ("480p", None, "1080p")]
    assert [1, 2, 9] == costs


def test_a_price_may_depend_on_options_and_references() -> None:
    """On whether there are any, and on those of a role."""
    known = priced(
        Price(amount=1, when={"mode": "pro"}),
        Price(amount=2, when={"extend": True}),
        Price(amount=3, when={"references": True}),
        Price(amount=4, when={"references": False, "mode": "std"}),
        options=(Option("mode", Choice(("std", "pro"), default="std")),),
    )
    requests = [
        VideoRequest("Mist", options={"mode": "pro"}),
        referring(Reference(CLIP, role=ReferenceRole.EXTEND)),
        referring(Reference(PHOTO)),
        VideoRequest("Mist"),
    ]
    assert [1, 2, 3, 4] == [price(request, known, "credits").amount for request in requests]


def test_a_quote_says_how_it_came_about() -> None:
    """Its unit, how sure it is, and for which model."""
    known = priced(Price(amount=26, per="second", certainty=Certainty.EXACT), duration=Range(4, 15))
    expected = Quote(amount=130, unit="points", certainty=Certainty.EXACT, basis="26 points per second × 5", model="veo-3.1")
    assert expected == price(VideoRequest("Mist", duration=5), known, "points")


@pytest.mark.parametrize(
    ("entry", "request_", "amount", "basis"),
    [
        (Price(amount=4), ImageRequest("Mist", count=4), 4, "4 credits per call"),
        (Price(amount=4, per="image"), ImageRequest("Mist", count=4), 16, "4 credits per image × 4"),
        (Price(amount=4, per="image"), ImageRequest("Mist"), 4, "4 credits per image × 1"),
        (Price(amount=2, per="second"), VideoRequest("Mist", duration=2.5), 5, "2 credits per second × 2.5"),
        (Price(amount=2, per="second", least=5), VideoRequest("Mist", duration=4), 10, "2 credits per second × max(4, 5)"),
        (Price(amount=2, note="not for long"), VideoRequest("Mist"), 2, "2 credits per call; not for long"),
        (
            Price(amount=2, per="second", clips=True),
            VideoRequest("Mist", duration=5, references=(Reference(CLIP, duration=3), Reference(CLIP), Reference(PHOTO))),
            16,
            "2 credits per second × (3 + 5)",
        ),
        (
            Price(amount=2, per="second", clips=True, least=10),
            VideoRequest("Mist", duration=5, references=(Reference(CLIP, duration=3),)),
            20,
            "2 credits per second × max(3 + 5, 10)",
        ),
    ],
)
def test_an_amount_is_per_call_image_or_second(
    entry: Price, request_: ImageRequest | VideoRequest, amount: float, basis: str
) -> None:
    """Clips and minimums count where they are billed."""
    quote = price(request_, priced(entry), "credits")
    assert (amount, basis, Certainty.EXACT) == (quote.amount, quote.basis, quote.certainty)


def test_a_length_that_is_not_known_beforehand_makes_the_price_unknown() -> None:
    """What a second costs is said."""
    quote = price(VideoRequest("Mist"), priced(Price(amount=2, per="second")), "credits")
    assert (None, Certainty.UNKNOWN) == (quote.amount, quote.certainty)
    assert "2 credits a second; the length is not known beforehand" == quote.basis


def test_a_list_that_says_nothing_leaves_the_price_unknown() -> None:
    """It names the model."""
    quote = price(VideoRequest("Mist"), priced(Price(amount=1, when={"audio": True})), "credits")
    basis = "no price is known for veo-3.1 as it is asked for; one is known with audio True"
    expected = Quote(amount=None, certainty=Certainty.UNKNOWN, basis=basis, model="veo-3.1")
    assert expected == quote


# Providers


def test_a_provider_takes_lists() -> None:
    """And keeps them as they cannot be changed."""
    provider = Provider(
        name="other",
        base_url="https://api.example",
        key_variable="OTHER_KEY",
        models=[model()],
        settings=[Setting(name="region", description="where")],
    )
    assert ((model(),), ("region",)) == (provider.models, tuple(setting.name for setting in provider.settings))


def test_a_refusal_is_a_status_that_starts_nothing() -> None:
    """No 5xx is, unless a provider says so, nor is a conflict or a timeout."""
    refusals = Provider(name="other", base_url="https://api.example", key_variable="OTHER_KEY").refusals
    assert set() == {status for status in refusals if status >= 500 or status in {408, 409, 425}}
    assert {400, 401, 402, 403, 404, 422, 429} <= refusals
