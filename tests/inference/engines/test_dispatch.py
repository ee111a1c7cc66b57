"""Who gets which task, and what happens where workers die: played through with workers that are numbers."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.files.items import FILE_IT
from hf_medreport.inference.engines.dispatch import (
    DEAD,
    DONE,
    READY,
    TRIES,
    WorkerDied,
    dispatch,
    in_batches_of,
    why_of,
)
from hf_medreport.processing.input_error import InputError


class Numbers:
    """A pool whose workers return ten times the task; `dies` says whether one dies, of (worker, task or None)."""

    def __init__(self, size, dies=lambda worker, task: False, choose=lambda asked: asked[0]):
        self.size, self.dies, self.choose = size, dies, choose
        self.asked, self.started, self.closed, self.most = [], 0, False, 0

    def start(self):
        self.started += 1
        self.asked.append((self.started, None))

    def submit(self, worker, task):
        assert worker not in [each for each, _ in self.asked]  # one task at a time
        self.asked.append((worker, task))
        self.most = max(self.most, len(self.asked))

    def wait(self):
        worker, task = entry = self.choose(self.asked)
        self.asked.remove(entry)
        if self.dies(worker, task):
            return worker, DEAD, None
        return (worker, READY, None) if task is None else (worker, DONE, task * 10)

    def close(self):
        self.closed = True


@settings(max_examples=60)
@given(tasks=st.integers(0, 12), size=st.integers(1, 4), seed=st.integers(0, 999), deaths=st.integers(0, TRIES - 1))
def test_each_task_comes_back_once_whatever_dies(tasks, size, seed, deaths):
    """As few deaths in all as no task gives up for, at any moments and in any order of answers."""
    rng, left = random.Random(seed), [deaths]

    def dies(worker, task):
        left[0] -= (hit := left[0] > 0 and rng.random() < 0.3)
        return hit

    pool = Numbers(size, dies, rng.choice)
    assert sorted(dispatch(range(tasks), pool)) == [(task, task * 10) for task in range(tasks)]
    assert pool.closed and pool.most <= size and pool.started <= min(size, tasks) + deaths


def test_a_task_that_kills_its_workers_is_given_up():
    pool = Numbers(2, lambda worker, task: task == 3)
    results = dict(dispatch(range(6), pool))
    assert isinstance(results.pop(3), WorkerDied) and results == {task: task * 10 for task in (0, 1, 2, 4, 5)}
    assert pool.started == 2 + TRIES


def test_the_last_task_of_all_is_given_up():
    [(task, result)] = dispatch([7], Numbers(4, lambda worker, task: task == 7))
    assert task == 7 and isinstance(result, WorkerDied)


def test_workers_that_never_live_end_the_run():
    pool = Numbers(2, lambda worker, task: task is None)
    with pytest.raises(InputError) as raised:
        list(dispatch(range(6), pool))
    assert str(raised.value) == (
        f"engine: found {TRIES} workers that died while they loaded; expected workers that live; "
        "look into their logs and memory"
    )
    assert pool.closed and pool.started <= TRIES + 1


def test_one_worker_that_lives_is_enough():
    pool = Numbers(3, lambda worker, task: task is None and worker != 2)
    assert sorted(dispatch(range(4), pool)) == [(task, task * 10) for task in range(4)]


def test_tasks_are_asked_for_when_a_worker_is_free():
    asked = []

    def source():
        for task in range(9):
            asked.append(task)
            yield task

    results = dispatch(source(), Numbers(2))
    next(results)
    assert len(asked) <= 2 + 1
    results.close()
    assert len(asked) <= 3


def test_why_a_task_failed():
    assert why_of("a.svs", WorkerDied()) == (
        "a.svs: found that 3 workers died over it; expected a file that a worker survives; "
        "look into their logs and memory"
    )
    assert why_of("a.svs", KeyError("x")) == f"a.svs: KeyError: 'x' ({FILE_IT})"


def test_batches():
    assert list(in_batches_of(2, range(5))) == [[0, 1], [2, 3], [4]] and not list(in_batches_of(2, []))
