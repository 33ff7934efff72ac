"""From a query to the science windows that it takes, with the reasons for those that it leaves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from integral_oda.errors import NothingLeftError
from integral_oda.folders import archive_root
from integral_oda.query import Query

if TYPE_CHECKING:
    from integral_oda.archive.plan import Criteria, PointingPlan, Target
    from integral_oda.archive.pointings import PointingIndex

__all__ = ["plan_selection", "select_windows"]


def plan_selection(query: Query, archive: Path | None = None, target: Target | None = None) -> PointingPlan:
    """Say which science windows a query would use, before anything is computed.

    Parameters
    ----------
    query : Query
        An explicit list comes first; else the windows are chosen by time and field.
    archive : Path, optional
        Root of the local archive, else the user's.
    target : Target, optional
        The query's source with its position, where that is known already.

    Returns
    -------
    PointingPlan

    Raises
    ------
    RequestError
        If the source has no known position, or the index or a file of ``exclude`` cannot be read.
    DataError
        If there is neither an index nor a science window.
    """
    from integral_oda.archive.plan import plan_pointings, plan_windows
    from integral_oda.archive.pointings import PointingIndex

    root = archive or archive_root()
    target = target or _target(query, root)
    if query.scw_list:
        known = _index(query, root) if query.index or (root / "scw").is_dir() else PointingIndex.build({"name": []})
        return plan_windows(known, query.scw_list, target)
    assert target is not None
    return plan_pointings(_index(query, root), target, _criteria(query, root))


def select_windows(query: Query, archive: Path, target: Target) -> tuple[Query, PointingPlan]:
    """Give a query its list of science windows.

    Raises
    ------
    NothingLeftError
        If no science window fits.
    """
    plan = plan_selection(query, archive, target)
    if not plan.chosen:
        raise NothingLeftError(_nothing(query, plan))
    return type(query).model_validate(query.model_dump() | {"scw_list": plan.chosen}), plan


def _nothing(query: Query, plan: PointingPlan) -> str:
    assert plan.target is not None
    if not plan.windows:
        return (
            f"no science window of the {plan.index_size} in the index points within {query.radius:g} deg of "
            f"{plan.target.name} from {query.T1} to {query.T2}"
        )
    first = plan.windows[0]
    return f"none of {len(plan.windows)} science windows fits; {first.scw}: {first.reason}"


def _index(query: Query, root: Path) -> PointingIndex:
    if query.index is None:
        from integral_oda.archive.indexing import archive_index

        return archive_index(root)
    from integral_oda.archive.pointing_tables import read_pointings

    return read_pointings(query.index)


def _target(query: Query, root: Path) -> Target | None:
    from integral_oda.archive.plan import Target
    from integral_oda.request import asked_source, user_sources

    asked = asked_source(query, user_sources(query), root)
    return None if asked is None else Target(*asked)


def _criteria(query: Query, root: Path) -> Criteria:
    from integral_oda.archive.exclusions import read_exclusions
    from integral_oda.archive.plan import Criteria

    excluded = read_exclusions(query.exclude, root)
    return Criteria(
        interval_ijd=query.interval_ijd,
        revolutions=query.revolutions,
        radius_deg=query.radius,
        max_pointings=query.max_pointings,
        seed=query.seed,
        readiness=query.readiness,
        min_good_isgri_s=query.min_good_isgri,
        min_ontime_s=query.min_ontime,
        max_off_axis_deg=query.max_off_axis,
        min_coded_fraction=query.min_coded_fraction,
        excluded=excluded.windows,
        bad_time_ijd=excluded.bad_time_ijd,
    )
