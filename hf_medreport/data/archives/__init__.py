"""Films and reports that lie in archives, read where they lie."""
