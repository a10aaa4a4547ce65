"""Bytes to inputs: what a fuzzer that knows only bytes means by them."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Sequence
from functools import cache
from types import CodeType, FunctionType
from typing import Any, TypeVar

from judges import FORMS, KEY

from genbridge import Reply

T = TypeVar("T")

STATUSES = (
    200,
    200,
    200,
    200,
    201,
    204,
    400,
    401,
    402,
    403,
    404,
    408,
    409,
    413,
    422,
    425,
    429,
    451,
    499,
    500,
    502,
    503,
    504,
    100,
    302,
)
TYPES = ("application/json", "text/html; charset=utf-8", "", "application/json; charset=utf-16", "image/png")
ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    3.5,
    1e300,
    10**400,
    -(10**30),
    200,
    402,
    "",
    " ",
    "\x1b[31mred\x1b[0m",
    "\ud800",
    "\u202e",
    "<html><body>no</body></html>",
    "https://files.example/1.mp4",
    "http://127.0.0.1/x",
    "id-1",
    "x" * 5000,
    *FORMS,
)
_DEEP = 4
_WIDE = 5


class Bytes:
    """Bytes that decide what is made, one after the other; zeros when there are no more."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        """Return the next one."""
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def pick(self, values: Sequence[T]) -> T:
        """Return the value that the next ones choose."""
        number = self.byte() if len(values) <= 256 else self.byte() << 8 | self.byte()
        return values[number % len(values)]

    def rest(self) -> bytes:
        """Return all that are left."""
        self._at, rest = len(self._data), self._data[self._at :]
        return rest

    def some(self) -> bytes:
        """Return a few."""
        size = self.byte() % 24
        self._at, some = self._at + size, self._data[self._at : self._at + size]
        return some


@cache
def vocabulary(name: str) -> tuple[str, ...]:
    """Return the short texts in the code of a provider that reads replies: its fields, its states and its codes."""
    modules = [importlib.import_module(f"genbridge_{name}._wire")]
    if name == "meigen":
        modules.append(importlib.import_module("genbridge_meigen._live"))
    found = {text for module in modules for value in vars(module).values() for text in _texts(value)}
    return (*sorted(text for text in found if 0 < len(text) < 40), "data", "message", "code", "request_id")


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case FunctionType():
            yield from _texts(value.__code__)
        case CodeType():
            yield from (text for constant in value.co_consts for text in _texts(constant))
        case dict():
            yield from (text for item in (*value, *value.values()) for text in _texts(item))
        case tuple() | list() | frozenset():
            yield from (text for item in value for text in _texts(item))


def document(source: Bytes, words: Sequence[str], depth: int = 0) -> Any:
    """Make a JSON document of the words that a service uses."""
    kind = source.byte() % 8
    if depth >= _DEEP or kind < 2:
        return source.pick(ODD)
    if kind == 2:
        return source.pick(words)
    if kind == 3:
        return source.some().decode("latin-1")
    if kind == 4:
        return [document(source, words, depth + 1) for _ in range(source.byte() % _WIDE)]
    return {source.pick(words): document(source, words, depth + 1) for _ in range(source.byte() % (2 * _WIDE))}


def reply(name: str, data: bytes) -> Reply:
    """Make a reply: of a document in the provider's words, or of a body to the byte."""
    source = Bytes(data)
    status, content, raw = source.pick(STATUSES), source.pick(TYPES), source.byte() % 3 == 0
    headers = {"content-type": content}
    if source.byte() % 4 == 0:
        headers |= {"retry-after": source.some().decode("latin-1"), "date": source.some().decode("latin-1"), "x-request-id": KEY}
    made = source.rest() if raw else json.dumps(_object(source, vocabulary(name))).encode()
    return Reply(status=status, headers=headers, body=made, received=1.8e9)


def _object(source: Bytes, words: Sequence[str]) -> Any:
    made = document(source, words)
    return made if isinstance(made, dict) or source.byte() % 8 == 0 else {source.pick(words): made}
