"""The recipe of RadScribe: from each source, in each label mode, and as published."""

import hashlib
import io
import json
import tarfile

import pyarrow
import pyarrow.parquet
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoModel, GenerationConfig, T5ForConditionalGeneration, ViTConfig, ViTModel, pipeline

from hf_medreport.data.collator import LabeledCollator
from hf_medreport.dataset_scripts.mimic_cxr import MimicCxr
from hf_medreport.dataset_scripts.parts.tables import prepare
from hf_medreport.hub.publish import check_folder
from hf_medreport.modeling.configuration_medvill import FINDINGS
from hf_medreport.modeling.configuration_radscribe import RadScribeConfig
from hf_medreport.modeling.modeling_medvill import MedViLLModel
from hf_medreport.modeling.modeling_radscribe import RadScribeForConditionalGeneration
from hf_medreport.processing.label_text import parse_labels
from hf_medreport.systems.radscribe import decode_schedule
from hf_medreport.systems.radscribe import recipe as radscribe
from hf_medreport.systems.radscribe.decode_schedule import decode_settings
from hf_medreport.systems.radscribe.trainer import RadScribeTrainer
from hf_medreport.training import run
from tests.dataset_scripts.mimic_trees import MadeUp, write_mimic
from tests.systems.radscribe.runs import (
    EXAMPLES,
    ROWS,
    VIT,
    configuration,
    equal,
    table_configuration,
    validated,
    weights,
    write_parts,
    write_tables,
)
from tests.tiny import film_array

PAPER = str(EXAMPLES / "radscribe_paper.yaml")
LABELS_IN_CARD = {"none": "Labels: none", "predicted": "Labels: predicted", "oracle": "Labels: **oracle**"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Drawn films as RadScribe keeps them."""
    return write_tables(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A MedViLL and a T5 to join."""
    return write_parts(tmp_path_factory.mktemp("parts"))


def log_of(checkpoint) -> list[dict]:
    return json.loads((checkpoint / "trainer_state.json").read_text())["log_history"]


def seen(monkeypatch) -> list[dict]:
    """The records that the collator gets, as they come."""
    records, call = [], LabeledCollator.__call__
    monkeypatch.setattr(LabeledCollator, "__call__", lambda self, batch: records.extend(batch) or call(self, batch))
    return records


@pytest.mark.parametrize(
    "mode", [*(pytest.param(mode, marks=pytest.mark.slow) for mode in ("none", "oracle")), "predicted"]
)
def test_phantom_end_to_end(mode, tmp_path, caplog):
    metrics = run("radscribe", configuration(tmp_path, label_mode=mode), [])
    assert metrics["global_step"] == 4 and {"eval_bleu4", "eval_fact_f1", "eval_BLEU-4"} <= set(metrics)
    assert "max_length" not in caplog.text
    folder = tmp_path / "run"
    assert check_folder(folder / "model")[1] == []  # complete enough to be published, card and all
    assert LABELS_IN_CARD[mode] in (folder / "model" / "README.md").read_text()
    log = log_of(folder / "checkpoint-4")
    assert any("eval_label_loss" in row for row in log) == (mode == "predicted")
    assert set(json.loads((folder / "model" / "evaluation.json").read_text())) >= {"test", "held_back_style"}
    samples = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    assert len(samples) == 3
    flags = {"oracle_labels" in row for row in samples} | {"eval_oracle_labels" in metrics}
    assert flags == {mode == "oracle"}

    model = AutoModel.from_pretrained(folder / "model", trust_remote_code=True)
    assert model.config.encoder.label_mode == mode and "no clinical statement" in model.config.statement
    assert model.generation_config.max_new_tokens == 12 and model.generation_config.max_length is None
    pipe = pipeline("image-to-text", model=str(folder / "model"), trust_remote_code=True)
    case = {"frontal": Image.fromarray(film_array())} | ({"labels": ["Edema"]} if mode == "oracle" else {})
    assert isinstance(pipe(case)[0]["generated_text"], str)

    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["training_records"] == 9 and manifest["model"]["label_mode"] == mode
    assert manifest["training"]["seed"] == 0 and "torch" in manifest["versions"] and manifest["inputs"] == {}


# --- sources ---


def shard(corpus, path):
    """The same films and rows as a WebDataset shard."""
    rows = {row["id"]: row for row in map(json.loads, (corpus / "train.jsonl").read_text().splitlines())}
    with tarfile.open(corpus / "train.tar.gz") as source, tarfile.open(path, "w") as target:
        for member in source:
            name = member.name.split("/")[-1].removesuffix(".jpg")
            fields = json.dumps({key: rows[name][key] for key in ("text", "label")}).encode()
            for suffix, content in ((".jpg", source.extractfile(member).read()), (".json", fields)):
                file = tarfile.TarInfo(name + suffix)
                file.size = len(content)
                target.addfile(file, io.BytesIO(content))
    return {"train_data": [str(path)], "train_archives": []}


def parquet(corpus, path):
    """The same as Parquet, films inside."""
    rows = []
    with tarfile.open(corpus / "train.tar.gz") as source:
        for row in map(json.loads, (corpus / "train.jsonl").read_text().splitlines()):
            film = source.extractfile(row["img"].removeprefix("data/preprocessed/mimic/")).read()
            labels = parse_labels(row["label"])
            rows.append({"image": {"bytes": film, "path": None}, "text": row["text"], "labels": labels})
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return {"train_data": [str(path)], "train_archives": [], "labels_column": "labels"}


def unpacked(corpus, path):
    """The same with the archive unpacked."""
    with tarfile.open(corpus / "train.tar.gz") as source:
        source.extractall(path, filter="data")
    return {"train_archives": [str(path)]}


def test_the_same_films_from_four_sources_and_by_workers_give_the_same_weights(corpus, tmp_path, monkeypatch):
    """Two steps by the labels of the films."""
    records, expected = seen(monkeypatch), None
    sources = {
        "archive": {},
        "workers": {"dataloader_num_workers": 2},
        "folder": unpacked(corpus, tmp_path / "films"),
        "shard": shard(corpus, tmp_path / "train.tar"),
        "table": parquet(corpus, tmp_path / "train.parquet"),
    }
    for name, changes in sources.items():
        config = table_configuration(tmp_path, corpus, **changes, label_mode="oracle", save_strategy="no")
        assert run("radscribe", config, ["--overwrite"])["global_step"] == 2, name
        expected = expected or weights(tmp_path / "run")
        assert equal(weights(tmp_path / "run"), expected), name
    told = [record["labels"] for record in records[:4]]
    assert any(told) and all(set(labels) <= set(FINDINGS) for labels in told)


def test_sources_are_drawn_by_weight(corpus, tmp_path, monkeypatch):
    table = str(corpus / "train.jsonl")
    changes = {
        "train_data": [table, str(corpus / "valid.jsonl")],
        "train_archives": [str(corpus / "train.tar.gz"), str(corpus / "valid.tar.gz")],
        "train_weights": [0.0, 1.0],
        "save_strategy": "no",
    }
    records = seen(monkeypatch)
    run("radscribe", table_configuration(tmp_path, corpus, **changes), [])
    known = {json.loads(line)["id"] for line in (corpus / "valid.jsonl").read_text().splitlines()}
    assert {record["id"] for record in records} <= known and len(records) >= 4

    data = radscribe.DataArguments(**{name: changes[name] for name in ("train_data", "train_archives")})
    data.train_weights = [0.7, 0.3]
    _, _, drawn = radscribe.load_data(data, 64, False)
    assert sum(drawn[:ROWS]) == pytest.approx(0.7) and sum(drawn[ROWS:]) == pytest.approx(0.3) and len(drawn) == 11


# --- what is loaded ---


def joined(folder, parts, corpus, **changes):
    """A YAML that joins the two parts."""
    names = {"encoder": str(parts / "medvill"), "decoder": str(parts / "t5")}
    names |= dict.fromkeys(("image_encoder", "image_size", "num_image_embeds", "max_label_tokens"))
    return table_configuration(folder, corpus, **names | {"label_mode": None} | changes)


def test_parts_are_joined_and_a_run_goes_on_from_its_result(parts, corpus, tmp_path):
    still = {"encoder_lr": 1e-12, "encoder_min_lr": 0.0, "decoder_lr": 1e-12, "decoder_min_lr": 0.0, "max_steps": 1}
    run("radscribe", joined(tmp_path, parts, corpus, label_mode="predicted", label_loss_weight=0.5, **still), [])
    first = tmp_path / "run" / "model"
    model = RadScribeForConditionalGeneration.from_pretrained(first)
    encoder = MedViLLModel.from_pretrained(parts / "medvill").state_dict()
    decoder = T5ForConditionalGeneration.from_pretrained(parts / "t5").decoder.state_dict()
    for ours, theirs in ((model.encoder.state_dict(), encoder), (model.decoder.state_dict(), decoder)):
        assert all(torch.allclose(ours[name], value, atol=1e-6) for name, value in theirs.items())
    assert model.config.encoder.label_mode == "predicted" and model.config.label_loss_weight == 0.5
    settings = json.loads((first / "processor_config.json").read_text())["image_processor"]
    assert settings["fit"] == "crop" and settings["size"] == 64  # as the encoder's folder says
    assert "medvill and t5" in (first / "README.md").read_text()

    again = {"model": str(first), "output_dir": str(tmp_path / "again"), "fit": "pad", "mask_mode": "bar", **still}
    run("radscribe", joined(tmp_path, parts, corpus, **again), [])
    second = tmp_path / "again" / "model"
    went_on = RadScribeForConditionalGeneration.from_pretrained(second)
    theirs = went_on.state_dict()
    assert all(torch.allclose(theirs[name], value, atol=1e-6) for name, value in model.state_dict().items())
    assert (went_on.config.encoder.label_mode, went_on.config.encoder.mask_mode) == ("predicted", "bar")
    assert went_on.config.label_loss_weight == 0.5
    assert json.loads((second / "processor_config.json").read_text())["image_processor"]["fit"] == "pad"
    assert str(first.parent) not in (second / "README.md").read_text()


@pytest.mark.slow
def test_folders_of_ours_are_joined_without_asking_whether_to_run_their_code(parts, fresh):
    """In a process of its own: here other tests have made our classes known."""
    code = "from hf_medreport.systems.radscribe.build import ModelArguments, build\n"
    code += f"build(ModelArguments(encoder={str(parts / 'medvill')!r}, decoder={str(parts / 't5')!r}), None)"
    done = fresh.run(code)
    assert done.returncode == 0 and "custom code" not in done.stdout + done.stderr


# --- what happens in a run ---


def test_the_best_weights_are_saved(corpus, tmp_path):
    """The highest loss is called the best here, so that it is the first."""
    upside_down = validated(corpus, greater_is_better=True)
    config = table_configuration(tmp_path, corpus, **upside_down, max_steps=3)
    run("radscribe", config, [])
    losses = {row["step"]: row["eval_loss"] for row in log_of(tmp_path / "run" / "checkpoint-3") if "eval_loss" in row}
    best, expected = max(losses, key=losses.get), weights(tmp_path / "run")
    assert best < 3 and equal(expected, load_file(tmp_path / "run" / f"checkpoint-{best}" / "model.safetensors"))
    assert (tmp_path / "run" / "checkpoint-3" / "optimizer.pt").is_file()  # the last is there, to go on from
    run("radscribe", config, ["--resume_from_checkpoint", "true"])  # it is finished
    assert equal(expected, weights(tmp_path / "run"))


def test_early_stopping_by_a_validation_score(corpus, tmp_path):
    watched = {"metric_for_best_model": "eval_bleu4", "greater_is_better": True, "early_stopping_patience": 2}
    rates = {"encoder_lr": 1e-12, "encoder_min_lr": 0.0, "decoder_lr": 1e-12, "decoder_min_lr": 0.0}
    config = table_configuration(tmp_path, corpus, **validated(corpus, **watched), **rates, max_steps=50)
    assert run("radscribe", config, [])["global_step"] == 3


@pytest.fixture
def short_reports(monkeypatch):
    """The schedule of decoding with reports of a few tokens, in place of 64 to 128."""
    short = {"max_new_tokens": 8, "min_new_tokens": 4}
    monkeypatch.setattr(decode_schedule, "decode_settings", lambda epoch: decode_settings(epoch) | short)
    return short


def test_reports_are_written_by_the_schedule_of_decoding(corpus, tmp_path, monkeypatch, short_reports):
    settings, loop = [], RadScribeTrainer.evaluation_loop

    def kept(self, *arguments, **options):
        settings.append((self.state.epoch, self.model.generation_config.to_dict()))
        return loop(self, *arguments, **options)

    monkeypatch.setattr(RadScribeTrainer, "evaluation_loop", kept)
    changes = validated(corpus, load_best_model_at_end=False, decode_schedule=True)
    changes |= {"per_device_train_batch_size": ROWS, "per_device_eval_batch_size": 3}  # a step is an epoch
    run("radscribe", table_configuration(tmp_path, corpus, **changes), [])
    assert [epoch for epoch, _ in settings] == [1.0, 2.0, 2.0]
    for (_, found), epoch in zip(settings, (0, 1, 1), strict=True):
        wanted = decode_settings(epoch) | {"top_p": None, "temperature": None} | short_reports
        assert {name: found[name] for name in wanted if wanted[name]} == {k: v for k, v in wanted.items() if v}
    final = GenerationConfig.from_pretrained(tmp_path / "run" / "model")
    assert final.max_new_tokens == 12 and final.min_new_tokens is None and final.num_beams is None


# --- as published ---

THEIRS = """
use_amp: true
project_name: films
entity: someone
task_name: first
need_evaluate: true
log_step: 4
is_early_stopping: true
is_resume: false
is_initialize: true
is_finetune: true
train_with_label: true
output_dir: {folder}/theirs
checkpoint_path: ''
encoder_model_path: {parts}/medvill
decoder_model_path: {parts}/t5
train_dataset_name: train_dataset_drawn
valid_dataset_name: valid_dataset_drawn
train_dataset_drawn: {corpus}/train.jsonl
valid_dataset_drawn: {corpus}/valid.jsonl
train_img_archive: {corpus}/train.tar.gz
valid_img_archive: {corpus}/valid.tar.gz
num_workers: 0
img_encoder: ViT
img_size: 64
img_channel: 3
num_image_embeds: 6
seq_len: 24
vocab_size: 30522
epochs: 1
batch_size: 2
optimizer_config:
  encoder: {{lr: 0.00005, warmup_rate_enc: 0.1, min_lr: 0.00001, weight_decay: 0.01}}
  decoder: {{lr: 0.0001, warmup_rate_dec: 0.1, min_lr: 0.00002, weight_decay: 0.005}}
encoder_freeze_epoch: 0
gradient_accumulation_steps: 2
"""


def test_a_yaml_of_radscribe_is_taken_as_it_is(parts, corpus, tmp_path, short_reports):
    (tmp_path / "base.yaml").write_text(THEIRS.format(folder=tmp_path, parts=parts, corpus=corpus))
    metrics = run("radscribe", str(tmp_path / "base.yaml"), ["--report_to", "none", "--disable_tqdm", "true"])
    assert metrics["global_step"] == 2 and {"eval_ROUGE-L", "eval_TOKEN_F1"} <= set(metrics)  # 4 batches by two
    folder = tmp_path / "theirs" / "model"
    config = RadScribeConfig.from_pretrained(folder)
    assert config.encoder.label_mode == "oracle" and config.statement == ""
    inputs = json.loads((tmp_path / "theirs" / "manifest.json").read_text())["inputs"]
    assert str(corpus / "train.tar.gz") in inputs
    assert inputs[str(corpus / "train.jsonl")] == hashlib.sha256((corpus / "train.jsonl").read_bytes()).hexdigest()
    assert LABELS_IN_CARD["oracle"] in (folder / "README.md").read_text()


def paper_flags(folder, parts, **changes):
    """Flags that make the paper's YAML tiny."""
    flags = {
        "encoder": parts / "medvill",
        "decoder": parts / "t5",
        "tokenizer": parts / "t5",
        "image_weights": folder / "vit",
        "image_size": 64,
        "num_image_embeds": 6,
        "max_label_tokens": 24,
        "train_data": folder / "mimic-cxr" / "train.parquet",
        "validation_data": folder / "mimic-cxr" / "validation.parquet",
        "output_dir": folder / "run",
        "model_name": "model",
        "max_steps": 2,
        "bf16": False,
        "max_text_tokens": 12,
        "gradient_accumulation_steps": 2,
        "eval_strategy": "steps",
        "save_strategy": "steps",
        "eval_steps": 1,
        "save_steps": 1,
        "logging_steps": 1,
        "dataloader_num_workers": 0,
        "disable_tqdm": True,
        **changes,
    }
    return [part for name, value in flags.items() for part in (f"--{name}", str(value))]


@pytest.fixture
def published(tmp_path):
    """What the paper's recipe reads, tiny: made-up tables as `prepare mimic-cxr` writes them, and a pretrained ViT."""
    studies = [
        MadeUp(
            10000030 + number,
            50000000 + number,
            {f"film-{number}": "PA"},
            "train" if number < 6 else "validate",
            labels=None if number == 1 else {"Edema": number % 2},
        )
        for number in range(8)
    ]
    prepare(MimicCxr(write_mimic(tmp_path / "tree", studies)), tmp_path / "mimic-cxr")
    torch.manual_seed(1)
    ViTModel(ViTConfig(**VIT), add_pooling_layer=False).save_pretrained(tmp_path / "vit")
    return tmp_path


def test_the_papers_recipe_two_steps(parts, published, monkeypatch):
    built, build = [], radscribe.build

    def kept(*arguments):
        model, processor = build(*arguments)
        built.append({name: value.clone() for name, value in model.state_dict().items()})
        return model, processor

    monkeypatch.setattr(radscribe, "build", kept)
    metrics = run("radscribe", PAPER, paper_flags(published, parts))
    assert metrics["global_step"] == 2 and metrics["eval_loss"] > 0
    vit = ViTModel.from_pretrained(published / "vit", add_pooling_layer=False).state_dict()
    assert all(torch.equal(built[0][f"encoder.image_encoder.vit.{name}"], value) for name, value in vit.items())
    log = log_of(published / "run" / "checkpoint-2")
    trained, validations = [row for row in log if "loss" in row], [row for row in log if "eval_loss" in row]
    assert len(trained) == len(validations) == 2
    assert all(row["label_loss"] > 0 for row in trained) and all(row["eval_label_loss"] > 0 for row in validations)
    settings = json.loads((published / "run" / "model" / "processor_config.json").read_text())["image_processor"]
    assert settings["fit"] == "pad"  # as the YAML says, whatever the encoder's folder does


@pytest.mark.slow
def test_one_forward_of_the_papers_size():
    """ViT-B/16 at 512 px, BERT-base and T5-base, at random."""
    values = yaml.safe_load((EXAMPLES / "radscribe_paper.yaml").read_text())
    sizes = {name: values[name] for name in ("image_encoder", "image_size", "num_image_embeds", "mask_mode")}
    pieces = {"label_mode": "predicted", "label_pieces": [[1000 + n] for n in range(len(FINDINGS))]}
    encoder = sizes | {"max_text_tokens": values["max_label_tokens"]} | pieces
    model = RadScribeForConditionalGeneration(RadScribeConfig(encoder=encoder)).eval()
    side = values["image_size"]
    with torch.no_grad():
        output = model(
            torch.rand(1, 3, side, side),
            labels=torch.randint(32128, (1, 9)),
            label_targets=torch.ones(1, len(FINDINGS), dtype=torch.long),
        )
    assert output.logits.shape == (1, 9, 32128) and output.encoder_last_hidden_state.shape == (1, 512, 768)
    assert output.loss.isfinite() and output.label_logits.shape == (1, len(FINDINGS))
