"""A tiny random generator: 16 x 16 pictures from 8 x 8 latents, three modalities, a BERT of 60 word pieces."""

import torch
from diffusers import AutoencoderKL, DDIMScheduler, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import BertConfig, CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from hf_medreport.modeling.medical_patch_codec import MedicalPatchCodec
from hf_medreport.modeling.medical_pipeline import MedicalImagePipeline
from hf_medreport.modeling.medical_text_conditioner import MedicalTextConditioner, MedicalTextConditionerConfig
from hf_medreport.modeling.medical_unet import MedicalUNet2DConditionModel
from tests.tiny import tiny_label_tokenizer

MODALITIES = [
    {"name": "cxr", "aliases": ["X-Ray", "chest x-ray"], "template": "chest x-ray, {prompt}"},
    {"name": "ct", "aliases": ["ChestCT"]},
    {"name": "oct"},
]
UNET = {
    "sample_size": 8,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": (32, 64),
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "cross_attention_dim": 32,
    "attention_head_dim": 4,
}
POOLED = {"class_embed_type": "projection", "projection_class_embeddings_input_dim": 32}
# Every improvement of the U-Net at once.
ALL = {
    **POOLED,
    "skip_gates": True,
    "gate_width": 8,
    "gate_channels": True,
    "pyramid_levels": ("mid", "up.0", "up.1"),
    "extra_transformer_levels": ("down.1", "mid"),
    "fpn_width": 8,
}
BERT = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 64,
    "vocab_size": 60,
}


def tiny_unet(seed: int = 0, **switches) -> MedicalUNet2DConditionModel:
    torch.manual_seed(seed)
    return MedicalUNet2DConditionModel(**{**UNET, **switches}).eval()


def tiny_conditioner(seed: int = 0, **config) -> MedicalTextConditioner:
    torch.manual_seed(seed)
    settings = {"text_config": BertConfig(**BERT).to_dict(), "modalities": MODALITIES, "max_length": 64, **config}
    return MedicalTextConditioner(MedicalTextConditionerConfig(**settings)).eval()


def tiny_codec(seed: int = 0, gray: bool = False) -> MedicalPatchCodec:
    """Of 2 x 2 patches, from noise with a gradient."""
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.rand(4, 3, 16, 16, generator=generator) - torch.linspace(0, 1, 16)
    return MedicalPatchCodec.fit(pictures, patch_size=2, latent_channels=4, gray=gray)


def tiny_vae(seed: int = 0) -> AutoencoderKL:
    """A stock VAE with latents of 4 channels at half the size."""
    torch.manual_seed(seed)
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    return AutoencoderKL(block_out_channels=(8, 8), norm_num_groups=4, latent_channels=4, **blocks).eval()


def tiny_pipeline(seed: int = 0, **switches) -> MedicalImagePipeline:
    """With these switches of the U-Net, or settings of its configuration; its scheduler is DDIM."""
    pipe = MedicalImagePipeline(
        vae=tiny_codec(seed),
        text_encoder=tiny_conditioner(seed),
        tokenizer=tiny_label_tokenizer(),
        unet=tiny_unet(seed, **switches),
        scheduler=DDIMScheduler(clip_sample=False, timestep_spacing="trailing"),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def tiny_stable_diffusion(tokens: int = 16) -> StableDiffusionPipeline:
    """A random Stable Diffusion 1.x: CLIP of prompts of so many letters, PNDM, a VAE."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    tokenizer = CLIPTokenizer(
        vocab={word: index for index, word in enumerate(words)}, merges=[], model_max_length=tokens
    )
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    marks = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    torch.manual_seed(0)
    pipe = StableDiffusionPipeline(
        vae=tiny_vae(),
        text_encoder=CLIPTextModel(
            CLIPTextConfig(vocab_size=len(words), max_position_embeddings=tokens, **sizes, **marks)
        ).eval(),
        tokenizer=tokenizer,
        unet=UNet2DConditionModel(**UNET).eval(),
        scheduler=PNDMScheduler(beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe
