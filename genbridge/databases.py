"""The URL of a database, which never shows its password, and where one is read from.

It is read more strictly than the drivers of databases read it: they quote what they cannot read, and with it perhaps the password.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import NoReturn
from urllib.parse import unquote

import attrs

from genbridge.errors import ConfigError
from genbridge.keys import Secret

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?:(?P<user>[^:@/?#\[\]]*)(?::(?P<password>[^@/?#\[\]]*))?@)?"
    r"(?P<hosts>[^@/?#]*)(?:/(?P<name>[^?#@]*))?(?:\?(?P<query>[^#@]*))?"
)
_HOST = re.compile(r"(?P<host>\[[^\[\]]+\]|[^:\[\]]*)(?::(?P<port>[0-9]{0,5}))?")
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
_SECRET_FIELD = re.compile("pass(?!file)|secret", re.IGNORECASE)
_SHOWN_FIELDS = ("host", "hostaddr", "port", "user", "dbname", "sslmode", "target_session_attrs")
_TROUBLES = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (
            "password authentication failed",
            "the database's server at {url.server} refuses user {user!r} with this password; look at both in its URL",
        ),
        (
            "no password supplied",
            "the database's server at {url.server} asks user {user!r} for a password; put it into the URL, or into ~/.pgpass",
        ),
        (
            'database "[^"]*" does not exist',
            "there is no database {url.database!r} on the server at {url.server}; create it with: {create}",
        ),
        ('role "[^"]*" does not exist', "the database's server at {url.server} knows no user {user!r}; look at the URL"),
        (
            "no pg_hba.conf entry|pg_hba.conf rejects",
            "the database's server at {url.server} lets nobody in from this machine as {user!r}; allow it in its pg_hba.conf",
        ),
        (
            "too many clients|remaining connection slots|too many connections",
            "the database's server at {url.server} has no connection left; raise its max_connections, or run fewer workers",
        ),
        (
            "Connection refused|timeout expired|timed out|failed to resolve|not known|No route|unreachable|failed: No such file",
            "the database's server at {url.server} cannot be reached ({why}); see that it runs, and that its URL is right",
        ),
    )
)
"""What drivers say of a connection that does not come about, and what that means."""
EXAMPLE = "postgresql://user:password@host:5432/name"
_HIDDEN = "***"


@attrs.frozen(kw_only=True, repr=False)
class _Parts:
    """A URL taken apart; what is in `fields` stands behind its question mark."""

    scheme: str
    user: str
    password: str
    hosts: tuple[tuple[str, str], ...]
    name: str
    fields: tuple[tuple[str, str], ...]

    def secrets(self) -> Iterator[str]:
        """Yield the passwords as they are written."""
        hidden = [value for name, value in self.fields if _SECRET_FIELD.search(name)]
        yield from filter(None, [self.password, *hidden])

    def shown(self) -> str:
        """Return the URL without its passwords, and without fields that nobody needs to see."""
        login = f"{self.user}{':' + _HIDDEN if self.password else ''}@" if self.user or self.password else ""
        hosts = ",".join(f"{host}:{port}" if port else host for host, port in self.hosts)
        fields = "&".join(f"{name}={_field_shown(name, value)}" for name, value in self.fields if _is_shown(name))
        name = f"/{self.name}" if self.name else ""
        return f"{self.scheme}://{login}{hosts}{name}{'?' + fields if fields else ''}"


class DatabaseUrl:
    """Where a journal is that is no file: shown without its password, and never pickled.

    `named` is how somebody named it: `env:VARIABLE`, `file:PATH`, or else the URL as it is shown.
    """

    __slots__ = ("_passwords", "_secret", "_shown", "database", "named", "scheme", "servers", "user")

    def __init__(self, text: str, *, named: str = "") -> None:
        parts = _parts(text)
        fields = dict(parts.fields)
        self.scheme = parts.scheme
        self.user = unquote(fields.get("user", parts.user))
        self.database = unquote(fields.get("dbname", parts.name)) or self.user
        self.servers = _servers(parts, fields)
        self._secret = Secret(parts.scheme + text[len(parts.scheme) :])
        self._passwords = tuple(dict.fromkeys(form for secret in parts.secrets() for form in (secret, unquote(secret))))
        self._shown = parts.shown()
        self.named = named or self._shown

    @classmethod
    def parse(cls, text: str, *, named: str = "") -> DatabaseUrl:
        """Return the URL in a text; raises `ConfigError` when it is none."""
        return cls(text.strip(), named=named)

    @property
    def server(self) -> str:
        """Where the database is, in words."""
        return ",".join(":".join(filter(None, pair)) for pair in self.servers) or "localhost"

    @property
    def has_password(self) -> bool:
        """Whether a password is written in it."""
        return bool(self._passwords)

    @property
    def retyped(self) -> str:
        """What to say behind a command line that has this URL as it was named, where that lacks the password."""
        if not self.has_password or self.named != self._shown:
            return ""
        return f" (put the password in for {_HIDDEN}, or the URL into an environment variable and give env:NAME)"

    def reveal(self) -> str:
        """Return it whole, to be connected to and not to be kept."""
        return self._secret.reveal()

    def struck_from(self, text: str) -> str:
        """Return a text without the password and without the URL itself, as a driver's message may quote them.

        A password that is short, or that the URL shows as another part of it, may be a word of the message: it is looked for only
        where passwords stand.
        """
        text = text.replace(self.reveal(), self._shown)
        for password in self._passwords:
            text = _struck(password, text, visible=password in self._shown)
        return text

    def trouble(self, said: str) -> str | None:
        """Return what keeps the database from being reached and what to do, where a driver's words tell it."""
        for pattern, words in _TROUBLES:
            if found := pattern.search(said):
                return words.format(url=self, why=found[0], user=self.user or "none", create=_createdb(self))
        return None

    def __str__(self) -> str:
        return self._shown

    def __repr__(self) -> str:
        return f"DatabaseUrl({self._shown!r})"

    def __eq__(self, other: object) -> bool:
        return self._secret == other._secret if isinstance(other, DatabaseUrl) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._secret)

    def __copy__(self) -> DatabaseUrl:
        return self

    def __deepcopy__(self, memo: object) -> DatabaseUrl:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("the URL of a database cannot be pickled; load the configuration anew in the other process")


def _parts(text: str) -> _Parts:
    """Take a URL apart; raises `ConfigError`, in words that repeat none of it."""
    found = _URL.fullmatch(text)
    problem = _problem(text, found)
    if found is None or problem:
        raise ConfigError(f"the database's URL cannot be used: {problem}")
    hosts = [_HOST.fullmatch(host) for host in found["hosts"].split(",")]
    return _Parts(
        scheme=found["scheme"].lower(),
        user=found["user"] or "",
        password=found["password"] or "",
        hosts=tuple((host["host"], host["port"] or "") for host in hosts if host),
        name=found["name"] or "",
        fields=tuple((unquote(name), value) for name, _, value in (item.partition("=") for item in _items(found))),
    )


def _problem(text: str, found: re.Match[str] | None) -> str | None:
    if _UNPRINTABLE.search(text):
        return "it holds a space or a control character; write a space as %20"
    if found is None:
        return f"write it as {EXAMPLE}, with @ / ? # [ ] in a password as %40 %2F %3F %23 %5B %5D"
    if _BAD_ESCAPE.search(text):
        return "a % in it is not followed by two hexadecimal digits; write % itself as %25"
    if not all(map(_is_host, found["hosts"].split(","))):
        return "its host or port cannot be one; in a password, write / as %2F and @ as %40"
    if not all(item.count("=") == 1 for item in _items(found)):
        return "what follows ? is not name=value&name=value; in a password, write ? as %3F, & as %26 and = as %3D"
    return None


def _is_host(text: str) -> bool:
    found = _HOST.fullmatch(text)
    return found is not None and (not found["port"] or 0 < int(found["port"]) < 65536)


def _items(found: re.Match[str]) -> list[str]:
    return found["query"].split("&") if found["query"] else []


def _is_shown(name: str) -> bool:
    return name in _SHOWN_FIELDS or _SECRET_FIELD.search(name) is not None


def _field_shown(name: str, value: str) -> str:
    return _HIDDEN if _SECRET_FIELD.search(name) else value


def _servers(parts: _Parts, fields: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the hosts and ports that are tried, each as far as the URL says it."""
    if "host" in fields or "port" in fields:
        return ((unquote(fields.get("host", parts.hosts[0][0])), fields.get("port", parts.hosts[0][1])),)
    return tuple((unquote(host), port) for host, port in parts.hosts)


def _createdb(url: DatabaseUrl) -> str:
    host, port = url.servers[0]
    given = (("-h", host.strip("[]")), ("-p", port), ("-U", url.user))
    return shlex.join(["createdb", *(word for pair in given if pair[1] for word in pair), url.database])


def _struck(password: str, text: str, *, visible: bool) -> str:
    if not visible:
        text = Secret(password).struck_from(text)
    form = re.escape(password)
    marks = rf"(?<=:){form}(?=@)|(?<=password=){form}" + ("" if visible else rf"""|(?<=["']){form}(?=["'])""")
    return re.sub(marks, _HIDDEN, text)
