"""The composite reward: its value by hand, and what cannot be earned."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.evaluation.rewards import report_reward
from hf_medreport.evaluation.rewards.composite import INVALID, composite
from hf_medreport.evaluation.rewards.validity import words_of
from hf_medreport.phantom.chest.grammar import write_report
from hf_medreport.phantom.chest.parser import parse_report
from hf_medreport.phantom.chest.patients import draw_facts
from hf_medreport.phantom.slide.grammar import write_slide_report
from hf_medreport.phantom.slide.patients import draw_slide_facts

EFFUSION = "FINDINGS: There is a small left pleural effusion. IMPRESSION: Left pleural effusion."
NORMAL = "FINDINGS: The lungs are clear. IMPRESSION: No acute disease."
reward = report_reward()


def paid(text: str, reference: str) -> float:
    (value,) = reward(prompts=[""], completions=[text], reference=[reference])
    return value


def drawn(seed: int, words: int, wordings: str = "held_out", prevalence: str = "balanced") -> str:
    """A report of the facts of `seed`, worded by `words`."""
    facts = draw_facts(np.random.default_rng(seed), prevalence)
    return write_report(facts, np.random.default_rng(words), wordings)


def rouge_l(common: int, said: int, true: int) -> float:
    """The F of recall (1.2 times as heavy) and precision of so many words in common and in each text."""
    precision, recall = common / said, common / true
    return (1 + 1.44) * precision * recall / (recall + 1.44 * precision)


def test_by_hand():
    """The same facts in other words: facts 1, labels 1, and of 10 and 12 words 10 in common, for "There is" is gone."""
    text = EFFUSION.replace("There is a", "A")
    assert paid(text, EFFUSION) == pytest.approx(2 * (0.5 + 0.2 + 0.3 * rouge_l(10, 10, 12)) - 1)
    assert paid(EFFUSION, EFFUSION) == 1.0


def test_a_wrong_side_earns_no_words():
    """Effusion is found (label F1 1), the fact is not (0), and the words, nearly all right, count for nothing."""
    assert paid(EFFUSION.replace("left", "right").replace("Left", "Right"), EFFUSION) == pytest.approx(2 * 0.2 - 1)


def test_two_findings_that_changed_sides_earn_no_words():
    one = "FINDINGS: There is consolidation in the left upper zone. There is consolidation in the right lower zone."
    other = "FINDINGS: There is consolidation in the right upper zone. There is consolidation in the left lower zone."
    assert paid(other, one) == pytest.approx(2 * 0.2 - 1)


def test_a_normal_report_of_an_effusion_earns_its_words_alone():
    """Of 9 and 12 words 2 are common: "findings" and "impression"."""
    assert paid(NORMAL, EFFUSION) == pytest.approx(2 * 0.3 * rouge_l(2, 9, 12) - 1)


@pytest.mark.parametrize("text", ["", "qwe rty zz zz", f"{EFFUSION} {EFFUSION}", "effusion " * 30, EFFUSION[:-9]])
def test_what_is_no_report_earns_least(text):
    assert paid(text, EFFUSION) == INVALID == -1


def test_normal_reports_of_abnormal_films_earn_nothing():
    """As metrics alone pay nonsense 0.3 of label F1 and silence 0.5 of the five labels."""
    references = [drawn(seed, seed) for seed in range(60) if draw_facts(np.random.default_rng(seed), "balanced")]
    assert len(references) > 20
    for words in range(3):
        normal = write_report((), np.random.default_rng(words))
        assert (composite([normal] * len(references), references, "chest") <= 0).all()


@given(st.integers(0, 10**6), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_a_right_paraphrase_lies_above_a_wrong_side(seed, words):
    reference, paraphrase = drawn(seed, words), drawn(seed, words + 1, "train")
    swapped = reference.replace("left", "#").replace("right", "left").replace("#", "right")
    swapped = swapped.replace("Left", "#").replace("Right", "Left").replace("#", "Right")
    assert 0.4 <= paid(paraphrase, reference) <= 1
    if parse_report(swapped) != parse_report(reference):  # there was a side to be wrong of
        assert paid(swapped, reference) < paid(paraphrase, reference)


TEXTS = st.one_of(st.text(max_size=40), st.builds(drawn, st.integers(0, 99), st.integers(0, 99)), st.just(NORMAL))
REFERENCES = st.one_of(TEXTS, st.none(), st.lists(TEXTS, min_size=1, max_size=2))


@given(st.lists(st.tuples(TEXTS, REFERENCES), min_size=1, max_size=5), st.randoms(), st.sampled_from(["", "slide_"]))
@settings(max_examples=30, deadline=None)
def test_bounded_and_of_the_report_alone(pairs, random, prefix):
    """Values lie in [-1, 1]; neither the order of the batch nor what else is in it changes one."""
    function = report_reward(f"{prefix}composite")

    def of(rows):
        return function(prompts=[""] * len(rows), completions=[a for a, _ in rows], reference=[b for _, b in rows])

    together, order = of(pairs), list(range(len(pairs)))
    random.shuffle(order)
    assert of([pairs[place] for place in order]) == [together[place] for place in order]
    assert [of([pair])[0] for pair in pairs] == together
    assert all(value is None or -1 <= value <= 1 for value in together)
    assert all(value is not None for value, (_, true) in zip(together, pairs, strict=True) if true == NORMAL)


@given(TEXTS.filter(lambda text: bool(words_of(text))))
@settings(max_examples=30, deadline=None)
def test_the_reference_itself_earns_all(text):
    assert paid(text, text) == pytest.approx(1.0)


def test_the_best_of_several_references_counts():
    assert paid(EFFUSION, [NORMAL, EFFUSION]) == 1.0
    assert paid(EFFUSION, ["", EFFUSION]) == 1.0 and paid(EFFUSION, ["", " "]) is None and paid("x", "12 .") is None


def test_a_group_of_reports_earns_this_and_that():
    """What a model learns from: sides, grades and words each make a difference."""
    group = [
        EFFUSION,
        EFFUSION.replace("small", "large"),
        EFFUSION.replace("left", "right"),
        NORMAL,
        EFFUSION.replace("There is a", "A"),
    ]
    assert len({paid(text, EFFUSION) for text in group}) == 5


def test_a_cut_report_earns_least():
    columns = {"reference": [EFFUSION] * 2, "ended": [True, False]}
    assert reward(prompts=["", ""], completions=[EFFUSION] * 2, **columns) == [1.0, -1.0]


# --- slides ---


def test_a_tumor_called_benign_earns_no_words():
    tumor = "The colon contains adenocarcinoma, grade 2. There is no necrosis."
    benign = "The colon specimen shows no malignancy. There is no necrosis."
    # facts: site, diagnosis, grade and necrosis; of them site and necrosis in both: 2 * 2 / (4 + 3)
    (value,) = composite([benign], [tumor], "slide")
    assert value == pytest.approx(2 * 0.7 * 4 / 7 - 1) and value <= 0
    assert composite([tumor, ""], [tumor, tumor], "slide").tolist() == [1.0, -1.0]


def test_benign_slides_pay_nothing_for_tumors():
    facts = [draw_slide_facts(np.random.default_rng(seed)) for seed in range(60)]
    reports = {one: write_slide_report(one, np.random.default_rng(0)) for one in facts}
    benign = [text for one, text in reports.items() if one.grade is None]
    tumors = [text for one, text in reports.items() if one.grade is not None]
    assert len(benign) > 5 and len(tumors) > 20
    for tumor in tumors:
        assert (composite(benign, [tumor] * len(benign), "slide") <= 0).all()
