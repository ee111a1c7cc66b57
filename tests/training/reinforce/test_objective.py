"""The loss by hand, and where it leads on toys whose best policy is known."""

import math

import pytest
import torch

from hf_medreport.training.reinforce.objective import advantages_of, policy_loss, token_kl, token_scores

NAN = math.nan


def test_group_relative_by_hand():
    """Rewards 0, 1, 2: mean 1, deviation 1 (of n - 1). Equal rewards teach nothing, nor does what is not judged."""
    rewards = torch.tensor([[0.0, 1.0, 2.0], [0.5, 0.5, 0.5], [NAN, 0.0, 2.0], [NAN, NAN, NAN], [NAN, NAN, 1.0]])
    two = 1 / (math.sqrt(2) + 1e-4)
    expected = [[-1 / 1.0001, 0, 1 / 1.0001], [0, 0, 0], [0, -two, two], [0, 0, 0], [0, 0, 0]]
    assert torch.allclose(advantages_of(rewards), torch.tensor(expected))


def test_self_critical_by_hand():
    rewards, greedy = torch.tensor([[0.25, 1.0], [NAN, 0.0], [1.0, 1.0]]), torch.tensor([0.5, -1.0, NAN])
    assert advantages_of(rewards, greedy).tolist() == [[-0.25, 0.5], [0.0, 1.0], [0.0, 0.0]]


def test_scores_and_kl_by_hand():
    """Two tokens of a vocabulary of two, the second of them padding; at a temperature of 2 scores are halved."""
    logits = torch.tensor([[[math.log(9.0), 0.0], [5.0, 7.0]]])
    labels = torch.tensor([[0, -100]])
    scores, written = token_scores(logits, labels)
    assert written.tolist() == [[pytest.approx(math.log(0.9)), 0.0]]
    _, halved = token_scores(logits, labels, temperature=2.0)
    assert halved[0, 0].item() == pytest.approx(math.log(0.75))
    start, _ = token_scores(torch.zeros(1, 2, 2), labels)
    kl = token_kl(scores, start, labels)
    assert kl.tolist() == [[pytest.approx(0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)), 0.0]]


def test_the_gradient_is_reinforces():
    """By logits, that of log p(token) is 1 at the token less the probabilities: times the advantage, mean over reports,
    with the sign of what is minimized."""
    torch.manual_seed(0)
    logits = torch.randn(3, 2, 4, requires_grad=True)
    labels = torch.tensor([[1, 3], [0, -100], [2, 2]])
    advantages = torch.tensor([0.5, -2.0, 1.0])
    policy_loss(token_scores(logits, labels)[1], advantages).backward()
    expected = torch.zeros(3, 2, 4)
    for report, tokens in enumerate(labels.tolist()):
        for place, token in enumerate(tokens):
            if token >= 0:
                one = torch.nn.functional.one_hot(torch.tensor(token), 4)
                expected[report, place] = -advantages[report] / 3 * (one - logits[report, place].softmax(-1).detach())
    assert torch.allclose(logits.grad, expected, atol=1e-6)


def learned(rewards: list[float], start: list[float], kl: float, steps: int, greedy: bool = True) -> torch.Tensor:
    """Probabilities that a policy over single tokens ends with."""
    torch.manual_seed(0)
    first = torch.tensor(start).log()
    logits, values = torch.nn.Parameter(first.clone()), torch.tensor(rewards)
    optimizer = torch.optim.Adam([logits], lr=0.05)
    for _ in range(steps):
        tokens = torch.multinomial(logits.detach().softmax(-1), 512, replacement=True)
        labels, batch = tokens[:, None], logits.expand(512, 1, -1)
        baseline = values[logits.argmax()].expand(1) if greedy else None
        advantages = advantages_of(values[tokens][None], baseline).flatten()
        scores, written = token_scores(batch, labels)
        divergence = token_kl(scores, first.log_softmax(-1).expand_as(scores), labels).sum(-1).mean()
        optimizer.zero_grad()
        (policy_loss(written, advantages) + kl * divergence).backward()
        optimizer.step()
    return logits.detach().softmax(-1)


@pytest.mark.parametrize("greedy", [True, False])
def test_two_actions_go_to_the_rewarded_one(greedy):
    assert learned([0.0, 1.0], [0.9, 0.1], kl=0.0, steps=150, greedy=greedy)[1] > 0.95


def test_with_kl_the_best_policy_is_the_tilted_one():
    """p0 exp(reward / kl) / Z: the closed form of what rewards less kl times KL is largest for."""
    rewards, start, kl = [0.0, 1.0, 0.5, -0.5], [0.4, 0.1, 0.3, 0.2], 0.5
    tilted = torch.tensor(start) * (torch.tensor(rewards) / kl).exp()
    assert torch.allclose(learned(rewards, start, kl, steps=400), tilted / tilted.sum(), atol=0.04)
