"""The golden vectors of RadScribe and the models that they belong to, through the converter."""

import torch
from safetensors.torch import save_file

from hf_medreport.systems.radscribe.convert import read_radscribe
from tests.training.radscribe_golden import golden

CASES = ("vit_label", "vit_nolabel", "chexnet121_label", "chexnet121_nolabel")
FILES = {"vit": "state_dict", "chexnet121": "state_dict_chexnet121"}
# What no shape tells: the ViT's film and tokens are told by its weights.
OPTIONS = {"num_heads": 4, "max_distance": 20, "max_text_tokens": 19}
CNN_OPTIONS = {"image_size": 128, "num_image_embeds": 16}


def image_encoder(case: str) -> str:
    return case.split("_")[0]


def state_dict(case: str) -> dict[str, torch.Tensor]:
    """The original's; without labels it lacks the cross-attention."""
    state = golden(FILES[image_encoder(case)])
    return {key: value for key, value in state.items() if case.endswith("_label") or "cross_attention" not in key}


def options(case: str) -> dict:
    return OPTIONS | (CNN_OPTIONS if case.startswith("chexnet") else {"vit_heads": 4})


def vector(case: str, name: str) -> torch.Tensor:
    return golden("vectors")[f"{case}/{name}"]


def golden_model(case: str, mask_mode: str, folder):
    save_file(state_dict(case), folder / "radscribe.safetensors")
    model, renamed = read_radscribe(folder / "radscribe.safetensors", mask_mode=mask_mode, **options(case))
    assert renamed.unexpected == []
    return model


def inputs(case: str, mask_mode: str) -> dict[str, torch.Tensor]:
    """What the encoder of a case is given; RadScribe's mask switches rows on, the full one hides nothing."""
    told = case.endswith("_label")
    ids = vector("in", "label_ids" if told else "nolabel_ids")
    rows = torch.tensor(golden("meta")["mask_rows_on_text"])[:, None] * told
    mask = torch.ones_like(ids) if mask_mode == "full" else (torch.arange(ids.shape[1]) < rows).long()
    pixels = vector("in", f"pixel_values_{image_encoder(case)}")
    return {"pixel_values": pixels, "input_ids": ids, "attention_mask": mask}
