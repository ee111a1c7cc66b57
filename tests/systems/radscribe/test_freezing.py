"""Which weights each phase trains, against the original's tables; and the callback that goes from phase to phase."""

from types import SimpleNamespace

import pytest
import torch

from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.radscribe.freezing import PHASES, FreezingByEpoch, freeze, is_trainable, trainable
from hf_medreport.systems.radscribe.two_rates import GroupRates, two_rate_optimizer
from tests.training.radscribe_golden import golden, original_name, tiny_radscribe

# The original's phases -> ours that repeat them.
LEGACY = {
    "scratch": "scratch",
    "scratch_after_resume": "legacy_scratch_resumed",
    "finetune_frozen": "finetune",
    "finetune_unfrozen": "legacy_finetune_unfrozen",
}
CASES = {
    "ViT_label": ("vit", "oracle"),
    "ViT_nolabel": ("vit", "none"),
    "chexnet121_label": ("chexnet121", "oracle"),
    "chexnet121_nolabel": ("chexnet121", "none"),
}
POOLER = 2  # weights of the ViT's pooler, which we do not carry


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("phase", LEGACY)
def test_the_originals_tables(case, phase):
    table = golden("freezing")[case]["trainable"][phase]
    model = tiny_radscribe(*CASES[case])
    freeze(model, LEGACY[phase])
    for name, parameter in model.named_parameters():
        theirs = original_name(name)
        known = any(theirs == below or theirs.startswith(f"{below}.") for below in table["below"])
        assert parameter.requires_grad == known, (name, theirs)
    pooled = POOLER if case.startswith("ViT") and phase != "finetune_unfrozen" else 0
    trained = sum(parameter.requires_grad for parameter in model.parameters())
    assert trained == table["count"] - pooled


@pytest.mark.parametrize("case", CASES)
def test_the_originals_optimizer_groups(case):
    encoder, decoder = golden("freezing")[case]["optimizer_group_sizes"]
    model = tiny_radscribe(*CASES[case])
    freeze(model, "finetune")  # what is frozen is in them too
    groups = two_rate_optimizer(model, GroupRates(1e-4), GroupRates(1e-4)).param_groups
    pooled = POOLER if case.startswith("ViT") else 0
    assert [len(group["params"]) for group in groups] == [encoder - pooled, decoder]


def tail_of(model) -> set[str]:
    """Names of the image encoder's parameters that fine-tuning trains."""
    start = "encoder.image_encoder."
    return {name.removeprefix(start) for name in trainable(model, "finetune") if name.startswith(start)}


def names_of(model) -> set[str]:
    return {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize("image_encoder", ["vit", "resnet101", "chexnet121", "bert_vit"])
@pytest.mark.parametrize("label_mode", ["none", "oracle"])
def test_unfreezing_adds_to_what_is_trained_and_keeps_the_tail(image_encoder, label_mode):
    model = tiny_radscribe(image_encoder, label_mode)
    frozen, unfrozen = trainable(model, "finetune"), trainable(model, "finetune_unfrozen")
    assert frozen < unfrozen and tail_of(model)
    left = names_of(model) - unfrozen  # nothing but the image encoder below its tail
    everything = {name for name in names_of(model) if name.startswith("encoder.image_encoder.")}
    assert left == everything - {f"encoder.image_encoder.{name}" for name in tail_of(model)}
    assert trainable(model, "scratch") == names_of(model)


def test_the_tails_that_the_original_has_no_table_of():
    resnet = tail_of(tiny_radscribe("resnet101", "none"))
    assert all(name.startswith(("resnet.encoder.stages.2.", "conv.")) for name in resnet)
    assert {"conv.weight", "conv.bias"} < resnet and len(resnet) > 4
    assert tail_of(tiny_radscribe("bert_vit", "none")) == {"patches.weight", "patches.bias"}


@pytest.mark.parametrize("phase", PHASES)
def test_a_label_head_and_the_decoder_are_trained_in_every_phase(phase):
    model = tiny_radscribe("chexnet121", "predicted", label_names=["a", "b"], label_pieces=[[5], [6]])
    names = trainable(model, phase)
    always = ("encoder.label_head.", "encoder.label_layers.", "decoder.", "lm_head.")
    assert {name for name in names_of(model) if name.startswith(always)} <= names


def test_the_layers_of_a_deep_vit_by_number():
    trained = {
        layer for layer in range(24) if is_trainable(f"encoder.image_encoder.vit.layers.{layer}.x", "finetune", "vit")
    }
    assert trained == set(range(8, 24))


@pytest.mark.parametrize("wrap", [lambda model: model, lambda model: SimpleNamespace(module=model)])
def test_the_callback_unfreezes_at_its_epoch_and_a_resumed_run_is_in_the_right_phase(wrap):
    model, callback = tiny_radscribe("vit", "oracle"), FreezingByEpoch(2)
    met = []
    for epoch in (None, 1.0, 2.0, 3.0, 1.75, 2.25):  # the last two: resumed within the second and the third epoch
        callback.on_epoch_begin(None, SimpleNamespace(epoch=epoch), None, model=wrap(model))
        met.append({name for name, parameter in model.named_parameters() if parameter.requires_grad})
    frozen, unfrozen = trainable(model, "finetune"), trainable(model, "finetune_unfrozen")
    assert met == [frozen, frozen, unfrozen, unfrozen, frozen, unfrozen]


def test_a_frozen_weight_gets_no_gradient():
    model = tiny_radscribe("vit", "oracle").train()
    freeze(model, "finetune")
    ids = torch.tensor([[5, 102] + [0] * 18])
    model(torch.rand(1, 3, 64, 64), ids, labels=torch.tensor([[3, 4, 1]])).loss.backward()
    moved = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert moved == trainable(model, "finetune")


def test_an_unknown_phase():
    with pytest.raises(InputError) as error:
        freeze(tiny_radscribe("bert_vit", "none"), "unfrozen")
    expected = "phase: found 'unfrozen'; expected one of scratch, finetune, finetune_unfrozen, "
    expected += "legacy_finetune_unfrozen, legacy_scratch_resumed; name a known phase"
    assert str(error.value) == expected
