"""The download itself: every asset of a result to its file, over as many tries as it takes."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import attrs
from yarl import URL

from genbridge.downloads import places
from genbridge.downloads.guard import GuardedConnector, check_link, open_session, read_link, without_query
from genbridge.downloads.intake import Intake
from genbridge.downloads.parts import Origin, Part, open_part, remove_part
from genbridge.downloads.policy import DownloadPolicy, Progress
from genbridge.downloads.sidecars import sidecar, stem
from genbridge.errors import DownloadError
from genbridge.formats import HEAD, check_format, suffix_of
from genbridge.types import Asset, Result
from genbridge.wire import Reply

_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_GONE = frozenset({401, 403, 404, 410})
_BUSY = frozenset({408, 425, 429})
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 30.0
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)", re.ASCII)
_NETWORK_ERRORS = (aiohttp.ClientError, TimeoutError, OSError)

Report = Callable[[Progress], None]
Sleep = Callable[[float], Awaitable[None]]


class _CutError(Exception):
    """The file did not arrive whole, and may at the next try, after `wait` seconds."""

    def __init__(self, reason: str, *, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


async def download(
    result: Result,
    directory: Path | str,
    *,
    policy: DownloadPolicy | None = None,
    progress: Report | None = None,
    session: aiohttp.ClientSession | None = None,
    sleep: Sleep = asyncio.sleep,
) -> list[Path]:
    """Save every file of a result in a directory, with a sidecar beside each; return their paths in the order of the assets.

    What was saved before is found again and not fetched twice; what was cut is resumed. `progress` is called from the event loop.
    `session` is one made by `open_session`, to be shared by many downloads. Raises `DownloadError` for what could not be saved,
    once all else was; its `saved` has the paths of that.
    """
    policy = policy or DownloadPolicy()
    if session is None:
        async with open_session(policy) as own:
            return await download(result, directory, policy=policy, progress=progress, session=own, sleep=sleep)
    if not isinstance(session.connector, GuardedConnector):
        raise TypeError("the session checks no addresses; make one with genbridge.downloads.open_session")
    folder = Path(directory)
    await asyncio.to_thread(places.prepare, folder)
    desk = _Desk(result, folder, policy, progress, session, sleep)
    outcomes = await asyncio.gather(*(desk.save(index) for index in range(len(result.assets))), return_exceptions=True)
    return _settled(outcomes)


def _settled(outcomes: Sequence[Path | BaseException]) -> list[Path]:
    """Return the paths; raise what went wrong, the unforeseen first, else one `DownloadError` for all."""
    saved = [outcome for outcome in outcomes if isinstance(outcome, Path)]
    failed = [outcome for outcome in outcomes if isinstance(outcome, DownloadError)]
    for outcome in outcomes:
        if not isinstance(outcome, Path | DownloadError):
            raise outcome
    if not failed:
        return saved
    message = failed[0].message
    if len(failed) > 1:
        message = f"{len(failed)} of {len(outcomes)} files could not be saved: " + "; ".join(error.message for error in failed)
    raise DownloadError(message, asset=failed[0].asset, saved=saved, expired=any(each.expired for each in failed))


@attrs.define
class _Desk:
    """One call of `download`: what all its files share."""

    result: Result
    directory: Path
    policy: DownloadPolicy
    progress: Report | None
    session: aiohttp.ClientSession
    sleep: Sleep
    _turns: asyncio.Semaphore = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._turns = asyncio.Semaphore(self.policy.concurrency)

    async def save(self, index: int) -> Path:
        """Save one asset, in its turn; raises `DownloadError` that says which one, unless somebody else has saved it by then."""
        asset = self.result.assets[index]
        name = stem(self.result, index)
        try:
            async with self._turns:
                return await self._found(index, name) or await self._fetched(index, name)
        except DownloadError as error:
            failure = DownloadError(f"{name!r} ({without_query(asset.url)}): {error.message}", asset=asset, expired=error.expired)
        if (path := await self._found(index, name)) is not None:
            return path
        raise failure

    async def _found(self, index: int, name: str) -> Path | None:
        path, size = await asyncio.to_thread(self._look, index, name)
        if path is not None:
            self.report(index, size, size)
        return path

    def _look(self, index: int, name: str) -> tuple[Path | None, int]:
        path = places.find(self.directory, name, self.result.job_id)
        if path is None:
            return None, 0
        remove_part(self.directory, self._part_name(index, name))
        return path, path.lstat().st_size

    async def _fetched(self, index: int, name: str) -> Path:
        part = open_part(self.directory, self._part_name(index, name))
        try:
            async with asyncio.timeout(self.policy.timeout):
                await _Delivery(self, index, self.result.assets[index], part).run()
            return await asyncio.to_thread(part.finish, lambda: self._place(index, name, part))
        except TimeoutError:
            raise DownloadError(
                f"it was not there after {self.policy.timeout:g} s; run it again, to go on where it stopped"
            ) from None
        finally:
            # In a thread, as it waits for one that may still be writing, and shielded, as it is to be done in any case.
            await asyncio.shield(asyncio.to_thread(part.close))

    def _part_name(self, index: int, name: str) -> str:
        # Another job's files may have the same name, but must not have the same part.
        return f"{name}.{hashlib.sha256(f'{self.result.job_id} {index}'.encode()).hexdigest()[:8]}"

    def _place(self, index: int, name: str, part: Part) -> Path:
        asset = self.result.assets[index]

        def describe(path: Path) -> dict[str, Any]:
            return sidecar(self.result, asset, path, part.digest, part.size)

        return places.place(part.path, self.directory, name, suffix_of(part.head, asset.media), describe)

    def report(self, index: int, done: int, total: int | None) -> None:
        """Tell the caller how far a file is."""
        if self.progress is not None:
            self.progress(Progress(asset=self.result.assets[index], index=index, done=done, total=total))


@attrs.define
class _Delivery:
    """One asset on its way into its part."""

    desk: _Desk
    index: int
    asset: Asset
    part: Part
    _arrived: int = attrs.field(default=0, init=False)
    """How many bytes there are, with those that are not written yet."""
    _head: bytes = attrs.field(default=b"", init=False)
    """The first of them."""

    async def run(self) -> None:
        """Fill the part; raises `DownloadError` when that cannot be."""
        await asyncio.to_thread(self.part.recover)
        misses, reached = 0, self.part.size
        while (cut := await self._attempt()) is not None:
            misses = 1 if self.part.size > reached else misses + 1
            reached = max(reached, self.part.size)
            if misses >= self.desk.policy.attempts:
                raise DownloadError(f"{cut}, at try {misses} in a row that brought nothing new; run it again later")
            await self.desk.sleep(max(cut.wait, min(_FIRST_WAIT * 2 ** (misses - 1), _LONGEST_WAIT)))

    async def _attempt(self) -> _CutError | None:
        """Fetch what is missing; return what came in between, if anything did."""
        try:
            if not self.part.complete:
                await self._fetch()
            await self._check_whole()
            await self._check_end()
        except _CutError as cut:
            return cut
        return None

    async def _fetch(self) -> None:
        try:
            response, intake = await self._open(), Intake(self.part.append)
            try:
                await self._admit(response, intake)
                await self._receive(response, intake)
            finally:
                intake.abandon()
                response.close()
        except _NETWORK_ERRORS as error:
            reason = self._reason(error)
        else:
            return
        # Not in the handler, so that an error with the link in it is not this one's context.
        raise reason

    def _reason(self, error: Exception) -> Exception:
        match error:
            case aiohttp.ClientConnectorCertificateError():
                return DownloadError("the server's certificate is not valid, or something in between shows its own")
            case TimeoutError():
                return _CutError(f"nothing came for {self.desk.policy.stall:g} s")
            case aiohttp.ClientConnectorError():
                return _CutError("the server could not be reached")
        return _CutError(f"the connection was cut after {self.part.size} bytes")

    async def _open(self) -> aiohttp.ClientResponse:
        """Ask for the file, or what is missing of it, and follow redirects."""
        previous, url = None, read_link(self.asset.url)
        for _ in range(_MOST_REDIRECTS + 1):
            policy = self.desk.policy
            check_link(url, previous=previous, allow_private=policy.allow_private, allow_local=policy.allow_local)
            response = await self._ask(url)
            if response.status not in _REDIRECTS:
                return response
            response.close()
            previous, url = url, _next(url, response.headers.get("Location", ""))
        raise DownloadError(f"it redirects more than {_MOST_REDIRECTS} times")

    async def _ask(self, url: URL) -> aiohttp.ClientResponse:
        stall = self.desk.policy.stall
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=stall, sock_read=stall)
        return await self.desk.session.get(url, headers=self._range(), allow_redirects=False, timeout=timeout)

    def _range(self) -> dict[str, str]:
        origin = self.part.origin
        if not self.part.size or origin is None or origin.validator is None:
            return {}
        return {"Range": f"bytes={self.part.size}-", "If-Range": origin.validator}

    async def _admit(self, response: aiohttp.ClientResponse, intake: Intake) -> None:
        """Raise unless the body that follows is the file, or what is missing of it."""
        status = response.status
        if status in _GONE:
            raise DownloadError(
                f"the link is no longer valid (HTTP {status}); the job can be asked again for a new one", expired=True
            )
        if status in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise _CutError(f"the server answered HTTP {status}", wait=_retry_after(response))
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            await self._start_over()
        if status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
            raise DownloadError(f"the server answered HTTP {status}")
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            raise DownloadError(f"it was sent compressed ({encoding!r}), though it was asked for as it is")
        if status == HTTPStatus.OK:
            self._begin(response, intake)
        else:
            await self._go_on(response)

    def _begin(self, response: aiohttp.ClientResponse, intake: Intake) -> None:
        total = response.content_length
        self._check_size(total or 0)
        # Not awaited: should the server cut the file in the meantime, what has arrived would be lost unread.
        intake.begin(partial(self.part.start, Origin(validator=_validator(response), total=total)))
        self._arrived, self._head = 0, b""
        self.desk.report(self.index, 0, total)

    async def _go_on(self, response: aiohttp.ClientResponse) -> None:
        if self.part.origin is None or not _continues(response, self.part.origin, self.part.size):
            await self._start_over()
        self._arrived, self._head = self.part.size, self.part.head
        self._report()

    async def _start_over(self) -> None:
        await asyncio.to_thread(self.part.restart)
        raise _CutError("the file changed on the way")

    async def _receive(self, response: aiohttp.ClientResponse, intake: Intake) -> None:
        try:
            async for block in response.content.iter_any():
                self._look_at(block)
                if await intake.take(block):
                    self._report()
        except _NETWORK_ERRORS:
            await intake.flush()
            raise
        await intake.flush()

    def _look_at(self, block: bytes) -> None:
        """Raise `DownloadError` when, by what has come now, the file is too large or none of its medium."""
        self._arrived += len(block)
        self._check_size(self._arrived)
        if len(self._head) < HEAD:
            self._head += block[: HEAD - len(self._head)]
            if len(self._head) == HEAD:
                self._check_format(self._head)

    async def _check_whole(self) -> None:
        total = self.part.origin.total if self.part.origin else None
        if total is not None and self.part.size > total:
            await self._start_over()
        if total is not None and self.part.size < total:
            raise _CutError(f"the connection was cut after {self.part.size} bytes")
        self._check_format(self.part.head)
        self._report()

    async def _check_end(self) -> None:
        """Raise when the file goes on by its own account: a server that gives no length, or a wrong one, has cut it."""
        if await asyncio.to_thread(self.part.ends_early):
            reached = self.part.size
            await asyncio.to_thread(self.part.restart)
            raise _CutError(f"the file stops in the middle of itself, after {reached} bytes")

    def _check_size(self, size: int) -> None:
        most = self.desk.policy.max_bytes
        if size > most:
            self.part.keep = False
            where = "under [downloads] in genbridge.toml, or in the DownloadPolicy"
            raise DownloadError(f"it is larger than {most} bytes; to take it, raise max_bytes ({where})")

    def _check_format(self, head: bytes) -> None:
        problem = check_format(head, self.asset.media)
        if problem is not None:
            self.part.keep = False
            raise DownloadError(f"{problem}; it was not kept")

    def _report(self) -> None:
        self.desk.report(self.index, self.part.size, self.part.origin.total if self.part.origin else None)


def _next(url: URL, location: str) -> URL:
    if not location:
        raise DownloadError("it redirects to nowhere")
    return url.join(read_link(location))


def _retry_after(response: aiohttp.ClientResponse) -> float:
    return Reply(status=response.status, headers=response.headers, received=time.time()).retry_after or 0.0


def _continues(response: aiohttp.ClientResponse, origin: Origin, size: int) -> bool:
    """Whether a partial answer goes on after `size` bytes of that version."""
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if match is None or int(match[1]) != size:
        return False
    if origin.total is not None and match[2] not in {"*", str(origin.total)}:
        return False
    name = "ETag" if (origin.validator or "").startswith('"') else "Last-Modified"
    return response.headers.get(name, origin.validator) == origin.validator


def _validator(response: aiohttp.ClientResponse) -> str | None:
    """Return what `If-Range` may name: a strong ETag, else the date of the last change."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")
