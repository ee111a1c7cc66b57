"""Maps of sentences, by hand."""

import torch

from hf_medreport.modeling.sentence_maps import sentence_maps


def test_each_sentence_has_its_own_map():
    places = torch.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    # token 0 leans on place 0 (gradient 2) and 2 (gradient 1), token 1 on place 1 alone, token 2 belongs to no sentence
    scores = torch.stack([2 * places[:, 0] + places[:, 2], places[:, 1], 9 * places[:, 0]], dim=1)
    first, second = sentence_maps(scores, torch.tensor([[0, 1, -1]]), [places], lambda gradient: gradient * places)
    torch.testing.assert_close(first, torch.tensor([[2 / 5, 0, 3 / 5]]))  # 2 * 1, 0, 1 * 3
    assert second.tolist() == [[0, 1, 0]] and not first.requires_grad


def test_a_sentence_for_which_nothing_spoke():
    places = torch.ones(1, 2, 2, requires_grad=True)
    (map_,) = sentence_maps(places.sum((1, 2))[:, None], torch.zeros(1, 1).long(), [places], torch.zeros_like)
    assert map_.shape == (1, 2, 2) and map_.sum() == 0


def test_no_sentence_at_all():
    places = torch.ones(1, 2, requires_grad=True)
    assert sentence_maps(places, torch.full((1, 2), -1), [places], lambda gradient: gradient) == []
