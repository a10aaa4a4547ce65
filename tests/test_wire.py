"""HTTP described as values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbridge.errors import ContentPolicyError, NotFoundError, RateLimitError, ServiceError, TransportError
from genbridge.wire import Call, Fields, Reply

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


def test_a_get_and_a_put_may_be_repeated_and_a_post_may_not() -> None:
    """Unless the caller knows that it may."""
    calls = [Call.get("/x"), Call.put("/x", body=b"", content_type="image/png"), Call.post("/x"), Call.post("/x", repeatable=True)]
    expected = [("GET", True), ("PUT", True), ("POST", False), ("POST", True)]
    assert expected == [(call.method, call.repeatable) for call in calls]


def test_calls_carry_what_they_were_given() -> None:
    """Each in its place, header names in lower case."""
    get = Call.get("/x", params={"a": "1"}, headers={"X-Own": "A"}, timeout=5)
    post = Call.post("/x", json={"a": 1}, headers={"X-Own": "A"}, timeout=6)
    put = Call.put("/x", body=b"abc", content_type="image/png", headers={"X-Own": "A", "Content-Type": "no"}, timeout=7)
    assert ({"a": "1"}, {"x-own": "A"}, 5) == (get.params, get.headers, get.timeout)
    assert ({"a": 1}, {"x-own": "A"}, 6) == (post.json, post.headers, post.timeout)
    assert (b"abc", "A", 7) == (put.body, put.headers["x-own"], put.timeout)


def test_the_content_type_of_a_put_is_the_one_that_was_asked_for() -> None:
    """Whatever the other headers say, and however they spell it."""
    put = Call.put("/x", body=b"", content_type="image/png", headers={"Content-Type": "text/plain"})
    assert {"content-type": "image/png"} == put.headers


def test_the_repr_of_a_call_shows_neither_headers_nor_body() -> None:
    """A key may be in either."""
    shown = repr(Call.put("/x", body=b"secret body", content_type="a/b", headers={"Authorization": "Bearer secret key"}))
    assert "secret" not in shown


@pytest.mark.parametrize(
    ("url", "path", "origin"),
    [
        ("https://api.example:8443/v1/x?a=1", "/v1/x", "https://api.example:8443"),
        ("/v1/x?a=1", "/v1/x", ""),
        ("https://api.example", "", "https://api.example"),
    ],
)
def test_a_url_has_a_path_and_perhaps_an_origin(url: str, path: str, origin: str) -> None:
    """A path alone has none."""
    call = Call.get(url)
    assert (path, origin) == (call.path, call.origin)


def test_the_query_is_that_of_the_url_and_the_parameters() -> None:
    """The parameters win."""
    assert {"a": "2", "b": "ü"} == Call.get("/x?a=1&b=%C3%BC", params={"a": "2"}).query


@pytest.mark.parametrize(("status", "ok"), [(199, False), (200, True), (204, True), (299, True), (300, False), (500, False)])
def test_two_hundreds_are_ok(status: int, *, ok: bool) -> None:
    """And nothing else is."""
    assert ok is Reply(status=status).ok


def test_a_reply_can_be_made_of_a_document() -> None:
    """With a content type, and headers in lower case."""
    reply = Reply.of({"a": 1}, status=201, headers={"X-Own": "A"})
    assert (201, {"content-type": "application/json", "x-own": "A"}, {"a": 1}) == (reply.status, reply.headers, reply.json())


def test_the_repr_of_a_reply_does_not_show_its_body() -> None:
    """It may be large, and hold links."""
    assert "secret" not in repr(Reply(status=200, body=b"secret"))


@pytest.mark.parametrize(
    ("headers", "received", "expected"),
    [
        ({}, 0.0, None),
        ({"Retry-After": "7"}, None, 7.0),
        ({"Retry-After": " 7 "}, None, 7.0),
        ({"Retry-After": "-7"}, 0.0, None),
        ({"Retry-After": "7.5"}, 0.0, None),
        ({"Retry-After": "\u0667"}, 0.0, None),
        ({"Retry-After": "9" * 400}, 0.0, None),
        ({"Retry-After": "soon"}, 0.0, None),
        ({"Retry-After": "Thu, 01 Jan 2026 00:01:00 GMT"}, 1767225600.0, 60.0),
        ({"Retry-After": "Thu, 01 Jan 2026 00:01:00 -0000"}, 1767225600.0, 60.0),
        ({"Retry-After": "Thu, 01 Jan 2026 00:01:00 GMT", "Date": "Thu, 01 Jan 2026 00:00:50 GMT"}, 0.0, 10.0),
        ({"Retry-After": "Thu, 01 Jan 2026 00:00:00 GMT"}, 1767225660.0, 0.0),
        ({"Retry-After": "Thu, 01 Jan 2026 00:00:00 GMT"}, None, None),
        ({"Retry-After": "Thu, 99 Jan 2026 00:00:00 GMT"}, 0.0, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], received: float | None, expected: float | None) -> None:
    """By the server's own clock where it tells it; what makes no sense says nothing."""
    assert expected == Reply(status=429, headers=headers, received=received).retry_after


@given(value=st.text(), date=st.text())
def test_retry_after_is_never_an_error(value: str, date: str) -> None:
    """It is a time that has not passed, or nothing."""
    seconds = Reply(status=429, headers={"Retry-After": value, "Date": date}, received=0.0).retry_after
    assert seconds is None or 0 <= seconds < float("inf")


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a": 1', b"\xff\xfe\xfd", b"[" * 200_000])
def test_what_is_not_json_is_a_transport_error(body: bytes) -> None:
    """It says what came, and not all of it."""
    with pytest.raises(TransportError, match=f"HTTP 502, text/html, {len(body)} bytes") as caught:
        Reply(status=502, headers={"Content-Type": "text/html"}, body=body).json()
    assert "<html>" not in str(caught.value)


def test_what_is_no_object_is_a_transport_error() -> None:
    """A list has no fields."""
    with pytest.raises(TransportError, match=r"HTTP 200.* not an object"):
        Reply.of([1, 2]).fields()


@given(body=st.binary())
def test_any_body_is_an_object_or_a_transport_error(body: bytes) -> None:
    """Nothing else comes out."""
    try:
        fields = Reply(status=200, body=body).fields()
    except TransportError:
        return
    assert isinstance(fields, Fields)


@given(body=st.binary())
def test_the_document_of_any_body_is_an_object(body: bytes) -> None:
    """An empty one when that is not what came."""
    assert isinstance(Reply(status=500, body=body).document(), Fields)


def test_the_document_of_a_page_is_empty() -> None:
    """And so is that of a list."""
    assert [False, False, True] == [
        bool(reply.document()) for reply in (Reply(status=502, body=b"<html>"), Reply.of([{"a": 1}]), Reply.of({"a": 1}))
    ]


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (404, None, NotFoundError),
        (418, None, ServiceError),
        (200, None, ServiceError),
        (200, RateLimitError, RateLimitError),
        (400, ContentPolicyError, ContentPolicyError),
    ],
)
def test_a_refusal_is_of_its_kind_or_that_of_the_status(
    status: int, kind: type[ServiceError] | None, expected: type[ServiceError]
) -> None:
    """An error under a status of success is of none by itself."""
    error = Reply(status=status).refusal("no", kind=kind)
    assert (expected, "no", status, None, None, None) == (
        type(error),
        error.message,
        error.status,
        error.code,
        error.request_id,
        error.retry_after,
    )


def test_a_refusal_carries_what_helps_to_go_on() -> None:
    """What is given counts before what the headers say."""
    reply = Reply(status=429, headers={"Retry-After": "7", "X-Request-Id": "r-1"})
    first, second = reply.refusal("no", code="slow"), reply.refusal("no", request_id="r-2", retry_after=0.0)
    assert ("slow", "r-1", 7.0) == (first.code, first.request_id, first.retry_after)
    assert (None, "r-2", 0.0) == (second.code, second.request_id, second.retry_after)


SAID = [
    (None, None),
    ("", None),
    (" \n\t ", None),
    ("too  big,\n by\tfar ", "too big, by far"),
    ("x" * 5000, "x" * 300),
    ("x" * 299 + " y", "x" * 299),
    ("\x1b[1;31mno\x1b[0m \x9b2Jway", "no way"),
    ("\x1b]0;title\x07no\x1b]8;;https://e.com\x1b\\ way\x1bM", "no way"),
    ("no\x00\x07\u202eyaw \ud83d", "no yaw"),
    ("<!DOCTYPE html><p>no", None),
    (" <HTML lang=en>no", None),
    ("502 <b>bad</b> gateway", None),
    ("it must be <width>x<height>, and 1 < 2", "it must be <width>x<height>, and 1 < 2"),
    ("größer als 画像 🦊", "größer als 画像 🦊"),
]
"""What a service says, and what is shown of it."""


@pytest.mark.parametrize(("text", "expected"), SAID)
def test_a_refusal_says_what_can_be_shown(text: str | None, expected: str | None) -> None:
    """One line for people; where there is none, the status is said. A code and an id are treated alike."""
    error = Reply(status=400).refusal(text, code=text, request_id=text)
    assert (expected or "it answered HTTP 400 without a reason that can be read") == error.message
    assert (expected, expected) == (error.code, error.request_id)


@given(text=st.text())
def test_words_are_a_line_whatever_the_text(text: str) -> None:
    """Once shown, they stay as they are."""
    words = Fields({"a": text}).words("a")
    assert words is None or (words.isprintable() and len(words) <= 300)
    assert words == Fields({"a": words}).words("a")


def test_the_first_field_with_words_counts() -> None:
    """A page and a blank have none; a number has."""
    assert "7" == Fields({"a": " ", "b": "<html>", "c": [1], "d": 7, "e": "x"}).words("a", "b", "c", "d", "e")
    assert Fields({"a": " "}).words("a", "z") is None


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"error": {"message": "no"}, "message": "other"}, "no"),
        ({"error": "no", "message": "other"}, "no"),
        ({"error": {}, "message": "no"}, "no"),
        ({"message": "no"}, "no"),
        ({"error": {"message": "<html>"}}, None),
        ({}, None),
    ],
)
def test_the_reason_of_an_error_is_found_where_services_put_it(document: dict[str, Any], expected: str | None) -> None:
    """In `error.message`, `error` or `message`."""
    assert expected == Fields(document).reason()


@given(document=JSON)
def test_a_reply_of_an_object_has_its_fields(document: Any) -> None:
    """By their names."""
    reply = Reply.of({"a": document})
    assert ("a",) == reply.fields().names()
    assert ("a" in reply.fields()) == (document is not None)


@given(document=JSON)
def test_fields_never_raise_and_keep_to_their_types(document: Any) -> None:
    """Whatever JSON there is, each way to read it gives its own type, or nothing."""
    fields = Fields(document)
    for name in "abcd":
        assert isinstance(fields.text(name), str | None)
        assert isinstance(fields.number(name), int | float | None)
        assert isinstance(fields.whole(name), int | None)
        assert isinstance(fields.flag(name), bool | None)
        assert all(fields.texts(name))
        assert all(abs(number) < float("inf") for number in fields.numbers(name))
        assert isinstance(fields.item(name), Fields)
        assert all(isinstance(item, Fields) for item in fields.items(name))
    assert bool(fields) == (isinstance(document, dict) and bool(document))


def test_the_first_field_that_says_something_counts() -> None:
    """An empty string and a wrong type say nothing; a whole number is a text, as ids are."""
    fields = Fields({"a": "", "b": None, "c": [1], "d": 7, "e": "x", "f": True, "g": 1.5})
    assert ["7", "x", None] == [fields.text("a", "b", "c", "f", "d"), fields.text("a", "e"), fields.text("a", "f", "z")]
    assert [7, 1.5, None] == [fields.number("a", "f", "d"), fields.number("e", "g"), fields.number("a", "f", "e")]


def test_numbers_that_are_none_are_left_out() -> None:
    """JSON as Python reads it has infinity and not-a-number, and no service means them."""
    fields = Fields(json.loads('{"a": NaN, "b": Infinity, "c": 1e300, "d": [1, NaN, -Infinity, true, "2", 2.5]}'))
    assert [None, None, None] == [fields.number(name) for name in "abc"]
    assert (1, 2.5) == fields.numbers("d")


def test_a_number_can_be_rounded() -> None:
    """To the nearest whole one."""
    assert [3, None] == [Fields({"a": 2.6}).whole("a"), Fields({}).whole("a")]


def test_flags_lists_and_objects_are_read_by_name() -> None:
    """What is of another type is empty."""
    fields = Fields({"yes": True, "one": 1, "list": ["a", "", 1, "b"], "items": [{"x": 1}, 2], "item": {"x": 1}})
    assert [True, None, None] == [fields.flag("yes"), fields.flag("one"), fields.flag("none")]
    assert [("a", "b"), ()] == [fields.texts("list"), fields.texts("item")]
    assert [(1,), ()] == [fields.numbers("list"), fields.numbers("one")]
    assert [1] == [item.whole("x") for item in fields.items("items")]
    assert [1, None] == [fields.item("item").whole("x"), fields.item("list").whole("x")]


@pytest.mark.parametrize(
    ("call", "free"),
    [
        (Call.get("/x"), True),
        (Call(method="HEAD", url="/x"), True),
        (Call.put("/x", body=b"", content_type="image/png"), True),
        (Call(method="PUT", url="/jobs/1", json={}, repeatable=True), False),
        (Call.post("/x", repeatable=True), False),
        (Call(method="DELETE", url="/x"), False),
    ],
)
def test_what_may_make_a_job_is_not_free(call: Call, free: bool) -> None:
    """Whether or not it may be repeated: a PUT of JSON is how some services take an order with a key."""
    assert free == call.free
