r"""HistGen's own word-level tokenizer as a plain `tokenizer.json`: the same words, the same ids, no code of its own.

The original (`Tokenizer` of the published code) cleans a report with a chain of replacements, splits it at white space
and numbers the words of the training reports in the order of their code points, from 1; 0 begins, ends and pads. The
vocabulary is not part of its checkpoints: it is rebuilt from the annotation file at every start. Here it is saved with
the model.

The cleaning damages what pathologists measure: "1.5 cm" becomes "15 cm", "0/3" becomes "03", "grade 2. Margins"
becomes "grade . margins". So this tokenizer is for converted checkpoints only; a new model takes
`hf_medreport.training.tokenizer.train_tokenizer`.

    tokenizer = legacy_tokenizer(read_vocabulary("annotation.json", size=5000))
    ids = tokenizer(report)["input_ids"][:100]  # as the original cuts: a long report loses its closing 0

(`truncation=True` would keep the closing 0 and drop one word more: it makes room for it.)
"""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from hf_medreport.files.settings import read_settings
from hf_medreport.processing.input_error import InputError

__all__ = ["cleaning", "legacy_tokenizer", "legacy_vocabulary", "placeholder_vocabulary", "read_vocabulary"]

END = "<|endoftext|>"  # id 0: begin, end and padding
UNKNOWN = "<unk>"
MAX_LENGTH = 100  # of the published script, as the threshold
THRESHOLD = 10
LIST_NUMBERS = "2345"
# Where the text ends, until that becomes its full stop. For private use, so no word of a report.
LAST = "\ue000"
SPACE = r"[\s\x1c-\x1f]"  # what Python calls white space
# A capital sigma that ends a word has a small letter of its own.
LAST_SIGMA = r"\p{Cased}\p{Case_Ignorable}*\KΣ(?!\p{Case_Ignorable}*\p{Cased})"
# The original's character class, with the range from ":" to "[" that it did not mean; a stop before a space separates.
DROPPED = r"""\.(?! )|["/\\',?;*!%^&_+():-\[\]{}]"""
EXPECTED = "HistGen's annotation.json or a tokenizer.json"


def cleaning() -> normalizers.Normalizer:
    """The original's cleaning of a report, word for word.

    Only the empty text differs: it stays empty, where the original makes a full stop of it.
    """
    steps = [(Regex(r"\z"), LAST), ("\n", " "), (Regex("_{2,}"), "_"), (Regex(" {2,}"), " "), (Regex(r"\.{2,}"), ".")]
    steps += [("1. ", "")]
    steps += [(f". {number}. ", ". ") for number in LIST_NUMBERS]
    steps += [(f" {number}. ", ". ") for number in LIST_NUMBERS]
    steps += [(Regex(rf"\A{SPACE}+|{SPACE}+(?={LAST}\z)"), ""), (Regex(LAST_SIGMA), "ς")]
    ending = [(Regex(DROPPED), ""), (". ", " . "), (Regex(rf"{LAST}\z"), " ."), (Regex(r"[\x1c-\x1f]"), " ")]
    replace = [normalizers.Replace(old, new) for old, new in steps]
    return normalizers.Sequence(
        [*replace, normalizers.Lowercase(), *(normalizers.Replace(old, new) for old, new in ending)]
    )


def legacy_tokenizer(token2idx: dict[str, int], max_length: int = MAX_LENGTH) -> PreTrainedTokenizerFast:
    """The original's tokenizer with this vocabulary.

    Args:
        token2idx: word -> id from 1, `<unk>` among them.
        max_length: tokens of a report, both ends included; kept as `model_max_length`.
    """
    tokenizer = Tokenizer(models.WordLevel({END: 0, **token2idx}, unk_token=UNKNOWN))
    tokenizer.normalizer = cleaning()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{END} $A {END}", special_tokens=[(END, 0)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        **dict.fromkeys(("bos_token", "eos_token", "pad_token"), END),  # `<unk>` is a word: it is seen when decoded
        split_special_tokens=True,  # a report that spells a special token does not become one
        clean_up_tokenization_spaces=False,
        model_max_length=max_length,
    )


def legacy_vocabulary(reports: Iterable[str], threshold: int = THRESHOLD) -> dict[str, int]:
    """Word -> id of the words that the (training) reports hold at least `threshold` times, and of `<unk>`."""
    return _numbered(_counts(reports), threshold)


def placeholder_vocabulary(size: int) -> dict[str, int]:
    """`<1>`, `<2>`, ... for a checkpoint whose words are lost. It decodes; it cannot encode."""
    return {f"<{number}>": number for number in range(1, size + 1)}


def read_vocabulary(path: str | os.PathLike, size: int | None = None) -> dict[str, int]:
    """The vocabulary of a checkpoint from what was kept beside it.

    Args:
        path: a JSON with `token2idx`, a tokenizer.json or folder that `legacy_tokenizer` saved, or an annotation.json,
            from whose training reports it is built again.
        size: words that the checkpoint has, `<unk>` included and the end not. An annotation.json's threshold is found
            by it; without it the threshold is the published one, 10.

    Raises:
        InputError: no such file, none of these, a vocabulary that is not numbered from 1, or one of another size.
    """
    path = Path(path) / "tokenizer.json" if os.path.isdir(path) else Path(path)
    content = _read_json(path)
    if "train" in content:
        return _from_annotation(path.name, content, size)
    model = content["model"] if isinstance(content.get("model"), dict) else {}
    words = content.get("token2idx", model.get("vocab"))
    if not isinstance(words, dict):
        raise InputError(path.name, "neither 'train' nor 'token2idx' nor a vocabulary", EXPECTED, "name another file")
    token2idx = {word: number for word, number in words.items() if word != END}
    ids = [number for number in token2idx.values() if type(number) is int]
    if len(ids) < len(words) - (END in words) or sorted(ids) != list(range(1, len(ids) + 1)):
        raise InputError(path.name, "ids with gaps, repeats or no numbers", "1, 2, 3 ...", "write the file again")
    if UNKNOWN not in token2idx:
        raise InputError(path.name, f"no '{UNKNOWN}'", f"a vocabulary with '{UNKNOWN}'", "name the original's file")
    if size is not None and len(token2idx) != size:
        raise InputError(path.name, f"{len(token2idx)} words", f"{size} as in the checkpoint", "name its own file")
    return token2idx


def _read_json(path: Path) -> dict:
    return read_settings(path, path.name, expected=EXPECTED)


def _from_annotation(name: str, content: dict, size: int | None) -> dict[str, int]:
    records = content["train"]
    if not isinstance(records, list):
        raise InputError(f"{name}, train", f"a {type(records).__name__}", "a list of records", "mend the file")
    for number, record in enumerate(records, 1):
        if not isinstance(record, dict) or not isinstance(record.get("report"), str):
            raise InputError(f"{name}, train, record {number}", "no text in 'report'", "a report", "mend the record")
    counts = _counts(record["report"] for record in records)
    if size is None:
        return _numbered(counts, THRESHOLD)
    # The rarer words come in, the larger it grows: each number of occurrences is a threshold to try, and one too many.
    thresholds = sorted({1, max(counts.values(), default=0) + 1, *counts.values()})
    sizes = {threshold: len(_kept(counts, threshold)) for threshold in thresholds}
    for threshold, found in sizes.items():
        if found == size:
            return _numbered(counts, threshold)
    nearest = min(thresholds, key=lambda threshold: abs(sizes[threshold] - size))
    found = f"{sizes[nearest]} words with threshold {nearest}, the nearest"
    raise InputError(name, found, f"{size} as in the checkpoint", "name the annotation file that it was trained on")


def _counts(reports: Iterable[str]) -> Counter:
    clean = cleaning()
    return Counter(word for report in reports for word in clean.normalize_str(report).split())


def _kept(counts: Counter, threshold: int) -> set[str]:
    return {word for word, count in counts.items() if count >= threshold} | {UNKNOWN}


def _numbered(counts: Counter, threshold: int) -> dict[str, int]:
    return {word: number for number, word in enumerate(sorted(_kept(counts, threshold)), 1)}
