"""Metrics that compare the words of reports. What the words mean is for the clinical metrics."""
