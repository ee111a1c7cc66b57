"""The figures of each round and its pictures for who looks on: tensorboard, trackio or Weights & Biases."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from accelerate import PartialState
from accelerate.tracking import TensorBoardTracker, TrackioTracker, WandBTracker
from PIL import Image

from hf_medreport.processing.input_error import InputError

__all__ = ["Tracking", "check_report_to", "tracking_to"]

TRACKERS = {"tensorboard": TensorBoardTracker, "trackio": TrackioTracker, "wandb": WandBTracker}
PROJECT = "rlhf"


def check_report_to(report_to: str) -> None:
    """Refuse what is unknown or not installed, before the work."""
    if report_to != "none" and report_to not in TRACKERS:
        expected = f"none or one of {', '.join(TRACKERS)}"
        raise InputError("report_to", f"'{report_to}'", expected, "choose one of these")
    if report_to != "none" and find_spec(report_to) is None:
        raise InputError("report_to", f"no package {report_to}", "it, to report to", f"pip install {report_to}")


class Tracking:
    """Where figures go; nowhere without a tracker."""

    def __init__(self, name: str, tracker=None):
        self.name, self.tracker = name, tracker

    def log(self, figures: dict[str, float], grid: Image.Image, step: int) -> None:
        """A round's figures and its grid of samples."""
        if self.tracker is None:
            return
        self.tracker.log({name: value for name, value in figures.items() if value is not None}, step=step)
        pixels = np.asarray(grid)
        if self.name == "trackio":  # whose tracker in accelerate takes no pictures
            import trackio

            self.tracker.log({"samples": trackio.Image(pixels)}, step=step)
        elif self.name == "tensorboard":
            self.tracker.log_images({"samples": pixels[None]}, step=step, dataformats="NHWC")
        else:
            self.tracker.log_images({"samples": [grid]}, step=step)


@contextmanager
def tracking_to(report_to: str, folder: Path) -> Iterator[Tracking]:
    """A `Tracking` that is closed when the block ends; `folder` takes the files of those that write some."""
    check_report_to(report_to)
    if report_to == "none":
        yield Tracking(report_to)
        return
    PartialState()  # trackers ask which process they are in
    kind = TRACKERS[report_to]
    tracker = kind(PROJECT, folder) if kind.requires_logging_directory else kind(PROJECT)
    tracker.start()
    try:
        yield Tracking(report_to, tracker)
    finally:
        tracker.finish()
