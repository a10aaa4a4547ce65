"""Calls, replies and exchanges: HTTP described as values, with no I/O.

A hook returns a `Call`, or, when it takes more than one, is a generator that yields calls, receives their replies and returns
its value (an exchange). The core makes the calls.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, TypeAlias, TypeGuard, TypeVar
from urllib.parse import parse_qsl, urlsplit

import attrs

from genbridge.errors import ServiceError, TransportError

T = TypeVar("T")

Exchange: TypeAlias = Generator["Call", "Reply", T]
"""A hook that needs several calls: `reply = yield Call.get(...)`, and its value is returned."""


_FREE = frozenset({"GET", "HEAD", "OPTIONS"})


def _lower_keys(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()} if headers else {}


@attrs.frozen(kw_only=True)
class Call:
    """One HTTP call.

    `url` is a path, which is appended to the backend's base URL, or an absolute URL. The backend's key is added by the core, and
    only where the URL has the origin of the base URL. `repeatable` says that making the call twice does no more than making it
    once: true of `GET` and `PUT`, and of a `POST` only where the service honours a key or the call costs nothing. `timeout` is in
    seconds; `None` is the core's default.
    """

    method: str
    url: str
    params: Mapping[str, str] = attrs.field(factory=dict)
    headers: Mapping[str, str] = attrs.field(factory=dict, converter=_lower_keys, repr=False)
    json: Any = None
    body: bytes | None = attrs.field(default=None, repr=False)
    repeatable: bool = False
    timeout: float | None = None

    @classmethod
    def get(
        cls,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Call:
        """Describe a `GET`, which is always safe to repeat."""
        return cls(method="GET", url=url, params=params or {}, headers=headers or {}, repeatable=True, timeout=timeout)

    @classmethod
    def post(
        cls,
        url: str,
        *,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
        timeout: float | None = None,
    ) -> Call:
        """Describe a `POST` of JSON, which is not repeated unless `repeatable` says that it may be."""
        return cls(method="POST", url=url, headers=headers or {}, json=json, repeatable=repeatable, timeout=timeout)

    @classmethod
    def put(
        cls, url: str, *, body: bytes, content_type: str, headers: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> Call:
        """Describe a `PUT` of bytes, which is safe to repeat."""
        headers = {**(headers or {}), "content-type": content_type}
        return cls(method="PUT", url=url, headers=headers, body=body, repeatable=True, timeout=timeout)

    @property
    def free(self) -> bool:
        """Whether it is of a kind that never pays for anything; a `PUT` is of a file, as a `PUT` of JSON may make a job."""
        return self.method in _FREE or (self.method == "PUT" and self.json is None)

    @property
    def path(self) -> str:
        """The path of `url`, without origin and query."""
        return urlsplit(self.url).path

    @property
    def origin(self) -> str:
        """Scheme and host of `url`; empty when it is only a path."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""

    @property
    def query(self) -> dict[str, str]:
        """The query of `url` and `params` together."""
        return dict(parse_qsl(urlsplit(self.url).query)) | dict(self.params)


@attrs.frozen(kw_only=True)
class Reply:
    """What came back. Header names are lower case; `received` is the wall-clock time in seconds, for `Retry-After` dates."""

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict, converter=_lower_keys)
    body: bytes = attrs.field(default=b"", repr=False)
    received: float | None = None

    @classmethod
    def of(cls, document: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
        """Make a reply of a JSON document, for emulators and tests."""
        headers = {"content-type": "application/json", **(headers or {})}
        return cls(status=status, headers=headers, body=json.dumps(document).encode())

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait, from `Retry-After` as seconds or as an HTTP date."""
        value = self.headers.get("retry-after", "").strip()
        if not value:
            return None
        if value.isascii() and value.isdigit():
            seconds = float(value)
            return seconds if seconds < _HUGE else None
        now = _http_date(self.headers.get("date", "")) or self.received
        then = _http_date(value)
        return max(0.0, then - now) if then is not None and now is not None else None

    def json(self) -> Any:
        """Return the document in the body; raises `TransportError` when it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            kind = "".join(each for each in self.headers.get("content-type", "no content type") if each.isprintable())
            message = (
                f"the answer (HTTP {self.status}, {kind}, {len(self.body)} bytes) is not JSON; it may come from a proxy in between"
            )
            raise TransportError(message) from None

    def fields(self) -> Fields:
        """Return the JSON object in the body; raises `TransportError` when it is something else."""
        document = self.json()
        if not isinstance(document, dict):
            raise TransportError(f"the answer (HTTP {self.status}) is JSON, but not an object")
        return Fields(document)

    def document(self) -> Fields:
        """Return the JSON object in the body; empty when it is something else, as that of an error may be."""
        try:
            return self.fields()
        except TransportError:
            return Fields(None)

    def refusal(
        self,
        message: str | None,
        *,
        kind: type[ServiceError] | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> ServiceError:
        """Return the error that this reply is: of a `kind`, or else of the one that its status stands for.

        What the service says is made fit to be shown, as by `Fields.words`; when it says nothing, the message names the status.
        What is not given of `request_id` and `retry_after` (seconds) is taken from the headers. Of a submit, an error under a
        status of success counts as a refusal only when it has a kind: otherwise the job may exist.
        """
        return (kind or ServiceError.kind_of(self.status))(
            _shown(message) or f"it answered HTTP {self.status} without a reason that can be read",
            status=self.status,
            code=_shown(code),
            request_id=_shown(request_id or self.headers.get("x-request-id")),
            retry_after=self.retry_after if retry_after is None else retry_after,
        )


def _is_text(value: str) -> bool:
    """Whether a string has anything in it, and nothing that UTF-8 cannot carry (JSON can hold half a character)."""
    return bool(value) and not _HALVES.search(value)


_HALVES = re.compile("[\ud800-\udfff]")


def _shown(text: str | None) -> str | None:
    """Return a service's words as one line, not too long, without what a terminal would obey. A page of HTML has none."""
    if text is None or ("<" in text and _PAGE.search(text)):
        return None
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in _ESCAPE.sub("", text))
    return " ".join(text.split())[:_LONGEST].rstrip() or None


_LONGEST = 300
_PAGE = re.compile(r"<(!doctype|html|head|body)\b|</[a-z][a-z0-9]*\s*>", re.IGNORECASE)
_ESCAPE = re.compile(r"(\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)?|\x1b[@-_]")


def _http_date(value: str) -> float | None:
    try:
        date = parsedate_to_datetime(value)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def as_exchange(step: Any) -> Exchange[Any]:
    """Make an exchange of whatever a hook returned: of a call, of an exchange (which may end with a last call), or of a value."""
    outcome = (yield from step) if isinstance(step, Generator) else step
    return (yield outcome) if isinstance(outcome, Call) else outcome


class Fields:
    """A JSON object read tolerantly: what is missing, or not of the asked type, is `None` or empty, never an error."""

    def __init__(self, document: Any) -> None:
        self._document: dict[str, Any] = document if isinstance(document, dict) else {}

    def __contains__(self, name: str) -> bool:
        return self._document.get(name) is not None

    def __bool__(self) -> bool:
        return bool(self._document)

    def text(self, *names: str) -> str | None:
        """Return the first non-empty string among the named fields; a whole number counts, as ids are sometimes numbers."""
        for name in names:
            value = self._document.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                value = str(value)
            if isinstance(value, str) and _is_text(value):
                return value
        return None

    def words(self, *names: str) -> str | None:
        """Return the first text among the named fields that can be shown to people.

        It is one line of at most 300 characters, without control characters and the escape sequences of terminals. HTML is no text.
        """
        for name in names:
            if words := _shown(self.text(name)):
                return words
        return None

    def reason(self) -> str | None:
        """Return the words of an error, from where most services put them: `error.message`, `error` or `message`."""
        return self.item("error").words("message") or self.words("error", "message")

    def number(self, *names: str) -> float | None:
        """Return the first finite number among the named fields."""
        for name in names:
            value = self._document.get(name)
            if _is_number(value):
                return value
        return None

    def whole(self, *names: str) -> int | None:
        """Return the first number among the named fields, rounded."""
        value = self.number(*names)
        return None if value is None else round(value)

    def flag(self, name: str) -> bool | None:
        """Return a boolean field."""
        value = self._document.get(name)
        return value if isinstance(value, bool) else None

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the non-empty strings of an array field."""
        return tuple(value for value in self._list(name) if isinstance(value, str) and _is_text(value))

    def numbers(self, name: str) -> tuple[float, ...]:
        """Return the finite numbers of an array field."""
        return tuple(value for value in self._list(name) if _is_number(value))

    def item(self, name: str) -> Fields:
        """Return an object field; empty when there is none."""
        return Fields(self._document.get(name))

    def items(self, name: str) -> tuple[Fields, ...]:
        """Return the objects of an array field."""
        return tuple(Fields(value) for value in self._list(name) if isinstance(value, dict))

    def names(self) -> tuple[str, ...]:
        """Return the names of all fields."""
        return tuple(self._document)

    def _list(self, name: str) -> list[Any]:
        value = self._document.get(name)
        return value if isinstance(value, list) else []


_HUGE = 1e15


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _HUGE


class Emulator(Protocol):
    """A service's documented behaviour as a pure state machine, served by the sandbox.

    `key` is the API key it accepts. Calls come with absolute URLs, so that an answer can name URLs of its own. An emulator that
    is an attrs class of plain values is kept between processes by `--sandbox` on the command line.
    """

    @property
    def key(self) -> str:
        """The API key it accepts."""
        ...

    def answer(self, call: Call, now: float) -> Reply:
        """Answer one call at the time `now`, in seconds."""
        ...
