"""Signals are exceptions, and workers do not outlive who started them."""

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from hf_medreport.files.interruption import Terminated, exit_code, terminable


def test_sigterm_is_an_exception_in_the_block_and_nowhere_else():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated) as raised, terminable():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert signal.getsignal(signal.SIGTERM) == before and not isinstance(raised.value, Exception)
    assert exit_code(raised.value) == 143 and exit_code(KeyboardInterrupt()) == 130


def test_other_threads_leave_signals_alone():
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work():
        with terminable():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


PARENT = """
import sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from hf_medreport.files.interruption import follow_parent

if __name__ == "__main__":
    with ProcessPoolExecutor(2, get_context(sys.argv[1]), initializer=follow_parent) as pool:
        waiting = [pool.submit(time.sleep, 60) for _ in range(2)]
        print("started", flush=True)
        time.sleep(60)
"""


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["KILL", "TERM"])
def test_workers_die_with_their_parent(tmp_path, method, number):
    (tmp_path / "parent.py").write_text(PARENT)
    parent = subprocess.Popen([sys.executable, tmp_path / "parent.py", method], stdout=subprocess.PIPE, text=True)
    assert parent.stdout.readline() == "started\n"
    process, workers, end = psutil.Process(parent.pid), [], time.monotonic() + 20
    while len(workers) < 2 and time.monotonic() < end:  # the workers, and not the fork server or resource tracker
        below = process.children(recursive=True)
        workers = [child for child in below if "spawn_main" in str(child.cmdline()) or child.parent() != process]
        time.sleep(0.05)
    time.sleep(0.5)  # until they have called their initializer
    family = process.children(recursive=True)
    parent.send_signal(number)
    parent.wait()
    gone, alive = psutil.wait_procs(family, timeout=10)
    assert len(workers) >= 2 and not alive
