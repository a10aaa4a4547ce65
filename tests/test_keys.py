"""API keys: where they are read from, and that they are not shown."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from genbridge.config import BackendConfig
from genbridge.keys import Key, Secret, from_file, from_text, from_variable

KEY = "meigen_sk_0123456789abcdefghijklmnop"


@pytest.mark.parametrize("shown", [repr, str, "{}".format, "{!r:>30}".format, lambda secret: f"{secret:>30}"])
def test_a_secret_is_never_shown(shown: object) -> None:
    """However it is made text, the key is not in it."""
    text = shown(Secret(KEY))  # type: ignore[operator]
    assert "Secret('***')" == text.strip()


def test_a_secret_can_be_revealed() -> None:
    """The one who sends it gets it."""
    assert KEY == Secret(KEY).reveal()


def test_secrets_are_compared_by_value() -> None:
    """Two of one key are equal, and nothing else is."""
    assert (Secret(KEY) == Secret(KEY), Secret(KEY) == Secret("other"), Secret(KEY) == KEY) == (True, False, False)
    assert {Secret(KEY)} == {Secret(KEY), Secret(KEY)}


def test_a_secret_is_not_pickled() -> None:
    """A key does not get into a queue or a cache file."""
    with pytest.raises(TypeError, match="an API key cannot be pickled"):
        pickle.dumps(BackendConfig(name="studio", provider="meigen", api_key=Secret(KEY)))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_secret_can_be_copied(copied: object) -> None:
    """A configuration with a key can be copied in the process."""
    secret = Secret(KEY)
    assert secret is copied(secret)  # type: ignore[operator]


def test_a_secret_stays_closed_when_a_configuration_is_taken_apart() -> None:
    """`attrs.asdict`, which goes into nested values, does not go into a key."""
    taken_apart = attrs.asdict(BackendConfig(name="studio", provider="meigen", api_key=Secret(KEY)))
    assert KEY not in repr(taken_apart)


def test_a_key_comes_from_a_variable() -> None:
    """The key is taken without the spaces around it, and its source is said in words."""
    assert Key(secret=Secret(KEY), source="env MY_KEY") == from_variable("MY_KEY", {"MY_KEY": f" {KEY}\n"})


@pytest.mark.parametrize("env", [{}, {"MY_KEY": ""}, {"MY_KEY": " \n"}])
def test_a_variable_without_a_key_is_no_mistake(env: dict[str, str]) -> None:
    """It matters only when the key is needed."""
    assert Key(source="env MY_KEY") == from_variable("MY_KEY", env)


def test_a_key_in_place_of_a_variables_name_is_not_shown() -> None:
    """Whoever writes the key after `env:` does not read it in a message."""
    assert Key(source="env that is named there") == from_variable(KEY, {})


@pytest.mark.parametrize("name", ["", "MY KEY", "sk-1234", "2"])
def test_what_cannot_be_a_variable_is_a_mistake(name: str) -> None:
    """The name is not shown, as it may be a key."""
    assert Key(problem='what follows "env:" is not the name of an environment variable') == from_variable(name, {})


def test_a_key_comes_from_a_file(tmp_path: Path) -> None:
    """A newline at the end and a byte order mark do not belong to the key."""
    file = tmp_path / "key"
    file.write_bytes(b"\xef\xbb\xbf" + KEY.encode() + b"\r\n")
    assert Key(secret=Secret(KEY), source=f"file {file}") == from_file(str(file), file)


def test_an_empty_file_has_no_key(tmp_path: Path) -> None:
    """It is no mistake until the key is needed."""
    (tmp_path / "key").touch()
    assert Key(source=f"file {tmp_path / 'key'}") == from_file("key", tmp_path / "key")


def test_a_file_that_is_not_there_has_no_key_either(tmp_path: Path) -> None:
    """As a variable that is not set: a configuration may be loaded where its keys are not."""
    assert Key(source=f"file {tmp_path / 'key'}") == from_file("key", tmp_path / "key")


def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path: Path) -> None:
    """The path and the reason are said."""
    assert f"the file {tmp_path} cannot be read: Is a directory" == from_file(str(tmp_path), tmp_path).problem


def test_a_file_that_is_no_text_is_a_mistake(tmp_path: Path) -> None:
    """A picture is no key."""
    (tmp_path / "key").write_bytes(b"\xff\xfe\x00")
    assert f"the file {tmp_path / 'key'} cannot be read: it is not a text file" == from_file("key", tmp_path / "key").problem


def test_a_key_in_place_of_a_path_is_not_shown(tmp_path: Path) -> None:
    """Whoever writes the key after `file:` does not read it in a message."""
    key = from_file(KEY, tmp_path / KEY)
    assert Key(source="file that is named there") == key


def test_a_key_may_be_written_out() -> None:
    """The text itself is the key."""
    assert Key(secret=Secret(KEY), source="literal") == from_text(f" {KEY} ")


@pytest.mark.parametrize("text", ["sk 1234", "sk\n1234", "sk\x001234", "sk\x7f1234", "sk–1234", "ключ1234"])
def test_a_key_that_no_header_can_carry_is_a_mistake(text: str) -> None:
    """The key is not repeated in the message about it."""
    key = from_text(text)
    assert (None, True, False) == (key.secret, "copy it again" in str(key.problem), "1234" in repr(key))


@pytest.mark.parametrize(
    "written",
    [
        "sk-0123/45+6=ab",
        "sk-0123\\/45+6=ab",
        "sk-0123%2F45%2b6%3Dab",
        "sk-0123/45\\u002B6\\u003dab",
        "\\u0073k-0123/45+6=ab",
        "sk-0123\\\\\\/45\\\\u002b6=ab",
    ],
)
def test_a_key_is_struck_from_a_text_however_it_is_written(written: str) -> None:
    """As it is, as JSON has it, also JSON in JSON, and as a URL has it."""
    secret = Secret("sk-0123/45+6=ab")
    assert "no, *** and *** are odd" == secret.struck_from(f"no, {written} and {written} are odd")
    assert b"no, *** is odd" == secret.struck_from(f"no, {written} is odd".encode())


@given(st.text("".join(map(chr, range(33, 127))), min_size=8), st.text())
@example("0000000\\", "")
def test_any_key_is_struck_from_any_text(key: str, around: str) -> None:
    """Whatever JSON has to escape in it."""
    secret = Secret(key)
    assert key not in secret.struck_from(f"{around}{key}{around}").replace("***", "")
    assert "***" == json.loads(secret.struck_from(json.dumps([around, key])))[1]


def test_a_key_that_may_be_a_word_is_not_looked_for() -> None:
    """Otherwise every text with that word would be spoilt."""
    assert "a test" == Secret("test").struck_from("a test")
