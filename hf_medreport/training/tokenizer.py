"""A tokenizer trained on the reports themselves: byte-level BPE, so that no text is unknown and every sign survives."""

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

__all__ = ["END", "train_tokenizer"]

END = "<|endoftext|>"


def train_tokenizer(reports: Iterable[str], vocabulary_size: int, digits: bool = False) -> PreTrainedTokenizerFast:
    """Learn a vocabulary from reports. Decoding gives back any text exactly.

    Args:
        reports: texts.
        vocabulary_size: tokens, among them the 256 bytes and the end of text, which is id 0.
        digits: split numbers into digits, so that "1.5 cm" and "0/3" are spelt with the ten signs that every other
            number is spelt with, and a size that never occurred in training can still be written.
    """
    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    one_by_one = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([one_by_one, byte_level]) if digits else byte_level
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        reports,
        trainers.BpeTrainer(
            vocab_size=vocabulary_size,
            special_tokens=[END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END)
