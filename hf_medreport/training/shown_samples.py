"""Sample reports with their films for who looks on while a model learns: tensorboard, trackio or Weights & Biases.

After each evaluation that writes reports, the first records of the validation set are shown: the film, the true report
and what the model writes by now. Records without a film, such as slides' features, are shown by their words.
"""

import importlib

import numpy as np
from PIL import Image
from transformers import TrainerCallback
from transformers.integrations import TensorBoardCallback

from hf_medreport.inference.report import preview

COLUMNS = ("film", "reference", "generated")
NAME = "eval/samples"


class ShownSamples(TrainerCallback):
    """Shows what the trainer's `ReportMetrics` scored last, where the run reports to.

    Args:
        trainer: whose evaluation takes the records of `eval_dataset` in their order.
    """

    def __init__(self, trainer):
        self.trainer, self.learning, self.films = trainer, False, None

    def on_train_begin(self, args, state, control, **kwargs):
        self.learning = True

    def on_train_end(self, args, state, control, **kwargs):
        self.learning = False  # trackers have closed: what comes after is in the table of samples

    def on_evaluate(self, args, state, control, **kwargs):
        pairs = getattr(self.trainer.compute_metrics, "shown", [])  # metrics that write no reports have none
        writer = self._writer()
        modules = trackers(args, state)
        if not (self.learning and state.is_world_process_zero and pairs and (modules or writer)):
            return
        if self.films is None:  # the same at each evaluation
            self.films = [film_of(self.trainer.eval_dataset[index]) for index in range(len(pairs))]
        rows = [(film, *texts) for film, texts in zip(self.films, pairs, strict=True)]
        for module in modules:
            cells = [[None if film is None else module.Image(film), *texts] for film, *texts in rows]
            shown = {NAME: module.Table(columns=list(COLUMNS), data=cells)}
            module.log(shown | {"train/global_step": state.global_step})  # as Trainer's own callbacks do
        if writer is not None:
            _write(writer, rows, state.global_step)

    def _writer(self):
        """TensorBoard's, where the run reports to it."""
        callbacks = self.trainer.callback_handler.callbacks
        return next((each.tb_writer for each in callbacks if isinstance(each, TensorBoardCallback)), None)


def trackers(args, state) -> list:
    """The modules of the trackers that this process reports to, of those that take any name."""
    if not state.is_world_process_zero:
        return []
    return [importlib.import_module(name) for name in ("wandb", "trackio") if name in args.report_to]


def film_of(record: dict) -> Image.Image | None:
    """The film of a record, of several the first that is there, as 8 bits between its darkest and brightest value."""
    film = next((record[view] for view in ("image", "lateral") if record.get(view) is not None), None)
    if film is None:
        return None
    film = preview(np.asarray(film)).astype(np.float32)
    low, high = float(film.min()), float(film.max())
    return Image.fromarray(np.rint(255 * (film - low) / max(high - low, 1e-6)).astype(np.uint8))


def _write(writer, rows: list[tuple], step: int) -> None:
    """Films as pictures, and the texts beside them, under one number each."""
    for number, (film, reference, generated) in enumerate(rows, start=1):
        if film is not None:
            form = "HW" if film.mode == "L" else "HWC"
            writer.add_image(f"{NAME}/{number}", np.asarray(film), step, dataformats=form)
        writer.add_text(f"{NAME}/{number}", f"**generated:** {generated}\n\n**reference:** {reference}", step)
    writer.flush()
