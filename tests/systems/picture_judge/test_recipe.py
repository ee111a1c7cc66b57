"""The judge's recipe: a run of two steps, its folder, and the same bytes after a kill."""

import json

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, CLIPModel

from hf_medreport.evaluation.images.features import load_extractor
from hf_medreport.evaluation.pictures.evaluate import load_words
from hf_medreport.evaluation.pictures.judging import load_judge, questions
from hf_medreport.hub.publish import check_folder
from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.picture_judge.degrade import PatchComponents
from hf_medreport.systems.picture_judge.picture_words import PicturesAndWords, build_words
from hf_medreport.systems.picture_judge.recipe import WorsePictures
from hf_medreport.training import run
from tests.evaluation.pictures.made import drawn

FLAGS = ["--image_size", "32", "--widths", "4", "4", "8", "8", "--feature_size", "8", "--phantom_cases", "16"]
FLAGS += ["--evaluation_cases", "10", "--passes", "2", "--per_device_train_batch_size", "16", "--bf16", "false"]
FLAGS += ["--clip_steps", "1", "--clip_batch_size", "8", "--report_to", "none", "--half_precision_weights", "true"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that was killed after its first step, and went on."""
    place = tmp_path_factory.mktemp("run")
    flags = [*FLAGS, "--pictures_folder", str(place / "pictures"), "--save_steps", "1", "--seed", "3"]
    run("picture_judge", None, [*flags, "--output_dir", str(place / "whole")])
    with pytest.raises(KeyboardInterrupt), pytest.MonkeyPatch.context() as patch:
        patch.setattr(WorsePictures, "__getitem__", _stops_in_the_second_batch(WorsePictures.__getitem__))
        run("picture_judge", None, [*flags, "--output_dir", str(place / "killed")])
    return place, run("picture_judge", None, [*flags, "--output_dir", str(place / "killed"), "--resume", "true"])


def _stops_in_the_second_batch(getitem):
    seen = []

    def stopping(self, index):
        seen.append(index)
        if len(seen) > 17:  # the loader reads one batch ahead
            raise KeyboardInterrupt
        return getitem(self, index)

    return stopping


def test_a_killed_run_ends_in_the_same_bytes(trained):
    place, metrics = trained
    for name in ("model.safetensors", "clip/model.safetensors", "clip/tokenizer.json"):
        whole, killed = (place / which / "model" / name for which in ("whole", "killed"))
        assert whole.read_bytes() == killed.read_bytes(), name
    assert metrics["global_step"] == 2 and 0 <= metrics["decoded_finding"] <= 1


def test_the_folder_is_a_judge_s(trained):
    place, metrics = trained
    folder = place / "killed" / "model"
    evaluation = json.loads((folder / "evaluation.json").read_text())
    assert evaluation["n"] == 10 and set(evaluation["kinds"]) == {
        "clean", "blurred", "noisy", "compressed", "decoded"
    }  # fmt: skip
    assert evaluation["kinds"]["clean"]["modality"]["n"] == 10 and evaluation["clip"]["model"].startswith("clip")
    judge = load_judge(folder, "cpu")
    assert list(judge.model.config.answers.items()) == list(questions().items()) and judge.size == 32
    files, left_out = check_folder(folder)
    assert {"modeling_picture_judge.py", "clip/model.safetensors", "README.md", "evaluation.json"} <= set(files)
    assert not left_out
    card = (folder / "README.md").read_text()
    accuracy = evaluation["kinds"]["clean"]["modality"]["accuracy"]
    assert f"| modality | {accuracy:.3f} (" in card and "16 drawn pictures (seed 100), 2 times each" in card


def test_its_model_of_pictures_and_words_is_transformers_own(trained):
    folder = trained[0] / "killed" / "model" / "clip"
    words = load_words(folder.parent, "cpu")
    assert words.name == load_extractor(folder, "cpu").name == "clip (clip, projected)"
    texts = words.texts(["brain MRI: mass", "brain MRI: mass", "OCT: drusen"])
    np.testing.assert_allclose(texts[0], texts[1])
    assert texts.shape == (3, 64) and np.abs(texts[0] - texts[2]).max() > 1e-3
    assert words.images([drawn().images[0] / 255])[0].shape == (1, 64)
    assert CLIPModel.from_pretrained(folder).config.text_config.eos_token_id == 3
    assert AutoTokenizer.from_pretrained(folder).model_input_names == ["input_ids", "attention_mask"]


def test_the_words_that_ship_stay_small():
    torch.manual_seed(0)
    model, tokenizer = build_words(drawn().prompts, 64)
    assert sum(parameter.numel() for parameter in model.parameters()) <= 300_000
    assert not any(tokenizer.unk_token_id in tokenizer(prompt)["input_ids"] for prompt in drawn().prompts)
    record = PicturesAndWords(drawn(), tokenizer, 50, 0)[43]  # the fourth picture again
    read = tokenizer.decode(record["input_ids"], skip_special_tokens=True)
    assert read.replace(" ", "") == drawn().prompts[3].lower().replace(" ", "")


def test_a_record_depends_on_seed_and_number_alone():
    components = PatchComponents.fit(drawn().images)
    records, again = (WorsePictures(drawn(), components, 5, seed=1) for _ in range(2))
    assert len(records) == 5 * len(drawn())
    for index in (3, 43):
        assert torch.equal(records[index]["pixel_values"], again[index]["pixel_values"])
    assert torch.equal(records[3]["labels"], records[43]["labels"])
    assert not torch.equal(records[3]["pixel_values"], records[43]["pixel_values"])
    other = WorsePictures(drawn(), components, 5, seed=2)
    assert any(not torch.equal(records[k]["pixel_values"], other[k]["pixel_values"]) for k in range(5))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--phantom_cases", "0"], "phantom_cases: found 0; expected at least 1"),
        (["--passes", "0"], "passes: found 0; expected at least 1"),
        (["--evaluation_cases", "5"], "evaluation_cases: found 5; expected at least 10"),
        (["--eval_strategy", "epoch"], "eval_strategy: found .*; expected no"),
        (["--image_size", "36"], "image_size: found 36"),
        (["--passses", "2"], "flag --passses: found no such argument"),
    ],
)
def test_what_is_refused_before_any_work(flags, message, tmp_path):
    with pytest.raises(InputError, match=message):
        run("picture_judge", None, [*FLAGS, "--output_dir", str(tmp_path / "run"), *flags])
    assert not (tmp_path / "run" / "pictures").exists()
