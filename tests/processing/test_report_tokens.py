"""Tokens that frame a report, and what a record shows of a model's details."""

from types import SimpleNamespace

import numpy as np
import torch

from hf_medreport.processing.report_tokens import FRAME, ReportTokens, add_report_tokens
from tests.tiny import tiny_tokenizer


def test_start_end_and_padding_are_told_to_whatever_generates():
    words, config, generation = tiny_tokenizer(), SimpleNamespace(), SimpleNamespace(eos_token_id=0)
    add_report_tokens(words, config, generation)
    assert words.convert_tokens_to_ids(list(FRAME.values())) == [257, 258, 259]
    assert vars(config) == vars(generation) == {"bos_token_id": 257, "eos_token_id": 258, "pad_token_id": 259}


def test_details_become_arrays_of_float32():
    shown = ReportTokens().described({"evidence": torch.tensor([[0.5, 1.0]], dtype=torch.bfloat16)})
    assert shown["evidence"].dtype == np.float32 and shown["evidence"].tolist() == [[0.5, 1.0]]
