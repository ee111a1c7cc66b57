"""Tiny random models with their processors, built from the registry's rows."""

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    BertTokenizer,
    CLIPProcessor,
    PreTrainedTokenizerFast,
    ViTConfig,
    ViTImageProcessorPil,
    ViTModel,
)

from hf_medreport.hub.folder import save_folder, save_generator
from hf_medreport.processing.image_processing_film import UNSCALED, FilmImageProcessor
from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.patch_encoder import PatchEncoder
from hf_medreport.registry import System

END = "<|endoftext|>"


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, 257 in all: no training, no unknown text."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {END: 0, **{letter: index + 1 for index, letter in enumerate(alphabet)}}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END)


def tiny_label_tokenizer() -> BertTokenizer:
    """Word pieces of one letter each, 60 in all."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "'", ",", "."]
    return BertTokenizer(
        vocab={piece: index for index, piece in enumerate([*special, *letters, *map("##{}".format, letters)])}
    )


def tiny_config(row: System, **changes):
    config = {**row.tiny, **changes}
    if "decoder" in config:
        config["decoder"] = {**config["decoder"], "vocab_size": len(tiny_tokenizer())}
    elif row.kind in ("report", "causal-lm"):
        config["vocab_size"] = len(tiny_tokenizer())
    return row.resolve("config")(**config)


def tiny_model(row: System, seed: int = 0, **changes):
    torch.manual_seed(seed)
    model = row.resolve("model")(tiny_config(row, **changes)).eval()
    if row.kind == "report":
        model.generation_config.max_new_tokens = 20
    tied = row.kind == "causal-lm" or row.reads == "pair" or "labels" in row.given
    table = model.get_output_embeddings().weight if tied else None  # larger, a tied table makes it say its input
    with torch.no_grad():  # far from the flat distributions of a fresh model, so that equal tokens mean something
        for name, parameter in model.named_parameters():
            written = row.kind == "causal-lm" or name.startswith(("decoder", "lm_head"))
            if written and parameter.ndim > 1 and parameter is not table:
                parameter.mul_(2 if "labels" in row.given else 4)  # T5 does not scale its scores down
    return model


def tiny_patch_encoder() -> PatchEncoder:
    """A ViT from tiles of 16 px to vectors of 16."""
    torch.manual_seed(1)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    return PatchEncoder(
        ViTModel(ViTConfig(**sizes, image_size=16, patch_size=8), add_pooling_layer=False), "tiny", {"size": 16}
    )


def tissue_array(side: int = 64) -> np.ndarray:
    """A picture that every tissue mask keeps: eosin pink all over, with some noise."""
    noise = np.random.default_rng(0).integers(-30, 31, (side, side, 3))
    return (np.array([200, 110, 160]) + noise).astype(np.uint8)


def sample_array(row: System) -> np.ndarray:
    """What a system of this row reads, 64 px a side: a gray film, or a piece of stained tissue."""
    return tissue_array() if row.reads == "slide" else film_array()


def sample_cases(row: System, count: int) -> list:
    """Cases of a report system, all different and with all that its loss asks for."""
    films = [Image.fromarray(np.roll(sample_array(row), 7 * index, axis=0)) for index in range(count)]
    if row.reads != "pair":
        return films
    return [{"frontal": film, "lateral": film.rotate(90), "abnormal": index % 2} for index, film in enumerate(films)]


def film_array() -> np.ndarray:
    """A 64 x 64 gray film with contrast."""
    return np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)


def tiny_processor(row: System):
    if row.kind == "causal-lm":
        return tiny_tokenizer()
    if row.kind == "conditioner":
        return tiny_label_tokenizer()
    if row.kind == "judge":
        side = row.tiny["image_size"]
        scale = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_convert_rgb": True}
        return ViTImageProcessorPil(size={"height": side, "width": side}, **scale)
    if row.kind == "reward":
        side = row.tiny["vision_config"]["image_size"]
        pictures = ViTImageProcessorPil(size={"height": side, "width": side}, do_normalize=False, do_convert_rgb=True)
        if not row.given:
            return pictures
        names = ["input_ids", "attention_mask"]
        return CLIPProcessor(pictures, BertTokenizer(tiny_label_tokenizer().get_vocab(), model_input_names=names))
    if row.reads == "slide":
        tiles = TileImageProcessor(patch_px=16, level=0, size=16, tissue="otsu")
        processor = row.resolve("processor")(tiles, tiny_tokenizer(), region_size=row.tiny["region_size"])
        processor.patch_encoder = tiny_patch_encoder()
        return processor
    unscaled = UNSCALED if row.reads == "pair" else {}
    image_processor = FilmImageProcessor(size=32, mask_size=16, **unscaled)
    if row.kind == "segmenter":
        return image_processor
    if row.kind == "encoder":
        return row.resolve("processor")(image_processor, tiny_label_tokenizer(), row.tiny["max_text_tokens"])
    if "labels" in row.given:
        settings = row.tiny["encoder"]["max_text_tokens"]
        return row.resolve("processor")(image_processor, tiny_tokenizer(), tiny_label_tokenizer(), settings)
    return row.resolve("processor")(image_processor, tiny_tokenizer())


def save_tiny(row: System, folder):
    if row.kind == "generator":
        from tests.diffusion import tiny_pipeline  # slow to import, and only then needed

        return save_generator(tiny_pipeline(), folder)
    return save_folder(tiny_model(row), tiny_processor(row), folder)
