"""Tiny runs of RadScribe's recipe: the phantom's YAML made tiny, a drawn table with its archive, parts to join."""

from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file
from transformers import T5Config, T5ForConditionalGeneration

from hf_medreport.data.drawn.corpus import write_corpus
from hf_medreport.hub.folder import save_folder
from hf_medreport.modeling.configuration_medvill import FINDINGS, MedViLLConfig
from hf_medreport.modeling.modeling_medvill import MedViLLModel
from hf_medreport.phantom.chest.corpus import ChestCorpus
from hf_medreport.processing.label_text import label_text
from hf_medreport.processing.processing_medvill import MedViLLProcessor, film_processor
from hf_medreport.training.tokenizer import train_word_pieces
from tests.tiny import tiny_tokenizer

EXAMPLES = Path(__file__).parents[3] / "examples"
BERT = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 48}
BERT |= {"max_position_embeddings": 32}  # with its dropout: random numbers, which a resumed run has to go on with
VIT = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 48}
VIT |= {"patch_size": 16, "image_size": 32}
DECODER = {"d_model": 32, "d_ff": 48, "d_kv": 8, "num_heads": 4, "num_layers": 1}
TINY = {
    "image_encoder": "vit",
    "image_size": 64,
    "num_image_embeds": 6,
    "max_label_tokens": 24,
    "encoder": {"bert": BERT, "image_encoder_sizes": VIT, "num_label_layers": 1},
    "decoder": DECODER,
    "vocabulary_size": 300,
    "phantom_cases": 9,
    "phantom_validation_cases": 3,
    "max_text_tokens": 12,
    "encoder_steps": 2,
    "warm_up_batch_size": 4,
    "bf16": False,
    "per_device_train_batch_size": 4,
    "per_device_eval_batch_size": 2,
    "max_steps": 4,
    "save_steps": 2,
    "eval_steps": 4,
    "logging_steps": 1,
    "half_precision_weights": False,
    "model_name": "model",
    "evaluation_cases": 2,
    "disable_tqdm": True,
}
FROM_TABLES = {
    "phantom_cases": 0,
    "encoder_steps": 0,
    "eval_strategy": "no",
    "per_device_train_batch_size": 2,
    "max_steps": 2,
}
ROWS = 8  # of the training table


def configuration(folder: Path, **changes) -> str:
    """The phantom's YAML, made tiny."""
    values = yaml.safe_load((EXAMPLES / "radscribe_phantom.yaml").read_text()) | TINY
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(values | {"output_dir": str(folder / "run")} | changes))
    return str(path)


def table_configuration(folder: Path, corpus: Path, **changes) -> str:
    """The same on the table and the archive of `write_tables`, without an evaluation."""
    source = {"train_data": [str(corpus / "train.jsonl")], "train_archives": [str(corpus / "train.tar.gz")]}
    return configuration(folder, **FROM_TABLES | source | changes)


def validated(corpus: Path, **changes) -> dict:
    """What makes a run evaluate, and save, at every step."""
    files = {"validation_data": str(corpus / "valid.jsonl"), "validation_archive": str(corpus / "valid.tar.gz")}
    steps = {"eval_strategy": "steps", "eval_steps": 1, "save_steps": 1}
    best = {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss", "greater_is_better": False}
    return files | steps | best | {"save_total_limit": None} | changes


def write_tables(folder: Path) -> Path:
    """RadScribe's layout, drawn: `train` of 8 films and `valid` of 3, each a .jsonl with its .tar.gz."""
    for split, count in (("train", ROWS), ("validation", 3)):
        write_corpus(folder / split, ChestCorpus(count, seed=5, size=64, split=split), "radscribe", workers=1)
        for path in (folder / split).glob("*.*"):
            if path.name.startswith(("train.", "valid.")):
                path.rename(folder / path.name)
    return folder


def write_parts(folder: Path) -> Path:
    """A MedViLL and a T5 at random, as `train medvill` and `transformers` save them."""
    torch.manual_seed(0)
    pieces = train_word_pieces([label_text(FINDINGS)], 300)
    sizes = {"image_size": 64, "num_image_embeds": 6, "max_text_tokens": 24, "num_label_layers": 1}
    ends = {name: getattr(pieces, name) for name in ("cls_token_id", "sep_token_id")}
    config = MedViLLConfig(bert={**BERT, "vocab_size": len(pieces)}, image_encoder_sizes=VIT, **sizes, **ends)
    films = film_processor(64, fit="crop")
    save_folder(MedViLLModel(config), MedViLLProcessor(films, pieces, 24), folder / "medvill")
    words = tiny_tokenizer()
    vocabulary = {"vocab_size": len(words), "eos_token_id": 0, "pad_token_id": 0, "decoder_start_token_id": 0}
    T5ForConditionalGeneration(T5Config(**DECODER, **vocabulary)).save_pretrained(folder / "t5")
    words.save_pretrained(folder / "t5")
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "model.safetensors")


def equal(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def files(folder: Path) -> dict[str, bytes]:
    """The final folder; its card names the YAML, which lies elsewhere."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != "README.md")
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}
