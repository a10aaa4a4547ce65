"""`genbridge models`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from genbridge.catalogue import Anything, Choice, Domain, Group, Model, Option, Price, Range, ReferenceRule, Text
from genbridge.cli.models import price_words, words
from genbridge.config import BackendConfig
from genbridge.durations import Usual
from genbridge.errors import AuthenticationError
from genbridge.types import Certainty, Media, ReferenceRole

Cli = Callable[..., Any]


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        (None, "-"),
        (Choice(("1:1", "16:9")), "1:1, 16:9"),
        (Choice((True, False)), "yes, no"),
        (Choice((3, 4, 5, 6)), "3 to 6"),
        (Choice((1, 2, 4)), "1, 2, 4"),
        (Choice((1, 2)), "1, 2"),
        (Range(4, 15), "4 to 15"),
        (Text(r"\d+x\d+", hint="such as 1024x768"), "such as 1024x768"),
        (Text(), "text"),
        (Anything(), "anything"),
        (Group((Option("chaos", Range(0, 100)), Option("raw", Choice((True, False))))), "chaos, raw"),
    ],
)
def test_a_domain_is_told_in_words(domain: Domain | None, expected: str) -> None:
    """Each kind in its own."""
    assert expected == words(domain)


@pytest.mark.parametrize(
    ("values", "expected"), [("abcd", "a, b, c, d"), ("abcde", "a, b, c, d, e"), ("abcdef", "a, b, c, d, 2 more")]
)
def test_a_long_list_is_cut_where_room_is_short(values: str, expected: str) -> None:
    """It says how many are left out, and never leaves out one alone."""
    assert expected == words(Choice(tuple(values)), 4)


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ([], "unknown"),
        ([Price(amount=5, per="image")], "5 per image"),
        ([Price(amount=4, per="image"), Price(amount=2, per="image")], "2 to 4 per image"),
        ([Price(amount=10, per="second", certainty=Certainty.ESTIMATED)], "about 10 per second"),
        ([Price(amount=10, per="second"), Price(amount=60)], "10 per second, 60 per call"),
    ],
)
def test_prices_are_told_from_the_cheapest_to_the_dearest(prices: list[Price], expected: str) -> None:
    """For each way of counting."""
    assert expected == price_words(prices)


def test_models_are_listed(cli: Cli, client: Any) -> None:
    """A row each, after the service was asked."""
    run = cli("models")

    header, painter, filmer = run.stdout.splitlines()
    assert ["MODEL", "MEDIUM", "BACKEND", "RATIOS", "RESOLUTIONS", "SECONDS", "PRICE"] == header.split()
    assert "painter-1  image   studio   1:1, 16:9  -            -        5 per image" == painter
    assert "filmer-2   video   studio   -          480p, 720p   4 to 15  about 10 to 20 per second" == filmer
    assert ("models", "studio", True) in client.asked


def test_what_was_learned_of_how_long_they_take_is_shown(cli: Cli, client: Any, painter: Model) -> None:
    """In a column of its own."""
    client.takes = {(painter.provider_id, Media.IMAGE): Usual(low=79.0, high=103.0, late=107.0)}

    header, painted, filmed = cli("models").stdout.splitlines()
    assert ["SECONDS", "USUALLY", "PRICE"] == header.split()[-3:]
    assert ["75-105 s  5 per image", "-         about 10 to 20 per second"] == [painted[-21:], filmed[-35:]]


def test_what_was_learned_is_in_the_json(cli: Cli, client: Any, painter: Model) -> None:
    """In seconds, or null."""
    client.takes = {(painter.provider_id, Media.IMAGE): Usual(low=79.0, high=103.0, late=107.0)}

    first, second = (model["usual"] for model in json.loads(cli("models", "--json").stdout)["models"])
    assert ({"low": 79.0, "high": 103.0, "late": 107.0}, None) == (first, second)


def test_one_backend_can_be_asked_for_without_its_service(cli: Cli, client: Any) -> None:
    """From what is installed."""
    cli("models", "-b", "studio", "--no-live")

    assert [("models", "studio", False), ("closed",)] == client.asked


def test_a_model_that_cannot_be_used_says_why(cli: Cli, client: Any, painter: Model) -> None:
    """Below the table, once for all that share the reason."""
    client.offers = {"studio": (attrs.evolve(painter, unavailable="it is not open yet"),) * 2}

    run = cli("models")

    assert all(row.endswith("  unavailable") for row in run.stdout.splitlines()[1:])
    assert "unavailable: it is not open yet\n" == run.stderr


def test_models_have_json(cli: Cli, client: Any, painter: Model) -> None:
    """With what each takes."""
    rule = ReferenceRule(role=ReferenceRole.FIRST_FRAME, most=2)
    can = attrs.evolve(
        painter.capabilities, references=(rule,), options=(Option("raw", Choice((True, False)), "no style of its own"),)
    )
    client.offers = {"studio": (attrs.evolve(painter, capabilities=can, aliases=("p1",)),)}

    document = json.loads(cli("models", "--json").stdout)

    expected = {
        "id": "painter-1",
        "provider_id": "acme/painter",
        "media": "image",
        "backend": "studio",
        "title": "",
        "aliases": ["p1"],
        "unavailable": None,
        "expected": 20.0,
        "usual": None,
        "live": False,
        "capabilities": {"aspect_ratio": "1:1, 16:9", "count": "1 to 4"},
        "references": [{"role": "first_frame", "kind": "image", "least": 0, "most": 2}],
        "options": [{"name": "raw", "takes": "yes, no", "description": "no style of its own"}],
        "prices": [{"amount": 5, "per": "image", "when": {}, "certainty": "exact"}],
    }
    assert {"models": [expected], "errors": []} == document


def test_a_backend_that_cannot_be_asked_does_not_hide_the_others(cli: Cli, client: Any, painter: Model) -> None:
    """It gives the code."""
    names = ("studio", "spare")
    client.config = attrs.evolve(client.config, backends={name: BackendConfig(name=name, provider="acme") for name in names})
    client.offers = {"spare": (painter,)}
    client.fails["models studio"] = lambda _about: AuthenticationError("the key was refused", backend="studio")

    run, in_json = cli("models"), cli("models", "--json")

    assert 4 == run.exit_code
    assert "painter-1" in run.stdout
    assert "error: backend 'studio': the key was refused\n" == run.stderr
    assert ["AuthenticationError"] == [error["kind"] for error in json.loads(in_json.stdout)["errors"]]


def test_a_backend_that_cannot_be_asked_is_all_there_is_to_say(cli: Cli, client: Any) -> None:
    """Where there is no other."""
    client.fails["models studio"] = lambda _about: AuthenticationError("the key was refused", backend="studio")

    run = cli("models")

    assert (4, "", "error: backend 'studio': the key was refused\n") == (run.exit_code, run.stdout, run.stderr)


def test_without_a_backend_it_says_where_to_look(cli: Cli, client: Any) -> None:
    """There is nothing to list."""
    client.config = attrs.evolve(client.config, backends={})

    run = cli("models", "--config", "x.toml")

    assert ("", "no backend is configured; --sandbox needs none; what could be set: genbridge --config x.toml backends\n") == (
        run.stdout,
        run.stderr,
    )
