"""Verbs of raters: what people say of pictures, and what learns from it."""
