"""MedViLL's two tasks: which words are masked, whose report a film gets, and how the guesses are scored."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.processing.image_processing_film import FilmImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.processing_medvill import MedViLLProcessor
from hf_medreport.systems.radscribe.masked_pairs import MaskedPairs, best_guesses, masked, pair_figures, pair_metrics
from tests.tiny import film_array, tiny_label_tokenizer

WORDS = tiny_label_tokenizer()
PAD, CLS, SEP, MASK = (WORDS.convert_tokens_to_ids(word) for word in ("[PAD]", "[CLS]", "[SEP]", "[MASK]"))
PROCESSOR = MedViLLProcessor(FilmImageProcessor(size=16), WORDS, 12)
TEXTS = ["edema", "clear", "edema again", "fracture", "nothing", "a scar"]
FINDINGS = [frozenset({"Edema"}), frozenset(), frozenset({"Edema"}), frozenset({"Fracture"}), frozenset(), frozenset()]
RECORDS = [{"image": np.roll(film_array(), index)} for index in range(len(TEXTS))]


def pairs(findings=FINDINGS, texts=TEXTS, seed=0, epoch=0):
    return MaskedPairs(RECORDS, texts, findings, PROCESSOR, seed, lambda: epoch)


@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_masking_changes_chosen_words_alone(pieces, seed):
    ids = torch.tensor([*range(10, 10 + pieces), SEP, PAD, PAD])
    shown, labels = masked(ids, WORDS, np.random.default_rng(seed))
    chosen = labels != -100
    assert chosen[:pieces].any() and not chosen[pieces:].any()  # one at least; [SEP] and padding never
    assert torch.equal(labels[chosen], ids[chosen]) and torch.equal(shown[~chosen], ids[~chosen])
    assert shown.max() < len(WORDS) and labels.shape == shown.shape == ids.shape


def test_the_published_shares():
    """Of 200,000 pieces 15 % are chosen; of those 80 % are masked, 10 % any piece (one in 60 the same), 10 % stay."""
    ids = torch.full((200_000,), 20)
    shown, labels = masked(ids, WORDS, np.random.default_rng(0))
    chosen = labels != -100
    assert chosen.float().mean().item() == pytest.approx(0.15, abs=0.003)
    assert (shown[chosen] == MASK).float().mean().item() == pytest.approx(0.8 + 0.1 / 60, abs=0.01)
    assert (shown[chosen] == 20).float().mean().item() == pytest.approx(0.1 + 0.1 / 60, abs=0.01)
    replaced = shown[chosen & (shown != MASK) & (shown != 20)]
    assert len(replaced.unique()) == len(WORDS) - 2


def test_where_chance_chooses_nothing_the_first_word_is_asked_for():
    first = [masked(torch.tensor([10, 11, SEP]), WORDS, np.random.default_rng(seed))[1] for seed in range(200)]
    asked = [(labels != -100).tolist() for labels in first]
    # 0.85 * 0.85 = 72 % choose nothing, 13 % the first and 13 % the second
    assert np.mean([row == [True, False, False] for row in asked]) == pytest.approx(0.85, abs=0.08)
    assert np.mean([row == [False, True, False] for row in asked]) == pytest.approx(0.13, abs=0.08)
    _, labels = masked(torch.tensor([SEP, PAD]), WORDS, np.random.default_rng(0))
    assert (labels == -100).all()  # a text without a word


def test_half_of_the_films_get_the_report_of_a_film_with_other_findings():
    own, given_texts = [], []
    known = PROCESSOR(text=TEXTS)["input_ids"]
    for epoch in range(60):
        for index in range(len(TEXTS)):
            case = pairs(epoch=epoch)[index]
            ids = torch.where(case["labels"] == -100, case["input_ids"], case["labels"])
            (text,) = (known == ids).all(1).nonzero()[:, 0].tolist()
            own.append(case["match_labels"].item())
            if own[-1]:
                assert text == index
            else:
                assert FINDINGS[text] != FINDINGS[index]
                given_texts.append((index, text))
    assert np.mean(own) == pytest.approx(0.5, abs=0.08)
    others = sum(FINDINGS[one] != FINDINGS[other] for one in range(6) for other in range(6))
    assert len(set(given_texts)) == others  # every one of them comes


def test_without_all_findings_the_texts_are_compared():
    texts = ["edema", "edema", "clear", "clear", "clear", "clear"]
    cases = [pairs([None, *FINDINGS[1:]], texts, epoch=epoch)[0] for epoch in range(40)]
    clear = PROCESSOR(text="clear")["input_ids"][0]
    for case in cases:
        ids = torch.where(case["labels"] == -100, case["input_ids"], case["labels"])
        assert torch.equal(ids, clear) == (not case["match_labels"])


def test_a_case_depends_on_seed_epoch_and_record_alone():
    def equal(one, other):
        return all(torch.equal(one[name], other[name]) for name in one)

    forth, back = [pairs()[index] for index in range(6)], [pairs()[index] for index in reversed(range(6))][::-1]
    assert all(map(equal, forth, back))
    for changed in (pairs(seed=1), pairs(epoch=1)):
        assert sum(equal(changed[index], forth[index]) for index in range(6)) < 3
    assert set(forth[0]) == {"pixel_values", "input_ids", "attention_mask", "labels", "match_labels"}
    assert forth[0]["pixel_values"].shape == (3, 16, 16) and forth[0]["match_labels"].shape == ()


@pytest.mark.parametrize(
    ("findings", "texts"),
    [([frozenset()] * 6, TEXTS), ([None] * 6, ["clear"] * 6), ([None, *FINDINGS[1:]], ["clear"] * 6)],
)
def test_reports_that_all_say_the_same(findings, texts):
    with pytest.raises(InputError) as error:
        pairs(findings, texts)
    message = "reports: found 6 reports that say the same; expected two or more that differ; a film needs another's "
    assert str(error.value) == message + "report"


def test_figures_by_hand():
    """Three films: asked for 9 and 9, for 8, for 9; guessed 9 and 7, 8, 7. Matches: right, right, wrong."""
    labels = np.array([[9, 9, -100], [-100, 8, -100], [9, -100, -100]])
    guessed = np.array([[9, 7, 5], [9, 8, 5], [7, 5, 5]])
    prediction = SimpleNamespace(predictions=(guessed, np.array([1, 0, 1])), label_ids=(labels, np.array([1, 0, 0])))
    figures = pair_figures(prediction)
    assert figures["words"]["accuracy"] == 2 / 4 and figures["words"]["chance"] == 3 / 4
    assert figures["words"]["own_film"] == 1 / 2 and figures["words"]["other_film"] == 1 / 2
    assert figures["match"]["accuracy"] == pytest.approx(2 / 3) and figures["match"]["chance"] == 0.5
    for task in figures.values():
        low, high = task["interval"]
        assert 0 <= low <= task["accuracy"] <= high <= 1
    assert pair_metrics(prediction) == {"word_accuracy": 2 / 4, "match_accuracy": pytest.approx(2 / 3)}


def test_figures_where_every_film_has_its_own_report():
    prediction = SimpleNamespace(
        predictions=(np.array([[9]]), np.array([1])), label_ids=(np.array([[9]]), np.array([1]))
    )
    assert pair_figures(prediction)["words"]["other_film"] is None


def test_only_the_best_guesses_are_kept():
    words, matches = torch.randn(2, 5, 7), torch.randn(2, 2)
    kept = best_guesses((words, matches, torch.tensor(0.5), torch.tensor(0.5)), None)
    assert torch.equal(kept[0], words.argmax(-1)) and torch.equal(kept[1], matches.argmax(-1))
