"""Sources, detector and nuisances of a twin."""

from __future__ import annotations

import pytest

from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.usable_energy import spectral_epoch
from integral_oda.simulation.spectra import source_spectrum
from integral_oda.simulation.twins.case import case_names, read_case
from integral_oda.simulation.twins.sky import epoch_detector, twin_nuisances, twin_sources


def sources_of(name, visit=0):
    case = read_case(name)
    return {s.name: s for s in twin_sources(case, case.visits[visit], case.visits[visit].start_mjd)}


@pytest.mark.parametrize(
    ("name", "neighbours"),
    [
        ("v404_cyg", {"Cyg X-1", "Cyg X-3", "EXO 2030+375"}),
        ("gx5_1", {"GRS 1758-258", "4U 1700-377", "IGR J17464-3213"}),
        ("c3c279", {"3C 273", "NGC 4593"}),
        ("mrk421", {"NGC 4151", "NGC 4051"}),
    ],
)
def test_the_bright_sources_of_the_field_are_in_the_sky_once(name, neighbours):
    case = read_case(name)
    names = [source.name for source in twin_sources(case, case.visits[0], case.visits[0].start_mjd)]
    assert neighbours | {case.target} <= set(names)
    assert len(names) == len(set(names))


def test_transients_that_no_paper_saw_then_are_not_in_the_sky():
    assert "V2246 Cyg" not in sources_of("v404_cyg")
    assert "1A 0535+262" not in sources_of("crab")


def test_a_catalogue_source_has_the_flux_of_both_bands_of_the_catalogue():
    source = sources_of("v404_cyg")["Cyg X-3"]
    crab = source.spectrum.model_copy(update={"index": 2.1})
    folded = [source_spectrum(spectrum, source.flux, 1555) for spectrum in (source.spectrum, crab)]
    hardness, of_the_crab = (spectrum.band_rate(40, 100) / spectrum.band_rate(20, 40) for spectrum in folded)
    assert hardness / of_the_crab == pytest.approx(78 / 198, rel=0.15)


def test_a_source_of_known_history_changes_from_visit_to_visit():
    rates = [
        source_spectrum(s.spectrum, s.flux, 1000).band_rate(*EnergyBand(30, 100))
        for s in (sources_of("ngc2110", visit)["NGC 2110"] for visit in range(5))
    ]
    assert max(rates) / min(rates) == pytest.approx(3.2 / 0.6, rel=1e-3)


@pytest.mark.parametrize("revolution", [100, 1000, 1300, 1625, 1626])
def test_thresholds_let_nearly_all_pass_where_spectra_of_the_epoch_begin(revolution):
    from scipy.special import ndtr

    from integral_oda.instrument.energy import resolution_sigma_kev

    usable = spectral_epoch(revolution).usable_kev
    threshold = epoch_detector(revolution).low_threshold_kev
    assert ndtr((usable - threshold) / resolution_sigma_kev(threshold, revolution)) > 0.9


@pytest.mark.parametrize("name", case_names())
def test_nuisances_are_on(name):
    nuisances = twin_nuisances(read_case(name))
    hidden = sum(defect.side_mm**2 * (1 - defect.transmission) for defect in nuisances.mask_defects)
    assert hidden / 1064**2 == pytest.approx(0.005, rel=0.05)
    assert [abs(angle) for angle in nuisances.misalignment_error_arcmin] == [0.2, 0.2]
    assert (nuisances.ridge is not None) == (name == "gx5_1")
