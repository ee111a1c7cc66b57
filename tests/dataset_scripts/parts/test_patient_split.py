"""Patients by hash: the parts that were asked for, and a patient's part that nothing else moves."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.dataset_scripts.parts.patient_split import read_split, split_of
from hf_medreport.processing.input_error import InputError


def test_the_split_keeps_its_parts_and_depends_on_the_patient_alone():
    patients = [f"TCGA-ZZ-{number:04}" for number in range(4000)]
    counts = Counter(split_of(patient, (7, 1, 2), 0) for patient in patients)
    # 4,000 draws: four standard deviations are 116, 76 and 101
    assert abs(counts["train"] - 2800) < 116 and abs(counts["val"] - 400) < 76 and abs(counts["test"] - 800) < 101
    assert any(split_of(patient, (7, 1, 2), 0) != split_of(patient, (7, 1, 2), 1) for patient in patients)
    assert {split_of(patient, (0, 0, 1), 0) for patient in patients} == {"test"}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 4000), unique=True, min_size=1, max_size=40), st.integers(0, 5))
def test_more_patients_move_nobody(uids, seed):
    alone = {uid: split_of(str(uid), (7, 1, 2), seed) for uid in uids[: len(uids) // 2]}
    together = {uid: split_of(str(uid), (7, 1, 2), seed) for uid in uids}
    assert alone.items() <= together.items()


@pytest.mark.parametrize("split", ["8:2", "0:0:0"])
def test_parts_that_are_no_split_are_refused(split):
    with pytest.raises(InputError) as caught:
        read_split(split)
    assert str(caught.value) == f"split: found '{split}'; expected three whole numbers like 7:1:2; check `split`"
