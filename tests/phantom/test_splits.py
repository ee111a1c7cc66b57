"""Each case has its own stream of chance, and no patient is in two splits."""

import numpy as np
import pytest

from hf_medreport.phantom.splits import SPLITS, case_stream, check_cases
from hf_medreport.processing.input_error import InputError


def test_a_case_depends_on_seed_split_and_index_alone():
    patient, sequence = case_stream(3, "test", 7)
    again, same = case_stream(np.int64(3), "test", 7)
    assert patient == again and np.random.default_rng(sequence).random() == np.random.default_rng(same).random()


def test_no_patient_is_in_two_splits_or_drawn_twice():
    patients = [case_stream(seed, split, index)[0] for seed in range(3) for split in SPLITS for index in range(50)]
    assert len(set(patients)) == len(patients) == 600


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, "test"), "n: found 0; expected at least 1 case; ask for one or more cases"),
        ((True, 1, "test"), "n: found True; expected at least 1 case; ask for one or more cases"),
        ((2.0, 1, "test"), "n: found 2.0; expected at least 1 case; ask for one or more cases"),
        ((4, -1, "test"), "seed: found -1; expected a whole number from 0; choose another seed"),
        (
            (4, 1, "tset"),
            "split: found 'tset'; expected one of train, validation, test, held_back_style; name a known split",
        ),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(InputError) as raised:
        check_cases(*arguments)
    assert str(raised.value) == message


def test_numbers_of_numpy_are_numbers():
    assert check_cases(np.int32(4), np.uint8(0), "train") is None
