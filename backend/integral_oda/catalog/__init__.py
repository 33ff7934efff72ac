"""Sources: the built-in reference catalogue, names and user catalogues."""
