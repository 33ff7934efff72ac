"""Graph of steps, provenance keys, product store and progress; knows no instrument."""
