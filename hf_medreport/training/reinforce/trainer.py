"""The report trainer, with a loss of rewards in the place of the cross-entropy: see `objective`.

In each step the model writes reports of the batch's cases, which are rewarded, and learns from them once. It stays in
evaluation mode, so that the reports are scored by the very model that wrote them: no dropout, and batch norms keep the
statistics that they have.
"""

import copy
from contextlib import nullcontext
from dataclasses import dataclass

import torch

from hf_medreport.training.reinforce.adapter import Adapter
from hf_medreport.training.reinforce.objective import advantages_of, policy_loss, token_kl, token_scores
from hf_medreport.training.reinforce.rewards import Rewards
from hf_medreport.training.reinforce.sampling import generate_reports
from hf_medreport.training.trainer import ReportTrainer

__all__ = ["REFERENCES", "ReinforceTrainer", "Settings"]

REFERENCES = "references"  # of a batch: the true reports, beside what the processor makes


@dataclass(frozen=True)
class Settings:
    """How is learned; `ReinforceArguments` says what each means."""

    method: str
    samples: int
    kl: float
    temperature: float
    max_new_tokens: int


class ReinforceTrainer(ReportTrainer):
    """Learns from rewards; evaluates as the report trainer does.

    Args:
        settings: how.
        rewards: of reports.
        processor: of the model: its tokenizer, and which of a batch's tensors are inputs.
        adapter: on the model; None trains the model's own weights, and keeps a copy of them where KL is weighed.
    """

    def __init__(self, *args, settings: Settings, rewards: Rewards, processor, adapter: Adapter | None, **kwargs):
        super().__init__(*args, **kwargs)
        self.settings, self.rewards, self.adapter = settings, rewards, adapter
        self.tokenizer = processor.tokenizer
        self.input_names = set(processor.model_input_names) - {"input_ids", "attention_mask"}
        self.model_accepts_loss_kwargs = False  # a mean over reports, which accumulation divides by its steps
        self.start = None
        if settings.kl and adapter is None:
            self.start = copy.deepcopy(self.accelerator.unwrap_model(self.model)).eval().requires_grad_(False)
        self.seen_of_log: dict[str, list[float]] = {}

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        if return_outputs:  # an evaluation's loss, of the references
            return super().compute_loss(model, _without_references(inputs), return_outputs=True)
        settings, own = self.settings, self.accelerator.unwrap_model(model).eval()
        shown = {name: value for name, value in inputs.items() if name in self.input_names}
        written, rewards, advantages = self._write(own, shown, inputs[REFERENCES])

        repeated = {name: value.repeat_interleave(settings.samples, dim=0) for name, value in shown.items()}
        logits = model(**repeated, labels=written.labels).logits
        scores, of_written = token_scores(logits, written.labels, settings.temperature)
        loss = policy_loss(of_written, advantages.flatten())
        if settings.kl:
            start, _ = token_scores(self._start_logits(own, repeated, written.labels), written.labels)
            kl = token_kl(scores, start, written.labels).sum(-1).mean()
            loss = loss + settings.kl * kl
            self._note(kl=kl.item())
        self._note(reward=rewards.nanmean().item(), tokens=(written.labels >= 0).sum(-1).float().mean().item())
        self._note(ended=sum(written.ended) / len(written.ended))
        return loss

    def _write(self, model, shown: dict, references: list[str]) -> tuple:
        """Sampled reports of a batch, their rewards and advantages (cases, samples)."""
        settings, length = self.settings, self.settings.max_new_tokens
        seen = model.see(**shown)
        written = generate_reports(model, self.tokenizer, seen, length, settings.samples, settings.temperature)
        repeated = [reference for reference in references for _ in range(settings.samples)]
        totals, each = self.rewards(written.texts, repeated, written.ended)
        rewards = torch.tensor(totals).view(len(references), settings.samples)
        for name, values in each.items():
            judged = [value for value in values if value is not None]
            self._note(**{f"reward_{name}": sum(judged) / len(judged)} if judged else {})
        greedy = None
        if settings.method == "self-critical":
            best = generate_reports(model, self.tokenizer, seen, length, None)
            greedy = torch.tensor(self.rewards(best.texts, references, best.ended)[0])
            self._note(reward_greedy=greedy.nanmean().item())
        return written, rewards, advantages_of(rewards, greedy).to(written.labels.device)

    @torch.no_grad()
    def _start_logits(self, model, inputs: dict, labels: torch.Tensor) -> torch.Tensor:
        """What the start model makes of the same reports."""
        if self.start is not None:
            model = self.start.to(labels.device)
        with self.adapter.off() if self.adapter is not None else nullcontext():
            return model(**inputs, labels=labels).logits

    def _note(self, **figures: float) -> None:
        for name, value in figures.items():
            self.seen_of_log.setdefault(name, []).append(value)

    def log(self, logs: dict, *args, **kwargs) -> None:
        if "loss" in logs:  # the mean of each figure since the last log
            figures, self.seen_of_log = self.seen_of_log, {}
            logs = logs | {name: sum(values) / len(values) for name, values in figures.items()}
        super().log(logs, *args, **kwargs)

    def prediction_step(self, model, inputs, *args, **kwargs):
        return super().prediction_step(model, _without_references(inputs), *args, **kwargs)

    # A checkpoint of an adapter holds the adapter alone: the rest is the start model.

    def _save(self, output_dir=None, state_dict=None):
        if self.adapter is None:
            super()._save(output_dir, state_dict)
        else:
            self.adapter.save(output_dir or self.args.output_dir)

    def load_weights(self, folder) -> None:
        if self.adapter is None:
            super().load_weights(folder)
        else:
            self.adapter.load(folder)

    def check_weights(self, folder) -> None:
        if self.adapter is None:
            super().check_weights(folder)
        else:
            self.adapter.check(folder)


def _without_references(inputs: dict) -> dict:
    return {name: value for name, value in inputs.items() if name != REFERENCES}
