"""How fast known-truth films are drawn, and that writing more of them takes no more memory.

Films a second of one core's time at 224 px with all masks, balanced findings: frontal and lateral of the same patients,
alternating in one process, best of 5. Memory is what the process that writes Parquet and the 2 that draw hold together,
shared pages left out: the peak of samples taken ten times a second. Writes benchmarks/results/phantom.json.

    python benchmarks/speed/phantom.py
"""

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import psutil

from hf_medreport.data.drawn.corpus import write_corpus
from hf_medreport.phantom.chest.corpus import ChestCorpus
from hf_medreport.phantom.chest.frontal import draw_frontal
from hf_medreport.phantom.chest.lateral import draw_lateral
from hf_medreport.phantom.chest.patients import draw_facts

SIZE, FILMS, ROUNDS, TARGET = 224, 20, 5, 30
WORKERS, FEW, MANY = 2, 200, 800
VIEWS = {"frontal": draw_frontal, "lateral": draw_lateral}


def films_a_second() -> dict[str, float]:
    """Of each view, in this process."""
    facts = [draw_facts(np.random.default_rng(patient)) for patient in range(FILMS)]
    best = dict.fromkeys(VIEWS, float("inf"))
    for _ in range(ROUNDS):
        for view, draw in VIEWS.items():
            start = time.process_time()
            for patient in range(FILMS):
                draw(facts[patient], patient, SIZE)
            best[view] = min(best[view], time.process_time() - start)
    return {view: round(FILMS / seconds, 1) for view, seconds in best.items()}


def peak_mib(n: int) -> float:
    """Write a corpus from this process; the peak of memory."""
    done, samples = threading.Event(), []

    def sample() -> None:
        while not done.wait(0.1):
            samples.append(held())

    threading.Thread(target=sample).start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            write_corpus(folder, ChestCorpus(n, 0, SIZE), "parquet", WORKERS)
    finally:
        done.set()
    return round(max(samples) / 2**20)


def held() -> int:
    """Bytes of this process and its descendants that nobody else shares."""
    total, here = 0, psutil.Process()
    for process in (here, *here.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):  # ended meanwhile
            total += process.memory_full_info().uss
    return total


def measured(n: int) -> float:
    """The same in a process of its own."""
    done = subprocess.run([sys.executable, __file__, str(n)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    from measure import write_result  # imports torch, which the processes that write must not

    figures = {"size_px": SIZE, "films_a_second_and_core": films_a_second(), "target": TARGET, "workers": WORKERS}
    peaks = {str(n): measured(n) for n in (FEW, MANY)}
    growth = round(peaks[str(MANY)] / peaks[str(FEW)], 3)
    write_result("phantom", figures | {"peak_mib_by_films_written": peaks, "memory_growth": growth})


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(peak_mib(int(sys.argv[1]))))
    else:
        main()
