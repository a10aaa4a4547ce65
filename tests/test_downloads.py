"""The download itself, over loopback servers that misbehave."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import pickle
import resource
import ssl
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import aiohttp
import attrs
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver
from aiohttp.test_utils import TestServer

from genbridge import __version__, draw_png
from genbridge.downloads import DownloadPolicy, Progress, download, open_session
from genbridge.errors import DownloadError
from genbridge.types import Asset, AssetRole, Cost, ImageRequest, Media, Result, VideoRequest

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 400
MP4 = b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41" + bytes(range(256)) * 400
HTML = b"<!DOCTYPE html><html><body>Sign in to the hotel's network</body></html>" * 10
PATIENT = DownloadPolicy(stall=10.0)

CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgDzywYZ53W8MZbnX2
DTK2o8r5QcXt/ALsE+QUaIaEbaihRANCAAS6kl5r5NmhKoza8Oz/8Kxx1nU+r6ZP
O1AYGOPpiWTSTfWJ6p5l8ua0O8NyvBNLKE/deQ81bB16pfH6SbZ4mDql
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBeDCCAR+gAwIBAgIUGD+K/7u1YtDDv7vmiwPIEzP0iBgwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGbm9ib2R5MCAXDTI2MTEyMTA0MzQyOFoYDzIxMjYxMDI4MDQz
NDI4WjARMQ8wDQYDVQQDDAZub2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AAS6kl5r5NmhKoza8Oz/8Kxx1nU+r6ZPO1AYGOPpiWTSTfWJ6p5l8ua0O8NyvBNL
KE/deQ81bB16pfH6SbZ4mDqlo1MwUTAdBgNVHQ4EFgQUkbFR3+nD9T67DFUf/Plf
EAtQLpEwHwYDVR0jBBgwFoAUkbFR3+nD9T67DFUf/PlfEAtQLpEwDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiBfbAO7keYgXawABYir/8vdBzKFVOml
HURYnA0edWJ2QwIgXc8TUEe7WPdIzVWwiMFVBa8hPGe4UtLsF/VAur/zshc=
-----END CERTIFICATE-----
"""
"""Signed by itself, for nobody."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@attrs.define
class Shelf:
    """A server of one file, which cuts, changes and lies as it is told, and remembers what it was asked."""

    content: bytes = PNG
    etag: str | None = '"v1"'
    changed: str | None = None
    ranges: bool = True
    length: bool = True
    cuts: list[int] = attrs.field(factory=list)
    """After how many bytes each of the next answers is cut."""
    after: Callable[[Shelf], None] | None = None
    """What happens once an answer was cut."""
    seen: list[web.Request] = attrs.field(factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one `GET`."""
        self.seen.append(request)
        start = self._start(request)
        body = self.content[start:]
        response = web.StreamResponse(status=206 if start else 200, headers=self._headers(start))
        if self.length:
            response.content_length = len(body)
        await response.prepare(request)
        cut = self.cuts.pop(0) if self.cuts else None
        await response.write(body[:cut])
        if cut is not None:
            return self._cut(request, response)
        return response

    def _start(self, request: web.Request) -> int:
        fresh = request.headers.get("If-Range") in {self.etag, self.changed}
        return request.http_range.start or 0 if self.ranges and fresh else 0

    def _headers(self, start: int) -> dict[str, str]:
        headers = {"ETag": self.etag, "Last-Modified": self.changed, "Content-Type": "image/png"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
        return {name: value for name, value in headers.items() if value is not None}

    def _cut(self, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        if self.after is not None:
            self.after(self)
        return response

    @property
    def asked_from(self) -> list[str | None]:
        """The `Range` of each request."""
        return [request.headers.get("Range") for request in self.seen]


@attrs.define
class Naps:
    """A sleep that takes no time and remembers how long it should have been."""

    taken: list[float] = attrs.field(factory=list)

    async def __call__(self, seconds: float) -> None:
        """Do not sleep."""
        self.taken.append(seconds)


@attrs.define
class FakeResolver(AbstractResolver):
    """Answers DNS with what it is told, one list of addresses after the other."""

    answers: list[list[str]]
    asked: list[str] = attrs.field(factory=list)

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[dict[str, object]]:  # type: ignore[override]
        """Return the next answer."""
        self.asked.append(host)
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        common = {"hostname": host, "port": port, "family": family, "proto": 0, "flags": 0}
        return [{**common, "host": address} for address in addresses]

    async def close(self) -> None:
        """Do nothing."""


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """Return a function that serves handlers, each under its path, and returns the server's origin."""
    servers = []

    async def start(**handlers: Handler) -> str:
        app = web.Application()
        for name, handler in handlers.items():
            app.router.add_get(f"/{name}", handler)
        server = TestServer(app)
        await server.start_server()
        servers.append(server)
        return f"http://127.0.0.1:{server.port}"

    yield start
    for server in servers:
        await server.close()


def result(*assets: Asset | str, job_id: str = "0123456789abcdef", prompt: str = "A misty valley, at dawn") -> Result:
    """Return a result with those assets; a string is the URL of an image."""
    return Result(
        job_id=job_id,
        backend="studio",
        provider="meigen",
        model="gpt-image-2",
        request=ImageRequest(prompt),
        assets=tuple(Asset(url=asset, media=Media.IMAGE) if isinstance(asset, str) else asset for asset in assets),
        cost=Cost(amount=4.0),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        finished_at=datetime(2026, 1, 1, 0, 1, tzinfo=UTC),
    )


def names(directory: Path) -> list[str]:
    """Return the names of everything in a directory, hidden files too."""
    return sorted(path.name for path in directory.iterdir())


def modes(directory: Path) -> set[int]:
    """Return the permissions of the files in a directory."""
    return {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}


def parts(directory: Path) -> list[Path]:
    """Return the files in a directory that are still arriving."""
    return list(directory.glob(".*.part"))


async def refusal(made: Result, directory: Path, policy: DownloadPolicy = PATIENT, **options: object) -> DownloadError:
    """Return the error that a download ends with."""
    with pytest.raises(DownloadError) as caught:
        await download(made, directory, policy=policy, **{"sleep": Naps(), **options})  # type: ignore[arg-type]
    return caught.value


def replying(status: int = 200, body: bytes = b"", **headers: str) -> Handler:
    """Return a handler with one answer; underscores in header names stand for hyphens."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return handle


# What is saved


async def test_a_file_is_saved_whole_with_its_sidecar(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """The file has the served bytes and a name of ours, its sidecar says how it was made, and nothing else is left."""
    origin = await serve(x=Shelf().answer)

    (path,) = await download(result(f"{origin}/x?signature=secret"), tmp_path)

    assert PNG == path.read_bytes()
    assert tmp_path / "01234567-a-misty-valley-at-dawn-1.png" == path
    assert [path.name, f"{path.name}.json"] == names(tmp_path)
    document = json.loads((tmp_path / f"{path.name}.json").read_text())
    assert (sha256(PNG).hexdigest(), len(PNG), f"{origin}/x") == (document["sha256"], document["bytes"], document["url"])
    assert (__version__, "0123456789abcdef", 60.0) == (document["genbridge"], document["job_id"], document["seconds"])


async def test_the_directory_is_made_with_all_above_it(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """A directory may be a string, and need not exist."""
    origin = await serve(x=Shelf().answer)
    (path,) = await download(result(f"{origin}/x"), str(tmp_path / "a" / "b"))
    assert tmp_path / "a" / "b" == path.parent


async def test_a_file_has_the_modes_of_any_other(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """Files and sidecars are readable as the umask says, and not executable."""
    origin = await serve(x=Shelf().answer)
    before = os.umask(0o027)
    try:
        await download(result(f"{origin}/x"), tmp_path)
    finally:
        os.umask(before)
    assert {0o640} == modes(tmp_path)


async def test_no_umask_makes_a_file_that_others_may_write(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """Nor one that can be run; what is still arriving has the same modes."""
    origin = await serve(x=Shelf().answer, y=Shelf(cuts=[1000]).answer)
    before = os.umask(0)
    try:
        await download(result(f"{origin}/x"), tmp_path)
        await refusal(result(f"{origin}/y", job_id="another"), tmp_path, DownloadPolicy(attempts=1))
    finally:
        os.umask(before)
    assert 1 == len(parts(tmp_path))
    assert {0o644} == modes(tmp_path)


async def test_a_result_without_assets_gives_no_paths(tmp_path: Path) -> None:
    """There is nothing to do."""
    assert [] == await download(result(), tmp_path)


async def test_roles_have_names_of_their_own_and_paths_come_in_order(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """A video, its cover and its last frame are saved side by side; a second output is number two."""
    origin = await serve(v=Shelf(MP4).answer, p=Shelf().answer)
    assets = [
        Asset(url=f"{origin}/p", media=Media.IMAGE, role=AssetRole.COVER),
        Asset(url=f"{origin}/v", media=Media.VIDEO),
        Asset(url=f"{origin}/p", media=Media.IMAGE, role=AssetRole.LAST_FRAME),
        Asset(url=f"{origin}/v", media=Media.VIDEO),
    ]
    paths = await download(attrs.evolve(result(*assets), request=VideoRequest("Mist")), tmp_path)
    expected = ["01234567-mist-1-cover.png", "01234567-mist-1.mp4", "01234567-mist-1-last-frame.png", "01234567-mist-2.mp4"]
    assert expected == [path.name for path in paths]


async def test_no_more_files_are_fetched_at_once_than_the_policy_says(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """Two at once are two at once: both have begun before either ends, and never a third."""
    running, most = 0, 0
    both = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 2:
            both.set()
        await both.wait()
        running -= 1
        return web.Response(body=PNG)

    origin = await serve(x=handle)
    paths = await download(result(*[f"{origin}/x"] * 6), tmp_path, policy=DownloadPolicy(concurrency=2))
    assert (6, 2) == (len(paths), most)


async def test_progress_runs_from_nothing_to_all_of_the_file(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """Each report names its asset, the bytes so far and their number."""
    origin = await serve(x=Shelf().answer)
    made, reports = result(f"{origin}/x"), list[Progress]()

    await download(made, tmp_path, progress=reports.append)

    assert Progress(asset=made.assets[0], index=0, done=0, total=len(PNG)) == reports[0]
    assert Progress(asset=made.assets[0], index=0, done=len(PNG), total=len(PNG)) == reports[-1]
    assert sorted(report.done for report in reports) == [report.done for report in reports]


async def test_a_file_of_unknown_length_is_saved(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """A server need not say how long a file is, and its progress has no total."""
    origin = await serve(x=Shelf(length=False).answer)
    reports = list[Progress]()
    (path,) = await download(result(f"{origin}/x"), tmp_path, progress=reports.append)
    assert (PNG, None) == (path.read_bytes(), reports[-1].total)


async def test_a_large_file_is_written_in_pieces_while_the_loop_goes_on(
    tmp_path: Path, serve: Callable[..., Awaitable[str]]
) -> None:
    """Several megabytes arrive in several writes, and are all there."""
    content = PNG + os.urandom(8 * 1024 * 1024)
    origin = await serve(x=Shelf(content).answer)
    reports = list[Progress]()
    (path,) = await download(result(f"{origin}/x"), tmp_path, progress=reports.append)
    assert sha256(content).digest() == sha256(path.read_bytes()).digest()
    assert len({report.done for report in reports}) > 3


async def test_a_broken_progress_function_is_reported_once_all_else_is_saved(
    tmp_path: Path, serve: Callable[..., Awaitable[str]]
) -> None:
    """The caller's own error comes out as it is, and the other file is there."""
    origin = await serve(x=Shelf().answer)

    def report(progress: Progress) -> None:
        if progress.index == 0:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await download(result(f"{origin}/x", f"{origin}/x"), tmp_path, progress=report)
    assert "01234567-a-misty-valley-at-dawn-2.png" in names(tmp_path)


# Again


async def test_a_finished_file_is_found_again_and_not_fetched_twice(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """The second call asks the server nothing, reports the file as done, and returns the same path."""
    shelf = Shelf()
    origin = await serve(x=shelf.answer)
    made, reports = result(f"{origin}/x"), list[Progress]()

    first = await download(made, tmp_path)
    second = await download(made, tmp_path, progress=reports.append)

    assert (first, 1) == (second, len(shelf.seen))
    assert [(len(PNG), len(PNG))] == [(report.done, report.total) for report in reports]


async def test_a_part_left_behind_by_a_finished_file_is_removed(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """A process killed between naming a file and removing its part leaves a link, which the next run takes away."""
    shelf = Shelf(cuts=[1000])
    origin = await serve(x=shelf.answer)
    made = result(f"{origin}/x")
    await refusal(made, tmp_path, DownloadPolicy(attempts=1))
    (part,) = parts(tmp_path)
    (path,) = await download(made, tmp_path)
    os.link(path, part)

    assert [path] == await download(made, tmp_path)
    assert [path.name, f"{path.name}.json"] == names(tmp_path)


async def test_a_file_that_was_changed_is_left_alone_and_fetched_again(
    tmp_path: Path, serve: Callable[..., Awaitable[str]]
) -> None:
    """What a user did to a file is not overwritten; the new copy gets a free name, and is found there the next time."""
    origin = await serve(x=Shelf().answer)
    (first,) = await download(result(f"{origin}/x"), tmp_path)
    first.write_bytes(b"retouched")

    (second,) = await download(result(f"{origin}/x"), tmp_path)

    assert b"retouched" == first.read_bytes()
    assert ("01234567-a-misty-valley-at-dawn-1_2.png", PNG) == (second.name, second.read_bytes())
    assert [second] == await download(result(f"{origin}/x"), tmp_path)


async def test_two_jobs_of_one_name_have_a_file_each(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """Ids that begin alike, with one prompt, do not overwrite each other, and each finds its own again."""
    origin = await serve(x=Shelf(PNG + b"one").answer, y=Shelf(PNG + b"two").answer)
    one, two = result(f"{origin}/x", job_id="01234567-1"), result(f"{origin}/y", job_id="01234567-2")
    first, second = await download(one, tmp_path), await download(two, tmp_path)
    assert [PNG + b"one", PNG + b"two"] == [path.read_bytes() for path in (*first, *second)]
    assert (first, second) == (await download(one, tmp_path), await download(two, tmp_path))


async def test_two_downloads_of_one_job_at_once_end_with_one_file(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """Each writes its own part; whoever is second finds the first's file and throws its own away."""
    waiting = asyncio.Barrier(2)

    async def handle(request: web.Request) -> web.StreamResponse:
        await waiting.wait()
        return web.Response(body=PNG, headers={"ETag": '"v1"'})

    origin = await serve(x=handle)
    made = result(f"{origin}/x")
    first, second = await asyncio.gather(download(made, tmp_path), download(made, tmp_path))
    assert first == second
    assert [first[0].name, f"{first[0].name}.json"] == names(tmp_path)


# Cut


async def test_a_cut_file_is_resumed_where_it_was_cut(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """Each new try asks for the rest only, of the same version, after a wait."""
    shelf, naps = Shelf(cuts=[1000, 2000]), Naps()
    origin = await serve(x=shelf.answer)

    (path,) = await download(result(f"{origin}/x"), tmp_path, sleep=naps)

    assert PNG == path.read_bytes()
    assert [None, "bytes=1000-", "bytes=3000-"] == shelf.asked_from
    assert [None, '"v1"', '"v1"'] == [request.headers.get("If-Range") for request in shelf.seen]
    assert [0.5, 0.5] == naps.taken


async def test_the_date_of_the_last_change_serves_where_there_is_no_strong_etag(
    tmp_path: Path, serve: Callable[..., Awaitable[str]]
) -> None:
    """A weak ETag says nothing of bytes."""
    shelf = Shelf(etag='W/"v1"', changed="Thu, 01 Jan 2026 00:00:00 GMT", cuts=[1000])
    origin = await serve(x=shelf.answer)
    (path,) = await download(result(f"{origin}/x"), tmp_path, sleep=Naps())
    assert (PNG, "Thu, 01 Jan 2026 00:00:00 GMT") == (path.read_bytes(), shelf.seen[1].headers["If-Range"])


async def test_a_file_with_no_validator_starts_over(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """Nobody knows whether the rest would be of the same version."""
    shelf = Shelf(etag=None, cuts=[1000])
    origin = await serve(x=shelf.answer)
    (path,) = await download(result(f"{origin}/x"), tmp_path, sleep=Naps())
    assert (PNG, [None, None]) == (path.read_bytes(), shelf.asked_from)


async def test_a_file_that_changed_in_between_starts_over(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """A server that honours `If-Range` sends all of the new version, and none of the old one is in the file."""
    other = b"\x89PNG\r\n\x1a\n" + b"new" * 9000

    def change(shelf: Shelf) -> None:
        shelf.etag, shelf.content = '"v2"', other

    origin = await serve(x=Shelf(cuts=[1000], after=change).answer)
    (path,) = await download(result(f"{origin}/x"), tmp_path, sleep=Naps())
    assert other == path.read_bytes()


@pytest.mark.parametrize(
    "headers",
    [
        {"ETag": '"v2"', "Content-Range": f"bytes 1000-{len(PNG) - 1}/{len(PNG)}"},
        {"ETag": '"v1"', "Content-Range": f"bytes 0-{len(PNG) - 1}/{len(PNG)}"},
        {"ETag": '"v1"', "Content-Range": f"bytes 1000-{len(PNG)}/{len(PNG) + 1}"},
        {"ETag": '"v1"', "Content-Range": "all of it"},
        {"ETag": '"v1"'},
    ],
    ids=["another version", "another start", "another length", "no sense", "no range"],
)
async def test_a_rest_that_does_not_fit_is_not_put_behind_what_is_there(
    tmp_path: Path, serve: Callable[..., Awaitable[str]], headers: dict[str, str]
) -> None:
    """A server that sends some other range, or that of another version, has the file fetched anew."""
    shelf = Shelf(cuts=[1000])

    async def handle(request: web.Request) -> web.StreamResponse:
        if "Range" not in request.headers:
            return await shelf.answer(request)
        shelf.seen.append(request)
        return web.Response(status=206, body=PNG[1000:], headers=headers)

    origin = await serve(x=handle)
    (path,) = await download(result(f"{origin}/x"), tmp_path, sleep=Naps())
    assert (PNG, [None, "bytes=1000-", None]) == (path.read_bytes(), shelf.asked_from)


async def test_a_rest_that_says_little_of_itself_is_taken(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """A partial answer need not repeat the ETag, nor know the length of the whole."""
    shelf = Shelf(cuts=[1000])

    async def handle(request: web.Request) -> web.StreamResponse:
        if "Range" not in request.headers:
            return await shelf.answer(request)
        return web.Response(status=206, body=PNG[1000:], headers={"Content-Range": f"bytes 1000-{len(PNG) - 1}/*"})

    origin = await serve(x=handle)
    (path,) = await download(result(f"{origin}/x"), tmp_path, sleep=Naps())
    assert (PNG, 1) == (path.read_bytes(), len(shelf.seen))


async def test_a_rest_of_a_file_of_unknown_length_is_taken(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """The first answer said no length, the second one does."""
    shelf = Shelf(length=False, cuts=[1000])
    origin = await serve(x=shelf.answer)
    (path,) = await download(result(f"{origin}/x"), tmp_path, sleep=Naps())
    assert (PNG, [None, "bytes=1000-"]) == (path.read_bytes(), shelf.asked_from)


async def test_a_rest_that_is_too_long_or_too_short_is_not_believed(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """A rest that ends early is asked for again from there; one that goes on for too long has the file fetched anew."""
    shelf = Shelf(cuts=[1000, 500])
    rests = [PNG[1000:1100], PNG[1100:] + b"more"]

    async def handle(request: web.Request) -> web.StreamResponse:
        if "Range" not in request.headers or not rests:
            return await shelf.answer(request)
        shelf.seen.append(request)
        start = request.http_range.start
        headers = {"ETag": '"v1"', "Content-Range": f"bytes {start}-{len(PNG) - 1}/{len(PNG)}"}
        return web.Response(status=206, body=rests.pop(0), headers=headers)

    origin = await serve(x=handle)
    (path,) = await download(result(f"{origin}/x"), tmp_path, sleep=Naps())
    assert PNG == path.read_bytes()
    assert [None, "bytes=1000-", "bytes=1100-", None, "bytes=500-"] == shelf.asked_from


async def test_a_range_that_cannot_be_given_starts_over(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """416 says that the file has become shorter than what is there."""
    shelf = Shelf(cuts=[1000])

    async def handle(request: web.Request) -> web.StreamResponse:
        return await (shelf.answer(request) if "Range" not in request.headers else replying(416)(request))

    origin = await serve(x=handle)
    (path,) = await download(result(f"{origin}/x"), tmp_path, sleep=Naps())
    assert PNG == path.read_bytes()


async def test_a_partial_answer_that_nobody_asked_for_is_not_taken(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """The middle of a file is no file."""
    origin = await serve(x=replying(206, PNG, Content_Range=f"bytes 0-{len(PNG) - 1}/{len(PNG)}"))
    assert "the file changed on the way" in str(await refusal(result(f"{origin}/x"), tmp_path))
    assert [] == names(tmp_path)


async def test_a_stalled_file_counts_as_cut_and_is_resumed(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """When no byte comes for the policy's time, the rest is asked for anew."""
    shelf, over = Shelf(), asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        if "Range" in request.headers:
            return await shelf.answer(request)
        response = web.StreamResponse(headers={"ETag": '"v1"', "Content-Length": str(len(PNG))})
        await response.prepare(request)
        await response.write(PNG[:1000])
        await over.wait()
        return response

    origin = await serve(x=handle)
    (path,) = await download(result(f"{origin}/x"), tmp_path, policy=DownloadPolicy(stall=0.1), sleep=Naps())
    over.set()
    assert (PNG, ["bytes=1000-"]) == (path.read_bytes(), shelf.asked_from)


@pytest.mark.parametrize("length", [True, False])
async def test_a_file_that_stops_in_the_middle_of_itself_is_fetched_again(
    tmp_path: Path, serve: Callable[..., Awaitable[str]], *, length: bool
) -> None:
    """A server, or something in between, that says nothing of the length, or a wrong one, cannot pass half a file for a whole."""
    picture = draw_png("a fox", 64, 64)
    shelf, whole = Shelf(content=picture[: len(picture) // 2], length=length), Shelf(content=picture)

    async def handle(request: web.Request) -> web.StreamResponse:
        return await (whole if shelf.seen else shelf).answer(request)

    origin = await serve(x=handle)
    (path,) = await download(result(f"{origin}/x"), tmp_path, sleep=Naps())
    assert (picture, [None]) == (path.read_bytes(), whole.asked_from)


async def test_a_file_that_always_stops_in_the_middle_of_itself_is_not_kept(
    tmp_path: Path, serve: Callable[..., Awaitable[str]]
) -> None:
    """Nobody could see it, and the link may have another one later."""
    origin = await serve(x=Shelf(content=draw_png("a fox", 64, 64)[:300]).answer)
    error = await refusal(result(f"{origin}/x"), tmp_path)
    assert "the file stops in the middle of itself, after 300 bytes, at try 5 in a row" in str(error)
    assert [] == names(tmp_path)


async def test_tries_in_a_row_that_bring_nothing_new_end_the_download(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """The waits double, the error says how often it was tried, and the part is there to be resumed."""
    shelf, naps = Shelf(cuts=[1000, 0, 0, 0]), Naps()
    origin = await serve(x=shelf.answer)

    error = await refusal(result(f"{origin}/x"), tmp_path, DownloadPolicy(attempts=4), sleep=naps)

    assert "the connection was cut after 1000 bytes, at try 4 in a row that brought nothing new; run it again later" in str(error)
    assert [0.5, 1.0, 2.0] == naps.taken
    assert [1000] == [part.stat().st_size for part in parts(tmp_path)]


async def test_tries_that_bring_something_new_are_not_counted(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """A poor connection gets there in the end."""
    shelf = Shelf(cuts=[1000] * 20)
    origin = await serve(x=shelf.answer)
    (path,) = await download(result(f"{origin}/x"), tmp_path, policy=DownloadPolicy(attempts=2), sleep=Naps())
    assert (PNG, 21) == (path.read_bytes(), len(shelf.seen))


async def test_a_file_takes_no_longer_than_the_policy_says(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """A server that drips is left when the time is over."""
    over = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        await over.wait()
        return web.Response(body=PNG)

    origin = await serve(x=handle)
    error = await refusal(result(f"{origin}/x"), tmp_path, DownloadPolicy(timeout=0.1))
    over.set()
    assert "it was not there after 0.1 s" in str(error)


async def test_a_busy_server_is_asked_again_when_it_says(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """`Retry-After` is obeyed, and 5xx is no end."""
    answers = iter([replying(503, Retry_After="7"), replying(429), replying(500), replying(body=PNG)])

    async def handle(request: web.Request) -> web.StreamResponse:
        return await next(answers)(request)

    origin, naps = await serve(x=handle), Naps()
    (path,) = await download(result(f"{origin}/x"), tmp_path, sleep=naps)
    assert (PNG, [7.0, 1.0, 2.0]) == (path.read_bytes(), naps.taken)


async def test_a_server_that_is_not_there_is_tried_again(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """A refused connection ends in an error that says so."""
    error = await refusal(result("http://127.0.0.1:1/x"), tmp_path, DownloadPolicy(attempts=2))
    assert "the server could not be reached, at try 2 in a row" in str(error)
    assert [] == names(tmp_path)


async def test_a_part_of_a_killed_process_is_resumed(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """A later call, with another signature in the link, goes on where the earlier one was."""
    shelf = Shelf(cuts=[1000])
    origin = await serve(x=shelf.answer)
    await refusal(result(f"{origin}/x?signature=1"), tmp_path, DownloadPolicy(attempts=1))

    (path,) = await download(result(f"{origin}/x?signature=2"), tmp_path)

    assert (PNG, [None, "bytes=1000-"]) == (path.read_bytes(), shelf.asked_from)
    assert [path.name, f"{path.name}.json"] == names(tmp_path)


async def test_a_part_that_was_complete_needs_no_server(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """A process killed just before the end has all that is needed for it."""
    shelf = Shelf(cuts=[1000])
    origin = await serve(x=shelf.answer)
    await refusal(result(f"{origin}/x"), tmp_path, DownloadPolicy(attempts=1))
    (part,) = parts(tmp_path)
    part.write_bytes(PNG)

    (path,) = await download(result(f"{origin}/x"), tmp_path)

    assert (PNG, 1) == (path.read_bytes(), len(shelf.seen))


async def test_a_part_of_unknown_origin_is_thrown_away(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """Bytes that nobody knows the version of are not trusted."""
    shelf = Shelf(cuts=[1000])
    origin = await serve(x=shelf.answer)
    await refusal(result(f"{origin}/x"), tmp_path, DownloadPolicy(attempts=1))
    (part,) = parts(tmp_path)
    part.with_name(f"{part.name}.json").write_text('{"validator": ')

    (path,) = await download(result(f"{origin}/x"), tmp_path)

    assert (PNG, [None, None]) == (path.read_bytes(), shelf.asked_from)


async def test_a_cancelled_download_leaves_a_part_to_resume(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """Nothing under the final name, the part with its record, and no task left running."""
    shelf, over, arrived = Shelf(), asyncio.Event(), asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        if "Range" in request.headers:
            return await shelf.answer(request)
        response = web.StreamResponse(headers={"ETag": '"v1"', "Content-Length": str(len(PNG))})
        await response.prepare(request)
        await response.write(PNG[:1000])
        await over.wait()
        return response

    def report(progress: Progress) -> None:
        if progress.done:
            arrived.set()

    origin = await serve(x=handle)
    task = asyncio.create_task(download(result(f"{origin}/x"), tmp_path, progress=report))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    over.set()
    assert [1000] == [part.stat().st_size for part in parts(tmp_path)]
    (path,) = await download(result(f"{origin}/x"), tmp_path)
    assert (PNG, ["bytes=1000-"]) == (path.read_bytes(), shelf.asked_from)


@attrs.define
class Slow:
    """A file that stops in the middle of its first answer until it is `over`; what comes then is `rest`."""

    shelf: Shelf
    rest: bytes
    over: asyncio.Event = attrs.field(factory=asyncio.Event)
    arrived: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if self.arrived.is_set():
            return await self.shelf.answer(request)
        response = web.StreamResponse(headers={"ETag": '"v1"', "Content-Length": str(len(PNG))})
        await response.prepare(request)
        await response.write(PNG[:1000])
        await self.over.wait()
        await response.write(self.rest)
        return response

    def report(self, progress: Progress) -> None:
        if progress.done:
            self.arrived.set()


async def test_finding_a_file_takes_nothing_from_whoever_still_writes_it(
    tmp_path: Path, serve: Callable[..., Awaitable[str]]
) -> None:
    """Another has saved it meanwhile, and a third finds it: the first ends with the same file, and nothing is left of its part."""
    slow = Slow(Shelf(), rest=PNG[1000:])
    link = f"{await serve(x=slow.answer)}/x"
    first = asyncio.create_task(download(result(link), tmp_path, progress=slow.report))
    await slow.arrived.wait()
    saved = [await download(result(link), tmp_path) for _ in range(2)]
    assert [1000] == [part.stat().st_size for part in parts(tmp_path)]
    slow.over.set()
    assert saved == [await first] * 2
    assert [saved[0][0].name, f"{saved[0][0].name}.json"] == names(tmp_path)


async def test_a_file_that_somebody_else_has_saved_by_then_is_no_error(
    tmp_path: Path, serve: Callable[..., Awaitable[str]]
) -> None:
    """Whatever went wrong here: it is where it is wanted."""
    slow = Slow(Shelf(), rest=b"")
    link = f"{await serve(x=slow.answer)}/x"
    first = asyncio.create_task(download(result(link), tmp_path, policy=DownloadPolicy(attempts=1), progress=slow.report))
    await slow.arrived.wait()
    saved = await download(result(link), tmp_path)
    for part in parts(tmp_path):
        part.unlink()
    slow.over.set()
    assert saved == await first


# Refused


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_an_expired_link_says_what_to_do(tmp_path: Path, serve: Callable[..., Awaitable[str]], status: int) -> None:
    """It is not tried again, the message says that the job can be asked again, and no signature is in it."""
    origin = await serve(x=replying(status))
    made, naps = result(f"{origin}/x?signature=secret"), Naps()

    error = await refusal(made, tmp_path, sleep=naps)

    expected = (
        f"'01234567-a-misty-valley-at-dawn-1' ({origin}/x): "
        f"the link is no longer valid (HTTP {status}); the job can be asked again for a new one"
    )
    assert (expected, made.assets[0], []) == (str(error), error.asset, naps.taken)


async def test_another_refusal_is_an_error_at_once(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """The status is named."""
    origin = await serve(x=replying(400))
    assert "the server answered HTTP 400" in str(await refusal(result(f"{origin}/x"), tmp_path))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (HTML, "is a web page, which may come from a proxy or a login page"),
        (b'{"error": "quota"}' * 10, "is text, such as an error message"),
        (b"", "is empty"),
        (b"short", "of no known format (it begins with b'short')"),
        (MP4, "its first bytes are those of a .mp4 file"),
    ],
    ids=["html", "json", "empty", "short", "video"],
)
async def test_a_file_of_the_wrong_kind_is_not_kept(
    tmp_path: Path, serve: Callable[..., Awaitable[str]], body: bytes, words: str
) -> None:
    """Whatever the content type says, an image begins as images do; the rest leaves nothing on disk."""
    origin = await serve(x=replying(body=body, Content_Type="image/png", ETag='"v1"'))
    error = await refusal(result(f"{origin}/x"), tmp_path)
    assert "it was to be an image, and " in str(error)
    assert words in str(error)
    assert [] == names(tmp_path)


async def test_a_compressed_answer_is_refused(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """Its length and its ranges would be of something else; identity is asked for."""
    origin = await serve(x=replying(body=PNG, Content_Encoding="br"))
    assert "it was sent compressed ('br')" in str(await refusal(result(f"{origin}/x"), tmp_path))


async def test_a_file_that_says_it_is_too_large_is_not_begun(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """The length that the server gives is checked first."""
    origin, reports = await serve(x=Shelf().answer), list[Progress]()
    error = await refusal(result(f"{origin}/x"), tmp_path, DownloadPolicy(max_bytes=1000), progress=reports.append)
    assert "it is larger than 1000 bytes" in str(error)
    assert ([], []) == (reports, names(tmp_path))


async def test_a_file_that_becomes_too_large_is_stopped(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """Where the server gives no length, the bytes are counted."""
    origin = await serve(x=Shelf(length=False).answer)
    error = await refusal(result(f"{origin}/x"), tmp_path, DownloadPolicy(max_bytes=1000))
    assert "it is larger than 1000 bytes" in str(error)
    assert [] == names(tmp_path)


async def test_one_failed_file_does_not_lose_the_others(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """The others are saved, and the error names the first that failed and the paths of those saved."""
    origin = await serve(x=Shelf().answer, gone=replying(404))
    made = result(f"{origin}/x", f"{origin}/gone", f"{origin}/x")
    error = await refusal(made, tmp_path)
    assert made.assets[1] == error.asset
    assert ["01234567-a-misty-valley-at-dawn-1.png", "01234567-a-misty-valley-at-dawn-3.png"] == [path.name for path in error.saved]


async def test_several_failed_files_are_all_named(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """One error for all, which pickles."""
    origin = await serve(x=Shelf().answer, gone=replying(404))
    made = result(f"{origin}/gone", f"{origin}/x", f"{origin}/gone")
    error = await refusal(made, tmp_path)
    assert str(error).startswith("2 of 3 files could not be saved: '01234567-a-misty-valley-at-dawn-1'")
    assert "'01234567-a-misty-valley-at-dawn-3'" in str(error)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(error), error.asset, error.saved) == (str(copy), copy.asset, copy.saved)


# Where from


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed(tmp_path: Path, serve: Callable[..., Awaitable[str]], status: int) -> None:
    """A relative one too."""
    origin = await serve(x=replying(status, Location="/y?a=%2F"), y=Shelf().answer)
    (path,) = await download(result(f"{origin}/x"), tmp_path)
    assert PNG == path.read_bytes()


async def test_a_link_to_a_server_on_this_machine_is_not_followed_for_a_service_elsewhere(
    tmp_path: Path, serve: Callable[..., Awaitable[str]]
) -> None:
    """It could have us ask whatever listens here."""
    shelf = Shelf()
    origin = await serve(x=shelf.answer)
    said = await refusal(result(f"{origin}/x"), tmp_path, DownloadPolicy(allow_local=False))
    assert "it leads to this machine (127.0.0.1)" in str(said)
    assert [] == shelf.seen


async def test_five_redirects_are_followed_and_no_more(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """A circle ends."""
    asked = []

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return await replying(302, Location="/x")(request)

    origin = await serve(x=handle)
    assert "it redirects more than 5 times" in str(await refusal(result(f"{origin}/x"), tmp_path))
    assert 6 == len(asked)


async def test_a_redirect_to_nowhere_is_an_error(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """A redirect has a place to go."""
    origin = await serve(x=replying(302))
    assert "it redirects to nowhere" in str(await refusal(result(f"{origin}/x"), tmp_path))


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("http://files.example/y", "it is plain http"),
        ("https://10.0.0.1/y", "10.0.0.1, which is not on the public internet"),
        ("https://169.254.169.254/latest/meta-data", "169.254.169.254, which is not on the public internet"),
        ("https://[::ffff:10.0.0.1]/y", "not on the public internet"),
        ("ftp://files.example/y", "it is no https link"),
        ("file:///etc/passwd", "it is no https link"),
        ("https://user:pass@files.example/y", "carries a user name"),
        ("https://[::1", "cannot be read"),
        ("https://2130706433/y", "'2130706433' is not a proper address"),
    ],
)
async def test_every_redirect_is_checked_as_the_link_is(
    tmp_path: Path, serve: Callable[..., Awaitable[str]], location: str, words: str
) -> None:
    """No hop leads to where a link may not, and a link may not lead there either."""
    origin = await serve(x=replying(302, Location=location))
    assert words in str(await refusal(result(f"{origin}/x"), tmp_path))
    assert words in str(await refusal(result(location), tmp_path))


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["::1"], ["10.1.2.3"], ["93.184.216.34", "192.168.0.1"], ["fd00:ec2::254"], ["64:ff9b::7f00:1"]]
)
async def test_a_name_that_leads_to_a_private_address_is_refused(tmp_path: Path, addresses: list[str]) -> None:
    """One such address among others is enough, and nothing is connected."""
    async with open_session(resolver=FakeResolver([addresses])) as session:
        error = await refusal(result("https://files.example/x"), tmp_path, session=session)
    assert "not on the public internet" in str(error)


async def test_an_answer_of_dns_that_changes_gains_nothing(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """A connection goes to what was checked for it; a name that turns to this machine is asked for once, and refused."""
    shelf = Shelf()
    port = (await serve(x=shelf.answer)).rpartition(":")[2]
    resolver = FakeResolver([["127.0.0.1"]])
    async with open_session(resolver=resolver) as session:
        error = await refusal(result(f"https://rebound.example:{port}/x"), tmp_path, session=session)
    assert "'rebound.example' leads to the address 127.0.0.1" in str(error)
    assert ([], ["rebound.example"]) == (shelf.seen, resolver.asked)


async def test_private_addresses_can_be_allowed(tmp_path: Path) -> None:
    """Then the connection is tried: here nobody answers it with TLS, which is another error."""
    policy = DownloadPolicy(allow_private=True, attempts=1)
    async with open_session(policy, resolver=FakeResolver([["127.0.0.1"]])) as session:
        error = await refusal(result("https://files.example:1/x"), tmp_path, policy, session=session)
    assert "the server could not be reached" in str(error)


async def test_a_link_whose_host_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """It is not tried again."""
    naps = Naps()
    error = await refusal(result(f"https://ä{'b' * 80}.example/x"), tmp_path, sleep=naps)
    assert ("the link cannot be read", []) == (str(error).rpartition("): ")[2], naps.taken)


async def test_a_wrong_certificate_is_not_accepted(tmp_path: Path) -> None:
    """Nothing is asked, and nothing tried again."""
    asked, naps = [], Naps()

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.append(request)
        return web.Response(body=PNG)

    (tmp_path / "certificate.pem").write_text(CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem")
    app = web.Application()
    app.router.add_get("/x", handle)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=context)
    error = await refusal(result(f"https://127.0.0.1:{server.port}/x"), tmp_path / "out", sleep=naps)
    await server.close()
    assert "the server's certificate is not valid" in str(error)
    assert ([], []) == (asked, naps.taken)


async def test_a_server_that_speaks_no_tls_is_not_asked_in_the_clear(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """It cannot be reached by https."""
    shelf = Shelf()
    origin = await serve(x=shelf.answer)
    error = await refusal(result(f"{origin.replace('http', 'https')}/x"), tmp_path, DownloadPolicy(attempts=1))
    assert "the server could not be reached" in str(error)
    assert [] == shelf.seen


async def test_no_credential_goes_with_the_request(
    tmp_path: Path, serve: Callable[..., Awaitable[str]], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No cookie, no password from the environment, no proxy from it; only what a file needs."""
    shelf = Shelf()

    async def handle(request: web.Request) -> web.StreamResponse:
        shelf.seen.append(request)
        return web.Response(status=302, headers={"Location": "/y", "Set-Cookie": "a=b"})

    origin = await serve(x=handle, y=shelf.answer)
    (home / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    await download(result(f"{origin}/x"), tmp_path)
    expected = {"Host", "User-Agent", "Accept", "Accept-Encoding"}
    assert [expected, expected] == [set(request.headers) for request in shelf.seen]
    assert "identity" == shelf.seen[0].headers["Accept-Encoding"]


async def test_a_link_goes_out_to_the_byte(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """A signature would not fit another spelling of the same link."""
    shelf = Shelf()
    origin = await serve(x=shelf.answer)
    await download(result(f"{origin}/x?a=%3a%2F&b=1+2%20&c=~"), tmp_path)
    assert "/x?a=%3a%2F&b=1+2%20&c=~" == shelf.seen[0].raw_path


async def test_a_link_with_other_characters_is_quoted(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """Nothing in a link can end the request's first line."""
    shelf = Shelf()
    origin = await serve(x=shelf.answer)
    await download(result(f"{origin}/x?a=ü b\r\nX-Evil: 1"), tmp_path)
    assert "X-Evil" not in shelf.seen[0].headers
    assert shelf.seen[0].raw_path.startswith("/x?a=%C3%BC")


async def test_a_session_can_be_shared(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """It is left open for the next download."""
    origin = await serve(x=Shelf().answer)
    async with open_session() as session:
        await download(result(f"{origin}/x", job_id="1"), tmp_path, session=session)
        await download(result(f"{origin}/x", job_id="2"), tmp_path, session=session)
        assert not session.closed


async def test_a_session_that_checks_nothing_is_not_used(tmp_path: Path) -> None:
    """Such a session would connect to anything."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(TypeError, match="open_session"):
            await download(result(), tmp_path, session=session)


# Where to


async def test_a_name_never_comes_from_outside(tmp_path: Path, serve: Callable[..., Awaitable[str]]) -> None:
    """Neither a URL, a header, an id nor a prompt leads out of the directory."""
    origin = await serve(x=replying(body=PNG, Content_Disposition='attachment; filename="../../evil.sh"'))
    made = result(f"{origin}/x?/../../evil.sh", job_id="../../etc/passwd", prompt="../../../etc/\x00shadow")
    (path,) = await download(made, tmp_path / "out")
    assert tmp_path / "out" / "etcpassw-etc-shadow-1.png" == path
    assert ["out"] == names(tmp_path)


@pytest.mark.parametrize("link", [os.symlink, os.link])
async def test_a_link_in_the_place_of_a_part_is_not_followed(
    tmp_path: Path, serve: Callable[..., Awaitable[str]], link: Callable[[Path, Path], None]
) -> None:
    """What it points at stays as it is, whether the link is symbolic or hard."""
    origin = await serve(x=Shelf(cuts=[1000]).answer)
    made, precious = result(f"{origin}/x"), tmp_path / "precious"
    precious.write_bytes(b"precious")
    await refusal(made, tmp_path / "out", DownloadPolicy(attempts=1))
    (part,) = parts(tmp_path / "out")
    part.unlink()
    link(precious, part)

    (path,) = await download(made, tmp_path / "out")

    assert (b"precious", PNG) == (precious.read_bytes(), path.read_bytes())
    assert not path.is_symlink()


async def test_a_symbolic_link_under_the_final_name_is_not_replaced_nor_followed(
    tmp_path: Path, serve: Callable[..., Awaitable[str]]
) -> None:
    """The file gets a free name; a dangling link counts too."""
    origin = await serve(x=Shelf().answer)
    link = tmp_path / "01234567-a-misty-valley-at-dawn-1.png"
    link.symlink_to(tmp_path / "elsewhere")
    (path,) = await download(result(f"{origin}/x"), tmp_path)
    assert "01234567-a-misty-valley-at-dawn-1_2.png" == path.name
    assert link.is_symlink()
    assert not (tmp_path / "elsewhere").exists()


async def test_a_directory_that_is_replaced_on_the_way_is_not_written_to(
    tmp_path: Path, serve: Callable[..., Awaitable[str]]
) -> None:
    """Somebody who puts a link in its place gets no file of ours, and no file of theirs is taken for ours."""
    out, precious = tmp_path / "out", tmp_path / "precious"
    precious.mkdir()

    async def handle(request: web.Request) -> web.StreamResponse:
        (part,) = parts(out)
        (precious / part.name).write_bytes(b"evil")
        out.rename(tmp_path / "moved")
        out.symlink_to(precious)
        return web.Response(body=PNG)

    origin = await serve(x=handle)
    error = await refusal(result(f"{origin}/x"), out)
    assert f"'{out}' was moved or replaced while it was written" in str(error)
    assert [b"evil"] == [path.read_bytes() for path in precious.iterdir()]


async def test_a_directory_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    """It names the directory and says what to do, before anything is asked."""
    (tmp_path / "out").write_bytes(b"")
    error = await refusal(result("http://127.0.0.1:1/x"), tmp_path / "out")
    assert f"it cannot be written to '{tmp_path / 'out'}'" in str(error)
    assert "choose another directory" in str(error)


@pytest.fixture
def small_files() -> Iterator[None]:
    """Let no file of this process be larger than 64 KiB, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_is_an_error_and_leaves_no_part(
    tmp_path: Path, serve: Callable[..., Awaitable[str]], small_files: None
) -> None:
    """A part that cannot grow would only take up room."""
    origin = await serve(x=Shelf().answer)
    error = await refusal(result(f"{origin}/x"), tmp_path)
    assert f"there is no room for it in '{tmp_path}' ({os.strerror(errno.EFBIG)}); make some and run it again" in str(error)
    assert [] == names(tmp_path)


@pytest.mark.parametrize("field", ["max_bytes", "timeout", "stall", "attempts", "concurrency"])
def test_a_policy_of_nothing_is_refused(field: str) -> None:
    """None of the numbers may be zero: no download could ever end."""
    with pytest.raises(ValueError, match=field):
        DownloadPolicy(**{field: 0})  # type: ignore[arg-type]
