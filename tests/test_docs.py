"""The documentation is true: its code runs, its hook page is the contract, its reference is complete."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import attrs
import pytest
from postgres import Server, free_port

import genbridge
from genbridge import BlockingClient, Budget, Client, Limits, hookspecs, plugins
from genbridge.config import BackendConfig, DownloadConfig, JournalConfig, PollConfig, Route
from genbridge.engine import Tally
from genbridge.health import Health, exposition
from genbridge.journal import Counts

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)]


@attrs.frozen(kw_only=True)
class Block:
    """A fenced block of code, and the comment above it that says what to do with it."""

    language: str
    code: str
    line: int
    note: str

    def said(self, word: str) -> str | None:
        """Return what the comment says after a word and a colon."""
        return self.note.partition(":")[2].strip() if self.note.startswith(f"{word}:") else None


def blocks(page: Path) -> Iterator[Block]:
    """Return the blocks of a page, in order."""
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), 1))
    note = ""
    for number, line in lines:
        mark = re.match(r"\s*(`{3,})", line)
        if mark:
            fence, indent = mark[1], len(mark[0]) - len(mark[1])
            body = []
            for _, inner in lines:
                if inner.strip() == fence:
                    break
                body.append(inner[indent:])
            language = line.strip().lstrip("`").strip()
            yield Block(language=language, code="\n".join(body) + "\n", line=number, note=note)
        comment = re.fullmatch(r"\s*<!-- (.*?) -->\s*", line)
        note = comment[1] if comment else note if not line.strip() else ""


def script(block: Block) -> str:
    """Return the commands of a block."""
    return "\n".join(line[2:] for line in block.code.splitlines() if line.startswith(("$ ", "> ")))


class Reader:
    """Does what a page says, from top to bottom, in an empty directory."""

    def __init__(self, page: Path, runner: asyncio.Runner, services: dict[str, str], database: Server | None = None) -> None:
        self.page = page
        self.runner = runner
        self.services = services
        self.database = database
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.beside: list[subprocess.Popen[bytes]] = []
        self.moved = {port: str(free_port()) for port in ("9464", "9465")}
        if database is not None:
            self.moved["127.0.0.1:5432"] = f"{database.host}:{database.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Stop what a page had started, as a system does that is shut down, and undo what was done to the server of databases."""
        for process in self.beside:
            process.terminate()
        codes = [process.wait(100) for process in self.beside]
        if self.database is not None:
            self.ask("drop database if exists genbridge with (force)", "drop role if exists genbridge")
        if kind is None:
            assert [0] * len(codes) == codes, Path("beside.log").read_text(encoding="utf-8")

    def read(self, block: Block) -> None:
        """Do what one block says."""
        if block.said("not run"):
            return
        if (program := block.said("needs")) and shutil.which(program) is None:
            return
        if file := block.said("file"):
            self.write(Path(file), block.code)
        elif block.note == "runs on":
            self.start(block)
        elif block.language == "sql":
            self.ask(*block.code.split(";\n"))
        elif block.language == "python":
            self.execute(block)
        elif block.language == "console":
            self.command(block)
        elif block.language == "toml":
            tomllib.loads(block.code)

    def write(self, file: Path, text: str) -> None:
        """Write a file; the backends of a config file are led to the sandbox, and polled as fast as it is."""
        haste = "" if ".poll]" in text else r"\npoll.interval = 0.1"
        for name, lead in self.services.items():
            text = re.sub(rf'^provider = "{name}".*$', rf"\g<0>\n{lead}{haste}", text, flags=re.MULTILINE)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.here(text), encoding="utf-8")

    def here(self, text: str) -> str:
        """Return a text with the ports that are a page's led to free ones, and to the tests' own server."""
        return re.sub("|".join(map(re.escape, self.moved)), lambda port: self.moved[port[0]], text)

    def ask(self, *statements: str) -> None:
        """Run SQL as the administrator of the server."""
        import psycopg

        assert self.database is not None
        with psycopg.connect(self.database.url(), autocommit=True) as connection:
            for statement in filter(str.strip, statements):
                connection.execute(statement.encode())

    def start(self, block: Block) -> None:
        """Run a command beside the others, until the page has ended."""
        with Path("beside.log").open("ab") as log:
            shell = ["sh", "-c", f"exec {self.here(script(block))}"]
            self.beside.append(subprocess.Popen(shell, stdout=log, stderr=log, stdin=subprocess.DEVNULL))

    def execute(self, block: Block) -> None:
        """Run Python, in which `await` works outside of functions too."""
        source = "\n" * block.line + block.code
        code = compile(source, self.page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        if code.co_flags & inspect.CO_COROUTINE:
            self.runner.run(eval(code, self.names))
        else:
            exec(code, self.names)

    def command(self, block: Block) -> None:
        """Run the lines that begin with `$`, and their continuations that begin with `>`."""
        shell = ["sh", "-e", "-c", self.here(script(block))]
        done = subprocess.run(shell, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=100)
        expected = int(block.said("exits") or 0)
        assert expected == done.returncode, f"{self.page.name}:{block.line}: {shell[-1]}\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[BlockingClient]:
    """Serve the emulators on loopback."""
    with BlockingClient(Client.sandbox(speed=200)) as client:
        yield client


@pytest.fixture
def services(sandbox: BlockingClient, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Make every provider a backend, its key where users have theirs; return the line that leads each to its emulator."""
    backends = sandbox.config.backends.values()
    leads = {backend.name: f'base_url = "{backend.base_url}"' for backend in backends}
    for backend in backends:
        assert backend.api_key is not None
        variable = plugins.installed.load(backend.provider).provider.key_variable
        monkeypatch.setenv(variable, backend.api_key.reveal())
    tables = [f'[backends.{name}]\nprovider = "{name}"\n{lead}\npoll.interval = 0.1\n' for name, lead in leads.items()]
    config = home / "genbridge" / "genbridge.toml"
    config.parent.mkdir()
    config.write_text("\n".join(tables), encoding="utf-8")
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    monkeypatch.chdir(tmp_path)
    # Where the temporary directory is in the repository, its settings are not those of a page's own tests.
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    _install_aside(home / "site-packages", monkeypatch)
    return leads


def _install_aside(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `pip install` on a page put things where only that page's commands find them, and fetch nothing."""
    for name, value in {"TARGET": str(site), "NO_INDEX": "1", "NO_DEPS": "1", "NO_BUILD_ISOLATION": "0"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.delenv("PIP_CONSTRAINT", raising=False)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")])))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_on_a_page_runs(page: Path, services: dict[str, str], request: pytest.FixtureRequest) -> None:
    """Whoever follows a page from top to bottom meets no error."""
    found = list(blocks(page))
    asks = any(block.language == "sql" and block.said("not run") is None for block in found)
    database = request.getfixturevalue("postgres") if asks else None
    with asyncio.Runner() as runner, Reader(page, runner, services, database) as reader:
        for block in found:
            reader.read(block)


def test_the_commands_of_services_have_the_options_that_are_named() -> None:
    """A unit of systemd's and a compose file, which are not run, name commands that there are."""
    text = (DOCS / "how-to" / "run-workers.md").read_text(encoding="utf-8")
    commands = re.findall(r"^(?:ExecStart=/opt/genbridge/bin/| *command: )genbridge (.*)$", text, flags=re.MULTILINE)
    assert 3 == len(commands)
    for command in commands:
        words = command.replace("%i", "4").split()
        done = subprocess.run([sys.executable, "-m", "genbridge", *words, "--help"], check=False, capture_output=True, text=True)
        assert (0, "") == (done.returncode, done.stderr)


def test_the_rules_for_alerts_name_metrics_that_there_are() -> None:
    """And statuses that jobs may have."""
    text = (DOCS / "how-to" / "run-workers.md").read_text(encoding="utf-8")
    known = exposition(Health(concurrency=1, counts=Counts(jobs={}), reports=(), tally=Tally(0, 0), age=0.0))
    named = re.findall(r"\b(genbridge_[a-z_]+(?:\{[^}]*\})?)", text)
    assert [] == [metric for metric in named if f"\n{metric} " not in known]
    assert len(named) > 4


def signatures() -> list[str]:
    """Return each hook's signature, as it is written in the contract."""
    functions = [node for node in ast.parse(inspect.getsource(hookspecs)).body if isinstance(node, ast.FunctionDef)]
    return [f"{hook.name}({ast.unparse(hook.args)}) -> {ast.unparse(hook.returns or ast.Constant(None))}" for hook in functions]


def test_the_headings_of_the_hook_page_are_the_signatures() -> None:
    """The page on hooks and the contract name the same hooks, arguments and types, in the same order."""
    page = (DOCS / "reference" / "hooks.md").read_text(encoding="utf-8")
    assert signatures() == re.findall(r"^## `(.*)`$", page, flags=re.MULTILINE)


def test_the_hook_page_says_which_hooks_are_required() -> None:
    """Each hook's text begins with whether a provider must have it."""
    page = (DOCS / "reference" / "hooks.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^## `(\w+)\(.*`\n\nRequired", page, flags=re.MULTILINE)) == hookspecs.REQUIRED


def test_the_reference_has_every_public_name() -> None:
    """Nothing that is offered goes without its entry."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md"))
    documented = {*re.findall(r"^\.\. auto\w+:: genbridge\.(\w+)(?:\(.*\))?$", text, flags=re.MULTILINE), "hookimpl"}
    assert set() == set(genbridge.__all__) - documented


@pytest.mark.parametrize(
    ("table", "kind", "inner"),
    [
        ("backends.NAME", BackendConfig, {"name", "key_source", "key_url", "poll", "budget", "limits", "settings"}),
        ("backends.NAME.poll", PollConfig, set()),
        ("backends.NAME.budget", Budget, set()),
        ("backends.NAME.limits", Limits, set()),
        ("routes.NAME", Route, {"name"}),
        ("journal", JournalConfig, {"memory", "url", "advice"}),
        ("downloads", DownloadConfig, set()),
    ],
)
def test_the_config_page_has_every_key(table: str, kind: type[attrs.AttrsInstance], inner: set[str]) -> None:
    """Each table of the config file is described with all its keys, and no other."""
    page = (DOCS / "reference" / "config.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## `[{table}]`\n")[2].partition("\n## ")[0].partition("\nA provider may")[0]
    assert {name.lstrip("_") for name in attrs.fields_dict(kind)} - inner == set(
        re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)
    )


@pytest.mark.parametrize("provider", sorted(plugins.installed.names()))
def test_the_config_page_has_the_settings_of_each_provider(provider: str) -> None:
    """The keys that a provider adds to a backend's table are described."""
    page = (DOCS / "reference" / "config.md").read_text(encoding="utf-8")
    known = {setting.name for setting in plugins.installed.load(provider).provider.settings}
    assert known == set(re.findall(rf"^\| `{provider}` \| `(\w+)` \|", page, flags=re.MULTILINE))


def test_every_section_of_the_documentation_has_pages() -> None:
    """Tutorial, how-to, reference and explanation each hold more than their table of contents."""
    for section in ("tutorial", "how-to", "reference", "explanation"):
        assert len(list((DOCS / section).glob("*.md"))) > 1, section
