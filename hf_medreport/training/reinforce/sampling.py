"""What a model writes while it learns: sampled and greedy reports, as text and as labels of the same tokens."""

from dataclasses import dataclass

import torch
from transformers import GenerationConfig

from hf_medreport.training.recipe import ENDS

__all__ = ["Written", "generate_reports"]

NOTHING = -100


@dataclass
class Written:
    """Reports, those of one case beside each other.

    Attributes:
        labels: (reports, text) token ids with the end, -100 after it: what the model's `forward` takes.
        texts: the reports.
        ended: whether each ended by itself.
    """

    labels: torch.Tensor
    texts: list[str]
    ended: list[bool]


def generate_reports(
    model, tokenizer, seen, max_new_tokens: int, samples: int | None, temperature: float = 1.0
) -> Written:
    """Reports of what a model has `seen`, without gradient.

    The model's own settings of generation (beams, penalties) are set aside: what is sampled must be the model's own
    distribution, or what is learned of it is wrong.

    Args:
        seen: of `model.see`.
        samples: reports a case; None: the greedy one.
        temperature: by which scores are divided before they are sampled from.
    """
    ends = {name: getattr(model.generation_config, name) for name in ENDS}
    asked = {"max_new_tokens": max_new_tokens, "num_beams": 1, "do_sample": samples is not None, **ends}
    if samples is not None:
        asked |= {"top_k": 0, "top_p": 1.0, "temperature": temperature, "num_return_sequences": samples}
    own, model.generation_config = model.generation_config, GenerationConfig(**asked)
    try:
        with torch.no_grad():
            ids = model.generate(seen=seen)
    finally:
        model.generation_config = own
    if getattr(model.config, "is_encoder_decoder", False):  # the start token comes first
        ids = ids[:, 1:]
    end = torch.as_tensor(ends["eos_token_id"], device=ids.device)
    at_end = torch.isin(ids, end)
    after = (at_end.cumsum(-1) - at_end.long()) > 0
    texts = tokenizer.batch_decode(ids.masked_fill(after, int(end.flatten()[0])), skip_special_tokens=True)
    return Written(ids.masked_fill(after, NOTHING), [text.strip() for text in texts], at_end.any(-1).tolist())
