"""The judge of drawn pictures: what only it needs."""
