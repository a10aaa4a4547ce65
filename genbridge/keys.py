"""API keys: where they are read from, and a value that never shows one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import AnyStr, NoReturn, TypeAlias

import attrs

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_BYTES = 65536
_TYPICAL = 20
"""Characters that a key has at least."""
_LEAST_STRUCK = 8
"""Characters below which a key is too short to be looked for: it may be a word."""
_STRUCK_OUT = "***"


class Secret:
    """An API key: it can be compared and revealed, but is never shown and cannot be pickled."""

    # Not an attrs class: `attrs.asdict` of a configuration would take it apart.
    __slots__ = ("_bytes", "_pattern", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        self._bytes = value.encode()
        self._pattern: str | None = None

    def reveal(self) -> str:
        """Return the key itself, to be sent and not to be kept."""
        return self._value

    def struck_from(self, text: AnyStr) -> AnyStr:
        """Return a text without the key, as it is or as JSON or a URL may write it; a very short key is not looked for."""
        if not self.may_be_in(text):
            return text
        if self._pattern is None:
            self._pattern = "".join(map(_forms, self._value))
        if isinstance(text, str):
            return re.sub(self._pattern, _STRUCK_OUT, text)
        return re.sub(self._pattern.encode(), _STRUCK_OUT.encode(), text)

    def may_be_in(self, text: str | bytes) -> bool:
        """Whether there may be anything to strike from a text: the key, or a character that other ways to write it need."""
        if len(self._value) < _LEAST_STRUCK:
            return False
        if isinstance(text, str):
            return self._value in text or "\\" in text or "%" in text
        return self._bytes in text or b"\\" in text or b"%" in text

    def __repr__(self) -> str:
        return "Secret('***')"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        return self._value == other._value if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("an API key cannot be pickled; load the configuration anew in the other process")


def _forms(character: str) -> str:
    """Return a pattern for a character as it is, behind a backslash, or by its number, as JSON and URLs write some or all.

    JSON that quotes JSON has more than one backslash.
    """
    plain, number = re.escape(character), f"{ord(character):02x}"
    digits = "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in number)
    behind = "" if character.isalnum() else rf"\\+{plain}|"
    return rf"(?:{behind}{plain}|\\+u00{digits}|%{digits})"


@attrs.frozen(kw_only=True)
class Key:
    """What was found where a key should be: `source` is that place in words, and `problem` what is wrong with what is there."""

    secret: Secret | None = None
    source: str = ""
    problem: str | None = None


def may_be_key(text: str) -> bool:
    """Whether a text is as long as a key, so that a message had better not repeat it."""
    return len(text) >= _TYPICAL


Check: TypeAlias = Callable[[str], str | None]
"""Says what is wrong with a text that was found where a key, or another secret, should be."""


def no_key(text: str) -> str | None:
    """Return why a text can be no key."""
    if all("!" <= character <= "~" for character in text):
        return None
    return "the key holds a space, a control character or a letter that no key has; copy it again"


def from_variable(name: str, env: Mapping[str, str], *, check: Check = no_key) -> Key:
    """Read the key in an environment variable; none when it is not set or empty."""
    if not _VARIABLE.fullmatch(name):
        return Key(problem='what follows "env:" is not the name of an environment variable')
    text = env.get(name, "")
    return _key(text, f"env {name if text else _unless_key(name)}", check)


def from_file(name: str, path: Path, *, check: Check = no_key) -> Key:
    """Read the key in a file; `name` is the path as it was written. None when it is not there or empty."""
    named = _unless_key(name)
    source = f"file {path if named == name else named}"
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode("utf-8-sig")
    except FileNotFoundError:
        return Key(source=source)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not a text file"
        return Key(source=source, problem=f"the {source} cannot be read: {why}")
    return _key(text, source, check)


def from_text(text: str) -> Key:
    """Take the text itself as the key."""
    return _key(text, "literal")


def _key(text: str, source: str, check: Check = no_key) -> Key:
    text = text.strip()
    if problem := check(text):
        return Key(source=source, problem=problem)
    return Key(secret=Secret(text) if text else None, source=source)


def _unless_key(name: str) -> str:
    """Return the name of a variable or file, unless it may be a key that somebody put there: long, not in capitals, no path."""
    return name if not may_be_key(name) or name.upper() == name or "/" in name or "\\" in name else "that is named there"
