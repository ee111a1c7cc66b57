"""Trackers see the first reports of each evaluation, with their films."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from transformers import TrainerControl, TrainerState
from transformers.integrations import TensorBoardCallback

from hf_medreport.training.shown_samples import NAME, ShownSamples, film_of

PAIRS = [("true one", "written one"), ("true two", "written two")]
RECORDS = [{"image": np.array([[100, 300]], np.uint16)}, {"slides": []}]  # a film, and a slide's features


def told(kind: str, callbacks=(), pairs=PAIRS, learning=True, first=True) -> None:
    """One evaluation of a trainer that reports to a tracker."""
    trainer = SimpleNamespace(
        compute_metrics=SimpleNamespace(shown=pairs),
        eval_dataset=RECORDS,
        callback_handler=SimpleNamespace(callbacks=callbacks),
    )
    callback, state = ShownSamples(trainer), TrainerState(global_step=7, is_world_process_zero=first)
    asked = SimpleNamespace(report_to=[kind]), state, TrainerControl()
    callback.on_train_begin(*asked)
    if not learning:
        callback.on_train_end(*asked)
    callback.on_evaluate(*asked)


@pytest.fixture(params=["wandb", "trackio"])
def tracker(request, monkeypatch):
    """A tracker's module that keeps what it is told."""
    fake = ModuleType(request.param)
    fake.logged, fake.Image = [], lambda film: ("a picture", np.asarray(film).tolist())
    fake.Table, fake.log = (lambda columns, data: [columns, *data]), fake.logged.append
    monkeypatch.setitem(sys.modules, request.param, fake)
    return fake


def test_a_table_of_films_and_reports(tracker):
    told(tracker.__name__)
    table = [
        ["film", "reference", "generated"],
        [("a picture", [[0, 255]]), "true one", "written one"],
        [None, "true two", "written two"],
    ]
    assert tracker.logged == [{NAME: table, "train/global_step": 7}]


@pytest.mark.parametrize("changes", [{"pairs": []}, {"learning": False}, {"first": False}])
def test_nothing_is_shown_without_reports_after_training_or_by_a_second_process(tracker, changes):
    told(tracker.__name__, **changes)
    assert tracker.logged == []


def test_tensorboard_has_pictures_and_texts():
    written = []
    writer = SimpleNamespace(
        add_image=lambda name, pixels, step, dataformats: written.append((name, pixels.tolist(), step, dataformats)),
        add_text=lambda name, text, step: written.append((name, text, step)),
        flush=lambda: None,
    )
    callback = TensorBoardCallback.__new__(TensorBoardCallback)  # its constructor wants the package
    callback.tb_writer = writer
    told("tensorboard", [callback])
    assert written == [
        (f"{NAME}/1", [[0, 255]], 7, "HW"),
        (f"{NAME}/1", "**generated:** written one\n\n**reference:** true one", 7),
        (f"{NAME}/2", "**generated:** written two\n\n**reference:** true two", 7),
    ]


def test_a_lateral_film_alone_is_shown_and_colors_stay():
    lateral = film_of({"image": None, "lateral": np.array([[0.0, 0.5, 1.0]])})
    assert np.asarray(lateral).tolist() == [[0, 128, 255]]
    assert film_of({"image": np.zeros((2, 2, 3), np.uint8)}).mode == "RGB"
    assert film_of({"text": "x"}) is None


def test_an_even_film_is_black():
    assert np.asarray(film_of({"image": np.full((1, 2), 9.0)})).tolist() == [[0, 0]]
