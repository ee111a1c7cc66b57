# /// script
# dependencies = ["hf-medreport[diffusion]"]
# ///
"""A few pictures of one description, by the flags of MINIM's successor: medical_image_001.png and so on.

    python examples/simple_generate.py --prompt "small left effusion" --modality CXR --model runs/diffusion/model

Where the model does not know the modality, as a stock Stable Diffusion, it is put before the description in words.
"""

import argparse
from pathlib import Path

from hf_medreport import load_generator, synthesize
from hf_medreport.inference.asked_pictures import asked_of_prompt
from hf_medreport.inference.figures.synthetic import save_synthetic
from hf_medreport.inference.report import Failure

MODALITIES = {
    "CXR": "Chest X-ray:",
    "MRI": "Brain MRI:",
    "CT": "Chest CT scan:",
    "Fundus": "Retinal fundus image:",
    "OCT": "Optical coherence tomography:",
}


def main(arguments: argparse.Namespace) -> None:
    pipe = load_generator(arguments.model, device=None if arguments.device == "auto" else arguments.device)
    prompt, modality = arguments.prompt, arguments.modality
    if modality is not None and not pipe.text_encoder.config.modalities:
        prompt, modality = f"{MODALITIES[modality]} {prompt}", None
    asked = asked_of_prompt(prompt, arguments.num_images, seed=arguments.seed, modality=modality)
    options = {"num_inference_steps": arguments.steps, "guidance_scale": arguments.guidance_scale}
    out = Path(arguments.output_dir)
    out.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(synthesize(asked, pipe, batch_size=1, **options), start=1):
        if isinstance(picture, Failure):
            raise SystemExit(picture.message)
        path = out / f"medical_image_{number:03d}.png"
        with path.open("wb") as file:
            save_synthetic(picture, file, {"prompt": prompt, "modality": modality, "seed": asked[number - 1].seed})
        print(path)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--modality", choices=MODALITIES)
    parser.add_argument("--num_images", type=int, default=3)
    parser.add_argument("--output_dir", default="generated_images")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--guidance_scale", type=float, default=7.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", required=True, help="A generator's folder or ORG/NAME, or a Stable Diffusion 1.x.")
    return parser


if __name__ == "__main__":
    main(parser().parse_args())
