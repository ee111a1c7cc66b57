"""METEOR: our implementation equals nltk's formula, the jar is asked by its protocol, and what is missing is said."""

import shutil
import stat
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings

from hf_medreport.evaluation.text.meteor import align, meteor
from hf_medreport.evaluation.text.words import coco_words
from hf_medreport.processing.input_error import InputError
from tests.evaluation.text.cases import AWKWARD, corpora, split

SYNONYMS = {"heart": ["heart", "ticker"], "normal": ["usual", "is"], "is": ["normal", "very_much"], "enlarg": ["big"]}


class WordNet:
    """As much of nltk's reader as METEOR asks, with the words of SYNONYMS."""

    def ensure_loaded(self):
        pass

    def synsets(self, word):
        names = [SimpleNamespace(name=lambda name=name: name) for name in SYNONYMS.get(word, [])]
        return [SimpleNamespace(lemmas=lambda: names)]


class NoSynonyms(WordNet):
    def synsets(self, word):
        return []


@pytest.fixture(autouse=True)
def no_jar(monkeypatch):
    monkeypatch.delenv("METEOR_JAR", raising=False)


def test_by_hand():
    # "no", "effusion" match exactly, "lungs" by its stem: 3 of 4 said, 3 of 5 given, in two runs.
    score = meteor(["no effusion lungs today"], ["no effusion in the lung"])
    precision, recall = 3 / 4, 3 / 5
    mean = precision * recall / (0.9 * precision + 0.1 * recall)
    assert score.value == pytest.approx(mean * (1 - 0.5 * (2 / 3) ** 3))
    assert score.details == {"modules": ["exact", "stem"], "lacks": ["synonym", "paraphrase"]}
    assert align(["no", "lungs"], ["lung", "no"]) == [(0, 1), (1, 0)]


def test_the_last_free_word_is_taken():
    assert align(["a"], ["a", "b", "a"]) == [(0, 2)]


def same_as_nltk(corpus, wordnet, **options):
    package = pytest.importorskip("nltk.translate.meteor_score")
    said, references = split(corpus)
    expected = [
        package.meteor_score([coco_words(one) for one in group], coco_words(text), wordnet=wordnet)
        for text, group in zip(said, references, strict=True)
    ]
    score = meteor(said, references, **options)
    assert score.per_sample.tolist() == pytest.approx(expected, abs=1e-6)
    assert score.value == pytest.approx(sum(expected) / len(expected), abs=1e-6)


@pytest.fixture
def wordnet(monkeypatch):
    monkeypatch.setattr(pytest.importorskip("nltk.corpus"), "wordnet", WordNet())


def test_awkward_reports_equal_nltk():
    same_as_nltk(AWKWARD, NoSynonyms())


def test_awkward_reports_equal_nltk_with_synonyms(wordnet):
    same_as_nltk(AWKWARD, WordNet(), synonyms=True)
    assert meteor(["a"], ["a"], synonyms=True).details["lacks"] == ["paraphrase"]
    assert meteor(["enlarged"], ["big"], synonyms=True).value == meteor(["big"], ["big"]).value > 0
    assert meteor(["enlarged"], ["big"]).value == 0


@given(corpora)
@settings(max_examples=60, deadline=None)
def test_generated_reports_equal_nltk(corpus):
    same_as_nltk(corpus, NoSynonyms())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pytest.importorskip("nltk.corpus"), "wordnet", WordNet())
        same_as_nltk(corpus, WordNet(), synonyms=True)


def test_synonyms_without_nltk(monkeypatch):
    monkeypatch.setitem(sys.modules, "nltk.corpus", None)
    with pytest.raises(InputError, match="synonyms: found no nltk; expected nltk with its WordNet data"):
        meteor(["a"], ["a"], synonyms=True)


def test_synonyms_without_wordnet(monkeypatch):
    def missing():
        raise LookupError

    monkeypatch.setattr(pytest.importorskip("nltk.corpus"), "wordnet", SimpleNamespace(ensure_loaded=missing))
    with pytest.raises(InputError, match="synonyms: found no WordNet data; expected nltk with its WordNet data"):
        meteor(["a"], ["a"], synonyms=True)


# Answers as the jar does: SCORE with the number of words in each part, EVAL with a tenth of each first number.
JAVA = """#!{python}
import sys
print(*sys.argv[1:], sep="\\n", file=open({log!r}, "w"))
for line in sys.stdin:
    command, *parts = line.rstrip("\\n").split(" ||| ")
    if command == "SCORE":
        print(len(parts[-1].split()), *(len(part.split()) for part in parts[:-1]))
    else:
        print(*(int(part.split()[0]) / 10 for part in parts), 0.75, sep="\\n")
    sys.stdout.flush()
"""


@pytest.fixture
def fake_java(tmp_path, monkeypatch):
    """Puts a given program in the place of Java; returns the file where the default one writes its arguments."""

    def install(text=JAVA):
        java, log = tmp_path / "java", tmp_path / "arguments"
        java.write_text(text.format(python=sys.executable, log=str(log)), encoding="utf-8")
        java.chmod(java.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(tmp_path))
        return log

    return install


@pytest.fixture
def jar(tmp_path):
    path = tmp_path / "meteor-1.5.jar"
    path.write_bytes(b"")
    return path


def test_the_jar_is_asked_line_by_line(fake_java, jar, monkeypatch):
    log = fake_java()
    monkeypatch.setenv("METEOR_JAR", str(jar))
    score = meteor(["two\nwords", "", "a ||| b  c"], [["x", "y z"], "é", "w"])
    assert score.per_sample.tolist() == [0.2, 0.0, 0.3] and score.value == 0.75
    assert score.details["lacks"] == [] and "1.5 (Java)" in score.convention
    assert log.read_text().split()[-7:] == [str(jar), "-", "-", "-stdio", "-l", "en", "-norm"]


def test_a_jar_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="jar: found no file '.*none.jar'; expected the path of meteor-1.5.jar"):
        meteor(["a"], ["a"], jar=tmp_path / "none.jar")


def test_no_java(jar, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="jar: found no java on the PATH; expected a Java runtime"):
        meteor(["a"], ["a"], jar=jar)


def test_a_jar_that_ends_at_once(fake_java, jar):
    fake_java("#!{python}\n")
    with pytest.raises(InputError, match="jar: found (no answer|a jar that ended); expected METEOR 1.5"):
        meteor(["a"], ["a"], jar=jar)


@pytest.mark.slow
def test_the_jar_equals_pycocoevalcap():
    package = pytest.importorskip("pycocoevalcap.meteor.meteor")
    if not shutil.which("java"):
        pytest.skip("no Java")
    jar = Path(package.__file__).with_name(package.METEOR_JAR)
    corpus = [(said, given) for said, given in AWKWARD if (said + "".join(given)).isascii() and len(said) < 1000]
    said, references = split([(" ".join(text.split()), [*map(" ".join, map(str.split, g))]) for text, g in corpus])
    scorer = package.Meteor()
    value, per_sample = scorer.compute_score(dict(enumerate(references)), {i: [text] for i, text in enumerate(said)})
    score = meteor(said, references, jar=jar)
    assert score.value == pytest.approx(value, abs=1e-6)
    assert score.per_sample.tolist() == pytest.approx(per_sample, abs=1e-6)
