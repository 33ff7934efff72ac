"""From events to a light curve: pure functions on arrays."""
