"""Products and their ISDC/OGIP files, one class a product."""
