"""Tokenizers as large as the golden set's vocabularies, with the marks where the published ones have them."""

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertTokenizer, PreTrainedTokenizerFast

MARKS = {0: "[PAD]", 1: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}


def bert_words(count: int = 120, marks: dict[int, str] = MARKS) -> BertTokenizer:
    return BertTokenizer(vocab={marks.get(index, f"word{index}"): index for index in range(count)})


def t5_words(count: int = 100, marks: dict[int, str] | None = None) -> PreTrainedTokenizerFast:
    marks = marks or {0: "<pad>", 1: "</s>", 2: "<unk>"}
    vocabulary = {marks.get(index, f"word{index}"): index for index in range(count)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", pad_token="<pad>", unk_token="<unk>")


def word_folders(folder) -> dict[str, str]:
    """The options `tokenizer` and `label_tokenizer` of the converter."""
    t5_words().save_pretrained(folder / "t5")
    bert_words().save_pretrained(folder / "bert")
    return {"tokenizer": str(folder / "t5"), "label_tokenizer": str(folder / "bert")}
