"""Background maps: made from the windows of an archive, and taken for a window that is left out of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.background_files import EPOCH_REVOLUTIONS, map_name
from integral_oda.engines.native.image import NULL_SEED, BinI, BkgI
from integral_oda.engines.native.pack import LISTS_FILE
from integral_oda.engines.native.sources import fit_field
from integral_oda.engines.storage import load_record, save_record
from integral_oda.imaging.stacking import ResidualPlane, stacked_template
from integral_oda.imaging.structure import Covariance
from integral_oda.imaging.uniformity import Template
from integral_oda.instrument.attitude import Attitude, separation_deg
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.background_map import BackgroundMap, read_background_map, write_background_map

__all__ = ["Back", "PackBackground", "WindowResidual"]

SAME_POINTING_DEG = 0.3
"""Windows whose axes are closer see sources on the same pixels: shadows move by a pixel in 4.9 arcmin."""
FEWEST_WINDOWS = 2
NEW_SOURCE_SIGNIFICANCE = 6.0


class WindowResidual:
    """What a window counts above its fitted model in a band."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> dict[str, Any]:
        """Fit the sources, catalogued and new, beside the structure, and take them away."""
        events, *_, field = inputs
        band = EnergyBand(*parameters["band"])
        shadowgram = BinI().compute(inputs, parameters, raw)
        widths = BkgI().compute([shadowgram, field], parameters, {})
        attitude = Attitude.from_keywords(events.header)
        covariance = Covariance(shadowgram, widths)
        fit = fit_field([covariance], [band], field, attitude, NEW_SOURCE_SIGNIFICANCE)
        plane = ResidualPlane(
            excess=shadowgram.unflat(covariance.residual(shadowgram.excess, fit.models[0].design(fit.places))),
            response=shadowgram.background_response,
            source_response=shadowgram.source_response,
            variance=shadowgram.variance,
        )
        ra, dec = attitude.axis()
        return {"plane": plane, "band": list(band), "ra_deg": float(ra), "dec_deg": float(dec)}

    def save(self, value: dict[str, Any], folder: Path) -> None:
        """Write planes, band and axis."""
        save_record(value["plane"], folder)
        rest = {name: value[name] for name in ("band", "ra_deg", "dec_deg")}
        (folder / "window.json").write_text(json.dumps(rest), encoding="utf-8")

    def load(self, folder: Path) -> dict[str, Any]:
        """Read planes, band and axis."""
        rest = json.loads((folder / "window.json").read_text(encoding="utf-8"))
        return {"plane": load_record(ResidualPlane, folder), **rest}


class PackBackground:
    """One map a band and epoch, and a picture of it."""

    def compute(
        self, inputs: Sequence[tuple[str, dict[str, Any]]], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> dict[str, BackgroundMap]:
        """Gather the windows' planes by band and epoch."""
        every = [(scw, value) for scw, value in inputs]
        maps = {}
        for band in sorted({EnergyBand(*value["band"]) for _, value in every}):
            rows = [(scw, value) for scw, value in every if value["band"] == list(band)]
            for epoch in _epochs([scw for scw, _ in rows]):
                members = [(scw, value) for scw, value in rows if scw in epoch]
                maps[map_name(band, epoch)] = _gathered(band, members)
        return maps

    def save(self, value: dict[str, BackgroundMap], folder: Path) -> None:
        """Write the maps, their pictures and the lists of the summary."""
        from integral_oda.products.background_picture import draw_background_map

        for name, background in value.items():
            write_background_map(folder / name, background)
            with np.errstate(divide="ignore", invalid="ignore"):
                relative = background.excess.sum(axis=0) / background.response.sum(axis=0)
            draw_background_map(folder / f"{Path(name).stem}.png", relative, background.band, len(background.scw))
        (folder / LISTS_FILE).write_text(json.dumps({"sources": [], "noise": []}), encoding="utf-8")

    def load(self, folder: Path) -> Path:
        """Give the folder of the product files."""
        return folder


def _epochs(scws: Sequence[str]) -> list[set[str]]:
    """Windows in runs without a gap of more than `EPOCH_REVOLUTIONS`."""
    epochs: list[set[str]] = []
    last = -np.inf
    for scw in sorted(scws):
        if int(scw[:4]) - last > EPOCH_REVOLUTIONS:
            epochs.append(set())
        epochs[-1].add(scw)
        last = int(scw[:4])
    return epochs


def _gathered(band: EnergyBand, members: Sequence[tuple[str, dict[str, Any]]]) -> BackgroundMap:
    planes = [value["plane"] for _, value in members]
    cubes = {item.name: np.stack([getattr(p, item.name) for p in planes]) for item in fields(ResidualPlane)}
    axes = {name: np.array([value[name] for _, value in members]) for name in ("ra_deg", "dec_deg")}
    return BackgroundMap(band, [scw for scw, _ in members], **axes, **cubes)


class Back:
    """Template of a band's structure from the other windows of a background map."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> Template:
        """Leave out the window itself, its other versions, and windows of the same pointing."""
        (events,) = inputs
        background = read_background_map(raw["background"])
        chosen = _others(background, parameters["scw"], Attitude.from_keywords(events.header).axis())
        if len(chosen) < FEWEST_WINDOWS:
            empty = np.zeros(background.excess.shape[1:])
            return Template(empty, empty[None][:0], empty, 0.0, *background.band, "no other windows")
        planes = [
            ResidualPlane(**{item.name: getattr(background, item.name)[k] for item in fields(ResidualPlane)})
            for k in chosen
        ]
        origin = f"{len(chosen)} other windows, {background.scw[chosen[0]]} to {background.scw[chosen[-1]]}"
        return stacked_template(planes, background.band, origin, np.random.default_rng(NULL_SEED))

    def save(self, value: Template, folder: Path) -> None:
        """Write the maps."""
        save_record(value, folder)

    def load(self, folder: Path) -> Template:
        """Read the maps."""
        return load_record(Template, folder)


def _others(background: BackgroundMap, scw: str, axis: tuple[float, float]) -> list[int]:
    """Rows of the windows that show other sources on a pixel than the window itself."""
    distance = separation_deg(background.ra_deg, background.dec_deg, *axis)
    return [
        k for k, name in enumerate(background.scw)
        if name[:12] != scw[:12]
        and distance[k] > SAME_POINTING_DEG
        and abs(int(name[:4]) - int(scw[:4])) <= EPOCH_REVOLUTIONS
    ]  # fmt: skip
