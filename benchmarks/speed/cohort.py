"""What a cohort of slides costs: does memory grow, do two processes share it, does a kill change a byte?

Slides drawn by us (1024 px, 1 um a px), tiled and encoded by the shipped patch encoder, every process with one thread
and pinned to a core of its own:

- memory: one process does all of them; its memory and open files after the 50th slide and after the last.
- two processes: each does its share of a list, into one folder; seconds from the first slide begun to the last one
  done, against one process, and how often each slide was done.
- kills: the same run, killed at random moments and gone on with, until it has been hit so many times; its files against
  those of the run that nobody disturbed.

What is done is kept in `--work`, and goes on there. Writes benchmarks/results/cohort.json where it is run in full.

    python benchmarks/speed/cohort.py
    python benchmarks/speed/cohort.py --n 6 --kills 3 --work runs/cohort-small  # a try: prints, writes no result
"""

import argparse
import gc
import json
import multiprocessing
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import torch
from measure import write_result

from hf_medreport.data.drawn.slides import write_slides
from hf_medreport.files.shares import Share
from hf_medreport.files.writing import write_json
from hf_medreport.inference.tiles.cohort import (
    default_encoder,
    finish_folder,
    tile_cohort,
    tile_folder,
    tile_settings,
)
from hf_medreport.inference.tiles.listing import list_slides
from hf_medreport.phantom.slide.corpus import SlideCorpus
from hf_medreport.processing.patch_encoder import PatchEncoder

SLIDES, KILLS, EARLY, SIZE = 200, 20, 50, 1024
MEMORY_BOUND, TIME_BOUND = 1.01, 0.6
TIMES = ("summary", "records", "manifest", "part-")  # what these files hold differs from run to run


def tile(slides: Path, out: Path, share: Share, ready) -> None:
    """A process: tile a share of the slides with one thread on one core.

    Keeps beside the folder when it began and ended, and of each slide [memory in bytes, open files].
    """
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[share.number - 1]})
    torch.set_num_threads(1)
    encoder, process, seen = PatchEncoder.from_pretrained(default_encoder()), psutil.Process(), []
    processor = tile_settings(encoder)
    ready.wait()
    begin = time.time()
    with tile_folder(out, encoder, processor, resume=True) as folder:
        runs = []
        for run in tile_cohort([slides], folder, encoder, processor, workers=1, share=share):
            runs.append(run)
            gc.collect()
            seen.append(used(process))
        finish_folder(folder, [slides], runs, share)
    write_json(told(out, share), (begin, time.time(), seen), indent=None)


def used(process: psutil.Process) -> tuple[int, int]:
    """Memory in bytes and open files of a process and of those that read slides for it."""
    memory = files = 0
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            memory, files = memory + each.memory_info().rss, files + each.num_fds()
    return memory, files


def told(out: Path, share: Share) -> Path:
    """Where a process says what it has seen."""
    return out.with_name(f"{out.name}-{share.file}")


class Processes:
    """Processes of `tile`, each started from a server that has imported everything once."""

    def __init__(self, slides: Path):
        self.slides, self.context = slides, multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["hf_medreport.inference.tiles.cohort", "hf_medreport.data.drawn.slides"])

    def start(self, out: Path, of: int = 1) -> dict[Share, multiprocessing.Process]:
        """Begin the processes of so many shares together."""
        ready = self.context.Barrier(of + 1)
        shares = [Share(number, of) for number in range(1, of + 1)]
        started = {share: self.context.Process(target=tile, args=(self.slides, out, share, ready)) for share in shares}
        for process in started.values():
            process.start()
        ready.wait(600)  # seconds; where one of them dies the others never come
        return started

    def run(self, out: Path, of: int = 1) -> list[tuple]:
        """Let the processes of a new folder end; returns what they told."""
        shutil.rmtree(out, ignore_errors=True)
        for process in (started := self.start(out, of)).values():
            process.join()
            assert process.exitcode == 0
        return [json.loads(told(out, share).read_text()) for share in started]


def contents(out: Path) -> dict[str, bytes]:
    """The files of a folder that are the same in every run."""
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if not path.name.startswith(TIMES)}


def times_done(out: Path) -> Counter:
    """How often each slide was done."""
    lines = (out / "records.jsonl").read_text().splitlines()
    return Counter(entry["id"] for entry in map(json.loads, lines))


def memory(processes: Processes, work: Path, n: int) -> dict:
    """One process over all slides."""
    [(begin, end, seen)] = processes.run(work / "one")
    early, last = seen[min(EARLY, len(seen) // 2) - 1], seen[-1]
    return {
        "slides": n,
        "early": min(EARLY, len(seen) // 2),
        "mib_early": round(early[0] / 2**20, 1),
        "mib_end": round(last[0] / 2**20, 1),
        "growth": round(last[0] / early[0], 4),
        "bound": MEMORY_BOUND,
        "open_files_early": early[1],
        "open_files_end": last[1],
        "seconds": round(end - begin, 1),
    }


def two_processes(processes: Processes, work: Path, n: int) -> dict:
    """Two processes that share a folder, against one; both once more, so that they meet the same machine."""
    [(begin, end, _)] = processes.run(work / "again")
    answers = processes.run(work / "two", of=2)
    done = times_done(work / "two")
    one = end - begin
    two = max(end for _, end, _ in answers) - min(begin for begin, _, _ in answers)
    return {
        "seconds_one": round(one, 1),
        "seconds_two": round(two, 1),
        "share_of_time": round(two / one, 3),
        "bound": TIME_BOUND,
        "slides_done": len(done),
        "slides_done_twice": sum(count > 1 for count in done.values()),
        "same_bytes": contents(work / "two") == contents(work / "one"),
    }


def kills(processes: Processes, work: Path, n: int, count: int, seconds: float) -> dict:
    """Runs that are killed and gone on with, until so many kills have hit one at work."""
    generator, hits, ended, same = random.Random(count), 0, 0, True
    while hits < count:
        out = work / f"killed-{ended}"
        shutil.rmtree(out, ignore_errors=True)
        while not (out / "summary.json").exists():
            [process] = processes.start(out).values()
            process.join(generator.uniform(0, 1.5 * seconds / count) if hits < count else None)
            if process.is_alive():
                process.kill()  # SIGKILL
                hits += 1
            process.join()
        same, ended = same and contents(out) == contents(work / "one"), ended + 1
    return {"kills": hits, "runs_ended": ended, "same_bytes": same}


def kept(work: Path, name: str, measure: Callable[[], dict]) -> dict:
    """A figure that an earlier start of this command has measured, or a new one."""
    path = work / f"{name}.json"
    if not path.exists():
        write_json(path, measure())
    return json.loads(path.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=SLIDES, help="slides")
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--work", type=Path, default=Path("runs/cohort"), help="folder for slides and runs")
    given = parser.parse_args()
    work, n = given.work / f"{given.n}-{given.kills}", given.n
    write_slides(work / "corpus", SlideCorpus(n, 3, SIZE, 1.0, "test"), resume=True)
    slides = work / "corpus" / "slides"
    assert len(list_slides([slides]).slides) == n
    processes = Processes(slides)
    figures = {"memory": kept(work, "memory", lambda: memory(processes, work, n))}
    figures["two_processes"] = kept(work, "two_processes", lambda: two_processes(processes, work, n))
    seconds = figures["memory"]["seconds"]
    figures["kills"] = kept(work, "kills", lambda: kills(processes, work, n, given.kills, seconds))
    if (n, given.kills) == (SLIDES, KILLS):
        write_result("cohort", figures)
    else:
        print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
