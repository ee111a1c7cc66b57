"""Orders of records: they depend on seed and epoch alone, so a resumed run goes on with them."""

from hf_medreport.training.samplers import LikeLengths, WeightedDraws


def test_weighted_draws_of_a_resumed_epoch_are_those_of_an_uninterrupted_run():
    whole, resumed = WeightedDraws([0.7] * 6 + [0.3] * 6, seed=3), WeightedDraws([0.7] * 6 + [0.3] * 6, seed=3)
    epochs = []
    for epoch in range(2):
        whole.set_epoch(epoch)
        epochs.append(list(whole))
    resumed.set_epoch(1)
    assert list(resumed) == epochs[1] != epochs[0]


def test_batches_of_like_lengths_depend_on_seed_and_epoch():
    lengths = [5, 100] * 32
    sampler = LikeLengths(lengths, batch_size=2, seed=1)
    first = list(sampler)
    assert sorted(first) == list(range(64)) and list(LikeLengths(lengths, 2, 1)) == first
    alike = sum(lengths[one] == lengths[two] for one, two in zip(first[::2], first[1::2], strict=True))
    assert alike >= 27  # of 32; by chance 16
    sampler.set_epoch(1)
    assert list(sampler) != first
