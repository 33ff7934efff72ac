"""The native engine: OSA's steps in numpy, without OSA."""

ENGINE = "native"
ENGINE_VERSION = "4"
