"""How the documentation is built."""

from __future__ import annotations

from importlib.metadata import version as installed_version

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

# The standard library is named, not linked: a build needs no network.
nitpick_ignore_regex = [
    (r"py:.*", r"(collections|datetime|enum|os|pathlib|typing)\..*"),
    (r"py:obj", r"genbridge\.wire\.T"),
]

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"genbridge {version}"
