"""Tiny random models with their processors, built from the registry's rows."""

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from hf_medreport.hub.folder import save_folder
from hf_medreport.processing.image_processing_film import FilmImageProcessor
from hf_medreport.registry import System

END = "<|endoftext|>"


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, 257 in all: no training, no unknown text."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {END: 0, **{letter: index + 1 for index, letter in enumerate(alphabet)}}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END)


def tiny_config(row: System, **changes):
    config = {**row.tiny, **changes}
    if row.kind == "report":
        config["decoder"] = {**config["decoder"], "vocab_size": len(tiny_tokenizer())}
    return row.resolve("config")(**config)


def tiny_model(row: System, seed: int = 0, **changes):
    torch.manual_seed(seed)
    model = row.resolve("model")(tiny_config(row, **changes)).eval()
    with torch.no_grad():  # far from the flat distributions of a fresh model, so that equal tokens mean something
        for name, parameter in model.named_parameters():
            if name.startswith("decoder") and parameter.ndim > 1:
                parameter.mul_(4)
    return model


def tiny_processor(row: System):
    image_processor = FilmImageProcessor(size=32, mask_size=16)
    if row.kind == "segmenter":
        return image_processor
    return row.resolve("processor")(image_processor, tiny_tokenizer())


def save_tiny(row: System, folder):
    return save_folder(tiny_model(row), tiny_processor(row), folder)
