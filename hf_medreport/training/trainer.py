"""Seq2SeqTrainer with what report models need: weighted sources, hardware in the log, reports scored in validation."""

import copy
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import sacrebleu
import torch
from torch.utils.data import Sampler, SequentialSampler
from transformers import Seq2SeqTrainer
from transformers.trainer_pt_utils import get_length_grouped_indices

from hf_medreport.phantom.parser import parse_report
from hf_medreport.phantom.score import score_facts
from hf_medreport.phantom.slide.parser import parse_slide_report


class DrawsByEpoch(Sampler, ABC):
    """An order of records that depends on seed and epoch alone.

    A generator that runs on from epoch to epoch, as torch's and transformers' samplers have it, starts over in a
    resumed run, which then sees other records than the run that was killed.
    """

    def __init__(self, count: int, seed: int):
        self.count, self.seed, self.epoch = count, seed, 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self):
        yield from self.order(torch.Generator().manual_seed(self.seed + self.epoch))

    @abstractmethod
    def order(self, generator: torch.Generator) -> list[int]:
        """The indices of one epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer at the head of each epoch."""
        self.epoch = epoch


class WeightedDraws(DrawsByEpoch):
    """As many records an epoch as there are, drawn by weight with replacement."""

    def __init__(self, weights: list[float], seed: int):
        super().__init__(len(weights), seed)
        self.weights = torch.tensor(weights, dtype=torch.double)

    def order(self, generator: torch.Generator) -> list[int]:
        return torch.multinomial(self.weights, len(self), replacement=True, generator=generator).tolist()


class LikeLengths(DrawsByEpoch):
    """Every record once an epoch, batches of records of like length, so that little is padded."""

    def __init__(self, lengths: list[int], batch_size: int, seed: int):
        super().__init__(len(lengths), seed)
        self.lengths, self.batch_size = lengths, batch_size

    def order(self, generator: torch.Generator) -> list[int]:
        return get_length_grouped_indices(self.lengths, self.batch_size, generator=generator)


class ReportTrainer(Seq2SeqTrainer):
    """Adds to Seq2SeqTrainer: weighted sources, batches of like lengths, a log of the hardware, and resuming that keeps
    every weight.

    Args:
        sample_weights: how often each training record is drawn, relative to the others; None draws each once an epoch.
    """

    def __init__(self, *args, sample_weights: list[float] | None = None, **kwargs):
        super().__init__(*args, **kwargs)
        self.sample_weights = sample_weights

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

    def _load_from_checkpoint(self, resume_from_checkpoint, model=None):
        self.load_weights(resume_from_checkpoint)

    def _load_best_model(self):
        self.load_weights(self.state.best_model_checkpoint)

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


def chest_facts(generated: list[str], references: list[str]) -> dict[str, float]:
    """Facts of phantom chests, parsed from both: `fact_f1` asks for kind, side, zone and severity, `kind_f1` for the
    kind."""
    scores = score_facts([parse_report(text) for text in generated], [parse_report(text) for text in references])
    return {"fact_f1": scores["exact"]["f1"] or 0.0, "kind_f1": scores["kind"]["f1"] or 0.0}


def slide_facts(generated: list[str], references: list[str]) -> dict[str, float]:
    """Facts of phantom slides, parsed from both: `fact_f1` over (field, value) pairs."""
    pairs = zip(map(parse_slide_report, generated), map(parse_slide_report, references), strict=True)
    hits, stated, true = np.sum([(len(one & other), len(one), len(other)) for one, other in pairs], axis=0)
    return {"fact_f1": float(2 * hits / max(stated + true, 1))}


class ReportMetrics:
    """`compute_metrics` for generated reports; also keeps a table of samples.

    BLEU-4 is sacrebleu's (0 to 100).

    Args:
        tokenizer: of the model.
        samples: file of the sample table, one JSON object a line; None keeps none.
        facts: more metrics of (generated, references), for reports that follow a phantom's grammar.
    """

    NUM_SAMPLES = 8

    def __init__(self, tokenizer, samples: Path | None, facts: Callable[[list, list], dict] | None = None):
        self.tokenizer, self.samples, self.facts = tokenizer, samples, facts

    def __call__(self, prediction) -> dict[str, float]:
        generated, references = self._texts(prediction.predictions), self._texts(prediction.label_ids)
        metrics = {"bleu4": sacrebleu.corpus_bleu(generated, [references]).score}
        if self.facts is not None:
            metrics |= self.facts(generated, references)
        if self.samples is not None and int(os.environ.get("RANK", "0")) == 0:
            pairs = list(zip(references, generated, strict=True))[: self.NUM_SAMPLES]
            with self.samples.open("a", encoding="utf-8") as table:
                for reference, text in pairs:
                    table.write(json.dumps({**metrics, "reference": reference, "generated": text}) + "\n")
        return metrics

    def _texts(self, ids: np.ndarray) -> list[str]:
        end = self.tokenizer.eos_token_id
        rows = np.where(ids == -100, end, ids)
        return [text.strip() for text in self.tokenizer.batch_decode(rows, skip_special_tokens=True)]
