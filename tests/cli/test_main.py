"""`python -m genbridge`, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from genbridge import __version__


def run(*words: str, code: str | None = None, **env: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command line, or some code."""
    start = ["-c", code] if code is not None else ["-m", "genbridge"]
    return subprocess.run([sys.executable, *start, *words], env=os.environ | env, capture_output=True, check=False, timeout=60)


def test_it_runs_as_a_module() -> None:
    """As well as by its name."""
    done = run("--version")

    assert (0, f"genbridge {__version__}\n".encode()) == (done.returncode, done.stdout.replace(b"\r", b""))


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_its_extra_it_says_what_to_install(missing: str) -> None:
    """With the setup code, and no traceback."""
    code = f"import sys; sys.modules[{missing!r}] = None; from genbridge.__main__ import main; main()"

    done = run("--version", code=code)

    expected = f"the command line needs {missing}, which is not installed: pip install 'genbridge[cli]'"
    assert (3, expected) == (done.returncode, done.stderr.decode().strip())


def test_an_interruption_while_it_starts_is_no_traceback() -> None:
    """It has the code of any other."""
    code = (
        "import sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'rich':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "from genbridge.__main__ import main; main()"
    )

    done = run("--version", code=code)

    assert (130, "interrupted") == (done.returncode, done.stderr.decode().strip())


def test_another_missing_module_is_not_hidden() -> None:
    """It would be a mistake of ours."""
    done = run(code="import sys; sys.modules['attrs'] = None; from genbridge.__main__ import main; main()")

    assert 1 == done.returncode
    assert b"ModuleNotFoundError" in done.stderr


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["generate", "--help"]])
def test_help_and_version_load_no_network_and_no_database(words: list[str]) -> None:
    """They are quick."""
    code = (
        "import sys\n"
        "from genbridge.__main__ import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print(sorted({'aiohttp', 'genbridge.client', 'genbridge.journal'} & set(sys.modules)), file=sys.stderr)"
    )

    assert b"[]" == run(*words, code=code).stderr.splitlines()[-1]


def test_a_reader_that_goes_away_is_no_error_to_talk_about() -> None:
    """It ends with the code that a shell gives a closed pipe."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as stdout:
        done = subprocess.run(
            [sys.executable, "-m", "genbridge", "config", "check"], stdout=stdout, stderr=subprocess.PIPE, check=False, timeout=60
        )

    assert 141 == done.returncode
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr


def test_words_that_the_terminal_cannot_write_are_escaped(tmp_path: Path) -> None:
    """A folder in Chinese does not fail in an ASCII terminal."""
    folder = tmp_path / "\u4f60"
    folder.mkdir()
    (folder / "genbridge.toml").write_text("")

    done = run("config", "check", str(folder / "genbridge.toml"), PYTHONIOENCODING="ascii:strict", PYTHONUTF8="0")

    assert 0 == done.returncode
    assert rb"\u4f60" in done.stdout
