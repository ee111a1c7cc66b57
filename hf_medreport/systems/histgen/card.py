"""What the card of a HistGen model shows."""

from hf_medreport.hub.card import Kind


def beside(*figure: str) -> tuple:
    """The rows of a slide model's baselines."""
    return (
        ("the same, shown noise in place of the slide", ("blinded", *figure)),
        ("the same, of a constant report", ("constant_report", *figure)),
    )


SLIDE_FIGURES = (
    ("slides", ("n",)),
    ("seed", ("seed",)),
    ("exact fact: precision", ("exact", "precision")),
    ("exact fact: recall", ("exact", "recall")),
    ("exact fact: F1", ("exact", "f1")),
    ("the same, 95 % interval", ("intervals", "exact.f1")),
    *beside("exact", "f1"),
    ("diagnosis accuracy", ("diagnosis_accuracy",)),
    *beside("diagnosis_accuracy"),
    ("grade accuracy", ("grade_accuracy",)),
    *beside("grade_accuracy"),
    ("number exactness", ("number_exactness",)),
    *beside("number_exactness"),
    ("size error, cm", ("size_error_cm",)),
    *beside("size_error_cm"),
    ("hallucination rate", ("hallucination_rate",)),
    ("deletion: fall without the tiles of most evidence", ("evidence", "deletion", "top")),
    ("the same, tiles at random", ("evidence", "deletion", "random")),
    ("difference, 95 % interval", ("evidence", "deletion", "interval")),
    ("evidence of the diagnosis on tumor", ("evidence", "tumor", "model")),
    ("the same, by chance", ("evidence", "tumor", "chance")),
)
SLIDES_INDEXED = (
    ("f1", "exact-fact F1", ("exact", "f1")),
    ("accuracy", "diagnosis accuracy", ("diagnosis_accuracy",)),
    ("accuracy", "grade accuracy", ("grade_accuracy",)),
    ("accuracy", "number exactness", ("number_exactness",)),
    ("hallucination_rate", "hallucination rate", ("hallucination_rate",)),
)
CARD = Kind(
    "slide",
    SLIDE_FIGURES,
    SLIDES_INDEXED,
    ("exact", "by_field"),
    '"slide.svs"',
    needs="To read slides it also needs openslide-python, openslide-bin and opencv-python-headless.",
    mark="diagnosis_accuracy",
)


def card(config: dict) -> Kind:
    """Of any configuration."""
    return CARD
