"""The queries of the authors' benchmark notebooks (Crab, V404 Cyg, GX 5-1), run by the client's own Python.

Only the address differs from what the notebooks ask; the windows of the same identifiers and times are simulated.
"""

import json
import sys

from oda_api.api import DispatcherAPI

url, token = sys.argv[1:3]
disp = DispatcherAPI(url=url, instrument="mock", token=token)
seen = {}


def names(data):
    return [str(name) for name in data.dispatcher_catalog_1.table["src_names"]]


# Crab: an image for the catalogue over the years, then spectra with that catalogue.
crab = disp.get_product(
    instrument="isgri", product="isgri_image", product_type="Real", osa_version="OSA10.2", src_name="Crab",
    RA=83.63308, DEC=22.0145, T1="2003-03-15T23:27:40.0", T2="2015-03-16T00:03:15.0", T_format="isot", radius=15.0,
    E1_keV=20.0, E2_keV=40.0, detection_threshold=10.0, token=token,
)  # fmt: skip
seen["crab"] = names(crab)
catalogue = crab.dispatcher_catalog_1
catalogue.table = catalogue.table[[not name.startswith("NEW") for name in seen["crab"]]]
spectra = disp.get_product(
    instrument="isgri", product="isgri_spectrum", product_type="Real", osa_version="OSA10.2", RA=83.63308, DEC=22.0145,
    T1="2008-01-01T00:00:00.0", T2="2009-01-01T00:00:00.0", radius=15.0, max_pointings=50,
    selected_catalog=catalogue.get_api_dictionary(), token=token,
)  # fmt: skip
seen["crab_channels"] = len(spectra.isgri_spectrum_0_Crab_isgri_spectrum.data_unit[1].data)

# V404 Cyg: science windows by their identifiers, image and light curve.
v404 = {
    "instrument": "isgri", "product_type": "Real", "osa_version": "OSA10.2", "src_name": "V404 Cyg", "RA": 306.015917,
    "DEC": 33.867194, "scw_list": ["155500040010.001", "155500050010.001"], "E1_keV": 20.0, "E2_keV": 40.0,
    "token": token,
}  # fmt: skip
image = disp.get_product(product="isgri_image", detection_threshold=5.0, **v404)
seen["v404"] = names(image)
curves = disp.get_product(
    product="isgri_lc", time_bin=100, time_bin_format="sec",
    selected_catalog=image.dispatcher_catalog_1.get_api_dictionary(), **v404,
)  # fmt: skip
seen["v404_curves"] = curves._n_list

# GX 5-1 in its crowded field.
gx = disp.get_product(
    instrument="isgri", product="isgri_image", product_type="Real", osa_version="OSA10.2", src_name="GX 5-1",
    RA=270.2905, DEC=-25.0789, scw_list=["005600620010.001"], E1_keV=20.0, E2_keV=30.0, detection_threshold=7.0,
    token=token,
)  # fmt: skip
seen["gx"] = names(gx)
sys.stdout.write("SEEN" + json.dumps(seen) + "\n")
