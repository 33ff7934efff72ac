"""The osa engine: the same steps carried out by the executables of the Offline Science Analysis."""

ENGINE = "osa"
