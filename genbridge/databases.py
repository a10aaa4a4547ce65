"""The URL of a database, which never shows its password."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit

from genbridge.errors import ConfigError
from genbridge.keys import Secret


class DatabaseUrl:
    """Where a journal is that is no file: shown without its password, and never pickled."""

    __slots__ = ("_secret", "_shown", "scheme")

    def __init__(self, text: str) -> None:
        parts = urlsplit(text)
        self.scheme = parts.scheme
        self._secret = Secret(text)
        self._shown = urlunsplit(parts._replace(netloc=_without_password(parts.netloc), query="", fragment=""))

    @classmethod
    def parse(cls, text: str) -> DatabaseUrl:
        """Return the URL in a text; raises `ConfigError` when it is none."""
        url: DatabaseUrl | None = None
        with suppress(ValueError):  # it carries a part of the text, and with it perhaps the password
            url = cls(text.strip())
            _ = urlsplit(url.reveal()).port
        if url is None or not url.scheme or "://" not in text:
            raise ConfigError("the journal's URL cannot be read; write it as postgresql://user:password@host:5432/name")
        return url

    def reveal(self) -> str:
        """Return it whole, to be connected to and not to be kept."""
        return self._secret.reveal()

    def struck_from(self, text: str) -> str:
        """Return a text without the password and without the URL itself, as a driver's message may quote them."""
        text = text.replace(self.reveal(), self._shown)
        password = urlsplit(self.reveal()).password
        return Secret(password).struck_from(text) if password else text

    def __str__(self) -> str:
        return self._shown

    def __repr__(self) -> str:
        return f"DatabaseUrl({self._shown!r})"

    def __eq__(self, other: object) -> bool:
        return self._secret == other._secret if isinstance(other, DatabaseUrl) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._secret)


def _without_password(netloc: str) -> str:
    login, at, host = netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    return f"{user}{':***' if colon else ''}{at}{host}"
