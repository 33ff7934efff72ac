"""Commands of ``integral-oda catalog``: names of sources, and lists of them in other forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from integral_oda.cli.options import ArchiveRoot, CatalogFile

__all__ = ["catalog_app"]

catalog_app = typer.Typer(help="Names of sources, and lists of them.", no_args_is_help=True)

MinRadius = Annotated[
    float,
    typer.Option("--radius", min=0, help="Positions closer than this are one source, arcmin, beside error radii."),
]


@catalog_app.command("resolve")
def resolve_command(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Sources, by any name.")],
    catalog: CatalogFile = None,
    archive: ArchiveRoot = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")] = False,
) -> None:
    """Say what sources are called and where they are: catalogues first, then Sesame and the ODA resolver."""
    from integral_oda.catalog.names import resolve_name
    from integral_oda.catalog.reference import read_user_catalogue
    from integral_oda.folders import archive_root

    known = read_user_catalogue(catalog) if catalog else ()
    found = [resolve_name(name, known, archive or archive_root()) for name in names]
    if as_json:
        rows = [{"name": f.source.name, "ra_deg": f.source.ra_deg, "dec_deg": f.source.dec_deg, "origin": f.origin,
                 "accuracy_arcmin": f.accuracy_arcmin, "aliases": f.source.aliases} for f in found]  # fmt: skip
        typer.echo(json.dumps(rows, indent=2))
        return
    for f in found:
        accuracy = f" (to {f.accuracy_arcmin:.2g} arcmin)" if f.accuracy_arcmin else ""
        typer.echo(f"{f.source.name:<24} {f.source.ra_deg:10.5f} {f.source.dec_deg:+10.5f}  {f.origin}{accuracy}")


@catalog_app.command("merge")
def merge_command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="FITS, ECSV, ds9 regions or JSON.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Ends in .fits, .ecsv, .reg or .json.")],
    radius: MinRadius = 0.0,
    min_significance: Annotated[
        float | None, typer.Option("--min-significance", help="Leave out what is less significant.")
    ] = None,
    keep_new: Annotated[bool, typer.Option("--keep-new/--no-new", help="Keep new excesses.")] = True,
) -> None:
    """Put lists of sources together, each source once, and write them in the form of the name's ending.

    With one FILE this converts it.
    """
    from integral_oda.catalog.source_list import SourceCatalogue, read_sources, write_sources

    together = SourceCatalogue()
    for path in files:
        found = read_sources(path)
        together = found if not len(together) else together.merge(found, radius / 60)
    together = together.without_duplicates(radius / 60)
    together = together.select(-float("inf") if min_significance is None else min_significance, new=keep_new)
    write_sources(out, together)
    typer.echo(f"{out}: {len(together)} sources")
