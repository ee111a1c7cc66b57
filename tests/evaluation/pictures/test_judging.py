"""A judge's look: in batches the same, labels of facts, and folders that are no judge's."""

import numpy as np
import pytest
import torch

from hf_medreport.evaluation.pictures.judging import QUESTIONS, Judge, labels_of, load_judge, pixels_of, questions
from hf_medreport.hub.folder import save_folder
from hf_medreport.phantom.picture.facts import MODALITIES, PictureFact, draw_fact
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import systems
from tests.evaluation.pictures.made import drawn, judge
from tests.tiny import save_tiny, tiny_processor

ROW = next(row for row in systems() if row.kind == "judge")


def test_every_fact_that_is_drawn_can_be_answered():
    rng, asked = np.random.default_rng(0), questions()
    facts = [draw_fact(rng, modality) for modality in MODALITIES for _ in range(50)]
    labels = labels_of(facts, asked)
    assert tuple(asked) == QUESTIONS and labels.dtype == np.int64
    for fact, row in zip(facts, labels, strict=True):
        for name, number in zip(QUESTIONS, row, strict=True):
            assert (None if number == -100 else asked[name][number]) == getattr(fact, name)


def test_labels_by_hand():
    asked = {"modality": ["ct", "mri"], "side": ["right", "left"], "zone": ["anterior", "posterior"]}
    assert labels_of([PictureFact("mri", "infarct", "left")], asked).tolist() == [[1, 1, -100]]


def test_pixels_are_those_of_the_folder_s_processor():
    image = drawn().images[:1]
    processor = tiny_processor(ROW)
    torch.testing.assert_close(pixels_of(image), processor(list(image), return_tensors="pt")["pixel_values"])


def test_a_look_is_the_same_in_any_batch():
    images = drawn().images[:7]
    whole, parts = judge().look(images), judge().look(images, batch_size=3)
    np.testing.assert_allclose(whole.features, parts.features, rtol=1e-4, atol=1e-5)
    assert whole.answers == parts.answers and whole.logits["side"].shape == (7, 2)
    assert whole.answers[0]["side"] == ["right", "left"][int(whole.logits["side"][0].argmax())]


def test_pictures_of_another_size_are_refused():
    with pytest.raises(InputError, match="pictures: found 64 x 64 x 3; expected 32 x 32 x 3"):
        judge().look(np.zeros((1, 64, 64, 3), np.uint8))


def test_a_judge_comes_back_from_its_folder(tmp_path):
    save_folder(judge().model, tiny_processor(ROW), tmp_path / "judge")
    loaded = load_judge(tmp_path / "judge", "cpu")
    assert isinstance(loaded, Judge) and loaded.name.startswith("judge (sha256 ")
    images = drawn().images[:3]
    seen, expected = loaded.look(images), judge().look(images)
    np.testing.assert_array_equal(seen.features, expected.features)
    assert seen.answers == expected.answers  # of questions that are not in the alphabet's order


@pytest.mark.parametrize("kind", ["missing", "empty", "other questions", "broken"])
def test_what_is_no_judge(tmp_path, kind):
    folder = tmp_path / "judge"
    if kind != "missing":
        folder.mkdir()
    if kind == "other questions":
        save_tiny(ROW, folder)
    if kind == "broken":
        (folder / "model.safetensors").write_bytes(b"no tensors")
    found = {
        "missing": "no folder 'judge'",
        "empty": "no model.safetensors in 'judge'",
        "other questions": "a model that is not asked for the finding",
        "broken": "'judge', which does not load",
    }[kind]
    with pytest.raises(InputError) as error:
        load_judge(folder, "cpu")
    assert str(error.value).startswith(f"judge: found {found}")
