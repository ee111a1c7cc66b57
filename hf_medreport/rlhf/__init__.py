"""Learning from raters: what a generator is taught by ratings and rewards."""
