"""Tiny random models in folders, as `--features` takes them."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    PreTrainedTokenizerFast,
    ResNetConfig,
    ResNetModel,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessorPil,
    ViTModel,
)

WORDS = ["[PAD]", "[START]", "[END]", "[UNK]", "clear", "lungs", "effusion", "left", "right"]
SIZES = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16)
SEEN = dict(image_size=16, patch_size=8)


def _saved(model, folder: Path) -> Path:
    with torch.no_grad():  # far from nearly equal outputs
        for parameter in model.parameters():
            parameter.mul_(8 if parameter.ndim > 1 else 1)
    model.save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(folder)
    return folder


def save_vit(folder: Path, pooler: bool = True) -> Path:
    torch.manual_seed(0)
    return _saved(ViTModel(ViTConfig(**SIZES, **SEEN), add_pooling_layer=pooler), folder)


def save_classifier(folder: Path) -> Path:
    torch.manual_seed(0)
    return _saved(ViTForImageClassification(ViTConfig(**SIZES, **SEEN, num_labels=3)), folder)


def save_resnet(folder: Path) -> Path:
    torch.manual_seed(0)
    return _saved(ResNetModel(ResNetConfig(embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1])), folder)


def save_bert(folder: Path) -> Path:
    return _saved(BertModel(BertConfig(**SIZES, vocab_size=9)), folder)


def save_clip(folder: Path) -> Path:
    """With its tokenizer of a few words, at most 6 tokens long."""
    torch.manual_seed(0)
    ends = dict(bos_token_id=1, eos_token_id=2, pad_token_id=0)
    text = dict(SIZES, vocab_size=len(WORDS), max_position_embeddings=6, **ends)
    CLIPModel(CLIPConfig(text_config=text, vision_config=dict(SIZES, **SEEN), projection_dim=8)).save_pretrained(folder)
    CLIPImageProcessorPil(size={"height": 16, "width": 16}, crop_size={"height": 16, "width": 16}).save_pretrained(
        folder
    )
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[START] $A [END]", special_tokens=[("[START]", 1), ("[END]", 2)]
    )
    names = dict(pad_token="[PAD]", unk_token="[UNK]", bos_token="[START]", eos_token="[END]")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    return folder
