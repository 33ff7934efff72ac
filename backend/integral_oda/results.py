"""What queries give: the files of a product, with what is known of how they came about."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from integral_oda.errors import OutputError
from integral_oda.query import BackgroundQuery, ImageQuery, LightCurveQuery, QualityQuery, Query, SpectrumQuery

if TYPE_CHECKING:
    from integral_oda.products.light_curve import LightCurve
    from integral_oda.products.sky_image import SkyImage
    from integral_oda.products.source_list import Source
    from integral_oda.products.spectrum import Spectrum

__all__ = [
    "PRODUCTS",
    "PROVENANCE_FILE",
    "QUALITY_FILE",
    "SUMMARY_FILE",
    "ImageProducts",
    "LightCurveProducts",
    "Products",
    "QualityProducts",
    "SpectrumProducts",
]

SUMMARY_FILE, PROVENANCE_FILE, QUALITY_FILE = "summary.json", "provenance.json", "quality.json"


@dataclass(frozen=True)
class Products:
    """What a query gave: files in the store, and what is known of how they came about.

    Attributes
    ----------
    folder : Path
        Where the product files lie in the store.
    summary, provenance : dict
        As written to ``summary.json`` and ``provenance.json`` (PROV-JSON).
    raw : dict
        sha256 of the raw files that the product was made from, by window and name.
    """

    folder: Path
    summary: dict[str, Any]
    provenance: dict[str, Any]
    raw: dict[str, str]
    held: object = field(default=None, repr=False, compare=False)
    """Keeps the folder from being pruned as long as the products are in use."""

    def write(self, out: str | Path) -> list[Path]:
        """Copy the product files to a folder, with ``summary.json`` and ``provenance.json``.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        out = Path(out)
        written = []
        try:
            out.mkdir(parents=True, exist_ok=True)
            for path in self.files:
                aside = out / f".{path.name}.part"
                shutil.copyfile(path, aside)
                written.append(aside.replace(out / path.name))
            for name, values in ((PROVENANCE_FILE, self.provenance), (SUMMARY_FILE, self.summary)):
                aside = out / f".{name}.part"
                aside.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
                written.append(aside.replace(out / name))
        except OSError as exc:
            raise OutputError(f"{out}: cannot be written to ({exc.strerror or exc})") from exc
        return written

    @property
    def files(self) -> list[Path]:
        """Product files in the store."""
        return [self.folder / name for name in self.summary["files"] if (self.folder / name).is_file()]


class ImageProducts(Products):
    """Sky images in every band, and the sources in them."""

    @cached_property
    def images(self) -> list[SkyImage]:
        """One image a band."""
        from integral_oda.products.sky_image import read_sky_images

        return read_sky_images(self.folder / "mosaic.fits")

    @property
    def data(self) -> Any:
        """Flux of the first band, counts/s: ``array[row, column]``."""
        return self.images[0].intensity

    @cached_property
    def sensitivity(self) -> list[Any]:
        """Flux that a source needs for 5 sigma at each pixel, counts/s; one array a band, on the image's grid."""
        from integral_oda.products.sensitivity import sensitivity_map

        noise = self.summary["noise"]
        return [
            sensitivity_map(image, band["significance_sigma"]) for image, band in zip(self.images, noise, strict=True)
        ]

    @cached_property
    def sources(self) -> list[Source]:
        """Sources found, and those asked for."""
        from integral_oda.products.source_list import source_from_dict

        return [source_from_dict(values) for values in self.summary["sources"]]


class LightCurveProducts(Products):
    """Light curves, one a source."""

    @cached_property
    def curves(self) -> list[LightCurve]:
        """Light curves of every source, one a band."""
        from integral_oda.products.light_curve import read_light_curves

        files = [path for path in self.files if path.name.startswith("isgri_lc_")]
        return [curve for path in files for curve in read_light_curves(path)]

    @property
    def data(self) -> Any:
        """Rate of the first source in the first band, counts/s, one value a bin."""
        return self.curves[0].rate


class SpectrumProducts(Products):
    """Spectra, one a source, with their responses beside them."""

    @cached_property
    def spectra(self) -> list[Spectrum]:
        """One spectrum a source."""
        from integral_oda.products.spectrum import read_spectrum

        return [read_spectrum(path) for path in self.files if path.name.startswith("isgri_spectrum_")]

    @property
    def data(self) -> Any:
        """Rate of the first source, counts/s, one value a channel."""
        return self.spectra[0].rate

    def path(self, name: str) -> Path:
        """Spectrum file of a source; its response lies beside it."""
        from integral_oda.products.light_curve import file_label

        return self.folder / f"isgri_spectrum_{file_label(name)}.fits"


class QualityProducts(Products):
    """The quality page of a window."""

    @property
    def verdict(self) -> str:
        """``"keep"`` or ``"drop"``."""
        return str(self.summary["verdict"])

    @cached_property
    def numbers(self) -> dict[str, Any]:
        """All numbers of the page, as in ``quality.json``."""
        numbers: dict[str, Any] = json.loads((self.folder / QUALITY_FILE).read_text(encoding="utf-8"))
        return numbers


PRODUCTS: dict[type[Query], type[Products]] = {
    BackgroundQuery: Products,
    ImageQuery: ImageProducts,
    LightCurveQuery: LightCurveProducts,
    SpectrumQuery: SpectrumProducts,
    QualityQuery: QualityProducts,
}
