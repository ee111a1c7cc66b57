"""Is a report right? Scores against known truth."""
