"""The analysis steps and the engines that carry them out."""
