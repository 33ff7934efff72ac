"""What the handlers work with: the desk, the replies made so far, the archive's windows, names and times."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from integral_oda import __version__
from integral_oda.errors import RequestError
from integral_oda.query import MJD_OF_IJD_0, parse_time
from integral_oda.service.answers import ReplyCache
from integral_oda.service.desk import Desk, Limits, Ticket
from integral_oda.service.parameters import Parameters

if TYPE_CHECKING:
    from integral_oda.catalog.reference import CatalogSource

__all__ = ["Rooms"]

_TIME_FORMATS = ("UTC", "IJD", "MJD")


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
        """Science windows of a request: its list, else those of its time range around its position."""
        if parameters.scw_list:
            return parameters.scw_list
        raise RequestError("scw_list", "", "a list of science windows")

    def resolve(self, name: str) -> CatalogSource:
        """Source of a name."""
        from integral_oda.catalog.reference import resolve

        if not name.strip() or len(name) > 200:
            raise RequestError("name", name[:40], "the name of a source")
        return resolve(name)

    def convert_time(self, given: str, value: str, wanted: str) -> str:
        """Write a time, UTC (ISO), IJD or MJD (both TT), in another of these forms."""
        from astropy.time import Time

        for name, kind in (("informat", given), ("outformat", wanted)):
            if kind not in _TIME_FORMATS:
                raise RequestError(name, kind[:20], ", ".join(_TIME_FORMATS))
        try:
            ijd = parse_time(value)
        except ValueError as exc:
            raise RequestError("intime", value[:40], str(exc)) from None
        moment = Time(ijd + MJD_OF_IJD_0, format="mjd", scale="tt")
        return {"UTC": moment.utc.isot, "IJD": f"{ijd:.9f}", "MJD": f"{moment.mjd:.9f}"}[wanted]

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
