"""Find, load and check a provider."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from textwrap import dedent
from types import ModuleType, SimpleNamespace
from typing import Any

import attrs
import pytest

from genbridge import hookspecs, plugins
from genbridge.catalogue import Model, Provider
from genbridge.errors import PluginError, Problem, ServiceError, UnknownProviderError
from genbridge.hookspecs import hookimpl
from genbridge.plugins import PROVIDERS, WRAPPERS, Registry, Wrapper, plugin_of
from genbridge.types import Backend, Job, JobStatus, Media, Request, Snapshot
from genbridge.wire import Call, Exchange, Reply

ACME = Provider(name="acme", base_url="https://acme.example", key_variable="ACME_KEY")
BACKEND = Backend(name="studio", provider="acme", base_url="https://acme.example")
MODEL = Model(id="one", provider_id="one", media=Media.IMAGE)


class Acme:
    """A provider's plugin that has what is required, and no more."""

    def __init__(self, provider: object = ACME) -> None:
        self.provider = provider

    @hookimpl
    def describe(self) -> object:
        """Return whatever the test is about."""
        return self.provider

    @hookimpl
    def submit(self, backend: Backend, request: Request, key: str | None) -> object:
        """Describe the paid call."""
        return Call.post("/jobs", json={"key": key})

    @hookimpl
    def poll(self, backend: Backend, job: Job) -> object:
        """Describe the question."""
        return Call.get("/jobs/1")

    @hookimpl
    def normalize(self, backend: Backend, job: Job, reply: Reply) -> object:
        """Read any reply."""
        return Snapshot(status=JobStatus.RUNNING)


def acme(**hooks: object) -> object:
    """Return the plugin with hooks of its own, as a module would have them; `None` takes one away."""
    plain = Acme()
    own = {name: getattr(plain, name) for name in hookspecs.REQUIRED}
    module = ModuleType("acme_plugin")
    vars(module).update({name: hook for name, hook in {**own, **hooks}.items() if hook is not None})
    return module


def refusal(plugin: object, **options: Any) -> str:
    """Return what is said of a plugin that cannot be used."""
    with pytest.raises(PluginError) as caught:
        plugin_of("acme", plugin, package="genbridge-acme", **options)
    assert ("genbridge-acme", True) == (caught.value.package, "'genbridge-acme'" in str(caught.value))
    return str(caught.value)


# A plugin object that is as it should be.


def test_a_plugin_object_becomes_a_provider() -> None:
    """It has its description, and the name of the package to blame."""
    plugin = plugin_of("acme", acme())
    assert ("acme", "acme_plugin", ACME) == (plugin.name, plugin.package, plugin.provider)


def test_a_plugin_object_may_name_itself() -> None:
    """Then it is the provider that it says it is."""
    assert "acme" == plugin_of(None, acme()).name


def test_a_class_s_instance_may_be_a_plugin() -> None:
    """Its class is the package to blame."""
    assert "Acme" == plugin_of("acme", Acme()).package


def test_a_plugin_supports_the_hooks_it_has() -> None:
    """Those that it lacks are known before they are called."""
    plugin = plugin_of("acme", acme())
    assert {"describe", "submit", "poll", "normalize"} == {name for name in plugins.SPECS if plugin.supports(name)}


def test_a_hook_may_be_marked_under_another_name() -> None:
    """`specname` says which hook a function is."""

    @hookimpl(specname="cancel")
    def stop(backend: Backend, job: Job) -> Call:
        return Call.post("/stop")

    assert plugin_of("acme", acme(stop=stop)).supports("cancel")


def test_a_hook_may_leave_arguments_out() -> None:
    """A function takes what it needs."""

    @hookimpl
    def poll(job: Job) -> Call:
        return Call.get("/short")

    assert "/short" == plugin_of("acme", acme(poll=poll)).call("poll", backend=BACKEND, job=None).url


def test_a_plugin_s_repr_is_short() -> None:
    """A catalogue of models is not for a log line."""
    assert "Plugin(name='acme', package='acme_plugin')" == repr(plugin_of("acme", acme()))


# Calling hooks.


def test_a_call_gives_the_hook_what_it_asks_for() -> None:
    """The arguments go in by name, and the answer comes out."""
    call = plugin_of("acme", acme()).call("submit", backend=BACKEND, request=None, key="k")
    assert {"key": "k"} == call.json


def test_a_hook_that_is_not_there_cannot_be_called() -> None:
    """The sentence names the provider, the package and the hook."""
    with pytest.raises(PluginError, match="the provider 'acme' of the package 'acme_plugin' has no hook 'cancel'"):
        plugin_of("acme", acme()).call("cancel", backend=BACKEND, job=None)


def test_a_bug_in_a_hook_names_package_and_hook() -> None:
    """The reader learns whose bug it is, and the developer where."""

    @hookimpl
    def poll(backend: Backend, job: Job) -> Call:
        raise KeyError("id")

    with pytest.raises(PluginError) as caught:
        plugin_of("acme", acme(poll=poll)).call("poll", backend=BACKEND, job=None)
    assert "the provider 'acme' of the package 'acme_plugin' has a bug in its hook 'poll', which failed with KeyError: 'id'" == str(
        caught.value
    )
    assert ("acme_plugin", KeyError) == (caught.value.package, type(caught.value.__cause__))


def test_a_long_error_is_cut() -> None:
    """A whole reply in an exception does not fill the screen."""

    @hookimpl
    def poll(backend: Backend, job: Job) -> Call:
        raise ValueError("x" * 10000)

    with pytest.raises(PluginError, match=r"x…$") as caught:
        plugin_of("acme", acme(poll=poll)).call("poll", backend=BACKEND, job=None)
    assert len(str(caught.value)) < 500


def test_genbridge_s_own_errors_pass() -> None:
    """A refusal that a hook reads from a reply is no bug."""

    @hookimpl
    def normalize(backend: Backend, job: Job, reply: Reply) -> Snapshot:
        raise ServiceError("no", status=400)

    with pytest.raises(ServiceError, match="no"):
        plugin_of("acme", acme(normalize=normalize)).call("normalize", backend=BACKEND, job=None, reply=Reply(status=400))


def test_an_exchange_can_be_blamed_while_it_runs() -> None:
    """What a generator raises after its call is its package's too."""

    @hookimpl
    def submit(backend: Backend, request: Request) -> Exchange[Reply]:
        reply = yield Call.get("/before")
        raise LookupError(reply.status)

    plugin = plugin_of("acme", acme(submit=submit))
    exchange = plugin.call("submit", backend=BACKEND, request=None, key=None)
    next(exchange)
    with pytest.raises(PluginError, match="its hook 'submit', which failed with LookupError: 200"), plugin.blame("submit"):
        exchange.send(Reply(status=200))


def test_what_stops_the_program_is_not_blamed() -> None:
    """Ctrl-C inside of a hook is still Ctrl-C."""
    with pytest.raises(KeyboardInterrupt), plugin_of("acme", acme()).blame("poll"):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("hook", "answer", "expected"),
    [
        ("submit", None, "returned NoneType, not a Call or an exchange"),
        ("poll", "/jobs/1", "returned str, not a Call or an exchange"),
        ("normalize", {}, "returned dict, not a Snapshot"),
        ("cancel", 5, "returned int, not a Call or an exchange"),
        ("recover", Reply(status=200), "returned Reply, not a Call or an exchange"),
        ("models", [], "returned list, not a Call or an exchange"),
        ("upload", b"", "returned bytes, not a URL or an exchange"),
        ("quote", 5, "returned int, not a Quote or None"),
        ("check", 5, "returned int, not a list of Problem"),
        ("check", ["prompt"], "returned a list that holds str, not only Problem"),
        ("catalogue", [MODEL, None], "returned a list that holds NoneType, not only Model"),
    ],
)
def test_an_answer_of_another_kind_is_the_package_s_mistake(hook: str, answer: object, expected: str) -> None:
    """The core is not handed what it cannot use."""
    with pytest.raises(PluginError, match=f"its hook '{hook}', which {expected}"):
        answering(hook, answer)


def answering(hook: str, answer: object) -> Any:
    """Call a hook that gives that answer."""
    return plugin_of("acme", acme(**{hook: hookimpl(lambda: answer)})).call(hook, **dict.fromkeys(plugins.SPECS[hook]))


@pytest.mark.parametrize(
    ("hook", "answer", "expected"),
    [
        ("quote", None, None),
        ("upload", "data:,", "data:,"),
        ("check", None, ()),
        ("check", [Problem("prompt", "bad")], (Problem("prompt", "bad"),)),
        ("check", (problem for problem in [Problem("prompt", "bad")]), (Problem("prompt", "bad"),)),
        ("catalogue", [MODEL], (MODEL,)),
        ("emulate", 5, 5),
    ],
)
def test_an_answer_that_the_contract_allows_is_returned(hook: str, answer: object, expected: object) -> None:
    """Lists come as tuples, even from a generator."""
    assert expected == answering(hook, answer)


def test_a_generator_that_fails_while_it_is_read_is_blamed() -> None:
    """A check that yields its problems may have a bug after the first."""

    @hookimpl
    def check() -> Iterator[Problem]:
        yield Problem("prompt", "bad")
        raise KeyError("next")

    with pytest.raises(PluginError, match="its hook 'check', which failed with KeyError: 'next'"):
        plugin_of("acme", acme(check=check)).call("check", backend=BACKEND, request=None, model=MODEL)


def test_a_coroutine_is_no_answer() -> None:
    """A plain function that calls an async one is caught when it is called, and leaves no coroutine behind."""

    async def wait() -> None: ...

    with pytest.raises(PluginError, match="its hook 'poll', which returned a coroutine; hooks describe calls"):
        answering("poll", wait())


# A plugin object that is not as it should be.


@pytest.mark.parametrize("missing", sorted(hookspecs.REQUIRED))
def test_a_missing_hook_is_named(missing: str) -> None:
    """Without one of the four a provider cannot work."""
    assert refusal(acme(**{missing: None})).endswith(f"it lacks the required hook {missing}")


def test_a_hook_that_is_not_marked_is_pointed_at() -> None:
    """The usual reason for a missing hook is the missing marker."""
    expected = "it lacks the required hook normalize, poll (poll is there, but not marked with @hookimpl)"
    assert refusal(acme(normalize=None, poll=lambda: None)).endswith(expected)


def test_a_misspelt_hook_is_an_error() -> None:
    """A hook of an unknown name would never be called."""

    @hookimpl
    def cancle(backend: Backend, job: Job) -> Call:
        return Call.post("/stop")

    assert refusal(acme(cancle=cancle)).endswith("there is no hook 'cancle'; did you mean 'cancel'?")


def test_a_hook_like_no_other_gets_the_list() -> None:
    """With nothing near, all hooks are named."""
    assert "there is no hook 'zzz'; there are cancel, catalogue, check, " in refusal(acme(zzz=hookimpl(lambda: None)))


def test_a_misspelt_argument_is_an_error() -> None:
    """It says which hook, which argument, and which there are."""

    @hookimpl
    def submit(backend: Backend, reqeust: Request) -> Call:
        return Call.post("/jobs")

    assert refusal(acme(submit=submit)).endswith(
        "its hook 'submit' has an unknown argument 'reqeust'; did you mean 'request'?; it may take backend, request, key"
    )


def test_a_hook_without_arguments_takes_none() -> None:
    """Such as the description."""
    assert refusal(acme(describe=hookimpl(lambda backend: ACME))).endswith("an unknown argument 'backend'; it takes no argument")


@pytest.mark.parametrize(
    ("hook", "argument"),
    [
        (lambda backend, request, key=None: None, "'key=None'"),
        (lambda backend, *, request: None, "'request'"),
        (lambda backend, request, /: None, "'backend'"),
    ],
)
def test_an_argument_that_would_never_be_given_is_an_error(hook: Callable[..., None], argument: str) -> None:
    """An idempotency key with a default would silently stay at the default."""
    assert f"its hook 'submit' would never be given the argument {argument}" in refusal(acme(submit=hookimpl(hook)))


@pytest.mark.parametrize("hook", [lambda *values: None, lambda **values: None])
def test_a_hook_cannot_take_whatever_comes(hook: Callable[..., None]) -> None:
    """Nothing would."""
    assert "its hook 'submit' has an unknown argument '*" in refusal(acme(submit=hookimpl(hook)))


def test_an_async_hook_is_an_error() -> None:
    """Coroutines and async generators alike."""

    @hookimpl
    async def submit(backend: Backend) -> None: ...

    @hookimpl
    async def poll(backend: Backend) -> Any:
        yield

    words = refusal(acme(submit=submit, poll=poll))
    expected = "is `async def`; hooks describe calls and are plain functions or generators"
    assert f"its hook 'poll' {expected}; its hook 'submit' {expected}" in words


def test_a_provider_s_hook_is_no_wrapper() -> None:
    """A wrapper alone answers nothing."""

    @hookimpl(wrapper=True)
    def poll() -> Any:
        return (yield)

    assert refusal(acme(poll=poll)).endswith("its hook 'poll' must not be a wrapper")


def test_an_object_that_cannot_be_looked_at_is_refused() -> None:
    """An error of the object's own is said with its package."""

    class Odd:
        def __dir__(self) -> Iterable[str]:
            raise RuntimeError("no")

    assert refusal(Odd()).endswith("RuntimeError: no")


def test_all_that_is_wrong_with_the_hooks_is_said() -> None:
    """In one error, each with the hook that it is about."""
    with pytest.raises(PluginError) as caught:
        plugin_of(None, acme(poll=None, cancle=hookimpl(lambda: None), cancel=hookimpl(lambda jib: None)))
    assert ["cancel", "cancle", "hooks"] == [problem.field for problem in caught.value.problems]
    reasons = "; ".join(problem.message for problem in caught.value.problems)
    assert f"the provider of the package 'acme_plugin' cannot be used: {reasons}" == str(caught.value)


def test_something_without_any_hooks_lacks_all() -> None:
    """An entry point that leads to a wrong object says so in the same way."""
    assert refusal(SimpleNamespace()).endswith("it lacks the required hook describe, normalize, poll, submit")


# Its description.


def test_a_description_that_fails_is_refused() -> None:
    """The package is named."""

    @hookimpl
    def describe() -> Provider:
        raise ZeroDivisionError("division by zero")

    assert refusal(acme(describe=describe)).endswith("its hook 'describe' failed with ZeroDivisionError: division by zero")


def test_a_description_is_a_provider() -> None:
    """Something else, or nothing, is not."""
    assert refusal(Acme(None)).endswith("its hook 'describe' returned NoneType, not a Provider")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "acem"}, "the name is 'acem', but the entry point's is 'acme'"),
        ({"base_url": "http://acme.example"}, "base_url: 'http://acme.example' does not begin with https://"),
        ({"base_url": None}, "base_url: None is not a string"),
        ({"key_variable": "ACME KEY"}, "key_variable: 'ACME KEY' is not the name of an environment variable"),
        ({"key_variable": None}, "key_variable: None is not the name of an environment variable"),
        ({"models": ["one"]}, "models holds str, not only Model"),
        ({"models": [MODEL, MODEL]}, "models: 'one' is there more than once for image"),
    ],
)
def test_a_description_is_checked(change: Mapping[str, Any], expected: str) -> None:
    """What would go wrong later is said at once."""
    assert expected in refusal(Acme(attrs.evolve(ACME, **change)))


def test_all_that_is_wrong_with_a_description_is_said() -> None:
    """One look is enough."""
    words = refusal(Acme(attrs.evolve(ACME, name="x", base_url="", key_variable="")))
    assert (True, True, True) == ("the name is" in words, "base_url:" in words, "key_variable:" in words)


def test_a_model_may_make_both_images_and_videos() -> None:
    """One name for two media is no mistake."""
    both = attrs.evolve(ACME, models=(MODEL, attrs.evolve(MODEL, media=Media.VIDEO)))
    assert both == plugin_of("acme", Acme(both)).provider


# Plugins that wrap every provider.


class Audit:
    """A plugin that notes each submit."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    @hookimpl(wrapper=True)
    def submit(self, key: str | None) -> Any:
        """Note the key, and let the provider do it."""
        self.seen.append(str(key))
        return (yield)

    @hookimpl(wrapper=True)
    def cancel(self) -> Any:
        """Wrap what the provider may not have."""
        return (yield)


def wrapped(plugin: object) -> Wrapper:
    """Return a cross-cutting plugin."""
    return Wrapper(name="audit", package="genbridge-acme", plugin=plugin)


def test_a_wrapper_is_around_the_provider_s_hooks() -> None:
    """It sees the call, and the provider's answer comes through."""
    audit = Audit()
    plugin = plugin_of("acme", acme(), wrappers=[wrapped(audit)])
    call = plugin.call("submit", backend=BACKEND, request=None, key="k")
    assert (["k"], "/jobs") == (audit.seen, call.url)


def test_a_wrapper_is_no_support() -> None:
    """A hook that only a wrapper has is one that the provider has not."""
    assert not plugin_of("acme", acme(), wrappers=[wrapped(Audit())]).supports("cancel")


def test_a_wrapper_may_be_of_the_old_kind() -> None:
    """Both of pluggy's kinds are accepted."""

    class Old:
        @hookimpl(hookwrapper=True)
        def poll(self) -> Iterator[None]:
            yield

    assert "/jobs/1" == plugin_of("acme", acme(), wrappers=[wrapped(Old())]).call("poll", backend=BACKEND, job=None).url


def test_a_cross_cutting_plugin_must_wrap() -> None:
    """One that answered itself would take the provider's place."""
    words = refusal(acme(), wrappers=[wrapped(SimpleNamespace(poll=hookimpl(lambda: None)))])
    assert (
        "the plugin 'audit' of the package 'genbridge-acme', which wraps every provider, cannot be used: "
        "its hook 'poll' must be a wrapper, @hookimpl(wrapper=True)" == words
    )


def test_a_wrapper_must_be_a_generator() -> None:
    """What pluggy itself refuses is said with the package's name."""
    words = refusal(acme(), wrappers=[wrapped(SimpleNamespace(poll=hookimpl(lambda: None, wrapper=True)))])
    assert "PluginValidationError: " in words


# What is installed: real packages on a path of their own.

GOOD = """
from genbridge import Call, JobStatus, Provider, Snapshot, hookimpl

@hookimpl
def describe():
    return Provider(name=__name__, base_url="https://acme.example", key_variable="ACME_KEY")

@hookimpl
def submit(backend, request, key):
    return Call.post("/jobs")

@hookimpl
def poll(backend, job):
    return Call.get("/jobs/1")

@hookimpl
def normalize(backend, job, reply):
    return Snapshot(status=JobStatus.RUNNING)
"""


def install(
    folder: Path, package: str, module: str, source: str = GOOD, *, name: str | None = None, group: str = PROVIDERS
) -> None:
    """Put a distribution with one module and one entry point into a folder, as an installer does."""
    about = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[{group}]\n{name or module} = {module}\n")
    if module.isidentifier():
        (folder / f"{module}.py").write_text(dedent(source))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder that is imported from, and forget its modules afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def registry(site: Path) -> Registry:
    """Return the registry of what is installed in a folder."""

    def entry_points(group: str) -> list[EntryPoint]:
        found = [entry for each in distributions(path=[str(site)]) for entry in each.entry_points]
        return [entry for entry in found if entry.group == group]

    return Registry(entry_points=entry_points)


def failure(found: Registry, name: str) -> tuple[str | None, str]:
    """Return the package and the sentence of a provider that cannot be loaded."""
    with pytest.raises(PluginError) as caught:
        found.load(name)
    return caught.value.package, str(caught.value)


def test_an_installed_package_s_provider_is_found_and_kept(site: Path) -> None:
    """It is loaded when it is asked for, once."""
    install(site, "genbridge-good", "good")
    found = registry(site)
    assert (("good",), False) == (found.names(), "good" in sys.modules)
    plugin = found.load("good")
    assert ("genbridge-good", True) == (plugin.package, plugin is found.load("good"))


def test_two_packages_that_claim_one_name_are_an_error(site: Path) -> None:
    """Neither is picked in silence; the list of names and the others are as they were."""
    install(site, "genbridge-one", "one", name="acme")
    install(site, "genbridge-two", "two", name="acme")
    install(site, "genbridge-good", "good")
    found = registry(site)
    assert ("acme", "good") == found.names()
    assert (
        "genbridge-one, genbridge-two",
        "the provider 'acme' is claimed more than once, by the packages genbridge-one, genbridge-two; uninstall all but one",
    ) == failure(found, "acme")
    assert "good" == found.load("good").name


def test_a_package_that_does_not_import_is_an_error(site: Path) -> None:
    """The sentence has the package, the entry point and the reason; the others go on working."""
    install(site, "genbridge-bad", "bad", "import a_module_that_is_not_there\n")
    install(site, "genbridge-good", "good")
    found = registry(site)
    assert (
        "genbridge-bad",
        (
            "the provider 'bad' of the package 'genbridge-bad' cannot be used: importing 'bad' failed with ModuleNotFoundError: "
            "No module named 'a_module_that_is_not_there'; update or uninstall that package"
        ),
    ) == failure(found, "bad")
    assert "good" == found.load("good").name


@pytest.mark.parametrize(("source", "expected"), [("raise SystemExit(3)", "SystemExit: 3"), ("1 +", "SyntaxError: ")])
def test_whatever_an_import_does_is_the_package_s_fault(site: Path, source: str, expected: str) -> None:
    """Even a module that ends the program does not end it."""
    install(site, "genbridge-bad", "bad", source)
    assert expected in failure(registry(site), "bad")[1]


def test_an_entry_point_that_leads_nowhere_is_an_error(site: Path) -> None:
    """The object that it names is not there."""
    install(site, "genbridge-bad", "bad:Gone", name="bad")
    (site / "bad.py").write_text(GOOD)
    assert "importing 'bad:Gone' failed with AttributeError: " in failure(registry(site), "bad")[1]


def test_a_package_without_poll_is_an_error(site: Path) -> None:
    """A required hook is missing; the others go on working."""
    install(site, "genbridge-bad", "bad", GOOD.replace("def poll", "def _poll").replace("@hookimpl\ndef _poll", "def _poll"))
    install(site, "genbridge-good", "good")
    found = registry(site)
    assert (
        "genbridge-bad",
        "the provider 'bad' of the package 'genbridge-bad' cannot be used: it lacks the required hook poll",
    ) == failure(found, "bad")
    assert "good" == found.load("good").name


def test_a_package_with_a_misspelt_argument_is_an_error(site: Path) -> None:
    """The hook and the argument are named; the others go on working."""
    install(site, "genbridge-bad", "bad", GOOD.replace("backend, request, key", "backend, reqest, key"))
    install(site, "genbridge-good", "good")
    found = registry(site)
    assert (
        "genbridge-bad",
        (
            "the provider 'bad' of the package 'genbridge-bad' cannot be used: its hook 'submit' has an unknown argument 'reqest'; "
            "did you mean 'request'?; it may take backend, request, key"
        ),
    ) == failure(found, "bad")
    assert "good" == found.load("good").name


def test_a_package_whose_provider_has_another_name_is_an_error(site: Path) -> None:
    """A configuration's name and the journal's would not be the same."""
    install(site, "genbridge-bad", "bad", name="other")
    assert "the name is 'bad', but the entry point's is 'other'" in failure(registry(site), "other")[1]


def test_a_wrapper_is_loaded_once_for_all_providers(site: Path) -> None:
    """What it notes of two providers comes together."""
    install(site, "genbridge-good", "good")
    install(site, "genbridge-fine", "fine")
    source = """
        from genbridge import hookimpl
        seen = []
        @hookimpl(wrapper=True)
        def poll(backend):
            seen.append(backend.name)
            return (yield)
    """
    install(site, "genbridge-audit", "audit", source, group=WRAPPERS)
    found = registry(site)
    for name in ("good", "fine"):
        found.load(name).call("poll", backend=attrs.evolve(BACKEND, name=name), job=None)
    assert ["good", "fine"] == sys.modules["audit"].seen


def test_a_broken_wrapper_is_named(site: Path) -> None:
    """An audit that cannot be made is no reason to go on without."""
    install(site, "genbridge-good", "good")
    install(site, "genbridge-audit", "audit", "import a_module_that_is_not_there", group=WRAPPERS)
    package, words = failure(registry(site), "good")
    assert ("genbridge-audit", True) == (package, words.startswith("the plugin 'audit' of the package 'genbridge-audit'"))


def test_an_entry_point_of_no_package_is_known_by_its_module() -> None:
    """One that is made by hand has no distribution."""
    entry = EntryPoint(name="acme", value="no_such.module:thing", group=PROVIDERS)
    found = Registry(entry_points=lambda group: [entry] if group == PROVIDERS else [])
    assert "no_such" == failure(found, "acme")[0]


# The registry.


def nothing(group: str) -> list[EntryPoint]:
    """Find nothing installed."""
    return []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("acem", "there is no provider 'acem'; did you mean 'acme'?; installed are acme."),
        ("x", "there is no provider 'x'; installed are acme."),
    ],
)
def test_an_unknown_provider_is_told_from_a_broken_one(name: str, expected: str) -> None:
    """It gets a suggestion, the list and what to do."""
    with pytest.raises(UnknownProviderError) as caught:
        Registry(entry_points=nothing, given={"acme": acme()}).load(name)
    assert f"{expected} For another, install the package that offers it" == str(caught.value)


def test_with_nothing_installed_there_are_none() -> None:
    """The list is not left empty."""
    with pytest.raises(UnknownProviderError, match="installed are none"):
        Registry(entry_points=nothing).load("acme")


def test_a_plugin_that_is_given_needs_no_package(site: Path) -> None:
    """It goes before an installed one of its name."""
    install(site, "genbridge-acme", "acme")
    found = attrs.evolve(registry(site), given={"acme": acme()})
    assert (("acme",), "acme_plugin") == (found.names(), found.load("acme").package)


def test_descriptions_are_loaded_when_they_are_looked_up(site: Path) -> None:
    """The mapping has all names, and a broken package breaks only its own."""
    install(site, "genbridge-bad", "bad", "import a_module_that_is_not_there")
    install(site, "genbridge-good", "good")
    described = registry(site).providers()
    assert (["bad", "good"], 2, True, False) == (list(described), len(described), "bad" in described, "x" in described)
    assert "https://acme.example" == described["good"].base_url
    with pytest.raises(PluginError, match="genbridge-bad"):
        described["bad"]


def test_providers_with_a_hook_are_offered_without_the_broken_ones(site: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A package that cannot be used is a line in the log, and does not stand in the others' way."""
    install(site, "genbridge-bad", "bad", "import a_module_that_is_not_there\n")
    install(site, "genbridge-bare", "bare")
    install(site, "genbridge-good", "good", GOOD + "\n@hookimpl\ndef emulate():\n    return None\n")
    assert ["good"] == [plugin.name for plugin in registry(site).offering("emulate")]
    (record,) = caplog.records
    assert ("genbridge.plugins", "WARNING", True) == (record.name, record.levelname, "'genbridge-bad'" in record.getMessage())


def test_a_plugin_object_is_found_unchecked(site: Path) -> None:
    """Whoever wants to say all that is wrong with one can look at it."""
    install(site, "genbridge-bad", "bad", "poll = None\n")
    given = SimpleNamespace()
    found = attrs.evolve(registry(site), given={"acme": given})
    assert ("bad", given) == (found.find("bad").__name__, found.find("acme"))  # type: ignore[attr-defined]
    with pytest.raises(UnknownProviderError):
        found.find("x")


def test_threads_that_ask_at_once_get_one_plugin() -> None:
    """The description is made once."""
    made: list[Provider] = []

    @hookimpl
    def describe() -> Provider:
        made.append(ACME)
        return ACME

    found = Registry(entry_points=nothing, given={"acme": acme(describe=describe)})
    together, loaded = threading.Barrier(8), set()

    def ask() -> None:
        together.wait()
        loaded.add(found.load("acme"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (1, 1) == (len(made), len(loaded))


def test_the_built_in_providers_come_in_by_the_same_door() -> None:
    """They are entry points of genbridge's own distribution."""
    assert {"imini", "meigen", "sseedance"} <= set(plugins.installed.names())
    assert {"imini", "meigen", "sseedance"} <= set(plugins.installed.providers())
    assert ("sseedance", "genbridge") == (plugins.installed.load("sseedance").name, plugins.installed.load("sseedance").package)


def test_asking_for_names_imports_no_provider() -> None:
    """In a new interpreter, none of the three is loaded by the list."""
    program = (
        "import sys; from genbridge.plugins import installed; installed.names(); "
        "print([n for n in sys.modules if n.startswith('genbridge_')])"
    )
    assert "[]\n" == subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


def test_a_package_installed_beside_genbridge_is_found(tmp_path: Path) -> None:
    """In a new interpreter that has it on its path, a good package works though a bad one is there too."""
    install(tmp_path, "genbridge-good", "good")
    install(tmp_path, "genbridge-bad", "bad", "raise ValueError('oops')")
    program = """
        import sys
        sys.path.insert(0, sys.argv[1])
        from genbridge import plugins
        from genbridge.errors import PluginError
        print(plugins.installed.load("good").package, {"good", "bad", "imini"} <= set(plugins.installed.names()))
        try:
            plugins.installed.load("bad")
        except PluginError as error:
            print(error.package)
    """
    done = subprocess.run([sys.executable, "-c", dedent(program), str(tmp_path)], capture_output=True, text=True, check=True)
    assert "genbridge-good True\ngenbridge-bad\n" == done.stdout


def test_every_hook_s_arguments_are_known() -> None:
    """The table that plugins are checked against is read from the contract."""
    assert {"submit": ("backend", "request", "key"), "describe": (), "upload": ("backend", "file")} == {
        name: plugins.SPECS[name] for name in ("submit", "describe", "upload")
    }
    assert hookspecs.REQUIRED <= set(plugins.SPECS)
