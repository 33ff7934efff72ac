"""The command ``mosaic``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from integral_oda.cli.image import source_line
from integral_oda.cli.options import AsJson, CatalogFile, OutFolder, Strict
from integral_oda.errors import RequestError

__all__ = ["mosaic_command"]


def mosaic_command(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Sky images and mosaics, or @FILE of them.")],
    out: OutFolder = Path("mosaic"),
    projection: Annotated[str, typer.Option("--projection", help="TAN, CAR, AIT or HEALPIX.")] = "TAN",
    galactic: Annotated[bool, typer.Option("--galactic", help="Pixels along galactic coordinates.")] = False,
    like: Annotated[Path | None, typer.Option("--like", help="Take the pixel grid of this FITS image.")] = None,
    center: Annotated[str | None, typer.Option("--center", metavar="RA,DEC", help="Middle, degrees.")] = None,
    size: Annotated[str | None, typer.Option("--size", metavar="W[,H]", help="Width and height, degrees.")] = None,
    resampling: Annotated[str, typer.Option("--resampling", help="nearest, split, cubic or spread.")] = "cubic",
    threshold: Annotated[float, typer.Option("--threshold", help="Significance of new sources over the noise.")] = 5.0,
    catalog: CatalogFile = None,
    at: Annotated[list[str] | None, typer.Option("--at", help="Measure at a NAME or RA,DEC in degrees.")] = None,
    noise_limit: Annotated[
        float, typer.Option("--noise-limit", help="Leave out windows whose significance map is wider.")
    ] = 1.5,
    mix_versions: Annotated[bool, typer.Option("--mix-versions", help="Sum images of OSA 10 and OSA 11.")] = False,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Sum sky images and mosaics of any engine, and list the sources of the sum."""
    from integral_oda.catalog.reference import read_user_catalogue
    from integral_oda.folders import archive_root
    from integral_oda.imaging.resampling import Resampling
    from integral_oda.mosaics.make import MosaicRequest, make_mosaic
    from integral_oda.request import parse_position

    if resampling not in list(Resampling):
        raise RequestError("resampling", resampling, f"one of {', '.join(Resampling)}")
    known = () if catalog is None else read_user_catalogue(catalog)
    root = archive_root()
    request = MosaicRequest(
        paths=_paths(images),
        projection=projection.upper(),
        galactic=galactic,
        like=like,
        centre=None if center is None else parse_position(center, known, root, "center")[1:],
        size_deg=None if size is None else _size(size),
        resampling=Resampling(resampling),
        threshold=threshold,
        catalogue=known,
        at=[parse_position(text, known, root) for text in at or []],
        noise_limit=noise_limit,
        mix_versions=mix_versions,
        strict=strict,
    )
    quiet = as_json or not sys.stderr.isatty()
    products = make_mosaic(request, None if quiet else _show)
    summary = products.write(out)
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
        return
    for left in products.files.left_out:
        typer.echo(f"left out: {left['reason']}", err=True)
    for source in summary["sources"]:
        typer.echo(source_line(source))


def _paths(texts: list[str]) -> list[Path]:
    """Files named, and those of every ``@FILE``."""
    paths: list[Path] = []
    for text in texts:
        if not text.startswith("@"):
            paths.append(Path(text))
            continue
        try:
            lines = Path(text[1:]).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as exc:
            raise RequestError("IMAGE", text, f"@FILE with one image a line ({exc})") from None
        paths += [Path(line.strip()) for line in lines if line.strip()]
    if not paths:
        raise RequestError("IMAGE", " ".join(texts), "one image at least")
    return paths


def _size(text: str) -> tuple[float, float]:
    try:
        sides = [float(part) for part in text.split(",")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2):
        raise RequestError("size", text, "W or W,H in degrees")
    return sides[0], sides[-1]


def _show(done: int, of: int) -> None:
    typer.echo(f"\r{done}/{of} images", nl=done == of, err=True)
