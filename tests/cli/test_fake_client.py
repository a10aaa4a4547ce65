"""The client that the command line is tested with is called as the real one is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from genbridge.client import Client, Handle
from genbridge.ledger import Ledger
from genbridge.types import Job

OF_CLIENT = (
    "quote",
    "submit",
    "handle",
    "resume",
    "unsent",
    "check_caps",
    "jobs",
    "spend",
    "usage",
    "models",
    "usual",
    "download",
)
OF_LEDGER = ("job", "jobs", "backends")
OF_HANDLE = ("events", "result", "cancel", "not_sent", "adopt")


def methods(kind: type) -> Mapping[str, Callable[..., Any]]:
    """Return the public methods of a class."""
    return {name: value for name, value in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}


def taken(method: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return what a method takes: names, kinds, types and defaults."""
    return list(inspect.signature(method).parameters.values())


@pytest.mark.parametrize("name", OF_CLIENT)
def test_the_client_takes_what_the_real_one_takes(client: Any, name: str) -> None:
    """A call that works here works there."""
    assert taken(methods(Client)[name]) == taken(methods(type(client))[name])


@pytest.mark.parametrize("name", OF_LEDGER)
def test_it_stands_in_for_the_record_too(client: Any, name: str) -> None:
    """What is asked of the record alone is asked there in the same way."""
    assert taken(methods(Ledger)[name]) == taken(methods(type(client))[name])


@pytest.mark.parametrize("name", OF_HANDLE)
def test_its_handles_take_what_the_real_ones_take(client: Any, make_job: Callable[..., Job], name: str) -> None:
    """And here."""
    assert taken(methods(Handle)[name]) == taken(methods(type(client.handle(make_job())))[name])


def test_no_method_is_without_its_comparison(client: Any, make_job: Callable[..., Job]) -> None:
    """What is added to one of them is compared too, and has a real method behind it."""
    fake = {*methods(type(client)), *methods(type(client.handle(make_job())))}
    assert {*OF_CLIENT, *OF_LEDGER, *OF_HANDLE} == fake
