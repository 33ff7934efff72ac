"""The Jupyter Server extension."""

from __future__ import annotations

from pathlib import Path

from jupyter_server.extension.application import ExtensionApp
from tornado.ioloop import PeriodicCallback
from traitlets import Int, Unicode

from integral_oda.folders import archive_root, store_root
from integral_oda.service.desk import Limits
from integral_oda.service.handlers import handlers
from integral_oda.service.rooms import Rooms

__all__ = ["IntegralOda"]

_ADVANCE_MS = 500


class IntegralOda(ExtensionApp):
    """INTEGRAL/ISGRI products for scripts that speak the online system's protocol."""

    name = "integral_oda"
    load_other_extensions = True

    archive = Unicode("", help="Root of the archive; the user's own if empty.").tag(config=True)
    store = Unicode("", help="Root of the product store; the user's own if empty.").tag(config=True)
    windows = Int(Limits.windows, help="Largest number of science windows in a request.").tag(config=True)
    running = Int(Limits.running, help="Requests of one user at work at a time.").tag(config=True)
    waiting = Int(Limits.waiting, help="Requests of one user that may wait.").tag(config=True)
    workers = Int(Limits.workers, help="Requests of all users at work at a time.").tag(config=True)

    def initialize_settings(self) -> None:
        """Open the desk; it begins what waited when the server was stopped."""
        limits = Limits(self.windows, self.running, self.waiting, self.workers)
        archive = Path(self.archive) if self.archive else archive_root()
        store = Path(self.store) if self.store else store_root()
        rooms = Rooms(archive.expanduser().absolute(), store.expanduser().absolute(), limits)
        self.settings["integral_oda_rooms"] = rooms
        self._turns = PeriodicCallback(rooms.desk.advance, _ADVANCE_MS)
        self._turns.start()

    def initialize_handlers(self) -> None:
        """Add the addresses."""
        self.handlers.extend(handlers(""))

    async def stop_extension(self) -> None:
        """Leave the jobs at work; they are found again."""
        self._turns.stop()
