"""Modalities by whatever people call them; a new one is a line in a YAML."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_medreport.modeling import medical_text_conditioner
from hf_medreport.modeling.medical_text_conditioner import MedicalTextConditionerConfig
from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.diffusion import modalities
from hf_medreport.systems.diffusion.modalities import Modalities, read_modalities

SIX = ["CXR", "ChestCT", "BrainMRI", "BreastMRI", "Fundus", "OCT"]


def written(folder, text):
    (folder / "mine.yaml").write_text(text)
    return folder / "mine.yaml"


def test_minims_six_by_their_names_and_aliases():
    table = read_modalities()
    assert [one["name"] for one in table] == SIX
    known = pickle.loads(pickle.dumps(Modalities(table)))  # it goes into the workers of a loader
    assert [known.named(name) for name in SIX] == SIX
    for said, name in {
        "cxr": "CXR",
        "X-Ray": "CXR",
        "x ray": "CXR",
        "Chest X-ray": "CXR",
        "chest_xray": "CXR",
        "MRI": "BrainMRI",
        "brain mri": "BrainMRI",
        "Breast-MRI": "BreastMRI",
        "CT": "ChestCT",
        "FUNDUS": "Fundus",
        "optical coherence  tomography": "OCT",
    }.items():
        assert known.named(said) == name


def test_which_are_gray(tmp_path):
    assert [one["name"] for one in read_modalities() if not one.get("gray")] == ["Fundus"]
    mine = read_modalities(written(tmp_path, "DXA: {gray: true}\nPhoto: {}\n"))
    assert mine[-2]["gray"] is True and "gray" not in mine[-1]


def test_a_new_modality_is_a_line(tmp_path):
    path = written(tmp_path, 'DXA: {aliases: [bone density], template: "Bone density scan: {prompt}"}\n')
    table = read_modalities(path)
    assert table == [
        *read_modalities(),
        {"name": "DXA", "aliases": ["bone density"], "template": "Bone density scan: {prompt}"},
    ]
    assert Modalities(table).named("Bone-Density") == "DXA"


def test_the_conditioner_takes_the_table_as_it_is_and_compares_names_alike():
    table = read_modalities()
    assert MedicalTextConditionerConfig(modalities=table).modalities == table

    @given(st.text())
    def alike(name):
        assert medical_text_conditioner._plain(name) == modalities._key(name)

    alike()


def test_a_line_takes_the_place_of_the_one_of_its_name_and_may_be_short(tmp_path):
    table = read_modalities(written(tmp_path, "OCT: {}\n"))
    assert [one["name"] for one in table] == SIX
    assert table[-1] == {"name": "OCT", "aliases": [], "template": "OCT: {prompt}"}


def test_the_nearest_name_is_told():
    known = Modalities(read_modalities())
    expected = "expected one of CXR, ChestCT, BrainMRI, BreastMRI, Fundus, OCT"
    for said, remedy in {
        "angiogram ct chest": "did you mean 'ct chest'?",
        "Fundos": "did you mean 'Fundus'?",
        "ultrasound": "name one of these, or add a line for it to a YAML of modalities",
        "": "name one of these, or add a line for it to a YAML of modalities",
    }.items():
        with pytest.raises(InputError) as raised:
            known.named(said)
        assert str(raised.value) == f"modality: found '{said}'; {expected}; {remedy}"


LINE = 'expected a line like `DXA: {aliases: [bone density], template: "DXA: {prompt}"}`; correct the line'


@pytest.mark.parametrize(
    "text, message",
    [
        ("DXA: bone density\n", f"mine.yaml, DXA: found a str; {LINE}"),
        ("DXA: {alias: [bone]}\n", f"mine.yaml, DXA: found the field 'alias'; {LINE}"),
        ("DXA: {aliases: bone}\n", f"mine.yaml, DXA: found aliases that are no list of names; {LINE}"),
        ("DXA: {aliases: [3]}\n", f"mine.yaml, DXA: found aliases that are no list of names; {LINE}"),
        ("DXA: {aliases: ['- ']}\n", f"mine.yaml, DXA: found aliases that are no list of names; {LINE}"),
        ("'': {}\n", f"mine.yaml, : found aliases that are no list of names; {LINE}"),
        (
            "DXA: {template: scan}\n",
            "mine.yaml, DXA: found the template 'scan'; expected one with {prompt} once; correct the template",
        ),
        (
            "DXA: {template: '{prompt}{0}'}\n",
            "mine.yaml, DXA: found the template '{prompt}{0}'; expected one with {prompt} once; correct the template",
        ),
        (
            "DXA: {aliases: [x-ray]}\n",
            "mine.yaml: found 'x-ray' for CXR and DXA; expected each name for one modality; drop one of the two",
        ),
    ],
)
def test_a_line_that_cannot_be_used(tmp_path, text, message):
    with pytest.raises(InputError) as raised:
        read_modalities(written(tmp_path, text))
    assert str(raised.value) == message


@pytest.mark.parametrize("text, found", [("- DXA\n", "found a list"), ("a: [\n", "found broken YAML")])
def test_a_file_that_is_no_mapping(tmp_path, text, found):
    with pytest.raises(InputError, match=found):
        read_modalities(written(tmp_path, text))
