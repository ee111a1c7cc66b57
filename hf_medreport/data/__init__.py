"""Data sets of films and reports: tables, the phantom, and how records become batches."""
