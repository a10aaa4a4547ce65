"""How files are fetched, and how that is reported."""

from __future__ import annotations

from typing import Any

import attrs

from genbridge.types import Asset

_positive: Any = attrs.validators.gt(0)


@attrs.frozen(kw_only=True)
class DownloadPolicy:
    """How files are fetched.

    `max_bytes` is the most one file may have. `allow_private` lets names lead to private addresses, as behind a proxy that answers
    DNS with addresses of its own. `allow_local` lets links lead to this machine, as those of a service that is here itself do.
    `timeout` is for one file as a whole and `stall` for the wait for its next byte, both in seconds. `attempts` is how many tries
    in a row may bring nothing new, and `concurrency` how many files are fetched at once.
    """

    max_bytes: int = attrs.field(default=2 * 1024**3, validator=_positive)
    allow_private: bool = False
    allow_local: bool = True
    timeout: float = attrs.field(default=3600.0, validator=_positive)
    stall: float = attrs.field(default=30.0, validator=_positive)
    attempts: int = attrs.field(default=5, validator=_positive)
    concurrency: int = attrs.field(default=4, validator=_positive)


@attrs.frozen(kw_only=True)
class Progress:
    """How far one file is, the `index`-th of its result: `done` of `total` bytes, which is `None` when the server does not say."""

    asset: Asset
    index: int
    done: int
    total: int | None
