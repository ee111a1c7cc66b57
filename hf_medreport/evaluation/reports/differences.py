"""Two reports beside each other, word by word: what one has and the other lacks."""

import re
from difflib import SequenceMatcher

__all__ = ["differences"]

WORD = re.compile(r"\s*\S+")
MAX_WORDS = 600  # matching takes the square of it


def differences(reference: str, prediction: str) -> tuple[list[tuple[str, bool]], list[tuple[str, bool]]]:
    """Both texts as runs of (words, whether the other text lacks them); words are equal whatever their case and marks.

    Texts longer than 600 words are cut there, which a last run says.

    >>> differences("No effusion. Clear.", "Large effusion. Clear.")[1]
    [('Large', True), (' effusion. Clear.', False)]
    """
    given, said = (WORD.findall(text) for text in (reference, prediction))
    matcher = SequenceMatcher(None, *(_keys(words[:MAX_WORDS]) for words in (given, said)), autojunk=False)
    blocks = matcher.get_matching_blocks()
    of_given = _runs(given, [(block.a, block.a + block.size) for block in blocks])
    return of_given, _runs(said, [(block.b, block.b + block.size) for block in blocks])


def _keys(words: list[str]) -> list[str]:
    """What is compared: the word without marks at its ends, unless it is nothing but marks."""
    return [word.strip().lower().strip(".,;:!?\"'()[]") or word.strip() for word in words]


def _runs(words: list[str], shared: list[tuple[int, int]]) -> list[tuple[str, bool]]:
    runs, place = [], 0
    for start, end in shared:  # the last block is empty and stands at the end
        runs += [("".join(words[place:start]), True), ("".join(words[start:end]), False)]
        place = end
    if len(words) > MAX_WORDS:
        runs.append((f" ... ({len(words) - MAX_WORDS} more words)", False))
    return [run for run in runs if run[0]]
