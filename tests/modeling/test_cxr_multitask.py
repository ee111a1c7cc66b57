"""Multi-task chest X-ray: its parts, which films they see, what a missing view does, what speaks for a report."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from hf_medreport.modeling.configuration_cxr_multitask import CxrMultitaskConfig
from hf_medreport.modeling.lung_crop import crop_to_mask
from hf_medreport.modeling.modeling_cxr_multitask import (
    AbnormalClassifier,
    UNetDecoder,
)
from hf_medreport.registry import system
from tests.tiny import tiny_config, tiny_model

ROW = system("cxr_multitask")
VIEW = 16  # width of one view's latent
WHOLE = [0.0, 0.0, 1.0, 1.0]
FRONTAL, LATERAL, BOTH = [1, 0], [0, 1], [1, 1]


def films(count=2, seed=1, size=64):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def model_without_crop(**changes):
    """Tiny, without a segmenter, and with substitutes of missing views that are not zero."""
    model = tiny_model(ROW, **{"segmenter": None, **changes})
    nn.init.normal_(model.missing_view)
    return model


def test_the_tiny_configuration_is_what_these_tests_take_it_for():
    assert tiny_config(ROW).view_latent_size == VIEW


# Parts


@pytest.mark.parametrize("use_skips", [True, False])
def test_reconstructions_are_films(use_skips):
    model = model_without_crop(use_skips=use_skips)
    output = model(films(), films(seed=2))
    for name, target in (("frontal", films()), ("lateral", films(seed=2))):
        drawn = output[f"{name}_reconstruction"]
        assert drawn.shape == (2, 3, 64, 64) and drawn.min() >= 0 and drawn.max() <= 1 and drawn.std() > 0.001
        torch.testing.assert_close(output[f"{name}_target"], target)
    assert model(films(), films(), reconstruct=False).frontal_reconstruction is None


def test_the_published_size_of_a_film():
    decoder = UNetDecoder([64, 256, 512, 1024, 1024], [8, 8, 8, 8, 8], use_skips=True).eval()
    shapes = [(64, 112), (256, 56), (512, 28), (1024, 14), (1024, 7)]
    with torch.no_grad():
        drawn = decoder([torch.rand(1, width, side, side) for width, side in shapes])
    assert drawn.shape == (1, 3, 224, 224)


def unet_maps(decoder_skips):
    torch.manual_seed(0)
    decoder = UNetDecoder([2, 3, 4, 5, 6], [8, 8, 8, 8, 8], decoder_skips).eval()
    maps = [torch.rand(1, width, 32 >> index, 32 >> index) for index, width in enumerate([2, 3, 4, 5, 6])]
    return decoder, [each.requires_grad_() for each in maps]


def test_the_gradient_flows_into_every_skip():
    decoder, maps = unet_maps(True)
    decoder(maps).square().mean().backward()
    assert all((each.grad.abs().amax(dim=(0, 2, 3)) > 0).all() for each in maps)


def test_without_skips_nothing_but_the_bottleneck_is_looked_at():
    decoder, maps = unet_maps(False)
    drawn = decoder(maps)
    drawn.square().mean().backward()
    assert [each.grad is None for each in maps] == [True, True, True, True, False]
    assert torch.equal(decoder([*(torch.zeros_like(each) for each in maps[:-1]), maps[-1]]), drawn)


@pytest.mark.parametrize("name", ["frontal", "lateral"])
def test_a_view_is_reconstructed_by_its_own_decoder_from_one_shared_encoder(name):
    model = model_without_crop()
    model(films(), films(seed=2))[f"{name}_loss"].backward()
    other = {"frontal": "lateral", "lateral": "frontal"}[name]
    for own in getattr(model, f"{name}_decoder").parameters():
        assert own.grad is not None and own.grad.any()
    assert all(parameter.grad is None for parameter in getattr(model, f"{other}_decoder").parameters())
    assert model.encoder.features.conv0.weight.grad.any()  # through the skip of the first map


def test_the_classifier_is_the_published_one():
    classifier = AbnormalClassifier(CxrMultitaskConfig())
    walked = [
        (
            "Linear" if isinstance(layer, torch.nn.Linear) else type(layer).__name__,
            getattr(layer, "out_features", None) or getattr(layer, "num_features", None),
        )
        for layer in classifier
    ]
    assert walked == [
        ("Linear", 512), ("BatchNorm1d", 512), ("ReLU", None), ("Dropout", None),
        ("Linear", 256), ("BatchNorm1d", 256), ("ReLU", None), ("Dropout", None),
        ("Linear", 1),
    ]  # fmt: skip
    assert [classifier[index].p for index in (3, 7)] == [0.3, 0.2] and classifier[0].in_features == 2048


def test_the_classification_is_the_classifiers_of_both_views_side_by_side():
    model = model_without_crop()
    output = model(films(), films(seed=2))
    halves = [model.encoder.activations(model.encoder(each)[-1]).mean(dim=(2, 3)) for each in (films(), films(seed=2))]
    torch.testing.assert_close(output.latent, torch.cat(halves, dim=1), atol=1e-4, rtol=1e-4)
    assert torch.equal(output.abnormal_logits, model.classifier(output.latent)[:, 0])


def test_a_latent_of_more_cells_keeps_where_things_lie():
    model = model_without_crop(latent_grid=2)
    assert model.config.decoder.latent_size == 2 * 4 * VIEW
    latent = model(films(), films(seed=2)).latent
    activations = model.encoder.activations(model.encoder(films())[-1])  # (2, 16, 2, 2): one cell each
    torch.testing.assert_close(latent[:, : 4 * VIEW], activations.flatten(1), atol=1e-4, rtol=1e-4)


def test_the_writer_hears_the_latent():
    model, labels = model_without_crop(), torch.tensor([[5, 6, 7]] * 2)
    output = model(films(), films(seed=2), labels=labels)
    start = torch.full((2, 1), model.config.decoder.bos_token_id)
    ids = torch.cat([start, labels[:, :-1]], dim=1)
    torch.testing.assert_close(output.logits, model.decoder(ids, latent=output.latent).logits)
    assert not torch.allclose(output.logits[0, 0], output.logits[1, 0], atol=1e-4)


def test_defaults_are_the_notebooks():
    config = CxrMultitaskConfig()
    assert config.encoder == {
        "growth_rate": 32,
        "block_config": [6, 12, 24, 16],
        "num_init_features": 64,
        "bn_size": 4,
    }
    assert (config.view_latent_size, config.decoder.latent_size, config.image_size) == (1024, 2048, 224)
    assert (config.decoder.vocab_size, config.encoder_trainable_last_n, config.use_skips) == (50260, 10, True)
    ends = (config.decoder.bos_token_id, config.decoder.eos_token_id, config.decoder.pad_token_id)
    assert ends == (50257, 50258, 50259) and config.segmenter is None


def test_what_the_encoder_asks_for_reaches_it_alone():
    model, seen = model_without_crop(encoder_mean=[0.5, 0.4, 0.3], encoder_std=[0.25, 0.5, 2.0]), []
    model.encoder.features.conv0.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    output = model(films(), films(seed=2))
    for channel, (mean, deviation) in enumerate([(0.5, 0.25), (0.4, 0.5), (0.3, 2.0)]):
        torch.testing.assert_close(seen[0][:2, channel], (films()[:, channel] - mean) / deviation)
    assert len(seen) == 1 and len(seen[0]) == 4  # both views in one pass
    torch.testing.assert_close(output.frontal_target, films())


# Views


def test_a_missing_view_has_its_substitute_in_place():
    model = model_without_crop()
    views = torch.tensor([BOTH, FRONTAL, LATERAL])
    output = model(films(3), films(3, seed=2), views=views)
    pair = model(films(3), films(3, seed=2))
    assert output.views.tolist() == views.bool().tolist()
    assert torch.equal(output.latent[1, VIEW:], model.missing_view[1])
    assert torch.equal(output.latent[2, :VIEW], model.missing_view[0])
    torch.testing.assert_close(output.latent[1, :VIEW], pair.latent[1, :VIEW])
    torch.testing.assert_close(output.latent[2, VIEW:], pair.latent[2, VIEW:])
    for name, missing in (("frontal", 2), ("lateral", 1)):
        for part in ("reconstruction", "target"):
            rows = output[f"{name}_{part}"]
            assert [bool(row.isnan().all()) for row in rows] == [row == missing for row in range(3)]
            assert [bool(row.isfinite().all()) for row in rows] == [row != missing for row in range(3)]


def test_each_case_of_a_mixed_batch_is_what_it_is_alone():
    model, labels = model_without_crop(), torch.tensor([[5, 6, 7]] * 3)
    views = torch.tensor([BOTH, FRONTAL, LATERAL])
    together = model(films(3), films(3, seed=2), views=views, labels=labels)
    given = [
        {"pixel_values": films(3)[:1], "lateral_pixel_values": films(3, seed=2)[:1]},
        {"pixel_values": films(3)[1:2]},
        {"lateral_pixel_values": films(3, seed=2)[2:]},
    ]
    for row, inputs in enumerate(given):
        alone = model(**inputs, labels=labels[:1])
        for name in ("latent", "logits", "abnormal_logits", "frontal_reconstruction", "lateral_reconstruction"):
            if name in alone:
                torch.testing.assert_close(alone[name][0], together[name][row], atol=1e-4, rtol=1e-4)
        assert alone.views.tolist() == [views[row].bool().tolist()]
    assert model(films()).lateral_reconstruction is None and model(None, films()).frontal_loss is None


def test_what_stands_in_a_missing_view_is_not_looked_at():
    model, views = model_without_crop(), torch.tensor([FRONTAL, FRONTAL])
    expected = model(films(), torch.zeros(2, 3, 64, 64), views=views)
    output = model(films(), torch.full((2, 3, 64, 64), torch.nan), views=views)
    assert torch.equal(output.latent, expected.latent) and output.latent.isfinite().all()


def test_a_report_of_one_view_alone_is_that_of_a_mixed_batch():
    model, views = model_without_crop(), torch.tensor([BOTH, LATERAL])
    options = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None}
    together = model.generate(films(), films(seed=2), views=views, **options)
    assert torch.equal(model.generate(lateral_pixel_values=films(seed=2)[1:], **options)[0], together[1])
    assert together.shape == (2, 6)


def test_a_prompt_is_gone_on_from_and_its_padding_does_not_matter():
    model, options = model_without_crop(), {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None}
    alone = model.generate(films(1), input_ids=torch.tensor([[5, 6]]), **options)
    padded, mask = torch.tensor([[0, 0, 5, 6]]), torch.tensor([[0, 0, 1, 1]])
    # <start> stands before the padding, which takes no position.
    again = model.generate(films(1), input_ids=padded, attention_mask=mask, **options)
    assert alone.shape == again.shape == (1, 6) and torch.equal(alone, again)
    assert not torch.equal(alone, model.generate(films(1), **options))


# Crop


class Drawn(nn.Module):
    """A segmenter that has its lungs, bool (batch, rows, columns), drawn by hand; the heart is everywhere."""

    dtype = torch.float32

    def __init__(self, lungs):
        super().__init__()
        self.lungs, self.asked = lungs, []

    def forward(self, pixel_values):
        self.asked.append(pixel_values)
        lungs = self.lungs[: len(pixel_values)].float() * 2 - 1
        return SimpleNamespace(logits=torch.stack([lungs, torch.ones_like(lungs)], dim=1))


def two_lungs():
    """Rows 4 to 11; columns 2 to 4 and 7 to 9 of 16. A speck far off is no lung."""
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[4:12, 2:5] = mask[4:12, 7:10] = mask[15, 15] = True
    return mask


BOX = [2 / 16 - 0.05, 4 / 16 - 0.05, 10 / 16 + 0.05, 12 / 16 + 0.05]


def test_the_frontal_film_is_cropped_to_the_segmenters_lungs():
    model, film = model_without_crop(), films(2, size=128)
    model.segmenter = Drawn(torch.stack([two_lungs(), torch.zeros(16, 16, dtype=torch.bool)]))
    output = model(film, films(2, seed=2))
    torch.testing.assert_close(output.boxes, torch.tensor([BOX, WHOLE]))  # an empty mask: the whole film
    lungs = two_lungs()[None].clone()
    lungs[0, 15, 15] = False
    torch.testing.assert_close(output.frontal_target[:1], crop_to_mask(film[:1], lungs, 0.05, 64))
    whole = nn.functional.interpolate(film[1:], (64, 64), mode="bilinear", antialias=True)
    torch.testing.assert_close(output.frontal_target[1:], whole)
    torch.testing.assert_close(output.lateral_target, films(2, seed=2))  # never cropped


def test_given_masks_replace_the_segmenters():
    model, film = model_without_crop(), films(2, size=128)
    masks = torch.stack([two_lungs(), two_lungs().T])[:, None].float()
    by_masks = model(film, anatomical_masks=masks)
    torch.testing.assert_close(by_masks.boxes, torch.tensor([BOX, [BOX[1], BOX[0], BOX[3], BOX[2]]]))
    model.segmenter = Drawn(torch.zeros(2, 16, 16, dtype=torch.bool))
    assert torch.equal(model(film, anatomical_masks=masks).latent, by_masks.latent) and not model.segmenter.asked
    assert not torch.allclose(model(film).latent, by_masks.latent, atol=1e-3)


def test_only_films_that_are_there_are_segmented():
    model = model_without_crop()
    model.segmenter = Drawn(two_lungs()[None].expand(2, -1, -1))
    output = model(films(3), films(3, seed=2), views=torch.tensor([BOTH, LATERAL, FRONTAL]))
    torch.testing.assert_close(output.boxes, torch.tensor([BOX, WHOLE, BOX]))
    assert torch.equal(model.segmenter.asked[0], films(3)[[0, 2]])
    assert model(None, films()).boxes.tolist() == [WHOLE, WHOLE] and len(model.segmenter.asked) == 1


def test_each_case_is_cropped_by_its_own_mask():
    masks = torch.stack([two_lungs(), two_lungs(), two_lungs().T])[:, None].float()
    views = torch.tensor([BOTH, LATERAL, FRONTAL])
    output = model_without_crop()(films(3), films(3, seed=2), views, anatomical_masks=masks)
    torch.testing.assert_close(output.boxes, torch.tensor([BOX, WHOLE, [BOX[1], BOX[0], BOX[3], BOX[2]]]))


def test_the_margin_is_the_configurations():
    model = model_without_crop(crop_margin=0.0)
    boxes = model(films(1), anatomical_masks=two_lungs()[None, None].float()).boxes
    torch.testing.assert_close(boxes, torch.tensor([[2 / 16, 4 / 16, 10 / 16, 12 / 16]]))


# Evidence


def log_probabilities(model, latent, generated):
    ids, mask = model.after_start(generated[:, :-1], None)
    logits = model.decoder(ids, latent, attention_mask=mask).logits.log_softmax(-1)
    return logits.gather(-1, generated[..., None])[..., 0]


@torch.no_grad()
def test_evidence_is_the_first_order_effect_of_a_cell():
    """Gradient times activation against a finite difference: each cell of both views made a little larger, smaller."""
    model = model_without_crop().double()
    generated, sentences = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 0]]), torch.tensor([[0, 0, 1, -1], [0, 1, 1, -1]])
    views = [films().double(), films(seed=2).double()]
    scores, evidence = model.sentence_evidence(generated, sentences, *views)
    seen = model.encode_views(*views)
    torch.testing.assert_close(
        scores.double(), log_probabilities(model, model.latent_of(seen), generated), atol=1e-5, rtol=0
    )
    assert evidence.shape == (2, 2, 2, 4)
    assert torch.allclose(evidence.sum(dim=(2, 3)), torch.ones(2, 2)) and (evidence >= 0).all()
    for sentence in range(2):
        effects = torch.zeros(2, 2, 4)
        for view, row, column in [(v, r, c) for v in range(2) for r in range(2) for c in range(2)]:
            totals = []
            for step in (-1e-5, 1e-5):
                moved = [each.clone() for each in seen.activations]
                moved[view][:, :, row, column] *= 1 + step
                latent = model.latent_of(SimpleNamespace(views=seen.views, activations=moved))
                chosen = (sentences == sentence).double()
                totals.append((log_probabilities(model, latent, generated) * chosen).sum(dim=1))
            effects[:, row, 2 * view + column] = (totals[1] - totals[0]).clamp(min=0)
        expected = effects / effects.sum(dim=(1, 2), keepdim=True)
        torch.testing.assert_close(evidence[:, sentence].float(), expected, atol=1e-3, rtol=0)


def test_a_view_that_is_missing_says_nothing():
    model, generated = model_without_crop(), torch.tensor([[5, 6, 7]] * 3)
    views, sentences = torch.tensor([BOTH, FRONTAL, LATERAL]), torch.zeros(3, 3, dtype=torch.long)
    _, evidence = model.sentence_evidence(generated, sentences, films(3), films(3, seed=2), views)
    frontal, lateral = evidence[:, 0, :, :2].sum(dim=(1, 2)), evidence[:, 0, :, 2:].sum(dim=(1, 2))
    torch.testing.assert_close(frontal + lateral, torch.ones(3))
    assert frontal[2] == 0 and lateral[1] == 0 and frontal[0] > 0 and lateral[0] > 0
    _, alone = model.sentence_evidence(generated[:1], sentences[:1], lateral_pixel_values=films(3, seed=2)[2:])
    torch.testing.assert_close(alone[0], evidence[2], atol=1e-4, rtol=0)


def test_text_without_a_sentence_has_no_evidence():
    scores, evidence = model_without_crop().sentence_evidence(
        torch.tensor([[0, 0]]), torch.tensor([[-1, -1]]), films(1), films(1)
    )
    assert scores.shape == (1, 2) and evidence.shape == (1, 0, 2, 4)
