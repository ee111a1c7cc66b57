"""The grammar and its parser: what is written is read back exactly, and free text is read sensibly."""

import os
import re
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.phantom.chest.findings import CHANGES, KINDS, Fact, check_facts, report_order
from hf_medreport.phantom.chest.grammar import write_report
from hf_medreport.phantom.chest.parser import Mention, facts_from_text, parse_report
from hf_medreport.phantom.chest.patients import PREVALENCES, draw_facts, draw_follow_up
from hf_medreport.phantom.chest.wordings import ORGANS, WORDINGS
from hf_medreport.processing.input_error import InputError

SEED = st.integers(0, 2**32 - 1)


def draw(seed, prevalence, followed):
    rng = np.random.default_rng(seed)
    facts = draw_facts(rng, prevalence)
    return (*draw_follow_up(rng, facts, prevalence), rng) if followed else (facts, None, rng)


def tokenized(text):
    """As a word-level tokenizer gives it back."""
    return " ".join(re.findall(r"\w+|[^\w\s]", text))


def every_fact():
    """Each kind with each value of each attribute; one size in each size word."""
    for kind, row in KINDS.items():
        sizes = (None, row.sizes[0], 18, 30, 31, row.sizes[1]) if row.sizes else (None,)
        for side in row.sides or (None,):
            for zone in row.zones or (None,):
                for severity in row.severities or (None,):
                    for size in sizes:
                        for number in (None, *row.numbers):
                            for certain in (True, False)[: 1 + row.doubtful]:
                                yield Fact(kind, side, zone, severity, size, number, certain)


@settings(max_examples=600, deadline=None)
@given(SEED, st.sampled_from(PREVALENCES), st.sampled_from(sorted(WORDINGS)), st.booleans())
def test_what_is_written_is_read_back(seed, prevalence, wordings, followed):
    facts, resolved, rng = draw(seed, prevalence, followed)
    report = write_report(facts, rng, wordings, resolved)
    for text in (report, report.lower(), report.upper(), tokenized(report)):
        assert parse_report(text) == frozenset(facts), text


def test_every_fact_is_read_back_in_every_wording():
    # for each fact, as many draws as make it sure that each sentence of the kind occurs over its values
    rng = np.random.default_rng(0)
    for wordings in WORDINGS:
        for fact in every_fact():
            for change in (None, *CHANGES):
                one = replace(fact, change=change)
                report = write_report([one], rng, wordings, () if change else None)
                assert parse_report(report) == {one}, report
            report = write_report([], rng, wordings, [fact])
            assert parse_report(report) == frozenset(), report


@settings(max_examples=200, deadline=None)
@given(SEED, st.sampled_from(sorted(WORDINGS)), st.booleans())
def test_form_of_a_report(seed, wordings, followed):
    facts, resolved, rng = draw(seed, "balanced", followed)
    report = write_report(facts, rng, wordings, resolved)
    assert re.fullmatch(r"FINDINGS: ([A-Z0-9][^.]*\. )+IMPRESSION: ([A-Z0-9][^.]*\. )*[A-Z0-9][^.]*\.", report)
    assert "  " not in report and "\n" not in report and " ," not in report and "None" not in report
    assert not re.search(r"\b[Aa] (?:[aeiou]|1[18]\b)", report)
    if resolved is None:
        assert not re.search("prior|changed|new|resolved", report)


def test_organs_come_in_the_order_of_the_kinds():
    facts = report_order(
        Fact(kind, *(values[0] if values else None for values in (row.sides, row.zones, row.severities)))
        for kind, row in KINDS.items()
    )
    for wordings in WORDINGS:
        findings = write_report(facts, np.random.default_rng(3), wordings).split("IMPRESSION:")[0]
        stated = [one.kind for text in re.findall(r"[^.]+\.", findings) for one in parse_report(text)]
        assert stated == list(KINDS)


def test_normal_sentences():
    """Heart, pleura and lungs always, mediastinum, diaphragm and bones in about half, devices never."""
    patterns = {"heart": "heart|cardiac sil", "pleura": "pleural|pneumothorax", "lungs": "lung|focal consolidation"}
    patterns |= {"mediastinum": "mediastin", "diaphragm": "diaphragm", "bones": r"ribs?\b|bones"}
    patterns |= {"devices": "tube|line|pacemaker"}
    for wordings in WORDINGS:
        reports = [write_report((), np.random.default_rng(seed), wordings) for seed in range(400)]
        findings = [report.lower().split(" impression:")[0] for report in reports]
        share = {organ: np.mean([bool(re.search(patterns[organ], text)) for text in findings]) for organ in ORGANS}
        assert [share[organ] for organ in ("heart", "pleura", "lungs", "devices")] == [1, 1, 1, 0]
        assert all(0.4 < share[organ] < 0.6 for organ in ("mediastinum", "diaphragm", "bones"))


@pytest.mark.parametrize("wordings", WORDINGS)
def test_beside_an_effusion_only_the_pneumothorax_is_denied(wordings):
    effusion, pneumothorax = (
        Fact("pleural_effusion", "left", severity="mild"),
        Fact("pneumothorax", "left", None, "mild"),
    )
    for seed in range(20):
        for fact, absent, word in (
            (effusion, "No pneumothorax", "effusion"),
            (pneumothorax, "No pleural eff", "mothorax"),
        ):
            report = write_report([fact], np.random.default_rng(seed), wordings)
            (denied,) = re.findall(r"[^.]*\bno (?:pn|pl|ef)[^.]*\.", report, re.IGNORECASE)
            assert absent.lower() in denied.lower() and word not in denied
            assert "clear" not in report.split("lungs")[0]


def test_report_by_hand():
    facts = (Fact("pleural_effusion", "left", severity="severe"), Fact("nodule", "right", "upper", size_mm=34))
    for seed in range(20):
        findings, impression = write_report(facts, np.random.default_rng(seed)).split(" IMPRESSION: ")
        assert re.search("left pleural effusion|pleural effusion on the left", impression.lower())
        assert re.search("mass", impression) or "Mass" in impression
        assert "large" not in impression and "34" not in impression
        assert "large" in findings.lower() and "34 mm" in findings and "severe" not in findings
        assert "nodule" not in findings and "lungs are clear" not in findings.lower()


def test_comparison_by_hand():
    stays = Fact("cardiomegaly", severity="mild", change="unchanged")
    gone, tube = Fact("pneumothorax", "right", severity="mild"), Fact("endotracheal_tube")
    for wordings in WORDINGS:
        for seed in range(20):
            rng = np.random.default_rng(seed)
            assert re.search("[Nn]o change|Unchanged", write_report((), rng, wordings, ()).split("IMPRESSION:")[1])
            still = write_report([stays], rng, wordings, ())
            assert re.search(r"(unchanged|stable)[^.]*\..*IMPRESSION:.*([Nn]o change|Unchanged)", still)
            less = write_report([stays], rng, wordings, [gone, tube])
            assert re.search(r"pneumothorax[^.]* (has resolved|is no longer)", less, re.IGNORECASE)
            assert re.search(r"endotracheal tube[^.]* (has been removed|is no longer)", less, re.IGNORECASE)
            assert not re.search("[Nn]o change|Unchanged", less.split("IMPRESSION:")[1])


def templates(words):
    """Every template of a set, by field."""
    for field in fields(words):
        value = getattr(words, field.name)
        for group in value.values() if isinstance(value, dict) else [value]:
            yield from ((field.name, template.lower().rstrip(".")) for template in group)


def test_every_kind_has_enough_wordings():
    for name, least in (("train", 4), ("held_out", 3)):
        words = WORDINGS[name]
        assert set(words.findings) == set(words.names) == set(KINDS) and set(words.resolved) == set(ORGANS)
        assert set(words.doubtful) == {kind for kind, row in KINDS.items() if row.doubtful}
        for group in (*words.findings.values(), *words.doubtful.values()):
            assert len(set(group)) == len(group) >= least


def test_held_out_wordings_are_new_sentences_of_known_words():
    train, held_out = (dict.fromkeys(templates(WORDINGS[name])) for name in ("train", "held_out"))
    # the same sentence with the severity said as a size, or in another field, is still the same sentence
    shapes = [{template.replace("amount", "severity") for _, template in group} for group in (train, held_out)]
    assert not shapes[0] & shapes[1]
    words = [set(re.findall(r"\w+|[^\w\s]", " ".join(t for _, t in group))) for group in (train, held_out)]
    assert words[1] - words[0] == set()


def test_no_sentence_that_states_or_denies_is_written_in_both_sets():
    rng = np.random.default_rng(0)
    written = {name: set() for name in WORDINGS}
    for name in WORDINGS:
        for fact in every_fact():
            for change in (None, "new", "unchanged"):
                report = write_report([replace(fact, change=change)], rng, name, () if change else None)
                written[name] |= set(re.findall(r"[^.:]+\.", report.replace("FINDINGS:", "")))
    assert not {s.strip() for s in written["train"]} & {s.strip() for s in written["held_out"]}


def test_unknown_wordings_are_refused():
    with pytest.raises(InputError, match="wordings: found 'test'; expected train or held_out"):
        write_report((), np.random.default_rng(0), "test")


LEFT_SMALL = Fact("pleural_effusion", "left", severity="mild")
RIGHT_SMALL = replace(LEFT_SMALL, side="right")
MILD_HEART = Fact("cardiomegaly", severity="mild")
RIGHT_BASE = Fact("consolidation", "right", "lower")

NODULE_14 = Fact("nodule", "left", "upper", size_mm=14)
FREE_TEXT = [
    ("", []),
    ("Small left-sided pleural effusion.", [LEFT_SMALL]),
    ("SMALL LEFT PLEURAL EFFUSION", [LEFT_SMALL]),
    ("There is a trace effusion, left.", [LEFT_SMALL]),
    ("Heart: mildly enlarged. Lungs: clear.", [MILD_HEART]),
    ("Moderate\nright effusion\nMild cardiomegaly", [replace(RIGHT_SMALL, severity="moderate"), MILD_HEART]),
    # negation and its scope
    ("No pleural effusion, pneumothorax or focal consolidation.", []),
    ("There is no evidence of pneumothorax, effusion, or edema.", []),
    ("No pneumothorax, but a small left effusion is present.", [LEFT_SMALL]),
    ("No pneumothorax; small left effusion.", [LEFT_SMALL]),
    ("There is no pneumothorax and there is a small left effusion.", [LEFT_SMALL]),
    ("No pneumothorax is seen and a small left effusion is present.", [LEFT_SMALL]),
    ("No pneumothorax, the heart is mildly enlarged.", [MILD_HEART]),
    ("Small left pleural effusion without pneumothorax.", [LEFT_SMALL]),
    ("Pneumothorax is not seen. Small left effusion.", [LEFT_SMALL]),
    ("Effusion and pneumothorax are not seen.", []),
    ("The lungs are free of consolidation.", []),
    ("The heart is not enlarged.", []),
    ("The heart is normal and the aorta is enlarged.", []),
    ("The ribs show no fracture.", []),
    ("The heart isn't enlarged.", []),
    ("The pneumothorax has resolved.", []),
    ("The right-sided PICC has been removed.", []),
    (
        "The small right effusion is unchanged and the left effusion has resolved.",
        [replace(RIGHT_SMALL, change="unchanged")],
    ),
    ("The small right effusion has not resolved.", [replace(RIGHT_SMALL, change="unchanged")]),
    # what is asked or remembered
    ("Rule out pneumothorax.", []),
    ("Evaluate for right pneumothorax.", []),
    ("History of right lower lobe consolidation.", []),
    ("INDICATION: Right lower lobe consolidation. Large heart. FINDINGS: Mild cardiomegaly.", [MILD_HEART]),
    ("Clinical history: small left effusion.\n\nMild cardiomegaly.", [MILD_HEART]),
    # words that name something else
    ("Pericardial effusion. Soft tissue edema. Mediastinal mass. Mass effect on the trachea.", []),
    ("Patchy opacity in the right lower lobe, perhaps pneumonia.", []),
    ("Calcified nodule in the right upper lobe.", [Fact("calcified_granuloma", "right", "upper")]),
    # doubt
    ("Consolidation in the right lower lobe cannot be excluded.", [replace(RIGHT_BASE, certain=False)]),
    ("Right base opacity, likely consolidation.", [replace(RIGHT_BASE, certain=False)]),
    (
        "Atelectasis versus consolidation in the right lower lobe.",
        [replace(RIGHT_BASE, certain=False), Fact("atelectasis", "right", "lower", certain=False)],
    ),
    (
        "Possible right lower lobe consolidation and left upper lobe atelectasis.",
        [replace(RIGHT_BASE, certain=False), Fact("atelectasis", "left", "upper")],
    ),
    ("Possible right lower lobe consolidation. Right lower lobe consolidation.", [replace(RIGHT_BASE, certain=False)]),
    ("A small left effusion cannot be excluded.", [LEFT_SMALL]),
    # side and zone
    ("Airspace disease in the right middle lobe.", [Fact("consolidation", "right", "middle")]),
    ("RUL atelectasis.", [Fact("atelectasis", "right", "upper")]),
    ("Lingular consolidation.", [Fact("consolidation", "left", "middle")]),
    ("Retrocardiac atelectasis.", [Fact("atelectasis", "left", "lower")]),
    ("In the right lung base there is consolidation.", [RIGHT_BASE]),
    ("Bibasilar atelectasis.", [Fact("atelectasis", side, "lower") for side in ("left", "right")]),
    ("Small bilateral pleural effusions.", [LEFT_SMALL, RIGHT_SMALL]),
    ("Small right pleural effusion, the left lung is clear.", [RIGHT_SMALL]),
    ("The left lung is clear and there is a small right effusion.", [RIGHT_SMALL]),
    (
        "Consolidation in the right upper and left lower lobes.",
        [Fact("consolidation", "right", "upper"), Fact("consolidation", "left", "lower")],
    ),
    (
        "Consolidation in the right middle and lower lobes.",
        [Fact("consolidation", "right", "middle"), Fact("consolidation", "right", "lower")],
    ),
    (
        "Mild cardiomegaly with a small left effusion and right lower lobe atelectasis.",
        [MILD_HEART, LEFT_SMALL, Fact("atelectasis", "right", "lower")],
    ),
    ("Mild dextroscoliosis of the thoracic spine.", [Fact("scoliosis", "right", severity="mild")]),
    ("Severe scoliosis, concave to the right.", [Fact("scoliosis", "left", severity="severe")]),
    (
        "Dual lead pacemaker over the left chest, leads in the right atrium and right ventricle.",
        [Fact("pacemaker", "left")],
    ),
    # severity
    ("Markedly enlarged cardiac silhouette.", [Fact("cardiomegaly", severity="severe")]),
    ("Moderate interstitial pulmonary edema.", [Fact("interstitial_edema", severity="moderate")]),
    # sizes and numbers
    ("A 1.4 x 1.2 cm nodule in the left upper lobe.", [Fact("nodule", "left", "upper", size_mm=14)]),
    (
        "nodule of\n14 mm, left upper\nlobe\n1. Small left effusion",
        [Fact("nodule", "left", "upper", size_mm=14), LEFT_SMALL],
    ),
    ("A 3 . 5 cm mass in the left upper lobe.", [Fact("nodule", "left", "upper", size_mm=35)]),
    ("60 mm mass in the left upper lobe.", [Fact("nodule", "left", "upper")]),
    ("Left upper lobe nodule. It is a nodule of 15 mm.", [Fact("nodule", "left", "upper", size_mm=15)]),
    ("Several granulomas in the left apex.", [Fact("calcified_granuloma", "left", "upper", number="multiple")]),
    ("Solitary fracture of the right sixth rib.", [Fact("rib_fracture", "right", number="single")]),
    # the remaining kinds
    ("The aorta is calcified and mildly tortuous.", [Fact("tortuous_aorta")]),
    ("Lungs are hyperexpanded.", [Fact("hyperinflation")]),
    ("Right hemidiaphragm is mildly elevated.", [Fact("elevated_diaphragm", "right")]),
    ("ET tube 4 cm above the carina.", [Fact("endotracheal_tube")]),
    ("Right IJ catheter with tip in the right atrium.", [Fact("central_line", "right")]),
    # comparison
    ("No change in the small left pleural effusion.", [replace(LEFT_SMALL, change="unchanged")]),
    ("Small left effusion. The effusion has decreased.", [replace(LEFT_SMALL, change="decreased")]),
    (
        "Stable mild cardiomegaly with new small left effusion.",
        [replace(MILD_HEART, change="unchanged"), replace(LEFT_SMALL, change="new")],
    ),
    ("Worsening right lower lobe consolidation.", [replace(RIGHT_BASE, change="increased")]),
    ("The small left effusion is stable to slightly increased.", [LEFT_SMALL]),
    # sizes of another day
    ("Left upper lobe nodule of 14 mm (previously 20 mm).", [NODULE_14]),
    ("Left upper lobe nodule, decreased from 20 mm to 14 mm.", [replace(NODULE_14, change="decreased")]),
    ("Left upper lobe nodule, 20 mm previously, now 14 mm.", [NODULE_14]),
    ("Left upper lobe nodule of 14 mm, previously measuring 20 x 18 mm.", [NODULE_14]),
    ("Left upper lobe nodule, grown from 9 mm to 14 mm.", [replace(NODULE_14, change="increased")]),
    # incomplete: a mention of the kind, with what was said of it
    ("Pleural effusion.", [Mention("pleural_effusion")]),
    ("Left effusion.", [Mention("pleural_effusion", "left")]),
    ("Small to moderate left effusion.", [Mention("pleural_effusion", "left")]),
    ("Consolidation in the lower lobe.", [Mention("consolidation", None, "lower")]),
    ("Cardiomegaly.", [Mention("cardiomegaly")]),
    # said in full elsewhere in the text
    ("Left effusion. Small left effusion. Effusion.", [LEFT_SMALL]),
    ("Right effusion. Small left effusion.", [LEFT_SMALL, Mention("pleural_effusion", "right")]),
]


@pytest.mark.parametrize("text, expected", FREE_TEXT)
def test_free_text_by_hand(text, expected):
    assert parse_report(text) == frozenset(expected)


CLINICAL_WORDS = """no not small left both upper middle and or with , . : ; - ? effusion nodule mass heart enlarged
14 mm 99999999 cm possible new unchanged there is but the has resolved multiple history findings lingula scoliosis"""
CLINICAL = st.lists(st.sampled_from([*CLINICAL_WORDS.split(), "\n"]))


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(), CLINICAL.map(" ".join)))
def test_no_text_makes_the_parser_fail(text):
    stated = parse_report(text)
    assert all(one.kind in KINDS and isinstance(one, Fact | Mention) for one in stated)
    facts = [one for one in stated if isinstance(one, Fact)]
    assert len({fact.key for fact in facts}) == len(facts)
    with suppress(InputError):
        check_facts(facts_from_text(text))


REAL_REPORTS = "HF_MEDREPORT_REAL_REPORTS"


@pytest.mark.skipif(REAL_REPORTS not in os.environ, reason=f"{REAL_REPORTS} names no folder of reports")
def test_real_reports():
    """The two reports of NegBio's test data, read by hand."""
    expected = {
        "negbio_00000086.txt": {Mention("scoliosis")},
        "negbio_00019248.txt": {Fact("central_line", "right"), MILD_HEART},
    }
    for name, facts in expected.items():
        assert parse_report((Path(os.environ[REAL_REPORTS]) / name).read_text()) == facts, name
