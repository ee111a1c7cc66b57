"""What is read from a description."""

import numpy as np
import pytest

from hf_medreport.evaluation.verification.asked import Asked, expected_finding, read_asked, read_modality
from hf_medreport.phantom.picture.facts import MODALITIES, NO_FINDING, draw_fact
from hf_medreport.phantom.picture.prompts import WORDINGS, write_prompt


def test_every_drawn_prompt_is_read_as_it_was_meant():
    rng = np.random.default_rng(0)
    for number in range(300):
        fact = draw_fact(rng, list(MODALITIES)[number % 5])
        prompt = write_prompt(fact, rng, WORDINGS[number // 5 % 2])
        findings = () if fact.finding == NO_FINDING else (fact.finding,)
        for modality in (None, fact.modality):
            asked = read_asked(prompt, modality)
            read = (asked.modality, asked.findings, asked.side, asked.grade, asked.normal)
            assert read == (fact.modality, findings, fact.side, fact.grade, fact.finding == NO_FINDING), prompt


@pytest.mark.parametrize(
    ("prompt", "asked"),
    [
        ("normal heart", Asked(normal_heart=True)),
        ("CXR. Heart size is normal.", Asked("cxr", normal_heart=True)),
        (
            "Small left effusion, no pneumothorax, X-ray",
            Asked("cxr", ("pleural effusion",), ("pneumothorax",), side="left", grade="mild"),
        ),
        ("no left effusion", Asked(denied=("pleural effusion",))),
        ("CXR without cardiomegaly", Asked("cxr", (), ("cardiomegaly",), normal_heart=True)),
        ("without effusion: large heart, CXR", Asked("cxr", ("cardiomegaly",), ("pleural effusion",))),
        ("bilateral effusions, CXR", Asked("cxr", ("pleural effusion",))),
        ("left pneumothorax and right effusion, CXR", Asked("cxr", ("pneumothorax", "pleural effusion"))),
        ("possible left nodule, CXR", Asked("cxr")),
        ("normal OCT of the right eye", Asked("oct", normal=True, side="right", normal_heart=True)),
        ("breast MRI with a mass on the left", Asked(None, ("mass",), side="left")),
        ("CT and MRI", Asked()),
        ("a red balloon", Asked()),
    ],
)
def test_free_words(prompt, asked):
    assert read_asked(prompt) == asked


@pytest.mark.parametrize(
    ("name", "modality"),
    [("X-Ray", "cxr"), ("ChestCT", "ct"), ("BrainMRI", "mri"), ("BreastMRI", None), ("oct", "oct"), ("sonogram", None)],
)
def test_modalities_by_many_names(name, modality):
    assert read_modality(name) == modality
    assert read_asked("optical coherence tomography", name).modality == modality  # what is named beside beats the words


def test_what_a_judge_is_to_answer():
    assert expected_finding(Asked(findings=("mass", "infarct"))) == "mass or infarct"
    assert expected_finding(Asked(normal=True)) == NO_FINDING
    assert expected_finding(Asked(denied=("mass",))) == "anything but mass"
    assert expected_finding(Asked()) is None
