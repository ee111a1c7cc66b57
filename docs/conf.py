"""How Sphinx builds these pages: Markdown by MyST, furo's theme, nothing from the network."""

import sys
from pathlib import Path

sys.path[:0] = map(str, (Path(__file__).parent, Path(__file__).parents[1]))  # generators, and benchmarks

project = "hf-medreport"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generators"]
html_theme = "furo"
html_title = "hf-medreport"
html_static_path, html_css_files = ["static"], ["wide.css"]
myst_heading_anchors = 3
exclude_patterns = ["generators"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say more than the annotations
nitpicky = False
