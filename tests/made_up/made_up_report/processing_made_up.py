"""The processor, which travels: a film and its report -> tensors."""

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import BatchFeature, ProcessorMixin

from .spelling_made_up import as_written


class MadeUpProcessor(ProcessorMixin):
    """An image processor, that of hf-medreport, and a tokenizer."""

    def __init__(self, image_processor=None, tokenizer=None, **kwargs):
        super().__init__(image_processor, tokenizer, **kwargs)

    @property
    def model_input_names(self) -> list[str]:
        return ["pixel_values"]

    def __call__(self, images=None, text=None, text_target=None, max_length=None, **kwargs) -> BatchFeature:
        """Model inputs.

        Args:
            images: a film, or a case as a dict with `frontal`, or a list of either.
            text: prompts to continue.
            text_target: the reports to learn, each ended by the end-of-text token.
            max_length: most tokens of a report; longer ones are cut.

        Returns:
            `pixel_values` (batch, 3, size, size), `labels` (batch, text) with -100 after the end, and of prompts
            `input_ids` and `attention_mask` (batch, prompt), padded on the left.
        """
        cases = images if isinstance(images, list | tuple) else [images]
        films = [case["frontal"] if isinstance(case, dict) else case for case in cases]
        data = dict(self.image_processor(films, return_tensors="pt"))
        if text is not None:
            prompts = [text] if isinstance(text, str) else text
            settings = {"padding": True, "padding_side": "left", "return_tensors": "pt"}
            data |= self.tokenizer(prompts, add_special_tokens=False, return_token_type_ids=False, **settings)
        if text_target is not None:
            rows = [torch.tensor(self._ids(report)[:max_length]) for report in text_target]
            data["labels"] = pad_sequence(rows, batch_first=True, padding_value=-100)
        return BatchFeature(data)

    def _ids(self, report: str) -> list[int]:
        return [*self.tokenizer(as_written(report), add_special_tokens=False)["input_ids"], self.tokenizer.eos_token_id]


__all__ = ["MadeUpProcessor"]
