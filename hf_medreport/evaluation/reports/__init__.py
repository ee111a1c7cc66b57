"""What `hf-medreport evaluate reports` does: read predictions, score them, write a folder with a page."""
