"""Metrics that compare what reports say: the CheXpert observations of chest films, the key facts of pathology."""
