"""Tokenizers trained on the reports themselves: byte-level BPE to write with, so that no text is unknown and every sign
survives; word pieces, lower case, for a BERT that reads.
"""

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import BertTokenizer, PreTrainedTokenizerFast

__all__ = ["END", "train_tokenizer", "train_word_pieces"]

END = "<|endoftext|>"


def train_tokenizer(reports: Iterable[str], vocabulary_size: int, digits: bool = False) -> PreTrainedTokenizerFast:
    """Learn a vocabulary from reports. Decoding gives back any text exactly.

    Args:
        reports: texts.
        vocabulary_size: tokens, among them the 256 bytes and the end of text, which is id 0.
        digits: split numbers into digits, so that "1.5 cm" and "0/3" are spelled with the ten signs that every other
            number is spelled with, and a size that never occurred in training can still be written.
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


def train_word_pieces(texts: Iterable[str], vocabulary_size: int) -> BertTokenizer:
    """Learn BERT's kind of vocabulary from texts: [PAD] is 0, then [UNK], [CLS], [SEP], [MASK] and the pieces."""
    tokenizer, texts = BertTokenizer(), list(texts)
    special = [tokenizer.pad_token, tokenizer.unk_token, tokenizer.cls_token, tokenizer.sep_token, tokenizer.mask_token]
    normal = tokenizer.backend_tokenizer.normalizer.normalize_str
    letters = sorted({letter for text in texts for letter in normal(text) if not letter.isspace()})
    # Named in order: else that of a hash table decides on ids and on ties, and a resumed run speaks another language.
    first = [*special, *letters, *(f"##{letter}" for letter in letters if letter.isalnum())]
    trainer = trainers.WordPieceTrainer(vocab_size=vocabulary_size, special_tokens=first, show_progress=False)
    tokenizer.backend_tokenizer.train_from_iterator(texts, trainer)
    return BertTokenizer(vocab=dict(sorted(tokenizer.get_vocab().items(), key=lambda piece: piece[1])))
