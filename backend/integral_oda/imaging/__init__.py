"""From a shadowgram to a sky image: pure functions on arrays."""
