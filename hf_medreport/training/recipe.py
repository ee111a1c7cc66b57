"""What every report recipe shares: its arguments, the run around the trainer, the manifest and the final folder.

A recipe reads its arguments (`RunArguments`), opens its data, builds its model and hands a trainer to `fit`, then to
`finish`. What it is called where: drawn training cases, be they films, pairs or slides, are `phantom_cases`.
"""

import importlib.metadata
import json
import logging
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from torch.utils.data import ConcatDataset
from transformers import (
    EarlyStoppingCallback,
    GenerationConfig,
    ProgressCallback,
    Seq2SeqTrainingArguments,
    TrainerState,
)

from hf_medreport.data.tables import ReportDataset
from hf_medreport.files.interruption import INTERRUPTIONS
from hf_medreport.files.writing import output_folder, sha256, write_json
from hf_medreport.hub.card import write_card
from hf_medreport.hub.folder import save_folder
from hf_medreport.processing.input_error import InputError
from hf_medreport.training.changed_settings import as_written, check_inputs, check_settings
from hf_medreport.training.precision import chosen_bf16
from hf_medreport.training.report_metrics import drop_samples_beyond
from hf_medreport.training.trainer import ReportTrainer

TEST_BENCH = "written by a test-bench model that learned from drawn images: no clinical statement"
PACKAGES = ("hf-medreport", "torch", "transformers", "accelerate", "numpy")
ENDS = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
SAMPLES, MANIFEST = "samples.jsonl", "manifest.json"  # in the output folder

logger = logging.getLogger(__name__)


@dataclass
class ReportDataArguments:
    """The data: tables of images and reports, or the phantom."""

    train_data: list[str] = field(default_factory=list, metadata={"help": "CSV, JSONL, Parquet or datasets folders."})
    validation_data: str | None = field(default=None, metadata={"help": "One table."})
    phantom_cases: int = field(default=0, metadata={"help": "Draw so many training cases instead of reading tables."})
    phantom_validation_cases: int = field(default=100, metadata={"help": "Draw so many to evaluate on."})
    phantom_seed: int = 0
    skip_bad_rows: bool = field(
        default=False, metadata={"help": "Leave out and list bad rows, and films that do not decode (all are read)."}
    )


@dataclass
class FilmDataArguments(ReportDataArguments):
    """The same, of films, whose DICOM headers may say that they are none or lie otherwise."""

    orient: str | None = field(
        default=None,
        metadata={"help": "Of mirrored or turned films: header turns them, stored takes them so."},
    )
    frame: int | None = field(default=None, metadata={"help": "Which frame of films that hold several, from 0."})
    any_modality: bool = field(default=False, metadata={"help": "Also DICOM files that are no chest films."})

    @property
    def of_films(self) -> dict:
        """These three, as `ReportDataset` takes them."""
        return {"orient": self.orient, "frame": self.frame, "any_modality": self.any_modality}


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
    resume: bool = field(default=False, metadata={"help": "Go on with the run in output_dir, if there is one."})
    allow_changed_settings: bool = field(
        default=False, metadata={"help": "Go on though settings or tables are not those that the run was begun with."}
    )
    overwrite: bool = field(default=False, metadata={"help": "Remove what an older run wrote to output_dir."})
    evaluation_cases: int = field(default=500, metadata={"help": "Phantom cases that the card's figures come from."})

    def __post_init__(self):
        if self.label_smoothing_factor:  # Trainer's smoother computes a loss of its own, from logits and labels alone
            found, remedy = f"{self.label_smoothing_factor:g}", "leave it out: these models compute their own losses"
            raise InputError("label_smoothing_factor", found, "0", remedy)
        # Encoders keep weights that a report's loss never reaches (DINO's mask token).
        if self.ddp_find_unused_parameters is None:
            self.ddp_find_unused_parameters = True
        self.bf16 = chosen_bf16(self.bf16, self.fp16)
        if self.disable_tqdm is None:
            self.disable_tqdm = not sys.stderr.isatty()  # a bar in a pipe is a line a step
        if not torch.accelerator.is_available():  # transformers wants to be told, or refuses bf16
            self.use_cpu, self.dataloader_pin_memory = True, False
        super().__post_init__()


@dataclass
class WarmUpArguments(ReportRecipeArguments):
    """The warm-up: an encoder learns to see before the decoder learns to write."""

    encoder_steps: int = field(default=0, metadata={"help": "Warm-up of the encoder on findings; phantom only."})
    warm_up_folder: str | None = field(
        default=None,
        metadata={"help": "Where warmed-up weights are kept and found again. Default: OUTPUT_DIR/warm-up."},
    )
    warm_up_batch_size: int = 32
    warm_up_rate: float = 2e-3


@dataclass
class RunArguments:
    """What a run was asked for: the system, the YAML, and what YAML and flags say of model, data and training.

    Raises:
        InputError: a file in the folder's place, an older run in it that is neither to be gone on with nor to be
            overwritten, or one to go on with that was begun with other settings.
    """

    system: str
    config: str | None
    model: object
    data: ReportDataArguments
    training: ReportRecipeArguments

    def __post_init__(self):
        if self.training.process_index == 0:  # other processes may come when this one has begun to write
            _try_to_write(self.output)
            refuse_older_run(self.training)
        if (point := resume_point(self.training)) is not None:
            check_settings(self, point.parent / MANIFEST)

    @property
    def output(self) -> Path:
        """The run's folder."""
        return Path(self.training.output_dir)

    @property
    def command(self) -> str:
        """What starts the run, flags left out; of a YAML elsewhere only its name, for the card goes to others."""
        config = Path(self.config or "")
        flags = f" --config {config.name if config.is_absolute() else config}" if self.config else ""
        return f"hf-medreport train {self.system}{flags}"


def check_source(data: ReportDataArguments) -> None:
    """Refuse data from two sources, or from none."""
    if bool(data.phantom_cases) == bool(data.train_data):
        found = "both" if data.train_data else "neither"
        raise InputError("train_data, phantom_cases", found, "one of them", "name tables, or draw phantom cases")


def check_evaluation(arguments: ReportRecipeArguments, validation_data: str | None, phantoms: int) -> None:
    """Refuse, before any work, an evaluation that cannot be: of reports from tables or from so many phantoms.

    Raises:
        InputError: patience without evaluations, evaluations without data, or facts where none are known.
    """
    evaluates = arguments.eval_strategy != "no"
    if arguments.early_stopping_patience and not evaluates:
        raise InputError("early_stopping_patience", "eval_strategy no", "steps or epoch", "set eval_strategy")
    if evaluates and not (validation_data or phantoms):
        raise InputError("validation_data", "none", "a table to evaluate on", "name it or set eval_strategy to no")
    if (arguments.metric_for_best_model or "").endswith(("fact_f1", "kind_f1")) and not phantoms:
        found = f"{arguments.metric_for_best_model} on real reports"
        raise InputError("metric_for_best_model", found, "eval_loss or eval_bleu4", "facts are known of phantoms only")


def from_names(**parts) -> bool:
    """Whether a model's parts are names to load; False where they are mappings to build from scratch.

    Raises:
        InputError: a mixture, or a part is missing.
    """
    if all(isinstance(part, str) and part for part in parts.values()):
        return True
    if all(isinstance(part, dict) for part in parts.values()):
        return False
    kinds = ["a configuration" if isinstance(part, dict) else "a name" if part else "none" for part in parts.values()]
    raise InputError(", ".join(parts), " and ".join(kinds), "two names or two configurations", "choose")


@contextmanager
def loading(**parts: str | None):
    """Around the loading of parts by their names, None for none: InputError says which they were where one does not
    load."""
    try:
        yield
    except OSError as error:
        named = {part: repr(name) for part, name in parts.items() if name}
        several = len(named) > 1
        found = f"{', '.join(named.values())}, {'of which one' if several else 'which'} does not load"
        expected = "folders or repository ids" if several else "a folder or repository id"
        raise InputError(", ".join(named), found, expected, "check the names, or go online") from error
    except (UnpicklingError, SafetensorError) as error:
        found, remedy = "weights that are broken, or objects besides tensors", "save it again with save_pretrained"
        raise InputError(", ".join(filter(parts.get, parts)), found, "whole weights as .safetensors", remedy) from error


def _try_to_write(output: Path) -> None:
    """Say before the work that an output folder cannot be; one that was not there is not left by other refusals."""
    made = not output.exists()
    try:
        output_folder(output)
    except InputError as error:
        raise InputError("output_dir", error.found, error.expected, "choose another `output_dir`") from None
    if made:
        output.rmdir()


def tables_of(data: ReportDataArguments) -> list[Path]:
    """The files that `train_data` and `validation_data` name."""
    return [Path(table) for table in (*data.train_data, *([data.validation_data] if data.validation_data else []))]


def log_skipped(tables: Iterable[ReportDataset]) -> None:
    """Say which tables lost how many rows, and why each one was left out."""
    for table in tables:
        if table.skipped:
            logger.warning("%s: %d bad rows left out:", table.path, len(table.skipped))
        for problem in table.skipped:
            logger.warning("  %s", problem)


def texts_of(records) -> Iterator[str]:
    """Every report of a data set, or of several joined by torch."""
    sources = records.datasets if isinstance(records, ConcatDataset) else [records]
    return (text for source in sources for text in source.texts())


def fit(trainer: ReportTrainer, asked: RunArguments, inputs: list[Path]) -> dict:
    """Train to the end, from where a killed run stopped if that is asked for; returns the last metrics.

    Args:
        inputs: the files that the data comes from, for the manifest.
    """
    arguments = asked.training
    point = resume_point(arguments)
    state = TrainerState.load_from_json(str(point / "trainer_state.json")) if point is not None else TrainerState()
    manifest = manifest_of(asked, len(trainer.train_dataset), inputs)
    if point is not None:
        trainer.check_weights(point)
        check_inputs(asked, point.parent / MANIFEST, manifest["inputs"])
    if trainer.is_world_process_zero():
        if arguments.overwrite:
            remove_older_run(arguments)
        write_manifest(asked, manifest, None if point is None else state.global_step)
        drop_samples_beyond(asked.output / SAMPLES, state.global_step)
    if arguments.early_stopping_patience:
        patience, threshold = arguments.early_stopping_patience, arguments.early_stopping_threshold
        trainer.add_callback(EarlyStoppingCallback(patience, threshold))
    if point is not None and is_finished(state, arguments):  # Trainer would go a step too far
        trainer.state = state
        if arguments.load_best_model_at_end and state.best_model_checkpoint:
            trainer.load_best_weights()
        else:
            trainer.load_weights(point)
    else:
        with saying_what_is_kept(trainer):
            trainer.train(resume_from_checkpoint=point and str(point))
    metrics = {"global_step": trainer.state.global_step}
    return metrics | (trainer.evaluate() if trainer.eval_dataset is not None else {})


def finish(
    trainer: ReportTrainer,
    asked: RunArguments,
    metrics: dict,
    model,
    processor,
    evaluate: Callable[[Path], dict],
    described: dict,
    generation: dict | None = None,
) -> dict:
    """Save what was trained, score the saved folder and write its card; the first of several processes does.

    Args:
        metrics: what `fit` gave.
        model: what is saved: the trainer's own, without what wraps it, or a part of that.
        evaluate: folder -> {split: scores}; asked where phantoms were trained on, whose truth is known.
        described: `base` and `data` of the card.
        generation: how reports are to be generated, such as `max_new_tokens`; None of a model that writes none.

    Returns:
        The metrics and the folder's path, as `model`.
    """
    if not trainer.is_world_process_zero():
        return metrics
    folder = asked.output / asked.training.model_name
    if generation is not None:
        ends = {name: getattr(model.generation_config, name) for name in ENDS}
        model.generation_config = GenerationConfig(**generation, **ends)  # not what a schedule has left there
    save_weights(model, processor, folder, asked.training.half_precision_weights)
    evaluation = {}
    if asked.data.phantom_cases:
        logger.info("saved %s; now it is scored on drawn cases", folder.name)
        evaluation = evaluate(folder)
    if evaluation:
        write_json(folder / "evaluation.json", evaluation)
    write_model_card(folder, evaluation, asked, described)
    return metrics | {"model": str(folder)}


def write_model_card(folder: Path, evaluation: dict, asked: RunArguments, described: dict, tables=None) -> None:
    """The card of a folder that a recipe made; `described` as in `finish`, `tables` as in `write_card`."""
    name, told = asked.training.model_name, {key: without_places(text) for key, text in described.items()}
    write_card(folder, evaluation, model_name=name, command=asked.command, tables=tables, **told)


def without_places(text: str) -> str:
    """Names of files, repositories and folders, joined by commas or "and", without where they lie on this machine."""
    parts = re.split(r"(, | and )", text)
    return "".join(Path(part).name if os.path.isabs(part) else part for part in parts)


@contextmanager
def saying_what_is_kept(trainer: ReportTrainer) -> Iterator[None]:
    """Around training: an interruption is noted how far it came, and from where a resumed run goes on."""
    try:
        yield
    except INTERRUPTIONS as interruption:
        if (bar := trainer.pop_callback(ProgressCallback)) is not None:
            bar.on_train_end(trainer.args, trainer.state, trainer.control)  # ends the line that the bar stands on
        done, last = trainer.state.global_step, last_checkpoint(trainer.args)
        left, kept = max(0, trainer.state.max_steps - done), 0 if last is None else step_of(last)
        interruption.add_note(f"interrupted: {done} steps done, {left} left; `resume` goes on after step {kept}")
        raise


def refuse_older_run(arguments: ReportRecipeArguments) -> None:
    """InputError for a folder with an older run, unless this one goes on with it or overwrites it; or for both."""
    goes_on = arguments.resume or arguments.resume_from_checkpoint is not None
    if goes_on and arguments.overwrite:
        raise InputError("overwrite", "it beside `resume`", "one of the two", "leave out the other")
    folder = Path(arguments.output_dir)
    if ((folder / MANIFEST).exists() or checkpoints(folder)) and not goes_on and not arguments.overwrite:
        remedy = "go on with `resume`, begin anew with `overwrite`, or choose another `output_dir`"
        raise InputError(folder.absolute().name, "an older run", "a folder without", remedy)


def remove_older_run(arguments: ReportRecipeArguments) -> None:
    """Remove the checkpoints, samples and manifest of an older run. Warmed-up weights stay, to be found; the model is
    replaced at the end."""
    folder = Path(arguments.output_dir)
    for checkpoint in checkpoints(folder):
        shutil.rmtree(checkpoint)
    for path in [folder / SAMPLES, folder / MANIFEST, *folder.glob("manifest-*.json")]:
        path.unlink(missing_ok=True)


def checkpoints(folder: Path) -> list[Path]:
    """Those of a run, also such as a kill has cut."""
    return [path for path in folder.glob("checkpoint-*") if path.is_dir() and path.name.split("-")[1].isdecimal()]


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.split("-")[1])


def last_checkpoint(arguments: ReportRecipeArguments) -> Path | None:
    """The last one that is whole: Trainer writes the state last, and one without it was cut by a kill."""
    whole = [path for path in checkpoints(Path(arguments.output_dir)) if (path / "trainer_state.json").is_file()]
    return max(whole, key=step_of, default=None)


def resume_point(arguments: ReportRecipeArguments) -> Path | None:
    """The checkpoint to go on from; of `resume`, or `resume_from_checkpoint="true"`, the last one, if there is one."""
    point = arguments.resume_from_checkpoint
    if str(point).lower() == "true" or arguments.resume and point is None:
        point = last_checkpoint(arguments)
    elif point is not None and not Path(point).is_dir():
        raise InputError(
            "resume_from_checkpoint", f"no folder {point}", "true or a checkpoint folder", "check the path"
        )
    return point and Path(point)


def is_finished(state: TrainerState, arguments: ReportRecipeArguments) -> bool:
    """Whether a checkpoint's state is that of the run's end."""
    if arguments.max_steps > 0:
        return state.global_step >= arguments.max_steps
    return state.epoch >= arguments.num_train_epochs


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


def manifest_of(asked: RunArguments, records: int, inputs: list[Path]) -> dict:
    """What the run is: versions, arguments, number of training records, SHA-256 of its tables."""
    files = [file for path in inputs for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return {
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "threads": torch.get_num_threads(),
        "training_records": records,
        "inputs": {str(file): sha256(file) for file in files if file.is_file()},
        "model": as_written(asked.model),
        "data": as_written(asked.data),
        "training": json.loads(asked.training.to_json_string()),
    }


def write_manifest(asked: RunArguments, manifest: dict, resumed_after: int | None) -> None:
    """Into the run's folder. The one that a run was begun with is kept; where it was gone on with by changed settings,
    theirs is written beside it, named after the step that came before."""
    first = asked.output / MANIFEST
    if resumed_after is None or not first.is_file():
        write_json(first, manifest)
    elif asked.training.allow_changed_settings:
        write_json(asked.output / f"manifest-{resumed_after}.json", manifest)
