"""Report writers that learn from rewards of what they write: self-critical and group-relative training."""
