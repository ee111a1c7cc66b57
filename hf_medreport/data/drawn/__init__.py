"""The drawn corpora as data sets and as files."""
