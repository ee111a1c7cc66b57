"""The dictionary linker by hand; scispaCy's on a stand-in and, where it is installed, on a base made here."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from hf_medreport.evaluation.clinical.linkers import DictionaryLinker, ScispacyLinker
from hf_medreport.processing.input_error import InputError

TERMS = """C1\tpleural effusion
C1\teffusion, pleural
C2\tEffusion
C3\tcollapse

C4\tleft lower lobe collapse
C5\tlung mass
C6\tcold
C7\tCOLD
C8\tapex
C9\tmetastasis
C10\tdisease
C11\tpneumothorax
"""


@pytest.fixture
def dictionary(tmp_path):
    (tmp_path / "terms.tsv").write_text(TERMS, encoding="utf-8")
    return DictionaryLinker(tmp_path / "terms.tsv")


@pytest.mark.parametrize(
    "text, found",
    [
        ("", ""),
        ("Small PLEURAL EFFUSION.", "C1"),  # and not C2, which lies inside
        ("Pleural effusions; joint effusions.", "C1 C2"),
        ("Effusion, pleural", "C1"),
        ("Left-lower lobe collapse", "C4"),
        ("Left lower lobe: collapse; lung masses", "C4 C5"),
        ("Left lower lobe is clear", ""),
        ("No cold", "C6 C7"),  # denied, ambiguous: linked all the same
        ("scold", ""),
        ("the apices, metastases of diseases", "C8 C9 C10"),
        ("pneumothoraces or pneumothoraxes", "C11"),
        ("the patient's disease", "C10"),
    ],
)
def test_terms_are_found(dictionary, text, found):
    assert dictionary.link(text) == frozenset(found.split())


@pytest.mark.parametrize(
    "one, many",
    [
        ("nodule", "nodules"),
        ("mass", "masses"),
        ("opacity", "opacities"),
        ("diagnosis", "diagnoses"),
        ("case", "cases"),
        ("base", "bases"),
        ("virus", "viruses"),
        ("space", "spaces"),
        ("bulla", "bullae"),
        ("hilum", "hila"),
        ("bronchus", "bronchi"),
        ("granuloma", "granulomata"),
        ("cortex", "cortices"),
        ("diverticulum", "diverticula"),
        ("branch", "branches"),
    ],
)
def test_plurals(tmp_path, one, many):
    for term, text in ((one, many), (many, one)):
        (tmp_path / "terms.tsv").write_text(f"C1\t{term}\n")
        assert DictionaryLinker(tmp_path / "terms.tsv").link(f"two {text}") == {"C1"}


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "terms.tsv: found no terms; expected lines of id<TAB>term; write one term a line"),
        (b"C1\ta\nC2 b\n", "terms.tsv line 2: found 'C2 b'; expected id<TAB>term; write one id, one tab and one term"),
        (b"\ta\n", "terms.tsv line 1: found '\\ta'; expected id<TAB>term;"),
        (b"C1\t--\n", "terms.tsv line 1: found 'C1\\t--'; expected id<TAB>term;"),
        (b"C1\ta\tb\n", "terms.tsv line 1: found 'C1\\ta\\tb'; expected id<TAB>term;"),
        (b"C1\t\xff\n", "terms.tsv: found byte 3 is not UTF-8; expected UTF-8 text; convert the file"),
        (None, "terms.tsv: found No such file or directory; expected a table of id<TAB>term; give the file's path"),
    ],
)
def test_bad_tables(tmp_path, content, message):
    if content is not None:
        (tmp_path / "terms.tsv").write_bytes(content)
    with pytest.raises(InputError) as caught:
        DictionaryLinker(tmp_path / "terms.tsv")
    assert str(caught.value).removeprefix(f"{tmp_path}/").startswith(message)


def test_without_scispacy(monkeypatch):
    for name in ("spacy", "scispacy", "scispacy.abbreviation"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError) as caught:
        ScispacyLinker()
    assert str(caught.value) == (
        "scispacy: found no module spacy; expected scispaCy; "
        'pip install "hf-medreport[clinical]" (numpy < 2), or use a DictionaryLinker'
    )


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """A stand-in for scispaCy where it is not installed: an entity is a capitalized word, its concepts are its letters.

    What it was built with is kept in `built`.
    """
    built = {}

    class Pipeline(SimpleNamespace):
        def add_pipe(self, name):
            built["pipe"] = name

        def __call__(self, text):
            return SimpleNamespace(words=[word for word in text.split() if word.istitle()])

    class EntityLinker:
        def __init__(self, **options):
            built["options"] = options

        def __call__(self, document):
            linked = [SimpleNamespace(kb_ents=[(letter, 0.9) for letter in word]) for word in document.words]
            return SimpleNamespace(ents=[SimpleNamespace(_=concepts) for concepts in linked])

    def load(model):
        if model != "pipeline":
            raise OSError(model)
        return Pipeline()

    class LinkerPaths(NamedTuple):
        ann_index: str
        tfidf: str

        @classmethod
        def from_directory(cls, folder):
            return cls(f"{folder}/index.bin", f"{folder}/tfidf.joblib")

        def load(self):
            return "aliases", f"vectorizer of {Path(self.tfidf).name}", f"neighbors of {Path(self.ann_index).name}"

    modules = {
        "spacy": {"load": load},
        "scispacy": {},
        "scispacy.abbreviation": {"AbbreviationDetector": None},
        "scispacy.linking": {"EntityLinker": EntityLinker},
        "scispacy.candidate_generation": {"CandidateGenerator": lambda *parts: parts, "LinkerPaths": LinkerPaths},
        "scispacy.linking_utils": {"KnowledgeBase": lambda path: f"base of {Path(path).name}"},
    }
    for name, content in modules.items():
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(**content))
    return built


def test_all_concepts_of_all_entities_are_linked(stand_in):
    linker = ScispacyLinker("pipeline", threshold=0.8)
    assert linker.link("Ab and Cb") == {"A", "b", "C"} and linker.link("nothing") == frozenset()
    assert stand_in["pipe"] == "abbreviation_detector"
    assert stand_in["options"] == {"resolve_abbreviations": True, "linker_name": "umls", "threshold": 0.8}


def test_a_base_of_ones_own_stands_in_for_umls(stand_in, tmp_path):
    for name in ("base.jsonl", "index.bin", "tfidf.joblib"):
        (tmp_path / name).touch()
    ScispacyLinker("pipeline", tmp_path / "base.jsonl", tmp_path)
    candidates = ("neighbors of index.bin", "vectorizer of tfidf.joblib", "aliases", "base of base.jsonl")
    assert stand_in["options"] == {"resolve_abbreviations": True, "candidate_generator": candidates}


def test_what_is_missing_is_named(stand_in, tmp_path):
    (tmp_path / "base.jsonl").touch()
    (tmp_path / "index.bin").touch()
    together = "found none; expected knowledge_base and index together; give both, or neither for UMLS"
    for arguments, message in (
        (("pipeline", tmp_path / "base.jsonl"), f"index: {together}"),
        (("pipeline", None, tmp_path), f"knowledge_base: {together}"),
        (
            ("pipeline", "no.jsonl", tmp_path),
            "knowledge_base: found no file 'no.jsonl'; expected scispaCy's JSON or JSONL; check the path",
        ),
        (
            ("pipeline", tmp_path / "base.jsonl", tmp_path),
            f"index: found no tfidf.joblib in '{tmp_path}'; expected scispaCy's index of the knowledge base; "
            "give the folder of its files",
        ),
        (
            ("no_such_pipeline",),
            "model: found no pipeline 'no_such_pipeline'; expected a spaCy pipeline; "
            "install the pipeline's package, or give its folder",
        ),
    ):
        with pytest.raises(InputError) as caught:
            ScispacyLinker(*arguments)
        assert str(caught.value) == message


# scispaCy drops 3-grams that fewer than ten terms share, so a small base has many terms for a concept.
ENTITIES = {
    "C0032227": ("Pleural Effusion", ["effusion of the pleura", "pleural fluid"]),
    "C0013604": ("Edema", ["pulmonary edema", "interstitial edema"]),
    "C0018800": ("Cardiomegaly", ["enlarged heart", "heart enlargement"]),
}


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory):
    """A pipeline, a knowledge base and its index: the files that scispaCy's own builder leaves.

    Its builder itself wants scipy < 1.11.
    """
    pytest.importorskip("scispacy", reason="the extra clinical is not installed")
    import joblib
    import nmslib
    import numpy as np
    import scipy.sparse
    import spacy
    from sklearn.feature_extraction.text import TfidfVectorizer

    folder = tmp_path_factory.mktemp("scispacy")
    pipeline = spacy.blank("en")
    ruler = pipeline.add_pipe("entity_ruler")
    mentions = ("pleural effusions", "pulmonary oedema", "cardiomegaly", "PE", "a zebra")
    ruler.add_patterns([{"label": "ENTITY", "pattern": mention} for mention in mentions])
    pipeline.to_disk(folder / "pipeline")
    with open(folder / "base.jsonl", "w") as file:
        for concept, (name, aliases) in ENTITIES.items():
            row = {"concept_id": concept, "canonical_name": name, "aliases": aliases, "types": ["T047"]}
            file.write(json.dumps(row | {"definition": f"What is called {name}."}) + "\n")
    terms = [term for name, aliases in ENTITIES.values() for term in (name, *aliases)]
    (folder / "concept_aliases.json").write_text(json.dumps(terms))
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 3), dtype=np.float32)
    vectors = vectorizer.fit_transform(terms)
    joblib.dump(vectorizer, folder / "tfidf_vectorizer.joblib")
    scipy.sparse.save_npz(folder / "tfidf_vectors_sparse.npz", vectors)
    index = nmslib.init(method="hnsw", space="cosinesimil_sparse", data_type=nmslib.DataType.SPARSE_VECTOR)
    index.addDataPointBatch(vectors)
    index.createIndex({"M": 16, "indexThreadQty": 1, "efConstruction": 100, "post": 0})
    index.saveIndex(str(folder / "nmslib_index.bin"))
    return folder


def scispacy_linker(knowledge, **options):
    return ScispacyLinker(knowledge / "pipeline", knowledge / "base.jsonl", knowledge, **options)


def test_scispacy_links_what_is_alike(knowledge):
    linker = scispacy_linker(knowledge)
    assert linker.link("Small pleural effusions, no cardiomegaly.") == {"C0032227", "C0018800"}
    assert linker.link("Like a zebra.") == linker.link("") == frozenset()


def test_scispacys_options_reach_it(knowledge):
    # oedema shares most of its 3-grams with edema, not all
    assert scispacy_linker(knowledge, threshold=0.5).link("pulmonary oedema") == {"C0013604"}
    assert scispacy_linker(knowledge, threshold=0.99).link("pulmonary oedema") == frozenset()


def test_scispacy_writes_abbreviations_out(knowledge):
    linker = scispacy_linker(knowledge)
    assert linker.link("A pleural effusion (PE) is seen. The PE is small.") == {"C0032227"}
    assert linker.link("The PE is small.") == frozenset()


def test_scispacys_files_are_missing(knowledge, tmp_path):
    files = {"knowledge_base": knowledge / "base.jsonl", "index": tmp_path}
    with pytest.raises(InputError, match="index: found no nmslib_index.bin in .*; expected scispaCy's index"):
        ScispacyLinker(knowledge / "pipeline", **files)
    with pytest.raises(InputError, match="knowledge_base: found none; expected knowledge_base and index together"):
        ScispacyLinker(knowledge / "pipeline", index=knowledge)
    with pytest.raises(InputError, match="knowledge_base: found no file '.*none.jsonl'; expected scispaCy's JSON"):
        ScispacyLinker(knowledge / "pipeline", knowledge / "none.jsonl", knowledge)
    with pytest.raises(InputError, match="model: found no pipeline 'no_such_pipeline'; expected a spaCy pipeline"):
        ScispacyLinker("no_such_pipeline", knowledge / "base.jsonl", knowledge)
