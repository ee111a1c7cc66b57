"""What the multi-task chest X-ray costs: DenseNet-121 at 224 px, GPT-2 base, random weights, two threads, float32.

- Latent conditioning: 128 greedy tokens after <start>, against the same GPT-2 as transformers ships it; paired,
  alternating in one process, best of 5. Bound: 1.05.
- The joint forward: both views, reconstructions, classification and 60 tokens of text, for 4 cases; seconds, best of 5,
  and the peak memory of a process of its own.
- A training step by part, for the same 4 cases: forward and backward of each loss alone, each with the encoder's pass
  that it needs (the encoder's own row has the latent's mean square as its loss), and of all four together; trainable
  are the layers that the configuration names.

Writes benchmarks/results/cxr_multitask.json.

    python benchmarks/speed/cxr_multitask.py
"""

import json
import resource
import subprocess
import sys
from functools import partial

import torch
from measure import best_seconds, write_result
from transformers import GPT2Config, GPT2LMHeadModel

from hf_medreport.modeling.configuration_cxr_multitask import CxrMultitaskConfig
from hf_medreport.modeling.modeling_cxr_multitask import CxrMultitaskForConditionalGeneration
from hf_medreport.modeling.modeling_latent_gpt2 import LatentGPT2LMHeadModel

TOKENS, TEXT, CASES, ROUNDS, BOUND = 128, 60, 4, 5, 1.05


def generation() -> dict:
    """Functions that write the same number of tokens, with a latent and without."""
    torch.manual_seed(0)
    config = CxrMultitaskConfig().decoder
    latent_gpt2 = LatentGPT2LMHeadModel(config).eval()
    gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=config.vocab_size)).eval()
    gpt2.load_state_dict(latent_gpt2.state_dict(), strict=False)  # all but the projection
    start, latent = torch.tensor([[config.bos_token_id]]), torch.randn(1, config.latent_size)
    options = {"attention_mask": torch.ones_like(start), "max_new_tokens": TOKENS, "min_new_tokens": TOKENS}
    options |= {"do_sample": False, "eos_token_id": config.eos_token_id, "pad_token_id": config.pad_token_id}
    return {
        "latent": lambda: latent_gpt2.generate(start, latent=latent, **options),
        "plain": lambda: gpt2.generate(start, **options),
    }


def joint() -> tuple[CxrMultitaskForConditionalGeneration, dict]:
    """The model, and a batch with every truth."""
    torch.manual_seed(0)
    model = CxrMultitaskForConditionalGeneration(CxrMultitaskConfig())
    films = torch.rand(2, CASES, 3, 224, 224)
    labels = torch.randint(50257, (CASES, TEXT))
    batch = {"pixel_values": films[0], "lateral_pixel_values": films[1], "labels": labels}
    return model, {**batch, "abnormal_labels": torch.arange(CASES) % 2}


def joint_forward():
    """A function that runs all of the model, without gradients."""
    model, batch = joint()
    return torch.no_grad()(lambda: model.eval()(**batch))


def training_parts() -> dict:
    """Functions that run forward and backward for one loss each, and for their sum."""
    model, batch = joint()
    model.train()
    films = {name: batch[name] for name in ("pixel_values", "lateral_pixel_values")}

    def step(loss_of) -> None:
        model.zero_grad(set_to_none=True)
        loss_of().backward()

    def encoder() -> torch.Tensor:
        return model.latent_of(model.encode_views(**films)).square().mean()

    def decoders() -> torch.Tensor:
        output = model(**films)
        return output.frontal_loss + output.lateral_loss

    def classifier() -> torch.Tensor:
        return model(**films, abnormal_labels=batch["abnormal_labels"], reconstruct=False).abnormal_loss

    def text() -> torch.Tensor:
        return model(**films, labels=batch["labels"], reconstruct=False).text_loss

    def together() -> torch.Tensor:
        return model(**batch).loss

    losses = {"encoder": encoder, "decoders": decoders, "classifier": classifier, "text": text, "joint": together}
    return {name: partial(step, loss_of) for name, loss_of in losses.items()}


def peak_gib() -> float:
    """Peak memory of a process that only runs the joint forward.

    A child starts with its parent's peak, so this is asked before the parent has built a model.
    """
    done = subprocess.run([sys.executable, __file__, "joint"], capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    torch.set_num_threads(2)
    memory = peak_gib()
    generate = generation()
    assert all(function().shape == (1, 1 + TOKENS) for function in generate.values())
    generating = best_seconds(generate, ROUNDS)
    write_result(
        "cxr_multitask",
        {
            "generation": {
                "tokens": TOKENS,
                "seconds": generating,
                "time_ratio": round(generating["latent"] / generating["plain"], 3),
                "bound": BOUND,
            },
            "joint_forward": {
                "cases": CASES,
                "text_tokens": TEXT,
                "seconds": best_seconds({"joint": joint_forward()}, ROUNDS)["joint"],
                "peak_gib": round(memory, 3),
            },
            "training_step_seconds": best_seconds(training_parts(), ROUNDS),
        },
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        torch.set_num_threads(2)
        run = joint_forward()
        run(), run()
        print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20))
    else:
        main()
