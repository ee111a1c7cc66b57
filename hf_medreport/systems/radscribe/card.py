"""What the cards of RadScribe, which may be given labels, and of MedViLL show."""

from dataclasses import replace

from hf_medreport.hub.card import FILMS, TORCHVISION, Kind
from hf_medreport.hub.card_rows import FILM_FIGURES, word_rows

# Figures of a whole set, which no report has a share in, have no interval.
OF_THE_SET = (("intervals", "text.token_f1"), ("intervals", "text.chexpert_f1"))
LABEL_FIGURES = (
    ("labels that the model was given", ("labels",)),
    *FILM_FIGURES,
    *(
        row
        for name, metric in {
            "BLEU-4": "bleu4",
            "METEOR": "meteor",
            "ROUGE-L": "rougeL",
            "CIDEr": "cider",
            "token F1": "token_f1",
            "CheXpert-label F1": "chexpert_f1",
        }.items()
        for row in word_rows(name, metric)
        if row[1] not in OF_THE_SET
    ),
)
# What is added for a head that names the labels.
HEAD_FIGURES = (
    ("its own labels: micro F1", ("label_head", "micro", "f1")),
    ("the same, 95 % interval", ("intervals", "label_head.micro.f1")),
    ("the same, shown noise in place of the image", ("blinded", "label_head", "micro", "f1")),
    ("its own labels: macro F1", ("label_head", "macro", "f1")),
)
RADSCRIBE = replace(FILMS, figures=LABEL_FIGURES, mark="labels")
ORACLE_EXAMPLE = '{"frontal": "image.png", "labels": ["Cardiomegaly", "Edema"]}'
# The two tasks of MedViLL's pre-training.
ENCODER_FIGURES = (
    ("films with their reports", ("n",)),
    ("seed", ("seed",)),
    ("masked words: accuracy", ("words", "accuracy")),
    ("the same, 95 % interval", ("words", "interval")),
    ("the same, by chance", ("words", "chance")),
    ("film and report belong together: accuracy", ("match", "accuracy")),
    ("the same, 95 % interval", ("match", "interval")),
    ("the same, by chance", ("match", "chance")),
)
ENCODER_INDEXED = (
    ("accuracy", "masked-word accuracy", ("words", "accuracy")),
    ("accuracy", "image-text matching accuracy", ("match", "accuracy")),
)
MEDVILL = Kind(
    "text",
    ENCODER_FIGURES,
    ENCODER_INDEXED,
    (),
    '"image.png", text="The heart is normal."',
    mark="words",
    task="feature-extraction",
)


def radscribe_card(config: dict) -> Kind:
    """By how the model comes to the labels of a film."""
    encoder = config.get("encoder", {})
    mode = encoder.get("label_mode")
    figures = LABEL_FIGURES + (HEAD_FIGURES if mode == "predicted" else ())
    example = ORACLE_EXAMPLE if mode == "oracle" else FILMS.example
    return replace(RADSCRIBE, figures=figures, example=example, needs=_needs(encoder), label_mode=mode)


def medvill_card(config: dict) -> Kind:
    """By its image encoder."""
    return replace(MEDVILL, needs=_needs(config))


def _needs(encoder: dict) -> str:
    return TORCHVISION if encoder.get("image_encoder") == "chexnet121" else ""
