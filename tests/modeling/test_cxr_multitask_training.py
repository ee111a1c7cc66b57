"""Training the multi-task chest X-ray: what it learns and weighs, which layers move, which views it misses."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from hf_medreport.modeling.configuration_cxr_multitask import CxrMultitaskConfig
from hf_medreport.modeling.modeling_anatomy_segmenter import AnatomySegmenterForSemanticSegmentation
from hf_medreport.modeling.modeling_cxr_multitask import (
    UNKNOWN,
    CxrMultitaskForConditionalGeneration,
    SeenViews,
    reconstruction_loss,
)
from hf_medreport.processing.report_tokens import add_report_tokens
from hf_medreport.registry import system
from hf_medreport.systems.anatomical.row import TINY_GPT2, TINY_SEGMENTER
from tests.tiny import tiny_model, tiny_tokenizer

ROW = system("cxr_multitask")
TASKS = {"abnormal": "classifier", "frontal": "frontal_decoder", "lateral": "lateral_decoder", "text": "decoder"}
LAST = ("features.denseblock4.denselayer2.", "features.norm5.")  # with two layers a block, Keras' last ten


def films(count=2, seed=1):
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(seed))


def batch(**changes):
    labels = torch.tensor([[5, 6, 7, 0], [9, 0, -100, -100]])
    views = {"pixel_values": films(), "lateral_pixel_values": films(seed=2)}
    return {**views, "labels": labels, "abnormal_labels": torch.tensor([0, 1]), **changes}


def model_without_crop(**changes):
    return tiny_model(ROW, **{"segmenter": None, **changes})


# Joined from pretrained parts


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """(folder, model) of an encoder's source, a GPT-2 and a segmenter."""
    decoder = GPT2LMHeadModel(GPT2Config(**TINY_GPT2, vocab_size=257, bos_token_id=0, eos_token_id=0))
    decoder.generation_config.max_new_tokens = 7
    segmenter = AnatomySegmenterForSemanticSegmentation(system("anatomy_segmenter").resolve("config")(**TINY_SEGMENTER))
    encoder = tiny_model(ROW, seed=3, segmenter=None, encoder_mean=[0.5, 0.5, 0.5], encoder_trainable_last_n=10)
    saved = {}
    for name, model in {"encoder": encoder, "decoder": decoder, "segmenter": segmenter}.items():
        folder = tmp_path_factory.mktemp(name)
        model.save_pretrained(folder)
        saved[name] = (str(folder), model)
    return saved


def join(folders, *names, **settings):
    paths = [folders[name][0] for name in ("encoder", "decoder", *names)]
    sizes = {"decoder_channels": [4] * 5, "classifier_channels": [16, 8]}
    return CxrMultitaskForConditionalGeneration.from_encoder_decoder_pretrained(*paths, **sizes, **settings)


def test_pretrained_parts_are_joined(folders):
    model = join(folders, "segmenter", latent_grid=2, use_skips=False, decoder_latent_injection="post_block")
    for name, part in {"encoder": model.encoder, "segmenter": model.segmenter}.items():
        source = folders[name][1]
        expected = (source.encoder if name == "encoder" else source).state_dict()
        assert all(torch.equal(value, expected[key]) for key, value in part.state_dict().items())
    theirs = folders["decoder"][1].state_dict()
    assert all(torch.equal(model.decoder.state_dict()[name], value) for name, value in theirs.items())
    assert model.config.decoder.latent_size == 2 * 4 * 16 == model.decoder.latent_projection.in_features
    assert model.config.decoder.latent_injection == "post_block" and not model.config.use_skips
    assert model.config.encoder_mean == [0.5, 0.5, 0.5] and model.config.encoder_trainable_last_n == 10
    assert model.generation_config.max_new_tokens == 7 and not model.training
    assert model.decoder.lm_head.weight is model.decoder.transformer.wte.weight
    assert list(model.config.decoder_channels) == [4] * 5
    labels = torch.tensor([[5, 6, -100], [5, -100, -100]])  # GPT-2 has no padding token
    assert model(films(), films(), labels=labels).loss.isfinite()


def test_words_are_added_and_it_is_saved_and_loaded(folders, tmp_path):
    model, tokenizer = join(folders), tiny_tokenizer()
    add_report_tokens(tokenizer)
    old = model.get_input_embeddings().weight.clone()
    model.resize_token_embeddings(len(tokenizer))
    model.config.decoder.bos_token_id = tokenizer.bos_token_id
    assert model.get_input_embeddings().weight.shape[0] == 260 == model.config.decoder.vocab_size
    assert torch.equal(model.get_input_embeddings().weight[:257], old)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    inputs = {"pixel_values": films(), "input_ids": torch.tensor([[257, 5], [6, 258]])}
    expected = model(**inputs)
    model.save_pretrained(tmp_path)
    loaded = CxrMultitaskForConditionalGeneration.from_pretrained(tmp_path).eval()
    assert expected.logits.shape == (2, 3, 260) and torch.equal(loaded(**inputs).logits, expected.logits)


# Losses


def test_the_published_total_from_its_published_parts():
    """0.4384 + 0.5 * 0.2879 + 0.5 * 0.2301 + 0.0131 = 0.7105; their plain sum would be 0.9695."""
    published = {"abnormal": 0.4384, "frontal": 0.2879, "lateral": 0.2301, "text": 0.0131}
    parts = {f"{task}_loss": torch.tensor(value, dtype=torch.float64) for task, value in published.items()}
    default = SimpleNamespace(config=CxrMultitaskConfig())
    total = CxrMultitaskForConditionalGeneration.total_loss(default, parts)
    assert total.item() == pytest.approx(0.7105, abs=1e-9)


def test_the_loss_is_the_weighted_sum_of_its_parts():
    weights = {"abnormal_weight": 2.0, "frontal_weight": 0.25, "lateral_weight": 3.0, "text_weight": 0.5}
    output = model_without_crop(**weights)(**batch())
    expected = sum(weights[f"{task}_weight"] * output[f"{task}_loss"] for task in TASKS)
    torch.testing.assert_close(output.loss, expected)


def test_only_what_has_a_truth_is_in_the_sum():
    model = model_without_crop()
    output = model(films(), reconstruct=False, labels=batch()["labels"])
    assert torch.equal(output.loss, output.text_loss) and output.abnormal_loss is None
    assert model(films(), reconstruct=False).loss is None
    alone = model(films())
    torch.testing.assert_close(alone.loss, 0.5 * alone.frontal_loss)


@pytest.mark.parametrize("task", TASKS)
def test_a_weight_of_0_leaves_a_task_out(task):
    model = model_without_crop(**{f"{task}_weight": 0.0})
    output = model(**batch())
    output.loss.backward()
    assert output[f"{task}_loss"].isfinite()
    for other, part in TASKS.items():
        grads = [parameter.grad for parameter in getattr(model, part).parameters()]
        assert all((grad is None) == (other == task) for grad in grads), other


@pytest.mark.parametrize("task", ["frontal", "lateral", "text"])
def test_training_spends_no_time_on_a_task_of_weight_0(task):
    model = model_without_crop(**{f"{task}_weight": 0.0})
    decoder = model.decoder if task == "text" else getattr(model, f"{task}_decoder")
    calls = []
    decoder.register_forward_hook(lambda *_: calls.append(task))
    output = model.train()(**batch())
    assert not calls and f"{task}_loss" not in output and output.loss.isfinite()
    assert model.eval()(**batch())[f"{task}_loss"].isfinite() and calls == [task]


def test_the_losses_of_classification_and_text_by_hand():
    model, inputs = model_without_crop(), batch()
    output = model(**inputs)
    p = output.abnormal_logits.sigmoid()
    torch.testing.assert_close(output.abnormal_loss, -((1 - p[0]).log() + p[1].log()) / 2)
    scores = output.logits.log_softmax(-1)
    learned = [scores[0, 0, 5], scores[0, 1, 6], scores[0, 2, 7], scores[0, 3, 0], scores[1, 0, 9], scores[1, 1, 0]]
    torch.testing.assert_close(output.text_loss, -torch.stack(learned).mean())


def test_padding_is_learned_only_where_asked():
    decoder = {**ROW.tiny["decoder"], "pad_token_id": 3}
    for asked in (False, True):
        model = model_without_crop(decoder=decoder, include_pad_in_loss=asked)
        output = model(**batch())
        scores, padded = output.logits.log_softmax(-1), batch()["labels"].clone()
        padded[padded == -100] = 3
        each = -scores.gather(-1, padded[..., None])[..., 0]
        kept = torch.ones_like(each) if asked else (batch()["labels"] != -100).float()
        torch.testing.assert_close(output.text_loss, (each * kept).sum() / kept.sum())


def test_more_padding_changes_nothing():
    model, inputs = model_without_crop(), batch()
    padded = nn.functional.pad(inputs["labels"], (0, 3), value=-100)
    torch.testing.assert_close(model(**batch(labels=padded)).text_loss, model(**inputs).text_loss)


def test_a_classification_that_is_not_known_is_not_learned():
    model = model_without_crop()
    three = {"pixel_values": films(3), "lateral_pixel_values": films(3, seed=2), "reconstruct": False}
    some = model(**three, abnormal_labels=torch.tensor([1, UNKNOWN, 0]))
    p = some.abnormal_logits.sigmoid()
    torch.testing.assert_close(some.abnormal_loss, -(p[0].log() + (1 - p[2]).log()) / 2)
    none = model(**three, abnormal_labels=torch.full((3,), UNKNOWN))
    assert none.abnormal_loss is None and none.loss is None


# A flat film of 0.25, reconstructed as a flat film of 0.75, the sigmoid of ln 3.
CROSS_ENTROPY = -(0.25 * math.log(0.75) + 0.75 * math.log(0.25))
SSIM = (2 * 0.75 * 0.25 + 0.0001) / (0.75**2 + 0.25**2 + 0.0001)  # no structure: luminance alone
BY_HAND = {"bce": CROSS_ENTROPY, "mse": 0.25, "l1": 0.5, "ssim": 1 - SSIM, "mse+ssim": 0.25 + 1 - SSIM}


@pytest.mark.parametrize("kind", BY_HAND)
def test_reconstruction_losses_by_hand(kind):
    logits, target = torch.full((2, 3, 16, 16), math.log(3)), torch.full((2, 3, 16, 16), 0.25)
    assert reconstruction_loss(logits, target, kind).item() == pytest.approx(BY_HAND[kind], abs=1e-4)


@pytest.mark.parametrize("kind", BY_HAND)
def test_the_configured_reconstruction_loss_is_that_of_the_views_that_are_there(kind):
    model = model_without_crop(reconstruction_loss=kind)
    output = model(**batch(views=torch.tensor([[1, 0], [1, 1]])))
    for name, rows in (("frontal", [0, 1]), ("lateral", [1])):
        drawn, target = output[f"{name}_reconstruction"][rows], output[f"{name}_target"][rows]
        expected = reconstruction_loss(drawn.logit(), target, kind)
        torch.testing.assert_close(output[f"{name}_loss"], expected, atol=1e-4, rtol=1e-4)


# Layers


def test_the_last_ten_layers_are_trained():
    model = model_without_crop(encoder_trainable_last_n=10)
    trained = {name for name, parameter in model.encoder.named_parameters() if parameter.requires_grad}
    assert trained == {name for name, _ in model.encoder.named_parameters() if name.startswith(LAST)}
    assert len(trained) == 8  # norm, convolution, norm, convolution and norm: 2 + 1 + 2 + 1 + 2
    others = [parameter for name, parameter in model.named_parameters() if not name.startswith("encoder.")]
    assert all(parameter.requires_grad for parameter in others)


def test_a_step_moves_only_them():
    model = model_without_crop(encoder_trainable_last_n=10).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model(**batch()).loss.backward()
    torch.optim.AdamW(model.parameters(), lr=0.01).step()
    after = model.state_dict()
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    of_encoder = {name.removeprefix("encoder.") for name in moved if name.startswith("encoder.")}
    # Weights and, since these norms are in training, running statistics.
    assert of_encoder == {name for name in model.encoder.state_dict() if name.startswith(LAST)}
    for part in TASKS.values():
        assert any(name.startswith(f"{part}.") for name in moved)


def test_frozen_norms_keep_their_statistics():
    model = model_without_crop(encoder_trainable_last_n=10).train()
    norms = {name: each for name, each in model.encoder.named_modules() if isinstance(each, nn.BatchNorm2d)}
    assert {name for name, norm in norms.items() if norm.training} == {
        "features.denseblock4.denselayer2.norm1", "features.denseblock4.denselayer2.norm2", "features.norm5"
    }  # fmt: skip
    before = {name: norm.running_mean.clone() for name, norm in norms.items()}
    model(**batch())
    for name, norm in norms.items():
        assert torch.equal(norm.running_mean, before[name]) == (not f"{name}.".startswith(LAST)), name
    model.eval()
    assert not any(norm.training for norm in norms.values())


def test_layers_are_unfrozen_in_stages():
    model = model_without_crop(encoder_trainable_last_n=0).train()
    parameters, norm0 = list(model.encoder.parameters()), model.encoder.features.norm0
    assert not any(parameter.requires_grad for parameter in parameters) and not norm0.training
    model.unfreeze(10)
    assert sum(parameter.requires_grad for parameter in parameters) == 8 and not norm0.training
    assert model.encoder.features.norm5.training and model.config.encoder_trainable_last_n == 10
    model.unfreeze(None)
    assert all(parameter.requires_grad for parameter in parameters) and norm0.training
    model.unfreeze(2)
    assert sum(parameter.requires_grad for parameter in parameters) == 2 and not norm0.training
    model.eval().unfreeze(None)
    assert not norm0.training


@pytest.mark.parametrize("last_n", [0, 10, None])
def test_what_is_frozen_is_frozen_after_loading_too(tmp_path, last_n):
    tiny_model(ROW, encoder_trainable_last_n=last_n).save_pretrained(tmp_path)
    loaded, _ = CxrMultitaskForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    for model in (loaded, CxrMultitaskForConditionalGeneration.from_pretrained(tmp_path)):
        trained = [parameter.requires_grad for parameter in model.encoder.parameters()]
        assert sum(trained) == {0: 0, 10: 8, None: len(trained)}[last_n]
        assert not any(parameter.requires_grad for parameter in model.segmenter.parameters())
        assert not model.train().segmenter.training and model.decoder.training
        assert all(parameter.requires_grad for parameter in model.decoder.parameters())


# Views


def two_views(rows=4000):
    pooled = torch.arange(2.0 * rows).view(2, rows, 1, 1, 1).expand(2, rows, 16, 2, 2) + 1
    views = torch.ones(rows, 2, dtype=torch.bool)
    return SeenViews(views, torch.zeros(rows, 4), [], [], list(pooled))


def withheld(model, seen):
    """(batch, 2) bool: whose half of the latent is the substitute, -1; asserts that the others are their own."""
    nn.init.constant_(model.missing_view, -1.0)
    halves = model.latent_of(seen).unflatten(1, (2, 16)).detach()
    own = torch.stack([each.mean(dim=(2, 3)) for each in seen.activations], dim=1)
    gone = (halves == -1).all(dim=2)
    assert torch.equal(halves[~gone], own[~gone])
    return gone


def test_one_view_is_withheld_in_about_its_share_of_cases_and_never_both():
    model = model_without_crop(view_dropout=0.4).train()
    torch.manual_seed(0)
    gone = withheld(model, two_views())
    assert not gone.all(dim=1).any()
    frontal, lateral = gone.float().mean(dim=0).tolist()  # standard error of each: sqrt(0.2 * 0.8 / 4000) = 0.006
    assert frontal == pytest.approx(0.2, abs=0.025) and lateral == pytest.approx(0.2, abs=0.025)
    torch.manual_seed(0)
    assert torch.equal(withheld(model, two_views()), gone)


def test_no_view_is_withheld_in_evaluation_or_at_a_share_of_0():
    assert not withheld(model_without_crop(view_dropout=0.4), two_views()).any()
    assert not withheld(model_without_crop(view_dropout=0.0).train(), two_views()).any()


def test_a_view_alone_is_never_withheld():
    model, seen = model_without_crop(view_dropout=1.0).train(), two_views(3)
    seen.views[:2] = torch.tensor([[True, False], [False, True]])
    seen.activations = [each[rows] for each, rows in zip(seen.activations, seen.views.T, strict=True)]
    torch.manual_seed(0)
    gone = ~seen.views  # what has no film; of the pair in the last row one half more
    halves = model.latent_of(seen).unflatten(1, (2, 16))
    substituted = (halves == model.missing_view).all(dim=2)
    assert torch.equal(substituted[:2], gone[:2]) and substituted[2].sum() == 1


def test_a_view_withheld_is_reconstructed_all_the_same_and_its_substitute_learns():
    model = model_without_crop(view_dropout=1.0).train()
    output = model(**batch())
    assert output.views.all() and output.frontal_reconstruction.isfinite().all()
    output.loss.backward()
    assert model.missing_view.grad.any()


def test_one_case_cannot_be_trained_on():
    with pytest.raises(ValueError) as raised:
        model_without_crop().train()(films(1), films(1))
    assert str(raised.value) == (
        "pixel_values: found one case in training; expected two or more for the classifier's batch norm; raise the "
        "batch size, or drop the last batch"
    )


def test_a_view_that_only_one_case_of_a_batch_has_can_be_trained_on():
    model = model_without_crop().train()
    model(**batch(views=torch.tensor([[1, 0], [1, 1]]))).loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)


def test_it_learns_three_cases_by_heart():
    """All four tasks at once, in a few steps: classifications right, reports word for word, films nearer."""
    torch.manual_seed(0)
    model = model_without_crop(view_dropout=0.1).train()
    labels = torch.tensor([[5, 6, 7, 0], [9, 8, 0, -100], [11, 12, 5, 0]])
    smooth = nn.functional.interpolate(torch.rand(6, 3, 4, 4), (64, 64), mode="bilinear")
    inputs = {"pixel_values": smooth[:3], "lateral_pixel_values": smooth[3:]}
    truth = {"labels": labels, "abnormal_labels": torch.tensor([0, 1, 0])}
    optimizer, first = torch.optim.AdamW(model.parameters(), lr=1e-2), None
    for _ in range(100):  # well past the 60th or so, where it knows them
        optimizer.zero_grad()
        output = model(**inputs, **truth)
        first = first or output
        output.loss.backward()
        optimizer.step()
    last = model.eval()(**inputs, **truth)
    assert torch.equal(last.abnormal_logits > 0, truth["abnormal_labels"].bool())
    written = model.generate(**inputs, max_new_tokens=4, do_sample=False, pad_token_id=0)
    assert torch.equal(written, labels.masked_fill(labels == -100, 0))
    mse = [(each.frontal_reconstruction - smooth[:3]).square().mean() for each in (first, last)]
    assert mse[1] < mse[0] / 2
