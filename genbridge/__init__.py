"""One Python interface to image and video generation services."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genbridge.batches import Batch as Batch
    from genbridge.batches import Entry as Entry
    from genbridge.batches import Outcome as Outcome
    from genbridge.blocking import BlockingBatch as BlockingBatch
    from genbridge.blocking import BlockingClient as BlockingClient
    from genbridge.blocking import BlockingHandle as BlockingHandle
    from genbridge.blocking import generate as generate
    from genbridge.blocking import save as save
    from genbridge.budgets import Budget as Budget
    from genbridge.budgets import Usage as Usage
    from genbridge.budgets import Used as Used
    from genbridge.catalogue import Anything as Anything
    from genbridge.catalogue import Capabilities as Capabilities
    from genbridge.catalogue import Choice as Choice
    from genbridge.catalogue import Group as Group
    from genbridge.catalogue import Limits as Limits
    from genbridge.catalogue import Model as Model
    from genbridge.catalogue import Option as Option
    from genbridge.catalogue import Price as Price
    from genbridge.catalogue import Provider as Provider
    from genbridge.catalogue import Range as Range
    from genbridge.catalogue import ReferenceRule as ReferenceRule
    from genbridge.catalogue import Setting as Setting
    from genbridge.catalogue import Text as Text
    from genbridge.client import Client as Client
    from genbridge.client import Handle as Handle
    from genbridge.config import BackendConfig as BackendConfig
    from genbridge.config import Config as Config
    from genbridge.config import Route as Route
    from genbridge.config import Secret as Secret
    from genbridge.downloads import DownloadPolicy as DownloadPolicy
    from genbridge.downloads import Progress as Progress
    from genbridge.durations import Usual as Usual
    from genbridge.errors import AuthenticationError as AuthenticationError
    from genbridge.errors import BackendError as BackendError
    from genbridge.errors import BudgetError as BudgetError
    from genbridge.errors import CancelUnsupportedError as CancelUnsupportedError
    from genbridge.errors import ConfigError as ConfigError
    from genbridge.errors import ContentPolicyError as ContentPolicyError
    from genbridge.errors import DownloadError as DownloadError
    from genbridge.errors import GenbridgeError as GenbridgeError
    from genbridge.errors import InsufficientCreditsError as InsufficientCreditsError
    from genbridge.errors import InvalidRequestError as InvalidRequestError
    from genbridge.errors import JobCancelledError as JobCancelledError
    from genbridge.errors import JobError as JobError
    from genbridge.errors import JobExpiredError as JobExpiredError
    from genbridge.errors import JobFailedError as JobFailedError
    from genbridge.errors import JobTimeoutError as JobTimeoutError
    from genbridge.errors import JournalError as JournalError
    from genbridge.errors import NotFoundError as NotFoundError
    from genbridge.errors import PluginError as PluginError
    from genbridge.errors import Problem as Problem
    from genbridge.errors import RateLimitError as RateLimitError
    from genbridge.errors import RequestError as RequestError
    from genbridge.errors import ServiceError as ServiceError
    from genbridge.errors import SubmitUnknownError as SubmitUnknownError
    from genbridge.errors import TransportError as TransportError
    from genbridge.errors import UnknownProviderError as UnknownProviderError
    from genbridge.hookspecs import hookimpl as hookimpl
    from genbridge.placeholders import draw_png as draw_png
    from genbridge.placeholders import draw_video as draw_video
    from genbridge.polling import PollPolicy as PollPolicy
    from genbridge.types import Asset as Asset
    from genbridge.types import AssetRole as AssetRole
    from genbridge.types import Backend as Backend
    from genbridge.types import Certainty as Certainty
    from genbridge.types import Cost as Cost
    from genbridge.types import Failure as Failure
    from genbridge.types import File as File
    from genbridge.types import ImageRequest as ImageRequest
    from genbridge.types import Job as Job
    from genbridge.types import JobStatus as JobStatus
    from genbridge.types import Media as Media
    from genbridge.types import Quote as Quote
    from genbridge.types import Reference as Reference
    from genbridge.types import ReferenceRole as ReferenceRole
    from genbridge.types import Request as Request
    from genbridge.types import Result as Result
    from genbridge.types import Snapshot as Snapshot
    from genbridge.types import Spent as Spent
    from genbridge.types import Verdict as Verdict
    from genbridge.types import VideoRequest as VideoRequest
    from genbridge.wire import Call as Call
    from genbridge.wire import Emulator as Emulator
    from genbridge.wire import Exchange as Exchange
    from genbridge.wire import Fields as Fields
    from genbridge.wire import Reply as Reply

_HOMES = {
    "batches": "Batch Entry Outcome",
    "blocking": "BlockingBatch BlockingClient BlockingHandle generate save",
    "budgets": "Budget Usage Used",
    "catalogue": "Anything Capabilities Choice Group Limits Model Option Price Provider Range ReferenceRule Setting Text",
    "client": "Client Handle",
    "config": "BackendConfig Config Route Secret",
    "downloads": "DownloadPolicy Progress",
    "durations": "Usual",
    "errors": (
        "AuthenticationError BackendError BudgetError CancelUnsupportedError ConfigError ContentPolicyError DownloadError "
        "GenbridgeError InsufficientCreditsError InvalidRequestError JobCancelledError JobError JobExpiredError JobFailedError "
        "JobTimeoutError JournalError NotFoundError PluginError Problem RateLimitError RequestError ServiceError "
        "SubmitUnknownError TransportError UnknownProviderError"
    ),
    "hookspecs": "hookimpl",
    "placeholders": "draw_png draw_video",
    "polling": "PollPolicy",
    "types": (
        "Asset AssetRole Backend Certainty Cost Failure File ImageRequest Job JobStatus Media Quote Reference ReferenceRole "
        "Request Result Snapshot Spent Verdict VideoRequest"
    ),
    "wire": "Call Emulator Exchange Fields Reply",
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names.split()}

__version__ = "0.2.0"
__all__ = sorted(_MODULES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use, so that `import genbridge` stays light."""
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module 'genbridge' has no attribute {name!r}")
    value = getattr(import_module(f"genbridge.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
