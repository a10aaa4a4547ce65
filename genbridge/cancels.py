"""Cancels that other processes ask for, carried out by whoever drives the job."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from genbridge.drives import Drive
from genbridge.errors import GenbridgeError, JournalError
from genbridge.journal import Heard, SharedJournal
from genbridge.tasks import Tasks
from genbridge.writer import Writer

_log = logging.getLogger(__name__)


class Cancels:
    """Hears what is to be cancelled, has `stop` do it, and answers what speaks against it."""

    def __init__(
        self,
        journal: SharedJournal,
        writer: Writer,
        tasks: Tasks,
        drives: Mapping[str, Drive],
        stop: Callable[[Drive], Awaitable[None]],
    ) -> None:
        self._journal = journal
        self._writer = writer
        self._tasks = tasks
        self._drives = drives
        self._stop = stop
        self._under_way: set[str] = set()
        self._again: set[str] = set()
        """Those under way of which more was heard since."""
        self._taken: dict[str, bool] = {}

    def listen(self) -> None:
        """Begin to hear of them."""
        self._journal.listen(self._told, Heard.CANCELS)

    def _told(self, job_id: str) -> None:
        """Look into the cancel of a job, or where that is not known, of every job that is driven or being taken here."""
        drive = self._drives.get(job_id)
        if drive is not None:
            _ = self._tasks.start(self.look(drive))
        elif not job_id:
            self._taken = dict.fromkeys(self._taken, True)
            _ = self._tasks.start(self._look_at_all())
        elif job_id in self._taken:
            self._taken[job_id] = True

    async def _look_at_all(self) -> None:
        await asyncio.gather(*(self.look(drive) for drive in list(self._drives.values())))

    def expect(self, job_id: str) -> None:
        """Note that a job is being taken, of which something may be heard before it has been."""
        self._taken[job_id] = False

    def heard(self, job_id: str) -> bool:
        """Whether something was heard of a job while it was being taken."""
        return self._taken.pop(job_id, False)

    async def look(self, drive: Drive) -> None:
        """Cancel a job that is driven here, if somebody asks for that, and look once more when something is heard meanwhile."""
        job_id = drive.job.id
        if job_id in self._under_way:
            self._again.add(job_id)
            return
        self._under_way.add(job_id)
        try:
            await self._look_once(drive)
            while job_id in self._again:
                self._again.remove(job_id)
                await self._look_once(drive)
        finally:
            self._under_way.remove(job_id)
            self._again.discard(job_id)

    async def _look_once(self, drive: Drive) -> None:
        try:
            if await self._journal.cancel_asked(drive.job.id) and not drive.ended.is_set():
                await self._carry_out(drive)
        except JournalError as error:
            _log.warning("job %s: nobody knows whether it is to be cancelled: %s", drive.job.id, error)

    async def _carry_out(self, drive: Drive) -> None:
        """Cancel a job; that nothing speaks against it is said of one that goes on here until the service has stopped it.

        Of one that was let go of meanwhile nothing is said, so that whoever takes it next cancels it.
        """
        _log.info("job %s is to be cancelled", drive.job.id)
        objection = ""
        try:
            await self._stop(drive)
        except GenbridgeError as error:
            objection = str(error)
        except Exception as error:  # noqa: BLE001 (whoever asked must hear of it)
            _log.exception("job %s: a bug in genbridge", drive.job.id)
            objection = f"a bug in genbridge ({type(error).__name__}); job {drive.job.id} goes on"
        if not drive.job.status.terminal and (objection or not drive.ended.is_set()):
            await self._writer.write(self._journal.answer_cancel, drive.job.id, objection)
