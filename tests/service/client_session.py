"""What a script of an astronomer does, run by the client's own Python; tells what it saw as JSON.

It stands apart from the tests: the client pins libraries that the server must not share.
"""

import json
import sys
import warnings

import oda_api.api as oda
from oda_api.api import DispatcherAPI

url, token, windows = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
warnings.simplefilter("error")  # a parameter that the server does not know is a warning of the client's
disp = DispatcherAPI(url=url, instrument="mock")
shared = {
    "instrument": "isgri",
    "product_type": "Real",
    "osa_version": "OSA11.2",
    "src_name": "Crab",
    "RA": 83.63,
    "DEC": 22.01,
    "E1_keV": 20.0,
    "E2_keV": 40.0,
    "scw_list": windows,
    "token": token,
}
seen = {"instruments": disp.get_instruments_list()}

image = disp.get_product(product="isgri_image", detection_threshold=5.0, **shared)
mosaic = image.mosaic_image_0_mosaic
catalogue = image.dispatcher_catalog_1
seen["planes"] = [unit.name for unit in mosaic.data_unit]
seen["peak"] = float(mosaic.data_unit[4].data[mosaic.data_unit[4].data == mosaic.data_unit[4].data].max())
seen["stamp"] = mosaic.data_unit[4].header["REQUEST"]
seen["sources"] = [str(name) for name in catalogue.table["src_names"]]
mosaic.write_fits_file("image.fits")

catalogue.table = catalogue.table[[name == "Crab" for name in seen["sources"]]]
catalogue.table.add_row((0, "Forced", 0, 84.9, 23.4, 0, 2, 0, 0))
curves = disp.get_product(product="isgri_lc", time_bin=100, selected_catalog=catalogue.get_api_dictionary(), **shared)
seen["curves"] = {
    curve.meta_data["src_name"]: float(curve.data_unit[1].data["RATE"].mean()) for curve in curves._p_list
}
seen["attributes"] = curves._n_list

spectra = disp.get_product(product="isgri_spectrum", **shared)
seen["spectra"] = sorted({product.meta_data["src_name"] for product in spectra._p_list})
crab = {p.meta_data["product"]: p for p in spectra._p_list if p.meta_data["src_name"] == "Crab"}
seen["channels"] = len(crab["isgri_spectrum"].data_unit[1].data["RATE"])
seen["crab_rate"] = float(crab["isgri_spectrum"].data_unit[1].data["RATE"].sum())
seen["units"] = {name: [unit.name for unit in product.data_unit] for name, product in crab.items()}
seen["companions"] = [crab["isgri_spectrum"].data_unit[1].header[name] for name in ("ANCRFILE", "RESPFILE")]
for name, product in crab.items():
    product.write_fits_file(f"{name}.fits")
fit = disp.get_product(
    product="spectral_fit",
    xspec_model="powerlaw",
    ph_file_name="isgri_spectrum_Crab.fits",
    e_min_kev=25,
    e_max_kev=150,
    **shared,
)
seen["fit"] = {row["parameter"]: [row["value"], row["error"]] for row in fit._p_list[0].table}

ranged = {name: value for name, value in shared.items() if name != "scw_list"}
ranged |= {"T1": "2008-03-24T00:00:00", "T2": "2008-03-26T00:00:00", "radius": 10.0, "max_pointings": 2}
by_time = disp.get_product(product="isgri_image", **ranged).mosaic_image_0_mosaic
seen["exposures"] = [float(product.data_unit[5].data.max()) for product in (mosaic, by_time)]

none = disp.get_product(product="isgri_image", **{**shared, "detection_threshold": None})
seen["none_is_the_default"] = len(none._p_list)


def refused(kind, **changed):
    """Kind of the exception that the client raises, with its text."""
    try:
        disp.get_product(product=kind, **{**shared, **changed})
    except (oda.RequestNotUnderstood, oda.RemoteException) as exc:
        return [type(exc).__name__, str(exc)]
    return ["nothing", ""]


seen["errors"] = {
    "energy": refused("isgri_image", E1_keV=5),
    "token": refused("isgri_image", token="wrong"),
    "nothing": refused("isgri_image", scw_list=[], T1="2003-01-01T00:00:00", T2="2003-01-02T00:00:00"),
    "window": refused("isgri_image", scw_list=["999900010010.001"]),
}
sys.stdout.write("SEEN" + json.dumps(seen) + "\n")
