"""Assets to files: fetched safely, complete or not there, resumed after a cut, each with a sidecar that says how it was made."""

from __future__ import annotations

from genbridge.downloads.fetching import download
from genbridge.downloads.guard import open_session
from genbridge.downloads.policy import DownloadPolicy, Progress
from genbridge.downloads.sidecars import sidecar

__all__ = ["DownloadPolicy", "Progress", "download", "open_session", "sidecar"]
