"""Drawn truth beside what was said of it, by hand; and the examples."""

from hf_medreport.demo.drawn import ticked_film, ticked_picture, ticked_slide
from hf_medreport.phantom.chest.findings import Fact
from hf_medreport.phantom.picture.facts import PictureFact
from hf_medreport.phantom.slide.findings import SlideFacts


def test_a_film_by_side_and_severity():
    truth = [Fact("pleural_effusion", "left", severity="severe"), Fact("cardiomegaly", severity="mild")]
    text = "Large left pleural effusion is present. There is no pneumothorax. A right pacemaker is seen."
    assert ticked_film(text, truth) == [
        ("correct", "severe left pleural effusion"), ("wrong", "right pacemaker"), ("missed", "mild cardiomegaly"),
    ]  # fmt: skip
    assert ticked_film("The lungs are clear.", []) == []


def test_a_slide_field_by_field():
    truth = SlideFacts("kidney", "no malignancy", inflammation="mild", nodes_examined=2)
    ticked = ticked_slide("Kidney, no malignancy. Marked inflammation.", truth)
    assert ("correct", "site: kidney") in ticked and ("wrong", "inflammation: marked") in ticked
    assert ("missed", "nodes: 0/2") in ticked and ("missed", "inflammation: mild") not in ticked


def test_a_picture_by_what_was_asked_alone():
    truth = PictureFact("ct", "consolidation", "right", "posterior")
    seen = {"modality": "ct", "finding": "nodule", "side": "right", "zone": "posterior", "grade": "mild"}
    assert ticked_picture(truth, seen) == [
        ("correct", "modality: ct"), ("wrong", "finding: nodule, not consolidation"), ("correct", "side: right"),
        ("correct", "zone: posterior"),
    ]  # fmt: skip
