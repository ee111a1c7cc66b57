"""Records become a batch; those of tables with two views are in `test_tables.py`."""

import numpy as np

from hf_medreport.data.collator import LabeledCollator, ReportCollator, SlideReportCollator
from hf_medreport.modeling.configuration_medvill import FINDINGS
from hf_medreport.processing.feature_files import PatchFeatures
from hf_medreport.registry import system
from tests.labeled import labeled
from tests.tiny import film_array, tiny_processor


def test_a_record_without_a_mask_beside_one_with_a_mask_gets_an_empty_one():
    film = np.eye(16, dtype=np.float32)
    rows = [{"image": film, "text": "a", "mask": mask} for mask in (film, None)]
    masks = ReportCollator(tiny_processor(system("anatomical_report")))(rows)["anatomical_masks"]
    assert masks[0].max() == 1 and masks[1].max() == 0


def test_films_alone_bring_no_masks():
    records = [{"image": film_array(), "text": text, "mask": None} for text in ("abc", "a")]
    batch = ReportCollator(tiny_processor(system("anatomical_report")), max_length=2)(records)
    assert "anatomical_masks" not in batch and batch["labels"].shape == (2, 2)
    assert batch["labels"][1, 1] == 0 and batch["labels"][0, 1] != 0  # the longer one is cut and does not end


def test_bags_of_any_size_beside_their_reports():
    bags = [PatchFeatures(np.full((count, 16), count, np.float32)) for count in (3, 5)]
    records = [{"slides": [bag], "text": text} for bag, text in zip(bags, ("ab", "a"), strict=True)]
    batch = SlideReportCollator(tiny_processor(system("histgen")))(records)
    assert batch["patch_attention_mask"].sum(-1).tolist() == [3, 5] and batch["labels"].shape == (2, 3)
    assert batch["labels"][1, 2] == -100 and batch["patch_features"][0, 0].unique().tolist() == [3]


class TestLabels:
    RECORDS = (
        {"image": film_array(), "text": "ab", "labels": ["Edema"]},
        {"image": film_array().T, "text": "a", "labels": None},
    )

    def test_an_oracle_is_told_them(self):
        processor = labeled("oracle")[1]
        records = [self.RECORDS[0], {**self.RECORDS[1], "labels": []}]
        batch = LabeledCollator(processor, "oracle")(records)
        assert processor.given_labels(batch["label_ids"]) == [["Edema"], []] and "label_targets" not in batch

    def test_a_model_that_predicts_learns_them(self):
        batch = LabeledCollator(labeled("predicted")[1], "predicted", max_length=2)(list(self.RECORDS))
        known, unknown = batch["label_targets"].tolist()
        assert known == [int(name == "Edema") for name in FINDINGS] and set(unknown) == {-100}
        assert "label_ids" not in batch and batch["labels"].shape == (2, 2)

    def test_without_labels_neither(self):
        batch = LabeledCollator(labeled("none")[1], "none")(list(self.RECORDS))
        assert not {"label_ids", "label_targets"} & set(batch)
