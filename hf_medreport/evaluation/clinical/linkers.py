"""Texts to medical concepts, for the metrics that compare sets of concepts.

A linker is whatever has `link(text) -> frozenset of concept ids`. Two are here:

- `DictionaryLinker`: finds the terms of a table that you give, offline. UMLS may not be shipped, but a table is quickly
  made of a licensed copy, or of the codes that a collection brings along.
- `ScispacyLinker`: scispaCy's own candidate generation and linker (the extra `clinical`), as RadScribe uses it.

What both miss: a concept that is denied is linked like one that is stated ("no effusion"), and no concept knows which
other it belongs to, so "left" and "right" are concepts, but a swapped side is none.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.regular_file import refuse_special

__all__ = ["DictionaryLinker", "Linker", "ScispacyLinker"]


class Linker(Protocol):
    """Anything that finds concepts in a text."""

    def link(self, text: str) -> frozenset[str]:
        """The ids of the concepts that the text names."""


_WORD = re.compile(r"[^\W_]+")
# Singular and plural to one form, which need not be a word. The first rule that fits.
_PLURALS = tuple(
    (re.compile(pattern + r"\Z"), form)
    for pattern, form in (
        (r"(?<=thor)aces", "ax"),  # pneumothoraces
        (r"(?<=ap|rt)ices", "ex"),  # apices, cortices
        (r"(?<=om)ata", "a"),  # granulomata
        (r"(?<=bronch)i", "us"),
        (r"(?<=hil|cul)a", "um"),  # hila, diverticula
        (r"(?<=\w\w)ae", "a"),  # bullae, pleurae
        (r"(?<=\w\w)ies", "y"),
        (r"(?<=ss|ch|sh)es|(?<=[xz])es", ""),
        (r"(?<=\w\w)(?:ses|sis|se)", "s"),  # metastasis, metastases; disease, diseases; viruses
        (r"(?<=\w\w)(?<![sui])s", ""),  # not mass, virus, pelvis
    )
)


@lru_cache(maxsize=100_000)
def _form(word: str) -> str:
    for pattern, form in _PLURALS:
        changed, count = pattern.subn(form, word)
        if count:
            return changed
    return word


def _forms(text: str) -> list[str]:
    """The words of a text, in one form for upper and lower case, singular and plural; signs separate words."""
    return [_form(word) for word in _WORD.findall(re.sub(r"['\u2019]s\b", "", text.lower()))]


class DictionaryLinker:
    """Finds the terms of a table in a text: whole words, case and plural aside, the longest term first.

    Where "left lower lobe collapse" is a term, "lobe" and "collapse" are not found inside it. A term with several ids
    gives all of them, as a linker without context must.

    Args:
        table: UTF-8, one `id<TAB>term` a line, an id as often as it has terms; empty lines are passed over.

    Raises:
        InputError: no such file, not UTF-8, a line that is not an id, a tab and a term, or no line at all.
    """

    def __init__(self, table: str | Path):
        self.table = str(table)
        self._ids: dict[tuple[str, ...], set[str]] = {}
        for number, line in enumerate(_lines(Path(table)), start=1):
            if line.strip():
                concept, term = _row(f"{table} line {number}", line)
                self._ids.setdefault(term, set()).add(concept)
        if not self._ids:
            raise InputError(str(table), "no terms", "lines of id<TAB>term", "write one term a line")
        # By their first word, the lengths of the terms that begin with it, longest first.
        lengths: dict[str, set[int]] = {}
        for term in self._ids:
            lengths.setdefault(term[0], set()).add(len(term))
        self._lengths = {first: sorted(of_first, reverse=True) for first, of_first in lengths.items()}

    def __str__(self) -> str:
        return self.table  # what a run keeps of its arguments, and reads again

    def link(self, text: str) -> frozenset[str]:
        """The ids of all terms of the text."""
        words, start, found = _forms(text), 0, set()
        while start < len(words):
            for length in self._lengths.get(words[start], ()):
                ids = self._ids.get(tuple(words[start : start + length]))
                if ids:
                    found |= ids
                    start += length - 1
                    break
            start += 1
        return frozenset(found)


def _lines(table: Path) -> list[str]:
    refuse_special(table, "a table of id<TAB>term")
    try:
        return table.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        found = error.strerror or type(error).__name__
        raise InputError(str(table), found, "a table of id<TAB>term", "give the file's path") from None
    except UnicodeDecodeError as error:
        raise InputError(str(table), f"byte {error.start} is not UTF-8", "UTF-8 text", "convert the file") from None


def _row(where: str, line: str) -> tuple[str, tuple[str, ...]]:
    concept, tab, term = line.partition("\t")
    words = tuple(_forms(term))
    if not (concept.strip() and tab and words) or "\t" in term:
        raise InputError(where, repr(line[:80]), "id<TAB>term", "write one id, one tab and one term")
    return concept.strip(), words


class ScispacyLinker:
    """scispaCy's linker: a pipeline finds the entities of a text, character 3-grams their nearest terms.

    As RadScribe has it by default: abbreviations written out, and all the concepts that scispaCy keeps for an entity.

    Args:
        model: a spaCy pipeline that finds entities, by the name of its installed package or its folder.
        knowledge_base: a JSON or JSONL file of scispaCy's entities (concept_id, canonical_name, aliases, types,
            definition); None: UMLS, which scispaCy downloads (1 GB) when it is not in its cache.
        index: the folder of that file's index (nmslib_index.bin, tfidf_vectorizer.joblib, tfidf_vectors_sparse.npz,
            concept_aliases.json). The joblib file is a pickle, which can run code: trust where it comes from.
        options: of scispaCy's EntityLinker, such as threshold, k, max_entities_per_mention.

    Raises:
        InputError: scispaCy or the pipeline is not installed, a file is missing, one of knowledge_base and index alone.
    """

    def __init__(
        self,
        model: str | Path = "en_core_sci_scibert",
        knowledge_base: str | Path | None = None,
        index: str | Path | None = None,
        **options,
    ):
        try:
            import spacy
            from scispacy.abbreviation import AbbreviationDetector  # noqa: F401, spaCy knows it by being imported
            from scispacy.linking import EntityLinker
        except ImportError as error:
            remedy = 'pip install "hf-medreport[clinical]" (numpy < 2), or use a DictionaryLinker'
            raise InputError("scispacy", f"no module {error.name}", "scispaCy", remedy) from None
        candidates = None if knowledge_base is None and index is None else _candidates(knowledge_base, index)
        try:
            self._pipeline = spacy.load(model)
        except OSError:
            remedy = "install the pipeline's package, or give its folder"
            raise InputError("model", f"no pipeline {str(model)!r}", "a spaCy pipeline", remedy) from None
        self._pipeline.add_pipe("abbreviation_detector")
        named = {"linker_name": "umls"} if candidates is None else {"candidate_generator": candidates}
        self._linker = EntityLinker(resolve_abbreviations=True, **named, **options)

    def link(self, text: str) -> frozenset[str]:
        """The ids of all concepts that scispaCy keeps for the entities of the text."""
        document = self._linker(self._pipeline(text))
        return frozenset(concept for entity in document.ents for concept, _ in entity._.kb_ents)


def _candidates(knowledge_base: str | Path | None, index: str | Path | None):
    """scispaCy's candidate generator from local files."""
    from scispacy.candidate_generation import CandidateGenerator, LinkerPaths
    from scispacy.linking_utils import KnowledgeBase

    if knowledge_base is None or index is None:
        missing = "knowledge_base" if knowledge_base is None else "index"
        raise InputError(missing, "none", "knowledge_base and index together", "give both, or neither for UMLS")
    if not Path(knowledge_base).is_file():
        raise InputError("knowledge_base", f"no file '{knowledge_base}'", "scispaCy's JSON or JSONL", "check the path")
    paths = LinkerPaths(*(str(Path(index) / Path(name).name) for name in LinkerPaths.from_directory(".")))
    for path in paths:
        if not Path(path).is_file():
            found = f"no {Path(path).name} in '{index}'"
            raise InputError("index", found, "scispaCy's index of the knowledge base", "give the folder of its files")
    aliases, vectorizer, neighbors = paths.load()
    return CandidateGenerator(neighbors, vectorizer, aliases, KnowledgeBase(str(knowledge_base)))
