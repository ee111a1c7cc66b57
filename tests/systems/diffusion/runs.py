"""The phantom's recipe made tiny: six films of 32 px, a U-Net of two levels, a few steps."""

import json
from pathlib import Path

import yaml

EXAMPLES = Path(__file__).parents[3] / "examples"
TINY = {
    "codec": {"patch_size": 4, "latent_channels": 4, "gray": True},
    "codec_pictures": 4,
    "unet": {
        "block_out_channels": [8, 16],
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "attention_head_dim": 2,
        "skip_gates": True,
        "gate_width": 4,
    },
    "text_encoder": {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "hidden_dropout_prob": 0.1,  # draws random numbers
    },
    "vocabulary_size": 120,
    "phantom_cases": 6,
    "phantom_validation_cases": 3,
    "resolution": 32,
    "max_steps": 4,
    "per_device_train_batch_size": 4,  # an epoch ends in the middle of a batch
    "learning_rate": 0.01,
    "warmup_steps": 1,
    "noise_offset": 0.05,
    "input_perturbation": 0.1,
    "bf16": False,
    "logging_steps": 3,
    "eval_steps": 2,
    "sample_steps": 2,
    "sample_inference_steps": 2,
    "save_steps": 2,
    "save_total_limit": 2,
    "model_name": "model",
}


def configuration(folder: Path, **changes) -> str:
    """The phantom's YAML, made tiny; None leaves an argument out. Films are kept above `folder`."""
    values = yaml.safe_load((EXAMPLES / "diffusion_phantom.yaml").read_text()) | TINY
    values |= {"output_dir": str(folder / "run"), "drawn": str(folder.parent / "drawn")} | changes
    folder.mkdir(exist_ok=True)
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({name: value for name, value in values.items() if value is not None}))
    return str(path)


def adapter(folder: Path, base: Path, **changes) -> str:
    """The same for an adapter of a base."""
    new = ("codec", "codec_pictures", "unet", "text_encoder", "vocabulary_size", "noise_schedule", "prediction")
    return configuration(folder, base=str(base), lora_rank=2, **dict.fromkeys(new) | changes)


def history(folder: Path) -> list[dict]:
    """What a run has logged."""
    return json.loads((folder / "model" / "run.json").read_text())["history"]


def files(folder: Path) -> dict[str, bytes]:
    """The final folder; its run names the YAML, which lies elsewhere."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name not in ("README.md", "run.json")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}
