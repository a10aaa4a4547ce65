"""Where a key may be sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbridge.origins import base_url_problem


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example",
        "https://api.example:8443/v1/",
        "HTTPS://api.example",
        "http://localhost:8080",
        "http://127.0.0.1:1",
        "http://127.8.8.8",
        "http://[::1]:9",
    ],
)
def test_https_and_this_machine_are_fine(url: str) -> None:
    """A key may go to any https host, and in the clear to this machine."""
    assert None is base_url_problem(url)


@pytest.mark.parametrize(
    "url", ["http://api.example", "http://10.0.0.1", "http://localhost.example", "ftp://api.example", "http://127.1"]
)
def test_plain_http_to_elsewhere_is_refused(url: str) -> None:
    """A key would travel in the clear."""
    assert f"{url!r} does not begin with https://" in str(base_url_problem(url))


@pytest.mark.parametrize(
    "url", ["https://me:hunter2@api.example", "https://api.example/?token=hunter2", "https://api.example/#hunter2"]
)
def test_a_url_with_a_secret_in_it_is_not_repeated(url: str) -> None:
    """User, query and fragment are refused, and not shown."""
    problem = str(base_url_problem(url))
    assert ("a user, a query or a fragment" in problem, "hunter2" in problem) == (True, False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example",
        "https://",
        "https:///path",
        "https://a b",
        "https://a\n.example",
        "https://a\\b",
        "https://[::1",
        "https://a:0",
        "https://a:x",
    ],
)
def test_what_is_no_url_is_shown(url: str) -> None:
    """A text that clients would read in different ways is not a base URL."""
    assert f"{url!r} is not a URL; give https://host/path" == base_url_problem(url)


def test_a_value_of_another_type_is_not_a_url() -> None:
    """A number says what it is."""
    assert "5 is not a string" == base_url_problem(5)


@given(st.text())
def test_any_text_is_judged(text: str) -> None:
    """No text makes the check fail, and only those of a permitted scheme pass."""
    assert base_url_problem(text) or text.lower().startswith(("https://", "http://"))
