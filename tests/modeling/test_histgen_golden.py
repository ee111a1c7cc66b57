"""HistGen against vectors made by HistGen's own code: every intermediate, every log-probability, every id."""

import pytest
import torch

from tests.modeling.histgen_golden import golden_model, meta, vectors

TOLERANCE = 1e-4  # the set's own noise: top-k scores lie as near as 1e-5 to each other
LENGTH = 24
BAGS = pytest.mark.parametrize("bag", (0, 1, 2), ids=("whole regions", "padding", "one region"))
# Golden name -> our module, and whether it is what goes in or what comes out.
STATES = {
    "wsi_mapping": ("feature_projection", "out"),
    "cmc_visual_query": ("context", "in"),
    "cmc_visual_response": ("context", "out"),
    "cmc_visual_injected": ("encoder.context_attention", "out"),
    "local0_in": ("encoder.first_region_layer", "in"),
    "local0_out": ("encoder.first_region_layer", "out"),
    "global0_in": ("encoder.slide_layer", "in"),
    "global0_out": ("encoder.slide_layer", "out"),
    "local1_out": ("encoder.second_region_layer", "out"),
    "encoder_norm": ("encoder.norm", "out"),
    "pooler_out": ("encoder.pooler", "out"),
    "cmc_text_query": ("context", "second in"),
    "cmc_text_response": ("context", "second out"),
    "decoder_layer0_out": ("decoder.layers.0", "out"),
    "decoder_layer1_out": ("decoder.layers.1", "out"),
    "decoder_layer2_out": ("decoder.layers.2", "out"),
    "decoder_norm_out": ("decoder.norm", "out"),
}


def golden(bag: int, name: str) -> torch.Tensor:
    return vectors()[f"bag{bag}.{name}"]


def teacher_forced(model, bag: int):
    """The model's output over the golden report, with upstream's mask: padding is hidden, the start never."""
    ids = golden(bag, "report_ids")[:, :-1]
    mask = (ids > 0) | (torch.arange(ids.shape[1]) == 0)
    features = golden(bag, "features")[None]
    return model(patch_features=features, decoder_input_ids=ids, decoder_attention_mask=mask)


def padded(ids: torch.Tensor) -> torch.Tensor:
    """Generated ids as upstream gives them: without the start, zeros up to the longest length."""
    return torch.nn.functional.pad(ids[:, 1:], (0, LENGTH + 1 - ids.shape[1]))


@BAGS
def test_every_intermediate_state(bag):
    model = golden_model()
    seen = {}
    for module in {path for path, _ in STATES.values()}:
        model.get_submodule(module).register_forward_hook(
            lambda _, inputs, output, path=module: seen.setdefault(path, []).append({"in": inputs[0], "out": output})
        )
    with torch.enable_grad():  # else the two projections are one product
        output = teacher_forced(model, bag)
    for name, (path, what) in STATES.items():
        expected = golden(bag, name)
        found = seen[path][1 if what.startswith("second") else 0][what.split()[-1]]
        assert (found.reshape(expected.shape) - expected).abs().max() < TOLERANCE, name
    assert (output.encoder_last_hidden_state - golden(bag, "memory")).abs().max() < TOLERANCE


@BAGS
@pytest.mark.parametrize("grad", (True, False), ids=("two projections", "one product"))
def test_log_probabilities_and_loss(bag, grad):
    with torch.set_grad_enabled(grad):
        scores = teacher_forced(golden_model(), bag).logits.log_softmax(-1)
    assert (scores - golden(bag, "logprobs")).abs().max() < TOLERANCE
    targets, mask = golden(bag, "report_ids")[:, 1:], golden(bag, "report_mask")[:, 1:].bool()
    labels = targets.masked_fill(~mask, -100)
    loss = golden_model()(patch_features=golden(bag, "features")[None], labels=labels).loss
    assert abs(loss.item() - golden(bag, "loss").item()) < TOLERANCE


@BAGS
def test_prototypes(bag):
    count = len(golden(bag, "features"))
    indices = golden_model().encoder.prototypes(torch.ones(1, count, dtype=torch.bool))
    assert torch.equal(indices[0], vectors()[f"bag{bag}.prototype_indices"].long())


@BAGS
def test_greedy_ids(bag):
    ids = golden_model().generate(patch_features=golden(bag, "features")[None], max_new_tokens=LENGTH, do_sample=False)
    assert torch.equal(padded(ids), golden(bag, "greedy_ids"))


@BAGS
def test_beam_ids_equal_or_of_a_better_sum(bag):
    options = {"num_beams": 3, "length_penalty": 0.0, "max_new_tokens": LENGTH, "return_dict_in_generate": True}
    output = golden_model().generate(patch_features=golden(bag, "features")[None], output_scores=True, **options)
    score, expected = output.sequences_scores.item(), golden(bag, "beam3_all_scores")[0].item()
    assert torch.equal(padded(output.sequences), golden(bag, "beam3_ids")) or score > expected
    assert score > expected - TOLERANCE


def test_gradient_norms():
    model = golden_model()
    targets, mask = golden(0, "report_ids")[:, 1:], golden(0, "report_mask")[:, 1:].bool()
    model(patch_features=golden(0, "features")[None], labels=targets.masked_fill(~mask, -100)).loss.backward()
    norms = meta()["gradient_norms_eval_mode_bag0"]
    for ours, theirs in {
        "context.memory": "encoder_decoder.memory_matrix",
        "context.q_proj.weight": "encoder_decoder.cmn.linears.0.weight",
        "encoder.global_token": "encoder_decoder.model.encoder.layer.0.global_token",
        "encoder.slide_layer.feed_forward.up_proj.weight": (
            "encoder_decoder.model.encoder.layer.0.WSI_encoder.feed_forward.w_1.weight"
        ),
    }.items():
        assert model.get_parameter(ours).grad.norm().item() == pytest.approx(norms[theirs], rel=1e-3), ours


@pytest.mark.parametrize("bag", (0, 1, 2))
def test_bags_of_a_batch_equal_one_by_one_in_both_modes(bag):
    for compatibility in ("histgen", None):
        model = golden_model(compatibility=compatibility)
        bags = [golden(index, "features") for index in range(3)]
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones(len(one)) for one in bags], True)
        features = torch.nn.utils.rnn.pad_sequence(bags, True, padding_value=7.0)  # padding may hold anything
        ids = golden(0, "report_ids")[:, :-1]
        with torch.no_grad():
            together = model(
                patch_features=features, patch_attention_mask=mask, decoder_input_ids=ids.expand(3, -1)
            ).logits[bag]
            alone = model(patch_features=bags[bag][None], decoder_input_ids=ids).logits[0]
        assert (together - alone).abs().max() < 1e-5
