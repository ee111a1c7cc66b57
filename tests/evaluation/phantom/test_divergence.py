"""Reports with one fact changed: exactly one, in the same words; and who notices."""

import json
import re
import runpy
from difflib import SequenceMatcher
from pathlib import Path

import pytest
from PIL import Image

from hf_medreport.evaluation.phantom.divergence import CHANGES, divergence, draw_cases, table
from hf_medreport.phantom.chest.findings import check_facts
from hf_medreport.phantom.chest.parser import parse_report
from hf_medreport.processing.input_error import InputError

CASES = draw_cases(30, seed=3)
# The attribute in which the two facts differ.
ATTRIBUTES = {"side": {"side"}, "severity": {"severity"}, "number": {"size_mm", "number"}}


def test_reference_and_paraphrase_state_the_facts():
    for case in CASES:
        assert parse_report(case.reference) == parse_report(case.paraphrase) == set(case.facts)
        assert case.reference != case.paraphrase


@pytest.mark.parametrize("change", CHANGES)
def test_exactly_one_fact_is_changed(change):
    for case in CASES:
        facts, text = case.changed[change]
        check_facts(facts)
        assert parse_report(text) == set(facts)
        gone, come = set(case.facts) - set(facts), set(facts) - set(case.facts)
        assert (len(gone), len(come)) == {"added": (0, 1), "removed": (1, 0), "negation": (1, 0)}.get(change, (1, 1))
        if change in ATTRIBUTES:
            (one,), (other,) = gone, come
            differing = {name for name, value in vars(one).items() if value != getattr(other, name)}
            assert len(differing) == 1 and differing <= ATTRIBUTES[change]


def test_all_other_words_stay():
    for case in CASES:
        for change in ("side", "number", "severity"):
            before, after = (re.findall(r"\w+", text) for text in (case.reference, case.changed[change][1]))
            replaced = [
                (before[a:b], after[c:d])
                for tag, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
                if tag != "equal"
            ]
            # once in the findings and once in the impression, a word or, between "a single" and "multiple", a few
            assert len(replaced) <= 6 and sum(len(words) for words, _ in replaced) <= 6, (case.reference, replaced)
        kept = set(case.reference.split(". ")) & set(case.changed["removed"][1].split(". "))
        assert len(kept) >= len(case.reference.split(". ")) - 4


def test_a_denied_finding_is_named():
    for case in CASES:
        facts, text = case.changed["negation"]
        assert re.search("resolved|no longer|removed", text) and text != case.changed["removed"][1]


def test_equal_for_equal_seeds():
    assert draw_cases(2, seed=3) == CASES[:2] != draw_cases(2, seed=4)
    with pytest.raises(InputError, match="n: found 0; expected at least 1"):
        draw_cases(0)


def test_who_notices_a_wrong_side():
    figures = divergence(20, seed=3, metrics=["bleu4", "chexpert_f1", "facts_f1", "facts_whole_f1"])
    wrong_side = {name: row["below_paraphrase"]["side"] for name, row in figures["metrics"].items()}
    assert wrong_side["facts_f1"] == wrong_side["facts_whole_f1"] == 1.0
    assert wrong_side["bleu4"] < 0.1 and wrong_side["chexpert_f1"] == 0.0
    facts, whole = figures["metrics"]["facts_f1"], figures["metrics"]["facts_whole_f1"]
    assert facts["drop"]["paraphrase"] == whole["drop"]["paraphrase"] == 0.0 and facts["identical"] == 1.0
    assert set(whole["below_paraphrase"].values()) == {1.0}  # every change of every film
    assert facts["below_paraphrase"]["number"] == 0.0
    lines = table(figures).splitlines()
    assert len(lines) == 5 and lines[0].split() == ["%", *CHANGES] and lines[3].split()[:2] == ["facts_f1", "100"]


def test_the_example_draws_and_writes(tmp_path):
    script = Path(__file__).parents[3] / "examples" / "metric_divergence.py"
    main = runpy.run_path(str(script))["main"]
    main(3, 0, tmp_path / "new" / "sheet.png", tmp_path / "figures.json")
    written = json.loads((tmp_path / "figures.json").read_text())
    assert written["n"] == 3 and written["command"] == "python examples/metric_divergence.py --n 3 --seed 0"
    assert {"bleu4", "facts_f1"} <= set(written["metrics"]) and "bertscore" not in written["metrics"]
    assert Image.open(tmp_path / "new" / "sheet.png").width == 1200
