"""Science windows with known truth."""
