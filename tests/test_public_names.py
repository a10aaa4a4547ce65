"""`genbridge` offers exactly the intended names, and nothing is loaded before it is used."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module

import pytest

import genbridge

PUBLIC = [
    "Anything",
    "Asset",
    "AssetRole",
    "AuthenticationError",
    "Backend",
    "BackendConfig",
    "BackendError",
    "Batch",
    "BlockingBatch",
    "BlockingClient",
    "BlockingHandle",
    "Budget",
    "BudgetError",
    "Call",
    "CancelUnsupportedError",
    "Capabilities",
    "Certainty",
    "Choice",
    "Client",
    "Config",
    "ConfigError",
    "ContentPolicyError",
    "Cost",
    "DownloadError",
    "DownloadPolicy",
    "Emulator",
    "Entry",
    "Exchange",
    "Failure",
    "Fields",
    "File",
    "GenbridgeError",
    "Group",
    "Handle",
    "ImageRequest",
    "InsufficientCreditsError",
    "InvalidRequestError",
    "Job",
    "JobCancelledError",
    "JobError",
    "JobExpiredError",
    "JobFailedError",
    "JobStatus",
    "JobTimeoutError",
    "JournalError",
    "Limits",
    "Media",
    "Model",
    "NotFoundError",
    "Option",
    "Outcome",
    "PluginError",
    "PollPolicy",
    "Price",
    "Problem",
    "Progress",
    "Provider",
    "Quote",
    "Range",
    "RateLimitError",
    "Reference",
    "ReferenceRole",
    "ReferenceRule",
    "Reply",
    "Request",
    "RequestError",
    "Result",
    "Route",
    "Secret",
    "ServiceError",
    "Setting",
    "Snapshot",
    "Spent",
    "SubmitUnknownError",
    "Text",
    "TransportError",
    "UnknownProviderError",
    "Usage",
    "Used",
    "Usual",
    "Verdict",
    "VideoRequest",
    "draw_png",
    "draw_video",
    "generate",
    "hookimpl",
    "save",
]


def names_for_type_checkers() -> set[tuple[str, str]]:
    """Return the pairs of module and name in the `if TYPE_CHECKING:` block."""
    tree = ast.parse(inspect.getsource(genbridge))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {(str(node.module), alias.name) for node in imports for alias in node.names if alias.asname == alias.name}


def test_the_public_names_are_exactly_the_intended_ones() -> None:
    """A name is added or taken away on purpose, here too."""
    assert sorted(PUBLIC) == genbridge.__all__


def test_type_checkers_see_the_names_that_are_there_at_run_time() -> None:
    """Each name is re-exported from the module that it is loaded from."""
    expected = {(f"genbridge.{module}", name) for name, module in genbridge._MODULES.items()}
    assert expected == names_for_type_checkers()


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_that_of_its_module(name: str) -> None:
    """Each name can be had, and is the same thing as in its module."""
    module = import_module(f"genbridge.{genbridge._MODULES[name]}")
    assert getattr(module, name) is getattr(genbridge, name)


def test_names_can_be_listed() -> None:
    """`dir()` lists the public names and the version, as completion in a shell wants."""
    assert [*sorted(PUBLIC), "__version__"] == genbridge.__dir__()


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """A misspelt name gets Python's usual error."""
    with pytest.raises(AttributeError, match="module 'genbridge' has no attribute 'Cleint'"):
        genbridge.Cleint  # noqa: B018
