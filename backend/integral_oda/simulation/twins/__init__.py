"""Twins of published observations: science windows simulated for their pointings, epoch and sky."""
