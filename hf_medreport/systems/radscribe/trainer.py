"""What training RadScribe adds to the report trainer: two rates, and the figures that the original logs.

| name of the original | here |
|---|---|
| `train/loss_step`, `train/avg_loss` | the last micro-batch's loss; the mean of this epoch's so far |
| `train/perplexity` | exp of this epoch's loss so far, weighted by tokens |
| `train/loss_epoch` | at an epoch's end |
| `lr/encoder`, `lr/decoder` | after the update |
| `step`, `epoch` | updates, not micro-batches (`train/global_step` in trackio); epochs done, with their fraction |
| `eval/BLEU-4`, ... | `radscribe_metrics.OriginalFigures`; `eval/TOKEN_ACCURACY` without the original's colon |

Trainer's own names stand beside them. The losses are those of this process; a resumed run goes on with their sums.
"""

import math

import torch
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from hf_medreport.systems.radscribe.two_rates import GroupRates, schedule, two_rate_optimizer
from hf_medreport.training.shown_samples import trackers
from hf_medreport.training.trainer import ReportTrainer

UNKNOWN = -100  # a label that is not to be learned


class EpochLosses(TrainerCallback, ExportableState):
    """The text losses of an epoch so far."""

    def __init__(self):
        self.clear(0)

    def clear(self, epoch: int) -> None:
        """Nothing of this epoch so far."""
        self.epoch, self.batches, self.tokens, self.last, self.total, self.weighted = epoch, 0, 0, 0.0, 0.0, 0.0

    def add(self, loss: torch.Tensor, tokens: torch.Tensor) -> None:
        """Count a micro-batch: its mean loss a token, and how many tokens."""
        loss = loss.double()  # stays on its device: a log is rarer than a batch
        self.batches, self.tokens, self.last = self.batches + 1, self.tokens + tokens, loss
        self.total, self.weighted = self.total + loss, self.weighted + loss * tokens

    def figures(self) -> dict[str, float]:
        """By the original's names, without `train/`; nothing before the first micro-batch."""
        if not self.batches:
            return {}
        mean = float(self.weighted) / float(self.tokens)
        perplexity = math.exp(mean) if mean < 700 else math.inf
        return {"loss_step": float(self.last), "avg_loss": float(self.total) / self.batches, "perplexity": perplexity}

    def state(self) -> dict:
        """For the checkpoint."""
        sums = {name: float(getattr(self, name)) for name in ("last", "total", "weighted")}
        counts = {name: int(getattr(self, name)) for name in ("epoch", "batches", "tokens")}
        return {"args": {}, "attributes": counts | sums}

    def on_train_begin(self, args, state, control, **kwargs):
        saved = state.stateful_callbacks.get(type(self).__name__) if state.global_step else None
        if saved is None:
            self.clear(0)
        else:
            vars(self).update(saved["attributes"])

    def on_epoch_begin(self, args, state, control, **kwargs):
        epoch = int(state.epoch or 0)
        if epoch != self.epoch:  # a run resumed within this epoch goes on
            self.clear(epoch)


class OriginalKeys(TrainerCallback):
    """Gives trackers the names that Trainer cannot: it puts all but metrics below `train/`."""

    def __init__(self, trainer: "RadScribeTrainer"):
        self.trainer = trainer

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        counts = {
            "Total params": sum(weight.numel() for weight in model.parameters()),
            "Trainable params": sum(weight.numel() for weight in model.parameters() if weight.requires_grad),
        }
        for tracker in trackers(args, state):
            summary = tracker.run.summary if tracker.__name__ == "wandb" else tracker.config
            summary.update(counts)

    def on_log(self, args, state, control, logs=None, **kwargs):
        shown = {"epoch": logs["epoch"]}
        if "lr_encoder" in logs:
            shown |= {"lr/encoder": logs["lr_encoder"], "lr/decoder": logs["lr_decoder"]}
        for tracker in trackers(args, state):
            of_wandb = {"step": state.global_step}  # trackio keeps this name for a count of its own
            tracker.log(shown | of_wandb if tracker.__name__ == "wandb" else shown)

    def on_step_end(self, args, state, control, **kwargs):
        if not float(state.epoch).is_integer():
            return
        should_log = control.should_log  # this step's own log and checkpoint are still to come
        self.trainer.log({"loss_epoch": self.trainer.epoch_losses.figures()["avg_loss"]})
        control.should_log = should_log  # a log ends the wish for one


class RadScribeTrainer(ReportTrainer):
    """Trains encoder and decoder at rates of their own; the schedule is laid over all updates there will be.

    Args:
        rates: of the encoder, of everything else.
    """

    def __init__(self, *args, rates: tuple[GroupRates, GroupRates], **kwargs):
        super().__init__(*args, **kwargs)
        self.rates, self.label_losses = rates, {True: [], False: []}  # of training, of evaluation
        self.label_names = ["labels"]  # Trainer takes every argument with "label" in its name for a truth
        self.add_callback(EpochLosses())
        self.add_callback(OriginalKeys(self))
        self.accelerator.unwrap_model(self.model).register_forward_hook(self._keep, with_kwargs=True)

    @property
    def epoch_losses(self) -> EpochLosses:
        """Trainer may put another one in its place when it resumes."""
        return next(one for one in self.callback_handler.callbacks if isinstance(one, EpochLosses))

    def create_optimizer(self, model=None):
        if self.optimizer is None:
            self.optimizer = two_rate_optimizer(self.model if model is None else model, *self.rates)
        return super().create_optimizer(model)

    def create_scheduler(self, num_training_steps, optimizer=None):
        if self.lr_scheduler is None:
            self.lr_scheduler = schedule(optimizer or self.optimizer, num_training_steps, *self.rates)
        return super().create_scheduler(num_training_steps, optimizer)

    def _keep(self, model, args, inputs, outputs) -> None:
        if outputs.text_loss is not None and model.training:
            self.epoch_losses.add(outputs.text_loss.detach(), (inputs["labels"] != UNKNOWN).sum())
        if outputs.label_loss is not None:
            self.label_losses[model.training].append(outputs.label_loss.detach().float())

    def log(self, logs: dict, *args, **kwargs) -> None:
        if "loss" in logs:
            encoder, decoder = self.lr_scheduler.get_last_lr()
            logs = logs | self.epoch_losses.figures() | {"lr_encoder": encoder, "lr_decoder": decoder}
        for training, key, prefix in ((True, "loss", ""), (False, "eval_loss", "eval_")):
            if key in logs and self.label_losses[training]:
                losses, self.label_losses[training] = self.label_losses[training], []
                logs = logs | {f"{prefix}label_loss": sum(losses).item() / len(losses)}
        super().log(logs, *args, **kwargs)
