"""The rows of a card's tables that several systems share: (name in the card, where the figure lies
in a split's scores).

And what of them stands in the metadata too: (metric type, name, where).
"""

__all__ = ["FACTS", "FACTS_INDEXED", "FILM_FIGURES", "FILM_INDEXED", "word_rows"]

FACTS = (
    ("exact fact: precision", ("exact", "precision")),
    ("exact fact: recall", ("exact", "recall")),
    ("exact fact: F1", ("exact", "f1")),
    ("the same, 95 % interval", ("intervals", "exact.f1")),
    ("the same, shown noise in place of the image", ("blinded", "exact", "f1")),
    ("the same, of a constant normal report", ("constant_report", "exact", "f1")),
    ("exact fact: macro F1", ("exact", "macro", "f1")),
    ("finding kind: precision", ("kind", "precision")),
    ("finding kind: recall", ("kind", "recall")),
    ("finding kind: F1", ("kind", "f1")),
    ("hallucination rate", ("hallucination_rate",)),
    ("wrong-side rate", ("wrong_side_rate",)),
    ("wrong-zone rate", ("wrong_zone_rate",)),
    ("wrong-severity rate", ("wrong_severity_rate",)),
    ("size error, mm", ("size_error_mm",)),
)
FILM_FIGURES = (
    ("images", ("n",)),
    ("seed", ("seed",)),
    *FACTS,
    ("evidence: pointing", ("evidence", "pointing", "model")),
    ("the same, randomized weights", ("evidence", "pointing", "randomized")),
    ("the same, by chance", ("evidence", "pointing", "chance")),
)
FACTS_INDEXED = (("f1", "exact-fact F1", ("exact", "f1")),)
FILM_INDEXED = (
    *FACTS_INDEXED,
    ("f1", "finding-kind F1", ("kind", "f1")),
    ("hallucination_rate", "hallucination rate", ("hallucination_rate",)),
    ("wrong_side_rate", "wrong-side rate", ("wrong_side_rate",)),
)


def word_rows(name: str, metric: str) -> tuple:
    """The rows of a text metric: the model's and its baselines'."""
    return (
        (name, ("text", metric)),
        ("the same, 95 % interval", ("intervals", f"text.{metric}")),
        ("the same, shown noise in place of the films", ("blinded", "text", metric)),
        ("the same, of the most frequent training report", ("constant_report", "text", metric)),
    )
