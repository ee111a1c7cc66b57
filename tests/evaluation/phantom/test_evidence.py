"""Evidence maps against the masks of findings: figures worked by hand, and one run of a real (tiny) model."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hf_medreport.evaluation.phantom import evidence
from hf_medreport.evaluation.phantom.evidence import (
    COUNTS,
    ROWS,
    evaluate_evidence,
    evidence_counts,
    evidence_table,
    patches,
    randomized,
)
from hf_medreport.inference.loading import load
from hf_medreport.phantom.chest.corpus import ChestCorpus
from hf_medreport.phantom.chest.findings import KINDS, Fact
from hf_medreport.processing.input_error import InputError
from tests.cli.test_cli import run

HEART = Fact("cardiomegaly", severity="mild")
NODULE = Fact("nodule", "right", "upper", size_mm=20)
SAYS_HEART, SAYS_NODULE = "There is mild cardiomegaly.", "There is a 20 mm nodule in the right upper zone."


def test_patches_that_a_mask_touches():
    mask = np.zeros((8, 12), dtype=bool)
    mask[3, 4] = mask[7, 11] = True
    # patches of 2 x 3 pixels
    assert patches(mask, (4, 4)).nonzero()[0].tolist() == [1, 3]
    assert patches(mask, (4, 4)).nonzero()[1].tolist() == [1, 3]
    # 8 rows on 3: rows 0 to 2, 3 to 5, 6 and 7
    assert np.argwhere(patches(mask, (3, 2))).tolist() == [[1, 0], [2, 1]]
    assert not patches(mask & False, (4, 4)).any()


class Corpus:
    """Films of 6 x 6 pixels, one patch each; the masks are as given."""

    seed = 0

    def __init__(self, *findings: dict[Fact, tuple]):
        self.cases = []
        for marked in findings:
            masks = {fact: np.zeros((6, 6), dtype=bool) for fact in marked}
            for fact, pixels in marked.items():
                masks[fact][pixels] = True
            empty = np.zeros((6, 6), dtype=np.uint8)
            case = {"image": empty, "lungs": empty > 0, "heart": empty > 0, "findings": masks, "facts": tuple(marked)}
            self.cases.append(SimpleNamespace(**case))

    def __len__(self):
        return len(self.cases)

    def __getitem__(self, index):
        return self.cases[index]


class Pipe:
    """A pipeline that wrote the given sentences, a list of (text, map) a film; the random model's maps are flat."""

    device = torch.device("cpu")

    def __init__(self, *films):
        self.films = films
        self.model = SimpleNamespace(config=SimpleNamespace(name_or_path="stub"), takes=dict)
        self.most = max(len(film) for film in films)

    def preprocess(self, images):
        return {"pixel_values": torch.zeros(len(images), 3, 6, 6)}

    def forward(self, inputs, generate_kwargs, return_evidence):
        assert return_evidence
        first = torch.arange(len(inputs["pixel_values"]))[:, None, None]
        return {"ids": first, "sentence_of_token": first * 0}

    def postprocess(self, outputs, return_evidence):
        sentences = self.films[outputs["ids"][0, 0, 0]]
        return [{"sentences": [{"text": text, "evidence": map_} for text, map_ in sentences]}]

    def see(self, pixel_values, evidence):
        assert evidence

    def sentence_evidence(self, ids, sentence_of_token, seen):
        return None, torch.full((len(ids), self.most, 6, 6), 1 / 36)


def count(monkeypatch, corpus, *films, **options):
    pipe = Pipe(*films)
    monkeypatch.setattr(evidence, "randomized", lambda model, seed: pipe)
    return evidence_counts(pipe, corpus, progress=False, **options)


def at(*patches_of: tuple[int, int]) -> np.ndarray:
    """A map of sum 1 (or 0) that is equal on these patches."""
    found = np.zeros((6, 6))
    for patch in patches_of:
        found[patch] += 1 / len(patches_of)
    return found


def row(counts, name="all") -> dict:
    return dict(zip(COUNTS, counts.sum(axis=0)[ROWS.index(name)].tolist(), strict=True))


class TestFigures:
    # The mask is patches (2, 2) and (2, 3); with a tolerance of one patch rows 1 to 3, columns 1 to 4: 12 of 36.
    corpus = Corpus({HEART: (2, slice(2, 4))})

    def test_inside(self, monkeypatch):
        counts = row(count(monkeypatch, self.corpus, [(SAYS_HEART, at((2, 2)))]))
        assert counts == pytest.approx(
            {
                "sentences": 1,
                "pointing.model": 1,
                # a flat map has its first maximum in the corner, outside
                "pointing.randomized": 0,
                "pointing.chance": 12 / 36,
                "mass.model": 1,
                "mass.randomized": 2 / 36,
                "mass.chance": 2 / 36,
            }
        )

    def test_beside(self, monkeypatch):
        counts = row(count(monkeypatch, self.corpus, [(SAYS_HEART, at((3, 4)))]))
        assert (counts["pointing.model"], counts["mass.model"]) == (1, 0)

    def test_outside_and_nowhere(self, monkeypatch):
        for elsewhere in (at((4, 4)), at()):
            counts = row(count(monkeypatch, self.corpus, [(SAYS_HEART, elsewhere)]))
            assert (counts["sentences"], counts["pointing.model"], counts["mass.model"]) == (1, 0, 0)

    def test_a_map_of_zeros_points_nowhere(self, monkeypatch):
        corner = Corpus({HEART: (0, 0)})  # where the maximum of zeros is found first
        assert row(count(monkeypatch, corner, [(SAYS_HEART, at())]))["pointing.model"] == 0

    def test_share_of_the_mass(self, monkeypatch):
        spread = at((2, 2), (2, 3), (5, 5), (0, 0))
        assert row(count(monkeypatch, self.corpus, [(SAYS_HEART, spread)]))["mass.model"] == pytest.approx(0.5)

    def test_only_true_sentences_count(self, monkeypatch):
        sentences = [
            (text, at((2, 2)))
            for text in (
                "There is severe cardiomegaly.",
                "The heart is normal in size.",
                "Cardiomegaly.",
                SAYS_NODULE,
                "There is no mild cardiomegaly.",
            )
        ]
        assert not count(monkeypatch, self.corpus, sentences).any()

    def test_a_sentence_of_two_findings_counts_once_and_for_both_kinds(self, monkeypatch):
        corpus = Corpus({HEART: (4, 4), NODULE: (0, 0)})
        text = "There is mild cardiomegaly and a 20 mm nodule in the right upper zone."
        counts = count(monkeypatch, corpus, [(text, at((4, 4), (0, 0), (0, 5)))])
        expected = {"sentences": 1, "pointing.model": 1, "mass.model": 2 / 3, "mass.chance": 2 / 36}
        for name in ("all", "cardiomegaly", "nodule"):
            assert row(counts, name) | expected == pytest.approx(row(counts, name))
        assert not any(row(counts, "scoliosis").values())

    def test_films_keep_their_sentences(self, monkeypatch):
        corpus = Corpus({HEART: (2, 2)}, {}, {NODULE: (0, 0)})
        counts = count(
            monkeypatch,
            corpus,
            [(SAYS_HEART, at((5, 5))), (SAYS_HEART, at((2, 2)))],
            [(SAYS_NODULE, at((0, 0)))],  # of the third film: the second has no facts and is not shown
        )
        assert counts[:, 0, 0].tolist() == [2, 0, 1] and counts[:, 0, 1].tolist() == [1, 0, 1]


def write(pipe, monkeypatch, text):
    """Let the pipeline's model write this text for every film."""
    ids = torch.tensor([pipe.tokenizer(text)["input_ids"] + [pipe.tokenizer.eos_token_id]])
    monkeypatch.setattr(pipe.model, "generate", lambda seen, **kwargs: ids.repeat(len(seen.embeddings), 1))


class TestTinyModel:
    def test_the_maps_are_those_of_the_two_models(self, tiny_pipe_folder, monkeypatch):
        pipe = load(tiny_pipe_folder, device="cpu")
        write(pipe, monkeypatch, SAYS_HEART)
        corpus = ChestCorpus(n=3, seed=0, size=32, facts=[HEART])
        counts = evidence_counts(pipe, corpus, batch_size=2, weights_seed=5, progress=False)
        assert counts[:, 0, 0].tolist() == [1, 1, 1]
        ids = torch.tensor([pipe.tokenizer(SAYS_HEART)["input_ids"]])
        for name, model in (("model", pipe.model), ("randomized", randomized(pipe.model, 5))):
            for index in range(3):
                film, mask = corpus[index].image, corpus[index].findings[HEART]
                pixels = pipe.processor(film, return_tensors="pt")["pixel_values"]
                (map_,) = model.sentence_evidence(ids, torch.zeros_like(ids), pixels)[1][0].numpy()
                # 32 x 32 pixels on 4 x 4 patches
                region = mask.reshape(4, 8, 4, 8).any(axis=(1, 3))
                found = counts[index, 0, COUNTS.index(f"mass.{name}")]
                assert found == pytest.approx(map_[region].sum(), abs=1e-5)
        assert counts[0, 0, COUNTS.index("mass.model")] != counts[0, 0, COUNTS.index("mass.randomized")]

    def test_evaluation(self, tiny_pipe_folder, monkeypatch):
        pipe = load(tiny_pipe_folder, device="cpu")
        write(pipe, monkeypatch, SAYS_HEART)
        scores = evaluate_evidence(pipe, n=40, seed=2, progress=False)
        truth = [ChestCorpus(n=40, seed=2, size=32, split="test", prevalence="balanced")[i].facts for i in range(40)]
        enlarged = sum(HEART in facts for facts in truth)
        assert scores["films"] == scores["sentences"] == enlarged > 0
        assert list(scores["by_kind"]) == list(KINDS)
        assert scores["by_kind"]["cardiomegaly"] == {key: scores[key] for key in ("sentences", "pointing", "mass")}
        assert scores["by_kind"]["nodule"]["mass"] == dict.fromkeys(("model", "randomized", "chance"))
        low, high = scores["intervals"]["mass.model"]
        assert low <= scores["mass"]["model"] <= high
        assert scores["command"].endswith("--n 40 --seed 2 --split test --prevalence balanced --evidence --json")
        lines = evidence_table(scores).splitlines()
        assert [line[:24].strip() for line in lines] == ["evidence", "all", "cardiomegaly"]

    def test_no_true_sentence(self, tiny_pipe_folder, monkeypatch):
        pipe = load(tiny_pipe_folder, device="cpu")
        write(pipe, monkeypatch, "The heart is normal in size.")
        scores = evaluate_evidence(pipe, n=3, progress=False)
        assert scores["sentences"] == 0 and scores["pointing"]["model"] is None
        assert scores["intervals"]["pointing.model"] is None

    def test_wrong_arguments(self, tiny_pipe_folder):
        with pytest.raises(InputError, match="n: found 0"):
            evaluate_evidence(load(tiny_pipe_folder, device="cpu"), n=0, progress=False)


class TestRandomized:
    def test_all_but_the_segmenter_is_new(self, tiny_pipe_folder):
        model = load(tiny_pipe_folder, device="cpu").model
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        twin = randomized(model, seed=1).state_dict()
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, before[name])
            constant = tensor.unique().numel() == 1  # norms and biases start as ones and zeros
            assert torch.equal(tensor, twin[name]) == (name.startswith("segmenter") or constant), name

    def test_by_seed_and_without_a_trace(self, tiny_pipe_folder):
        model = load(tiny_pipe_folder, device="cpu").model
        state = torch.get_rng_state()
        one, same, other = (randomized(model, seed).projection.weight for seed in (1, 1, 2))
        assert torch.equal(one, same) and not torch.equal(one, other)
        assert torch.equal(state, torch.get_rng_state())


def test_the_command(tiny_pipe_folder, capsys):
    flags = ["evaluate", "phantom", "--model", tiny_pipe_folder, "--n", 2]
    code, out, _ = run(capsys, *flags, "--evidence", "--json")
    scores = json.loads(out)
    assert code == 0 and scores["prevalence"] == "natural" and scores["evidence"]["prevalence"] == "balanced"
    code, out, _ = run(capsys, *flags, "--evidence", "--prevalence", "natural")
    assert code == 0 and {"2 films", "evidence"} <= {line[:24].strip() for line in out.splitlines()}
    code, out, _ = run(capsys, *flags)
    assert code == 0 and "blinded" in out and "evidence" not in out


def test_maps_of_two_views_are_not_scored_as_one_films():
    config = SimpleNamespace(model_type="cxr_multitask", name_or_path="x/y")
    pipe = SimpleNamespace(model=SimpleNamespace(config=config))
    with pytest.raises(InputError, match="x/y: found a model of film pairs; expected one of single films"):
        evidence_counts(pipe, ChestCorpus(1, 0, 32))
