"""What must hold of whatever comes from outside: a judge for each way in, which raises `AssertionError` where it does not.

The tests ask them about what Hypothesis makes up, and `tests/faults/fuzz.py` about what atheris makes up. They share no rules with
what they judge.
"""

from __future__ import annotations

import json
import math
import pickle
import re
import tomllib
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import attrs
from yarl import URL

from genbridge import (
    Backend,
    BackendError,
    Call,
    File,
    GenbridgeError,
    ImageRequest,
    Job,
    JobStatus,
    Media,
    Model,
    PluginError,
    Quote,
    Reply,
    Request,
    ServiceError,
    Snapshot,
    TransportError,
    Verdict,
    VideoRequest,
    transport,
)
from genbridge.backends import Account
from genbridge.cli.request import read_reference
from genbridge.config import BackendConfig, Config, Secret, load, parse
from genbridge.downloads.guard import check_link, read_link, without_query
from genbridge.downloads.places import find
from genbridge.errors import ConfigError, DownloadError, Problem
from genbridge.plugins import Plugin, installed
from genbridge.references import problems as reference_problems
from genbridge.timing import SystemClock

PROVIDERS = ("imini", "meigen", "sseedance")
KEY = "sk-fuzz/0123456789"
FORMS = (KEY, KEY.replace("/", "\\/"), KEY.replace("/", "%2F"), KEY.replace("/", "\\u002f"))
"""How a service may write the key that it was sent."""
CREATED = datetime(2026, 1, 1, tzinfo=UTC)

_NOTHING_STARTED = frozenset({400, 401, 402, 403, 404, 405, 410, 413, 415, 422, 429, 451})
"""The HTTP statuses that mean that a submit was refused, as the documentation has them."""
_IDS = {"imini": ("task_id",), "meigen": ("generationId", "jobId"), "sseedance": ("id",)}
"""The fields in which each service names the job that it made."""
_FOX = ImageRequest("a fox")
BASE_URL = "https://www.meigen.ai"
_LONGEST = 2000
_HUGE = 10**15


def _sound(text: str) -> None:
    """Judge a message: it can be written anywhere, is not endless and never tells the key."""
    text.encode()
    assert not any(form in text for form in FORMS), "it tells the key"
    assert "\x1b" not in text, "a terminal would obey it"
    assert len(text) < _LONGEST, "it is endless"


# Replies.


@attrs.frozen
class Line:
    """A transport on which every call has one answer."""

    reply: Reply

    async def send(self, call: Call, origin: object) -> Reply:
        return self.reply


class Hurry(SystemClock):
    """A clock on which no wait takes any time."""

    async def sleep(self, seconds: float) -> None:
        pass


@cache
def plugin_named(name: str) -> Plugin:
    """Return an installed provider."""
    return installed.load(name)


def account_at(name: str, reply: Reply) -> Account:
    """Return an account at a provider that answers everything with one reply."""
    config = BackendConfig(name=name, provider=name, api_key=Secret(KEY))
    line: Any = Line(reply)
    return Account(config, plugin_named(name), line, Hurry())


def model_of(name: str, media: Media) -> Model | None:
    """Return the first usable model of a provider for a medium."""
    models = plugin_named(name).provider.models
    return next((model for model in models if model.media is media and model.unavailable is None), None)


def job_at(name: str, media: Media, provider_id: str | None) -> Job:
    """Return a job at a provider, or one on its way there."""
    model = model_of(name, media) or model_of(name, Media.IMAGE)
    assert model is not None
    request: Request = VideoRequest("a fox") if media is Media.VIDEO else ImageRequest("a fox")
    return Job(
        id="job-1",
        key="3f0b7a52-7a43-4a7b-9a51-3d6d1f3b8a10",
        backend=name,
        provider=name,
        model=model.id,
        provider_model=model.provider_id,
        request=request,
        status=JobStatus.SUBMITTING if provider_id is None else JobStatus.RUNNING,
        quote=Quote(amount=5.0),
        created_at=CREATED,
        provider_id=provider_id,
    )


def at_once(work: Coroutine[Any, Any, Any]) -> Any:
    """Run what waits for nothing to its end, and return what comes of it or the error that does."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    except GenbridgeError as error:
        return error
    work.close()
    raise AssertionError("it waits for something")


def judge_reply(name: str, reply: Reply) -> None:
    """Give a reply to each hook of a provider that reads one."""
    for media in (Media.IMAGE, Media.VIDEO):
        if model_of(name, media) is not None:
            judge_submit(name, media, reply)
            judge_poll(name, media, reply)
    plugin = plugin_named(name)
    if plugin.supports("recover"):
        judge_look_up(name, reply)
    if plugin.supports("models"):
        judge_catalogue(name, reply)
    if plugin.supports("upload"):
        judge_upload(name, reply)


def judge_submit(name: str, media: Media, reply: Reply) -> None:
    """Judge a submit: it is accepted under an id, or refused by the rules, or else nobody knows."""
    job = job_at(name, media, None)
    outcome = at_once(account_at(name, reply).submit(job, job.request))
    if isinstance(outcome, Snapshot):
        assert outcome.provider_id, "it was accepted, and nobody knows as what"
        _judge_snapshot(outcome, job, reply)
        return
    assert isinstance(outcome, BackendError), f"a submit ended with {outcome!r}"
    _judge_error(outcome)
    assert outcome.verdict in {Verdict.REFUSED, Verdict.UNKNOWN}, f"{outcome.verdict} of a submit that was answered"
    if outcome.verdict is Verdict.REFUSED:
        _judge_refusal(name, reply, outcome)


def _judge_refusal(name: str, reply: Reply, error: BackendError) -> None:
    """Judge a refusal: it is one by its status, or, under a status of success, an error that can be named and names no job."""
    assert isinstance(error, ServiceError), "a refusal that nobody made"
    if not 200 <= reply.status < 300:
        assert reply.status in _NOTHING_STARTED, f"HTTP {reply.status} is taken for a refusal"
        return
    assert type(error) is not ServiceError, "an error that nobody can name is taken for a refusal"
    assert not _names_a_job(name, reply), "the reply names a job and is taken for a refusal"


def _names_a_job(name: str, reply: Reply) -> bool:
    """Whether the reply has the id of a job, where that provider's service has it."""
    document = _json(reply.body)
    data = document.get("data") if isinstance(document, dict) else None
    nested = [data] if isinstance(data, dict) else data if isinstance(data, list) else []
    places = [document, *(nested if name == "sseedance" else [])]
    return any(_is_id(place.get(field)) for place in places if isinstance(place, dict) for field in _IDS[name])


def _is_id(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return False
    return bool(str(value)) and not any("\ud800" <= character <= "\udfff" for character in str(value))


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def judge_poll(name: str, media: Media, reply: Reply) -> None:
    """Judge a poll: it is an observation of that very job, or an error of the backend's."""
    job = job_at(name, media, "id-1")
    outcome = at_once(account_at(name, reply).poll(job))
    if isinstance(outcome, Snapshot):
        assert outcome.provider_id == "id-1", f"the job is {outcome.provider_id!r} all of a sudden"
        _judge_snapshot(outcome, job, reply)
        return
    _judge_error(outcome)


def judge_look_up(name: str, reply: Reply) -> None:
    """Judge a look-up: only the service's own words prove that there is no such job."""
    job = job_at(name, Media.IMAGE, None)
    outcome = at_once(account_at(name, reply).recover(job))
    if outcome is None:
        assert reply.status == 404, f"HTTP {reply.status} proves that there is no such job"
        assert isinstance(_json(reply.body), dict), "a page proves that there is no such job"
    elif isinstance(outcome, Snapshot):
        _judge_snapshot(outcome, job, reply)
    else:
        _judge_error(outcome)


def judge_catalogue(name: str, reply: Reply) -> None:
    """Judge a live list: its models can be asked for, or it is an error."""
    models = at_once(account_at(name, reply).models(live=True))
    if isinstance(models, Exception):
        _judge_error(models)
        return
    ids = [(model.media, model.id) for model in models]
    assert len(ids) == len(set(ids)), "a model is there twice"
    assert all(model.id and model.provider_id for model in models), "a model has no name"


def judge_upload(name: str, reply: Reply) -> None:
    """Judge an upload: it ends with a URL, or an error, whatever came in between."""
    file = File(name="x.png", kind=Media.IMAGE, content_type="image/png", data=b"\x89PNG")
    plugin = plugin_named(name)
    steps = plugin.exchange("upload", backend=Backend(name=name, provider=name, base_url=plugin.provider.base_url), file=file)
    sent: Reply | None = None
    try:
        while True:
            call = steps.send(sent)  # type: ignore[arg-type]  # `None` starts a generator
            assert isinstance(call, Call)
            sent = reply
    except StopIteration as done:
        url = done.value
    except PluginError:
        raise
    except GenbridgeError as error:
        _judge_error(error, secret=False)
        return
    assert isinstance(url, str), "an upload without a URL"
    assert url, "an upload to nowhere"


def _judge_snapshot(snapshot: Snapshot, job: Job, reply: Reply) -> None:
    assert snapshot.status not in {JobStatus.PENDING, JobStatus.SUBMITTING, JobStatus.UNKNOWN}, f"a service says {snapshot.status}"
    assert 200 <= reply.status < 300, f"HTTP {reply.status} is taken for success"
    assert snapshot.assets or snapshot.status is not JobStatus.SUCCEEDED, "it has succeeded, and there is no file"
    for number in (snapshot.progress, snapshot.poll_after, snapshot.expected, snapshot.balance):
        assert number is None or (math.isfinite(number) and abs(number) <= _HUGE), f"{number!r} is no number to reckon with"
    assert snapshot.poll_after is None or snapshot.poll_after >= 0, "it is to be asked before now"
    assert snapshot.cost is None or snapshot.cost.amount is None or snapshot.cost.amount >= 0, "it costs less than nothing"
    for text in (snapshot.note, snapshot.failure and snapshot.failure.message, snapshot.failure and snapshot.failure.code):
        _sound(text or "")
    assert not any(form in repr(snapshot) for form in FORMS), "the key is in what was seen"
    assert job.provider_id is None or snapshot.provider_id == job.provider_id


def _judge_error(error: object, *, secret: bool = True) -> None:
    """Judge an error: it is the backend's and no bug of the plugin's, and can be told and sent to another process."""
    assert isinstance(error, ServiceError | TransportError), f"it ended with {error!r}"
    if secret:
        _sound(str(error))
        assert not any(form.encode() in pickle.dumps(error) for form in FORMS), "the pickled error holds the key"
    if isinstance(error, ServiceError):
        _judge_pause(error.retry_after)


# Times.


def _judge_pause(seconds: object) -> None:
    assert seconds is None or (isinstance(seconds, int | float) and 0 <= seconds < math.inf), f"wait {seconds!r} seconds"


def judge_retry_after(value: str, date: str, received: float | None) -> None:
    """Judge a `Retry-After`: it is a number of seconds that can be waited for, or nothing."""
    headers = {"retry-after": value} | ({"date": date} if date else {})
    _judge_pause(Reply(status=429, headers=headers, received=received).retry_after)


# Configuration.


class Providers(Mapping[str, Any]):
    """The installed providers, as the configuration knows them."""

    def __getitem__(self, name: str) -> Any:
        if name not in PROVIDERS:
            raise KeyError(name)
        return plugin_named(name).provider

    def __iter__(self) -> Iterator[str]:
        return iter(PROVIDERS)

    def __len__(self) -> int:
        return len(PROVIDERS)


def judge_config(text: str, *, path: Path) -> None:
    """Judge a file: it is a configuration or a `ConfigError`, and neither shows the key that may be in it."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError):
        document = None
    shown = KEY in repr(_without_keys(document))
    try:
        config = load(path, env={}, cwd=path.parent, user_dir=path.parent, providers=Providers())
    except ConfigError as error:
        _judge_problems(error.problems, shown=shown)
        return
    assert document is not None, "what is no TOML is a configuration"
    if not shown:
        _judge_config(config)


def judge_document(document: Mapping[str, Any]) -> None:
    """Judge the same of a document that was parsed already."""
    config, problems = parse(document, source=None, env={}, providers=Providers())
    _judge_problems(problems, shown=KEY in repr(_without_keys(document)))
    if not problems and KEY not in repr(_without_keys(document)):
        _judge_config(config)


def _without_keys(document: Any) -> Any:
    """Return a document without what stands where a key should: what stands in the place of a name is shown, and that is meant."""
    if isinstance(document, dict):
        return {name: _without_keys(value) for name, value in document.items() if name != "api_key"}
    return [_without_keys(value) for value in document] if isinstance(document, list) else document


def _judge_problems(problems: Iterable[Problem], *, shown: bool) -> None:
    for problem in problems:
        assert problem.message, "a mistake without words"
        assert shown or KEY not in str(problem), "a mistake tells the key"
        str(problem).encode("utf-8", "surrogatepass")


def _judge_config(config: Config) -> None:
    assert KEY not in repr(config), "the configuration shows the key"
    for name, backend in config.backends.items():
        assert backend.provider in PROVIDERS, f"backend {name!r} is at {backend.provider!r}"
        url = backend.base_url
        assert url is None or url.startswith("https://") or _on_this_machine(url), f"the key would be sent to {url!r}"
    for route in config.routes.values():
        assert set(route.backends) <= set(config.backends), "a route leads nowhere"
        assert route.backends, "a route is empty"
    if config.default is not None:
        config.candidates()


def _on_this_machine(url: str) -> bool:
    hosts = ("127.", "localhost", "[::1]", "[0:", "[::ffff:127.", "[::0")
    authority = url.lower().removeprefix("http://").partition("/")[0]
    return authority.rpartition("@")[2].startswith(hosts)


# Files.


def judge_sidecar(data: bytes, *, folder: Path) -> None:
    """Judge a sidecar: its file is taken for the job's when it says so and has the digest, and else is left alone."""
    file = folder / "job-a-fox-1.png"
    file.write_bytes(b"a file")
    (folder / "job-a-fox-1.png.json").write_bytes(data)
    found = find(folder, "job-a-fox-1", "job-1")
    document = _json(data)
    said = document if isinstance(document, dict) else {}
    right = (said.get("job_id"), said.get("sha256"), said.get("bytes")) == ("job-1", sha256(b"a file").hexdigest(), 6)
    assert (file if right else None) == found, f"the file is {'not ' if right else ''}taken for the job's"


# Addresses.


def judge_link(text: str) -> None:
    """Judge a link: it is refused, or leads to an https address or to this machine, without a password."""
    shown = without_query(text)
    if shown.lower().startswith(("http://", "https://")):
        assert "@" not in shown.partition("://")[2].partition("/")[0], "a password is shown"
    try:
        url = read_link(text)
        check_link(url, previous=None, allow_private=False)
    except DownloadError as error:
        error.message.encode("utf-8", "surrogatepass")
        return
    assert url.scheme == "https" or _on_this_machine(f"{url.scheme}://{url.raw_authority}"), f"{text!r} may be fetched"
    assert url.raw_user is None


def judge_location(text: str) -> None:
    """Judge an address from a reply: it may be called or is an error in words, and as a redirect it is told without the key."""
    secret = Secret(KEY)
    origin = transport.Origin(base_url=BASE_URL, headers={"authorization": f"Bearer {KEY}"}, secret=secret)
    try:
        url = transport._url(Call.get(text), origin)
    except TransportError as error:
        error.message.encode("utf-8", "surrogatepass")
    else:
        assert url.scheme == "https" or _on_this_machine(f"{url.scheme}://{url.raw_authority}"), f"{text!r} may be called"
        assert not origin.owns(url) or _host(str(url)) == "www.meigen.ai", f"the key would go to {url}"
    led = transport._redirection(Reply(status=302, headers={"location": text}), Call.get("/x"), URL(BASE_URL), secret)
    assert led is not None, "a redirect is taken for an answer"
    assert led.verdict is Verdict.UNKNOWN
    assert KEY not in led.message, "the redirect's words hold the key"


def judge_reference(text: str) -> None:
    """Judge a reference: it is refused in words, or is one that leads to no private address."""
    try:
        reference = read_reference(text)
    except ValueError:
        return
    rules = {(rule.role, rule.kind) for rule in _model().capabilities.references}
    if (reference.role, reference.kind) not in rules:
        return  # it is refused for that, before anybody looks where it leads
    problems = list(reference_problems(attrs.evolve(_FOX, references=(reference,)), _model(), base_url=BASE_URL))
    assert all(problem.message for problem in problems)
    if isinstance(reference.source, str) and not problems:
        host = _host(reference.source)
        assert host is None or not _private(host), f"the service would be sent to {host!r}"


def _model() -> Model:
    model = model_of("meigen", Media.IMAGE)
    assert model is not None
    return model


def _host(source: str) -> str | None:
    """Return the host that a browser would go to."""
    scheme, separator, rest = source.partition("://")
    if not separator or scheme.lower() not in {"http", "https"}:
        return None
    authority = re.split(r"[/\\?#]", rest.lstrip("/\\"), maxsplit=1)[0].rpartition("@")[2]
    return re.sub(r":\d*$", "", authority).strip("[]").lower()


def _private(host: str) -> bool:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host.rstrip(".") == "localhost"
    return not address.is_global
