"""What the recipe of RadScribe refuses, and exactly what it says: arguments, tables, folders that do not fit."""

import json
import tarfile

import pytest
import torch
from transformers import ViTConfig, ViTModel

from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.radscribe import recipe as radscribe
from hf_medreport.training import run
from tests.systems.radscribe.runs import (
    TINY,
    VIT,
    configuration,
    table_configuration,
    validated,
    write_parts,
    write_tables,
)

TWO = {"phantom_cases": 0, "encoder_steps": 0, "train_data": ["a.jsonl", "b.jsonl"]}
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
        {**TWO, "encoder_steps": 2},
        "encoder_steps: found a warm-up on tables; expected phantom_cases; set it to 0",
    ),
    (
        {**TWO, "train_archives": ["a.tar.gz"]},
        "train_archives: found 1 for 2 tables; expected one a table; give as many, or none",
    ),
    (
        {**TWO, "train_weights": [1.0]},
        "train_weights: found 1 weights for 2 tables; expected one weight a table; give as many weights as tables",
    ),
    (
        {**TWO, "train_weights": [1.0, -0.5]},
        "train_weights: found 1, -0.5; expected 0 or more each, and not all 0; correct them",
    ),
    (
        {**TWO, "train_weights": [0.0, 0.0]},
        "train_weights: found 0, 0; expected 0 or more each, and not all 0; correct them",
    ),
    (
        {**TWO, "validation_archive": "valid.tar.gz"},
        "validation_archive: found no validation_data; expected both; name the table, or leave the films out",
    ),
    (
        {**TWO, "eval_strategy": "steps"},
        "validation_data: found none; expected a table to evaluate on; name it or set eval_strategy to no",
    ),
    (
        {"encoder_freeze_epoch": 2},
        "encoder_freeze_epoch: found 2 without finetune; expected finetune; switch finetune on, or leave it out",
    ),
    (
        {"encoder_lr": 0.0},
        "encoder_lr: found 0; expected a rate above 0; 5e-05 and 0.0001 are the published ones",
    ),
    (
        {"decoder_lr": 1e-6},
        "decoder_min_lr: found 3e-05; expected 0 to the rate itself, 1e-06; lower the floor",
    ),
    (
        {"decode_schedule": True, "generation_num_beams": 3},
        "decode_schedule: found generation_num_beams 3 beside it; expected one of the two; leave "
        "generation_num_beams out, or the schedule",
    ),
    (
        {"eval_strategy": "no", "early_stopping_patience": 2},
        "early_stopping_patience: found eval_strategy no; expected steps or epoch; set eval_strategy",
    ),
    (
        {"concepts": "lists/terms.tsv"},
        "concepts: found no file terms.tsv; expected a table; check the path",
    ),
]


@pytest.mark.parametrize(("changes", "message"), BEFORE_ANY_WORK)
def test_arguments_that_do_not_go_together(tmp_path, changes, message):
    with pytest.raises(InputError) as error:
        run("radscribe", configuration(tmp_path, **changes), [])
    assert str(error.value) == message and not (tmp_path / "run").exists()


def test_a_misspelt_field(tmp_path):
    config = configuration(tmp_path, phantom_casez=4)
    with pytest.raises(InputError) as error:
        run("radscribe", config, [])
    expected = "found unknown field 'phantom_casez'; expected a training argument; did you mean 'phantom_cases'?"
    assert str(error.value) == f"{config}: {expected}"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Drawn films as RadScribe keeps them, also without labels."""
    folder = write_tables(tmp_path_factory.mktemp("corpus"))
    for split in ("train", "valid"):
        rows = [json.loads(line) for line in (folder / f"{split}.jsonl").read_text().splitlines()]
        lines = [json.dumps({key: value for key, value in row.items() if key != "label"}) for row in rows]
        (folder / f"{split}_unlabeled.jsonl").write_text("\n".join(lines) + "\n")
        lines[0] = json.dumps(rows[0])
        (folder / f"{split}_some.jsonl").write_text("\n".join(lines) + "\n")
    with tarfile.open(folder / "train.tar.gz") as archive:
        archive.extractall(folder / "films", filter="data")
    (folder / "plain.csv").write_text(f"image,text\n{next((folder / 'films').rglob('*.jpg'))},Normal.\n")
    return folder


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Parts to join, and parts that cannot be joined."""
    folder = write_parts(tmp_path_factory.mktemp("parts"))
    torch.manual_seed(0)
    ViTModel(ViTConfig(**VIT | {"intermediate_size": 40}), add_pooling_layer=False).save_pretrained(folder / "vit")
    (folder / "original").mkdir()
    torch.save({}, folder / "original" / "pytorch_model.bin")
    (folder / "empty").mkdir()
    (folder / "empty" / "config.json").write_text("{}")
    return folder


CORPUS, PARTS = "CORPUS", "PARTS"  # stand for their folders
# What is wrong between arguments and table, or in the sizes.
FROM_TABLES = [
    (
        {"label_mode": "oracle", "train_data": ["CORPUS/train_some.jsonl"]},
        "train_data: found 7 of 8 records without labels, and label_mode oracle; expected labels of all; name "
        "labels_column, or set label_mode to none",
    ),
    (
        {"label_mode": "predicted", "train_data": ["CORPUS/train_unlabeled.jsonl"]},
        "train_data: found 8 of 8 records without labels, and label_mode predicted; expected labels of some; name "
        "labels_column, or set label_mode to none",
    ),
    (
        {"label_mode": "oracle", "validation_data": "CORPUS/valid_unlabeled.jsonl"},
        "validation_data: found 3 of 3 records without labels, and label_mode oracle; expected labels of all; name "
        "labels_column, or set label_mode to none",
    ),
    (
        {"label_mode": "oracle", "train_data": ["CORPUS/plain.csv"], "train_archives": []},
        "train_data: found 1 of 1 records without labels, and label_mode oracle; expected labels of all; name "
        "labels_column, or set label_mode to none",
    ),
    (
        {"train_data": ["CORPUS/plain.csv"], "train_archives": [], "labels_column": "findings"},
        "plain.csv: found columns image, text; expected a column 'findings'; name it with `labels_column`",
    ),
    (
        {"train_archives": ["CORPUS/valid.tar.gz"]},
        "train.jsonl, line 1: found no film FILM; expected a film in valid.tar.gz; correct 'img' or drop the row "
        "(bad rows in all: 8; skip_bad_rows leaves them out)",
    ),
    (
        {"label_mode": "told"},
        "MedViLLConfig: found label_mode='told'; expected one of none, oracle, predicted; correct the configuration",
    ),
    (
        {"mask_mode": "hard"},
        "MedViLLConfig: found mask_mode='hard'; expected one of full, bar, legacy; correct the configuration",
    ),
    (
        {"image_encoder": "vgg"},
        "MedViLLConfig: found image_encoder='vgg'; expected one of vit, resnet101, chexnet121, bert_vit; correct the "
        "configuration",
    ),
    (
        {"image_size": 100},
        "MedViLLConfig: found image_size=100; expected a multiple of 16, the image encoder's stride; correct the "
        "configuration",
    ),
    ({"fit": "squash"}, "fit: found 'squash'; expected one of stretch, pad, crop; choose one of them"),
    (
        {"decoder": {**TINY["decoder"], "d_model": 16}},
        "RadScribeConfig: found a decoder of width 16 beside an encoder of 32; expected one width; correct the "
        "configuration",
    ),
    (
        {"label_mode": "predicted", "label_loss_weight": -1.0},
        "RadScribeConfig: found label_loss_weight=-1.0; expected 0 or more; correct the configuration",
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
        {"encoder": "no/medvill", "decoder": "no/t5"},
        "encoder, decoder: found 'no/medvill', 'no/t5', of which one does not load; expected folders or repository "
        "ids; check the names, or go online",
    ),
    (
        {"model": "no/radscribe", "encoder": "", "decoder": ""},
        "model: found 'no/radscribe', which does not load; expected a folder or repository id; check the names, or go "
        "online",
    ),
]
# The same for parts that are loaded.
FROM_FOLDERS = [
    (
        {"encoder": "PARTS/original"},
        "encoder: found weights of the original MedViLL; expected a converted folder; hf-medreport convert medvill "
        "FOLDER/pytorch_model.bin --out NEW, and name NEW",
    ),
    (
        {"encoder": "PARTS/original/pytorch_model.bin"},
        "encoder: found weights of the original MedViLL; expected a converted folder; hf-medreport convert medvill "
        "FOLDER/pytorch_model.bin --out NEW, and name NEW",
    ),
    (
        {"encoder": "PARTS/t5", "decoder": "PARTS/medvill"},
        "encoder: found a 't5' in t5; expected medvill; name another folder or id",
    ),
    ({"decoder": "PARTS/vit"}, "decoder: found a 'vit' in vit; expected t5 or mt5; name another folder or id"),
    (
        {"encoder": "PARTS/empty"},
        "encoder: found no model_type in empty; expected medvill; name another folder or id",
    ),
    (
        {"model": "PARTS/medvill"},
        "model: found a 'medvill' in medvill; expected radscribe; name another folder or id",
    ),
    (
        {"image_size": 128},
        "image_size: found 128 for medvill; expected 64, which it has; write 64, or load an encoder that has 128",
    ),
    (
        {"max_label_tokens": 20},
        "max_label_tokens: found 20 for medvill; expected 24, which it has; write 24, or load an encoder that has 20",
    ),
    (
        {"image_encoder": "chexnet121"},
        "image_encoder: found chexnet121 for medvill; expected vit, which it has; write vit, or load an encoder that "
        "has chexnet121",
    ),
    (
        {"mask_mode": "hard"},
        "MedViLLConfig: found mask_mode='hard'; expected one of full, bar, legacy; correct the configuration",
    ),
    ({"fit": "squash"}, "fit: found 'squash'; expected one of stretch, pad, crop; choose one of them"),
    (
        {"tokenizer": "PARTS/medvill"},
        "medvill: found padding 0 and end None; expected 0 and 0, as T5 has them; pass `tokenizer` with the folder or "
        "id of the T5 that was trained",
    ),
    (
        {"label_tokenizer": "PARTS/t5"},
        "t5: found 257 words; expected PIECES, as the encoder has embeddings; pass `label_tokenizer` with the folder "
        "or id of bert-base-uncased",
    ),
    (
        {"image_weights": "PARTS/vit"},
        "image_weights: found a ViT of other sizes (vit); expected the encoder's sizes; convert the MedViLL with these "
        "weights' sizes, or name others",
    ),
    ({"image_weights": "PARTS/t5"}, "image_weights: found a 't5' in t5; expected vit; name another folder or id"),
]


def placed(value, corpus, parts):
    """The same with the folders in place of their names."""
    if isinstance(value, dict):
        return {key: placed(inner, corpus, parts) for key, inner in value.items()}
    if isinstance(value, list):
        return [placed(inner, corpus, parts) for inner in value]
    return value.replace(CORPUS, str(corpus)).replace(PARTS, str(parts)) if isinstance(value, str) else value


@pytest.mark.parametrize(("changes", "message"), FROM_TABLES)
def test_arguments_that_do_not_fit_table_or_model(corpus, parts, tmp_path, changes, message):
    settings = validated(corpus) if "validation_data" in changes else {}
    config = table_configuration(tmp_path, corpus, **settings | placed(changes, corpus, parts))
    with pytest.raises(ValueError) as error:
        run("radscribe", config, [])
    first = json.loads((corpus / "train.jsonl").read_text().splitlines()[0])["img"].split("/")[-1]
    assert str(error.value) == message.replace("FILM", first) and not (tmp_path / "run").exists()


@pytest.mark.parametrize(("changes", "message"), FROM_FOLDERS)
def test_folders_that_do_not_fit(corpus, parts, tmp_path, changes, message):
    loaded = {"encoder": str(parts / "medvill"), "decoder": str(parts / "t5"), "label_mode": "none"}
    loaded |= dict.fromkeys(("image_encoder", "image_size", "num_image_embeds", "max_label_tokens"))
    config = table_configuration(tmp_path, corpus, **loaded | placed(changes, corpus, parts))
    with pytest.raises(ValueError) as error:
        run("radscribe", config, [])
    pieces = json.loads((parts / "medvill" / "config.json").read_text())["bert"]["vocab_size"]
    assert str(error.value) == message.replace("PIECES", str(pieces)) and not (tmp_path / "run").exists()


def test_a_bad_row_stops_the_run_or_is_left_out_on_request(corpus, tmp_path, caplog):
    lines = (corpus / "train.jsonl").read_text().splitlines()
    broken = json.dumps(json.loads(lines[2]) | {"label": "'Edemma'"})
    table = tmp_path / "broken.jsonl"
    table.write_text("\n".join([*lines[:2], broken, *lines[3:]]) + "\n")
    found = "unknown label 'Edemma'; expected one of CheXpert's 14 names; did you mean 'Edema'?"
    message = f"broken.jsonl, line 3: found {found}"
    with pytest.raises(InputError) as error:
        run("radscribe", table_configuration(tmp_path, corpus, train_data=[str(table)]), [])
    assert str(error.value) == f"{message} (bad rows in all: 1; skip_bad_rows leaves them out)"
    data = radscribe.DataArguments(
        train_data=[str(table)], train_archives=[str(corpus / "train.tar.gz")], skip_bad_rows=True
    )
    records, _, _ = radscribe.load_data(data, 64, False)
    assert len(records) == 7 and "1 bad rows left out:\n" in caplog.text and f"  {message}" in caplog.text
