"""The mmoda engine: queries carried out by the online system, or by any server that speaks its protocol."""

ENGINE = "mmoda"
ENGINE_VERSION = "1"
