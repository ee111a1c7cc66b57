"""How Sphinx builds these pages: Markdown by MyST, furo's theme, nothing from the network."""

project = "hf-medreport"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "hf-medreport"
myst_heading_anchors = 3
