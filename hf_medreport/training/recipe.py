"""What every report recipe shares: its arguments, the run around the trainer, the manifest and the final folder."""

import importlib.metadata
import json
import platform
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch.utils.data import ConcatDataset
from transformers import EarlyStoppingCallback, GenerationConfig, Seq2SeqTrainingArguments, TrainerState

from hf_medreport.data.tables import ReportDataset
from hf_medreport.files.writing import sha256, write_json
from hf_medreport.hub.folder import save_folder
from hf_medreport.processing.input_error import InputError
from hf_medreport.training.precision import chosen_bf16
from hf_medreport.training.trainer import ReportTrainer

TEST_BENCH = "written by a test-bench model that learned from drawn images: no clinical statement"
PACKAGES = ("hf-medreport", "torch", "transformers", "accelerate", "numpy")
ENDS = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")


@dataclass
class ReportRecipeArguments(Seq2SeqTrainingArguments):
    """Trainer's arguments with defaults for reports."""

    predict_with_generate: bool = True
    bf16: str = field(default="false", metadata={"help": "true, false, or auto: what the machine does well."})
    remove_unused_columns: bool = False
    early_stopping_patience: int = field(default=0, metadata={"help": "Evaluations without progress; 0 never stops."})
    restore_callback_states_from_checkpoint: bool = True  # a resumed run goes on counting evaluations without progress
    early_stopping_threshold: float = field(default=0.0, metadata={"help": "What an evaluation must gain to count."})
    half_precision_weights: bool = field(default=False, metadata={"help": "Save the model's weights in float16."})
    model_name: str = field(default="model", metadata={"help": "Of the final folder, and in its card."})

    def __post_init__(self):
        # Encoders keep weights that a report's loss never reaches (DINO's mask token).
        if self.ddp_find_unused_parameters is None:
            self.ddp_find_unused_parameters = True
        self.bf16 = chosen_bf16(self.bf16, self.fp16)
        if not torch.accelerator.is_available():  # transformers wants to be told, or refuses bf16
            self.use_cpu, self.dataloader_pin_memory = True, False
        super().__post_init__()


def check_evaluation(arguments: ReportRecipeArguments, validation_data: str | None, phantoms: int) -> None:
    """Refuse, before any work, an evaluation that cannot be: of chest reports from tables or from so many phantoms.

    Raises:
        InputError: patience without evaluations, evaluations without data, or facts where none are known.
    """
    evaluates = arguments.eval_strategy != "no"
    if arguments.early_stopping_patience and not evaluates:
        raise InputError("early_stopping_patience", "eval_strategy no", "steps or epoch", "set eval_strategy")
    if evaluates and not (validation_data or phantoms):
        raise InputError("validation_data", "none", "a table to evaluate on", "name it or set eval_strategy to no")
    if (arguments.metric_for_best_model or "").endswith(("fact_f1", "kind_f1")) and not phantoms:
        found = f"{arguments.metric_for_best_model} on tables"
        raise InputError("metric_for_best_model", found, "eval_loss or eval_bleu4", "facts are known of phantoms only")


def tables_of(data) -> list[Path]:
    """The files that `train_data` and `validation_data` of a recipe name."""
    return [Path(table) for table in (*data.train_data, *([data.validation_data] if data.validation_data else []))]


def print_skipped(tables: Iterable[ReportDataset]) -> None:
    """Say which tables lost rows, and why the first one was left out."""
    for table in tables:
        if table.skipped:
            print(f"{table.path}: {len(table.skipped)} bad rows left out, first: {table.skipped[0]}")


def texts_of(records) -> Iterator[str]:
    """Every report of a data set, or of several joined by torch."""
    sources = records.datasets if isinstance(records, ConcatDataset) else [records]
    return (text for source in sources for text in source.texts())


def fit(trainer: ReportTrainer) -> dict:
    """Train to the end, from where a killed run stopped if that is asked for; returns the last metrics."""
    arguments = trainer.args
    if arguments.early_stopping_patience:
        patience, threshold = arguments.early_stopping_patience, arguments.early_stopping_threshold
        trainer.add_callback(EarlyStoppingCallback(patience, threshold))
    point = resume_point(arguments)
    if point is not None and is_finished(point, arguments):  # Trainer would go a step too far
        trainer.state = TrainerState.load_from_json(str(point / "trainer_state.json"))
        best = trainer.state.best_model_checkpoint if arguments.load_best_model_at_end else None
        trainer.load_weights(best or point)
    else:
        trainer.train(resume_from_checkpoint=point and str(point))
    metrics = {"global_step": trainer.state.global_step}
    return metrics | (trainer.evaluate() if trainer.eval_dataset is not None else {})


def resume_point(arguments: ReportRecipeArguments) -> Path | None:
    """`--resume_from_checkpoint true` is the last checkpoint of the output folder, if there is one."""
    point = arguments.resume_from_checkpoint
    if str(point).lower() == "true":
        # Trainer writes the state last: a checkpoint without it was cut by a kill.
        whole = [state.parent for state in Path(arguments.output_dir).glob("checkpoint-*/trainer_state.json")]
        point = max(whole, key=lambda folder: int(folder.name.split("-")[1]), default=None)
    elif point is not None and not Path(point).is_dir():
        raise InputError(
            "resume_from_checkpoint", f"no folder {point}", "true or a checkpoint folder", "check the path"
        )
    return point and Path(point)


def is_finished(point: Path, arguments: ReportRecipeArguments) -> bool:
    """Whether a checkpoint is where the run ends."""
    state = TrainerState.load_from_json(str(point / "trainer_state.json"))
    if arguments.max_steps > 0:
        return state.global_step >= arguments.max_steps
    return state.epoch >= arguments.num_train_epochs


def save_model(model, processor, folder: Path, half_precision: bool, **generation) -> None:
    """A model that writes as a folder that loads anywhere; see `save_weights`.

    Args:
        generation: how reports are to be generated, such as `max_new_tokens`.
    """
    ends = {name: getattr(model.generation_config, name) for name in ENDS}
    model.generation_config = GenerationConfig(**generation, **ends)  # not what a schedule has left there
    save_weights(model, processor, folder, half_precision)


def save_weights(model, processor, folder: Path, half_precision: bool) -> None:
    """The model as a folder that loads anywhere; half-precision weights are read back as float32."""
    if half_precision:
        model = model.half()
    save_folder(model.eval(), processor, folder)
    if half_precision:
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        settings["dtype"] = "float32"
        write_json(folder / "config.json", settings, sort_keys=True)


def fingerprint(settings: list) -> str:
    """Eight hex digits of what a cached part was made from."""
    return sha256(json.dumps(settings, default=str, sort_keys=True).encode())[:8]


def write_manifest(output: Path, records: int, tables: list[Path], model, data, arguments) -> None:
    """What the run was: versions, arguments, number of training records, SHA-256 of its tables."""
    files = [file for table in tables for file in (sorted(table.rglob("*")) if table.is_dir() else [table])]
    manifest = {
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "threads": torch.get_num_threads(),
        "training_records": records,
        "inputs": {str(file): sha256(file) for file in files if file.is_file()},
        "model": asdict(model),
        "data": asdict(data),
        "training": json.loads(arguments.to_json_string()),
    }
    write_json(output / "manifest.json", manifest, default=str)
