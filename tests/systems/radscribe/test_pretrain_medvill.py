"""The recipe of MedViLL's own pre-training: from each source, resumed, with workers, from pretrained parts."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file
from transformers import (
    AutoModel,
    AutoProcessor,
    BertConfig,
    BertForPreTraining,
    T5Config,
    T5ForConditionalGeneration,
    ViTConfig,
    ViTModel,
)

from hf_medreport.hub.publish import check_folder
from hf_medreport.modeling.modeling_radscribe import RadScribeForConditionalGeneration
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import system
from hf_medreport.systems.radscribe import pretrain_medvill as medvill
from hf_medreport.systems.radscribe.row import TINY_BERT
from hf_medreport.training import run
from hf_medreport.training.trainer import ReportTrainer
from tests.tiny import save_tiny, tiny_label_tokenizer

EXAMPLES = Path(__file__).parents[3] / "examples"
PAPER = str(EXAMPLES / "medvill_paper.yaml")
DENSENET = {"growth_rate": 4, "block_config": [1, 1, 1, 1], "num_init_features": 8, "bn_size": 2}
TINY = {
    "bert": {**TINY_BERT, "max_position_embeddings": 32, "hidden_dropout_prob": 0.1},  # draws random numbers
    "image_encoder_sizes": {**DENSENET, "channels": 12},
    "vocabulary_size": 200,
    "image_size": 64,
    "num_image_embeds": 3,  # of four places, drawn anew in each step
    "max_text_tokens": 20,
    "phantom_cases": 10,
    "phantom_validation_cases": 6,
    "bf16": False,
    "per_device_train_batch_size": 4,
    "per_device_eval_batch_size": 4,
    "learning_rate": 0.01,
    "lr_scheduler_type": "constant",
    "warmup_steps": 0,
    "max_steps": 6,  # an epoch has three
    "save_steps": 2,
    "eval_steps": 6,
    "logging_steps": 1,
    "half_precision_weights": False,
    "model_name": "model",
    "evaluation_cases": 6,
}
FROM_TABLES = {"phantom_cases": 0, "eval_strategy": "no", "max_steps": 2, "labels_column": "labels"}
REPORTS = ["edema.", "the heart is large.", "clear lungs.", "a fracture.", "edema again.", "nothing to see."]
LABELS = [["Edema"], ["Cardiomegaly"], [], ["Fracture"], ["Edema"], []]


def configuration(folder, **changes):
    """The phantom's YAML, made tiny."""
    values = yaml.safe_load((EXAMPLES / "medvill_phantom.yaml").read_text()) | TINY
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(values | {"output_dir": str(folder / "run")} | changes))
    return str(path)


def table_configuration(folder, **changes):
    """The same on the table of `table`, without an evaluation."""
    source = {"train_data": [str(folder / "train.parquet")]}
    return configuration(folder, **FROM_TABLES | source | changes)


@pytest.fixture
def table(tmp_path):
    """Two tables as `prepare mimic-cxr` writes them, of made-up reports."""
    for part, numbers in (("train", range(6)), ("validation", range(3, 6))):
        rows = []
        for number in numbers:
            pixels = np.random.default_rng(number).integers(0, 256, (64, 48), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "film.png")
            image = {"bytes": (tmp_path / "film.png").read_bytes(), "path": f"{number}.png"}
            rows.append({"image": image, "text": REPORTS[number], "labels": LABELS[number]})
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / f"{part}.parquet")
    return tmp_path


@pytest.fixture
def bert(tmp_path):
    """A tiny BERT with its head and tokenizer."""
    torch.manual_seed(3)
    model = BertForPreTraining(BertConfig(**{**TINY_BERT, "max_position_embeddings": 32}))
    model.save_pretrained(tmp_path / "bert")
    tiny_label_tokenizer().save_pretrained(tmp_path / "bert")
    return model


def paper_flags(folder, **changes):
    """Flags that make the paper's YAML tiny."""
    flags = {
        "bert": folder / "bert",
        "image_weights": folder / "chexnet",
        "image_size": 64,
        "num_image_embeds": 3,
        "max_text_tokens": 20,
        "train_data": folder / "train.parquet",
        "validation_data": folder / "validation.parquet",
        "output_dir": folder / "run",
        "model_name": "model",
        "max_steps": 2,
        "per_device_train_batch_size": 3,
        "bf16": False,
        "eval_strategy": "steps",
        "save_strategy": "steps",
        "eval_steps": 1,
        "save_steps": 1,
        **changes,
    }
    return [part for name, value in flags.items() for part in (f"--{name}", str(value))]


def weights(folder):
    return load_file(Path(folder) / "model" / "model.safetensors")


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def files(folder):
    """The final folder; card and figures name the YAML, which lies elsewhere."""
    paths = (path for path in Path(folder).rglob("*") if path.is_file())
    left_out = ("README.md", "evaluation.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths if path.name not in left_out}


def test_phantom_end_to_end(tmp_path):
    metrics = run("medvill", configuration(tmp_path, half_precision_weights=True), [])
    assert metrics["global_step"] == 6 and {"eval_loss", "eval_word_accuracy", "eval_match_accuracy"} <= set(metrics)
    folder = tmp_path / "run" / "model"
    assert check_folder(folder)[1] == []  # complete enough to be published, card and all
    evaluation = json.loads((folder / "evaluation.json").read_text())
    assert set(evaluation) == {"test", "held_back_style"}
    for scores in evaluation.values():
        assert scores["n"] == 6 and scores["match"]["chance"] == 0.5 and 0 < scores["words"]["chance"] < 1
    card = (folder / "README.md").read_text()
    assert f"{evaluation['test']['words']['chance']:.3f}" in card and "feature-extraction" in card

    model = AutoModel.from_pretrained(folder, trust_remote_code=True)
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    assert model.dtype == torch.float32 and model.config.mask_mode == "bar" and model.config.label_mode == "none"
    film = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    states = model(**processor(film, text="heart normal.")).last_hidden_state
    assert states.shape == (1, 1 + 3 + 1 + 20 + 1, 32) and states.isfinite().all()
    words = processor.tokenizer
    assert [model.config.cls_token_id, model.config.sep_token_id] == [words.cls_token_id, words.sep_token_id]
    assert model.config.bert.vocab_size == len(words) <= 200

    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["training_records"] == 10 and manifest["model"]["mask_mode"] == "bar"


def test_a_report_writer_takes_the_folder(tmp_path):
    run("medvill", configuration(tmp_path, eval_strategy="no", save_strategy="no", max_steps=1), [])
    sizes = {"d_model": 32, "d_ff": 48, "d_kv": 8, "num_layers": 1, "num_heads": 4, "vocab_size": 50}
    T5ForConditionalGeneration(T5Config(**sizes, decoder_start_token_id=0)).save_pretrained(tmp_path / "t5")
    model = RadScribeForConditionalGeneration.from_encoder_decoder_pretrained(
        str(tmp_path / "run" / "model"), str(tmp_path / "t5")
    )
    assert equal(model.encoder.state_dict(), weights(tmp_path / "run"))


class Killed(BaseException):
    """What no handler catches."""


@pytest.mark.slow
def test_killed_and_resumed_or_with_workers_the_bytes_are_the_same(tmp_path, monkeypatch):
    """A kill in the second epoch, where other words are masked than in the first; it goes on from within the first."""
    whole, parts, workers = (tmp_path / name for name in ("whole", "parts", "workers"))
    for folder in (whole, parts, workers):
        folder.mkdir()
    monkeypatch.setattr(medvill, "evaluation_of", lambda *arguments: {})
    run("medvill", configuration(whole), [])
    expected = files(whole / "run" / "model")

    config, step = configuration(parts), ReportTrainer.training_step

    def killed(self, *arguments, **options):
        if self.state.global_step == 3:
            raise Killed
        return step(self, *arguments, **options)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(ReportTrainer, "training_step", killed)
        run("medvill", config, [])
    assert not (parts / "run" / "model").exists()
    run("medvill", config, ["--resume_from_checkpoint", "true"])
    assert files(parts / "run" / "model") == expected
    # Once more, as after a kill between the last checkpoint and the final folder: not a step further.
    assert run("medvill", config, ["--resume_from_checkpoint", "true"])["global_step"] == 6

    run("medvill", configuration(workers, dataloader_num_workers=2), [])
    assert files(workers / "run" / "model") == expected


def test_the_papers_recipe_two_steps(table, bert):
    save_tiny(system("cxr_multitask"), table / "chexnet")
    metrics = run("medvill", PAPER, paper_flags(table))
    assert metrics["global_step"] == 2 and "eval_match_accuracy" in metrics
    model = AutoModel.from_pretrained(table / "run" / "model", trust_remote_code=True)
    assert model.config.image_encoder == "chexnet121" and model.config.image_encoder_sizes["growth_rate"] == 4
    assert model.config.bert.vocab_size == TINY_BERT["vocab_size"]
    log = json.loads((table / "run" / "checkpoint-2" / "trainer_state.json").read_text())["log_history"]
    assert sum("eval_loss" in row for row in log) == 2


def test_pretrained_parts_arrive(table, bert):
    """BERT, its head and its pooler; a ViT with its sizes."""
    torch.manual_seed(4)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 40}
    vit = ViTModel(ViTConfig(**sizes, patch_size=8, image_size=32), add_pooling_layer=False)
    vit.save_pretrained(table / "vit")
    arguments = medvill.ModelArguments(
        bert=str(table / "bert"), image_encoder="vit", image_weights=str(table / "vit"), image_size=64
    )
    arguments.num_image_embeds = 6
    model, processor = medvill.build(arguments, medvill.DataArguments(max_text_tokens=20), None)
    kept = {**model.medvill.bert.state_dict()}
    assert all(torch.equal(value, kept[name]) for name, value in bert.bert.state_dict().items() if name in kept)
    assert len(kept) == len(bert.bert.state_dict()) - 2  # the pooler has its own place
    assert equal(model.pooler.state_dict(), bert.bert.pooler.state_dict())
    assert equal(model.words.state_dict(), bert.cls.predictions.state_dict())
    assert equal(model.medvill.image_encoder.vit.state_dict(), vit.state_dict())
    assert model.config.image_encoder_sizes["intermediate_size"] == 40 and processor.max_text_tokens == 20


def test_labels_of_a_table_tell_which_reports_say_the_same(table):
    data = medvill.DataArguments(train_data=[str(table / "train.parquet")], labels_column="labels")
    records, _, _ = medvill.load_data(data, 64, evaluates=False)
    assert medvill.pairs_of(records, None, 0).said == [frozenset(names) for names in LABELS]
    data.labels_column = None
    records, _, _ = medvill.load_data(data, 64, evaluates=False)
    assert medvill.pairs_of(records, None, 0).said == REPORTS


# What is wrong -> the whole message; from the phantom's YAML, before a film is drawn.
BEFORE_ANY_WORK = [
    (
        {"train_data": ["a.csv"]},
        "train_data, phantom_cases: found both; expected one of them; name tables, or draw phantom cases",
    ),
    (
        {"bert": ""},
        "bert: found none; expected a name, or sizes in the YAML; see examples/medvill_paper.yaml",
    ),
    (
        {"image_encoder": "resnet101", "image_weights": "a"},
        "image_weights: found weights for resnet101; expected a vit or chexnet121; leave it out, or choose one of "
        "these",
    ),
    (
        {"image_weights": "a"},
        "image_encoder_sizes: found sizes beside image_weights; expected one of them; the weights have theirs",
    ),
    (
        {"predict_with_generate": True},
        "predict_with_generate: found true; expected false; leave it out: MedViLL writes no reports",
    ),
    (
        {"dataloader_persistent_workers": True, "dataloader_num_workers": 1},
        "dataloader_persistent_workers: found true; expected false; leave it out: workers that live on do not learn "
        "that an epoch is over",
    ),
    (
        {"eval_strategy": "no", "early_stopping_patience": 2},
        "early_stopping_patience: found eval_strategy no; expected steps or epoch; set eval_strategy",
    ),
]

# From a table: what is wrong with the arguments, or between them and the table.
WITH_TABLES = [
    (
        {"eval_strategy": "steps"},
        "validation_data: found none; expected a table to evaluate on; name it or set eval_strategy to no",
    ),
    (
        {"bert": "no/bert"},
        "bert: found 'no/bert', which does not load; expected a folder or repository id; check the name, or go online",
    ),
    (
        {"image_weights": "no/chexnet", "image_encoder_sizes": None},
        "image_weights: found 'no/chexnet', which does not load; expected a folder or repository id; check the name, "
        "or go online",
    ),
    (
        {"image_encoder": "resnet50"},
        "MedViLLConfig: found image_encoder='resnet50'; expected one of vit, resnet101, chexnet121, bert_vit; correct "
        "the configuration",
    ),
    (
        {"max_text_tokens": 32},
        "MedViLLConfig: found max_text_tokens=32; expected 1 to 31, BERT's positions; correct the configuration",
    ),
    (
        {"num_image_embeds": 5},
        "MedViLLConfig: found num_image_embeds=5; expected at most 4, the places of a film of 64 px; correct the "
        "configuration",
    ),
    (
        {"train_archives": ["a.tar", "b.tar"]},
        "train_archives: found 2 for 1 tables; expected one a table; give as many, or none",
    ),
    (
        {"labels_column": "chexpert"},
        "train.parquet: found columns image, text, labels; expected a column 'chexpert'; name it with `labels_column`",
    ),
]


@pytest.mark.parametrize(("changes", "message"), BEFORE_ANY_WORK)
def test_arguments_that_do_not_go_together(tmp_path, changes, message):
    with pytest.raises(InputError) as error:
        run("medvill", configuration(tmp_path, **changes), [])
    assert str(error.value) == message and not (tmp_path / "run").exists()


@pytest.mark.parametrize(("changes", "message"), WITH_TABLES)
def test_arguments_that_do_not_fit_model_or_table(table, changes, message):
    with pytest.raises(ValueError) as error:
        run("medvill", table_configuration(table, **changes), [])
    assert str(error.value) == message and not (table / "run").exists()


def test_a_tokenizer_of_more_words_than_bert(table, bert):
    BertForPreTraining(BertConfig(**{**TINY_BERT, "vocab_size": 50})).save_pretrained(table / "bert")
    with pytest.raises(InputError) as error:
        run("medvill", table_configuration(table, bert=str(table / "bert")), [])
    assert str(error.value) == "tokenizer: found 60 pieces for a BERT of 50; expected BERT's own; leave it out"


def test_a_table_whose_reports_all_say_the_same(table):
    rows = pyarrow.parquet.read_table(table / "train.parquet").to_pylist()
    for row in rows:
        row["labels"] = ["Edema"]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), table / "train.parquet")
    with pytest.raises(InputError) as error:
        run("medvill", table_configuration(table), [])
    message = "reports: found 6 reports that say the same; expected two or more that differ; a film needs another's "
    assert str(error.value) == message + "report" and not (table / "run").exists()


def test_a_misspelt_field(tmp_path):
    config = configuration(tmp_path, num_image_embed=4)
    with pytest.raises(InputError) as error:
        run("medvill", config, [])
    expected = "found unknown field 'num_image_embed'; expected a training argument; did you mean 'num_image_embeds'?"
    assert str(error.value) == f"{config}: {expected}"
