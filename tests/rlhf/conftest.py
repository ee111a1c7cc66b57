"""Fixtures of the loop."""

from tests.rlhf.made_loop import few_modalities, generator, stand_ins  # noqa: F401
