"""The recipe of HistGen: from each source, resumed, and as published."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoModel, AutoProcessor

from hf_medreport.hub.folder import save_folder
from hf_medreport.hub.publish import check_folder
from hf_medreport.modeling.configuration_histgen import HistGenConfig
from hf_medreport.modeling.modeling_histgen import HistGenForConditionalGeneration
from hf_medreport.processing.feature_files import PatchFeatures, write_features
from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.patch_encoder import PatchEncoder
from hf_medreport.registry import system
from hf_medreport.systems.histgen.recipe import ModelArguments, build, halve
from hf_medreport.systems.histgen.train_patch_encoder import restained
from hf_medreport.training import run
from hf_medreport.training.trainer import ReportTrainer
from tests.tiny import tiny_model, tiny_patch_encoder, tiny_processor

EXAMPLES = Path(__file__).parents[3] / "examples"
SIZES = {**system("histgen").tiny}
del SIZES["feature_size"]
TINY = {
    "patch_encoder": {
        "model_type": "resnet",
        "embedding_size": 4,
        "hidden_sizes": [4, 8],
        "depths": [1, 1],
        "layer_type": "basic",
    },
    "tiles": {"patch_px": 64, "mpp": 1.0, "tissue": "otsu", "size": 16},
    "model": SIZES,
    "vocabulary_size": 300,
    "phantom_cases": 4,
    "phantom_validation_cases": 2,
    "phantom_wordings": 2,
    "slide_px": 256,
    "drawing_processes": 1,
    "max_text_tokens": 12,
    "encoder_slides": 2,
    "encoder_steps": 2,
    "encoder_batch_size": 4,
    "per_device_train_batch_size": 2,
    "per_device_eval_batch_size": 2,
    "bf16": False,
    "max_steps": 4,
    "save_steps": 2,
    "eval_steps": 4,
    "logging_steps": 1,
    "half_precision_weights": False,
    "model_name": "model",
    "evaluation_cases": 2,
}
REPORTS = [f"Grade {number % 3 + 1} carcinoma of {number}.5 cm. Margins are negative." for number in range(6)]


def configuration(folder, name="histgen_phantom.yaml", **changes):
    """A recipe of the examples, made tiny."""
    values = yaml.safe_load((EXAMPLES / name).read_text()) | {"output_dir": str(folder / "run")} | changes
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(values))
    return str(path)


@pytest.fixture
def annotation(tmp_path):
    """A made-up tree of HistGen's layout: annotation.json beside a folder of .pt features of 1,024."""
    (tmp_path / "dinov2_vitl").mkdir()
    records = []
    for number, report in enumerate(REPORTS):
        features = np.random.default_rng(number).normal(size=(number + 3, 1024)).astype(np.float32)
        torch.save(torch.from_numpy(features), tmp_path / "dinov2_vitl" / f"s{number}.pt")
        records.append({"id": f"s{number}", "report": report, "image_path": [f"s{number}.pt"], "split": "train"})
    content = {"train": records[:4], "val": records[4:], "test": []}
    (tmp_path / "annotation.json").write_text(json.dumps(content))
    return {"annotation": str(tmp_path / "annotation.json"), "features": str(tmp_path / "dinov2_vitl")}


def weights(folder):
    return load_file(Path(folder) / "model" / "model.safetensors")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The tiny run on the phantom, undisturbed: its last metrics and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    return run("histgen", configuration(folder, **TINY), []), folder / "run"


def test_phantom_end_to_end(whole):
    metrics, folder = whole[0], whole[1] / "model"
    assert metrics["global_step"] == 4 and {"eval_bleu4", "eval_fact_f1"} <= set(metrics)
    model = AutoModel.from_pretrained(folder, trust_remote_code=True)
    assert model.config.feature_size == 8 and model.generation_config.num_beams == 3
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    assert processor.patch_encoder.width == 8 and processor.image_processor.mpp == 1.0
    assert processor.region_size == model.config.region_size
    revision = processor.patch_encoder.revision
    assert processor.learned_from == {"encoder_revision": [revision], "mpp": [1.0, 1.0], "patch_px": [64]}
    text = "Grade 2, 1.5 cm, 0/3 nodes."
    assert processor.tokenizer.decode(processor.tokenizer(text)["input_ids"]) == text
    assert set(json.loads((folder / "evaluation.json").read_text())) == {"test", "held_back_style"}
    assert check_folder(folder)[1] == []  # complete enough to be published, card and all


class Killed(BaseException):
    """What no handler catches."""


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_weights(whole, tmp_path, monkeypatch):
    expected = weights(whole[1])
    config, step = configuration(tmp_path, **TINY), ReportTrainer.training_step

    def killed_at_four(self, *arguments, **options):
        if self.state.global_step == 3:
            raise Killed
        return step(self, *arguments, **options)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(ReportTrainer, "training_step", killed_at_four)
        run("histgen", config, [])
    assert not (tmp_path / "run" / "model").exists()
    drawn = sorted((tmp_path / "run").glob("bags-*/*.safetensors"))
    drawn[0].write_bytes(b"cut")  # as of a kill while it was written by another program
    run("histgen", config, ["--resume_from_checkpoint", "true"])
    resumed = weights(tmp_path / "run")
    assert expected.keys() == resumed.keys() and all(torch.equal(expected[key], resumed[key]) for key in expected)


def test_the_paper_s_recipe_on_its_layout(tmp_path, annotation):
    model = {"feature_size": 1024, **SIZES}
    changes = {"model": model, "threshold": 2, "max_steps": 2, "num_train_epochs": 1, **annotation}
    changes |= {"eval_strategy": "steps", "eval_steps": 2, "save_strategy": "steps", "save_steps": 2}
    metrics = run("histgen", configuration(tmp_path, "histgen_paper.yaml", **changes), [])
    assert metrics["global_step"] == 2 and "eval_bleu4" in metrics
    folder = tmp_path / "run" / "histgen"
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    assert "<unk>" in processor.tokenizer.get_vocab() and not (folder / "patch_encoder").exists()
    assert processor.image_processor.patch_px == 512 and processor.image_processor.tissue == "tcga"


def test_the_published_optimizer(tmp_path, annotation):
    """Adam with amsgrad, gradients cut by value, the rate times 0.8 after each epoch."""
    seen = []

    def record(self, *arguments, **options):
        loss = step(self, *arguments, **options)
        inner = getattr(self.optimizer, "optimizer", self.optimizer)
        seen.append((type(inner).__name__, inner.param_groups[0]["lr"], inner.defaults["amsgrad"]))
        return loss

    step = ReportTrainer.training_step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ReportTrainer, "training_step", record)
        changes = {"model": {"feature_size": 1024, **SIZES}, "threshold": 2, "num_train_epochs": 2, **annotation}
        changes |= {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False}
        run("histgen", configuration(tmp_path, "histgen_paper.yaml", **changes, early_stopping_patience=0), [])
    assert [kind for kind, _, _ in seen] == ["Adam"] * 8 and all(amsgrad for *_, amsgrad in seen)
    assert [rate for _, rate, _ in seen] == pytest.approx([1e-4] * 4 + [0.8e-4] * 4)


def test_one_forward_of_the_paper_s_size():
    model = HistGenForConditionalGeneration(HistGenConfig()).eval()
    with torch.no_grad():
        output = model(patch_features=torch.randn(1, 120, 1024), labels=torch.randint(1, 5000, (1, 9)))
    assert output.logits.shape == (1, 9, 5001) and output.loss.isfinite()


def test_tables_and_going_on_from_a_folder(tmp_path):
    rows, made = [], {"encoder_revision": "aa", "mpp": "0.5"}
    for number, report in enumerate(REPORTS[:4]):
        features = np.random.default_rng(number).normal(size=(5, 16)).astype(np.float32)
        bag = PatchFeatures(features, np.zeros((5, 2), np.int64), made)
        write_features(tmp_path / f"{number}.safetensors", bag)
        rows.append({"features": f"{number}.safetensors", "text": report})
    (tmp_path / "table.jsonl").write_text("\n".join(map(json.dumps, rows)))
    source = {"train_data": [str(tmp_path / "table.jsonl")], "validation_data": str(tmp_path / "table.jsonl")}
    changes = {**TINY, **source, "phantom_cases": 0, "patch_encoder": None}
    run("histgen", configuration(tmp_path, **changes), [])
    first = tmp_path / "run" / "model"
    again = {**changes, "model": str(first), "output_dir": str(tmp_path / "again"), "max_steps": 1}
    run("histgen", configuration(tmp_path, **again), [])
    assert AutoModel.from_pretrained(tmp_path / "again" / "model", trust_remote_code=True).config.feature_size == 16
    settings = json.loads((tmp_path / "again" / "model" / "processor_config.json").read_text())
    assert settings["learned_from"] == {"encoder_revision": ["aa"], "mpp": [0.5, 0.5]}  # of a tile's px nobody spoke


def reports_of(features_said: dict) -> SimpleNamespace:
    return SimpleNamespace(width=16, learned_from=features_said, texts=lambda: iter(REPORTS))


def test_bags_are_held_to_the_base_model_and_its_patch_encoder(tmp_path):
    row, tiles = system("histgen"), TileImageProcessor(patch_px=16, size=16)
    processor = tiny_processor(row)
    processor.learned_from = {"encoder_revision": ["aa"], "patch_px": [16]}
    base = ModelArguments(model=str(save_folder(tiny_model(row), processor, tmp_path / "base")))
    made = {"encoder_revision": ["bb"], "mpp": [0.5, 0.5]}
    with pytest.raises(InputError, match="^training data: found features of encoder_revision bb; expected encoder_rev"):
        build(base, reports_of(made), tiles, None)
    _, insisted = build(base, reports_of(made), tiles, None, allow_foreign=True)
    assert insisted.learned_from == {"encoder_revision": ["bb"], "mpp": [0.5, 0.5], "patch_px": [16]}
    encoder = tmp_path / "base" / "patch_encoder"
    with pytest.raises(InputError, match="^patch_encoder: found features of encoder_revision .*; expected encoder_rev"):
        build(base, reports_of({"encoder_revision": ["aa"]}), tiles, encoder)


def test_a_patch_encoder_is_halved_where_it_loses_nothing():
    encoder = tiny_patch_encoder()
    halve(encoder)
    assert encoder.model.dtype == torch.float32  # or its features would be known by another revision
    halves = PatchEncoder(encoder.model.half().float(), "tiny", {"size": 16})
    halve(halves)
    assert halves.model.dtype == torch.float16


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"annotation": "a.json", "features": "f"},
            "annotation, train_data, phantom_cases: found annotation and phantom_cases; expected one of them; choose "
            "one source",
        ),
        (
            {"phantom_cases": 0},
            "annotation, train_data, phantom_cases: found none of them; expected one of them; choose one source",
        ),
        (
            {"phantom_cases": 0, "annotation": "a.json", "patch_encoder": None},
            "features: found none; expected the folder of the annotation's feature files; give `features`",
        ),
        (
            {"model": ""},
            "model: found none; expected sizes in the YAML, or a folder; see examples/histgen_paper.yaml",
        ),
        (
            {"encoder_steps": 0},
            "patch_encoder: found a configuration to train, and no phantom_cases or encoder_steps; expected both, or "
            "a folder; name a trained encoder's folder",
        ),
        (
            {"patch_encoder": None},
            "patch_encoder: found none for phantom_cases; expected a folder, or a configuration to train; name one",
        ),
        ({"keep_patches": 0.0}, "keep_patches: found 0; expected a share above 0, at most 1; correct it"),
        (
            {"train_data": ["t.csv"], "phantom_cases": 0, "patch_encoder": None},
            "validation_data: found none; expected a table to evaluate on; name it or set eval_strategy to no",
        ),
        (
            {"tiles": {"patch_px": 64, "mpp": 1.0, "level": 0}},
            "tiling: found level 0 and mpp 1; expected one of them; leave out the level or the mpp",
        ),
    ],
)
def test_arguments_that_do_not_go_together(tmp_path, changes, message):
    with pytest.raises(InputError) as error:
        run("histgen", configuration(tmp_path, **{**TINY, **changes}), [])
    assert str(error.value) == message


def test_an_argument_by_its_old_name(tmp_path):
    with pytest.raises(InputError, match="unknown field 'published_optimiser'; .* 'published_optimizer' now"):
        run("histgen", configuration(tmp_path, **TINY, published_optimiser=True), [])


def test_features_of_another_width_than_the_model(tmp_path, annotation):
    changes = {"model": {"feature_size": 768, **SIZES}, **annotation}
    with pytest.raises(InputError) as error:
        run("histgen", configuration(tmp_path, "histgen_paper.yaml", **changes), [])
    expected = "model: found feature_size 768 for features of width 1024; expected equal widths; correct feature_size "
    assert str(error.value) == expected + "or leave it out"


def test_restained_tiles_keep_their_place_and_change_their_color():
    tiles = np.full((64, 8, 8, 3), 128, np.uint8)
    tiles[:, :, :4] = 250
    varied = restained(tiles, np.random.default_rng(0))
    assert varied.dtype == np.uint8 and varied.shape == tiles.shape
    bright, dark = varied[:, :, :3].mean(axis=(1, 2)), varied[:, :, 5:].mean(axis=(1, 2))
    assert (bright > dark).all()  # what was bright stays brighter in every channel
    assert bright.std(axis=0).min() > 5 and dark.std(axis=0).min() > 15  # no two tiles of one color
    assert np.array_equal(varied, restained(tiles, np.random.default_rng(0)))
