"""Where a key may be sent: the check of a base URL."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from genbridge.addresses import is_loopback


def base_url_problem(url: object) -> str | None:
    """Name what is wrong with a base URL, or return `None`; a password or query in it is not repeated."""
    if not isinstance(url, str):
        return f"{url!r} is not a string"
    if set(url) & set("@?#"):
        return "it has a user, a query or a fragment, which a base URL cannot have; give https://host/path"
    parts = _split(url)
    if parts is None or not parts.scheme or not parts.hostname:
        return f"{url!r} is not a URL; give https://host/path"
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname)):
        return None
    return f"{url!r} does not begin with https://; plain http is for this machine only, as the key is sent along"


def _split(url: str) -> SplitResult | None:
    """Return the parts of a URL that has nothing in it that clients read in different ways."""
    if "\\" in url or not url.isprintable() or any(character.isspace() for character in url):
        return None
    try:
        parts = urlsplit(url)
        usable = parts.port != 0
    except ValueError:
        return None
    return parts if usable else None
