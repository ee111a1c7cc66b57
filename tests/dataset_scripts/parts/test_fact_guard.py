"""The guard: what a rewriting may change and what it may not. All reports here are made up."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.dataset_scripts.parts.fact_guard import lost_facts

SOURCE = (
    "Final diagnosis: 1. Breast, left, lumpectomy: invasive ductal carcinoma, grade II, 3.2 x 2.8 x 2.5 cm, pT2N0. "
    "2. Margins: negative for carcinoma. 3. Lymph nodes: three examined, negative (0/3). "
    "No lymphovascular invasion is identified. ER >= 90%, Ki-67 < 5%."
)
FAITHFUL = (
    "Lumpectomy of the left breast shows invasive ductal carcinoma, grade 2, measuring 3.2 cm x 2.8 cm x 2.50 cm "
    "(pT2 N0). Margins are free of tumor. The 3 lymph nodes are negative (0/3). There is no lympho-vascular "
    "invasion. ER ≥90%, Ki-67 <5%."
)

LOSSES = {
    "a size": ("3.2 cm x 2.8 cm x 2.50 cm", "3.2 cm x 2.8 cm", ["lost number 2.5 cm"]),
    "a rounded size": ("3.2 cm", "3 cm", ["lost number 3.2 cm", "invented number 3 cm"]),
    "a unit": ("2.50 cm", "2.5 mm", ["lost number 2.5 cm", "invented number 2.5 mm"]),
    "a grade": ("grade 2", "grade 3", ["lost number 2"]),  # the 3 is also the nodes'
    "a node count": ("(0/3)", "", ["lost number 0/3"]),
    "a stage": ("pT2 N0", "pT1 N0", ["lost number T2", "invented number T1"]),
    "a comparison": ("<5%", "5%", ["lost number <5 %", "invented number 5 %"]),
    "the side": ("left breast", "breast", ["lost side left"]),
    "the other side": (
        "left breast",
        "right breast",
        ["lost side left", "lost side left breast", "invented side right", "invented side right breast"],
    ),
    "a positive margin": (
        "Margins are free of",
        "Margins are positive for",
        ["lost negation 'margins: negative for carcinoma'"],
    ),
    "an invasion": (
        "There is no lympho",
        "There is lympho",
        ["lost negation 'no lymphovascular invasion is identified'"],
    ),
    "a denied carcinoma": (
        "ER ≥90%",
        "No perineural spread, ER ≥90%",
        ["invented negation 'no perineural spread'"],
    ),
}


def test_a_faithful_rewriting_passes():
    assert lost_facts(SOURCE, FAITHFUL) == []


@pytest.mark.parametrize(("old", "new", "lost"), LOSSES.values(), ids=LOSSES)
def test_each_loss_is_named(old, new, lost):
    assert old in FAITHFUL
    assert lost_facts(SOURCE, FAITHFUL.replace(old, new)) == lost


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("Positive nodes: 1. Margins are clear.", "Positive nodes. Margins are clear."),  # no list begins there
        ("Left kidney: tumor. Right kidney: cyst.", "Left kidney: tumor. Left kidney: cyst."),
        ("Left breast: carcinoma. Right axilla: scar.", "Right breast: carcinoma. Left axilla: scar."),
        ("Perineural invasion present, no vascular invasion.", "No perineural invasion, vascular invasion present."),
        ("Tumor at margin. Nodes negative for tumor.", "Margins negative for tumor. Nodes negative for tumor."),
        ("Non-small cell carcinoma.", "Small cell carcinoma."),
        ("ER positive, PR positive, HER2 negative.", "HER2 negative, ER negative, PR positive."),
        ("T10 vertebra.", "T1 vertebra."),
    ],
)
def test_exchanges_are_seen(source, output):
    assert lost_facts(source, source) == []
    assert lost_facts(source, output)


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("Kidney, right: 1,200 g.", "Right kidney of 1200 grams."),
        ("No necrosis. No dysplasia.", "No necrosis or dysplasia."),
        ("Margins uninvolved.", "The margins are not involved."),
        ("Renal mass, left, stage III.", "Stage 3 mass of the left kidney."),
        ("Specimen no. 4, carcinoma, not otherwise specified.", "Carcinoma of specimen 4."),
        ("1. Colon: adenocarcinoma. 2. Appendix: normal.", "Colon: adenocarcinoma. Appendix: normal."),
        ("Surgical margins, negative.", "Negative surgical margins."),
        ("Lymph nodes (5), no tumor (0/5).", "The five aortic lymph nodes show no tumor (0/5)."),
        ("", ""),
    ],
)
def test_the_same_in_other_words_passes(source, output):
    assert lost_facts(source, output) == []


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_text_keeps_its_own_facts(text):
    assert lost_facts(text, text) == []


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from(["left", "right"]), st.booleans(), st.integers(1, 9))
def test_every_single_change_is_seen(positive, examined, side, necrosis, added):
    def report(positive, examined, side, necrosis):
        word = "necrosis" if necrosis else "no necrosis"
        return f"Lung, {side}: tumor with {word}. Nodes {positive}/{examined}."

    truth = (positive, examined, side, necrosis)
    changed = [
        (positive + added, examined, side, necrosis),
        (positive, examined + added, side, necrosis),
        (positive, examined, {"left": "right", "right": "left"}[side], necrosis),
        (positive, examined, side, not necrosis),
    ]
    assert all(lost_facts(report(*truth), report(*other)) for other in changed)
