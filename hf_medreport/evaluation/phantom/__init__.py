"""Scores of models on drawn images, whose truth is known."""
