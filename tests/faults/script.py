"""What the service is told to do wrong: values, and their form as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

import attrs


class Step(StrEnum):
    """What a request is for."""

    PREPARE = "prepare"
    UPLOAD = "upload"
    """A file is announced."""
    STORE = "store"
    """Its bytes are sent to where the service said."""
    SUBMIT = "submit"
    LOOK_UP = "look-up"
    POLL = "poll"
    CANCEL = "cancel"
    FILE = "file"


class How(StrEnum):
    """What goes wrong with a request."""

    DROP_UNREAD = "drop-unread"
    """The connection is reset before a byte of the request is read."""
    DROP_MID_READ = "drop-mid-read"
    """The connection is reset when a part of the request was read."""
    DROP = "drop"
    """The request is read, and the connection closed without an answer."""
    STALL = "stall"
    """The request is read, and nothing is answered until the client goes away, or for `seconds`."""
    CUT = "cut"
    """A `share` of the proper answer is sent, with the length of the whole, and the connection reset."""
    SHORT = "short"
    """The same, and the connection closed in an orderly way."""
    ANSWER = "answer"
    """`status`, `headers` and `body` are answered."""
    REDIRECT = "redirect"
    """`status` and a `Location` at the canary's origin are answered."""
    TRUNCATE = "truncate"
    """A `share` of the proper answer's body is answered as if it were the whole."""
    UNMEASURED = "unmeasured"
    """The same without a length, so that only the end of the connection ends it."""
    LONG = "long"
    """The proper answer, followed by more bytes than it announces."""
    DRIP = "drip"
    """The proper answer, some bytes at a time, over `seconds`."""
    HANG = "hang"
    """A `share` of the proper answer is sent, and no more until the client goes away, or for `seconds`."""
    EDIT = "edit"
    """The proper answer with `changes`: new values by dotted paths into its JSON; and with `headers`."""
    RELABEL = "relabel"
    """The proper answer with `headers`."""
    WHOLE = "whole"
    """The proper file from its beginning, whatever range was asked for."""
    CHANGED = "changed"
    """The file is another from now on, with another ETag. `status` 206 sends a part of it though the client named the old one."""
    REFUSE = "refuse"
    """For `seconds` after the step before was answered, connections are refused."""
    GARBAGE = "garbage"
    """Bytes that are no HTTP."""


@attrs.frozen(kw_only=True)
class Fault:
    """One fault: at which step, what, and how many `times` (`None`: for ever).

    `accepted` says whether the emulator is given the request first; where its proper answer is needed, it always is. `seconds` are
    ours. A header's value `<date+N>` stands for the date N seconds ahead.
    """

    step: Step = attrs.field(converter=Step)
    how: How = attrs.field(converter=How)
    times: int | None = 1
    accepted: bool = False
    status: int = 200
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: str = ""
    changes: Mapping[str, Any] = attrs.field(factory=dict)
    share: float = 0.5
    seconds: float = 3600.0

    @property
    def proper(self) -> bool:
        """Whether the emulator's own answer is needed."""
        return self.accepted or self.how in _PROPER

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return attrs.asdict(self)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Read it from JSON."""
        return cls(**document)


_PROPER = frozenset(How) - {
    How.DROP_UNREAD,
    How.DROP_MID_READ,
    How.DROP,
    How.STALL,
    How.ANSWER,
    How.REDIRECT,
    How.GARBAGE,
}


class Door(StrEnum):
    """How the service takes connections."""

    OPEN = "open"
    CLOSED = "closed"
    """The port refuses."""
    MUTE = "mute"
    """Connections are neither taken nor refused."""
    TLS_CUT = "tls-cut"
    """The handshake is cut."""
    TLS_WRONG = "tls-wrong"
    """The certificate is somebody else's."""
    TLS_PLAIN = "tls-plain"
    """It is plain HTTP where TLS is meant."""
