"""HistGen beyond the golden vectors: what is corrected, sizes, memory, batches."""

import pytest
import torch

from hf_medreport.modeling.configuration_histgen import HistGenConfig
from hf_medreport.modeling.modeling_histgen import HistGenForConditionalGeneration, UnbiasedNorm
from hf_medreport.modeling.sinusoids import sinusoids
from hf_medreport.registry import system
from tests.tiny import tiny_model

ROW = system("histgen")
TEXT = torch.tensor([[0, 5, 9, 2]])


def bag(patches: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, patches, ROW.tiny["feature_size"], generator=torch.Generator().manual_seed(seed))


def test_upstreams_norm_by_hand():
    # 1, 3: mean 2, unbiased deviation sqrt(2); epsilon 0.5 is added to the deviation.
    norm = UnbiasedNorm(2, eps=0.5)
    expected = torch.tensor([-1.0, 1.0]) / (2**0.5 + 0.5)
    torch.testing.assert_close(norm(torch.tensor([1.0, 3.0])), expected)


def test_sinusoids_by_hand():
    # Width 4: rates 1 and 1/100.
    expected = torch.tensor([[0.0, 1.0, 0.0, 1.0], [0.841471, 0.540302, 0.0099998, 0.99995]])
    torch.testing.assert_close(sinusoids(torch.arange(2), 4, torch.float32), expected, atol=1e-6, rtol=0)


def test_memory_answers_are_those_of_gathered_slots():
    """The masked softmax against the definition: the best slots of each query and head, gathered."""
    context = tiny_model(ROW).context
    queries = torch.randn(2, 3, 32)
    keys, values = context.memory_keys_values()  # (heads, slots, width)
    split = context.split(context.q_proj(queries))  # (batch, heads, tokens, width)
    scores = torch.einsum("bhtd,hsd->bhts", split, keys) / 8**0.5
    best = scores.topk(5, dim=-1)
    chosen = torch.stack([values[head][best.indices[:, head]] for head in range(4)], dim=1)
    answer = (best.values.softmax(-1)[..., None] * chosen).sum(-2).transpose(1, 2).flatten(2)
    torch.testing.assert_close(context(queries, (keys, values)), context.o_proj(answer))


@pytest.mark.parametrize("patches", [1, 2, 3, 4, 7, 50])
@pytest.mark.parametrize("compatibility", [None, "histgen"])
def test_any_number_of_patches(patches, compatibility):
    model = tiny_model(ROW, compatibility=compatibility)
    output = model(patch_features=bag(patches), decoder_input_ids=TEXT)
    assert output.encoder_last_hidden_state.shape[1] == -(-patches // 3) and output.logits.isfinite().all()


def test_padding_does_not_reach_the_pooled_regions_by_default():
    """Four patches are a region of three and one of a single patch with two empty slots."""
    for compatibility, reaches in ((None, False), ("histgen", True)):
        model = tiny_model(ROW, compatibility=compatibility)
        pooled = {}
        for scale in (1, 50):
            with torch.no_grad():  # the empty slots are what the positions make of zeros: change these
                hook = model.encoder.norm.register_forward_hook(
                    lambda _, inputs, output, scale=scale: torch.cat(
                        [output[:, :1], output[:, 1:3] * scale, output[:, 3:]], dim=1
                    )
                )
                pooled[scale] = model.encode_patches(bag(4)).last_hidden_state[:, 1]
                hook.remove()
        assert torch.equal(pooled[1], pooled[50]) is not reaches


@pytest.mark.parametrize("compatibility", [None, "histgen"])
def test_what_regions_exchange(compatibility):
    """By default the token that stands after a region's patches, in upstream the region's first patch."""
    model = tiny_model(ROW, compatibility=compatibility)
    seen = []
    model.encoder.first_region_layer.register_forward_hook(lambda _, inputs, output: seen.append(output))
    model.encoder.slide_layer.register_forward_hook(lambda _, inputs, output: seen.append(inputs[0]))
    model.encode_patches(bag(7))
    place = 0 if compatibility else 3
    expected = seen[0][:, place] + sinusoids(torch.arange(3), 32, torch.float32)
    torch.testing.assert_close(seen[1][0], expected)


def test_slides_of_a_case_padded_to_whole_regions_do_not_share_one():
    """Changing a patch of the first slide changes no region-local state of the second."""
    model = tiny_model(ROW)
    first, second = bag(4, seed=1), bag(5, seed=2)
    mask = torch.tensor([[1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1]])
    together = torch.cat([first, torch.zeros(1, 2, 16), second], dim=1)
    seen = []
    model.encoder.first_region_layer.register_forward_hook(lambda _, inputs, output: seen.append(inputs[1]))
    encoded = model.encode_patches(together, mask)
    assert encoded.region_mask.tolist() == [[True] * 4]
    assert seen[0][:, :3].int().tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 1], [1, 1, 0]]
    assert model.encoder.prototypes(mask.bool())[0].unique().tolist() == [0, 1, 3, 6, 8, 10]


def test_left_padded_prompts_continue_as_alone():
    model, features = tiny_model(ROW), bag(9)
    options = {"max_new_tokens": 5, "do_sample": False, "eos_token_id": None}
    alone = [torch.tensor([[0, 7]]), torch.tensor([[0, 7, 8, 9]])]
    expected = [model.generate(patch_features=features, decoder_input_ids=ids, **options)[0, -5:] for ids in alone]
    ids = torch.tensor([[0, 0, 0, 7], [0, 7, 8, 9]])
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    both = model.generate(
        patch_features=features.expand(2, -1, -1), decoder_input_ids=ids, decoder_attention_mask=mask, **options
    )
    assert torch.equal(both[:, -5:], torch.stack(expected))


def test_checkpoint_holds_no_positional_table(tmp_path):
    model = tiny_model(ROW)
    assert all(tensor.numel() < 20_000 for tensor in model.state_dict().values())
    assert not list(model.buffers())


def test_default_sizes_have_the_originals_useful_parameters():
    """28,261,769 of upstream at 5,000 words (ResNet left out) less 3,686,400 that never get a gradient."""
    with torch.device("meta"):
        model = HistGenForConditionalGeneration(HistGenConfig(compatibility="histgen"))
    assert model.num_parameters() == 28_261_769 - 3_686_400


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"memory_top_k": 13}, "found memory_top_k=13; expected 1 to 12 (memory_slots)"),
        ({"memory_top_k": 0}, "found memory_top_k=0; expected 1 to 12 (memory_slots)"),
        ({"region_size": 1}, "found region_size=1; expected at least 2"),
        ({"num_attention_heads": 5}, "found hidden_size=32; expected a multiple of num_attention_heads=5"),
        ({"compatibility": "r2gen"}, "found compatibility='r2gen'; expected one of None, histgen"),
    ],
)
def test_configuration_refuses(changes, message):
    with pytest.raises(ValueError) as error:
        HistGenConfig(**{**ROW.tiny, **changes})
    assert message in str(error.value)


def test_inputs_that_do_not_fit_are_named():
    model = tiny_model(ROW)
    for kwargs, message in (
        ({"patch_features": torch.zeros(1, 3, 8)}, "found shape (1, 3, 8); expected (batch, patches, 16)"),
        (
            {"patch_features": bag(3), "patch_attention_mask": torch.zeros(1, 3)},
            "found a bag without patches; expected (batch, patches) = (1, 3) with at least one patch a bag",
        ),
        ({"patch_features": bag(3), "patch_attention_mask": torch.ones(1, 2)}, "found shape (1, 2); expected"),
        ({}, "found neither patch_features nor encoder_outputs"),
    ):
        with pytest.raises(ValueError) as error:
            model(decoder_input_ids=TEXT, **kwargs)
        assert message in str(error.value)
    with pytest.raises(ValueError, match="neither decoder_input_ids nor labels"):
        model(patch_features=bag(3))


def test_evidence_is_of_patches_that_are_there():
    model = tiny_model(ROW)
    features = torch.cat([bag(5), torch.zeros(1, 2, 16)], dim=1)
    mask = torch.tensor([[1, 1, 1, 1, 1, 0, 0]])
    ids = model.generate(patch_features=features, patch_attention_mask=mask, max_new_tokens=6, eos_token_id=None)
    sentences = torch.tensor([[-1, 0, 0, 0, 1, 1, 1]])
    scores, evidence = model.sentence_evidence(ids, sentences, features, mask)
    logits = model(patch_features=features, patch_attention_mask=mask, decoder_input_ids=ids[:, :-1]).logits
    expected = logits.log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
    torch.testing.assert_close(scores, torch.nn.functional.pad(expected, (1, 0)))
    assert evidence.shape == (1, 2, 7) and evidence[..., 5:].abs().sum() == 0
    torch.testing.assert_close(evidence.sum(-1), torch.ones(1, 2))
