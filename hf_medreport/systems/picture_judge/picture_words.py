"""A small CLIP of drawn pictures and their prompts, for the CLIP score; transformers' own, so that it needs no code.

Radford et al. 2021, "Learning transferable visual models from natural language supervision", from scratch: two
transformers whose outputs for a picture and its own prompt agree better than for those of the others in a batch.
`evaluate images --features FOLDER` and `evaluation.images.features.load_extractor` read the folder too.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast, ViTImageProcessorPil

from hf_medreport.data.drawn.picture_folder import DrawnPictures
from hf_medreport.evaluation.images.features import load_extractor
from hf_medreport.evaluation.pictures.clip import clip_figures
from hf_medreport.evaluation.pictures.judging import pixels_of
from hf_medreport.systems.picture_judge.degrade import shifted
from hf_medreport.training.precision import lay_out
from hf_medreport.training.recipe import RunArguments, fit
from hf_medreport.training.tokenizer import train_word_pieces
from hf_medreport.training.trainer import ReportTrainer

__all__ = ["CLIP", "build_words", "image_processor", "score_words", "train_words"]

CLIP = "clip"  # the folder inside the judge's
PIECES, LENGTH = 400, 32  # of a prompt
TOWER = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "attention_dropout": 0.0}


def image_processor(size: int) -> ViTImageProcessorPil:
    """Pictures of any size -> (3, size, size) in [-1, 1]."""
    side, half = {"height": size, "width": size}, [0.5, 0.5, 0.5]
    return ViTImageProcessorPil(size=side, image_mean=half, image_std=half, do_convert_rgb=True)


def build_words(prompts: list[str], size: int) -> tuple[CLIPModel, PreTrainedTokenizerFast]:
    """An untrained model with the words of these prompts."""
    pieces = train_word_pieces(prompts, PIECES)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=pieces.backend_tokenizer,
        pad_token=pieces.pad_token,
        unk_token=pieces.unk_token,
        bos_token=pieces.cls_token,
        eos_token=pieces.sep_token,
        model_input_names=["input_ids", "attention_mask"],
        model_max_length=LENGTH,
    )
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": LENGTH, "num_hidden_layers": 2, **TOWER}
    text |= {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    vision = {"image_size": size, "patch_size": 8, "num_hidden_layers": 3, **TOWER}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=64)), tokenizer


class PicturesAndWords(Dataset):
    """Each picture, moved a little, with its prompt; record k depends on (seed, k) alone."""

    def __init__(self, drawn: DrawnPictures, tokenizer, records: int, seed: int):
        self.drawn, self.records, self.seed = drawn, records, seed
        words = tokenizer(drawn.prompts, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt")
        self.ids, self.mask = words["input_ids"], words["attention_mask"]

    def __len__(self) -> int:
        return self.records

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        row = index % len(self.drawn)
        image = shifted(self.drawn.images[row], np.random.default_rng((self.seed, index)))
        pixels = pixels_of(image[None])[0]
        return {"pixel_values": pixels, "input_ids": self.ids[row], "attention_mask": self.mask[row]}


def train_words(drawn: DrawnPictures, asked: RunArguments) -> tuple:
    """Train beside the judge, in `OUTPUT_DIR/clip`; returns the model, its tokenizer and image processor."""
    size, arguments = asked.model.image_size, asked.training
    model, tokenizer = build_words(drawn.prompts, size)
    lay_out(model, arguments.bf16, arguments.fp16)
    own = replace(
        arguments,
        output_dir=str(asked.output / CLIP),
        max_steps=arguments.clip_steps,
        per_device_train_batch_size=arguments.clip_batch_size,
        learning_rate=arguments.clip_rate,
    )
    records = arguments.clip_steps * arguments.clip_batch_size
    trainer = ReportTrainer(
        model=model,
        args=own,
        data_collator=_collate,
        train_dataset=PicturesAndWords(drawn, tokenizer, records, arguments.seed),
    )
    Path(own.output_dir).mkdir(parents=True, exist_ok=True)
    fit(trainer, replace(asked, training=own), [])
    return trainer.accelerator.unwrap_model(trainer.model), tokenizer, image_processor(size)


def _collate(records: list[dict]) -> dict:
    return {name: torch.stack([record[name] for record in records]) for name in records[0]} | {"return_loss": True}


def score_words(folder: Path, held_out: DrawnPictures) -> dict:
    """The CLIP score of drawn held-out pictures with their own prompts: the ceiling of a generator's."""
    extractor = load_extractor(folder, "cpu")
    return clip_figures(extractor, held_out.images, held_out.prompts, held_out.facts)
