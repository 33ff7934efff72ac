"""An existing OSA observation directory: which of its files hold products, and the graph that reads them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.archive.fits_table import Hdu, read_hdus
from integral_oda.engines import native as native_engine
from integral_oda.engines.native import graph as native
from integral_oda.engines.native.image import WindowImage, load_window_image, save_window_image
from integral_oda.engines.native.pack import LISTS_FILE
from integral_oda.engines.native.spectra_sum import SourceSpectrum, made_elsewhere, save_spectra
from integral_oda.engines.native.timing import load_light_curves, save_light_curves
from integral_oda.engines.osa import ENGINE
from integral_oda.engines.osa.interchange import curves_of_file, read_window_image
from integral_oda.engines.steps import DeclaredStep
from integral_oda.errors import DataError
from integral_oda.products.light_curve import LightCurve, file_label
from integral_oda.products.pif import PixelIllumination, draw_pif, read_pifs, write_pif
from integral_oda.products.response_file import read_response
from integral_oda.products.sky_image import read_sky_images
from integral_oda.products.spectrum import find_companion, read_spectrum
from integral_oda.spectra.binning import channel_edges
from integral_oda.workflow.graph import Node

__all__ = ["ObservationFiles", "find_products", "product_nodes"]

_OSA = "integral_oda.engines.osa.observation"
_READ_IMA = DeclaredStep("READ_IMA", "1", f"{_OSA}:ReadSkyImage")
_READ_LCR = DeclaredStep("READ_LCR", "2", f"{_OSA}:ReadCurves")
_READ_SPE = DeclaredStep("READ_SPE", "2", "integral_oda.engines.osa.spectrum_values:ReadSpectra")
_IMAGE_LCR = DeclaredStep("LCR", "1", "integral_oda.engines.osa.image_curves:ImageCurves", tolerant=True)
_PACK_SPE = DeclaredStep("PACK_SPE", "1", f"{_OSA}:PackSpectrum", product=True)
_PACK_PIF = DeclaredStep("PACK_PIF", "1", f"{_OSA}:PackPif", product=True)
_THRESHOLD = 7.0
"""Significance of new sources in a sum of sky images."""
_SKY, _LIST, _WINDOW_SPECTRUM = "ISGR-SKY.-IMA", "ISGR-SRCL-RES", "ISGR-EVTS-SPE"
_CHANNELS = 62
"""Of the sum of windows' spectra: those of the online system's products."""


@dataclass
class ObservationFiles:
    """Files of an observation by what they hold.

    Attributes
    ----------
    skies, mosaics, lists, spectra, window_spectra, curves, pifs : list of Path
        Sky images of windows, mosaics, source lists, PHA spectra of one source, spectra of all sources of a window,
        light curves, pixel illumination factors.
    others : list of Path
        FITS files that hold none of these.
    """

    skies: list[Path] = field(default_factory=list)
    mosaics: list[Path] = field(default_factory=list)
    lists: list[Path] = field(default_factory=list)
    spectra: list[Path] = field(default_factory=list)
    window_spectra: list[Path] = field(default_factory=list)
    curves: list[Path] = field(default_factory=list)
    pifs: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)

    def source_list(self, image: Path) -> Path | None:
        """Source list that goes with an image: the one beside it."""
        return next((path for path in self.lists if path.parent == image.parent), None)


def find_products(folder: Path) -> ObservationFiles:
    """Look through a directory, or at one file; what a file is follows from its structures, not from its name.

    Raises
    ------
    DataError
        If there is nothing to be read.
    """
    if not folder.exists():
        raise DataError(f"{folder}: no such file or directory")
    paths = [folder] if folder.is_file() else sorted([*folder.rglob("*.fits"), *folder.rglob("*.fits.gz")])
    found = ObservationFiles()
    for path in paths:
        try:
            hdus = read_hdus(path)
        except DataError:
            found.others.append(path)
            continue
        kind = _kind(hdus)
        (getattr(found, kind) if kind else found.others).append(path)
    if not any((found.skies, found.mosaics, found.spectra, found.window_spectra, found.curves, found.pifs)):
        raise DataError(f"{folder}: holds no sky image, spectrum, light curve or PIF of OSA ({len(paths)} FITS files)")
    return found


def _kind(hdus: Sequence[Hdu]) -> str | None:
    names = Counter(hdu.name for hdu in hdus)
    columns = {name for hdu in hdus if hdu.header.get("XTENSION") == "BINTABLE" for name in hdu.columns}
    if any(str(hdu.header.get("IMATYPE", "")).strip() == "INTENSITY" for hdu in hdus):
        return "skies" if _SKY in names else "mosaics"
    if "ISGR-PIF.-SHD" in names:
        return "pifs"
    if {"TIME", "RATE", "ERROR"} <= columns:
        return "curves"
    if names[_WINDOW_SPECTRUM] > 1:
        return "window_spectra"
    if {"CHANNEL", "RATE", "STAT_ERR"} <= columns:
        return "spectra"
    return "lists" if _LIST in names else None


def product_nodes(found: ObservationFiles, version: str = "") -> dict[str, Node]:
    """Nodes of all products of an observation, by the folder that they are written to (empty for the main one).

    Parameters
    ----------
    found : ObservationFiles
    version : str
        Of OSA, where it is known.
    """
    labels = _labels([*found.skies, *found.mosaics, *found.curves, *found.spectra, *found.window_spectra, *found.pifs])

    def node(
        step: DeclaredStep, scope: str, raw: Mapping[str, Path], parameters: Mapping[str, Any] | None = None
    ) -> Node:
        return Node(step, scope, parameters or {}, (), raw, ENGINE, version)

    def image(path: Path) -> Node:
        beside = found.source_list(path)
        return node(_READ_IMA, labels[path], {"image": path, **({"sources": beside} if beside else {})})

    products = {}
    for path in found.mosaics:
        products["" if len(found.mosaics) == 1 else labels[path]] = native.packed_image(image(path))
    if found.skies:
        images = [image(path) for path in found.skies]
        mosaic = _mosaic(images, found.skies)
        if not found.mosaics:
            products[""] = native.packed_image(mosaic)
        products |= _from_images(images, mosaic, found.skies[0])
    if found.curves:
        curves = [node(_READ_LCR, labels[path], {"curves": path}) for path in found.curves]
        products["lightcurves"] = native.packed_light_curves(native.gathered_light_curves(curves))
    for path in found.spectra:
        raw = {"spectrum": path, **_companions(path, found.others)}
        products[f"spectra/{labels[path]}"] = node(_PACK_SPE, labels[path], raw)
    if found.window_spectra:
        windows = [node(_READ_SPE, labels[path], {"spectra": path}, {"source": None}) for path in found.window_spectra]
        edges = [float(edge) for edge in channel_edges(_CHANNELS)]
        products["spectra-of-windows"] = native.packed_spectra(windows, edges, 0.0)
    for path in found.pifs:
        products[f"pif/{labels[path]}"] = node(_PACK_PIF, labels[path], {"pif": path})
    return products


def _from_images(images: Sequence[Node], mosaic: Node, first: Path) -> dict[str, Node]:
    """Light curves of the sources of several images, one point a window, and spectra of adjoining bands."""
    products = {}
    bands = [image.band for image in read_sky_images(first)]
    if len(images) > 1:
        curves = Node(_IMAGE_LCR, "all", {}, (mosaic, *images), {}, ENGINE)
        products["lightcurves-of-images"] = native.packed_light_curves(native.gathered_light_curves([curves]))
    if len(bands) > 1 and all(low[1] == high[0] for low, high in pairwise(bands)):
        edges = {"edges": [bands[0][0], *(band[1] for band in bands)], "group": 0.0, "source": None}
        version = native_engine.ENGINE_VERSION
        products["spectra-of-images"] = Node(
            native.PACK_MSPE, "all", edges, (mosaic,), {}, native_engine.ENGINE, version
        )
    return products


def _label(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".fits")


def _labels(paths: Sequence[Path]) -> dict[Path, str]:
    """Names of files, with their folder's where several windows have a file of the same name."""
    repeated = Counter(map(_label, paths))
    return {
        path: _label(path) if repeated[_label(path)] == 1 else f"{path.parent.name}_{_label(path)}" for path in paths
    }


def _mosaic(images: Sequence[Node], paths: Sequence[Path]) -> Node:
    """Sum of sky images on a grid in their middle."""
    if len(images) == 1:
        return images[0]
    from integral_oda.instrument.attitude import unit_vector
    from integral_oda.products.sky_grid import lattice_point

    centres = [read_sky_images(path)[0].wcs.wcs.crval for path in paths]
    middle = unit_vector(*np.transpose(centres)).sum(axis=0)
    tangent = [float(angle) for angle in lattice_point(middle)]
    search = {"tangent": tangent, "threshold": _THRESHOLD, "extra": [], "at": []}
    return Node(native.MOSAIC, "all", search, tuple(images), {}, native_engine.ENGINE, native_engine.ENGINE_VERSION)


def _companions(spectrum: Path, others: Sequence[Path]) -> dict[str, Path]:
    """Matrix and area of a spectrum: as its header names them, else the ones beside it that fit its channels."""
    read = read_spectrum(spectrum)
    found = {"rmf": _named(spectrum, read.response_file), "arf": _named(spectrum, read.area_file)}
    beside = [path for path in others if path.parent == spectrum.parent]
    for kind, other in (("rmf", "arf"), ("arf", "rmf")):
        named = [path for path in beside if kind in path.name.lower() and other not in path.name.lower()]
        if found[kind] is None and named:
            found[kind] = _closest(named, spectrum)
    return {kind: path for kind, path in found.items() if path is not None}


def _named(spectrum: Path, name: str) -> Path | None:
    """File that a spectrum's header names; None where it is gone or called otherwise by now."""
    try:
        return find_companion(spectrum, name)
    except DataError:
        return None


def _closest(paths: Sequence[Path], to: Path) -> Path:
    """File whose name shares most with another's."""
    import difflib

    return max(paths, key=lambda path: difflib.SequenceMatcher(None, path.name, to.name).ratio())


class ReadSkyImage:
    """Sky image or mosaic of a file with the source list beside it."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> WindowImage:
        """Read both."""
        return read_window_image(raw["image"], raw.get("sources"))

    def save(self, value: WindowImage, folder: Path) -> None:
        """Write the images as FITS and the rest as JSON."""
        save_window_image(value, folder)

    def load(self, folder: Path) -> WindowImage:
        """Read images and lists."""
        return load_window_image(folder)


class ReadCurves:
    """Light curves of a file."""

    def compute(
        self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> list[LightCurve]:
        """Read every table."""
        return curves_of_file(raw["curves"])

    def save(self, value: list[LightCurve], folder: Path) -> None:
        """Write the curves."""
        save_light_curves(value, folder)

    def load(self, folder: Path) -> list[LightCurve]:
        """Read the curves."""
        return load_light_curves(folder)


class PackSpectrum:
    """Product files of a spectrum with its response, in its own channels."""

    def compute(
        self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> list[SourceSpectrum]:
        """Read spectrum, matrix and area."""
        if "rmf" not in raw:
            raise DataError(f"{raw['spectrum']}: no response beside it, and its header names none that is here")
        spectrum, response = read_spectrum(raw["spectrum"]), read_response(raw["rmf"], raw.get("arf"))
        spectrum = spectrum if spectrum.name else replace(spectrum, name=_label(raw["spectrum"]))
        if len(spectrum) != len(response.channel_edges_kev) - 1:
            channels = len(response.channel_edges_kev) - 1
            raise DataError(
                f"{raw['spectrum']}: {len(spectrum)} channels, its response {raw['rmf'].name} has {channels}"
            )
        return [made_elsewhere(spectrum, response, response.channel_edges_kev, 0.0)]

    def save(self, value: list[SourceSpectrum], folder: Path) -> None:
        """Write the product files."""
        save_spectra(value, folder)

    def load(self, folder: Path) -> Path:
        """Give the folder of the product files."""
        return folder


class PackPif:
    """Product files of pixel illumination factors."""

    def compute(
        self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> list[PixelIllumination]:
        """Read every plane."""
        return read_pifs(raw["pif"])

    def save(self, value: list[PixelIllumination], folder: Path) -> None:
        """Write one file and one picture a plane."""
        listed = []
        for number, pif in enumerate(value):
            label = file_label(pif.name or f"source_{number}") + (f"_{number}" if _repeated(value, pif) else "")
            write_pif(folder / f"isgri_pif_{label}.fits", pif)
            draw_pif(folder / f"pif_{label}.png", pif)
            lit = float((np.asarray(pif.factor) > 0).mean())
            listed.append({"name": pif.name, "ra_deg": _number(pif.ra_deg), "dec_deg": _number(pif.dec_deg),
                           "mean_factor": float(np.mean(pif.factor)), "lit_share": lit})  # fmt: skip
        (folder / LISTS_FILE).write_text(json.dumps({"sources": listed}), encoding="utf-8")

    def load(self, folder: Path) -> Path:
        """Give the folder of the product files."""
        return folder


def _repeated(pifs: Sequence[PixelIllumination], pif: PixelIllumination) -> bool:
    return sum(other.name == pif.name for other in pifs) > 1


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None
