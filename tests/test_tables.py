"""TOML tables read key by key, with each mistake and its place."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbridge.errors import Problem
from genbridge.tables import Table, join, lines, located, shown


def read(text: str) -> Table:
    """Return the table of a TOML text."""
    return Table(tomllib.loads(text))


def messages(table: Table) -> list[str]:
    """Return what is wrong, a line each."""
    return [str(problem) for problem in table.problems]


def test_values_of_the_right_type_are_read() -> None:
    """Each kind of value comes as it is, and nothing is wrong."""
    table = read('text = "a"\ntexts = ["a", "b"]\nflag = false\nnumber = 2\nwhole = 3\nchoice = "b"\n')
    found = (
        table.text("text"),
        table.texts("texts"),
        table.flag("flag", default=True),
        table.number("number"),
        table.whole("whole", least=3),
        table.choice("choice", ("a", "b")),
    )
    table.close()
    assert (("a", ("a", "b"), False, 2.0, 3, "b"), []) == (found, table.problems)


def test_missing_values_are_nothing_or_the_default() -> None:
    """What is not there is not wrong."""
    table = read("")
    found = (
        table.text("a"),
        table.texts("a"),
        table.flag("a", default=True),
        table.number("a"),
        table.whole("a", least=1),
        table.choice("a", ("x", "y")),
        table.table("a").entries,
    )
    assert ((None, None, True, None, None, "x", {}), []) == (found, table.problems)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("true", "true is not a string; put it in quotes"),
        ("5", "5 is not a string; put it in quotes"),
        ("[1]", "a list is not a string; put it in quotes"),
        ('{api_key = "sk-1"}', "a table is not a string; put it in quotes"),
    ],
)
def test_a_text_must_be_a_string(value: str, expected: str) -> None:
    """Only plain values are repeated, since others may hold a key."""
    table = read(f"a = {value}")
    assert (None, f"a: {expected}".lower()) == (table.text("a"), messages(table)[0].lower())


@pytest.mark.parametrize("value", ['"a"', "[1]", '["a", true]', "{}"])
def test_a_list_must_be_of_strings(value: str) -> None:
    """A lone string is not a list of one."""
    table = read(f"a = {value}")
    assert (None, True) == (table.texts("a"), messages(table)[0].endswith('is not a list of strings; write ["a", "b"]'))


def test_a_flag_must_be_a_boolean() -> None:
    """A string that says so is not one."""
    table = read('a = "yes"')
    assert (True, ["a: 'yes' is not true or false"]) == (table.flag("a", default=True), messages(table))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("true", "True cannot be used; give a number"),
        ('"2"', "'2' cannot be used; give a number"),
        ("nan", "nan cannot be used; give a number"),
        ("inf", "inf cannot be used; give a number"),
        ("0x" + "f" * 5000, "so large a number cannot be used; give a number"),
        ("-1", "-1 is too small; it must be at least 0"),
    ],
)
def test_a_number_must_be_finite_and_not_negative(value: str, expected: str) -> None:
    """Whatever TOML takes for a number but cannot be used is said."""
    table = read(f"a = {value}")
    assert (None, [f"a: {expected}"]) == (table.number("a"), messages(table))


def test_a_number_may_have_to_be_more_than_nothing() -> None:
    """An interval of no length is refused, one of some length is not."""
    table = read("a = 0\nb = 0.1")
    assert (None, 0.1) == (table.number("a", above=0.0), table.number("b", above=0.0))
    assert ["a: 0 is too small; it must be more than 0"] == messages(table)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("true", "True cannot be used; give a whole number"),
        ("1.5", "1.5 cannot be used; give a whole number"),
        ("0x" + "f" * 5000, "so large a number cannot be used; give a whole number"),
        ("0", "0 is too small; it must be at least 1"),
    ],
)
def test_a_whole_number_must_be_whole_and_large_enough(value: str, expected: str) -> None:
    """Fractions, booleans and what no database holds are refused."""
    table = read(f"a = {value}")
    assert (None, [f"a: {expected}"]) == (table.whole("a", least=1), messages(table))


@pytest.mark.parametrize(
    ("value", "expected"),
    [('"chepest"', "'chepest' is not one of order, cheapest; did you mean 'cheapest'?"), ("5", "5 is not one of order, cheapest")],
)
def test_a_choice_suggests_what_was_meant(value: str, expected: str) -> None:
    """The first choice is taken while the mistake is on record."""
    table = read(f"a = {value}")
    assert ("order", [f"a: {expected}"]) == (table.choice("a", ("order", "cheapest")), messages(table))


def test_tables_in_a_table_share_their_problems() -> None:
    """A mistake far inside is found at the top, with its whole place."""
    table = read("[a.b]\nc = 5\n")
    table.table("a").table("b").text("c")
    assert ["a.b.c: 5 is not a string; put it in quotes"] == messages(table)


def test_what_should_be_a_table_is_not_repeated() -> None:
    """A key put directly where a table belongs is not shown."""
    table = read('[backends]\napi_key = "sk-1"\n[backends.studio]\n')
    assert ["studio"] == list(table.table("backends").tables())
    assert ["backends.api_key: it is not a table; write [backends.api_key] and its keys below"] == messages(table)


def test_unknown_keys_are_reported_without_their_values() -> None:
    """A misspelt `api_key` gets a suggestion, and its value stays unsaid."""
    table = read('api_kye = "sk-1"\nzzz = 1\n')
    table.get("api_key")
    table.close()
    assert ["api_kye: unknown key; did you mean 'api_key'?", "zzz: unknown key; known are api_key"] == messages(table)


def test_where_not_all_keys_are_known_only_misspelt_ones_are_reported() -> None:
    """Of what may be somebody else's key nothing is said."""
    table = read("api_kye = 1\nzzz = 1\n")
    table.get("api_key")
    table.close(complete=False)
    assert ["api_kye: unknown key; did you mean 'api_key'?"] == messages(table)


def test_a_table_does_not_show_its_values() -> None:
    """A table in a traceback does not give a key away."""
    assert "sk-1" not in repr(read('api_key = "sk-1"'))


@pytest.mark.parametrize(
    ("name", "expected"), [("studio", "a.studio"), ("my studio", 'a."my studio"'), ("a.b", 'a."a.b"'), ("", 'a.""')]
)
def test_places_are_written_as_toml_writes_them(name: str, expected: str) -> None:
    """A name that needs quotes has them."""
    assert expected == join("a", name)


def test_the_lines_of_keys_and_tables_are_found() -> None:
    """Headers, dotted and quoted keys count; text inside of strings and comments does not."""
    text = """\
# a = 1
a = 1
[b."c d"]
e.f = 2
s = '''
a2 = 3
'''
t = [
  '''
  "q" = 1
  ''',
]
[[g]]
h = 1
[[g]]
h = 2
"""
    tomllib.loads(text)
    found = lines(text)
    assert {"a": 2, 'b."c d"': 3, 'b."c d".e.f': 4, 'b."c d".s': 5, 'b."c d".t': 8, "g": 13, "g.h": 14} == found


def test_text_that_only_looks_like_a_key_is_passed_over() -> None:
    """A key that TOML would not read is none."""
    assert {"b": 2} == {place: line for place, line in lines('"\\q" = 1\nb = 2').items() if place}


def test_a_problem_has_the_line_of_its_place_or_the_nearest_around_it() -> None:
    """What is missing is pointed at by its table; what is nowhere in the file has no line."""
    where = {"a": 1, "a.b": 2}
    problems = [Problem("a.b", "bad"), Problem("a.c", "missing"), Problem("MY_KEY", "bad"), Problem("", "bad")]
    expected = ["a.b: bad (line 2)", "a.c: missing (line 1)", "MY_KEY: bad", "bad"]
    assert expected == [str(located(problem, where)) for problem in problems]


_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(_VALUES)
def test_any_value_can_be_read_as_anything(value: Any) -> None:
    """A wrong value is a mistake on record and never an exception."""
    table = Table({"a": value})
    table.text("a"), table.texts("a"), table.flag("a", default=False), table.number("a"), table.whole("a", least=1)
    table.choice("a", ("x",)), table.table("a").tables()
    assert {"a"} >= {problem.field.partition(".")[0] for problem in table.problems}


def test_a_date_is_shown_as_it_is() -> None:
    """Other plain values of TOML are repeated too."""
    assert "datetime.date(2026, 8, 1)" == shown(tomllib.loads("a = 2026-08-01")["a"])
