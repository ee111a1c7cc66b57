"""CheXbert's own labels, for users who have its weights: through the package f1chexbert, or from a local folder.

Smit et al. 2020: a BERT with one linear head an observation on the state of its first token, four classes each (blank,
positive, negative, uncertain), two for No Finding (blank, positive). The folder holds the authors' `chexbert.pth`
beside `config.json` and `vocab.txt` of the BERT that it grew from (bert-base-uncased).
"""

import importlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoTokenizer, BertModel

from hf_medreport.evaluation.clinical.label_scores import score_texts
from hf_medreport.evaluation.clinical.observations import OBSERVATIONS
from hf_medreport.evaluation.score import Score
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.regular_file import refuse_special

__all__ = ["chexbert", "chexbert_labels"]

FILES = ("chexbert.pth", "config.json", "vocab.txt")
# What f1chexbert calls its classes, in CheXbert's numbers.
CODES = {"": 0, 1: 1, 0: 2, -1: 3}


def chexbert(
    predictions: list[str],
    references: list,
    *,
    model: str | Path | None = None,
    device: str = "cpu",
    figure: str = "f1",
    average: str = "micro",
    observations: int = 14,
    uncertain: str = "positive",
) -> Score:
    """`label_scores.chexpert` on CheXbert's labels.

    Raises:
        InputError: see `chexbert_labels` and `label_scores.score_labels`.
    """

    def label(texts: Sequence[str]) -> np.ndarray:
        return chexbert_labels(texts, model=model, device=device)

    return score_texts("chexbert", label, predictions, references, figure, average, observations, uncertain)


def chexbert_labels(
    texts: Sequence[str], *, model: str | Path | None = None, device: str = "cpu", batch_size: int = 32
) -> np.ndarray:
    """int8 (texts, 14): 0 absent, 1 positive, 2 negative, 3 uncertain; columns as in `OBSERVATIONS`.

    Args:
        model: a folder with `chexbert.pth`, `config.json` and `vocab.txt`; None: the package f1chexbert, which
            downloads the weights.
        device: where the model runs.
        batch_size: texts a pass, of the folder's model.

    Raises:
        InputError: f1chexbert is not installed; a file of the folder is missing or does not fit.
    """
    if model is None:
        return _by_package(texts, device)
    return _by_folder(texts, Path(model), device, batch_size)


def _by_package(texts: Sequence[str], device: str) -> np.ndarray:
    try:
        package = importlib.import_module("f1chexbert")
    except ImportError:
        expected = "the package f1chexbert, or CheXbert's folder as the option model"
        remedy = f"pip install f1chexbert, or give model=FOLDER with {', '.join(FILES)}"
        raise InputError("chexbert", "neither", expected, remedy) from None
    labeler = package.F1CheXbert(device=device)
    rows = [[CODES[code] for code in labeler.get_label(text, mode="classification")] for text in texts]
    columns = [labeler.target_names.index(name) for name in OBSERVATIONS]
    return np.array(rows, dtype=np.int8).reshape(-1, len(OBSERVATIONS))[:, columns]


class _CheXbert(torch.nn.Module):
    def __init__(self, config):
        super().__init__()
        self.bert = BertModel(config, add_pooling_layer=False)
        classes = [4] * (len(OBSERVATIONS) - 1) + [2]
        self.linear_heads = torch.nn.ModuleList(torch.nn.Linear(config.hidden_size, size) for size in classes)

    def forward(self, **inputs) -> torch.Tensor:
        first = self.bert(**inputs).last_hidden_state[:, 0]  # (texts, tokens, width) -> (texts, width)
        return torch.stack([head(first).argmax(dim=1) for head in self.linear_heads], dim=1)  # (texts, 14)


@torch.inference_mode()
def _by_folder(texts: Sequence[str], folder: Path, device: str, batch_size: int) -> np.ndarray:
    for name in FILES:
        if not (folder / name).is_file():
            raise InputError("model", f"no {name} in '{folder}'", "CheXbert's folder", f"put {', '.join(FILES)} there")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    labeler = _load(folder).to(device).eval()
    longest = labeler.bert.config.max_position_embeddings
    rows = [np.zeros((0, len(OBSERVATIONS)), dtype=np.int64)]
    for start in range(0, len(texts), batch_size):
        batch = [" ".join(text.split()) for text in texts[start : start + batch_size]]
        inputs = tokenizer(batch, padding=True, truncation=True, max_length=longest, return_tensors="pt").to(device)
        rows.append(labeler(**inputs).cpu().numpy())
    return np.concatenate(rows).astype(np.int8)


def _load(folder: Path) -> _CheXbert:
    labeler = _CheXbert(AutoConfig.from_pretrained(folder))
    refuse_special(folder / FILES[0], "the weights of CheXbert")
    saved = torch.load(folder / FILES[0], map_location="cpu", weights_only=True)
    weights = {name.removeprefix("module."): tensor for name, tensor in saved.get("model_state_dict", saved).items()}
    own = labeler.state_dict()
    wrong = [name for name in own if name not in weights or weights[name].shape != own[name].shape]
    if wrong:
        found, expected = f"no fitting {wrong[0]}", "the weights of CheXbert for this config.json"
        raise InputError(str(folder / FILES[0]), found, expected, "take both files from one model")
    labeler.load_state_dict({name: weights[name] for name in own})
    return labeler
