"""A Transformer for reports that is trained from scratch."""
