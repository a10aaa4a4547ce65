"""How the documentation is built."""

from __future__ import annotations

from enum import Enum
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

project = "genbridge"
author = "The genbridge authors"
copyright = "2026, the genbridge authors"
version = release = installed_version("genbridge")

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
# The docstrings put code between single backticks, as Markdown does.
default_role = "code"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

nitpick_ignore_regex = [
    # The standard library is named, not linked: a build needs no network.
    (r"py:.*", r"(asyncio|collections|datetime|enum|os|pathlib|typing)\..*"),
    (r"py:.*", r"Any|ClassVar|Iterable|Mapping|Path|Preference|datetime"),
    # What only type checkers import has no module to be found by.
    (r"py:.*", r"Config|Progress"),
    # What is inside, and appears in a public signature only as what it is.
    (r"py:.*", r"(genbridge\.\w+\.)?(Clock|Domain|Journal|Line|Secret|Terms|Transport|T)"),
    (r"py:.*", r"genbridge\.(config|databases|durations|keys|journal|limits|lines|polling|timing|transport|wire)\..*"),
    (r"py:.*", r"Attempt|DatabaseUrl|Key|Learned|Lease|Lesson|Report|Rule|Wait"),
]

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
maximum_signature_line_length = 100

html_theme = "furo"
html_title = f"genbridge {version}"


def arguments(cls: type[attrs.AttrsInstance]) -> Iterator[str]:
    """Return the arguments that make a value, with the types and defaults of its fields."""
    fields = [field for field in attrs.fields(cls) if field.init]
    first_by_name = next((field for field in fields if field.kw_only), None)
    for field in fields:
        if field is first_by_name:
            yield "*"
        yield f"{field.alias}: {field.type}{default(field.default)}"


def default(value: Any) -> str:
    """Return a default as one writes it; one that is made anew, or is long, is only said to be there."""
    if value is attrs.NOTHING:
        return ""
    if isinstance(value, attrs.Factory) or attrs.has(type(value)):  # type: ignore[arg-type]
        return " = ..."
    return f" = {type(value).__name__}.{value.name}" if isinstance(value, Enum) else f" = {value!r}"


def sign(app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str, returns: str) -> tuple[str, str] | None:
    """Give attrs classes the signature of their fields: that of their `__init__` has converters and placeholders in it."""
    if what != "class" or not attrs.has(obj) or signature == "()":
        return None
    return f"({', '.join(arguments(obj))})", returns


def setup(app: Sphinx) -> None:
    """Tell Sphinx."""
    app.connect("autodoc-process-signature", sign)
