"""The conformance kit: a provider that keeps the contract passes, and each way of breaking it is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import count
from typing import Any, cast
from urllib.parse import quote as escape

import attrs
import genbridge_sseedance as sseedance
import pytest

from genbridge import (
    Asset,
    Backend,
    Call,
    Capabilities,
    Choice,
    Exchange,
    Fields,
    File,
    Group,
    ImageRequest,
    Job,
    JobStatus,
    Limits,
    Media,
    Model,
    NotFoundError,
    Option,
    PluginError,
    PollPolicy,
    Price,
    Problem,
    Provider,
    Quote,
    Range,
    Reference,
    ReferenceRole,
    ReferenceRule,
    Reply,
    Request,
    RequestError,
    ServiceError,
    Setting,
    Snapshot,
    TransportError,
    UnknownProviderError,
    VideoRequest,
    hookimpl,
)
from genbridge.testing import ConformanceError, check_provider

IMAGES = Model(
    id="pixel",
    provider_id="pixel-1",
    media=Media.IMAGE,
    capabilities=Capabilities(
        count=Choice((1, 2), default=1),
        options=(
            Option("mood", Choice(("calm", "wild"), default="calm")),
            Option("frame", Group([Option("width", Range(0, 9, default=1))])),
        ),
    ),
    prices=(Price(amount=3, per="image", when={"mood": "calm"}), Price(amount=5, per="image", when={"mood": "wild", "count": 1})),
)
VIDEOS = Model(
    id="reel",
    provider_id="reel-1",
    media=Media.VIDEO,
    capabilities=Capabilities(
        duration=Range(1, 9, default=5),
        references=(ReferenceRule(role=ReferenceRole.EXTEND, kind=Media.VIDEO, least=1, seconds=(2.0, 4.0), needs_duration=True),),
    ),
    expected=30.0,
)
CLOSED = Model(id="closed", provider_id="closed-1", media=Media.VIDEO, unavailable="it has not opened")
PROVIDER = Provider(
    name="pixels",
    base_url="https://pixels.example/api",
    key_variable="PIXELS_KEY",
    key_url="https://pixels.example/keys",
    models=(IMAGES, VIDEOS, CLOSED),
    settings=(Setting(name="region", description="where", default="eu"),),
)
WORDS = {"waiting": JobStatus.QUEUED, "done": JobStatus.SUCCEEDED, "stopped": JobStatus.CANCELLED}


@attrs.define
class Service:
    """A small service."""

    key: str = "pixels-key"
    jobs: dict[str, dict[str, Any]] = attrs.field(factory=dict)

    def answer(self, call: Call, now: float) -> Reply:
        """Answer one call."""
        match (call.method, *call.path.removeprefix("/api").strip("/").split("/")):
            case ("GET", "files", _):
                return Reply(status=200, body=b"a picture")
            case _ if call.headers.get("authorization") != f"Bearer {self.key}":
                return Reply.of({"error": "who are you?"}, status=401)
            case ("GET", "models"):
                return Reply.of({"models": ["pixel-1"]})
            case ("POST", "uploads"):
                return Reply.of({"url": "https://pixels.example/files/upload.png"})
            case ("POST", "jobs"):
                return self._submit(call, now)
            case ("GET", "keys", key):
                return self._show(next((job_id for job_id, job in self.jobs.items() if job["key"] == key), ""), call, now)
            case ("GET", "jobs", job_id):
                return self._show(job_id, call, now)
            case ("DELETE", "jobs", job_id) if job_id in self.jobs:
                self.jobs[job_id]["stopped"] = True
                return self._show(job_id, call, now)
        return Reply.of({"error": "there is no such thing"}, status=404)

    def _submit(self, call: Call, now: float) -> Reply:
        fields = Fields(call.json)
        if not fields.text("prompt"):
            return Reply.of({"error": "no prompt"}, status=400)
        job_id = f"j{len(self.jobs) + 1}"
        self.jobs[job_id] = {"key": fields.text("key") or "", "since": now, "stopped": False}
        return self._show(job_id, call, now)

    def _show(self, job_id: str, call: Call, now: float) -> Reply:
        job = self.jobs.get(job_id)
        if job is None:
            return Reply.of({"error": "there is no such job"}, status=404)
        word = "stopped" if job["stopped"] else "done" if now - job["since"] > 5 else "waiting"
        files = [f"{call.origin}/files/{job_id}.png"] if word == "done" else []
        return Reply.of({"job": {"id": job_id, "word": word, "files": files}})


class Good:
    """A plugin that has every hook and keeps the contract."""

    @hookimpl
    def describe(self) -> Any:
        """Return the facts."""
        return PROVIDER

    @hookimpl
    def submit(self, backend: Backend, request: Request, key: str | None) -> Any:
        """Describe the paid call."""
        document = {"model": request.model, "prompt": request.prompt, "key": key, "region": backend.settings["region"]}
        return Call.post("/jobs", json=document, repeatable=key is not None)

    @hookimpl
    def poll(self, job: Job) -> Any:
        """Ask for the job."""
        return Call.get(f"/jobs/{escape(job.provider_id or '', safe='')}")

    @hookimpl
    def normalize(self, job: Job, reply: Reply) -> Any:
        """Read a reply."""
        if not reply.ok:
            raise ServiceError.for_status(reply.status, f"it said {reply.status}", retry_after=reply.retry_after)
        fields = reply.fields().item("job")
        provider_id, status = fields.text("id"), WORDS.get(fields.text("word") or "")
        if provider_id is None or status is None:
            raise TransportError("it is no job")
        assets = tuple(Asset(url=url, media=job.media) for url in fields.texts("files"))
        if status is JobStatus.SUCCEEDED and not assets:
            status = JobStatus.RUNNING
        return Snapshot(status=status, provider_id=provider_id, assets=assets)

    @hookimpl
    def check(self, request: Request) -> Any:
        """Name what does not go together."""
        return [Problem("prompt", "not that")] if request.prompt == "forbidden" else None

    @hookimpl
    def quote(self, request: Request) -> Any:
        """Price a long prompt."""
        return Quote(amount=9, unit="credits") if len(request.prompt) > 100 else None

    @hookimpl
    def upload(self, file: File) -> Any:
        """Upload in one call."""

        def exchange() -> Exchange[str]:
            reply = yield Call.post("/uploads", json={"name": file.name}, repeatable=True)
            return reply.fields().text("url") or ""

        return exchange()

    @hookimpl
    def cancel(self, job: Job) -> Any:
        """Stop a job."""
        return Call(method="DELETE", url=f"/jobs/{job.provider_id}")

    @hookimpl
    def recover(self, job: Job) -> Any:
        """Look a job up by its key."""

        def exchange() -> Exchange[Reply | None]:
            reply = yield Call.get(f"/keys/{job.key}")
            return None if reply.status == 404 else reply

        return exchange()

    @hookimpl
    def models(self) -> Any:
        """Ask for the list."""
        return Call.get("/models")

    @hookimpl
    def catalogue(self, reply: Reply) -> Any:
        """Read the list."""
        return [attrs.evolve(IMAGES, provider_id=name) for name in reply.fields().texts("models")]

    @hookimpl
    def emulate(self) -> Any:
        """Return the service."""
        return Service()


def violations(plugin: object, **given: Any) -> list[str]:
    """Return what the kit says of a plugin."""
    try:
        check_provider(plugin, **given)
    except ConformanceError as error:
        return [str(problem) for problem in error.problems]
    return []


def test_a_provider_that_keeps_the_contract_passes() -> None:
    """There is nothing to say about it, also with examples of its own."""
    clip = Reference("https://files.example/a.mp4", role=ReferenceRole.EXTEND, duration=3.0)
    examples = [
        ImageRequest("a cat" * 40, count=2, options={"mood": "wild"}),
        VideoRequest("a cat", duration=2, references=(clip,)),
    ]
    assert [] == violations(Good(), examples=examples)


def test_the_smallest_provider_passes() -> None:
    """Only four hooks are required."""

    class Smallest:
        describe = Good.describe
        submit = Good.submit
        poll = Good.poll
        normalize = Good.normalize

    assert [] == violations(Smallest())


def test_an_installed_provider_is_found_by_its_name() -> None:
    """It is loaded by its entry point, and one that nobody has is an error."""
    check_provider("sseedance")
    with pytest.raises(UnknownProviderError, match="there is no provider 'sseedanse'; did you mean 'sseedance'"):
        check_provider("sseedanse")


def test_documented_replies_are_tried_as_well() -> None:
    """A reply that the emulator does not give can show what `normalize` cannot read."""

    class Brittle(Good):
        @hookimpl
        def normalize(self, job: Job, reply: Reply) -> Any:
            if reply.ok and b"extra" in reply.body:
                return reply.json()["extra"]["word"]
            return Good.normalize(self, job, reply)

    assert [] == violations(Brittle(), replies=[Reply(status=200, body=b"not JSON")])
    found = violations(Brittle(), replies=[Reply.of({"extra": {"word": "done"}})])
    assert any("its hook 'normalize', which returned str, not a Snapshot" in line for line in found)
    assert any("KeyError: 'word'" in line for line in found)


def test_the_error_lists_everything_that_is_wrong() -> None:
    """It is one error with a line for each violation, named by its hook."""

    class Broken(Good):
        @hookimpl
        def describe(self) -> Any:
            return attrs.evolve(PROVIDER, base_url="https://pixels.example/api/")

        @hookimpl
        def cancel(self, job: Job) -> Any:
            return "stop"

    with pytest.raises(ConformanceError) as caught:
        check_provider(Broken())
    lines = str(caught.value).splitlines()
    assert lines[0] == f"Broken does not keep the contract of a genbridge provider, {len(lines) - 1} violations:"
    assert lines[1].startswith("  describe: the base URL 'https://pixels.example/api/' is not an https URL")
    assert {"describe", "cancel"} <= {problem.field for problem in caught.value.problems}


def test_a_single_violation_is_said_as_one() -> None:
    """The first line counts in words."""
    assert "P does not keep the contract of a genbridge provider, one violation:\n  poll: no" == str(
        ConformanceError("P", [Problem("poll", "no")])
    )


def without(*names: str) -> object:
    """Return the good plugin without some of its hooks."""
    hooks = {name: value for name, value in vars(Good).items() if not name.startswith("_") and name not in names}
    return type("Partial", (), hooks)()


@pytest.mark.parametrize("name", ["describe", "submit", "poll", "normalize"])
def test_a_required_hook_must_be_there(name: str) -> None:
    """The missing one is named, and nothing else is tried."""
    assert [f"hooks: it lacks the required hook {name}"] == violations(without(name))


def test_a_live_catalogue_needs_both_its_hooks() -> None:
    """One of them alone is of no use."""
    expected = "models: `models` asks for the live catalogue and `catalogue` reads it: write both or neither"
    assert expected in violations(without("catalogue"))
    assert expected in violations(without("models"))


def test_a_function_without_its_mark_is_noticed() -> None:
    """It would never be called, whether the hook is required or not."""

    class Unmarked(Good):
        def poll(self, job: Job) -> Any:
            return Call.get("/jobs")

        def cancel(self, job: Job) -> Any:
            return Call.post("/stop")

    expected = [
        "cancel: there is a function of that name, but it is not marked with @genbridge.hookimpl",
        "hooks: it lacks the required hook poll (poll is there, but not marked with @hookimpl)",
    ]
    assert expected == violations(Unmarked())


def test_what_genbridge_would_not_load_is_noticed() -> None:
    """All that is wrong with the hooks, in the words that a user of the package would get; nothing is called then."""

    class Unusable(Good):
        @hookimpl
        async def cancel(self, job: Job) -> Any:
            return Call.get("/jobs")

        @hookimpl
        def normalise(self, reply: Reply) -> Any:
            return None

        @hookimpl
        def poll(self, jib: Job) -> Any:
            return Call.get("/jobs")

        @hookimpl
        def recover(self, job: Job = None) -> Any:  # type: ignore[assignment]
            return None

    expected = [
        "cancel: its hook 'cancel' is `async def`; hooks describe calls and are plain functions or generators",
        "normalise: there is no hook 'normalise'; did you mean 'normalize'?",
        "poll: its hook 'poll' has an unknown argument 'jib'; did you mean 'job'?; it may take backend, job",
        "recover: its hook 'recover' would never be given the argument 'job=None'; write plainly 'job'",
    ]
    assert expected == violations(Unusable())


def described(**changes: Any) -> object:
    """Return the good plugin with other facts."""

    class Described(Good):
        @hookimpl
        def describe(self) -> Any:
            return attrs.evolve(PROVIDER, **changes)

    return Described()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": "Pixels"}, "the name 'Pixels' is not of lower-case letters"),
        (
            {"base_url": "https://pixels.example/api/"},
            "the base URL 'https://pixels.example/api/' is not an https URL without '/' at its end",
        ),
        ({"base_url": "pixels.example"}, "base_url: 'pixels.example' is not a URL"),
        ({"base_url": "http://127.0.0.1/api"}, "the base URL 'http://127.0.0.1/api' is not an https URL"),
        ({"key_variable": "pixels-key"}, "key_variable: 'pixels-key' is not the name of an environment variable"),
        ({"key_variable": "pixels_key"}, "the key variable 'pixels_key' is not of upper-case letters"),
        ({"key_url": "http://pixels.example"}, "the key URL 'http://pixels.example' is not an https URL"),
        ({"auth_header": "X Key"}, "the auth header 'X Key' is not a header's name"),
        ({"models": (CLOSED,)}, "it has no model that can be used"),
        ({"models": (IMAGES, IMAGES)}, "models: 'pixel' is there more than once for image"),
        (
            {"models": (IMAGES, attrs.evolve(IMAGES, id="p"))},
            "of the provider's ids of its image models these are there twice: pixel-1",
        ),
        (
            {"models": (IMAGES, attrs.evolve(IMAGES, id="p", provider_id="p-1", aliases=("pixel",)))},
            "of the aliases of its image models",
        ),
        ({"models": (IMAGES, "reel")}, "models holds str, not only Model"),
        ({"poll": PollPolicy(interval=0)}, "poll.interval is 0, not a positive number"),
        ({"limits": Limits(submits=-1)}, "limits.submits is -1, not a positive number"),
        ({"refusals": frozenset({200, 400})}, "refusals has [200], which are not HTTP errors"),
        (
            {
                "settings": (
                    Setting(name="a", description="x"),
                    Setting(name="a", description="y"),
                    Setting(name="region", description="z"),
                )
            },
            "of its settings these are there twice: a",
        ),
    ],
)
def test_wrong_facts_are_named(changes: dict[str, Any], expected: str) -> None:
    """Each of them is a violation of `describe` that quotes the value."""
    assert any(line.startswith(f"describe: {expected}") for line in violations(described(**changes)))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"id": ""}, "an id is empty"),
        ({"expected": 0}, "the expected time is 0, not a positive number of seconds"),
        ({"capabilities": Capabilities(count=Choice((1, 2), default=3))}, "the default of count: 3 is not one of 1, 2"),
        (
            {"capabilities": Capabilities(options=(Option("a", Range(0, 1, default=2)),))},
            "the default of option 'a': 2 is not between 0 and 1",
        ),
        (
            {"capabilities": Capabilities(options=(Option("g", Group([Option("a", Range(0, 1, default=2))])),))},
            "the default of option 'a' of 'g': 2 is not between 0 and 1",
        ),
        (
            {"capabilities": Capabilities(options=(Option("a", Choice("x")), Option("a", Choice("y"))))},
            "these options are there twice: a",
        ),
        (
            {
                "capabilities": Capabilities(
                    references=(ReferenceRule(role=ReferenceRole.STYLE), ReferenceRule(role=ReferenceRole.STYLE))
                )
            },
            "there are two rules for the references image as style",
        ),
        (
            {"capabilities": Capabilities(references=(ReferenceRule(role=ReferenceRole.STYLE, least=2),))},
            "the rule for image as style wants at least 2 and at most 1",
        ),
        ({"prices": (Price(amount=-1),)}, "a price is -1"),
        ({"prices": (Price(amount=1, when={"mode": "x"}),)}, "the price of 1 depends on mode, which no request has"),
        (
            {"prices": (Price(amount=1, when={"count": 7}),)},
            "the price of 1 is for a count that it does not take: 7 is not one of 1, 2",
        ),
    ],
)
def test_what_is_wrong_with_a_model_is_named(changes: dict[str, Any], expected: str) -> None:
    """Each of them is a violation of `describe` that names the model."""
    model = attrs.evolve(IMAGES, **changes)
    assert f"describe: model {model.id!r}: {expected}" in violations(described(models=(model, VIDEOS)))


def test_describe_must_return_facts_that_stay() -> None:
    """Anything else, an error or another answer each time is a violation."""

    class Nothing(Good):
        @hookimpl
        def describe(self) -> Any:
            return None

    class Raising(Good):
        @hookimpl
        def describe(self) -> Any:
            raise OSError("no network")

    class Changing(Good):
        numbers = count()

        @hookimpl
        def describe(self) -> Any:
            return attrs.evolve(PROVIDER, title=f"Pixels {next(self.numbers)}")

    assert ["describe: its hook 'describe' returned NoneType, not a Provider"] == violations(Nothing())
    assert ["describe: its hook 'describe' failed with OSError: no network"] == violations(Raising())
    assert "describe: it returned different facts the second time" in violations(Changing())


def test_examples_must_be_valid() -> None:
    """An author hears that an example is for no model, or what is wrong with it, also by the plugin's own check."""
    found = violations(
        Good(), examples=[ImageRequest("a cat", model="pixie"), ImageRequest("a cat", count=9), ImageRequest("forbidden")]
    )
    assert ["pixie", "9", "forbidden"] == [
        word for word, line in zip(("pixie", "9", "forbidden"), found, strict=True) if word in line
    ]
    assert all(line.startswith("examples: ") for line in found)


def test_a_model_whose_smallest_request_cannot_be_guessed_needs_an_example() -> None:
    """With the example it is tried; without, that is a violation."""

    class Picky(Good):
        @hookimpl
        def check(self, request: Request) -> Any:
            return [] if request.prompt == "magic" or request.model != "pixel" else [Problem("prompt", "say the word")]

    (found,) = violations(Picky())
    expected = "examples: what model 'pixel' needs cannot be guessed (prompt: say the word); give an example of a request for it"
    assert expected == found
    assert [] == violations(Picky(), examples=[ImageRequest("magic")])


def submitting(submit: Callable[[Backend, Request, str | None], Any]) -> object:
    """Return the good plugin with another submit."""

    class Submitting(Good):
        @hookimpl
        def submit(self, backend: Backend, request: Request, key: str | None) -> Any:
            return submit(backend, request, key)

    return Submitting()


NUMBERS = count()
DOCUMENT = {"prompt": "a cat"}


@pytest.mark.parametrize(
    ("submit", "expected"),
    [
        (lambda backend, request, key: "call", "which returned str, not a Call or an exchange"),
        (lambda backend, request, key: 1 / 0, "given a request for model 'pixel', it raised ZeroDivisionError"),
        (
            lambda backend, request, key: Call.post("jobs", json=DOCUMENT),
            "the call POST jobs has a path that does not begin with '/'",
        ),
        (lambda backend, request, key: Call.post("http://a.example/jobs", json=DOCUMENT), "goes to an address that is not https"),
        (lambda backend, request, key: Call.post(backend.base_url + "/jobs", json=DOCUMENT), None),
        (
            lambda backend, request, key: Call.post("https://pixels.example/api/jobs", json=DOCUMENT),
            "names the service's own address",
        ),
        (lambda backend, request, key: Call(method="post", url="/jobs", json=DOCUMENT), "has the method 'post'"),
        (
            lambda backend, request, key: Call.post("/jobs", json=DOCUMENT, headers={"Authorization": "x"}),
            "a hook never sees the key",
        ),
        (lambda backend, request, key: Call(method="POST", url="/jobs", json=DOCUMENT, body=b"x"), "has both json and body"),
        (
            lambda backend, request, key: Call(method="POST", url="/jobs", params=cast("dict[str, str]", {"a": 1}), json=DOCUMENT),
            "has params or headers that are not strings",
        ),
        (lambda backend, request, key: Call.post("/jobs", json={"at": datetime.min}), "cannot be written as JSON"),  # noqa: DTZ901
        (
            lambda backend, request, key: Call.post("/jobs", json={**DOCUMENT, "n": next(NUMBERS)}),
            "it described two different calls",
        ),
        (
            lambda backend, request, key: Call.post("/jobs", json={**DOCUMENT, "key": key}, repeatable=True),
            "it could be paid twice",
        ),
        (lambda backend, request, key: Call.post("/jobs", json=DOCUMENT, repeatable=bool(key)), "it could be paid twice"),
        (lambda backend, request, key: Call.post("/jobs", json=DOCUMENT), None),
    ],
)
def test_what_is_wrong_with_a_submit_is_named(submit: Callable[[Backend, Request, str | None], Any], expected: str | None) -> None:
    """Where nothing is wrong, `submit` is not mentioned."""
    found = [line for line in violations(submitting(submit)) if line.startswith("submit: ")]
    assert any(expected in line for line in found) if expected else not found


def test_the_paid_call_of_an_exchange_may_not_be_repeated_without_a_key() -> None:
    """The calls before it may: they cost nothing."""

    def submit(backend: Backend, request: Request, key: str | None) -> Exchange[Reply]:
        yield Call.post("/uploads", json={}, repeatable=True)
        return (yield Call.post("/jobs", json={"prompt": request.prompt}, repeatable=True))

    (found,) = violations(without_recover(submit))
    expected = (
        "submit: the call POST https://pixels.example/api/jobs says that it may be repeated, but has no idempotency key in it"
    )
    assert found.startswith(expected)


def without_recover(submit: Callable[[Backend, Request, str | None], Any]) -> object:
    """Return the good plugin with another submit, and without the look-up by key."""
    plugin = type(submitting(submit))
    hooks = {**vars(Good), **vars(plugin)}
    return type("Keyless", (), {name: value for name, value in hooks.items() if not name.startswith("_") and name != "recover"})()


FAILED = Snapshot(status=JobStatus.FAILED)


def silent() -> Exchange[Snapshot]:
    """Return a snapshot without having asked."""
    yield from ()
    return FAILED


def polling(poll: Callable[[Job], Any]) -> object:
    """Return the good plugin with another poll."""

    class Polling(Good):
        @hookimpl
        def poll(self, job: Job) -> Any:
            return poll(job)

    return Polling()


@pytest.mark.parametrize(
    ("poll", "expected"),
    [
        (lambda job: Call.get(f"/jobs/{job.provider_id}"), "quote it with urllib.parse.quote"),
        (lambda job: Call(method="GET", url=f"/jobs/{escape(job.provider_id, safe='')}"), "make it with Call.get"),
        (
            lambda job: Call.get(f"https://pixels.example/api/jobs/{escape(job.provider_id, safe='')}"),
            "names the service's own address",
        ),
        (lambda job: None, "which returned NoneType, not a Call or an exchange"),
        (lambda job: (call for call in list[Call]()), "the exchange of its hook 'poll' returned NoneType, not a Reply"),
        (lambda job: (snapshot for snapshot in [FAILED]), "it yielded Snapshot, not a Call"),
        (lambda job: silent(), "it described Snapshot, not a Call"),
    ],
)
def test_what_is_wrong_with_a_poll_is_named(poll: Callable[[Job], Any], expected: str) -> None:
    """An id is quoted, a poll may be repeated, and the base URL of a config is kept."""
    assert any(line.startswith("poll: ") and expected in line for line in violations(polling(poll)))


def test_an_exchange_may_end_with_a_call() -> None:
    """Its reply is the exchange's."""

    class Both(Good):
        @hookimpl
        def submit(self, backend: Backend, request: Request, key: str | None) -> Exchange[Any]:
            yield Call.get("/models")
            return Good.submit(self, backend, request, key)

        @hookimpl
        def poll(self, job: Job) -> Exchange[Any]:
            yield Call.get("/models")
            return Good.poll(self, job)

    assert [] == violations(Both())


@pytest.mark.parametrize("outcome", [None, 7, "j1", {"id": "j1"}])
def test_the_exchange_of_a_submit_or_poll_ends_with_a_reply(outcome: object) -> None:
    """Also on an answer that the emulator does not give, such as an error."""

    def ending(call: Call) -> Exchange[Any]:
        reply = yield call
        return reply if reply.ok else outcome

    expected = f"returned {type(outcome).__name__}, not a Reply"
    for hook, plugin in (
        ("poll", polling(lambda job: ending(Good().poll(job)))),
        ("submit", submitting(lambda backend, request, key: ending(Good().submit(backend, request, key)))),
    ):
        found = [
            line for line in violations(plugin) if line.startswith(f"{hook}: with its calls answered by HTTP 302 with b'{{}}'")
        ]
        assert [True] == [line.endswith(f"the exchange of its hook {hook!r} {expected}") for line in found]


@pytest.mark.parametrize(
    ("quote", "expected"),
    [
        (
            7,
            (
                "given a request for model 'pixel', the provider 'pixels' of the package 'Quoting' has a bug in its hook 'quote', "
                "which returned int, not a Quote or None"
            ),
        ),
        (Quote(amount=-1), "for a request for model 'pixel' it asks -1"),
        (Quote(amount=1, unit="euros"), "its unit is 'euros', but the provider's is 'credits'"),
        (Quote(amount=None), None),
    ],
)
def test_what_is_wrong_with_a_quote_is_named(quote: Any, expected: str | None) -> None:
    """An unknown amount is fine."""

    class Quoting(Good):
        @hookimpl
        def quote(self, request: Request) -> Any:
            return quote

    assert ([f"quote: {expected}"] if expected else []) == violations(Quoting())[:1]


def normalizing(change: Callable[[Job, Reply, Any], Any]) -> object:
    """Return the good plugin with a normalize that spoils what the good one makes."""

    class Normalizing(Good):
        @hookimpl
        def normalize(self, job: Job, reply: Reply) -> Any:
            return change(job, reply, lambda: Good.normalize(self, job, reply))

    return Normalizing()


def evolved(**changes: Any) -> Callable[[Job, Reply, Any], Any]:
    """Return a change that sets some of a snapshot's fields."""
    return lambda job, reply, good: attrs.evolve(good(), **changes)


def softened(kind: type[Exception], statuses: Iterable[int]) -> Callable[[Job, Reply, Any], Any]:
    """Return a change that raises something else for some statuses."""

    def change(job: Job, reply: Reply, good: Any) -> Any:
        if reply.status in statuses:
            raise kind(f"it said {reply.body.decode('latin-1')}")
        return good()

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda job, reply, good: reply.json()["job"]["id"], "it raised KeyError: 'job'"),
        (lambda job, reply, good: None, "which returned NoneType, not a Snapshot"),
        (evolved(status=JobStatus.PENDING), "is not one that a service can report"),
        (evolved(provider_id=None), "the job is queued, but has no provider_id; without one raise TransportError"),
        (evolved(provider_id=7), "the provider_id is 7, not a text"),
        (evolved(status=JobStatus.SUCCEEDED, assets=()), "the job has succeeded without any asset"),
        (evolved(progress=70), "the progress is 70, not between 0 and 1"),
        (evolved(poll_after="soon"), "poll_after is 'soon', not a number"),
        (evolved(assets=("https://a.example",)), "one of the assets is a str"),
        (evolved(assets=(Asset(url="", media=Media.IMAGE),)), "an asset has the URL ''"),
        (evolved(assets=(Asset(url="https://a.example", media="picture"),)), "an asset has the media 'picture', not a Media"),  # type: ignore[arg-type]
        (softened(NotFoundError, [502]), "the error quotes a page of HTML"),
        (softened(TransportError, [403]), "it raised TransportError; a 4xx is a ServiceError, see ServiceError.for_status"),
        (softened(RequestError, [500]), "it raised RequestError; raise ServiceError or TransportError"),
        (softened(PluginError, [429]), "it raised PluginError, not a RateLimitError with reply.retry_after"),
        (softened(ServiceError, [429]), "the error does not have reply.retry_after"),
        (
            lambda job, reply, good: Snapshot(status=JobStatus.FAILED, provider_id="j1") if reply.status == 502 else good(),
            "it ended a paid job as failed; a failed poll is only a missed one",
        ),
        (
            lambda job, reply, good: Snapshot(status=JobStatus.FAILED) if reply.status == 503 and not job.provider_id else good(),
            "it raised nothing; raise ServiceError for a refusal, TransportError for what cannot be read",
        ),
    ],
)
def test_what_is_wrong_with_normalize_is_named(change: Callable[[Job, Reply, Any], Any], expected: str) -> None:
    """Each way of misreading a reply is a violation that shows the reply."""
    assert any(line.startswith("normalize: ") and expected in line for line in violations(normalizing(change)))


@pytest.mark.parametrize(
    "document",
    [
        {"error": "no"},
        {"error": {"code": "no", "message": "no"}},
        {"errors": [{"message": "no"}]},
        {"success": False, "message": "no", "data": None},
        {"code": 40001, "message": "no", "data": None},
        {"code": "no", "msg": "no", "request_id": "r-1"},
        {"detail": "no"},
    ],
)
def test_an_error_under_a_status_of_success_is_no_accepted_job(document: dict[str, Any]) -> None:
    """An id that is made up, or is another thing's, would be polled for ever."""

    def change(job: Job, reply: Reply, good: Any) -> Any:
        if reply.status == 200 and reply.body == Reply.of(document).body:
            return Snapshot(status=JobStatus.QUEUED, provider_id=str(reply.json().get("id")))
        return good()

    (found,) = violations(normalizing(change))
    assert found.startswith("normalize: given, as the reply to a submit, HTTP 200 with ")
    assert found.endswith("it took an error for a job that is queued; raise ServiceError")


def test_the_services_own_errors_are_read_under_a_status_of_success_too() -> None:
    """Some services answer each error both ways; one that fails at once, or is a job under any status, is fine."""

    def change(job: Job, reply: Reply, good: Any) -> Any:
        if reply.ok and b"who are you?" in reply.body:
            return Snapshot(status=status, provider_id="None")
        return Snapshot(status=JobStatus.QUEUED, provider_id="j1") if reply.body == conflict.body else good()

    conflict = Reply.of({"job": {"id": "j1", "word": "waiting"}}, status=409)
    status = JobStatus.RUNNING
    (found,) = violations(normalizing(change))
    assert "who are you?" in found
    status = JobStatus.FAILED
    assert not [line for line in violations(normalizing(change), replies=[conflict]) if "took an error" in line]


def test_a_lasting_404_may_be_reported_as_expired() -> None:
    """It is the one thing that garbage may end a job as."""

    def change(job: Job, reply: Reply, good: Any) -> Any:
        return Snapshot(status=JobStatus.EXPIRED) if reply.status == 404 and job.provider_id else good()

    assert [] == violations(normalizing(change))


def serving(change: Callable[[Service, Call, float, Any], Any]) -> object:
    """Return the good plugin with another service."""

    class Spoilt(Service):
        def answer(self, call: Call, now: float) -> Any:
            return change(self, call, now, lambda: Service.answer(self, call, now))

    class Serving(Good):
        @hookimpl
        def emulate(self) -> Any:
            return Spoilt()

    return Serving()


def trusting(service: Service, call: Call, now: float, good: Any) -> Reply:
    """Answer whatever the key is."""
    return Service.answer(service, attrs.evolve(call, headers={"authorization": "Bearer pixels-key"}), now)


def paying(service: Service, call: Call, now: float, good: Any) -> Reply:
    """Answer a wrong key as if there were no credits."""
    reply: Reply = good()
    return Reply.of({}, status=402) if reply.status == 401 else reply


def failing(service: Service, call: Call, now: float, good: Any) -> Reply:
    """Stop every job at once."""
    reply: Reply = good()
    return Reply(status=reply.status, body=reply.body.replace(b"waiting", b"stopped"))


def knowing(service: Service, call: Call, now: float, good: Any) -> Reply:
    """Know every job."""
    reply: Reply = good()
    return (
        Reply.of({"job": {"id": "j1", "word": "waiting"}}) if reply.status == 404 and call.path.startswith("/api/jobs/0") else reply
    )


def forgetful(service: Service, call: Call, now: float, good: Any) -> Reply:
    """Forget the keys."""
    return Reply.of({}, status=404) if "/keys/" in call.path else good()


def confused(service: Service, call: Call, now: float, good: Any) -> Reply:
    """Find another job by each key."""
    return Reply.of({"job": {"id": "j7", "word": "waiting"}}) if "/keys/" in call.path else good()


def unstoppable(service: Service, call: Call, now: float, good: Any) -> Reply:
    """Go on with every job."""
    return Service.answer(service, attrs.evolve(call, method="GET"), now) if call.method == "DELETE" else good()


TOSSES = count()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (trusting, "emulate: it accepts a wrong key"),
        (paying, "normalize: a wrong key is refused with InsufficientCreditsError, not AuthenticationError"),
        (failing, "ended as cancelled (no reason is given); it is valid, so it should succeed"),
        (knowing, "poll: a job that the emulator does not know is queued; raise NotFoundError, or report it as expired"),
        (forgetful, "recover: it does not find the job that was submitted with that key"),
        (confused, "recover: it found the job 'j7', but 'j1' was submitted with that key"),
        (confused, "recover: for a key that was never used it does not return None, so that the job stays unknown for ever"),
        (unstoppable, "cancel: a job that was cancelled right after the submit ended as succeeded"),
        (
            lambda service, call, now, good: good() if call.json != 7 else call.json["x"],
            "emulate: given calls that make no sense, it raised TypeError",
        ),
        (lambda service, call, now, good: good() if call.json != 7 else None, "/jobs with NoneType, not a Reply"),
        (
            lambda service, call, now, good: Reply(status=404) if call.path.startswith("/files") else good(),
            "emulate: the file https://pixels.example/files/j1.png is answered with HTTP 404 and 0 bytes",
        ),
        (
            lambda service, call, now, good: attrs.evolve(good(), body=good().body + b" " * next(TOSSES)),
            "emulate: two emulators answered the same calls differently",
        ),
        (lambda service, call, now, good: Reply.of({}) if call.path.endswith("/models") else good(), "catalogue: it read no model"),
        (
            lambda service, call, now, good: Reply.of({}) if call.path.endswith("/uploads") else good(),
            "upload: it returned '', not a URL",
        ),
        (
            lambda service, call, now, good: Reply.of({"job": {"id": "j1", "word": "waiting"}}) if "/jobs" in call.path else good(),
            "it raised AssertionError: after 1000 polls the job has not ended on 'pixels'",
        ),
    ],
)
def test_what_goes_wrong_on_the_emulator_is_named(change: Callable[[Service, Call, float, Any], Any], expected: str) -> None:
    """A whole job, its file and the optional hooks are tried on the plugin's own emulator."""
    assert any(expected in line for line in violations(serving(change)))


def test_an_emulator_is_something_that_answers() -> None:
    """Anything else is a violation, and is not used."""

    class Mute(Good):
        @hookimpl
        def emulate(self) -> Any:
            return "emulator"

    assert ["emulate: it returned str, which has no `key` and `answer(call, now)`"] == violations(Mute())


def emulating(kind: Callable[[], Any]) -> object:
    """Return the good plugin with another emulator."""

    class Emulating(Good):
        @hookimpl
        def emulate(self) -> Any:
            return kind()

    return Emulating()


def test_the_state_of_an_emulator_can_be_kept() -> None:
    """What comes back different, or cannot be read again, is a violation."""

    @attrs.define
    class Forgetful(Service):
        place: Any = (1, 2)

    @attrs.define
    class Opaque(Service):
        since: datetime = datetime.min  # noqa: DTZ901

    expected = "emulate: its state is not the same after it was written down and read again with cattrs"
    assert [expected] == violations(emulating(Forgetful))
    (found,) = violations(emulating(Opaque))
    assert found.startswith("emulate: its state written down and read again with cattrs, it raised")


def test_an_emulator_need_not_be_of_attrs() -> None:
    """Then its state is its own affair."""

    class Plain:
        key = "pixels-key"

        def __init__(self) -> None:
            self.service = Service()

        def answer(self, call: Call, now: float) -> Reply:
            return self.service.answer(call, now)

    assert [] == violations(emulating(Plain))


def test_the_shape_of_optional_hooks_is_checked_without_an_emulator() -> None:
    """Each of them describes calls; an upload may also return a URL at once."""

    class Shapeless(Good):
        @hookimpl
        def cancel(self, job: Job) -> Any:
            return 7

        @hookimpl
        def recover(self, job: Job) -> Any:
            return Call.get("keys")

        @hookimpl
        def models(self) -> Any:
            raise ValueError("no list")

        @hookimpl
        def upload(self, file: File) -> Any:
            return "data:image/png;base64,"

        @hookimpl
        def emulate(self) -> Any:
            return None

    found = violations(Shapeless())
    assert any(line.startswith("cancel: called, ") and "returned int, not a Call or an exchange" in line for line in found)
    assert "recover: the call GET keys has a path that does not begin with '/'" in found
    assert "models: called, it raised ValueError: no list" in found
    assert not any(line.startswith("upload") for line in found)


PICTURE = Reference("https://files.example/a.png", role=ReferenceRole.FIRST_FRAME)
BUILT_IN: dict[str, list[Request]] = {
    "imini": [
        VideoRequest("a cat", model="seedance-2.0", duration=5, references=(PICTURE,)),
        ImageRequest("a cat", model="gpt-image-2"),
    ],
    "meigen": [
        VideoRequest("a cat", model="seedance-2.0", duration=5, references=(PICTURE,)),
        ImageRequest("a cat", model="gpt-image-2"),
    ],
    "sseedance": [ImageRequest("a cat", resolution="4k", aspect_ratio="21:9", count=2)],
}
"""Requests that each built-in provider is tried with, beside the smallest ones."""


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_every_built_in_provider_keeps_the_contract(name: str) -> None:
    """The providers that come with genbridge are held to what others are held to."""
    check_provider(name, examples=BUILT_IN[name])


def test_the_fixture_is_the_same_check(check_provider: Callable[..., None]) -> None:
    """The pytest plugin gives it to every test that asks."""
    check_provider(sseedance)
    with pytest.raises(ConformanceError, match="it lacks the required hook poll"):
        check_provider(without("poll"))
