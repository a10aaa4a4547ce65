"""Who drives jobs in a database that machines share, and whether it still lives: by the database's clock, and nobody else's."""

from __future__ import annotations

from genbridge.journal import DEAD_AFTER
from genbridge.journal.database import Database
from genbridge.journal.drivers import FORGET_AFTER, Owner


class SharedDrivers:
    """The signs of life. Each transaction that writes is one; of a process of this machine it is known at once when it has gone."""

    def __init__(self) -> None:
        self._me = Owner.me()
        self.name = str(self._me)

    def beat(self, db: Database) -> None:
        """Forget those of whom nothing was heard for long; the transaction itself is the sign of life."""
        db.execute("delete from drivers where beat < moment() - ?", (FORGET_AFTER,))

    def leave(self, db: Database) -> None:
        """Record that this process drives nothing any more."""
        db.execute("delete from drivers where owner = ?", (self.name,))

    def free(self, db: Database, owner: str | None) -> bool:
        """Whether this process may take a job of that owner's."""
        if owner in {None, self.name}:
            return True
        alive = db.execute("select 1 from drivers where owner = ? and beat >= moment() - ?", (owner, DEAD_AFTER)).fetchone()
        return alive is None or self.gone(str(owner))

    def bury(self, db: Database) -> None:
        """Forget those whose process on this machine has gone, so that nobody waits for them to fall silent."""
        for name in self.dead(db):
            db.execute("delete from drivers where owner = ?", (name,))

    def dead(self, db: Database) -> list[str]:
        """Return those whose process on this machine has gone."""
        return [row["owner"] for row in db.execute("select owner from drivers").fetchall() if self.gone(row["owner"])]

    def gone(self, name: str) -> bool:
        """Whether a driver's process was on this machine and has gone."""
        owner = Owner.read(name)
        # Where no start is known the machine is only named by its host, as another may be.
        return owner is not None and bool(owner.start) and owner.gone(self._me)
