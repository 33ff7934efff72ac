"""Mosaics of sky images of any engine: which images, on which grid, with which sources."""
