"""What layer-wise anatomical attention promises beyond the golden set."""

import pytest
import torch
from transformers import AutoModel, GPT2Config, GPT2LMHeadModel, ViTConfig

from hf_medreport.modeling.configuration_anatomical_report import AnatomicalReportConfig
from hf_medreport.modeling.keywords import CACHE
from hf_medreport.modeling.modeling_anatomical_report import (
    AnatomicalGPT2LMHeadModel,
    AnatomicalGPT2Model,
    AnatomicalReportForConditionalGeneration,
    patch_features,
)
from hf_medreport.modeling.modeling_anatomy_segmenter import AnatomySegmenterForSemanticSegmentation
from hf_medreport.registry import system
from hf_medreport.systems.anatomical.row import TINY_GPT2, TINY_SEGMENTER, TINY_VIT
from tests.modeling.golden import golden_inputs, golden_model, vectors
from tests.tiny import film_array, tiny_model, tiny_processor

ROW = system("anatomical_report")
ENCODERS = {
    "dinov3": TINY_VIT,
    "dinov2": {"model_type": "dinov2", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
               "image_size": 32, "patch_size": 8},
    "dinov2 with registers": {"model_type": "dinov2_with_registers", "hidden_size": 16, "num_hidden_layers": 1,
                              "num_attention_heads": 2, "image_size": 32, "patch_size": 8, "num_register_tokens": 3},
    "vit": {"model_type": "vit", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 16, "image_size": 32, "patch_size": 8},
    "resnet": {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1],
               "layer_type": "basic"},
}  # fmt: skip


def films(count=2, size=32):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def masks(count=2):
    return (torch.rand(count, 1, 16, 16, generator=torch.Generator().manual_seed(2)) > 0.5).float()


@pytest.mark.parametrize("name", ENCODERS)
def test_any_encoder_keeps_exactly_its_patches(name):
    model = tiny_model(ROW, encoder=ENCODERS[name])
    features, grid = patch_features(model.encoder, films())
    assert grid == (4, 4) and features.shape == (2, 16, 16)
    hidden = model.encoder(films()).last_hidden_state
    expected = hidden.flatten(2).transpose(1, 2) if name == "resnet" else hidden[:, -16:]
    assert torch.equal(features, expected)
    assert model(pixel_values=films(), input_ids=torch.ones(2, 3, dtype=torch.long)).logits.shape[1] == 16 + 3


@pytest.mark.parametrize("name", ["dinov3", "resnet"])
def test_one_name_sets_the_attention_of_all_parts_that_have_one(name, tmp_path):
    model, ids = tiny_model(ROW, encoder=ENCODERS[name]), torch.ones(2, 3, dtype=torch.long)
    expected = model(pixel_values=films(), input_ids=ids).logits
    model.save_pretrained(tmp_path)
    for backend in ("eager", "sdpa"):
        model.set_attn_implementation(backend)
        loaded = type(model).from_pretrained(tmp_path, attn_implementation=backend)
        for either in (model, loaded):
            assert either.decoder.config._attn_implementation == backend
            torch.testing.assert_close(either(pixel_values=films(), input_ids=ids).logits, expected, atol=1e-4, rtol=0)


def test_strength_zero_is_mode_none_to_the_last_bit():
    inputs = {"input_ids": vectors()["in.token_ids"], **golden_inputs()}
    assert torch.equal(
        golden_model("soft", "sdpa", bias_strength=0.0)(**inputs).logits, golden_model("none", "sdpa")(**inputs).logits
    )


@pytest.mark.parametrize("index", [3, 4], ids=["empty", "full"])
@pytest.mark.parametrize("mode", ["soft", "strict"])
def test_a_constant_mask_is_mode_none_to_the_last_bit(mode, index):
    inputs = {"encoder_outputs": vectors()["in.patch_features"][:1], "input_ids": vectors()["in.token_ids"][:1]}
    constant = vectors()["mask.inputs"][index : index + 1]
    none = golden_model("none", "sdpa")(**inputs).logits
    assert torch.equal(golden_model(mode, "sdpa")(**inputs, anatomical_masks=constant).logits, none)


@pytest.mark.parametrize("backend", ["eager", "sdpa"])
def test_an_all_ones_attention_mask_changes_nothing(backend):
    model, ids = golden_model("soft", backend), vectors()["in.token_ids"]
    plain = model(input_ids=ids, **golden_inputs()).logits
    assert torch.equal(model(input_ids=ids, attention_mask=torch.ones_like(ids), **golden_inputs()).logits, plain)


def test_the_bias_stands_on_image_keys_of_every_head_and_row():
    """Logits of attention with and without the prior differ by the layer's map, on patches only."""
    ids = vectors()["in.token_ids"]
    weights = {
        mode: golden_model(mode, "eager")(input_ids=ids, output_attentions=True, **golden_inputs()).attentions[0]
        for mode in ("none", "soft")
    }
    shift = weights["soft"].log() - weights["none"].log()  # (batch, heads, rows, keys), up to a constant a row
    last = shift[:, :, -1, :] - shift[:, :, -1, -1:]  # the last row sees every key; text keys have no bias
    prior = vectors()["mask.stack_tiny"][:3, 0].flatten(1)
    torch.testing.assert_close(last[..., :196], prior[:, None].expand(-1, 4, -1), atol=1e-4, rtol=0)
    torch.testing.assert_close(last[..., 196:], torch.zeros(3, 4, 12), atol=1e-4, rtol=0)


def test_padding_on_the_left_of_a_prompt_does_not_matter():
    model = tiny_model(ROW)
    prompt = torch.tensor([[5, 6, 7]])
    padded = torch.tensor([[0, 0, 5, 6, 7]])
    options = {"pixel_values": films(1), "max_new_tokens": 6, "eos_token_id": None}
    alone = model.generate(input_ids=prompt, **options)
    mask = torch.tensor([[0, 0, 1, 1, 1]])
    assert torch.equal(model.generate(input_ids=padded, attention_mask=mask, **options), alone)


def test_padding_on_the_right_of_a_target_does_not_matter():
    model, ids = tiny_model(ROW), torch.tensor([[5, 6, 7]])
    padded = torch.tensor([[5, 6, 7, -100, -100]])
    torch.testing.assert_close(model(films(1), labels=ids).loss, model(films(1), labels=padded).loss)


def test_the_first_word_is_predicted_from_the_last_patch():
    model, labels = tiny_model(ROW), torch.tensor([[5, 6, 7]])
    rows = model(films(1), input_ids=labels).logits[:, 15:-1]
    outputs = model(films(1), labels=labels)
    torch.testing.assert_close(outputs.logits, rows)
    torch.testing.assert_close(outputs.loss, torch.nn.functional.cross_entropy(rows[0], labels[0]))


def test_given_masks_replace_the_segmenters():
    model, ids = tiny_model(ROW), torch.ones(2, 3, dtype=torch.long)
    drawn = model.segmenter.anatomical_masks(films())
    by_segmenter = model(films(), input_ids=ids).logits
    assert torch.equal(model(films(), input_ids=ids, anatomical_masks=drawn).logits, by_segmenter)
    assert not torch.equal(model(films(), input_ids=ids, anatomical_masks=masks()).logits, by_segmenter)


def test_autocast_runs_the_strict_bias_without_nan():
    model = tiny_model(ROW, mask_mode="strict")
    with torch.autocast("cpu", torch.bfloat16):
        outputs = model(films(), labels=torch.ones(2, 3, dtype=torch.long), anatomical_masks=masks())
    assert outputs.loss.isfinite() and outputs.logits.isfinite().all()


def test_frozen_parts_are_frozen_after_loading_too(tmp_path):
    tiny_model(ROW).save_pretrained(tmp_path)
    for settings, frozen in (({}, {"encoder", "segmenter"}), ({"freeze_encoder": False}, {"segmenter"})):
        model = AnatomicalReportForConditionalGeneration.from_pretrained(tmp_path, **settings)
        for name in ("encoder", "decoder", "segmenter", "projection"):
            parameters = list(getattr(model, name).parameters())
            assert {parameter.requires_grad for parameter in parameters} == {name not in frozen}


def test_an_encoder_unfrozen_by_hand_gets_its_gradient():
    model = tiny_model(ROW)
    model.encoder.requires_grad_(True)
    model.train()(films(), labels=torch.ones(2, 3, dtype=torch.long)).loss.backward()
    assert any(parameter.grad is not None for parameter in model.encoder.parameters())


def test_a_cache_used_by_hand_needs_the_prior():
    model, ids = tiny_model(ROW), torch.tensor([[5, 6, 7]])
    _, prior = model.encode_image(films(1), anatomical_masks=masks(1))
    expected = model(films(1), input_ids=ids, anatomical_masks=masks(1)).logits[:, -1]
    cache = model(films(1), input_ids=ids[:, :2], anatomical_masks=masks(1), use_cache=True)[CACHE]
    with pytest.raises(ValueError, match="found no prior with mask_mode='soft'"):
        model(films(1), input_ids=ids[:, 2:], anatomical_masks=masks(1), cache=cache)
    step = model(input_ids=ids[:, 2:], prior=prior, cache=cache).logits[:, -1]
    torch.testing.assert_close(step, expected, atol=1e-4, rtol=1e-4)


def test_a_tuple_where_asked():
    model, labels = tiny_model(ROW), torch.tensor([[5, 6, 7]])
    loss, logits = model(films(1), labels=labels, return_dict=False)
    assert torch.equal(loss, model(films(1), labels=labels).loss) and logits.shape[:2] == (1, 3)


def test_half_precision_with_features_and_a_segmenter():
    model = tiny_model(ROW).to(torch.bfloat16)
    features, _ = patch_features(model.encoder, films().bfloat16())
    ids = torch.ones(2, 3, dtype=torch.long)
    both = model(pixel_values=films(), encoder_outputs=features, input_ids=ids).logits
    assert torch.equal(both, model(pixel_values=films(), input_ids=ids).logits)


@pytest.mark.parametrize("part", [AnatomicalGPT2Model, AnatomicalGPT2LMHeadModel])
def test_flash_attention_is_refused_for_it_takes_no_bias(part):
    assert not part._supports_flash_attn


def test_frozen_parts_stay_in_evaluation_mode():
    model = tiny_model(ROW, encoder=ENCODERS["resnet"]).train()
    assert not model.encoder.training and not model.segmenter.training and model.decoder.training
    assert tiny_model(ROW, freeze_encoder=False).train().encoder.training


def test_evidence_is_the_first_order_effect_of_a_patch():
    """Gradient times embedding against a finite difference of the sentence's log-probability."""
    model, labels = tiny_model(ROW).double(), torch.tensor([[5, 6, 7, 8]])
    sentences = torch.tensor([[0, 0, 1, -1]])
    scores, evidence = model.sentence_evidence(labels, sentences, pixel_values=films(1).double())
    assert evidence.shape == (1, 2, 4, 4)
    logits = model(films(1).double(), labels=labels).logits.log_softmax(-1)
    torch.testing.assert_close(scores[0].double(), logits[0, range(4), labels[0]].detach(), atol=1e-6, rtol=0)
    embeds, prior = model.encode_image(films(1).double())
    effects = []
    for patch in range(16):
        total = []
        for step in (-1e-5, 1e-5):
            moved = embeds.clone()
            moved[:, patch] *= 1 + step
            inputs = torch.cat([moved, model.get_input_embeddings()(labels)], dim=1)
            rows = model(inputs_embeds=inputs, prior=prior).logits[:, 15:-1].log_softmax(-1)
            total.append(rows[0, range(2), labels[0, :2]].sum())
        effects.append(max(0.0, (total[1] - total[0]).item()))
    expected = torch.tensor(effects) / sum(effects)
    torch.testing.assert_close(evidence[0, 0].flatten(), expected, atol=2e-4, rtol=0)


def test_join_of_pretrained_parts(tmp_path):
    encoder = AutoModel.from_config(tiny_model(ROW).config.encoder)
    decoder = GPT2LMHeadModel(GPT2Config(**TINY_GPT2, vocab_size=50, bos_token_id=0, eos_token_id=0))
    segmenter = AnatomySegmenterForSemanticSegmentation(system("anatomy_segmenter").resolve("config")(**TINY_SEGMENTER))
    for name, part in {"encoder": encoder, "decoder": decoder, "segmenter": segmenter}.items():
        part.save_pretrained(tmp_path / name)
    model = AnatomicalReportForConditionalGeneration.from_encoder_decoder_pretrained(
        tmp_path / "encoder", tmp_path / "decoder", tmp_path / "segmenter", image_size=32, mask_mode="strict"
    )
    assert model.config.decoder.n_positions == 64 + 16 and model.config.mask_mode == "strict"
    old, new = decoder.transformer.wpe.weight, model.decoder.transformer.wpe.weight
    assert torch.equal(new[0], old[0]) and torch.equal(new[-1], old[-1])
    assert torch.equal(model.decoder.transformer.wte.weight, decoder.transformer.wte.weight)
    assert model.decoder.lm_head.weight is model.decoder.transformer.wte.weight
    assert torch.equal(next(model.encoder.parameters()), next(encoder.parameters()))
    assert torch.equal(next(model.segmenter.parameters()), next(segmenter.parameters()))


def test_a_cache_that_would_lose_the_bias_is_refused():
    with pytest.raises(
        ValueError, match="cache_implementation: found 'static'; expected none; this model decodes with"
    ):
        tiny_model(ROW).generate(films(1), cache_implementation="static")


REFUSALS = {
    "no image": ({"input_ids": torch.ones(1, 2, dtype=torch.long)}, "found no image; expected pixel_values"),
    "no mask": (
        {"encoder_outputs": torch.zeros(1, 16, 16)},
        "found none with mask_mode='soft' and no segmenter to draw them",
    ),
    "masks of another count": (
        {"pixel_values": films(2), "anatomical_masks": masks(1)},
        "found 1 masks for 2 images; expected one an image",
    ),
    "features of another width": ({"encoder_outputs": torch.zeros(1, 16, 17)}, "found width 17; expected 16"),
    "patches that are no square": ({"encoder_outputs": torch.zeros(1, 15, 16)}, "found 15 patches; expected a square"),
    "too much text": (
        {"pixel_values": films(1), "input_ids": torch.ones(1, 60, dtype=torch.long)},
        "found 76 tokens .image and text.; expected at most 64",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_say_what_to_do(case):
    inputs, message = REFUSALS[case]
    with pytest.raises(ValueError, match=message):
        tiny_model(ROW)(**inputs)


def test_defaults_are_the_thesis():
    config = AnatomicalReportConfig()
    assert (config.encoder.model_type, config.encoder.hidden_size, config.encoder.patch_size) == ("dinov3_vit", 384, 16)
    assert config.encoder.num_register_tokens == 4 and config.image_size == 512
    assert (config.decoder.n_embd, config.decoder.n_layer, config.decoder.n_positions) == (768, 12, 2048)
    assert (config.mask_mode, config.bias_strength, config.base_kernel, config.kernel_growth) == ("soft", 1.0, 3, 2)


@pytest.mark.slow
def test_one_forward_at_the_papers_size():
    """ViT-S/16 at 512 px and GPT-2 base with random weights."""
    model = AnatomicalReportForConditionalGeneration(AnatomicalReportConfig()).eval()
    with torch.no_grad():
        outputs = model(films(1, 512), labels=torch.ones(1, 5, dtype=torch.long), anatomical_masks=masks(1))
    assert outputs.logits.shape == (1, 5, 50257) and outputs.loss.isfinite()


def test_a_decoder_built_from_a_configuration_starts_as_gpt2_does():
    decoder = GPT2Config(n_embd=64, n_layer=8, n_head=2, vocab_size=50, bos_token_id=0, eos_token_id=0)
    encoder = ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32)
    model = AnatomicalReportForConditionalGeneration(
        AnatomicalReportConfig(encoder=encoder, decoder=decoder, image_size=32, mask_mode="none")
    )
    for block in model.decoder.transformer.h:
        for residual in (block.attn.c_proj, block.mlp.c_proj):  # two a block, sixteen in all
            assert abs(residual.weight.std().item() / 0.02 - 1 / 4) < 0.02
        assert abs(block.mlp.c_fc.weight.std().item() / 0.02 - 1) < 0.05


def test_gradients_of_frozen_parts():
    row = system("anatomical_report")
    inputs = tiny_processor(row)([film_array()], text_target=["heart normal."])
    model = tiny_model(row, freeze_encoder=False).train()
    assert any(parameter.requires_grad for parameter in model.encoder.parameters())
    model(**inputs).loss.backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.encoder.parameters())
    frozen = tiny_model(row).train()
    frozen(**inputs).loss.backward()
    assert all(parameter.grad is None for parameter in frozen.encoder.parameters())
