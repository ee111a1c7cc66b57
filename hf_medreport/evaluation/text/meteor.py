"""METEOR: words of report and reference aligned one to one; recall weighs most, scattered matches are punished.

Two programs go by the name and give different numbers:

- METEOR 1.5 (Denkowski and Lavie 2014, "Meteor universal"), a Java program with word classes, WordNet synonyms and a
  table of paraphrases, which R2Gen and HistGen report. It runs here where its jar is named, by the option `jar` or the
  environment variable METEOR_JAR. pycocoevalcap ships the jar; its paraphrase table must stay beside it.
- The formula of Banerjee and Lavie 2005 with the weights of Lavie and Agarwal 2007, which nltk and `evaluate` compute:
  exact matches, then equal Porter stems, then WordNet synonyms if asked for. It is written out below, but for the
  stems, which nltk gives.

What it misses: the second has no paraphrases, and without `synonyms` does not know "enlarged" for "big";
`Score.details` lists what was lacking. Recall weighs nine times as much as precision, so added findings cost little.
Negation and side are words like any other.
"""

import os
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hf_medreport.evaluation.score import Score, check_texts
from hf_medreport.evaluation.text.porter import stem
from hf_medreport.evaluation.text.words import Tokenizer, find_tokenizer, tokenize_pairs
from hf_medreport.processing.input_error import InputError

ALPHA, BETA, GAMMA = 0.9, 3.0, 0.5  # weight of recall; shape and weight of the penalty


def meteor(
    predictions: list[str],
    references: list,
    *,
    jar: str | Path | None = None,
    synonyms: bool = False,
    tokenizer: Tokenizer = "coco",
) -> Score:
    """METEOR, 0 to 1; of several references the best.

    With a jar, `value` is the jar's figure for the whole set and the jar tokenizes by itself. Without, `value` is the
    mean over the reports.

    Args:
        jar: `meteor-1.5.jar`; by default the environment variable METEOR_JAR, and our own implementation without that.
        synonyms: match WordNet synonyms too; needs nltk's WordNet data. Not used by the jar, which has its own.
        tokenizer: of our own implementation.

    Raises:
        InputError: see `check_texts`; a jar without Java, or that does not answer; our own without nltk, or `synonyms`
            without WordNet.
    """
    jar = jar or os.environ.get("METEOR_JAR")
    if jar:
        predictions, references = check_texts(predictions, references)
        value, per_sample = _ask_jar(Path(jar), predictions, references)
        modules, lacks = ["exact", "stem", "synonym", "paraphrase"], []
        convention = "METEOR 1.5 (Java), English, -norm, the jar's own tokenization, 0 to 1"
    else:
        named, words = find_tokenizer(tokenizer)
        pairs = tokenize_pairs(predictions, references, lambda text: [word.lower() for word in words(text)])
        synonyms_of = wordnet_synonyms() if synonyms else None
        said = map(pairs.predictions.__getitem__, pairs.owner)
        scores = [meteor_of_pair(*pair, synonyms_of) for pair in zip(said, pairs.references, strict=True)]
        per_sample = np.maximum.reduceat(np.array(scores), pairs.first)
        value = float(per_sample.mean())
        modules = ["exact", "stem"] + ["synonym"] * synonyms
        lacks = [module for module in ("synonym", "paraphrase") if module not in modules]
        convention = f"METEOR of nltk (2007 weights), {' + '.join(modules)} matches, mean, {named} words, 0 to 1"
    return Score(value, per_sample, "meteor", convention, {"modules": modules, "lacks": lacks})


def meteor_of_pair(said: list[str], given: list[str], synonyms_of: Callable[[str], set[str]] | None = None) -> float:
    """METEOR of one tokenized, lower-cased report against one reference; 0 where no word matches."""
    pairs = align(said, given, synonyms_of)
    if not pairs:
        return 0.0
    precision, recall = len(pairs) / len(said), len(pairs) / len(given)
    mean = precision * recall / (ALPHA * precision + (1 - ALPHA) * recall)
    follows = sum(after == (here[0] + 1, here[1] + 1) for here, after in zip(pairs, pairs[1:], strict=False))
    chunks = len(pairs) - follows  # runs of matches that are neighbors in both texts
    return mean * (1 - GAMMA * (chunks / len(pairs)) ** BETA)


def align(
    said: list[str], given: list[str], synonyms_of: Callable[[str], set[str]] | None = None
) -> list[tuple[int, int]]:
    """Places of matched words (in the report, in the reference), by place in the report.

    Each stage works on what the one before left over, from the last word to the first, and takes the last free match,
    as nltk does. Synonyms are looked up for stems, as nltk does too.
    """
    left, free = [*enumerate(said)], [*enumerate(given)]
    pairs: list[tuple[int, int]] = []
    left, free = _match(left, free, pairs)
    left, free = [(i, stem(word)) for i, word in left], [(j, stem(word)) for j, word in free]
    left, free = _match(left, free, pairs)
    if synonyms_of:
        _match(left, free, pairs, synonyms_of)
    return sorted(pairs)


def _match(left, free, pairs, synonyms_of=None):
    """Append the matched places to `pairs`; return the unmatched words of both sides."""
    places = defaultdict(list)
    for j, word in free:
        places[word].append(j)
    unmatched = []
    for i, word in reversed(left):
        candidates = {word} | synonyms_of(word) if synonyms_of else {word}
        best = max((places[other] for other in candidates if places.get(other)), key=lambda p: p[-1], default=None)
        if best:
            pairs.append((i, best.pop()))
        else:
            unmatched.append((i, word))
    still_free = {j for rest in places.values() for j in rest}
    return unmatched[::-1], [(j, word) for j, word in free if j in still_free]


def wordnet_synonyms() -> Callable[[str], set[str]]:
    """The synonyms of a word in nltk's WordNet; InputError where nltk or its data is missing."""
    remedy = "install nltk and put its WordNet data on NLTK_DATA, or leave synonyms off"
    try:
        from nltk.corpus import wordnet

        wordnet.ensure_loaded()
    except ImportError:
        raise InputError("synonyms", "no nltk", "nltk with its WordNet data", remedy) from None
    except LookupError:
        raise InputError("synonyms", "no WordNet data", "nltk with its WordNet data", remedy) from None

    def synonyms_of(word: str) -> set[str]:
        names = (lemma.name() for synset in wordnet.synsets(word) for lemma in synset.lemmas())
        return {name for name in names if "_" not in name}

    return synonyms_of


def _ask_jar(jar: Path, predictions: list[str], references: list[list[str]]) -> tuple[float, np.ndarray]:
    """The jar's figure for the set and for each report.

    It reads lines: `SCORE ||| reference ||| ... ||| report` is answered by counts; `EVAL ||| counts ||| ...` by one
    figure for each counts, then one for all.
    """
    if not jar.is_file():
        raise InputError("jar", f"no file '{jar}'", "the path of meteor-1.5.jar", "correct the option or METEOR_JAR")
    if not shutil.which("java"):
        raise InputError("jar", "no java on the PATH", "a Java runtime", "install one, or leave the jar out")
    virtual_machine = ["java", "-Xmx2G", "-Dfile.encoding=UTF-8", "-jar", jar.resolve()]
    command = [*virtual_machine, "-", "-", "-stdio", "-l", "en", "-norm"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8"
    ) as java:

        def tell(*parts: str) -> None:
            java.stdin.write(" ||| ".join(parts) + "\n")
            java.stdin.flush()

        def answer() -> str:
            line = java.stdout.readline().strip()
            if not line:
                raise InputError("jar", "no answer", "METEOR 1.5's answer", "run the jar by hand to see its error")
            return line

        try:
            counts = []
            for text, group in zip(predictions, references, strict=True):
                tell("SCORE", *map(_one_line, group), _one_line(text))
                counts.append(answer())
            tell("EVAL", *counts)
            per_sample = np.array([float(answer()) for _ in predictions])
            return float(answer()), per_sample
        except BrokenPipeError:
            raise InputError("jar", "a jar that ended", "METEOR 1.5", "run the jar by hand to see its error") from None
        finally:
            java.kill()


def _one_line(text: str) -> str:
    return " ".join(text.replace("|||", " ").split())
