"""Science windows: their identifiers, the local archive and the real sample."""
