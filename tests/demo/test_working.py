"""Work of a page: it tells how long it takes, ends at its limit, and ends where nobody waits for it."""

import threading
import time

import pytest

from hf_medreport.demo import working
from hf_medreport.demo.working import seconds_of
from hf_medreport.processing.input_error import InputError


@pytest.fixture(autouse=True)
def told_often(monkeypatch):
    monkeypatch.setattr(working, "TOLD_EVERY_S", 0.01)


def endless(ended: threading.Event) -> None:
    """Work that only a stop ends."""
    try:
        while True:
            time.sleep(0.001)
    finally:
        ended.set()


def returned(work):
    """What a generator returns, and what it yielded."""
    told = []
    while True:
        try:
            told.append(next(work))
        except StopIteration as done:
            return done.value, told


def test_what_the_work_returns_is_returned_after_the_seconds():
    def work():
        time.sleep(0.1)
        return "done"

    value, told = returned(seconds_of(work, limit_s=10))
    assert value == "done" and told and set(told) == {0}


def test_what_the_work_raises_is_raised():
    with pytest.raises(KeyError, match="here"):
        returned(seconds_of(lambda: {}["here"], limit_s=10))


def test_work_beyond_its_limit_is_told_and_ended():
    ended = threading.Event()
    with pytest.raises(InputError, match="time: found more than 0.05 s"):
        returned(seconds_of(lambda: endless(ended), limit_s=0.05))
    assert ended.wait(5)


def test_a_closed_generator_ends_its_work_and_the_next_begins():
    ended = threading.Event()
    work = seconds_of(lambda: endless(ended), limit_s=60)
    next(work)
    work.close()
    assert ended.wait(5)
    assert returned(seconds_of(lambda: 2, limit_s=5))[0] == 2


def test_a_stop_is_no_failure_of_an_item():
    """Nothing on the way that lists what failed, as readers of many images do, keeps the work from ending."""
    ended = threading.Event()

    def work():
        for _ in range(3):
            try:
                endless(threading.Event())
            except Exception:
                ended.set()

    running = seconds_of(work, limit_s=60)
    next(running)
    running.close()
    assert returned(seconds_of(lambda: 2, limit_s=5))[0] == 2 and not ended.is_set()


def test_works_do_not_run_beside_each_other():
    at_once, most = [], []

    def work():
        at_once.append(1)
        most.append(len(at_once))
        time.sleep(0.02)
        at_once.pop()

    threads = [threading.Thread(target=lambda: returned(seconds_of(work, limit_s=10))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]
