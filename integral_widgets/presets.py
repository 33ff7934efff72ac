"""Queries to begin with: the sources that the online system was tested with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["PRESETS", "Preset"]


@dataclass(frozen=True)
class Preset:
    """A source with the fields of the form that a published analysis of it used.

    Attributes
    ----------
    fields : mapping
        Texts of the form's inputs.
    about : str
        What is to be seen.
    """

    fields: Mapping[str, str]
    about: str


# Times, bands, thresholds and radii: the notebooks published with Neronov et al. 2021, A&A 651, A97
# (github.com/oda-hub/oda_api_benchmark).
PRESETS: Mapping[str, Preset] = {
    "SGR 1935+2154 (sample)": Preset(
        {"src_name": "SGR 1935+2154", "scw_list": "255900280010.001", "bands": "28-80", "time_bin": "10"},
        "a magnetar in outburst, October 2022: the window that `integral-oda archive sample` fetches",
    ),
    "Crab": Preset(
        {"src_name": "Crab", "T1": "2003-03-15T23:27:40", "T2": "2015-03-16T00:03:15", "radius": "15",
         "bands": "20-40", "detection_threshold": "10", "E1_keV": "30", "E2_keV": "100", "time_bin": "10000"},
        "the steady standard of the hard X-ray sky",
    ),
    "V404 Cyg": Preset(
        {"src_name": "V404 Cyg", "T1": "2015-06-20T15:49:59", "T2": "2015-06-25T04:05:59", "radius": "15",
         "min_good_isgri": "1000", "bands": "20-40", "detection_threshold": "5", "E1_keV": "20", "E2_keV": "40",
         "time_bin": "100"},
        "a black hole that flared to 40 Crab in June 2015",
    ),
    "GX 5-1": Preset(
        {"src_name": "GX 5-1", "T1": "2003-01-01T00:00:00", "T2": "2004-01-01T00:00:00", "radius": "8",
         "bands": "20-30", "detection_threshold": "7", "E1_keV": "20", "E2_keV": "30"},
        "a crowded field in the Galactic bulge",
    ),
    "3C 279": Preset(
        {"src_name": "3C 279", "T1": "2003-03-15T00:00:00", "T2": "2018-03-15T00:00:00", "radius": "10",
         "bands": "30-100", "E1_keV": "30", "E2_keV": "100", "time_bin": "10000"},
        "a faint, variable blazar",
    ),
    "NGC 2110": Preset(
        {"src_name": "NGC 2110", "T1": "2003-03-15T00:00:00", "T2": "2018-03-15T00:00:00", "radius": "10",
         "bands": "30-100", "detection_threshold": "3.5", "E1_keV": "30", "E2_keV": "100", "time_bin": "10000"},
        "a Seyfert galaxy that varies by a factor of five over the years",
    ),
    # Pian et al. 2014, arXiv 1307.0558
    "Mrk 421": Preset(
        {"src_name": "Mrk 421", "T1": "2013-04-16T00:00:00", "T2": "2013-04-21T00:00:00", "radius": "10",
         "bands": "20-100", "detection_threshold": "5", "E1_keV": "20", "E2_keV": "100", "time_bin": "10000"},
        "a blazar of a few mCrab that flared twice in April 2013",
    ),
}  # fmt: skip
