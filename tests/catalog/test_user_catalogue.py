"""Catalogues that a user brings: FITS of ISDC or of the online system, ECSV, and what is wrong with others."""

import gzip

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable, Table
from astropy.units import hourangle

from integral_oda.catalog.reference import read_user_catalogue
from integral_oda.errors import DataError, RequestError
from integral_oda.products.source_list import Source, SourceBand, write_source_list

SOURCES = [("Crab", 83.6332, 22.0145), ("Mine 1", 0.0, -90.0)]


def _fits(path, columns):
    table = fits.BinTableHDU.from_columns(columns)
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    return path


def _isdc(path, sources=SOURCES, ra="RA_OBJ", dec="DEC_OBJ"):
    names, ras, decs = zip(*sources, strict=True)
    columns = [fits.Column("NAME", "100A", array=names), fits.Column(ra, "1D", array=ras)]
    return _fits(path, [*columns, fits.Column(dec, "1D", array=decs)])


def _ecsv(path, **columns):
    Table(columns).write(path, format="ascii.ecsv")
    return path


def _triples(sources):
    return [(source.name, source.ra_deg, source.dec_deg) for source in sources]


@pytest.mark.parametrize("end", ["OBJ", "FIN"])
def test_isdc_columns(tmp_path, end):
    path = _isdc(tmp_path / "cat.fits", ra=f"RA_{end}", dec=f"DEC_{end}")
    assert _triples(read_user_catalogue(path)) == SOURCES


def test_gzipped_fits(tmp_path):
    plain = _isdc(tmp_path / "cat.fits")
    packed = tmp_path / "cat.fits.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert _triples(read_user_catalogue(packed)) == SOURCES


def test_columns_of_the_online_system(tmp_path):
    columns = [
        fits.Column("src_names", "20A", array=["Crab"]),
        fits.Column("ra", "1E", array=[83.6332]),
        fits.Column("dec", "1E", array=[22.0145]),
    ]
    (source,) = read_user_catalogue(_fits(tmp_path / "cat.fits", columns))
    assert source.name == "Crab"
    assert (source.ra_deg, source.dec_deg) == pytest.approx((83.6332, 22.0145), abs=1e-5)


def test_real_catalogues(real_data):
    online = read_user_catalogue(real_data / "oda-hub_dispatcher-plugin-integral/query_catalog.fits")
    bright = read_user_catalogue(real_data / "gbelanger_grid-processing-integral/isgri_cat_bright_0043.fits.gz")
    assert (len(online), len(bright)) == (21, 37)
    assert {"Crab", "1A 0535+262"} <= {source.name for source in online} & {source.name for source in bright}


def test_our_own_source_list(tmp_path):
    band = SourceBand(20.0, 40.0, 1.0, 0.1, 10.0)
    source = Source("SGR 1935+2154", 293.732, 21.8967, 0.5, 0.5, False, False, (band,))
    write_source_list(tmp_path / "catalog.fits", [source])
    (read,) = read_user_catalogue(tmp_path / "catalog.fits")
    assert read.name == source.name
    assert (read.ra_deg, read.dec_deg) == pytest.approx((source.ra_deg, source.dec_deg), abs=1e-4)


def test_ecsv_in_degrees(tmp_path):
    path = _ecsv(tmp_path / "cat.ecsv", name=["Mine 1"], ra=[12], dec=[-0.5])
    (source,) = read_user_catalogue(path)
    assert (source.name, source.ra_deg, source.dec_deg) == ("Mine 1", 12.0, -0.5)
    assert np.isnan([source.flux_20_40_mcrab, source.flux_40_100_mcrab]).all()


def test_ecsv_units_are_minded(tmp_path):
    table = QTable({"name": ["A"], "ra": [2.0] * hourangle, "dec": [10.0]})
    table.write(tmp_path / "cat.ecsv", format="ascii.ecsv")
    (source,) = read_user_catalogue(tmp_path / "cat.ecsv")
    assert (source.ra_deg, source.dec_deg) == pytest.approx((30.0, 10.0))


def test_an_empty_catalogue_adds_nothing(tmp_path):
    path = _ecsv(tmp_path / "cat.ecsv", name=np.array([], str), ra=np.array([], float), dec=np.array([], float))
    assert read_user_catalogue(path) == ()


@pytest.mark.parametrize("name", ["missing.fits", "."])
def test_no_such_file_is_a_bad_request(tmp_path, name):
    with pytest.raises(RequestError, match=r"catalog = .*RA_OBJ.*name, ra, dec"):
        read_user_catalogue(tmp_path / name)


def test_text_that_is_no_table(tmp_path):
    path = tmp_path / "cat.ecsv"
    path.write_text("name,ra,dec\nA,1,2\n")
    with pytest.raises(DataError, match=r"cat\.ecsv: needed is an ECSV table"):
        read_user_catalogue(path)


def test_binary_rubbish(tmp_path):
    path = tmp_path / "cat.ecsv"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(DataError, match=r"cat\.ecsv: needed is an ECSV table"):
        read_user_catalogue(path)


def test_an_ecsv_column_is_missing(tmp_path):
    with pytest.raises(DataError, match="dec"):
        read_user_catalogue(_ecsv(tmp_path / "cat.ecsv", name=["A"], ra=[1.0]))


def test_ecsv_with_words_for_positions(tmp_path):
    with pytest.raises(DataError, match="needed is an ECSV table"):
        read_user_catalogue(_ecsv(tmp_path / "cat.ecsv", name=["A"], ra=["12:00:00"], dec=[1.0]))


def test_fits_without_the_columns(tmp_path):
    path = _fits(tmp_path / "cat.fits", [fits.Column("FLUX", "1E", array=[1.0])])
    with pytest.raises(DataError, match=r"cat\.fits: no extension has the columns"):
        read_user_catalogue(path)


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyWarning")
def test_truncated_fits(tmp_path):
    path = _isdc(tmp_path / "cat.fits")
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(DataError, match=r"cat\.fits"):
        read_user_catalogue(path)


@pytest.mark.parametrize("position", [(360.0, 0.0), (-1.0, 0.0), (0.0, 90.5), (np.nan, 0.0), (0.0, np.inf)])
def test_positions_off_the_sky(tmp_path, position):
    with pytest.raises(DataError, match="Mine is at ra"):
        read_user_catalogue(_isdc(tmp_path / "cat.fits", [("Mine", *position)]))


@pytest.mark.parametrize("names", [("A", "A"), ("A 1", "a1"), ("", "B")])
def test_names_are_needed_once_each(tmp_path, names):
    with pytest.raises(DataError, match="each source needs one of its own"):
        read_user_catalogue(_isdc(tmp_path / "cat.fits", [(name, 1.0, 2.0) for name in names]))
