"""A server for scripts alone: of Jupyter Server only what it takes to know who asks."""

from __future__ import annotations

from jupyter_server.serverapp import ServerApp
from traitlets import default

__all__ = ["HeadlessServer"]


class HeadlessServer(ServerApp):
    """Jupyter Server without kernels, files, terminals and other people's extensions.

    Who holds the token of a whole Jupyter Server can run programs on its machine; here he can ask for products.
    """

    name = "integral-oda"
    default_services: tuple[str, ...] = ("auth", "security")  # type: ignore[assignment]

    @default("allow_root")
    def _allow_root(self) -> bool:
        """In a container everything is root's, and no program of a user runs here."""
        return True

    def find_server_extensions(self) -> None:
        """Load our extension and no other."""
        self.jpserver_extensions = {"integral_oda.service": True}
