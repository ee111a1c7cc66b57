"""What the card of a multi-task model shows."""

from hf_medreport.hub.card import TORCHVISION, Kind
from hf_medreport.hub.card_rows import FACTS, FACTS_INDEXED, word_rows


def redrawn(view: str) -> tuple:
    """The rows of a view's redrawn films."""
    return tuple(
        row
        for name, figure in (("SSIM", "ssim"), ("mean squared error", "mse"))
        for row in (
            (f"{view} film redrawn: {name}", ("tasks", view, figure)),
            ("the same, 95 % interval", ("tasks", view, "intervals", figure)),
            ("the same, of the mean film", ("tasks", view, "mean_film", figure)),
        )
    )


PAIR_FIGURES = (
    ("cases of two films", ("n",)),
    ("seed", ("seed",)),
    *FACTS,
    *word_rows("BLEU-4", "bleu4"),
    *word_rows("ROUGE-L", "rougeL"),
    *redrawn("frontal"),
    *redrawn("lateral"),
    ("share of abnormal cases", ("tasks", "verdict", "prevalence")),
    ("verdict: accuracy", ("tasks", "verdict", "accuracy")),
    ("the same, 95 % interval", ("tasks", "verdict", "intervals", "accuracy")),
    ("the same, by majority", ("tasks", "verdict", "majority", "accuracy")),
    ("the same, frontal film alone", ("tasks", "verdict", "frontal_alone", "accuracy")),
    ("the same, lateral film alone", ("tasks", "verdict", "lateral_alone", "accuracy")),
    ("verdict: AUC", ("tasks", "verdict", "auc")),
    ("the same, 95 % interval", ("tasks", "verdict", "intervals", "auc")),
    ("the same, frontal film alone", ("tasks", "verdict", "frontal_alone", "auc")),
    ("the same, lateral film alone", ("tasks", "verdict", "lateral_alone", "auc")),
    ("verdict: sensitivity", ("tasks", "verdict", "sensitivity")),
    ("verdict: specificity", ("tasks", "verdict", "specificity")),
    ("verdict: calibration error", ("tasks", "verdict", "calibration_error")),
    ("the same, 95 % interval", ("tasks", "verdict", "intervals", "calibration_error")),
    ("verdict: Brier score", ("tasks", "verdict", "brier")),
    ("the same, 95 % interval", ("tasks", "verdict", "intervals", "brier")),
    ("the same, by majority", ("tasks", "verdict", "majority", "brier")),
)
PAIRS_INDEXED = (
    *FACTS_INDEXED,
    ("accuracy", "normal-abnormal accuracy", ("tasks", "verdict", "accuracy")),
    ("roc_auc", "normal-abnormal AUC", ("tasks", "verdict", "auc")),
    ("ssim", "SSIM of the frontal film redrawn", ("tasks", "frontal", "ssim")),
    ("ssim", "SSIM of the lateral film redrawn", ("tasks", "lateral", "ssim")),
)
CARD = Kind(
    "pair",
    PAIR_FIGURES,
    PAIRS_INDEXED,
    ("kind", "by_kind"),
    '{"frontal": "f.png", "lateral": "l.png"}',
    needs=TORCHVISION,
    mark="tasks",
)


def card(config: dict) -> Kind:
    """Of any configuration."""
    return CARD
