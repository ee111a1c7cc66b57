"""The golden set of RadScribe as training needs it: its tiny models, and its parameters by the original's names."""

import json
import re
from functools import cache
from pathlib import Path

from safetensors.torch import load_file

from hf_medreport.modeling.configuration_radscribe import RadScribeConfig
from hf_medreport.modeling.modeling_radscribe import RadScribeForConditionalGeneration

FOLDER = Path(__file__).parents[1] / "golden" / "radscribe"
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
WIDTHS = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64, **NO_DROPOUT}
BERT = {**WIDTHS, "vocab_size": 120, "num_hidden_layers": 2, "max_position_embeddings": 48}
T5 = {
    "vocab_size": 100,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 64,
    "num_layers": 2,
    "num_heads": 4,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 20,
    "dropout_rate": 0.0,
    "decoder_start_token_id": 0,
}
DENSENET = {"growth_rate": 4, "block_config": [2, 2, 2, 2], "num_init_features": 8, "bn_size": 2, "channels": 40}
IMAGE_ENCODERS = {  # name -> its sizes, size of a film, image tokens
    "vit": ({**WIDTHS, "num_hidden_layers": 10, "image_size": 32, "patch_size": 8}, 64, 16),
    "chexnet121": (DENSENET, 128, 16),
    "resnet101": ({"embedding_size": 4, "hidden_sizes": [8, 8, 8], "depths": [1, 1, 1], "channels": 40}, 128, 16),
    "bert_vit": ({"patch_size": 16, "channels": 40}, 64, 16),
}
DENSENET_PARTS = (  # the original numbers them, and the 1x1 convolution after them
    *("conv0", "norm0", "relu0", "pool0", "denseblock1", "transition1", "denseblock2", "transition2"),
    *("denseblock3", "transition3", "denseblock4", "norm5"),
)
# Ours -> the original's; the first that fits.
RENAMED = (
    (r"decoder\.embed_tokens\.", "decoder.t5.shared."),
    (r"decoder\.", "decoder.t5.decoder."),
    (r"encoder\.bert\.embeddings\.", "encoder.txt_embeddings."),
    (r"encoder\.bert\.encoder\.", "encoder.encoder."),
    (r"encoder\.image_encoder\.vit\.", "encoder.img_encoder.model."),
    (r"encoder\.image_encoder\.token_mixing\.", "encoder.img_encoder.linear."),
    (r"encoder\.image_encoder\.conv\.", "encoder.img_encoder.model.12."),
    (r"encoder\.image_projection\.", "encoder.img_embeddings.img_embeddings."),
    (r"encoder\.class_projection\.", "encoder.class_transform_layer."),
    (r"encoder\.label_layers\.(\d+)\.attention\.", r"encoder.cross_attention_layers.\1.attn."),
    (r"encoder\.label_layers\.(\d+)\.norm\.", r"encoder.cross_attention_layers.\1.norm."),
)
VIT_LAYER = {
    "attention.q_proj": "attention.attention.query",
    "attention.k_proj": "attention.attention.key",
    "attention.v_proj": "attention.attention.value",
    "attention.o_proj": "attention.output.dense",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}


@cache
def golden(name: str) -> dict:
    """`freezing`, `training_trace` (JSON), `state_dict` or `vectors` (tensors)."""
    path = FOLDER / f"{name}.json"
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    return load_file(FOLDER / f"{name}.safetensors")


def tiny_radscribe(image_encoder: str, label_mode: str, **changes) -> RadScribeForConditionalGeneration:
    """A model of the golden set's sizes, of random weights."""
    sizes, side, tokens = IMAGE_ENCODERS[image_encoder]
    encoder = {
        "bert": BERT,
        "image_encoder": image_encoder,
        "image_encoder_sizes": sizes,
        "image_size": side,
        "num_image_embeds": tokens,
        "max_text_tokens": 19,
        "label_mode": label_mode,
        **changes,
    }
    return RadScribeForConditionalGeneration(RadScribeConfig(encoder=encoder, decoder=T5))


def golden_radscribe() -> RadScribeForConditionalGeneration:
    """The golden ViT model with labels and the original's mask."""
    model = tiny_radscribe("vit", "oracle", mask_mode="legacy")
    weights = golden("state_dict")
    theirs = {name: original_name(name) for name, _ in model.named_parameters()}
    missing, unexpected = model.load_state_dict({ours: weights[name] for ours, name in theirs.items()}, strict=False)
    assert not unexpected and not set(missing) & set(theirs)  # missing: buffers, and the head that is tied
    return model


def original_name(name: str) -> str:
    """What the original calls a parameter of ours."""
    for ours, theirs in RENAMED:
        if re.match(ours, name):
            name = re.sub(ours, theirs, name, count=1)
            break
    layer = re.fullmatch(r"(.*img_encoder\.model\.)layers(\.\d+\.)(.+)\.(weight|bias)", name)
    if layer:
        head, number, part, kind = layer.groups()
        return f"{head}encoder.layer{number}{VIT_LAYER.get(part, part)}.{kind}"
    dense = re.match(r"encoder\.image_encoder\.densenet\.features\.(\w+)\.", name)
    if dense:
        return f"encoder.img_encoder.model.{DENSENET_PARTS.index(dense[1])}.{name[dense.end() :]}"
    return name
