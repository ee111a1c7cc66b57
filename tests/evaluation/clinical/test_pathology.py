"""Key facts of pathology reports, read by hand, and their scores."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.evaluation.clinical.pathology import FACTS, KeyFact, pathology, pathology_facts
from hf_medreport.processing.input_error import InputError

READ = [
    ("", set()),
    ("Invasive ductal carcinoma.", {"diagnosis invasive ductal carcinoma"}),
    ("Infiltrating lobular carcinomas.", {"diagnosis invasive lobular carcinoma"}),
    ("Ductal carcinoma in situ, no invasive carcinoma.", {"diagnosis ductal carcinoma in situ"}),
    ("Non-small cell carcinoma.", {"diagnosis non small cell carcinoma"}),
    ("Benign breast tissue, negative for malignancy.", {"diagnosis benign"}),
    ("No evidence of carcinoma.", {"diagnosis benign"}),
    ("Suspicious for invasive carcinoma.", set()),
    ("Atypical cells suggestive of adenocarcinoma.", set()),
    ("Cannot exclude lymphoma.", set()),
    ("Invasive carcinoma cannot be excluded.", set()),
    ("Ductal carcinoma in situ, suspicious for invasive carcinoma.", {"diagnosis ductal carcinoma in situ"}),
    ("CLINICAL HISTORY: Melanoma.\n\nFINDINGS: Papilloma.", {"diagnosis papilloma"}),
    ("HISTORY: pT2.", set()),
    # grade
    ("Nottingham grade III.", {"grade 3"}),
    ("Tumor grade: G2.", {"grade 2"}),
    ("Poorly differentiated.", {"grade 3"}),
    ("Well to moderately differentiated.", {"grade 1", "grade 2"}),
    ("G2-3.", {"grade 2", "grade 3"}),
    ("Grade II to III.", {"grade 2", "grade 3"}),
    ("Grade 2 of 3.", {"grade 2"}),
    ("High-grade serous carcinoma.", {"grade high", "diagnosis serous carcinoma"}),
    ("Gleason score 3+4=7.", {"grade gleason 3+4"}),
    ("Gleason 7 (4 + 3).", {"grade gleason 4+3"}),
    # stage
    ("pT2 pN1a pMX.", {"T 2", "N 1a", "M x"}),
    ("Stage pT3N0M0.", {"T 3", "N 0", "M 0"}),
    ("ypT1cN1mi", {"T 1c", "N 1mi"}),
    ("pTis", {"T is"}),
    ("Blocks T4 and CD3N.", {"T 4"}),
    # margin
    ("Margins are negative.", {"margin negative"}),
    ("All margins free of tumor.", {"margin negative"}),
    ("Tumor is present at the deep margin.", {"margin positive"}),
    ("Margins uninvolved by carcinoma, distance to the closest margin 3 mm.", {"margin negative"}),
    ("The resection margin is involved.", {"margin positive"}),
    ("Posterior margin positive, all other margins negative.", {"margin positive", "margin negative"}),
    ("Margins are uninvolved except the deep margin, which is involved.", {"margin positive", "margin negative"}),
    (
        "Deep margin not involved by tumor but the lateral margin is positive.",
        {"margin positive", "margin negative"},
    ),
    ("Negative, closest margin 2 mm.", {"margin negative"}),
    ("Margins negative, closest margin 2,5 mm.", {"margin negative"}),
    ("Tumor extends to the fat, margins negative.", {"margin negative"}),
    ("Margins negative, lymphovascular invasion positive.", {"margin negative"}),
    ("Margins negative, ER positive.", {"margin negative", "ER positive"}),
    ("Clear cell carcinoma at the margin.", {"margin positive"}),
    # size
    ("Tumor 2,5 cm.", {"size 25 mm"}),
    ("Tumor size: 2.3 x 1.5 x 1.1 cm.", {"size 23 mm"}),
    ("Adenocarcinoma, 41 mm in greatest dimension.", {"diagnosis adenocarcinoma", "size 41 mm"}),
    ("Tumor of 1.4 cm (previously 2 cm).", {"size 14 mm"}),
    ("The specimen measures 12 x 8 cm.", set()),
    ("The largest node measures 2 cm.", set()),
    # nodes
    ("Metastatic carcinoma in 2 of 15 lymph nodes.", {"nodes 2/15"}),
    ("Two of fifteen lymph nodes are positive.", {"nodes 2/15"}),
    ("No lymph node metastasis (0/15).", {"nodes 0/15"}),
    ("Lymph nodes: negative.", {"nodes negative"}),
    ("Metastatic carcinoma in lymph nodes.", {"nodes positive"}),
    # biomarkers
    ("ER (+), PR (-), HER2 2+, Ki-67 20%.", {"ER positive", "PR negative", "HER2 2+", "Ki-67 20%"}),
    ("Estrogen receptor negative.", {"ER negative"}),
    ("ER/PR positive. HER2/neu equivocal.", {"ER positive", "PR positive", "HER2 equivocal"}),
    ("Positive for CK7 and TTF-1, negative for CK20.", {"CK7 positive", "TTF-1 positive", "CK20 negative"}),
    ("KRAS mutated, EGFR wild-type, ALK not detected.", {"KRAS positive", "EGFR negative", "ALK negative"}),
    ("Ki67 < 5 %.", {"Ki-67 <5%"}),
    ("Ki-67 less than 5%, ER more than 90%.", {"Ki-67 <5%", "ER >90%"}),
    ("Ki-67: 10 - 15 %.", {"Ki-67 10-15%"}),
    ("HER2 was performed.", set()),
]


@pytest.mark.parametrize("text, expected", READ)
def test_facts_by_hand(text, expected):
    found = pathology_facts(text)
    assert {one.kind for one in found} <= set(FACTS)
    assert {one.value if one.kind == "biomarker" else f"{one.kind} {one.value}" for one in found} == expected


GIVEN = "Invasive ductal carcinoma, grade 2, 2.3 cm. ER positive. pT2 pN0. Margins are negative."


def test_scores_by_hand():
    # two of four facts, of the seven that the reference has
    said = "Invasive ductal carcinoma, grade 3, 2.3 cm. ER negative."
    score = pathology([said, GIVEN], [GIVEN, GIVEN])
    assert score.name == "pathology_f1" and score.value == pytest.approx(2 * 9 / (11 + 14))
    assert score.per_sample.tolist() == pytest.approx([2 * 2 / (4 + 7), 1])
    assert pathology([said], [GIVEN], figure="precision").value == pytest.approx(2 / 4)
    assert pathology([said], [GIVEN], figure="recall").value == pytest.approx(2 / 7)
    grade, margin = score.details["facts"]["grade"], score.details["facts"]["margin"]
    assert grade == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "stated": 2, "true": 2}
    assert margin["recall"] == 0.5 and margin["precision"] == 1
    assert score.details["facts"]["M"] == {"precision": None, "recall": None, "f1": None, "stated": 0, "true": 0}


def test_nothing_said():
    assert pathology([""], [GIVEN]).per_sample == [0] and pathology([GIVEN], [""]).per_sample == [0]
    assert pathology(["", GIVEN], ["", GIVEN]).per_sample.tolist() == [1, 1]
    for figure in ("f1", "precision", "recall"):
        undefined = pathology(["tissue"], ["slide"], figure=figure)
        assert math.isnan(undefined.value) and undefined.per_sample == [1] and undefined.details["f1"] is None
        assert pathology([""], [GIVEN], figure=figure).value == pathology([GIVEN], [""], figure=figure).value == 0


def test_the_best_reference_counts():
    assert pathology(["Grade 2."], [["Grade 3.", "Grade 2, ER positive."]]).value == pytest.approx(2 / 3)


def test_an_unknown_figure():
    with pytest.raises(
        InputError, match="figure: found 'f2'; expected one of f1, precision, recall; name a known figure"
    ):
        pathology(["a"], ["b"], figure="f2")


WORDS = """invasive carcinoma grade 2 iii pt2 n0 m1 margins negative positive 2.3 cm 5 of 12 two lymph nodes er her2
3+ % ki-67 / ( ) - + . , ; no for tumor size gleason"""


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(), st.lists(st.sampled_from([*WORDS.split(), "\n"])).map(" ".join)))
def test_no_text_makes_it_fail(text):
    assert all(isinstance(one, KeyFact) and one.kind in FACTS and one.value for one in pathology_facts(text))
