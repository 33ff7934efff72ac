"""Spectra that the online system extracts, and their sum over requests."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.engines.native.spectra_sum import SourceSpectrum, made_elsewhere, save_spectra
from integral_oda.engines.remote.reply import ask, same_source
from integral_oda.errors import DataError
from integral_oda.instrument.response import Response, mean_response
from integral_oda.products.response_file import read_response
from integral_oda.products.spectrum import Spectrum, read_spectrum
from integral_oda.spectra.summing import sum_spectra

__all__ = ["PackRemoteSpectra", "RemoteSpectra"]

_KINDS = ("isgri_spectrum", "isgri_arf", "isgri_rmf")
_LIST = "spectra.json"
_OF_ONE_WINDOW = ("EXPOSURE", "ONTIME", "TSTART", "TSTOP", "TELAPSE", "DEADC", "SWID", "REVOL")


@dataclass(frozen=True, eq=False)
class SpectrumFiles:
    """Spectra with their responses, as files.

    Attributes
    ----------
    folder : Path
    sources : dict of str to dict
        Names of the files by source and kind.
    """

    folder: Path
    sources: dict[str, dict[str, str]]
    held: object = field(default=None, repr=False)
    """Keeps the folder as long as its files are in use."""

    def read(self, name: str) -> tuple[Spectrum, Response]:
        """Spectrum and response of a source."""
        paths = {kind: self.folder / file for kind, file in self.sources[name].items()}
        if not {"isgri_spectrum", "isgri_rmf"} <= set(paths):
            raise DataError(f"{name}: the reply has no spectrum with its response")
        response = read_response(paths["isgri_rmf"], paths.get("isgri_arf"))
        return replace(read_spectrum(paths["isgri_spectrum"]), name=name), response


class RemoteSpectra:
    """Spectra of some windows, of one source or of all that the server gives."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> SpectrumFiles:
        """Ask, and keep the files."""
        reply = ask("isgri_spectrum", parameters, {})
        sources: dict[str, dict[str, str]] = {}
        for kind in _KINDS:
            for path, product in reply.files(kind):
                name = str(json.loads(product.get("meta_data") or "{}").get("src_name", ""))
                sources.setdefault(name, {})[kind] = path.name
        wanted = parameters.get("source")
        kept = {name: files for name, files in sources.items() if wanted is None or same_source(name, wanted)}
        if not kept:
            reply.close()
            raise DataError(f"{parameters['url']}: no spectrum of {wanted or 'any source'} in the reply")
        return SpectrumFiles(reply.folder, kept, held=reply)

    def save(self, value: SpectrumFiles, folder: Path) -> None:
        """Copy the files."""
        for files in value.sources.values():
            for name in files.values():
                shutil.copyfile(value.folder / name, folder / name)
        (folder / _LIST).write_text(json.dumps(value.sources), encoding="utf-8")

    def load(self, folder: Path) -> SpectrumFiles:
        """Find the files."""
        return SpectrumFiles(folder, json.loads((folder / _LIST).read_text(encoding="utf-8")))


class PackRemoteSpectra:
    """Product files of the spectra of all requests, summed by source, in the channels that are wanted."""

    def compute(
        self, inputs: Sequence[tuple[str, SpectrumFiles]], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> list[SourceSpectrum]:
        """Sum the requests of each source, weighted with their exposure as the responses are."""
        edges, group = np.array(parameters["edges"], dtype=float), float(parameters["group"])
        names = dict.fromkeys(name for _, files in inputs for name in files.sources)
        made = []
        for name in names:
            parts = [files.read(name) for _, files in inputs if name in files.sources]
            made.append(made_elsewhere(*_summed([s for s, _ in parts], [r for _, r in parts]), edges, group))
        return made

    def save(self, value: list[SourceSpectrum], folder: Path) -> None:
        """Write the product files."""
        save_spectra(value, folder)

    def load(self, folder: Path) -> Path:
        """Give the folder of the product files."""
        return folder


def _summed(spectra: Sequence[Spectrum], responses: Sequence[Response]) -> tuple[Spectrum, Response]:
    first = spectra[0]
    if len(spectra) == 1:
        return first, responses[0]
    if len({len(spectrum.rate) for spectrum in spectra}) > 1:
        raise DataError(f"{first.name}: spectra of different channels cannot be summed")
    weights = [spectrum.exposure_s for spectrum in spectra]
    good = [np.where(s.quality == 0, s.rate, np.nan) for s in spectra]
    rate, covariance = sum_spectra(good, [np.diag(np.nan_to_num(s.stat_error) ** 2) for s in spectra], weights)
    systematic = np.sqrt(np.average([s.sys_error**2 for s in spectra], axis=0, weights=weights))
    summed = replace(
        first,
        rate=rate,
        stat_error=np.sqrt(np.diag(covariance)),
        sys_error=systematic,
        quality=np.min([s.quality for s in spectra], axis=0),
        exposure_s=float(sum(weights)),
        keywords={key: value for key, value in first.keywords.items() if key not in _OF_ONE_WINDOW},
    )
    return summed, mean_response(responses, weights)
