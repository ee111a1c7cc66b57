"""The card of a generator: every figure from its run's JSON, no folder of the machine that trained it."""

import json

import pytest
from huggingface_hub import ModelCard

from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.diffusion.card import write_evaluated, write_generator_card

RUN = {
    "command": "hf-medreport train diffusion --config examples/diffusion_phantom.yaml",
    "model_name": "diffusion-tiny",
    "base": "/home/me/models/stable",
    "data": "4000 drawn chest films (seed 0)",
    "rows": 4000,
    "steps": 1900,
    "samples_seen": 30400,
    "stages": [{"resolution": 256, "steps": 5}, {"resolution": 320, "steps": 5}],
    "noise": {"beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction"},
    "trained_parameters": 2891234,
    "modalities": ["CXR", "OCT"],
    "settings": {
        "model": {"lora_rank": 0},
        "data": {},
        "training": {"min_snr_gamma": 5, "ema_decay": 0.999, "seed": 0},
    },
    "versions": {"torch": "2.14.1", "diffusers": "0.42.1"},
    "history": [{"step": 50, "loss": 0.9}, {"step": 100, "loss": 0.5}, {"step": 100, "validation_loss": 0.61}],
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps(RUN))
    return tmp_path


def test_what_the_run_says(folder):
    text = write_generator_card(folder, license="openrail").read_text()
    card = ModelCard.load(folder / "README.md")
    assert card.data.library_name == "diffusers" and card.data.pipeline_tag == "text-to-image"
    assert card.data.license == "openrail" and card.data.base_model is None
    assert "Built from: stable\n" in text and "/home" not in text
    for row in (
        "| pictures | 4000 |",
        "| sides | 256 px -> 320 px |",
        "| prediction | v_prediction |",
        "| min-SNR gamma | 5 |",
        "| step | loss | validation_loss |",
        "| 50 | 0.9000 |  |",
        "| 100 | 0.5000 | 0.6100 |",
    ):
        assert f"{row}\n" in text, row
    assert "adapter of rank" not in text and "Not run: nobody" in text and "torch 2.14.1, diffusers 0.42.1." in text
    assert '"diffusion-tiny", trust_remote_code=True' in text and '"CXR", seeds=[0]' in text


def test_a_base_on_the_hub_and_an_evaluation(folder):
    run = RUN | {"base": "org/stable", "modalities": [], "history": []}
    (folder / "run.json").write_text(json.dumps(run))
    scores = {"n_real": 50, "n_fake": 40, "fid": 12.25, "kid": None, "diversity_fake": 0.18}
    evaluation = {"all": scores, "features": "pixels"}
    text = write_generator_card(folder, model_name="org/mine", evaluation=evaluation, evaluated_by="a b").read_text()
    assert ModelCard.load(folder / "README.md").data.base_model == "org/stable"
    for row in ("| pictures, real | 50 |", "| FID | 12.2500 |", "| MS-SSIM diversity, drawn | 0.1800 |"):
        assert f"{row}\n" in text
    assert "KID" not in text and "Printed by `a b`. Features: pixels;" in text and "Modalities by name: none" in text
    assert "| step |" not in text and "Not run" not in text


def test_an_adapter_and_the_license_of_its_base(folder):
    run = RUN | {"base": "org/stable", "settings": {"model": {"lora_rank": 8}, "training": {}}}
    (folder / "run.json").write_text(json.dumps(run))
    text = write_generator_card(folder).read_text()
    assert ModelCard.load(folder / "README.md").data.license == "other"
    assert "| adapter of rank | 8 |\n" in text and "trust_remote_code" not in text
    assert 'load_generator("org/stable")\npipe.load_lora_weights("diffusion-tiny")\n' in text
    assert "--model org/stable --adapter diffusion-tiny --out" in text
    (folder / "run.json").write_text(json.dumps(RUN | {"base": "random weights"}))
    write_generator_card(folder)
    assert ModelCard.load(folder / "README.md").data.license == "apache-2.0"


def test_many_lines_become_ten_and_the_last_stays(folder):
    run = RUN | {"history": [{"step": step, "loss": 1 / step} for step in range(1, 96)]}
    (folder / "run.json").write_text(json.dumps(run))
    rows = [line for line in write_generator_card(folder).read_text().splitlines() if line.startswith(("| 9", "| 5 "))]
    assert "| 95 | 0.0105 |" in rows and "| 5 | 0.2000 |" in rows


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (
            None,
            "FOLDER: found no run.json; expected a folder of a training run; "
            "train the generator, or write the card by hand",
        ),
        ("{", "FOLDER/run.json: found broken JSON (line 1); expected a JSON object; copy the file again"),
        ("{}", "FOLDER/run.json: found no 'command'; expected the record of a run; train the generator again"),
    ],
)
def test_a_folder_without_a_run(tmp_path, run, message):
    if run is not None:
        (tmp_path / "run.json").write_text(run)
    with pytest.raises(InputError) as error:
        write_generator_card(tmp_path)
    assert str(error.value).replace(tmp_path.name, "FOLDER") == message


def test_figures_are_put_beside_the_model_and_into_its_card(folder):
    scores = {"all": {"fid": 12.5}, "features": "a backbone", "command": "hf-medreport evaluate phantom --model x"}
    write_evaluated(folder, scores)
    text = (folder / "README.md").read_text()
    assert json.loads((folder / "evaluation.json").read_text()) == scores
    assert "| FID | 12.5000 |" in text and f"Printed by `{scores['command']}`" in text and "Not run" not in text
