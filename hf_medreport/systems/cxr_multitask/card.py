"""What the card of a multi-task model shows."""

from hf_medreport.hub.card import TORCHVISION, Kind
from hf_medreport.hub.card_rows import FACTS, FACTS_INDEXED, word_rows


def reconstructed(view: str) -> tuple:
    """The rows of a view's reconstructed films."""
    return tuple(
        row
        for name, figure in (("SSIM", "ssim"), ("mean squared error", "mse"))
        for row in (
            (f"reconstructed {view} film: {name}", ("tasks", view, figure)),
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
    *reconstructed("frontal"),
    *reconstructed("lateral"),
    ("share of abnormal cases", ("tasks", "classification", "prevalence")),
    ("classification: accuracy", ("tasks", "classification", "accuracy")),
    ("the same, 95 % interval", ("tasks", "classification", "intervals", "accuracy")),
    ("the same, by majority", ("tasks", "classification", "majority", "accuracy")),
    ("the same, frontal film alone", ("tasks", "classification", "frontal_alone", "accuracy")),
    ("the same, lateral film alone", ("tasks", "classification", "lateral_alone", "accuracy")),
    ("classification: AUC", ("tasks", "classification", "auc")),
    ("the same, 95 % interval", ("tasks", "classification", "intervals", "auc")),
    ("the same, frontal film alone", ("tasks", "classification", "frontal_alone", "auc")),
    ("the same, lateral film alone", ("tasks", "classification", "lateral_alone", "auc")),
    ("classification: sensitivity", ("tasks", "classification", "sensitivity")),
    ("classification: specificity", ("tasks", "classification", "specificity")),
    ("classification: calibration error", ("tasks", "classification", "calibration_error")),
    ("the same, 95 % interval", ("tasks", "classification", "intervals", "calibration_error")),
    ("classification: Brier score", ("tasks", "classification", "brier")),
    ("the same, 95 % interval", ("tasks", "classification", "intervals", "brier")),
    ("the same, by majority", ("tasks", "classification", "majority", "brier")),
)
PAIRS_INDEXED = (
    *FACTS_INDEXED,
    ("accuracy", "normal-abnormal accuracy", ("tasks", "classification", "accuracy")),
    ("roc_auc", "normal-abnormal AUC", ("tasks", "classification", "auc")),
    ("ssim", "SSIM of the reconstructed frontal film", ("tasks", "frontal", "ssim")),
    ("ssim", "SSIM of the reconstructed lateral film", ("tasks", "lateral", "ssim")),
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
