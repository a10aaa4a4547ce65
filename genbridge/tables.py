"""TOML tables read key by key, so that every mistake is collected with its place instead of ending at the first."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from genbridge.errors import Problem
from genbridge.keys import may_be_key
from genbridge.words import did_you_mean, listed

_HUGE = 10**15
_HIDDEN = "***"
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER = re.compile(rf"\s*\[\[?\s*({_DOTTED})\s*\]")
_ENTRY = re.compile(rf"\s*({_DOTTED})\s*=")


def join(place: str, name: str) -> str:
    """Return the place of a key in a table, written as TOML writes it."""
    name = name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)
    return f"{place}.{name}" if place else name


def shown(value: object) -> str:
    """Return a value for a message; of what may hold others or be an API key, only its kind."""
    if isinstance(value, str) and may_be_key(value):
        return "a text as long as a key"
    if isinstance(value, int) and abs(value) > _HUGE:
        return "so large a number"
    if isinstance(value, dict):
        return "a table"
    return "a list" if isinstance(value, list) else repr(value)


@attrs.define
class Table:
    """One table of a file. What is asked for is known; what is wrong is put into `problems`, which all tables of a file share.

    A value that is missing or wrong reads as `None`, or as the default. Values of unknown keys are never repeated: one may be a key
    whose name was misspelt. Nor is anything that is as long as a key, as one may stand where it does not belong.
    """

    entries: Mapping[str, Any] = attrs.field(repr=False)
    place: str = ""
    problems: list[Problem] = attrs.field(factory=list)
    _known: dict[str, None] = attrs.field(factory=dict, init=False)

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def wrong(self, name: str, message: str) -> None:
        """Record a mistake at a key."""
        self.problems.append(Problem(join(self.place, name), message))

    def wrong_name(self, name: str, message: str) -> None:
        """Record a mistake at a key that nobody knows; it is not named where it may be an API key in the wrong place."""
        self.wrong(_HIDDEN if may_be_key(name) else name, message)

    def get(self, name: str) -> Any:
        """Return a key's value as it is."""
        self._known[name] = None
        return self.entries.get(name)

    def text(self, name: str) -> str | None:
        """Return a string."""
        value = self.get(name)
        if value is None or isinstance(value, str):
            return value
        self.wrong(name, f"{shown(value)} is not a string; put it in quotes")
        return None

    def texts(self, name: str) -> tuple[str, ...] | None:
        """Return a list of strings."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        self.wrong(name, f'{shown(value)} is not a list of strings; write ["a", "b"]')
        return None

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a boolean."""
        value = self.get(name)
        if isinstance(value, bool):
            return value
        if value is not None:
            self.wrong(name, f"{shown(value)} is not true or false")
        return default

    def number(self, name: str, *, above: float | None = None) -> float | None:
        """Return a finite number: greater than `above`, or not negative."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _HUGE:
            self.wrong(name, f"{shown(value)} cannot be used; give a number")
        elif value < 0 or (above is not None and value <= above):
            self.wrong(name, f"{value!r} is too small; it must be {'at least 0' if above is None else f'more than {above:g}'}")
        else:
            return float(value)
        return None

    def whole(self, name: str, *, least: int) -> int | None:
        """Return a whole number of at least `least`."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value > _HUGE:
            self.wrong(name, f"{shown(value)} cannot be used; give a whole number")
        elif value < least:
            self.wrong(name, f"{value!r} is too small; it must be at least {least}")
        else:
            return value
        return None

    def choice(self, name: str, values: Sequence[str]) -> str:
        """Return one of some strings; the first when it is missing."""
        value = self.get(name)
        if isinstance(value, str) and value in values:
            return value
        if value is not None:
            self.wrong(name, f"{shown(value)} is not one of {listed(values)}{did_you_mean(value, values)}")
        return values[0]

    def table(self, name: str) -> Table:
        """Return a table in this one; an empty one when it is missing."""
        value = self.get(name)
        if value is not None and not isinstance(value, Mapping):
            self.wrong(name, f"it is not a table; write [{join(self.place, name)}] and its keys below")
        return Table(value if isinstance(value, Mapping) else {}, join(self.place, name), self.problems)

    def tables(self) -> dict[str, Table]:
        """Return the tables in this one by name; whatever else is in it is wrong."""
        return {name: table for name in self.entries if (table := self.table(name)).entries is self.entries[name]}

    def unread(self) -> dict[str, Any]:
        """Return the entries that were not asked for."""
        return {name: value for name, value in self.entries.items() if name not in self._known}

    def close(self, *, complete: bool = True) -> None:
        """Record every key that was not asked for as unknown; where not all known ones are, only those that look misspelt."""
        for name in self.unread():
            near = did_you_mean(name, self._known)
            if near or complete:
                self.wrong_name(name, f"unknown key{near or f'; known are {listed(self._known)}'}")


def lines(text: str) -> dict[str, int]:
    """Return the line of each table and key in a valid TOML file, by place; keys inside a value are left out."""
    found: dict[str, int] = {}
    table = quotes = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if quotes:
            quotes = "" if quotes in line else quotes
            continue
        if header := _HEADER.match(line):
            table = _place("", header[1])
            found.setdefault(table, number)
        elif entry := _ENTRY.match(line):
            found.setdefault(_place(table, entry[1]), number)
        quotes = next((mark for mark in ('"""', "'''") if line.count(mark) % 2), "")
    return found


def _place(table: str, dotted: str) -> str:
    try:
        node: Any = tomllib.loads(f"{dotted} = 0")
    except tomllib.TOMLDecodeError:  # text inside a string that looks like a key
        return ""
    while isinstance(node, dict):
        ((name, node),) = node.items()
        table = join(table, name)
    return table


def located(problem: Problem, where: Mapping[str, int]) -> Problem:
    """Return a problem with the line of its place, or of the nearest table around it."""
    place = problem.field
    while place and place not in where:
        place = place.rpartition(".")[0]
    return Problem(problem.field, f"{problem.message} (line {where[place]})") if place else problem
