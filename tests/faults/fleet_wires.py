"""Namespaces on this machine, as machines: two networks with a cable between them that can be pulled, and process ids of their own.

The addresses at the ends of the cable are of 127.0.0.0/8, as a key is sent without TLS to this machine only; in these namespaces
all of that net but 127.0.0.1 is on the cable. It needs root, and Linux's `ip`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

NEAR, FAR = "127.77.0.1", "127.77.0.2"
_LOOPBACK = ("local", "127.0.0.0/8", "dev", "lo", "table", "local")


def missing() -> str | None:
    """Return why there can be no namespaces here."""
    if shutil.which("ip") is None or not os.path.isdir("/proc/self/ns"):  # noqa: PTH112
        return "there is no `ip` to make network namespaces with"
    if os.geteuid() != 0:
        return "network namespaces need root"
    try:
        with Wires():
            return None
    except subprocess.CalledProcessError as error:
        return f"network namespaces cannot be made here: {error.stderr.decode().strip()}"


def apart() -> list[str]:
    """Return what a command begins with whose process id means nothing to others, so that they cannot tell whether it lives."""
    words = ["unshare", "--pid", "--fork", "--kill-child"]
    if shutil.which("unshare") is None or subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        return []
    return words


def last_child(pid: int) -> int:
    """Return the process at the end of a line of processes, each the only child of the one before."""
    with suppress(OSError):
        while children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            pid = int(children[0])
    return pid


class Wires:
    """The two namespaces; use it as `with Wires() as wires`. Whatever runs in them is to be stopped before."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name or f"genbridge-{os.getpid()}"
        self.near, self.far = f"{self.name}-near", f"{self.name}-far"
        self._plug, self._other = "genbridge-near", "genbridge-far"

    def __enter__(self) -> Self:
        try:
            self._make()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._remove()

    def inside(self, name: str) -> list[str]:
        """Return what a command begins with that is to run in a namespace."""
        return ["ip", "netns", "exec", name]

    def _make(self) -> None:
        for name in (self.near, self.far):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
            allowed = "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet"
            subprocess.run([*self.inside(name), "sh", "-c", allowed], check=True, capture_output=True)
            _ip("-n", name, "route", "del", *_LOOPBACK)
        _ip("link", "add", self._plug, "netns", self.near, "type", "veth", "peer", "name", self._other, "netns", self.far)
        for name, plug, address in ((self.near, self._plug, NEAR), (self.far, self._other, FAR)):
            _ip("-n", name, "addr", "add", f"{address}/30", "dev", plug)
            _ip("-n", name, "link", "set", plug, "up")

    def _remove(self) -> None:
        for name in (self.near, self.far):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)

    def cut(self) -> None:
        """Pull the cable: nothing arrives any more, and nobody is told."""
        _ip("-n", self.near, "link", "set", self._plug, "down")

    def heal(self) -> None:
        """Plug it in again."""
        _ip("-n", self.near, "link", "set", self._plug, "up")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
