"""What the U-Net's improvements cost, all of them on and lean, beside a stock U-Net of the same weights: the time of a
step and of ten with guidance, and the memory of a process that draws; and what `hf-medreport synthesize` takes for a
picture of a small generator over the bare imports that it needs.

The geometry of Stable Diffusion 1.x at 256 px, random weights, one picture. Times alternate in one process, best of
ROUNDS; memory is of a process each, after a step. Writes benchmarks/results/diffusion.json.

    python benchmarks/speed/diffusion.py          # about 25 minutes on two cores, 9 GB
    python benchmarks/speed/diffusion.py --rounds 1   # a third of it
    python benchmarks/speed/diffusion.py --tiny   # tries the script, and keeps nothing
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from measure import best_seconds, machine, write_result
from report import seconds

ROUNDS, STEPS, BOUND = 3, 10, 1.10
COMMAND_ROUNDS, COMMAND_BOUND = 5, 3.0
PROMPT = "small left pleural effusion, normal heart"
PLACES = (*(f"down.{level}" for level in range(4)), "mid", *(f"up.{level}" for level in range(4)))
# Every improvement; the extra transformer where Stable Diffusion has none below the lowest resolution.
LEAN = {
    "skip_gates": True,
    "pyramid_levels": PLACES,
    "extra_transformer_levels": ("down.3",),
    "fpn_width": 64,
    "class_embed_type": "projection",
}
SIZES = {
    False: {"widths": (320, 640, 1280, 1280), "states": 768, "heads": 8, "layers": 12, "vae": (128, 256, 512, 512)},
    True: {"widths": (32, 32, 64, 64), "states": 32, "heads": 4, "layers": 1, "vae": (32, 32, 32, 32)},
}
IMPORTS = """
import hf_medreport.cli
import hf_medreport.inference.synthesize, hf_medreport.inference.generators
import hf_medreport.modeling.medical_pipeline, hf_medreport.modeling.medical_unet
import hf_medreport.modeling.medical_text_conditioner, hf_medreport.modeling.medical_patch_codec
from diffusers import DPMSolverMultistepScheduler
from transformers import BertModel, BertTokenizer
"""


def stock(tiny: bool):
    """A Stable Diffusion 1.x of random weights."""
    from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    sizes = SIZES[tiny]
    torch.manual_seed(0)
    letters = "abcdefghijklmnopqrstuvwxyz,"
    pieces = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    tokenizer = CLIPTokenizer(vocab={piece: number for number, piece in enumerate(pieces)}, merges=[])
    tokenizer.model_max_length = 77
    text = CLIPTextConfig(
        hidden_size=sizes["states"],
        intermediate_size=4 * sizes["states"],
        num_hidden_layers=sizes["layers"],
        num_attention_heads=sizes["heads"],
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    blocks = len(sizes["vae"])
    pipe = StableDiffusionPipeline(
        vae=AutoencoderKL(
            block_out_channels=sizes["vae"],
            down_block_types=("DownEncoderBlock2D",) * blocks,
            up_block_types=("UpDecoderBlock2D",) * blocks,
            layers_per_block=2,
            latent_channels=4,
        ),
        text_encoder=CLIPTextModel(text),
        tokenizer=tokenizer,
        unet=UNet2DConditionModel(
            sample_size=32,
            block_out_channels=sizes["widths"],
            cross_attention_dim=sizes["states"],
            attention_head_dim=sizes["heads"],
        ),
        scheduler=PNDMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def ours(pipe, states: int):
    """The same weights with every improvement; `pipe` stays as it is."""
    from hf_medreport.modeling.medical_pipeline import MedicalImagePipeline

    improved = MedicalImagePipeline.from_stock(pipe, **LEAN, projection_class_embeddings_input_dim=states)
    improved.set_progress_bar_config(disable=True)
    return improved


@torch.inference_mode()
def one_step(unet, states: int) -> None:
    """One prediction of one picture."""
    given = {"class_labels": torch.zeros(1, states)} if unet.config.class_embed_type == "projection" else {}
    unet(torch.zeros(1, 4, 32, 32), torch.tensor(500), torch.zeros(1, 77, states), **given)


def sample(pipe) -> None:
    """One picture in ten steps, with guidance."""
    pipe(PROMPT, num_inference_steps=STEPS, latents=torch.ones(1, 4, 32, 32), output_type="np")


def memory_mb(name: str, tiny: bool) -> float:
    """The memory of a process that has made this model and drawn with it."""
    command = [sys.executable, __file__, "--only", name, *(["--tiny"] if tiny else [])]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def draw_only(name: str, tiny: bool) -> None:
    """In such a process: the stock U-Net is let go of before the other is drawn with."""
    pipe, states = stock(tiny), SIZES[tiny]["states"]
    if name == "improved":
        improved = ours(pipe, states)
        del pipe
        pipe = improved
    one_step(pipe.unet, states)
    print(resident_mb())


def resident_mb() -> float:
    """The memory of this process now: the peak would count the two U-Nets that there are while one is made."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return round(pages * resource.getpagesize() / 2**20, 1)


def over_imports() -> dict:
    """`synthesize` of one picture by a small generator, over the bare imports."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        save_small(model)
        flags = ["--model", str(model), "--out", f"{folder}/out", "--overwrite", "--steps", "10"]
        command = [sys.executable, "-m", "hf_medreport.cli", "synthesize", PROMPT, *flags]
        imports = [sys.executable, "-c", IMPORTS]
        rounds = [(seconds(command)[0], seconds(imports)[0]) for _ in range(COMMAND_ROUNDS + 1)][1:]
    whole, bare = (min(times) for times in zip(*rounds, strict=True))
    return {
        "seconds": {"synthesize": round(whole, 2), "imports": round(bare, 2)},
        "seconds_over_imports": round(whole - bare, 2),
        "bound": COMMAND_BOUND,
    }


def save_small(folder: Path) -> None:
    """A generator of 64 px with the sizes of examples/diffusion_phantom.yaml, of random weights."""
    from diffusers import DPMSolverMultistepScheduler
    from transformers import BertConfig, BertTokenizer

    from hf_medreport.hub.folder import save_generator
    from hf_medreport.modeling.medical_patch_codec import MedicalPatchCodec
    from hf_medreport.modeling.medical_pipeline import MedicalImagePipeline
    from hf_medreport.modeling.medical_text_conditioner import MedicalTextConditioner, MedicalTextConditionerConfig
    from hf_medreport.modeling.medical_unet import MedicalUNet2DConditionModel

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ",", *(f"##{chr(97 + k)}" for k in range(26))]
    pieces += [chr(97 + k) for k in range(26)]
    text = BertConfig(
        vocab_size=len(pieces), hidden_size=96, intermediate_size=192, num_hidden_layers=2, num_attention_heads=4
    )
    unet = MedicalUNet2DConditionModel(
        sample_size=16,
        in_channels=8,
        out_channels=8,
        block_out_channels=(32, 64, 96),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=96,
        attention_head_dim=4,
    )
    save_generator(
        MedicalImagePipeline(
            vae=MedicalPatchCodec.fit(torch.rand(64, 3, 64, 64), patch_size=4, latent_channels=8),
            text_encoder=MedicalTextConditioner(MedicalTextConditionerConfig(text_config=text.to_dict())),
            tokenizer=BertTokenizer(vocab={piece: number for number, piece in enumerate(pieces)}),
            unet=unet,
            scheduler=DPMSolverMultistepScheduler(),
        ),
        folder,
    )


def figures(tiny: bool, rounds: int = ROUNDS) -> dict:
    """All of them."""
    states = SIZES[tiny]["states"]
    plain = stock(tiny)
    improved = ours(plain, states)
    pipes = {"stock": plain, "improved": improved}
    weights = {name: sum(each.numel() for each in pipe.unet.parameters()) for name, pipe in pipes.items()}
    steps = best_seconds({name: lambda pipe=pipe: one_step(pipe.unet, states) for name, pipe in pipes.items()}, rounds)
    samples = best_seconds({name: lambda pipe=pipe: sample(pipe) for name, pipe in pipes.items()}, rounds)
    del pipes, plain, improved
    memory = {name: memory_mb(name, tiny) for name in ("stock", "improved")}
    return {
        "geometry": "Stable Diffusion 1.x, 256 px, random weights, one picture" if not tiny else "tiny",
        "improvements": {name: list(value) if isinstance(value, tuple) else value for name, value in LEAN.items()},
        "weights": weights,
        "seconds_of_a_step": steps | {"ratio": ratio(steps)},
        f"seconds_of_{STEPS}_steps_with_guidance": samples | {"ratio": ratio(samples)},
        "megabytes": memory | {"ratio": ratio(memory)},
        "bound_of_each_ratio": BOUND,
        "rounds": rounds,
        "synthesize": over_imports(),
        "machine": machine(),
    }


def ratio(values: dict[str, float]) -> float:
    return round(values["improved"] / values["stock"], 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="A small geometry, to try the script.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="Of which the best counts.")
    parser.add_argument("--only", choices=("stock", "improved"), help="Draw with one, and print the memory it takes.")
    arguments = parser.parse_args()
    if arguments.only:
        draw_only(arguments.only, arguments.tiny)
    elif arguments.tiny:
        print(json.dumps(figures(tiny=True), indent=2))
    else:
        write_result("diffusion", figures(False, arguments.rounds))


if __name__ == "__main__":
    main()
