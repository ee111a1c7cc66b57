"""BERTScore: each word of one text looks for the word of the other that a language model finds most alike.

Zhang et al. 2020, "BERTScore: evaluating text generation with BERT". The states of one layer are scaled to length 1;
precision is the mean over the report's tokens of their highest cosine with a token of the reference, recall the same
from the reference's side. As in the authors' package, a special token ([CLS], [SEP]) can be found but does not look.
No weighting by document frequency and no rescaling.

Any encoder that `transformers` loads from a folder will do; the numbers of two models or layers cannot be compared, so
both are in the convention. A biomedical one (PubMedBERT) sees more of a report than a general one.

What it misses: raw values crowd into a narrow range near the top, and opposite findings ("no effusion", "large
effusion") are alike to a language model. Text beyond the model's length is cut; `details` counts how often.
"""

from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from hf_medreport.evaluation.score import Score, check_texts
from hf_medreport.processing.input_error import InputError


def bertscore(
    predictions: list[str],
    references: list,
    *,
    model: str | Path,
    layer: int = -1,
    batch_size: int = 32,
    device: str = "cpu",
) -> Score:
    """BERTScore F1, mean over the reports; of several references the best F1. `details` holds precision and recall.

    An empty text scores 0, as in the authors' package, even against another.

    Args:
        model: a folder with an encoder and its tokenizer.
        layer: which hidden states: 0 the embeddings, -1 the last layer. The paper's best lie below the last.
        batch_size: texts a pass.

    Raises:
        InputError: see `check_texts`; a model that is no folder; a layer that the model has not.
    """
    predictions, groups = check_texts(predictions, references)
    if not (Path(model) / "config.json").is_file():
        raise InputError("model", f"no config.json in '{model}'", "an encoder's folder", "download the model first")
    tokenizer = AutoTokenizer.from_pretrained(model)
    encoder = AutoModel.from_pretrained(model).to(device).eval()
    layers = encoder.config.num_hidden_layers
    if not -layers - 1 <= layer <= layers:
        raise InputError("layer", str(layer), f"{-layers - 1} to {layers}", f"{Path(model).name} has {layers} layers")
    distinct = [*dict.fromkeys(predictions + [text for group in groups for text in group])]
    tokens, cut = _encode(distinct, tokenizer, encoder, layer, batch_size)
    figures = np.array(
        [
            max((_compare(tokens[text], tokens[other]) for other in group), key=lambda figure: figure[2])
            for text, group in zip(predictions, groups, strict=True)
        ]
    )
    precision, recall, f1 = figures.mean(axis=0).tolist()
    return Score(
        value=f1,
        per_sample=figures[:, 2],
        name="bertscore",
        convention=f"BERTScore mean F1, model {Path(model).resolve().name}, layer {layer}, no idf, not rescaled",
        details={"precision": precision, "recall": recall, "texts_cut": cut},
    )


@torch.inference_mode()
def _encode(texts: list[str], tokenizer, encoder, layer: int, batch_size: int) -> tuple[dict, int]:
    """Text -> (states (tokens, width) of length 1, bool (tokens,) whether the token looks for a partner), and how many
    texts were cut."""
    longest = min(tokenizer.model_max_length, getattr(encoder.config, "max_position_embeddings", 10**9))
    by_length = sorted(texts, key=len)  # little padding
    encoded, cut = {}, 0
    for start in range(0, len(texts), batch_size):
        batch = by_length[start : start + batch_size]
        cut += sum(len(ids) > longest for ids in tokenizer(batch, verbose=False)["input_ids"])
        inputs = tokenizer(
            batch,
            padding=True,
            truncation=True,
            max_length=longest,
            return_special_tokens_mask=True,
            return_tensors="pt",
        )
        special = inputs.pop("special_tokens_mask").bool()
        states = encoder(**inputs.to(encoder.device), output_hidden_states=True).hidden_states[layer]
        states = torch.nn.functional.normalize(states.float(), dim=-1).cpu()
        real = inputs["attention_mask"].bool().cpu()
        for row, text in enumerate(batch):
            encoded[text] = states[row, real[row]], ~special[row, real[row]]
    return encoded, cut


def _compare(said: tuple[torch.Tensor, torch.Tensor], given: tuple[torch.Tensor, torch.Tensor]) -> tuple:
    """Precision, recall and F1 of one pair of encoded texts."""
    (states, looks), (other_states, other_looks) = said, given
    if not looks.any() or not other_looks.any():
        return 0.0, 0.0, 0.0
    cosine = states @ other_states.T  # (tokens of the report, tokens of the reference)
    precision = cosine.amax(dim=1)[looks].mean().item()
    recall = cosine.amax(dim=0)[other_looks].mean().item()
    total = precision + recall
    return precision, recall, 2 * precision * recall / total if total else 0.0
