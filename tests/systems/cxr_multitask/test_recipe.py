"""The recipe of the multi-task chest X-ray: from each source, each task alone, in stages, resumed, and as published."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file
from torchvision.models.densenet import DenseNet
from transformers import GPT2Config, GPT2LMHeadModel, pipeline

from hf_medreport.dataset_scripts.iu_xray import table_features
from hf_medreport.hub.folder import save_folder
from hf_medreport.hub.publish import check_folder
from hf_medreport.modeling.configuration_cxr_multitask import CxrMultitaskConfig
from hf_medreport.modeling.modeling_cxr_multitask import CxrMultitaskForConditionalGeneration
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import system
from hf_medreport.systems.anatomical.row import TINY_GPT2
from hf_medreport.systems.cxr_multitask import convert_chexnet
from hf_medreport.systems.cxr_multitask import recipe as cxr_multitask
from hf_medreport.systems.cxr_multitask.trainer import TASK_LOSSES, MultitaskTrainer
from hf_medreport.training import run
from tests.tiny import save_tiny, tiny_model, tiny_processor, tiny_tokenizer

EXAMPLES = Path(__file__).parents[3] / "examples"
PAPER = str(EXAMPLES / "cxr_multitask_paper.yaml")
DENSENET = system("cxr_multitask").tiny["encoder"]
WRITER = {**TINY_GPT2, "n_layer": 2, "n_positions": 160}
TINY = {
    "encoder": DENSENET,
    "decoder": {**WRITER, "resid_pdrop": 0.1},  # draws random numbers, which a resumed run has to go on with
    "segmenter": {"architecture": "unet", "unet_channels": [4, 8], "unet_size": 16},
    "vocabulary_size": 300,
    "film_size": 64,
    "image_size": 64,
    "latent_grid": 1,
    "zero_init_projection": False,  # each task teaches the encoder from the first step
    "decoder_channels": [16, 8, 8, 8, 4],
    "classifier_channels": [16, 8],
    "bf16": False,
    "phantom_cases": 9,
    "phantom_validation_cases": 3,
    "segmenter_steps": 2,
    "encoder_steps": 2,
    "warm_up_batch_size": 4,
    "per_device_train_batch_size": 4,
    "per_device_eval_batch_size": 2,
    "learning_rate": 0.01,
    "lr_scheduler_type": "constant",
    "warmup_steps": 0,
    "max_steps": 4,
    "save_steps": 2,
    "eval_steps": 4,
    "logging_steps": 1,
    "max_text_tokens": 12,
    "half_precision_weights": False,
    "model_name": "model",
    "evaluation_cases": 2,
}
FROM_TABLES = {
    "phantom_cases": 0,
    "segmenter": None,
    "segmenter_steps": 0,
    "encoder_steps": 0,
    "eval_strategy": "no",
    "per_device_train_batch_size": 2,
    "max_steps": 2,
}


def configuration(folder, **changes):
    """The phantom's YAML, made tiny."""
    values = yaml.safe_load((EXAMPLES / "cxr_multitask_phantom.yaml").read_text()) | TINY
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(values | {"output_dir": str(folder / "run")} | changes))
    return str(path)


def table_configuration(folder, **changes):
    """The same on the table of `pairs`, without an evaluation."""
    source = {"train_data": [str(folder / "train.csv")]}
    return configuration(folder, **FROM_TABLES | source | changes)


def films(seed):
    """A frontal and a lateral film that no other seed has."""
    noise = np.random.default_rng(seed)
    return [Image.fromarray(noise.integers(0, 256, (64, 64), dtype=np.uint8)) for _ in range(2)]


@pytest.fixture
def pairs(tmp_path):
    """A table of six made-up pairs; the second lacks the lateral film and the third the classification."""
    rows = ["frontal,lateral,impression,label"]
    for case in range(6):
        names = [f"{case}_{view}.png" for view in ("frontal", "lateral")]
        for film, name in zip(films(case), names, strict=True):
            film.save(tmp_path / name)
        label = "" if case == 2 else str(case % 2)
        rows.append(f"{names[0]},{'' if case == 1 else names[1]},Case {case} is {'ab' * (case % 2)}normal.,{label}")
    (tmp_path / "train.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


@pytest.fixture
def published(tmp_path):
    """What the paper's recipe reads, tiny: tables as `prepare iu-xray` and an encoder as `convert chexnet` write."""
    for part, cases in (("train", range(4)), ("validation", range(4, 7))):
        rows = []
        for case in cases:
            row = {"uid": str(case), "findings": "", "mesh": ["normal"], "label": case % 2}
            row["impression"] = "No acute disease." if case % 2 else "Opacity."
            for view, film in zip(("frontal", "lateral"), films(case), strict=True):
                film.save(tmp_path / "film.png")
                row[view] = {"bytes": (tmp_path / "film.png").read_bytes(), "path": f"{case}_{view}.png"}
            rows.append(row)
        table = pyarrow.Table.from_pylist(rows, schema=table_features(cropped=False).arrow_schema)
        pyarrow.parquet.write_table(table, tmp_path / f"{part}.parquet")
    torch.manual_seed(0)
    words = tiny_tokenizer()
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    GPT2LMHeadModel(GPT2Config(**WRITER, vocab_size=len(words), **ends)).save_pretrained(tmp_path / "gpt2")
    words.save_pretrained(tmp_path / "gpt2")
    sizes = {**DENSENET, "block_config": tuple(DENSENET["block_config"])}
    torch.save(DenseNet(**sizes, num_classes=14).state_dict(), tmp_path / "densenet.pth")
    convert_chexnet.convert(tmp_path / "densenet.pth", tmp_path / "chexnet", decoder=str(tmp_path / "gpt2"))
    return tmp_path


def paper_flags(folder, **changes):
    """Flags that make the paper's YAML tiny."""
    flags = {
        "encoder": folder / "chexnet",
        "decoder": folder / "gpt2",
        "film_size": 64,
        "image_size": 64,
        "train_data": folder / "train.parquet",
        "validation_data": folder / "validation.parquet",
        "output_dir": folder / "run",
        "model_name": "model",
        "max_steps": 2,
        "per_device_train_batch_size": 2,
        "bf16": False,
        "max_text_tokens": 20,
        "eval_strategy": "steps",
        "save_strategy": "steps",
        "eval_steps": 1,
        "save_steps": 1,
        "logging_steps": 1,
        **changes,
    }
    channels = ["--decoder_channels", "8", "8", "8", "8", "4", "--classifier_channels", "16", "8"]
    return [*channels, *(part for name, value in flags.items() for part in (f"--{name}", str(value)))]


def weights(folder):
    return load_file(Path(folder) / "model" / "model.safetensors")


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def log_of(folder):
    states = sorted(Path(folder).glob("checkpoint-*/trainer_state.json"), key=lambda path: int(path.parent.name[11:]))
    return json.loads(states[-1].read_text())["log_history"]


def changed(one, other):
    return {name for name in one if not torch.equal(one[name], other[name])}


def files(folder):
    """The final folder; its card names the YAML, which lies elsewhere."""
    paths = (path for path in Path(folder).rglob("*") if path.is_file() and path.name != "README.md")
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_phantom_end_to_end(tmp_path):
    metrics = run("cxr_multitask", configuration(tmp_path), [])
    assert metrics["global_step"] == 4 and {"eval_bleu4", "eval_fact_f1", "eval_kind_f1"} <= set(metrics)
    folder = tmp_path / "run"
    assert check_folder(folder / "model")[1] == []  # complete enough to be published, card and all
    assert set(json.loads((folder / "model" / "evaluation.json").read_text())) >= {"test", "held_back_style"}

    # Two steps an epoch drop the ninth case; an evaluation by twos drops none of three.
    assert len((folder / "samples.jsonl").read_text().splitlines()) == 3

    pipe = pipeline("image-to-text", model=str(folder / "model"), trust_remote_code=True)
    frontal, lateral = films(0)
    assert isinstance(pipe({"frontal": frontal, "lateral": lateral})[0]["generated_text"], str)

    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["training_records"] == 9 and manifest["model"]["tasks"] == [
        "reconstruction",
        "classification",
        "report",
    ]
    assert manifest["training"]["seed"] == 0 and "torch" in manifest["versions"] and manifest["inputs"] == {}


def test_a_warm_up_is_found_again(tmp_path, monkeypatch):
    """By another run of the same settings; other settings are warmed up anew."""
    done, calls = [], {"segmenter": 0, "encoder": 0}

    def counted(name):
        original = getattr(cxr_multitask, f"warm_up_{name}")

        def counting(*arguments, **options):
            calls[name] += 1
            return original(*arguments, **options)

        return counting

    for name in calls:
        monkeypatch.setattr(cxr_multitask, f"warm_up_{name}", counted(name))
    monkeypatch.setattr(cxr_multitask, "fit", lambda trainer, *given: done.append(trainer.model.state_dict()) or {})
    monkeypatch.setattr(cxr_multitask, "finish", lambda *given: {})
    first = {"warm_up_folder": str(tmp_path / "warm"), "eval_strategy": "no", "phantom_cases": 4}
    run("cxr_multitask", configuration(tmp_path, **first), [])
    assert calls == {"segmenter": 1, "encoder": 1} and len(list((tmp_path / "warm").iterdir())) == 2
    run("cxr_multitask", configuration(tmp_path, **first, output_dir=str(tmp_path / "again")), [])
    assert calls == {"segmenter": 1, "encoder": 1} and equal(done[0], done[1])
    run("cxr_multitask", configuration(tmp_path, **first, warm_up_rate=0.001), [])
    assert calls == {"segmenter": 2, "encoder": 2} and not equal(done[0], done[2])


class Killed(BaseException):
    """What no handler catches."""


STAGES = {"unfreezing": ["0:0", "1:3", "2:all", "3:3"], "max_steps": 4}  # Keras' last three: concat, bn, relu


def watched(monkeypatch, kill_at=None):
    """Record before each step which of the encoder's weights are trained, and the whole encoder; kill at a step."""
    seen, step = [], MultitaskTrainer.training_step

    def recorded(self, model, *arguments, **options):
        if self.state.global_step == kill_at:
            raise Killed
        encoder = self.accelerator.unwrap_model(model).encoder
        state = {name: value.clone() for name, value in encoder.state_dict().items()}
        seen.append(({name for name, value in encoder.named_parameters() if value.requires_grad}, state))
        return step(self, model, *arguments, **options)

    monkeypatch.setattr(MultitaskTrainer, "training_step", recorded)
    return seen


def test_stages_train_more_of_the_encoder_and_a_killed_run_resumes_in_its_stage_to_the_same_bytes(pairs, monkeypatch):
    whole, parts = pairs / "whole", pairs / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    table = {**STAGES, "train_data": [str(pairs / "train.csv")]}
    with monkeypatch.context() as patch:
        seen = watched(patch)
        run("cxr_multitask", table_configuration(whole, **table), [])
    last = {"features.norm5.weight", "features.norm5.bias"}
    assert [names for names, _ in (seen[0], seen[1], seen[3])] == [set(), last, last] and len(seen[2][0]) > 20
    first, second, third, fourth = (state for _, state in seen)
    expected = weights(whole / "run")
    final = {name: expected[f"encoder.{name}"] for name in first}
    assert equal(first, second)  # frozen: neither weights nor statistics move
    assert last <= changed(second, third)
    for before, after in ((second, third), (fourth, final)):
        assert all(name.startswith("features.norm5.") for name in changed(before, after))
    assert "features.conv0.weight" in changed(third, fourth)

    config = table_configuration(parts, **table)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        watched(patch, kill_at=3)
        run("cxr_multitask", config, [])
    assert not (parts / "run" / "model").exists()
    cut = parts / "run" / "checkpoint-3"  # as of a kill while it was saved
    cut.mkdir()
    (cut / "model.safetensors").write_bytes(b"half")
    with monkeypatch.context() as patch:
        seen = watched(patch)
        run("cxr_multitask", config, ["--resume_from_checkpoint", "true"])
    assert len(seen) == 2 and len(seen[0][0]) > 20 and seen[1][0] == last
    assert files(parts / "run" / "model") == files(whole / "run" / "model")

    # Once more, as after a kill between the last checkpoint and the final folder: not a step further.
    assert run("cxr_multitask", config, ["--resume_from_checkpoint", "true"])["global_step"] == 4
    assert files(parts / "run" / "model") == files(whole / "run" / "model")


@pytest.mark.parametrize(
    ("tasks", "taught"),
    [
        ("reconstruction", {"encoder", "frontal_decoder", "lateral_decoder"}),
        ("classification", {"encoder", "classifier", "missing_view"}),
        ("report", {"encoder", "decoder", "missing_view"}),
    ],
)
def test_a_task_alone_leaves_the_other_parts_as_they_were(pairs, monkeypatch, tasks, taught):
    """With weight decay, which would move them if they had any gradient."""
    before = []
    build = cxr_multitask.build

    def kept(*arguments):
        model, processor = build(*arguments)
        before.append({name: value.clone() for name, value in model.named_parameters()})
        return model, processor

    monkeypatch.setattr(cxr_multitask, "build", kept)
    run("cxr_multitask", table_configuration(pairs, tasks=tasks, weight_decay=0.5, view_dropout=0.5), [])
    after = weights(pairs / "run")
    assert {name.split(".")[0] for name in changed(before[0], after)} == taught


def test_the_papers_recipe_two_steps(published):
    metrics = run("cxr_multitask", PAPER, paper_flags(published))
    assert metrics["global_step"] == 2 and "eval_bleu4" in metrics

    log = log_of(published / "run")  # each task's loss is in it, and they add up
    trained, evaluated = [row for row in log if "loss" in row], [row for row in log if "eval_loss" in row]
    assert len(trained) == len(evaluated) == 2
    for rows, prefix in ((trained, ""), ([*evaluated, metrics], "eval_")):
        for row in rows:
            abnormal, frontal, lateral, text = (row[prefix + name] for name in TASK_LOSSES)
            assert row[f"{prefix}loss"] == pytest.approx(abnormal + 0.5 * frontal + 0.5 * lateral + text, abs=1e-3)

    inputs = json.loads((published / "run" / "manifest.json").read_text())["inputs"]
    table = published / "train.parquet"
    assert inputs[str(table)] == hashlib.sha256(table.read_bytes()).hexdigest() and len(inputs) == 2
    folder = published / "run" / "model"
    model = CxrMultitaskForConditionalGeneration.from_pretrained(folder)
    words = pipeline("image-to-text", model=str(folder), trust_remote_code=True).tokenizer
    ends = [words.convert_tokens_to_ids(word) for word in ("<start>", "<end>", "<pad>")]
    assert ends == [257, 258, 259] and model.decoder.transformer.wte.num_embeddings == 260
    for settings in (model.config.decoder, model.generation_config):
        assert [settings.bos_token_id, settings.eos_token_id, settings.pad_token_id] == ends
    source = load_file(published / "chexnet" / "model.safetensors")
    assert model.config.encoder_mean == CxrMultitaskConfig.from_pretrained(published / "chexnet").encoder_mean
    trained = {name for name, value in model.encoder.named_parameters() if value.requires_grad}
    assert trained == {name for name in trained if "denseblock4.denselayer2." in name or "norm5" in name} and trained
    after = model.encoder.state_dict()
    moved = {name for name, value in after.items() if not torch.equal(value, source[f"encoder.{name}"])}
    assert trained <= moved and not any("denselayer1." in name or "conv0" in name for name in moved)


def test_the_best_weights_are_saved_also_by_a_finished_run_resumed(published):
    flags = paper_flags(published, max_steps=3, learning_rate=0.5)  # each step makes it worse
    run("cxr_multitask", PAPER, flags)
    expected, states = weights(published / "run"), log_of(published / "run")
    losses = {row["step"]: row["eval_loss"] for row in states if "eval_loss" in row}
    best = published / "run" / f"checkpoint-{min(losses, key=losses.get)}"
    assert min(losses, key=losses.get) < 3 and equal(expected, load_file(best / "model.safetensors"))
    run("cxr_multitask", PAPER, [*flags, "--resume_from_checkpoint", "true"])
    assert equal(expected, weights(published / "run"))


def test_frontal_films_alone(pairs):
    """A table without the columns of lateral film and classification: what there is, is learned."""
    absent = {"lateral_column": None, "label_column": None, "tasks": ["reconstruction", "report"]}
    run("cxr_multitask", table_configuration(pairs, **absent), [])
    row = next(row for row in log_of(pairs / "run") if "loss" in row)
    assert {"frontal_loss", "text_loss"} <= set(row) and not {"lateral_loss", "abnormal_loss"} & set(row)


@pytest.mark.slow
def test_one_forward_of_the_papers_size():
    """DenseNet-121 at 224 px and GPT-2 base, at random."""
    model = CxrMultitaskForConditionalGeneration(CxrMultitaskConfig()).eval()
    views = [torch.rand(1, 3, 224, 224) for _ in range(2)]
    with torch.no_grad():
        output = model(*views, labels=torch.randint(50257, (1, 9)), abnormal_labels=torch.tensor([1]))
    assert output.logits.shape == (1, 9, 50260) and output.latent.shape == (1, 2048) and output.loss.isfinite()
    assert output.frontal_reconstruction.shape == output.lateral_reconstruction.shape == (1, 3, 224, 224)
    trained = {name for name, value in model.encoder.named_parameters() if value.requires_grad}
    assert trained == {
        f"features.{part}.{kind}"
        for part in ("denseblock4.denselayer16.norm1", "denseblock4.denselayer16.norm2", "norm5")
        for kind in ("weight", "bias")
    } | {f"features.denseblock4.denselayer16.conv{number}.weight" for number in (1, 2)}


# What is wrong -> the whole message; from the phantom's YAML, before a film is drawn.
BEFORE_ANY_WORK = [
    (
        {"train_data": ["a.csv"]},
        "train_data, phantom_cases: found both; expected one of them; name tables, or draw phantom cases",
    ),
    (
        {"phantom_cases": 0},
        "train_data, phantom_cases: found neither; expected one of them; name tables, or draw phantom cases",
    ),
    (
        {"tasks": ["report", "verdikt"]},
        "tasks: found 'verdikt'; expected one or more of reconstruction, classification, report; correct it",
    ),
    (
        {"tasks": ["verdict"]},
        "tasks: found 'verdict'; expected one or more of reconstruction, classification, report; "
        "it is called 'classification' now",
    ),
    ({"tasks": []}, "tasks: found none; expected one or more of reconstruction, classification, report; correct it"),
    (
        {"per_device_train_batch_size": 1},
        "per_device_train_batch_size: found 1; expected 2 or more, for batch norm; raise it",
    ),
    (
        {"segmenter": None},
        "segmenter_steps: found no segmenter to warm up; expected a segmenter; name one or set it to 0",
    ),
    (
        {"phantom_cases": 0, "train_data": ["a.csv"]},
        "segmenter_steps, encoder_steps: found a warm-up on tables; expected phantom_cases; set both to 0",
    ),
    (
        {"unfreezing": ["x:3"]},
        "unfreezing: found 'x:3'; expected STEP:LAYERS, such as 300:10 or 900:all; correct it, and quote it in YAML, "
        "which takes 300:10 for minutes and seconds",
    ),
    (
        {"eval_strategy": "no", "early_stopping_patience": 2},
        "early_stopping_patience: found eval_strategy no; expected steps or epoch; set eval_strategy",
    ),
]

# From tables: what is wrong with the arguments, or between them and the table.
WITH_TABLES = [
    (
        {"eval_strategy": "steps"},
        "validation_data: found none; expected a table to evaluate on; name it or set eval_strategy to no",
    ),
    (
        {"metric_for_best_model": "eval_fact_f1"},
        "metric_for_best_model: found eval_fact_f1 on real reports; expected eval_loss or eval_bleu4; facts are "
        "known of phantoms only",
    ),
    (
        {"encoder": "no/id"},
        "encoder, decoder: found a name and a configuration; expected two names or two configurations; choose",
    ),
    (
        {"decoder": ""},
        "encoder, decoder: found a configuration and none; expected two names or two configurations; choose",
    ),
    (
        {"encoder": "no/id", "decoder": "no/gpt"},
        "encoder, decoder: found 'no/id', 'no/gpt', of which one does not load; expected folders or repository "
        "ids; check the names, or go online",
    ),
    (
        {"image_size": 100},
        "CxrMultitaskConfig: found image_size=100; expected a multiple of 32, the encoder's stride; choose 224 or "
        "another",
    ),
    (
        {"reconstruction_loss": "psnr"},
        "CxrMultitaskConfig: found reconstruction_loss='psnr'; expected one of bce, mse, l1, ssim, mse+ssim; correct "
        "the configuration",
    ),
    (
        {"latent_injection": "everywhere"},
        "LatentGPT2Config: found latent_injection='everywhere'; expected one of pre_block, post_block, "
        "embedding_only; correct the configuration",
    ),
    (
        {"encoder": {**DENSENET, "growth": 4}},
        "CxrMultitaskConfig: found encoder field 'growth'; expected growth_rate, block_config, num_init_features, "
        "bn_size; correct the configuration",
    ),
    (
        {"max_text_tokens": 161},
        "max_text_tokens: found 161; expected at most 160, the decoder's positions; lower it",
    ),
    (
        {"per_device_train_batch_size": 7},
        "training data: found 6 records; expected a batch of 7 or more; lower per_device_train_batch_size",
    ),
    (
        {"lateral_column": "side"},
        "train.csv: found columns frontal, lateral, impression, label; expected a column 'side'; name it with "
        "`lateral_column`",
    ),
]


@pytest.mark.parametrize(("changes", "message"), BEFORE_ANY_WORK)
def test_arguments_that_do_not_go_together(tmp_path, changes, message):
    with pytest.raises(InputError) as error:
        run("cxr_multitask", configuration(tmp_path, **changes), [])
    assert str(error.value) == message and not (tmp_path / "run").exists()


def test_a_misspelt_field(tmp_path):
    config = configuration(tmp_path, phantom_casez=4)
    with pytest.raises(InputError) as error:
        run("cxr_multitask", config, [])
    expected = "found unknown field 'phantom_casez'; expected a training argument; did you mean 'phantom_cases'?"
    assert str(error.value) == f"{config}: {expected}"


@pytest.mark.parametrize(("changes", "message"), WITH_TABLES)
def test_arguments_that_do_not_fit_model_or_table(pairs, changes, message):
    with pytest.raises(ValueError) as error:
        run("cxr_multitask", table_configuration(pairs, **changes), [])
    assert str(error.value) == message and not (pairs / "run").exists()


ONE_BAD_ROW = "(bad rows in all: 1; skip_bad_rows leaves them out)"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "0_frontal.png,0_lateral.png,Normal.,2",
            f"train.csv, row 7: found label '2'; expected 0 (normal), 1 (abnormal) or an empty cell; correct 'label' "
            f"{ONE_BAD_ROW}",
        ),
        (
            "0_frontal.png,9_lateral.png,Normal.,0",
            f"train.csv, row 7: found no file 9_lateral.png; expected an existing lateral film; correct 'lateral' "
            f"{ONE_BAD_ROW}",
        ),
        (
            "0_frontal.png,0_lateral.png,,0",
            f"train.csv, row 7: found no text in 'impression'; expected a report; fill it in or drop the row "
            f"{ONE_BAD_ROW}",
        ),
    ],
)
def test_a_bad_row_stops_the_run_or_is_left_out_on_request(pairs, caplog, row, message):
    with (pairs / "train.csv").open("a") as table:
        table.write(row + "\n")
    with pytest.raises(InputError) as error:
        run("cxr_multitask", table_configuration(pairs), [])
    assert str(error.value) == message
    data = cxr_multitask.DataArguments(train_data=[str(pairs / "train.csv")], skip_bad_rows=True)
    arguments = cxr_multitask.RecipeArguments(output_dir=str(pairs / "run"))
    records, _ = cxr_multitask.load_data(cxr_multitask.ModelArguments(), data, arguments)
    assert len(records) == 6
    assert "  " + message.removesuffix(f" {ONE_BAD_ROW}") in caplog.text


@pytest.fixture
def trained(tmp_path):
    """A folder of a trained model, of other settings than the recipe's defaults."""
    row = system("cxr_multitask")
    return save_folder(
        tiny_model(row, view_dropout=0.25, text_weight=2.0, frontal_weight=0.0, lateral_weight=0.0),
        tiny_processor(row),
        tmp_path / "trained",
    )


def go_on(folder, trained, *flags, **changes) -> dict:
    """One step from a trained model, on two drawn cases."""
    values = {"phantom_cases": 2, "phantom_validation_cases": 2, "evaluation_cases": 2, "max_steps": 1, "bf16": False}
    values |= {"output_dir": str(folder / "run"), "eval_strategy": "no", "max_text_tokens": 12, "report_to": "none"}
    values |= {"per_device_train_batch_size": 2}
    (folder / "on.yaml").write_text(yaml.safe_dump(values | changes))
    run("cxr_multitask", str(folder / "on.yaml"), ["--model", str(trained), *flags])
    return json.loads((folder / "run" / "model" / "config.json").read_text())


def test_a_trained_model_is_gone_on_with(tmp_path, trained, monkeypatch):
    """At a rate of 0 it stays what it is, in weights, words and settings; what is asked for anew is taken."""
    monkeypatch.setattr("hf_medreport.systems.cxr_multitask.recipe.evaluation_of", lambda asked, folder: {})
    config = go_on(tmp_path, trained, "--learning_rate", "0", "--weight_decay", "0", view_dropout=0.5)
    before, after = (load_file(folder / "model.safetensors") for folder in (trained, tmp_path / "run" / "model"))
    assert before.keys() == after.keys()
    learned = [name for name in before if not name.rpartition(".")[2].startswith(("running_", "num_batches"))]
    assert all(torch.equal(before[name], after[name]) for name in learned)
    for name in ("tokenizer.json", "processor_config.json"):
        assert (trained / name).read_bytes() == (tmp_path / "run" / "model" / name).read_bytes(), name
    assert config["text_weight"] == 2.0 and config["view_dropout"] == 0.5 and config["frontal_weight"] == 0.0
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert f"{trained.name}" in card and str(trained.parent) not in card  # a card names no place of a machine


def test_what_a_trained_model_does_not_have_is_refused(tmp_path, trained):
    message = "image_size: found 48 for trained; expected 64, which it has; leave out `image_size`, or train another "
    with pytest.raises(InputError) as error:
        go_on(tmp_path, trained, "--image_size", "48")
    assert str(error.value) == f"{message}model"
    other = save_tiny(system("radscribe"), tmp_path / "other")
    with pytest.raises(InputError, match="model: found a 'radscribe' in other; expected cxr_multitask; name another"):
        go_on(tmp_path, other)
    with pytest.raises(InputError, match="model: found '.*', which does not load"):
        go_on(tmp_path, tmp_path / "absent")
