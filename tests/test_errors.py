"""Everything that genbridge raises."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from genbridge import errors
from genbridge.errors import (
    AuthenticationError,
    BackendError,
    BudgetError,
    ConfigError,
    DownloadError,
    GenbridgeError,
    InsufficientCreditsError,
    InvalidRequestError,
    JobError,
    JobTimeoutError,
    NotFoundError,
    PluginError,
    Problem,
    RateLimitError,
    RequestError,
    ServiceError,
)
from genbridge.types import Asset, ImageRequest, Job, JobStatus, Media, Quote, Verdict

JOB = Job(
    id="job",
    key="key",
    backend="studio",
    provider="meigen",
    model="gpt-image-2",
    provider_model="gpt",
    request=ImageRequest("Mist"),
    status=JobStatus.RUNNING,
    quote=Quote(amount=1),
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)
KINDS = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind) and issubclass(kind, GenbridgeError) and not kind.__name__.startswith("_")
]
FIELDS = {
    "problems": (Problem("model", "there is no such model"),),
    "package": "genbridge-other",
    "quote": Quote(amount=130),
    "backend": "studio",
    "verdict": Verdict.REFUSED,
    "status": 402,
    "code": "no_credits",
    "request_id": "r1",
    "retry_after": 7.0,
    "job": JOB,
    "asset": Asset(url="https://files.example/x", media=Media.IMAGE),
    "saved": [Path("x.png")],
    "expired": True,
}
"""A value for every field that an error can have."""


def own_fields(kind: type[GenbridgeError]) -> list[str]:
    """Return the names of the keyword arguments that a kind of error takes."""
    return [name for name in inspect.signature(kind).parameters if name != "message"]


def made(kind: type[GenbridgeError]) -> GenbridgeError:
    """Return an error of a kind, with all its fields."""
    return kind("it went wrong", **{name: FIELDS[name] for name in own_fields(kind)})


def drawn() -> dict[str, str]:
    """Return the tree in the module's docstring, each name with that of its parent."""
    tree, above = {}, {0: "GenbridgeError"}
    for line in str(errors.__doc__).splitlines():
        if match := re.match(r"([│ ]*[├└]── )(\w+)", line):
            depth = len(match[1]) // 4
            above[depth] = match[2]
            tree[match[2]] = above[depth - 1]
    return tree


def parent(kind: type) -> str:
    """Return the name of the nearest public class above a kind of error."""
    return next(base.__name__ for base in kind.__mro__[1:] if not base.__name__.startswith("_"))


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    """Every class is drawn, under its parent, in the order of the module."""
    expected = [(kind.__name__, parent(kind)) for kind in KINDS if kind is not GenbridgeError]
    assert expected == list(drawn().items())


def test_the_fields_in_the_docstring_are_those_of_the_classes() -> None:
    """What is drawn behind a name are the keyword arguments that it adds to its parent's."""
    for line in str(errors.__doc__).splitlines():
        match = re.search(r"── (\w+)(.*)", line)
        named = re.findall(r" \.(\w+)", match[2]) if match else []
        if match and named:
            assert set(named) <= set(own_fields(getattr(errors, match[1]))), match[1]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_keeps_its_message_and_its_fields(kind: type[GenbridgeError]) -> None:
    """The message is in its words, and each field is an attribute."""
    error = made(kind)
    assert ("it went wrong", ("it went wrong",)) == (error.message, error.args)
    assert "it went wrong" in str(error)
    assert {name: FIELDS[name] for name in own_fields(kind)} == {name: getattr(error, name) for name in own_fields(kind)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_error_pickles(kind: type[GenbridgeError], protocol: int) -> None:
    """With its message, its fields and its notes."""
    error = made(kind)
    error.add_note("a note")
    again = pickle.loads(pickle.dumps(error, protocol))
    assert (kind, str(error), error.args, vars(error)) == (type(again), str(again), again.args, vars(again))


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_can_be_copied(kind: type[GenbridgeError]) -> None:
    """The copy says the same."""
    error = made(kind)
    again = copy.copy(error)
    assert (kind, str(error), vars(error)) == (type(again), str(again), vars(again))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not issubclass(kind, JobError)])
def test_a_message_is_enough_for_an_error(kind: type[GenbridgeError]) -> None:
    """Except for one about a job, which has its job."""
    assert "it went wrong" == str(kind("it went wrong"))


def test_a_problem_says_where_it_is() -> None:
    """Unless it has no place."""
    expected = ["model: there is none", "there is none"]
    assert expected == [str(Problem("model", "there is none")), str(Problem("", "there is none"))]


@pytest.mark.parametrize("kind", [ConfigError, RequestError, BudgetError])
def test_every_problem_has_a_line(kind: type[ConfigError]) -> None:
    """Under the message, in their order; any iterable of them will do."""
    error = kind("the request is not valid", problems=iter([Problem("a", "one"), Problem("b", "two")]))
    assert "the request is not valid\n  a: one\n  b: two" == str(error)


def test_a_backends_error_names_it() -> None:
    """In front of the message."""
    assert "backend 'studio': it went wrong" == str(BackendError("it went wrong", backend="studio"))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (401, AuthenticationError),
        (402, InsufficientCreditsError),
        (403, AuthenticationError),
        (404, NotFoundError),
        (410, NotFoundError),
        (413, InvalidRequestError),
        (415, InvalidRequestError),
        (422, InvalidRequestError),
        (429, RateLimitError),
        (500, ServiceError),
        (418, ServiceError),
    ],
)
def test_a_status_stands_for_a_kind_of_error(status: int, kind: type[ServiceError]) -> None:
    """With what the service said."""
    assert kind is ServiceError.kind_of(status)
    error = ServiceError.for_status(status, "no", code="c", request_id="r", retry_after=7.0)
    assert (kind, "no", status, "c", "r", 7.0) == (
        type(error),
        error.message,
        error.status,
        error.code,
        error.request_id,
        error.retry_after,
    )


def test_a_wait_that_ended_is_a_timeout_too() -> None:
    """`except TimeoutError` catches it."""
    with pytest.raises(TimeoutError, match="the wait ended") as caught:
        raise JobTimeoutError("the wait ended", job=JOB)
    assert isinstance(caught.value, JobError)


def test_what_was_saved_is_a_list_of_its_own() -> None:
    """Whatever it was made from."""
    assert [Path("x.png")] == DownloadError("no", saved=iter([Path("x.png")])).saved


def test_a_package_can_be_named() -> None:
    """Or not."""
    assert ("other", None) == (PluginError("no", package="other").package, PluginError("no").package)
