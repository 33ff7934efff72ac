from __future__ import annotations

import json
import math

import numpy as np
import pytest
from astropy.io import fits

from integral_oda.errors import DataError
from integral_oda.products.source_list import (
    Source,
    SourceBand,
    read_source_list,
    source_from_dict,
    write_regions,
    write_source_list,
)

SGR = Source(
    "SGR 1935+2154", 293.73199, 21.89672, 0.45, 0.79, new=False, forced=False,
    bands=(SourceBand(28, 40, 10.5, 0.75, 14.0, 170.0, 1.2e-9, 2.25, 1.0, 0.3, 12.0, 9e-11),
           SourceBand(40, 80, -0.5, 0.4, -1.25)),
)  # fmt: skip
NEW = Source("NEW_1", 0.25, -89.5, 2.5, 3.6, new=True, forced=False, bands=(SourceBand(28, 40, 5.0, 0.7, 7.1),) * 2)
AT = Source("J290.0000+19.0000", 290.0, 19.0, 0.16, 22.26, new=False, forced=True, bands=NEW.bands)
SOURCES = [SGR, NEW, AT]


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "catalog.fits"
    write_source_list(path, SOURCES)
    return path


def test_sources_come_back(written):
    for source, back in zip(SOURCES, read_source_list(written), strict=True):
        assert (back.name, back.new, back.forced) == (source.name, source.new, source.forced)
        assert (back.ra_deg, back.dec_deg) == (source.ra_deg, source.dec_deg)
        assert back.error_radius_arcmin == pytest.approx(source.error_radius_arcmin, rel=1e-6)
        for band, band_back in zip(source.bands, back.bands, strict=True):
            for name in ("e1_kev", "e2_kev", "flux", "flux_error", "significance"):
                assert getattr(band_back, name) == pytest.approx(getattr(band, name), rel=1e-6)


def test_the_table_is_isdcs(written):
    with fits.open(written) as hdus:
        table = hdus["ISGR-SRCL-RES"]
        assert table.data["FLUX"].shape == (3, 2)
        assert table.data["NEW_SOURCE"].tolist() == [0, 1, 0]
        assert table.data["ISGRI_FLAG"].tolist() == [1, 0, 1]
        assert table.columns["FLUX"].unit == "counts/s"
        assert table.columns["E_MIN"].unit == "keV"
        assert table.columns["RA_FIN"].unit == table.columns["FIN_RD_ERR"].unit == "deg"
        assert (table.header["TELESCOP"], table.header["DETNAM"]) == ("INTEGRAL", "ISGRI")
        assert np.allclose(table.data["FIN_RD_ERR"] * 60, [0.45, 2.5, 0.16], rtol=1e-6)


def test_a_list_of_nothing(tmp_path):
    write_source_list(tmp_path / "none.fits", [])
    assert read_source_list(tmp_path / "none.fits") == []


def test_a_file_without_a_list_is_refused(tmp_path):
    fits.PrimaryHDU().writeto(tmp_path / "plain.fits")
    with pytest.raises(DataError, match="ISGR-SRCL-RES"):
        read_source_list(tmp_path / "plain.fits")


def test_significance_is_the_largest_of_the_bands():
    assert SGR.significance == 14.0


def test_json_and_back():
    back = source_from_dict(json.loads(json.dumps(SGR.as_dict())))
    assert back.bands[0] == SGR.bands[0]
    assert math.isnan(back.bands[1].flux_mcrab)
    assert (back.name, back.ra_deg, back.error_radius_osa_arcmin) == ("SGR 1935+2154", 293.73199, 0.79)


def test_regions_are_circles_of_the_error_radius(tmp_path):
    write_regions(tmp_path / "catalog.reg", SOURCES)
    lines = (tmp_path / "catalog.reg").read_text().splitlines()
    assert lines[0].startswith("# Region file format: DS9")
    assert lines[2] == "fk5"
    assert lines[3] == "circle(293.73199,21.89672,0.00750) # text={SGR 1935+2154}"
    assert lines[4].endswith("text={NEW_1} color=magenta")
    assert len(lines) == 3 + len(SOURCES)


def test_what_was_suppressed_stands_in_a_table_of_its_own(tmp_path):
    from astropy.io import fits

    excess = {"ra_deg": 10.0, "dec_deg": -5.0, "e1_kev": 28.0, "e2_kev": 80.0, "significance": 7.5, "reason": "a ghost"}
    write_source_list(tmp_path / "list.fits", [], suppressed=[excess])
    with fits.open(tmp_path / "list.fits") as hdus:
        (row,) = hdus["SUPPRESSED"].data
        assert (row["RA"], row["DEC"], row["DETSIG"], row["REASON"]) == (10.0, -5.0, 7.5, "a ghost")
    write_source_list(tmp_path / "none.fits", [])
    with fits.open(tmp_path / "none.fits") as hdus:
        assert len(hdus) == 2
    assert read_source_list(tmp_path / "list.fits") == []
