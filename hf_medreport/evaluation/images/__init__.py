"""Scores of pictures: in pairs, as sets, and each alone."""
