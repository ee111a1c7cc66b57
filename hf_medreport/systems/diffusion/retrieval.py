"""The nearest of the user's own cases complete a prompt, and one may be the picture to begin from.

    index = CaseIndex.read(Path("cases.csv"), [Path("radlex.csv")])
    index.nearest("small left pleural effusion", 2)

Ranked by BM25 (Robertson and Zaragoza 2009, "The probabilistic relevance framework: BM25 and beyond") over words and
terms: the synonyms of a term file (RadLex or SNOMED CT as exported, or a table `term, synonyms`) count as one. All of
it is local, and what is not asked for changes no prompt.

Of a case only whole sentences are taken, as they stand, and none that contradicts the prompt: of another side than it
names, or that denies what it states, or states what it denies. What does not fit into the encoder is left out.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hf_medreport.files.rows import csv_lines, jsonl_lines, open_text
from hf_medreport.inference.asked_pictures import AskedPicture
from hf_medreport.processing.input_error import InputError

__all__ = ["Case", "CaseIndex", "completed", "read_terms"]

K1, B = 1.2, 0.75  # of BM25, as usual
CASES = 3  # whose sentences are taken, at most
TEXT_COLUMNS, IMAGE_COLUMNS = ("text", "prompt", "report", "caption"), ("image", "path", "picture")
# A term and its synonyms: a plain table, an export of BioPortal (RadLex), descriptions of SNOMED CT's release format 2.
TERM_COLUMNS, SYNONYM_COLUMNS = ("term", "preferred label"), ("synonyms",)
SIDES = {"left": "left", "right": "right", "bilateral": "both", "both": "both"}
DENIALS = {"no", "not", "without", "absent", "absence", "negative", "free"}
# Words that say nothing of a finding.
COMMON = {"the", "a", "an", "of", "in", "is", "are", "and", "or", "with", "there", "on", "at", "to", "seen"}
WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True)
class Case:
    """A case of the user's: its text, and its picture where it has one."""

    text: str
    image: Path | None = None


class CaseIndex:
    """BM25 over cases.

    Args:
        cases: at least one.
        synonyms: {a term's words: the words of what it counts as}, see `read_terms`.
    """

    def __init__(self, cases: Sequence[Case], synonyms: dict[tuple[str, ...], tuple[str, ...]] | None = None):
        self.cases, self.synonyms = list(cases), synonyms or {}
        self.longest = max(map(len, self.synonyms), default=1)
        counts = [Counter(self.words(case.text)) for case in self.cases]
        self.lengths = [count.total() for count in counts]
        self.mean_length = sum(self.lengths) / len(self.lengths)
        self.holding: dict[str, list[tuple[int, int]]] = {}  # of each word, which cases have it how often
        for index, count in enumerate(counts):
            for word, times in count.items():
                self.holding.setdefault(word, []).append((index, times))

    @classmethod
    def read(cls, table: Path, terms: Iterable[Path] = ()) -> "CaseIndex":
        """The index of a CSV or JSONL of cases: a column of texts, and one of pictures (relative to it) if any.

        Raises:
            InputError: no such table, a broken line, no column of texts, or no case in it; of the term files too.
        """
        cases = []
        for where, row in _rows(table):
            text = _first(row, TEXT_COLUMNS)
            if text is None:
                found = f"columns {', '.join(map(str, row))}"
                raise InputError(where, found[:120], f"one of {', '.join(TEXT_COLUMNS)}", "name the column of texts so")
            if str(text).strip():
                image = _first(row, IMAGE_COLUMNS)
                cases.append(Case(str(text).strip(), table.parent / str(image) if image else None))
        if not cases:
            raise InputError(table.name, "no case", "a row a case", "fill in the column of texts")
        synonyms: dict[tuple[str, ...], tuple[str, ...]] = {}
        for file in terms:
            synonyms |= read_terms(file)
        return cls(cases, synonyms)

    def words(self, text: str) -> list[str]:
        """The words of a text, the longest terms first replaced by what they count as."""
        words, found, start = WORD.findall(text.lower()), [], 0
        while start < len(words):
            for length in range(min(self.longest, len(words) - start), 0, -1):
                term = tuple(words[start : start + length])
                if length == 1 or term in self.synonyms:
                    found.append(" ".join(self.synonyms.get(term, term)))
                    start += length
                    break
        return found

    def scores(self, query: str) -> dict[int, float]:
        """BM25 of each case that shares a word with the query, by its place."""
        scores: dict[int, float] = {}
        for word in sorted(set(self.words(query)) & self.holding.keys()):
            cases = self.holding[word]
            weight = math.log(1 + (len(self.cases) - len(cases) + 0.5) / (len(cases) + 0.5))
            for index, times in cases:
                norm = 1 - B + B * self.lengths[index] / self.mean_length
                scores[index] = scores.get(index, 0.0) + weight * times * (K1 + 1) / (times + K1 * norm)
        return scores

    def nearest(self, query: str, n: int = CASES) -> list[Case]:
        """The cases that share most with the query, best first, the earlier of equals; none that shares nothing."""
        scores = self.scores(query)
        order = sorted(scores, key=lambda index: (-scores[index], index))
        return [self.cases[index] for index in order[:n]]

    def completion(self, prompt: str, fits: Callable[[str], bool]) -> str:
        """The prompt and, behind it, sentences of the nearest cases that it does not have and that contradict nothing.

        Args:
            prompt: what was asked for; it stays as it is.
            fits: whether the encoder takes a text whole.
        """
        whole, seen = prompt, {" ".join(self.words(prompt))}
        for case in self.nearest(prompt):
            for sentence in sentences(case.text):
                key = " ".join(self.words(sentence))
                longer = f"{whole.rstrip().rstrip('.')}. {sentence}"
                if key and key not in seen and not self.contradicts(sentence, prompt) and fits(longer):
                    whole = longer
                    seen.add(key)
        return whole

    def contradicts(self, sentence: str, prompt: str) -> bool:
        """Whether a sentence names a side that the prompt, which names one, does not; or denies what it states."""
        of_sentence, of_prompt = self.words(sentence), self.words(prompt)
        named, asked = ({SIDES[word] for word in words if word in SIDES} for words in (of_sentence, of_prompt))
        if asked and named - asked:
            return True
        denies, denied = (bool(DENIALS & set(words)) for words in (of_sentence, of_prompt))
        return denies != denied and bool((set(of_sentence) & set(of_prompt)) - DENIALS - SIDES.keys() - COMMON)


def completed(picture: AskedPicture, index: CaseIndex, pipe, *, with_image: bool = False) -> AskedPicture:
    """The picture with its prompt completed as far as the encoder takes it, and perhaps an image to begin from.

    Args:
        picture: what was asked for.
        index: the cases.
        pipe: whose tokenizer counts, and whose encoder says how many tokens it takes.
        with_image: begin from the picture of the nearest case that has one.
    """
    encoder = pipe.text_encoder

    def fits(text: str) -> bool:
        return len(pipe.tokenizer(encoder.in_words(text, picture.modality)).input_ids) <= encoder.config.max_length

    whole = index.completion(picture.prompt, fits)
    changes = {"drawn_prompt": whole} if whole != picture.prompt else {}
    if with_image and picture.image is None:
        images = [case.image for case in index.nearest(picture.prompt, len(index.cases)) if case.image is not None]
        changes |= {"image": images[0]} if images else {}
    return replace(picture, **changes)


def sentences(text: str) -> list[str]:
    """The sentences of a text, as they stand."""
    return [part.strip() for part in re.split(r"(?<=[.!?])\s+|\n+", text) if part.strip()]


def read_terms(path: Path) -> dict[tuple[str, ...], tuple[str, ...]]:
    """{words of a synonym: words of its term} of a term file.

    Read are a table `term, synonyms` (several joined by | or ;), RadLex as BioPortal exports it (`Preferred Label`,
    `Synonyms`), and the descriptions of SNOMED CT (tabs; `conceptId`, `term`, `active`): the first of a concept is its
    term.

    Raises:
        InputError: no such file, or columns of none of the three.
    """
    pairs = []
    for where, row in _rows(path, (".csv", ".jsonl", ".txt", ".tsv")):
        fields = {str(name).strip().lower(): str(value or "") for name, value in row.items()}
        if {"conceptid", "term"} <= fields.keys():
            if fields.get("active", "1") == "1":
                pairs.append((fields["conceptid"], fields["term"]))
            continue
        term = _first(row, TERM_COLUMNS)
        if term is None:
            found, expected = f"columns {', '.join(map(str, row))}"[:120], "term and synonyms, or an export's own"
            raise InputError(where, found, expected, "give a table of RadLex, of SNOMED CT, or of your own")
        pairs += [(term, each) for each in (term, *re.split(r"[|;]", str(_first(row, SYNONYM_COLUMNS) or "")))]
    first: dict[str, tuple[str, ...]] = {}
    synonyms: dict[tuple[str, ...], tuple[str, ...]] = {}
    for concept, name in pairs:
        words = tuple(WORD.findall(re.sub(r"\([^)]*\)$", "", name.strip()).lower()))  # SNOMED CT: "Effusion (disorder)"
        if words:
            term = first.setdefault(concept, words)
            synonyms.setdefault(words, term)
    return synonyms


def _rows(path: Path, suffixes: tuple[str, ...] = (".csv", ".jsonl")) -> Iterator[tuple[str, dict]]:
    """(where, row) of a table; a file of tabs is split at them and has no quotes."""
    if path.suffix.lower() not in suffixes or not path.is_file():
        found = "no such file" if not path.exists() else "a folder" if path.is_dir() else f"a '{path.suffix}' file"
        raise InputError(path.name or "retrieve", found, f"a {' or '.join(suffixes)} file", "check the path")
    with open_text(path) as file:
        if path.suffix.lower() in (".txt", ".tsv"):
            header = next(file, "").rstrip("\r\n").split("\t")
            for number, line in enumerate(file, start=2):
                yield f"{path.name}, line {number}", dict(zip(header, line.rstrip("\r\n").split("\t"), strict=False))
            return
        read = csv_lines if path.suffix.lower() == ".csv" else jsonl_lines
        for number, row in read(file, path.name):
            if isinstance(row, InputError):
                raise row
            yield f"{path.name}, line {number}", row


def _first(row: dict, names: Sequence[str]) -> object | None:
    """What the first of these columns holds, "" where it is empty; None where a row has none of them."""
    fields = {str(name).strip().lower(): value for name, value in row.items()}
    return next((fields[name] or "" for name in names if name in fields), None)
