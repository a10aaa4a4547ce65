"""Words for messages."""

from __future__ import annotations

import pytest

from genbridge.words import asked, close_to, did_you_mean, listed, number, span


@pytest.mark.parametrize(
    ("amount", "expected"),
    [(75.0, "75"), (2.5, "2.5"), (0.1 + 0.2, "0.3"), (1_234_567.0, "1234567"), (123_456_789_012.5, "123456789012.5"), (0.0, "0")],
)
def test_an_amount_has_all_its_digits(amount: float, expected: str) -> None:
    """And none that come from adding up."""
    assert expected == number(amount)


def test_a_word_close_to_a_known_one_is_answered_with_it() -> None:
    """One that is like none is not."""
    assert "; did you mean 'duration'?" == did_you_mean("durration", ["duration", "prompt"])
    assert "" == did_you_mean("zzz", ["duration", "prompt"])


def test_words_that_are_all_close_are_all_asked_for() -> None:
    """The closest first."""
    assert ["seedance-2.0", "seedance-2.0-fast"] == close_to("seedance", ["seedance-2.0-fast", "kling", "seedance-2.0"], most=3)
    assert ["", "; did you mean 'a'?", "; did you mean 'a' or 'b'?", "; did you mean 'a', 'b' or 'c'?"] == [
        asked("abc"[:count]) for count in range(4)
    ]


def test_values_are_listed_in_words() -> None:
    """Whatever they are."""
    assert "a, 5" == listed(["a", 5])


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (81.0, 107.0, "80-110 s"),
        (6.2, 9.1, "6-10 s"),
        (0.4, 1.5, "up to 2 s"),
        (100.0, 181.0, "1-4 min"),
        (1000.0, 2000.0, "15-35 min"),
    ],
)
def test_a_span_of_seconds_is_as_exact_as_it_is_of_use(low: float, high: float, expected: str) -> None:
    """Rounded outwards, in minutes where it is long."""
    assert expected == span(low, high)
