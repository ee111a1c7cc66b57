"""Seq2SeqTrainer with what report models need: weighted sources, hardware in the log, reports scored in validation
and shown with their films."""

import copy
import os
from pathlib import Path

import psutil
import torch
from torch.utils.data import SequentialSampler
from transformers import Seq2SeqTrainer

from hf_medreport.training.changed_settings import check_shapes
from hf_medreport.training.report_metrics import ReportMetrics
from hf_medreport.training.samplers import LikeLengths, WeightedDraws
from hf_medreport.training.shown_samples import ShownSamples


class ReportTrainer(Seq2SeqTrainer):
    """Adds to Seq2SeqTrainer: weighted sources, batches of like lengths, a log of the hardware, and resuming that keeps
    every weight.

    Args:
        sample_weights: how often each training record is drawn, relative to the others; None draws each once an epoch.
    """

    def __init__(self, *args, sample_weights: list[float] | None = None, **kwargs):
        super().__init__(*args, **kwargs)
        self.sample_weights = sample_weights
        self.best_step = None  # of the weights, once the best ones were loaded
        self.add_callback(ShownSamples(self))

    def _get_train_sampler(self, train_dataset=None):
        seed = self.args.data_seed if self.args.data_seed is not None else self.args.seed
        if self.sample_weights is not None:
            return WeightedDraws(self.sample_weights, seed)
        dataset = self.train_dataset if train_dataset is None else train_dataset
        if self.args.train_sampling_strategy == "group_by_length":
            batch = self.args.train_batch_size * self.args.gradient_accumulation_steps
            return LikeLengths(dataset.lengths, batch, seed)
        return super()._get_train_sampler(train_dataset)

    def _get_eval_sampler(self, eval_dataset):
        return SequentialSampler(eval_dataset)  # whatever the order of training: samples are the first records

    def get_eval_dataloader(self, eval_dataset=None):
        drop_last, self.args.dataloader_drop_last = self.args.dataloader_drop_last, False
        try:
            return super().get_eval_dataloader(eval_dataset)  # an evaluation leaves no record out
        finally:
            self.args.dataloader_drop_last = drop_last

    def load_weights(self, folder: str | os.PathLike) -> None:
        """Weights of a checkpoint folder. Trainer itself copies tensors by name and only warns where none fits; names
        in a saved file may differ from those in memory (DINOv3), and only `from_pretrained` knows both."""
        model = self.accelerator.unwrap_model(self.model)
        model.load_state_dict(type(model).from_pretrained(folder, dtype=model.dtype).state_dict())

    def check_weights(self, folder: str | os.PathLike) -> None:
        """Refuse a checkpoint whose weights do not fit, see `check_shapes`."""
        check_shapes(self.accelerator.unwrap_model(self.model), Path(folder))

    def _load_from_checkpoint(self, resume_from_checkpoint, model=None):
        self.load_weights(resume_from_checkpoint)

    def load_best_weights(self) -> None:
        """Weights of the checkpoint that scored best."""
        self.load_weights(self.state.best_model_checkpoint)
        self.best_step = self.state.best_global_step

    def _load_best_model(self):
        self.load_best_weights()

    def prediction_step(self, *args, **kwargs):
        if not self.args.predict_with_generate:
            return super().prediction_step(*args, **kwargs)
        # Seq2SeqTrainer writes defaults into the model's own settings, and generate then warns at every batch that
        # max_length is there beside max_new_tokens.
        settings = copy.deepcopy(self.model.generation_config)
        try:
            return super().prediction_step(*args, **kwargs)
        finally:
            self.model.generation_config = settings

    def evaluation_loop(self, *args, **kwargs):
        # Seq2SeqTrainer gathers with the records that fill the processes' last batches up, which then count twice.
        self.gather_function = self.accelerator.gather_for_metrics
        if isinstance(self.compute_metrics, ReportMetrics):
            self.compute_metrics.step = self.state.global_step if self.best_step is None else self.best_step
        return super().evaluation_loop(*args, **kwargs)

    def log(self, logs: dict, *args, **kwargs) -> None:
        super().log({**logs, **hardware_use()}, *args, **kwargs)


def hardware_use() -> dict[str, float]:
    """Processor in percent since the last call, memory in GiB, and GPU memory where there is a GPU."""
    use = {
        "cpu_percent": psutil.cpu_percent(),
        "memory_gib": round(psutil.Process().memory_info().rss / 2**30, 3),
    }
    if torch.cuda.is_available():
        use["gpu_memory_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 3)
    return use
