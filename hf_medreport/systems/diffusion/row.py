"""The rows of the generator."""

ROWS = ()
