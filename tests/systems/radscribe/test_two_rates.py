"""Two groups and their rates: the original's values, the formula's laws, and what an optimizer makes of them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.radscribe.two_rates import GroupRates, factor, schedule, two_rate_optimizer, updates

ENCODER, DECODER = GroupRates(5e-5, 1e-5, 0.01), GroupRates(1e-4, 2e-5, 0.005)


class TwoParts(nn.Module):
    """An encoder, a decoder, and a head that shares the decoder's tensor."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder, self.head = nn.Linear(2, 3), nn.Linear(3, 4), nn.Linear(3, 4, bias=False)
        self.head.weight = self.decoder.weight


def rates_met(count: int, total: int, encoder: GroupRates, decoder: GroupRates) -> list[list[float]]:
    """Both groups' rates at each of the first updates, as a training loop meets them."""
    optimizer = two_rate_optimizer(TwoParts(), encoder, decoder)
    scheduler = schedule(optimizer, total, encoder, decoder)
    met = []
    for _ in range(count):
        met.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return met


def test_the_originals_rates_of_the_published_settings():
    # 320 micro-batches, 8 an update: U = 40, w = int(0.1 * 40) = 4; i/4, then (40 - i)/36, floor 1e-5 / 5e-5 = 0.2.
    total = updates(batches=16, epochs=20, accumulation=8)
    met = rates_met(46, total, ENCODER, DECODER)
    assert total == 40
    climbing = [[1e-5, 2e-5], [1.25e-5, 2.5e-5], [2.5e-5, 5e-5], [3.75e-5, 7.5e-5], [5e-5, 1e-4]]
    falling = [[4.8611111e-5, 9.7222222e-5], [4.7222222e-5, 9.4444444e-5]]
    assert met[:7] == [pytest.approx(pair) for pair in climbing + falling]
    assert met[31] == pytest.approx([1.25e-5, 2.5e-5]) and met[32] == pytest.approx([1.1111111e-5, 2.2222222e-5])
    assert met[33:] == [pytest.approx([1e-5, 2e-5])] * 13  # (40 - 33) / 36 < 0.2, and past the end too


def test_the_originals_factors_of_unequal_warm_ups():
    # 299 micro-batches: U = 37; encoder w = int(9.25) = 9 and no floor; decoder w = int(1.85) = 1, floor 0.1.
    total = updates(batches=299, epochs=1, accumulation=8)
    encoder, decoder = GroupRates(5e-5, 0.0, 0.0, 0.25), GroupRates(1e-4, 1e-5, 0.0, 0.05)
    of_encoder = [factor(step, total, encoder) for step in range(46)]
    of_decoder = [factor(step, total, decoder) for step in range(46)]
    assert total == 37
    assert of_encoder[:2] == pytest.approx([0.0, 1 / 9]) and of_encoder[8:11] == pytest.approx([8 / 9, 1, 27 / 28])
    assert of_encoder[36] == pytest.approx(1 / 28) and of_encoder[37:] == [0.0] * 9
    assert of_decoder[:3] == pytest.approx([0.1, 1.0, 35 / 36]) and of_decoder[33] == pytest.approx(4 / 36)
    assert of_decoder[34:] == [0.1] * 12


@pytest.mark.parametrize(
    ("batches", "epochs", "accumulation", "counted"),
    [(11, 2, 4, 5), (5000, 20, 8, 12500), (3, 1, 8, 1), (8, 1, 8, 1)],
)
def test_updates_by_hand(batches, epochs, accumulation, counted):
    assert updates(batches, epochs, accumulation) == counted


RATES = st.builds(
    lambda lr, floor, share: GroupRates(lr, floor * lr, 0.0, share),
    st.floats(1e-6, 1.0),
    st.floats(0, 1),
    st.floats(0, 1),
)


@given(RATES, st.integers(1, 300))
def test_a_rate_climbs_then_falls_between_floor_and_top(rates, total):
    met = [factor(step, total, rates) for step in range(total + 3)]
    top = met.index(max(met))
    assert met[: top + 1] == sorted(met[: top + 1]) and met[top:] == sorted(met[top:], reverse=True)
    assert all(rates.min_lr / rates.lr <= value <= 1 for value in met)
    assert met[-1] == pytest.approx(rates.min_lr / rates.lr)


def test_groups_their_decay_and_a_tensor_with_two_names():
    model = TwoParts()
    model.encoder.requires_grad_(False)  # a later phase may free it
    groups = two_rate_optimizer(model, ENCODER, DECODER).param_groups
    assert [len(group["params"]) for group in groups] == [2, 2]  # the head is the decoder's weight
    assert {id(p) for group in groups for p in group["params"]} == {id(p) for p in model.parameters()}
    assert [group["weight_decay"] for group in groups] == [0.01, 0.005]
    assert all(group["betas"] == (0.9, 0.999) for group in groups)


def test_what_is_frozen_is_left_alone_by_decay_too():
    model = TwoParts()
    model.encoder.requires_grad_(False)
    before = model.encoder.weight.clone(), model.decoder.weight.clone()
    optimizer = two_rate_optimizer(model, GroupRates(0.1, 0.1, 0.5), GroupRates(0.1, 0.1, 0.5))
    model.decoder(model.encoder(torch.ones(1, 2))).sum().backward()
    optimizer.step()
    assert torch.equal(model.encoder.weight, before[0]) and not torch.equal(model.decoder.weight, before[1])


def test_the_schedule_goes_on_where_its_state_was_saved():
    whole = rates_met(12, 10, ENCODER, DECODER)
    optimizer = two_rate_optimizer(TwoParts(), ENCODER, DECODER)
    scheduler = schedule(optimizer, 10, ENCODER, DECODER)
    for _ in range(5):
        optimizer.step()
        scheduler.step()
    resumed = two_rate_optimizer(TwoParts(), ENCODER, DECODER)
    going_on = schedule(resumed, 10, ENCODER, DECODER)
    resumed.load_state_dict(optimizer.state_dict())
    going_on.load_state_dict(scheduler.state_dict())
    resumed.step()
    going_on.step()
    assert [group["lr"] for group in resumed.param_groups] == whole[6]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0.0,), "lr: found 0; expected a rate above 0; 5e-05 and 0.0001 are the published ones"),
        ((5e-5, 1e-4), "min_lr: found 0.0001; expected 0 to the rate itself, 5e-05; lower the floor"),
        ((5e-5, -1e-5), "min_lr: found -1e-05; expected 0 to the rate itself, 5e-05; lower the floor"),
        ((5e-5, 0.0, -1.0), "weight_decay: found -1; expected 0 or more; 0.01 and 0.005 are the published"),
        ((5e-5, 0.0, 0.0, 10.0), "warmup_rate: found 10; expected a share of 0 to 1; 0.1 is the published one"),
    ],
)
def test_rates_that_are_none(values, message):
    with pytest.raises(InputError) as error:
        GroupRates(*values)
    assert str(error.value) == message
