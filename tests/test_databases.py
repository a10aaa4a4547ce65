"""The URL of a database: what it is read from, and that it never shows its password."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from genbridge.config import JournalConfig
from genbridge.databases import DatabaseUrl
from genbridge.errors import ConfigError
from genbridge.places import Place, place_in, read_place

PASSWORD = "hunter2-and-more"
URL = f"postgresql://me:{PASSWORD}@db:5432/jobs"
SHOWN = "postgresql://me:***@db:5432/jobs"


# What it shows.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (URL, SHOWN),
        (f"  {URL}\n", SHOWN),
        (f"POSTGRES://me:{PASSWORD}@db", "postgres://me:***@db"),
        ("postgresql://me@db/jobs", "postgresql://me@db/jobs"),
        ("postgresql://me:@db/jobs", "postgresql://me@db/jobs"),
        (f"postgresql://:{PASSWORD}@db", "postgresql://:***@db"),
        (f"postgresql://me:{PASSWORD}@[fe80::1]:5433,other/jobs", "postgresql://me:***@[fe80::1]:5433,other/jobs"),
        (
            f"postgresql://db/jobs?user=me&password={PASSWORD}&sslmode=require",
            "postgresql://db/jobs?user=me&password=***&sslmode=require",
        ),
        (f"postgresql:///jobs?host=/run/pg&passfile=/x&sslpassword={PASSWORD}", "postgresql:///jobs?host=/run/pg&sslpassword=***"),
        (f"postgresql://db/jobs?passwrd={PASSWORD}&options={PASSWORD}", "postgresql://db/jobs?passwrd=***"),
        (f"postgresql://db?pass%77ord={PASSWORD}", "postgresql://db?password=***"),
    ],
)
def test_it_shows_everything_that_is_no_secret(text: str, expected: str) -> None:
    """The user, the server, the name of the database, and how it is reached."""
    url = DatabaseUrl.parse(text)
    assert (expected, expected, f"DatabaseUrl({expected!r})") == (str(url), url.named, repr(url))


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=8))
@example("p%40ss/w:rd?&=#[]")
def test_no_password_is_shown_whatever_it_is(password: str) -> None:
    """In either place, written as a URL has to write it; the password itself arrives."""
    written = quote(password, safe="")
    for text in (f"postgresql://me:{written}@db/jobs", f"postgresql://me@db/jobs?password={written}"):
        url = DatabaseUrl.parse(text)
        shown = f"{url} {url!r} {url.named} {url.server} {url.user} {url.database}"
        assert (text, True) == (url.reveal(), url.has_password)
        assert password not in shown.replace("postgresql", "")
        assert written not in shown.replace("postgresql", "")


def test_it_tells_its_parts() -> None:
    """What a person needs to find the database, wherever in the URL that is."""
    url = DatabaseUrl.parse("postgresql://me%40home@db:5433,[::1]/my%20jobs")
    assert ("postgresql", "me@home", "db:5433,[::1]", "my jobs") == (url.scheme, url.user, url.server, url.database)
    other = DatabaseUrl.parse("postgresql://?user=you&host=%2Frun%2Fpg&port=1")
    assert ("you", "/run/pg:1", "you", False) == (other.user, other.server, other.database, other.has_password)
    assert "localhost" == DatabaseUrl.parse("postgresql:///jobs").server


def test_the_libpq_of_the_driver_reads_the_same() -> None:
    """What is accepted here is not refused there, as it would quote it."""
    conninfo = pytest.importorskip("psycopg.conninfo")
    for text in (
        URL,
        "POSTGRESQL://me:p%25%40@[::1]:5433,other/a%20b?password=a%3Db&sslmode=require",
        "postgres://",
        "postgresql:///x",
    ):
        url = DatabaseUrl.parse(text)
        read = conninfo.conninfo_to_dict(url.reveal())
        assert url.user == read.get("user", "")
        assert url.database == read.get("dbname", "")


def test_two_of_one_text_are_equal_whatever_names_them() -> None:
    """And nothing else is."""
    assert {DatabaseUrl.parse(URL)} == {DatabaseUrl.parse(URL, named="env:JOBS")}
    assert (True, True) == (DatabaseUrl.parse(URL) != DatabaseUrl.parse(URL + "2"), DatabaseUrl.parse(URL) != URL)


def test_it_is_not_pickled() -> None:
    """A password does not get into a queue or a cache file; a copy in the process is the same."""
    url = DatabaseUrl.parse(URL)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(JournalConfig(url=url))
    assert (True, True) == (copy.copy(url) is url, copy.deepcopy(url) is url)
    assert PASSWORD not in repr(attrs.asdict(JournalConfig(url=url)))


# What cannot be read.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"postgresql://me:{PASSWORD} @db", "a space or a control character"),
        (f"postgresql://me:{PASSWORD}\t@db", "a space or a control character"),
        (f"postgresql://me:x@{PASSWORD}@db", "with @ / ? # [ ] in a password as %40"),
        (f"postgresql://me:x@y/{PASSWORD}@db", "with @ / ? # [ ] in a password as %40"),
        (f"postgresql://me:1?x={PASSWORD}@db", "with @ / ? # [ ] in a password as %40"),
        (f"postgresql://me:{PASSWORD}#@db", "with @ / ? # [ ] in a password as %40"),
        (f"postgresql://me:[{PASSWORD}]@db", "with @ / ? # [ ] in a password as %40"),
        (f"postgresql://me:{PASSWORD}/@db", "with @ / ? # [ ] in a password as %40"),
        (f"postgresql://me:{PASSWORD}?@db", "with @ / ? # [ ] in a password as %40"),
        (f"postgresql://me:{PASSWORD}/db", "its host or port cannot be one; in a password, write / as %2F"),
        (f"postgresql://me:{PASSWORD}%@db", "a % in it is not followed by two hexadecimal digits"),
        (f"postgresql://me:{PASSWORD}%00@db", "a % in it is not followed by two hexadecimal digits"),
        (f"postgresql://me:{PASSWORD}@db:port", "its host or port cannot be one"),
        (f"postgresql://me:{PASSWORD}@db:65536", "its host or port cannot be one"),
        (f"postgresql://me:{PASSWORD}@db:0", "its host or port cannot be one"),
        (f"postgresql://me:{PASSWORD}@db:{'9' * 5000}", "its host or port cannot be one"),
        (f"postgresql://me:{PASSWORD}@[::1", "its host or port cannot be one"),
        (f"postgresql://me:{PASSWORD}@[::1]]", "its host or port cannot be one"),
        (f"postgresql://db?password={PASSWORD}=", "what follows ? is not name=value"),
        (f"postgresql://db?{PASSWORD}", "what follows ? is not name=value"),
        (f"postgresql:/me:{PASSWORD}@db", "write it as postgresql://user:password@host:5432/name"),
        (PASSWORD, "write it as postgresql://user:password@host:5432/name"),
        ("", "write it as postgresql://user:password@host:5432/name"),
    ],
)
def test_what_is_no_url_is_refused_and_not_repeated(text: str, expected: str) -> None:
    """A driver would quote it; the message says what to look at."""
    with pytest.raises(ConfigError) as caught:
        DatabaseUrl.parse(text)
    assert expected in str(caught.value)
    assert PASSWORD not in f"{caught.value!r} {caught.value.args} {vars(caught.value)} {caught.value.__context__!r}"
    assert PASSWORD.encode() not in pickle.dumps(caught.value)


# What others say of it.


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('missing "=" after "postgresql://me:p%40ss-word@db/jobs" in it', 'missing "=" after "postgresql://me:***@db/jobs" in it'),
        ('invalid token: "p@ss-word"', 'invalid token: "***"'),
        ("so p%40ss-word it is, or p%40ss%2Dword", "so *** it is, or ***"),
        ('{"password": "p\\u0040ss-word"}', '{"password": "***"}'),
    ],
)
def test_what_a_driver_says_is_cleared_of_the_password(said: str, expected: str) -> None:
    """However it writes it, and of the URL itself."""
    assert expected == DatabaseUrl.parse("postgresql://me:p%40ss-word@db/jobs").struck_from(said)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('invalid value "no" for no reason', 'invalid value "***" for no reason'),
        ("there is no me:no@db", "there is no me:***@db"),
        ("password=no host=no", "password=*** host=no"),
    ],
)
def test_a_short_password_is_struck_where_passwords_stand(said: str, expected: str) -> None:
    """Anywhere else it may be a word."""
    assert expected == DatabaseUrl.parse("postgresql://me:no@db/jobs").struck_from(said)


def test_a_password_that_is_shown_anyway_does_not_garble_a_message() -> None:
    """As where it is the user's name; where passwords stand it is struck out still."""
    url = DatabaseUrl.parse("postgresql://postgres:postgres@db/jobs")
    said = 'password authentication failed for user "postgres" on postgresql://db'
    assert said == url.struck_from(said)
    assert "postgresql://postgres:***@db/jobs" == url.struck_from(url.reveal())
    assert "at postgres:***@db" == url.struck_from("at postgres:postgres@db")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            'FATAL:  password authentication failed for user "me"',
            "db:5432 refuses user 'me' with this password; look at both",
        ),
        ("fe_sendauth: no password supplied", "the database's server at db:5432 asks user 'me' for a password"),
        ('FATAL:  database "jobs" does not exist', "create it with: createdb -h db -p 5432 -U me jobs"),
        ('FATAL:  role "me" does not exist', "the database's server at db:5432 knows no user 'me'"),
        ('FATAL:  no pg_hba.conf entry for host "1.2.3.4"', "the database's server at db:5432 lets nobody in from this machine"),
        ("FATAL:  sorry, too many clients already", "the database's server at db:5432 has no connection left"),
        ("connection refused: Connection refused", "the database's server at db:5432 cannot be reached (Connection refused)"),
        ("failed to resolve host 'db': [Errno -2]", "the database's server at db:5432 cannot be reached (failed to resolve)"),
    ],
)
def test_it_says_what_keeps_it_from_being_reached(said: str, expected: str) -> None:
    """And what to do."""
    assert expected in str(DatabaseUrl.parse(URL).trouble(said))


def test_what_nobody_knows_is_no_known_trouble() -> None:
    """Whoever asks says what was said."""
    assert DatabaseUrl.parse(URL).trouble("FATAL:  the moon is full") is None
    assert DatabaseUrl.parse(URL).trouble('failed: could not open file "/root.crt": No such file or directory') is None


def test_a_database_is_created_where_its_url_says() -> None:
    """As far as it says it, in words that can be pasted into a shell."""
    said = 'database "x" does not exist'
    assert str(DatabaseUrl.parse("postgresql:///my%20jobs").trouble(said)).endswith("createdb 'my jobs'")
    assert str(DatabaseUrl.parse("postgresql://[::1],db/jobs").trouble(said)).endswith("createdb -h ::1 jobs")


# Where it is written.


Find = Callable[..., Place]


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """Read where a journal is, with paths in a folder of the test's own."""
    return lambda text, **env: read_place(text, env=env, path=lambda name: tmp_path / name)


def test_a_place_is_a_file_or_a_database(find: Find, tmp_path: Path) -> None:
    """A text with `://` in it is a URL."""
    assert Place(found=tmp_path / "jobs.db") == find("jobs.db")
    assert Place(found=DatabaseUrl.parse(URL)) == find(URL)


def test_a_place_may_be_in_the_environment(find: Find, tmp_path: Path) -> None:
    """A URL from there is named by its variable."""
    place = find("env:JOBS", JOBS=f" {URL}\n")
    assert Place(found=DatabaseUrl.parse(URL), source="env JOBS") == place
    assert isinstance(place.found, DatabaseUrl)
    assert "env:JOBS" == place.found.named
    assert Place(found=tmp_path / "my jobs.db", source="env JOBS") == find("env:JOBS", JOBS="my jobs.db")
    assert Place(source="env JOBS") == find("env: JOBS", JOBS="")


def test_a_url_may_be_in_a_file(find: Find, tmp_path: Path) -> None:
    """As a secret that is mounted is; what is in a file is no path."""
    (tmp_path / "url").write_text(f"{URL}\n")
    place = find("file:url")
    assert isinstance(place.found, DatabaseUrl)
    assert (DatabaseUrl.parse(URL), f"file:{tmp_path / 'url'}") == (place.found, place.found.named)
    assert "file " + str(tmp_path / "url") == place.source
    assert Place(source="file " + str(tmp_path / "none")) == find("file:none")
    (tmp_path / "url").write_text("jobs.db")
    assert "holds no URL of a database" in str(find("file:url").problem)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"mysql://me:{PASSWORD}@db/jobs", "mysql:// is no journal that is installed; genbridge itself has postgresql, postgres"),
        (
            f"postgresql+psycopg://me:{PASSWORD}@db",
            "postgresql+psycopg:// is no journal that is installed; did you mean 'postgresql'?",
        ),
        (f"{PASSWORD}{PASSWORD}://db", "it is no journal that is installed; genbridge itself has postgresql, postgres"),
        (f"postgres:me:{PASSWORD}@db", "it looks like the address of a database"),
        (f"me:{PASSWORD}@db:5432/jobs", "it looks like the address of a database"),
        (f"host=db user=me password={PASSWORD}", "it looks like the address of a database"),
        (f"dbname = jobs password = {PASSWORD}", "it looks like the address of a database"),
        (f"postgresql://me:{PASSWORD}@db:port/jobs", "its host or port cannot be one"),
        ("env:no name", 'what follows "env:" is not the name of an environment variable'),
        ("a\0b", "is not a path"),
        ("", "it is empty; write the path of a file, or a database's URL as postgresql://"),
        (".", "is a folder; give the path of a file in it, such as ./jobs.db"),
    ],
)
def test_what_is_no_place_is_refused_and_not_repeated(find: Find, text: str, expected: str) -> None:
    """Nor is a file made that is called by a password."""
    place = find(text)
    assert expected in str(place.problem)
    assert PASSWORD not in repr(place)


@pytest.mark.parametrize("name", ["jobs.db", "C:\\jobs@home\\jobs.db", "a:b", "postgres", "my=jobs.db", "a/b:c@d"])
def test_an_odd_path_is_a_path_still(find: Find, tmp_path: Path, name: str) -> None:
    """Not everything with a colon is the address of a database."""
    assert Place(found=tmp_path / name) == find(name)


def test_who_needs_a_place_gets_it_or_an_error() -> None:
    """The error says where it was looked for."""
    assert Path("my/jobs.db") == place_in("my/jobs.db", env={})
    assert DatabaseUrl.parse(URL) == place_in("env:JOBS", env={"JOBS": URL})
    with pytest.raises(ConfigError, match="nobody knows where the record of jobs is: set the environment variable JOBS"):
        place_in("env:JOBS", env={})
    with pytest.raises(ConfigError, match="mysql:// is no journal"):
        place_in("mysql://db", env={})
