"""What is minimized: from rewards to advantages, from token scores to a loss. Sums over a report's tokens, means over
reports, so that rewards and KL are both of whole reports.

- self-critical (SCST; Rennie et al. 2017): a sampled report is worth its reward less that of the greedy report of the
  same case. The gradient is REINFORCE's, whose baseline changes nothing but its variance.
- group-relative (GRPO; Shao et al. 2024): less the mean of its group, the reports of the same case, in units of the
  group's standard deviation (of n - 1, plus EPSILON, as TRL has it). A group that earns one reward teaches nothing.
- KL to the start model, token by token, each the whole sum over the vocabulary and no estimate of it. With unscaled
  advantages the best probability of a report is p0 exp(reward / kl) / Z; in units of the deviation it is sharper.
"""

import torch

__all__ = ["EPSILON", "METHODS", "advantages_of", "policy_loss", "token_kl", "token_scores"]

METHODS = ("self-critical", "group-relative")
EPSILON = 1e-4


def advantages_of(rewards: torch.Tensor, greedy: torch.Tensor | None = None) -> torch.Tensor:
    """What each sampled report is worth, (cases, samples); 0 where its reward is nan.

    Args:
        rewards: (cases, samples), nan where there is nothing to judge by.
        greedy: (cases,), rewards of the greedy reports; None: relative to the group.
    """
    if greedy is not None:
        advantages = rewards - greedy[:, None]
    else:
        judged = rewards.isfinite()
        count = judged.sum(1, keepdim=True)
        mean = rewards.nansum(1, keepdim=True) / count
        deviation = ((rewards - mean).square().nansum(1, keepdim=True) / (count - 1).clamp(min=1)).sqrt()
        advantages = (rewards - mean) / (deviation + EPSILON)
    return advantages.nan_to_num(0.0)


def token_scores(logits: torch.Tensor, labels: torch.Tensor, temperature: float = 1.0) -> tuple:
    """Log-probabilities of all tokens, (reports, text, vocabulary), and of those written, (reports, text), 0 where
    `labels` is -100."""
    scores = (logits.float() / temperature).log_softmax(-1)
    written = scores.gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    return scores, written * (labels != -100)


def token_kl(scores: torch.Tensor, start: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """KL of the model to the start model at each token written, (reports, text).

    Args:
        scores, start: log-probabilities (reports, text, vocabulary) of the two.
        labels: (reports, text), -100 where nothing is written.
    """
    return (scores.exp() * (scores - start)).sum(-1) * (labels != -100)


def policy_loss(written: torch.Tensor, advantages: torch.Tensor) -> torch.Tensor:
    """The loss whose gradient is REINFORCE's: less the mean over reports of advantage x log-probability.

    Args:
        written: (reports, text), log-probabilities of the tokens written.
        advantages: (reports,).
    """
    return -(advantages.detach() * written.sum(-1)).mean()
