"""A source of tens of Crab that outshines the background: its pixels stay, and its flux is right whatever its index."""

from __future__ import annotations

import json

import numpy as np
import pytest

from integral_oda.archive.events import read_events
from integral_oda.archive.tree import Archive
from integral_oda.engines.native.events import Dead, Gti, select_events
from integral_oda.engines.native.field import CatI, Effi
from integral_oda.engines.native.image import BinI, BkgI, band_energy_kev
from integral_oda.imaging.search import FieldModel
from integral_oda.imaging.structure import Covariance
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.pif import pixel_illumination
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate

BANDS = (EnergyBand(28.0, 80.0), EnergyBand(40.0, 80.0))


@pytest.fixture(scope="module", params=[1.5, 3.0], ids="index {}".format)
def window(request, tmp_path_factory):
    source = {"name": "S", "ra": 201.5, "dec": 41.0, "flux": {"value": 30000, "unit": "mCrab", "band": (20, 40)}}
    recipe = make_recipe({
        "seed": 9, "revolution": 1555, "duration_s": 300, "pointings": [{"ra": 200.0, "dec": 40.0, "roll": 10}],
        "sources": [{**source, "spectrum": {"type": "powerlaw", "index": request.param},
                     "behaviour": {"type": "flare", "level": 0.1,
                                   "flares": [{"at_s": 100, "amplitude": 1, "rise_s": 40, "decay_s": 80}]}}],
        "detector": {"low_threshold_kev": 26, "low_threshold_spread_kev": 3, "dead_fraction": 0.03, "dead_time": 0.2,
                     "hot_fraction": 0.002},
    })  # fmt: skip
    root = tmp_path_factory.mktemp("archive")
    (scw,) = simulate(recipe, root)
    archive = Archive(root)
    selected = select_events(read_events(archive.events_file(str(scw))))
    good = Gti().compute([selected], {}, {})
    dead = Dead().compute([selected, good], {}, {"dead": archive.find(str(scw), "isgri_dead.fits")})
    field = CatI().compute([selected], {"extra": [["S", 201.5, 41.0]]}, {})
    truth = json.loads((root / "truth.json").read_text())
    return [selected, good, dead, Effi().compute([selected, good, dead, field], {}, {}), field], truth


def test_its_pixels_stay_and_hot_ones_in_the_dark_go(window):
    base, truth = window
    usable, working = base[3].usable, truth["detector"]["working_pixels"]
    assert usable.sum() > 0.9 * working
    hot = np.array(truth["detector"]["hot_pixels"])
    lit = pixel_illumination(*truth["windows"][0]["sources"][0]["tangents"])[hot[:, 0], hot[:, 1]]
    assert (lit < 0.05).sum() > 5
    assert not usable[hot[:, 0], hot[:, 1]][lit < 0.05].any()


@pytest.mark.parametrize("band", BANDS, ids=str)
def test_its_flux_is_that_drawn(window, band):
    base, truth = window
    (source,) = truth["windows"][0]["sources"]
    drawn = next(b["flux"] for b in source["bands"] if (b["e1_kev"], b["e2_kev"]) == tuple(band))
    shadowgram = BinI().compute(base, {"band": list(band)}, {})
    widths = BkgI().compute([shadowgram, base[-1]], {"band": list(band)}, {})
    fluxes, _ = FieldModel(Covariance(shadowgram, widths), band_energy_kev(band)).fit([tuple(source["tangents"])])
    assert fluxes[0] == pytest.approx(drawn, rel=0.02)
