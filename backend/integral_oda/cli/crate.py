"""The command ``rerun``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from integral_oda.cli.options import ArchiveRoot, OutFolder, StoreRoot
from integral_oda.cli.way import check_output
from integral_oda.errors import DataError

__all__ = ["rerun_command"]


def rerun_command(
    crate: Annotated[Path, typer.Argument(metavar="CRATE", help="Folder that --crate has written.")],
    out: OutFolder,
    archive: ArchiveRoot = None,
    store: StoreRoot = None,
) -> None:
    """Carry out the query of an RO-Crate again; the exit status is 0 if every file comes out the same."""
    from integral_oda.crate import rerun

    check_output(out)
    different = rerun(crate, out, archive, store)
    if different:
        raise DataError(f"{out}: not the same as in {crate}: {', '.join(different)}")
    typer.echo(f"{out}: the same as {crate}")
