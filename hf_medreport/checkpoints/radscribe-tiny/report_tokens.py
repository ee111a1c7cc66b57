"""Report text -> token ids: what every report processor does with its tokenizer."""

import torch
from torch.nn.utils.rnn import pad_sequence

# What frames a report of the multi-task chest X-ray; GPT-2 has one token for all three.
FRAME = {"bos_token": "<start>", "eos_token": "<end>", "pad_token": "<pad>"}


def add_report_tokens(tokenizer, *settings) -> None:
    """Give a tokenizer the tokens of `FRAME`, each with an id of its own, and write these ids into `settings`.

    Args:
        tokenizer: gains those that it lacks.
        settings: configurations of models or of generation.
    """
    tokenizer.add_special_tokens(FRAME)
    for of_model in settings:
        for name in FRAME:
            setattr(of_model, f"{name}_id", getattr(tokenizer, f"{name}_id"))


class ReportTokens:
    """For a processor with a `tokenizer`."""

    def report_labels(self, reports: str | list[str], max_length: int | None) -> torch.Tensor:
        """Reports to learn as `labels` (batch, text), each ended by the end-of-text token, padded with -100.

        Args:
            max_length: most tokens of a report, the end-of-text token included; longer ones are cut and do not end.
        """
        reports, end = [reports] if isinstance(reports, str) else reports, self.tokenizer.eos_token_id
        rows = [torch.tensor((self.text_ids(report) + [end])[:max_length]) for report in reports]
        return pad_sequence(rows, batch_first=True, padding_value=-100)

    def prompt_ids(self, prompts: list[str], start: list[int] | tuple = ()) -> tuple[torch.Tensor, torch.Tensor]:
        """Prompts to continue as ids and mask (batch, prompt), padded on the left; `start` stands before each."""
        rows = [torch.tensor([*start, *self.text_ids(prompt)], dtype=torch.long) for prompt in prompts]
        pad = self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else self.tokenizer.eos_token_id
        ids = pad_sequence(rows, True, pad, padding_side="left")
        return ids, pad_sequence([torch.ones_like(row) for row in rows], True, 0, padding_side="left")

    def described(self, details: dict[str, torch.Tensor]) -> dict:
        """What a pipeline's record shows of the details that a model gave of one case: each as a numpy array."""
        return {name: value.float().cpu().numpy() for name, value in details.items()}

    def text_ids(self, text: str) -> list[int]:
        """A text's own tokens."""
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]
