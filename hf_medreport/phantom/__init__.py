"""The known-truth corpora: images drawn from lists of findings, a room a modality, each with a report and a score."""
