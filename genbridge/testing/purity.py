"""Whether a plugin could do I/O, look at a clock or throw dice: read from its imports, without running anything."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import genbridge
from genbridge.testing.findings import Findings

_IMPURE = frozenset(
    {
        "aiohttp",
        "anyio",
        "asyncio",
        "concurrent",
        "curio",
        "ftplib",
        "http.client",
        "http.server",
        "httpcore",
        "httpx",
        "multiprocessing",
        "niquests",
        "pycurl",
        "random",
        "requests",
        "sched",
        "secrets",
        "select",
        "selectors",
        "smtplib",
        "socket",
        "socketserver",
        "ssl",
        "subprocess",
        "telnetlib",
        "threading",
        "time",
        "tornado",
        "trio",
        "urllib.request",
        "urllib3",
        "websockets",
    }
)
"""Modules of the network, of time and of chance."""
_CLOCKS = frozenset({"now", "utcnow", "today"})


def check_purity(plugin: object, findings: Findings) -> None:
    """Note every import of a plugin's package that a provider must not have."""
    for path in _sources(plugin):
        for line, message in _impurities(ast.parse(path.read_text(encoding="utf-8"))):
            findings.add("imports", f"{path.name}, line {line}: {message}")


def _sources(plugin: object) -> list[Path]:
    module = plugin if isinstance(plugin, ModuleType) else sys.modules[type(plugin).__module__]
    try:
        source = Path(inspect.getsourcefile(module) or "")
    except TypeError:
        return []
    return sorted(source.parent.rglob("*.py")) if source.name == "__init__.py" else [source]


def _impurities(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, problem) for name in names if (problem := _of_module(name.name)))
            case ast.ImportFrom(module="genbridge", names=names):
                yield from ((node.lineno, problem) for name in names if (problem := _of_name(name.name)))
            case ast.ImportFrom(module=str(module), level=0, names=names):
                problems = (_of_module(path) for path in (module, *(f"{module}.{name.name}" for name in names)))
                if problem := next(filter(None, problems), None):
                    yield node.lineno, problem
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name) | ast.Attribute(attr=name), attr=attr)):
                if attr in _CLOCKS and name in ("datetime", "date"):
                    yield node.lineno, f"it looks at the clock with {attr}(); a hook knows no time"


def _of_module(module: str) -> str | None:
    if module.startswith("genbridge.") and module.split(".")[1] != "testing":
        return f"it imports {module}; import public names from genbridge itself"
    parts = module.split(".")
    if _IMPURE.isdisjoint({".".join(parts[: end + 1]) for end in range(len(parts))}):
        return None
    return f"it imports {module}; a hook does no I/O, waits for nothing, and knows no clock and no chance"


def _of_name(name: str) -> str | None:
    if name in genbridge.__all__:
        return None
    return f"it imports {name} from genbridge, which has no such public name"
