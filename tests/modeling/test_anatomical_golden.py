"""Layer-wise anatomical attention against vectors made by the thesis' own code."""

import pytest
import torch

from tests.modeling.golden import golden_inputs, golden_model, vectors

MODES = ("none", "soft", "strict")
BACKENDS = ("eager", "sdpa")
TEXT = slice(196, None)  # rows after the 14 x 14 patches
each = pytest.mark.parametrize


@each("backend", BACKENDS)
@each("mode", MODES)
def test_logits_of_every_row(mode, backend):
    model = golden_model(mode, backend)
    logits = model(input_ids=vectors()["in.token_ids"], **golden_inputs()).logits
    expected = vectors()["logits.strict_eager" if mode == "strict" else f"logits.{mode}"]
    assert (logits - expected).abs().max() < 1e-4


@each("backend", BACKENDS)
@each("mode", MODES)
def test_loss(mode, backend):
    labels = vectors()["in.labels"][:, TEXT]
    loss = golden_model(mode, backend)(input_ids=vectors()["in.token_ids"], labels=labels, **golden_inputs()).loss
    assert abs(loss.item() - vectors()[f"loss.{mode}"].item()) < 2e-5


@each("backend", BACKENDS)
@each("mode", MODES)
def test_greedy_with_a_cache(mode, backend):
    ids = golden_model(mode, backend).generate(
        **golden_inputs(), max_new_tokens=10, repetition_penalty=1.2, eos_token_id=None
    )
    assert torch.equal(ids, vectors()[f"greedy.{mode}"])


@each("mode", MODES)
def test_greedy_without_a_cache(mode):
    """The whole sequence again for each token; penalty 1.2 on generated ids, as the golden set says."""
    model, ids = golden_model(mode, "sdpa"), torch.empty(3, 0, dtype=torch.long)
    for _ in range(10):
        logits = model(input_ids=ids, logits_to_keep=1, **golden_inputs()).logits[:, -1]
        said = logits.gather(1, ids)
        logits.scatter_(1, ids, torch.where(said < 0, said * 1.2, said / 1.2))
        ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], dim=1)
    assert torch.equal(ids, vectors()[f"greedy.{mode}"])


@each("backend", BACKENDS)
@each("mode", MODES)
def test_legacy_decode_is_upstreams_cached_generation(mode, backend):
    ids = golden_model(mode, backend, legacy_decode=True).generate(
        **golden_inputs(), max_new_tokens=10, repetition_penalty=1.2, eos_token_id=None
    )
    assert torch.equal(ids, vectors()[f"legacy_generate.{backend}.{mode}"])


@each("mode", MODES)
def test_attention_rows(mode):
    model = golden_model(mode, "eager")
    outputs = model(input_ids=vectors()["in.token_ids"], output_attentions=True, **golden_inputs())
    rows = vectors()["attn.rows"]
    head = torch.stack([layer[0, 1, rows] for layer in outputs.attentions])
    assert (head - vectors()[f"attn.{mode}.head1"]).abs().max() < 2e-5


def test_strict_hides_patches_from_text_in_prefill_and_in_each_step():
    model = golden_model("strict", "eager")
    hidden = vectors()["mask.strict_flat_tiny"][:3] < -1e30  # (sample, layer, patch)
    outputs = model.generate(
        **golden_inputs(), max_new_tokens=4, eos_token_id=None, output_attentions=True, return_dict_in_generate=True
    )
    for step in outputs.attentions:
        for layer, weights in enumerate(step):
            last_row = weights[:, :, -1, :196]  # (sample, head, patch)
            assert last_row[hidden[:, None, layer].expand_as(last_row)].abs().max() == 0
