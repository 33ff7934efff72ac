"""Spectra of coded sources and the fit of models to them: pure functions on arrays."""
