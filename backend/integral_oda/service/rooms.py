"""What the handlers work with: the desk, the replies made so far, the archive's windows, names and times."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from integral_oda import __version__
from integral_oda.errors import RequestError
from integral_oda.query import ImageQuery, make_query
from integral_oda.service.answers import ReplyCache
from integral_oda.service.desk import Desk, Limits, Ticket
from integral_oda.service.parameters import Parameters

if TYPE_CHECKING:
    from integral_oda.archive.pointings import PointingIndex
    from integral_oda.catalog.reference import CatalogSource

__all__ = ["Rooms"]

_LONGEST_NAME = 200


@dataclass
class Rooms:
    """The service's state; all of it that matters is on disk.

    Parameters
    ----------
    archive, store : Path
        Roots of the archive and of the store.
    limits : Limits
    """

    archive: Path
    store: Path
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.desk = Desk(self.archive, self.store, self.limits)
        self.replies = ReplyCache(self.desk.folder / "replies")
        self.catalogues = self.desk.folder / "catalogs"
        self.versions = {"integral_oda": __version__}

    def windows(self, parameters: Parameters) -> tuple[str, ...]:
        """Science windows of a request: its list, else those of its time range around its position.

        Raises
        ------
        NothingLeftError
            If there is none.
        """
        if parameters.scw_list:
            return parameters.scw_list
        from integral_oda.archive.plan import Target
        from integral_oda.selection import select_windows

        names = ("T1", "T2", "T_format", "RA", "DEC", "radius", "max_pointings")
        query = make_query(ImageQuery, **{name: getattr(parameters, name) for name in names})
        target = Target(parameters.src_name, parameters.RA, parameters.DEC)
        return select_windows(query, self.archive, target)[0].scw_list

    def resolve(self, name: str) -> CatalogSource:
        """Source of a name."""
        from integral_oda.catalog.names import resolve_name

        if not name.strip() or len(name) > _LONGEST_NAME:
            raise RequestError("name", name[:40], f"the name of a source, at most {_LONGEST_NAME} characters")
        return resolve_name(name, archive=self.archive).source

    def pointings(self) -> PointingIndex:
        """Pointings of the archive."""
        from integral_oda.archive.indexing import archive_index

        return archive_index(self.archive)

    def records(self, owner: str, name: str = "") -> list[dict[str, Any]]:
        """The requests of a user, the newest first; or one of them."""
        tickets = [self.desk.look(name, owner)] if name else self.desk.tickets_of(owner)
        return [self._record(ticket) for ticket in tickets]

    def _record(self, ticket: Ticket) -> dict[str, Any]:
        standing = self.desk.standing(ticket)
        return {
            "job_id": ticket.id,
            "product": ticket.product,
            "status": standing.status,
            "windows": len(ticket.windows),
            "asked": datetime.fromtimestamp(ticket.asked, UTC).isoformat(timespec="seconds"),
            "reason": standing.reason,
        }
