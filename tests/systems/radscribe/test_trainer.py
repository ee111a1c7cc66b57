"""The trainer of RadScribe: what it logs and where, its rates, accumulation, mixed precision, resuming, stopping."""

import json
import math
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from transformers import EarlyStoppingCallback, Seq2SeqTrainingArguments, TrainerControl, TrainerState
from transformers.integrations import TrackioCallback, WandbCallback

from hf_medreport.systems.radscribe.freezing import FreezingByEpoch
from hf_medreport.systems.radscribe.original.metrics import OriginalFigures
from hf_medreport.systems.radscribe.trainer import EpochLosses, RadScribeTrainer
from hf_medreport.systems.radscribe.two_rates import GroupRates, factor
from hf_medreport.training.report_metrics import ReportMetrics
from tests.tiny import tiny_tokenizer
from tests.training.radscribe_golden import tiny_radscribe

RATES = GroupRates(5e-4, 1e-4, 0.01), GroupRates(1e-3, 2e-4, 0.005)
COUNT = 11
STEP_KEYS = {"train/loss_step", "train/avg_loss", "train/perplexity", "lr/encoder", "lr/decoder", "step", "epoch"}
EVAL_KEYS = {
    f"eval/{name}"
    for name in (
        *("BLEU-4", "METEOR", "ROUGE-1", "ROUGE-2", "ROUGE-L", "CIDEr"),
        *(f"CLINICAL_{figure}" for figure in ("PRECISION", "RECALL", "F1", "ACCURACY")),
        *(f"TOKEN_{figure}" for figure in ("ACCURACY", "PRECISION", "RECALL", "F1")),
    )
}


def records(count: int = COUNT) -> list[dict]:
    """Drawn once: noise for films, reports of 2 to 6 tokens."""
    generator = torch.Generator().manual_seed(0)
    films = torch.randn(count, 3, 64, 64, generator=generator)
    lengths = torch.randint(2, 7, (count,), generator=generator).tolist()
    texts = [torch.randint(2, 100, (length,), generator=generator) for length in lengths]
    return [{"pixel_values": film, "labels": text} for film, text in zip(films, texts, strict=True)]


def collate(rows: list[dict]) -> dict:
    labels = torch.nn.utils.rnn.pad_sequence([row["labels"] for row in rows], True, -100)
    return {"pixel_values": torch.stack([row["pixel_values"] for row in rows]), "labels": labels}


def with_targets(rows: list[dict]) -> dict:
    return collate(rows) | {"label_targets": torch.tensor([[1, 0]] * len(rows))}


def trainer_of(output, model=None, collator=collate, callbacks=None, metrics=None, **changes) -> RadScribeTrainer:
    torch.manual_seed(0)
    settings = {
        "per_device_train_batch_size": 1,
        "per_device_eval_batch_size": 4,
        "gradient_accumulation_steps": 4,
        "num_train_epochs": 2,
        "logging_steps": 1,
        "remove_unused_columns": False,
        "report_to": "none",
        "use_cpu": True,
        "dataloader_pin_memory": False,
        "disable_tqdm": True,
        "save_strategy": "no",
        "generation_max_length": 8,
        **changes,
    }
    return RadScribeTrainer(
        model=model or tiny_radscribe("bert_vit", "none"),
        args=Seq2SeqTrainingArguments(str(output), **settings),
        data_collator=collator,
        train_dataset=records(),
        eval_dataset=records(4),
        compute_metrics=metrics,
        callbacks=callbacks,
        rates=RATES,
    )


def weights(trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


def assert_close(one: dict, other: dict, tolerance: float) -> None:
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=0, atol=tolerance, msg=name)


class FakeConfig(dict):
    """wandb's update takes one more argument."""

    def update(self, values, allow_val_change=False):
        super().update(values)


class FakeTracker(ModuleType):
    """A module that keeps what it is told, as wandb and as trackio."""

    def __init__(self, name: str):
        super().__init__(name)
        self.logged, self.config, self.__version__, self.ConfigError = [], FakeConfig(), "1.0", KeyError
        self.run = SimpleNamespace(summary={}, _label=lambda **_: None)
        self.init = self.define_metric = self.finish = lambda *_, **__: None
        self.Image, self.Table = (lambda film: film), SimpleNamespace
        self.context_vars = SimpleNamespace(current_space_id=SimpleNamespace(get=lambda: None))

    def log(self, shown: dict) -> None:
        self.logged.append(shown)


@pytest.fixture(params=["wandb", "trackio"])
def tracker(request, monkeypatch):
    """A tracker's module, and Trainer's own callback for it."""
    name, kind = request.param, {"wandb": WandbCallback, "trackio": TrackioCallback}[request.param]
    fake = FakeTracker(name)
    for module in ("", ".sdk", ".sdk.lib", ".sdk.lib.config_util"):  # the callback imports an error from wandb's depths
        monkeypatch.setitem(sys.modules, name + module, fake)
    callback = kind.__new__(kind)  # its constructor wants the package
    vars(callback).update(_initialized=False, _space_id=None, _log_model=SimpleNamespace(is_enabled=False))
    vars(callback)[f"_{name}"] = fake
    return fake, callback


def test_a_tracker_shows_the_originals_names(tracker, tmp_path):
    fake, callback = tracker
    (tmp_path / "terms.tsv").write_text("C01\tedema\n", encoding="utf-8")
    tokenizer = tiny_tokenizer()
    figures = OriginalFigures(tokenizer, tmp_path / "terms.tsv")
    trainer = trainer_of(
        tmp_path,
        metrics=ReportMetrics(tokenizer, None, figures),
        callbacks=[callback],
        predict_with_generate=True,
        eval_strategy="epoch",
    )
    trainer.args.report_to = [fake.__name__]  # Trainer would look for the package itself
    trainer.train()
    shown = {name for entry in fake.logged for name in entry}
    reserved = {"step"} if fake.__name__ == "trackio" else set()  # trackio would rename it, and warn each time
    assert shown >= (STEP_KEYS | EVAL_KEYS | {"train/loss_epoch", "eval/loss", "train/loss"}) - reserved
    assert not shown & reserved
    if not reserved:
        assert [entry["step"] for entry in fake.logged if "lr/encoder" in entry] == [1, 2, 3, 4, 5, 6]
    assert [entry["train/loss_epoch"] for entry in fake.logged if "train/loss_epoch" in entry] == [
        pytest.approx(entry["loss_epoch"]) for entry in trainer.state.log_history if "loss_epoch" in entry
    ]
    summary = fake.run.summary if fake.__name__ == "wandb" else fake.config
    count = sum(weight.numel() for weight in trainer.model.parameters())
    assert (summary["Total params"], summary["Trainable params"]) == (count, count)


def test_without_a_tracker_nothing_is_imported(tmp_path, monkeypatch):
    for name in ("wandb", "trackio"):
        monkeypatch.setitem(sys.modules, name, None)  # an import would fail
    trainer = trainer_of(tmp_path, max_steps=1)
    trainer.train()
    assert trainer.state.global_step == 1


def test_losses_and_rates_in_the_log_by_hand(tmp_path):
    trainer = trainer_of(tmp_path)
    counted, losses = [], []  # of every micro-batch

    def keep(model, args, inputs, outputs):
        counted.append(int((inputs["labels"] != -100).sum()))
        losses.append(outputs.text_loss.item())

    trainer.model.register_forward_hook(keep, with_kwargs=True)
    trainer.train()
    history = trainer.state.log_history
    steps = [entry for entry in history if "loss_step" in entry]
    # 11 micro-batches an epoch, 4 an update: updates after 4, 8 and 11 of them, twice
    assert [entry["step"] for entry in steps] == [1, 2, 3, 4, 5, 6]
    for entry, (first, last) in zip(steps, [(0, 4), (0, 8), (0, 11), (11, 15), (11, 19), (11, 22)], strict=True):
        seen, tokens = losses[first:last], counted[first:last]
        weighted = sum(loss * count for loss, count in zip(seen, tokens, strict=True)) / sum(tokens)
        assert entry["loss_step"] == pytest.approx(seen[-1])
        assert entry["avg_loss"] == pytest.approx(sum(seen) / len(seen))
        assert entry["perplexity"] == pytest.approx(math.exp(weighted))
        assert entry["lr_encoder"] == pytest.approx(5e-4 * factor(entry["step"], 6, RATES[0]))
        assert entry["lr_decoder"] == pytest.approx(1e-3 * factor(entry["step"], 6, RATES[1]))
    ends = [entry["loss_epoch"] for entry in history if "loss_epoch" in entry]
    assert ends == [pytest.approx(sum(losses[:11]) / 11), pytest.approx(sum(losses[11:]) / 11)]


def test_an_epochs_own_log_is_not_lost_behind_loss_epoch(tmp_path):
    trainer = trainer_of(tmp_path, logging_strategy="epoch")
    trainer.train()
    assert [entry["step"] for entry in trainer.state.log_history if "loss" in entry] == [3, 6]


def test_the_label_heads_loss_is_logged_in_training_and_evaluation(tmp_path):
    model = tiny_radscribe("bert_vit", "predicted", label_names=["a", "b"], label_pieces=[[5], [6]])
    trainer = trainer_of(tmp_path, model, with_targets, max_steps=2, eval_strategy="steps", eval_steps=2)
    trainer.train()
    history = trainer.state.log_history
    assert all(entry["label_loss"] > 0 for entry in history if "loss" in entry)
    assert [entry["eval_label_loss"] > 0 for entry in history if "eval_loss" in entry] == [True]
    assert not any("label_loss" in key for entry in plain_history(tmp_path) for key in entry)


def plain_history(output) -> list[dict]:
    trainer = trainer_of(output, max_steps=1, eval_strategy="steps", eval_steps=1)
    trainer.train()
    return trainer.state.log_history


def test_accumulated_micro_batches_are_one_big_batch_and_the_remainder_is_an_update(tmp_path):
    # SGD would hide nothing: AdamW with its clipping meets the same gradients, 4 + 4 + 3 records an epoch.
    big = trainer_of(tmp_path, per_device_train_batch_size=4, gradient_accumulation_steps=1)
    small = trainer_of(tmp_path)
    for trainer in (big, small):
        trainer.train()
    assert big.state.global_step == small.state.global_step == 6
    assert_close(weights(big), weights(small), 2e-5)
    losses = [[entry["loss"] for entry in one.state.log_history if "loss" in entry] for one in (big, small)]
    assert losses[0] == [pytest.approx(loss, abs=1e-4) for loss in losses[1]]


@pytest.mark.parametrize("at", [2, 3, 4])  # within the first epoch, at its end, within the second
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, at):
    def new(output, **changes):
        model = tiny_radscribe("bert_vit", "none")
        return trainer_of(output, model, callbacks=[FreezingByEpoch(1)], save_strategy="steps", save_steps=1, **changes)

    whole = new(tmp_path / "whole")
    whole.train()
    resumed = new(tmp_path / "resumed")
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / f"checkpoint-{at}"))
    for name, value in weights(whole).items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    kept = ("loss", "loss_step", "avg_loss", "perplexity", "lr_encoder", "lr_decoder", "loss_epoch", "step")
    logs = [
        [{key: entry[key] for key in kept if key in entry} for entry in one.state.log_history]
        for one in (whole, resumed)
    ]
    assert logs[0][:-1] == logs[1][:-1]  # the last entry holds times


def test_bf16_autocast_runs_and_keeps_float32_weights(tmp_path):
    trainer = trainer_of(tmp_path, bf16=True, max_steps=2)
    before = weights(trainer)
    kinds = set()
    trainer.model.lm_head.register_forward_hook(lambda module, args, outputs: kinds.add(outputs.dtype))
    trainer.train()
    assert kinds == {torch.bfloat16}
    assert all(value.dtype == torch.float32 for value in weights(trainer).values())
    assert any(not torch.equal(value, before[name]) for name, value in weights(trainer).items())


def test_a_scalers_state_is_in_the_checkpoint_and_comes_back(tmp_path):
    # float16 wants an accelerator; the scaler itself runs here, and is what a resumed run needs.
    def scaled(start: float):
        trainer = trainer_of(tmp_path, max_steps=2, save_strategy="steps", save_steps=2)
        trainer.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=start, growth_interval=1)
        return trainer

    trainer = scaled(64.0)
    trainer.train()
    assert trainer.accelerator.scaler.get_scale() == 256.0  # doubled by each of two updates
    state = torch.load(tmp_path / "checkpoint-2" / "scaler.pt", weights_only=True)
    assert state["scale"] == 256.0
    other = scaled(2.0)
    other._load_scaler(str(tmp_path / "checkpoint-2"))
    assert other.accelerator.scaler.get_scale() == 256.0


# What the original's class makes of four series: (greater is better, scores, evaluation at which it stops or None).
SERIES = [
    (False, [5, 4, 4, 3.9995, 3.9991, 3.9], 4),
    (False, [5, 4, 3, 2, 1], None),
    (False, [3, 3.1, 3.2, 2.9, 2.95, 2.95, 2.95], 6),
    (True, [0.1, 0.2, 0.2, 0.2, 0.2], 4),
]


def stopped_at(series: list[float], greater: bool) -> int | None:
    """The evaluation after which transformers' callback stops, in the order in which Trainer calls."""
    args = SimpleNamespace(metric_for_best_model="eval_score", greater_is_better=greater)
    callback, state, control = EarlyStoppingCallback(3, 0.001), TrainerState(), TrainerControl()
    for index, score in enumerate(series):
        callback.on_evaluate(args, state, control, {"eval_score": score})
        if control.should_training_stop:
            return index
        better = state.best_metric is None or (score > state.best_metric if greater else score < state.best_metric)
        state.best_metric = score if better else state.best_metric
    return None


@pytest.mark.parametrize(("greater", "series", "stops"), SERIES)
def test_early_stopping_by_the_originals_cases(greater, series, stops):
    assert stopped_at(series, greater) == stops


def test_early_stopping_differs_where_progress_creeps():
    # Each step is below the threshold: the original adds them up until they pass it, transformers asks for one at once.
    assert stopped_at([4, 3.9995, 3.9989, 3.9984, 3.9978], greater=False) == 3


def test_the_validation_metric_stops_a_run(tmp_path):
    scores = iter([1.0, 0.9995, 1.1, 1.2, 0.1, 0.1])
    trainer = trainer_of(
        tmp_path,
        metrics=lambda prediction: {"score": next(scores)},
        callbacks=[EarlyStoppingCallback(3, 0.001)],
        eval_strategy="steps",
        eval_steps=1,
        metric_for_best_model="eval_score",
        greater_is_better=False,
    )
    trainer.train()
    assert trainer.state.global_step == 4


def test_losses_of_an_epoch_survive_a_checkpoint():
    losses = EpochLosses()
    losses.add(torch.tensor(2.0), torch.tensor(3))
    losses.add(torch.tensor(4.0), torch.tensor(1))
    # (2 + 4) / 2 = 3; (2 * 3 + 4 * 1) / 4 = 2.5
    assert losses.figures() == {"loss_step": 4.0, "avg_loss": 3.0, "perplexity": pytest.approx(math.exp(2.5))}
    saved = json.loads(json.dumps({"EpochLosses": losses.state()}))
    other = EpochLosses()
    other.on_train_begin(None, SimpleNamespace(global_step=1, stateful_callbacks=saved), None)
    other.on_epoch_begin(None, SimpleNamespace(epoch=0.5), None)
    assert other.figures() == losses.figures()
    other.on_epoch_begin(None, SimpleNamespace(epoch=1.0), None)
    assert other.figures() == {}
