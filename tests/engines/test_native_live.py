"""Images of any band at once against the whole analysis of the same band."""

from __future__ import annotations

import numpy as np
import pytest

from integral_oda.analysis import analyse
from integral_oda.errors import RequestError
from integral_oda.live_imaging import live_window
from integral_oda.query import ImageQuery, make_query

SCW = "255900280010.001"
BAND = (28.0, 80.0)


def query(band, **more):
    return make_query(ImageQuery, scw_list=SCW, bands=[band], **more)


@pytest.fixture(scope="module")
def whole(sample_archive, tmp_path_factory):
    """The whole analysis of a band."""
    store = tmp_path_factory.mktemp("store")
    made = {}

    def analysed(band, **more):
        key = band, tuple(more.items())
        if key not in made:
            made[key] = analyse(query(band, **more), sample_archive, store)
        return made[key]

    analysed.store = store
    return analysed


@pytest.fixture(scope="module")
def live(whole, sample_archive):
    sources = [(s.name, s.ra_deg, s.dec_deg) for s in whole(BAND).sources]
    return live_window(query(BAND), sample_archive, whole.store, sources)


def difference(first, second):
    both = first.observed & second.observed
    assert (first.observed ^ second.observed).mean() < 0.01
    return (first.significance - second.significance)[both]


def test_the_band_found_in_is_imaged_as_the_whole_analysis_does(live, whole):
    image, wanted = live.image(*BAND), whole(BAND).images[0]
    assert np.abs(difference(image, wanted)).max() < 0.01
    observed = wanted.observed
    assert np.sqrt(image.variance[observed] / wanted.variance[observed]) == pytest.approx(1, abs=1e-3)
    assert image.exposure[observed] == pytest.approx(wanted.exposure[observed], rel=1e-4)
    assert image.wcs.to_header_string() == wanted.wcs.to_header_string()


@pytest.mark.parametrize("band", [(22.0, 35.0), (30.0, 75.0), (70.0, 130.0)])
def test_any_other_band_differs_by_where_its_sources_would_be_placed_alone(live, whole, band):
    image, wanted = live.image(*band), whole(band).images[0]
    assert difference(image, wanted).std() < 0.05
    observed = image.observed & wanted.observed
    assert np.sqrt(image.variance[observed] / wanted.variance[observed]) == pytest.approx(1, abs=0.01)
    assert image.keywords["STRUCTUR"] == wanted.keywords["STRUCTUR"]
    peak = np.unravel_index(np.nanargmax(wanted.significance), wanted.shape)
    assert image.significance[peak] == pytest.approx(wanted.significance[peak], rel=0.05)


def test_forced_photometry_is_that_of_a_query(live, whole):
    wanted = whole(BAND, at=("290.5,18.5",)).sources[-1]
    assert wanted.forced
    flux = live.flux_at(290.5, 18.5, *BAND)
    assert flux.flux == pytest.approx(wanted.bands[0].flux, abs=0.1 * wanted.bands[0].flux_error)
    assert flux.flux_error == pytest.approx(wanted.bands[0].flux_error, rel=0.02)
    assert flux.flux_mcrab == pytest.approx(wanted.bands[0].flux_mcrab, abs=0.1 * wanted.bands[0].flux_error_mcrab)


def test_at_a_source_its_flux_is_measured_once(live, whole):
    brightest = whole(BAND).sources[0]
    flux = live.flux_at(brightest.ra_deg, brightest.dec_deg, *BAND)
    assert flux.flux == pytest.approx(brightest.bands[0].flux, rel=0.05)


@pytest.mark.parametrize("band", [(80, 28), (10, 40), (20.2, 40), (500, 1200)])
def test_no_band_is_refused_in_words(live, band):
    with pytest.raises(RequestError, match=r"multiples of 0\.5"):
        live.image(*band)


def test_a_position_outside_the_field_is_refused(live):
    with pytest.raises(RequestError, match="lights the detector"):
        live.flux_at(83.6, 22.0, *BAND)


def test_several_windows_have_no_images_at_once(sample_archive, tmp_path):
    with pytest.raises(RequestError, match="native"):
        live_window(query(BAND, engine="osa"), sample_archive, tmp_path)
