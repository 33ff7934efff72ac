"""ISGRI as numbers: mask, detector grid, frames and response."""
