"""Where things lie on the glass: sizes, shares, margins and nodes are those of the facts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation, distance_transform_edt, label

from hf_medreport.phantom.slide.findings import SlideFacts
from hf_medreport.phantom.slide.section import CLEAR, CM, lay_out, truth_of

CELLS = 256


def tumor_of(**changes) -> SlideFacts:
    facts = {"grade": 2, "mitoses": 8, "margin": "negative", "size_cm": 2.5}
    return SlideFacts("colon", "adenocarcinoma", **facts | changes)


def laid_out(facts: SlideFacts, seed: int = 1, pen: bool = False) -> dict[str, np.ndarray]:
    return truth_of(lay_out(facts, seed, CELLS, 1 / CELLS, pen))


seeds = st.integers(0, (1 << 24) - 1)
sizes_cm = st.integers(5, 50).map(lambda tenths: tenths / 10)


@settings(max_examples=20, deadline=None)
@given(seeds, sizes_cm)
def test_a_negative_margin_is_clear_and_the_tumor_as_large_as_stated(seed, size_cm):
    truth = laid_out(tumor_of(size_cm=size_cm), seed)
    away = distance_transform_edt(~truth["ink"]) / CELLS
    assert truth["ink"].any() and away[truth["tumor"]].min() > CLEAR
    # A disc of that diameter, whose lobes and cut edge may take or add a little.
    diameter = 2 * np.sqrt(truth["tumor"].sum() / np.pi) / CELLS / CM
    assert diameter == pytest.approx(size_cm, rel=0.12, abs=0.1)


@settings(max_examples=20, deadline=None)
@given(seeds, sizes_cm)
def test_a_positive_margin_has_tumor_at_the_ink(seed, size_cm):
    truth = laid_out(tumor_of(size_cm=size_cm, margin="positive"), seed)
    assert (binary_dilation(truth["ink"], iterations=2) & truth["tumor"]).any()


@pytest.mark.parametrize(("positive", "examined"), [(0, 0), (0, 4), (1, 1), (2, 5), (6, 6)])
@pytest.mark.parametrize("seed", range(6))
def test_nodes_are_counted(positive, examined, seed):
    truth = laid_out(tumor_of(nodes_positive=positive, nodes_examined=examined), seed)
    nodes, count = label(truth["node"])
    assert count == examined
    assert len(np.unique(nodes[truth["node"] & truth["tumor"]])) == positive
    assert label(truth["tissue"])[1] == examined + 1  # each apart from the section


@pytest.mark.parametrize(
    ("necrosis", "low", "high"), [("absent", 0, 0), ("focal", 0.08, 0.16), ("extensive", 0.3, 0.45)]
)
@pytest.mark.parametrize("size_cm", [0.8, 3.0])
def test_necrosis_is_a_share_of_the_tumor(necrosis, low, high, size_cm):
    truth = laid_out(tumor_of(necrosis=necrosis, size_cm=size_cm))
    assert not (truth["necrosis"] & ~truth["tumor"]).any()
    assert low <= truth["necrosis"].sum() / truth["tumor"].sum() <= high


def test_inflammation_lies_around_the_tumor_and_grows_from_mild_to_marked():
    shares = []
    for inflammation in ("absent", "mild", "marked"):
        truth = laid_out(tumor_of(inflammation=inflammation))
        assert not (truth["inflammation"] & truth["tumor"]).any()
        shares.append(truth["inflammation"].sum() / truth["tissue"].sum())
    assert shares[0] == 0 and 0.04 < shares[1] < 0.12 and 0.18 < shares[2] < 0.34


def test_no_malignancy_shows_neither_tumor_nor_ink():
    truth = laid_out(SlideFacts("lung", "no malignancy", inflammation="mild", nodes_examined=2))
    assert not truth["tumor"].any() and not truth["ink"].any() and not truth["necrosis"].any()
    assert truth["inflammation"].any() and truth["node"].any()


def test_a_pen_stroke_is_there_if_asked_for():
    assert not laid_out(tumor_of())["pen"].any()
    assert 0.002 < laid_out(tumor_of(), pen=True)["pen"].mean() < 0.05


def test_patients_differ():
    one, other = (laid_out(tumor_of(), seed) for seed in (1, 2))
    assert all((one[name] != other[name]).any() for name in ("tissue", "tumor", "ink"))
