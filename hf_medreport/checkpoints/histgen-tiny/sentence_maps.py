"""Which places of an image spoke for each sentence: gradients of a sentence's log-probability, as maps of sum 1."""

from collections.abc import Callable

import torch


def sentence_maps(
    scores: torch.Tensor,
    sentence_of_token: torch.Tensor,
    leaves: list[torch.Tensor],
    relevance_of: Callable[..., torch.Tensor],
) -> list[torch.Tensor]:
    """A map a sentence, each of sum 1 (or 0 where no place spoke for it).

    Args:
        scores: (batch, text) log-probabilities of tokens, with a graph down to the leaves.
        sentence_of_token: (batch, text) index of each token's sentence; below 0 for tokens of none.
        leaves: what the image was made into.
        relevance_of: gradients by the leaves -> (batch, *places) of at least 0.

    Returns:
        (batch, *places), float32, as many as the longest report has sentences.
    """
    maps = []
    for sentence in range(int(sentence_of_token.max()) + 1):
        total = scores[sentence_of_token == sentence].sum()
        relevance = relevance_of(*torch.autograd.grad(total, leaves, retain_graph=True)).detach().float()
        places = tuple(range(1, relevance.ndim))
        maps.append(relevance / relevance.sum(places, keepdim=True).clamp(min=1e-30))
    return maps


__all__ = ["sentence_maps"]
