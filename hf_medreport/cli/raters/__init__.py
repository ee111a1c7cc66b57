"""Verbs of learning from raters."""
