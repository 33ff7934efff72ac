"""INTEGRAL/ISGRI sky images, spectra and light curves, from a query to a product."""

__version__ = "0.1.0"
