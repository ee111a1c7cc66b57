"""What RadScribe costs: ViT-B/16 at 512 px, BERT-base, T5-base's decoder, random weights, two threads, float32.

Against the stock composition of transformers' own classes with the same weights: ViTModel's patches through a linear
layer over the token axis, BertEmbeddings and BertModel's encoder, `T5ForConditionalGeneration.generate` by encoder
outputs (with T5's own encoder in memory, unused). Paired, alternating in one process, best of 3; each one's peak memory
in a process of its own.

- encode: one film, oracle labels, to 512 states. Bound: 1.10.
- generate: the same, then 4 beams of 128 tokens. Bound: 1.10.
- training step: two micro-batches of 2 films, 64 tokens each, accumulated: forward and backward. Bound: 1.10.

Both must give the same states and the same tokens, or the benchmark fails. Writes benchmarks/results/radscribe.json.

    python benchmarks/speed/radscribe.py
"""

import json
import resource
import subprocess
import sys

import torch
from measure import best_seconds, write_result
from torch import nn
from transformers import BertModel, T5Config, T5ForConditionalGeneration, ViTModel
from transformers.modeling_outputs import BaseModelOutput

from hf_medreport.modeling.configuration_radscribe import RadScribeConfig
from hf_medreport.modeling.modeling_radscribe import RadScribeForConditionalGeneration

TOKENS, BEAMS, MICRO_BATCHES, FILMS, TEXT, ROUNDS, BOUND = 128, 4, 2, 2, 64, 3, 1.10


class Stock(nn.Module):
    """The same computation as a user would put it together."""

    def __init__(self, ours: RadScribeForConditionalGeneration):
        super().__init__()
        config, encoder = ours.config, ours.encoder
        self.image, self.text = config.encoder.num_image_embeds, config.encoder.max_text_tokens + 1
        self.vit = ViTModel(encoder.image_encoder.vit.config, add_pooling_layer=False)
        self.token_mixing = nn.Linear(config.encoder.grid_size**2, self.image)
        self.class_projection = nn.Linear(config.decoder.d_model, config.decoder.d_model)
        self.bert = BertModel(config.encoder.bert, add_pooling_layer=False)
        width, heads = config.encoder.bert.hidden_size, config.encoder.bert.num_attention_heads
        self.attentions = nn.ModuleList(nn.MultiheadAttention(width, heads, 0.1, batch_first=True) for _ in range(3))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        own = {"is_decoder": False, "decoder_start_token_id": config.decoder_start_token_id}
        t5 = T5Config(**{**config.decoder.to_dict(), **own})
        self.t5 = T5ForConditionalGeneration(t5)
        for theirs, part in (
            (self.vit, encoder.image_encoder.vit),
            (self.token_mixing, encoder.image_encoder.token_mixing),
            (self.class_projection, encoder.class_projection),
            (self.bert, encoder.bert),
            (self.t5.decoder, ours.decoder),
        ):
            theirs.load_state_dict(part.state_dict())
        for attention, norm, layer in zip(self.attentions, self.norms, encoder.label_layers, strict=True):
            attention.load_state_dict(layer.attention.state_dict())
            norm.load_state_dict(layer.norm.state_dict())

    def encode(self, pixels: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        embeddings = self.bert.embeddings
        seen = self.vit(pixels, interpolate_pos_encoding=True).last_hidden_state
        image = self.token_mixing(seen[:, 1:].transpose(1, 2)).transpose(1, 2)
        image = embeddings(inputs_embeds=image, token_type_ids=torch.zeros(image.shape[:2], dtype=torch.long))
        text = embeddings(ids, token_type_ids=torch.ones_like(ids))
        middle = torch.full((len(ids), 1), 102)
        middle = embeddings(middle, position_ids=torch.zeros_like(middle))
        for attention, norm in zip(self.attentions, self.norms, strict=True):
            image = norm(image + attention(image, text, text, key_padding_mask=mask == 0, need_weights=False)[0])
        sequence = torch.cat([self.class_projection(seen[:, :1]), image, middle, text], dim=1)
        allowed = nn.functional.pad(mask, (self.image + 2, 0), value=1)
        allowed = (1.0 - allowed[:, None, None].float()) * torch.finfo(torch.float32).min
        return self.bert.encoder(sequence, allowed).last_hidden_state

    def generate(self, pixels, ids, mask, **kwargs) -> torch.Tensor:
        states = BaseModelOutput(last_hidden_state=self.encode(pixels, ids, mask))
        return self.t5.generate(encoder_outputs=states, attention_mask=torch.ones(states[0].shape[:2]).long(), **kwargs)

    def loss(self, pixels, ids, mask, labels) -> torch.Tensor:
        states = BaseModelOutput(last_hidden_state=self.encode(pixels, ids, mask))
        return self.t5(encoder_outputs=states, labels=labels).loss


def inputs(films: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Films, and label text of eight pieces."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.zeros(films, 254, dtype=torch.long)
    ids[:, :8] = torch.randint(1000, 30000, (films, 8), generator=generator)
    ids[:, 8] = 102
    return torch.randn(films, 3, 512, 512, generator=generator), ids, (ids != 0).long()


def ours() -> RadScribeForConditionalGeneration:
    torch.manual_seed(0)
    return RadScribeForConditionalGeneration(RadScribeConfig(encoder={"label_mode": "oracle"})).eval()


def options() -> dict:
    return {"num_beams": BEAMS, "max_new_tokens": TOKENS, "min_new_tokens": TOKENS, "do_sample": False}


@torch.no_grad()
def written(name: str) -> torch.Tensor:
    """What one of the two writes of a film: for its peak memory."""
    model = ours()
    if name == "stock":
        model = Stock(model).eval()
    return model.generate(*inputs(1), **options())


def training_step(loss_of, model: nn.Module) -> None:
    """Forward and backward of accumulated micro-batches."""
    model.zero_grad(set_to_none=True)
    pixels, ids, mask = inputs(FILMS)
    labels = torch.randint(2, 32000, (FILMS, TEXT), generator=torch.Generator().manual_seed(1))
    for _ in range(MICRO_BATCHES):
        (loss_of(pixels, ids, mask, labels) / MICRO_BATCHES).backward()


def paired(functions: dict) -> dict:
    seconds = best_seconds(functions, ROUNDS)
    return {"seconds": seconds, "time_ratio": round(seconds["ours"] / seconds["stock"], 3), "bound": BOUND}


def peak_gib(name: str) -> float:
    """Peak memory of a process that only writes one report.

    A child starts with its parent's peak, so this is asked before the parent has built a model.
    """
    done = subprocess.run([sys.executable, __file__, name], capture_output=True, text=True, check=True)
    return round(float(done.stdout.splitlines()[-1]), 3)


def main() -> None:
    memory = {name: peak_gib(name) for name in ("ours", "stock")}
    model = ours()
    stock, case = Stock(model).eval(), inputs(1)
    with torch.no_grad():
        torch.testing.assert_close(model.encode(*case).last_hidden_state, stock.encode(*case), rtol=1e-4, atol=1e-4)
        assert torch.equal(model.generate(*case, **options()), stock.generate(*case, **options()))
        encode = paired({"ours": lambda: model.encode(*case), "stock": lambda: stock.encode(*case)})
        generate = paired(
            {"ours": lambda: model.generate(*case, **options()), "stock": lambda: stock.generate(*case, **options())}
        )
    stock.t5.encoder.requires_grad_(False)
    model.train(), stock.train()
    step = paired(
        {
            "ours": lambda: training_step(lambda p, i, m, y: model(p, i, m, labels=y).loss, model),
            "stock": lambda: training_step(stock.loss, stock),
        }
    )
    memory["ratio"] = round(memory["ours"] / memory["stock"], 3)
    write_result(
        "radscribe",
        {
            "encode": encode,
            "generate": {"beams": BEAMS, "tokens": TOKENS, **generate},
            "peak_gib": memory,
            "training_step": {"films": FILMS, "micro_batches": MICRO_BATCHES, "text_tokens": TEXT, **step},
        },
    )


if __name__ == "__main__":
    torch.set_num_threads(2)
    if len(sys.argv) > 1:
        written(sys.argv[1])
        print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20))
    else:
        main()
