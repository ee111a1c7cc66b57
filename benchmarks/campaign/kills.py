"""Kills at random moments: a verb that is killed and gone on with ends in the files of a run that nobody disturbed.

Each round begins with an empty folder, is hit by SIGKILL or SIGINT at a random moment, goes on with --resume, is hit
again, `--hits` times in all, and is then left to end. Counted are hits on a process at work. After each hit no process
of the run is left; at the end the files are compared byte by byte, but for those that hold seconds.

    python benchmarks/campaign/kills.py --kills 30
    python benchmarks/campaign/kills.py --kills 200 --verbs tile train

`publish` goes to a Hub on loopback; what its repository holds is compared, and it goes on by being asked again.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import yaml
from parts import RESULTS, contents, forked, write_part

from hf_medreport.cli.app import quiet
from hf_medreport.registry import CHECKPOINTS

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests import hub_server  # noqa: E402

ROOT = Path(__file__).parents[2]
SIGNALS = (signal.SIGKILL, signal.SIGINT)
PATIENCE = 60  # seconds in which the workers of a killed process end, on a machine that is busy
CHEST = ("phantom", "chest", "--size", 64, "--format", "png", "--workers", 1)
TRAIN = {"phantom_cases": 24, "phantom_validation_cases": 4, "evaluation_cases": 4, "max_steps": 6, "save_steps": 2}
TRAIN |= {"model_name": "model", "encoder_steps": 2, "segmenter_steps": 2, "vocabulary_size": 280, "image_size": 64}
TRAIN |= {
    "save_strategy": "steps",
    "per_device_train_batch_size": 4,
    "eval_strategy": "steps",
    "eval_steps": 2,
    "logging_steps": 2,
}
REWARD = {"passes": 1, "report_to": "none", "bf16": "false"}
LOOP = {"phantom_prompts": 64, "rounds": 2, "num_candidates": 1, "max_attempts": 2, "num_inference_steps": 2}
LOOP |= {"selector": REWARD | {"model": "selector-tiny"}, "policy": REWARD | {"model": "policy-tiny"}}
LOOP["update_settings"] = {"rounds": 1, "prompts_per_round": 2, "samples_per_prompt": 2, "steps_trained": 1}
# What differs from run to run without a kill: seconds, and what a run keeps on its way.
OF_TIME = {"tile": ("summary.json", "records.jsonl", "manifest.json")}


def chest(work: Path) -> list:
    return [*CHEST, "--n", 40]


def tile(work: Path) -> list:
    drawn(work / "slides", ("phantom", "slide", "--n", 6, "--size", 1024, "--mpp", 1, "--workers", 1))
    return ["tile", work / "slides" / "slides", "--patch-px", 128]


def report(work: Path) -> list:
    drawn(work / "films", (*CHEST, "--n", 6))
    films = sorted((work / "films" / "images").glob("*.png"))
    return ["report", *films, "--batch-size", 1]


def evaluate(work: Path) -> list:
    return ["evaluate", "phantom", "--n", 6, "--batch-size", 2]


def synthesize(work: Path) -> list:
    return ["synthesize", "small left pleural effusion", "--modality", "CXR", "--n", 4, "--steps", 4, "--batch-size", 1]


def train(work: Path) -> list:
    recipe = ROOT / "examples" / "anatomical_phantom.yaml"
    flags = [part for name, value in TRAIN.items() for part in (f"--{name}", value)]
    return ["train", "anatomical", "--config", recipe, *flags]


def rlhf(work: Path) -> list:
    (config := work / "rlhf.yaml").write_text(yaml.safe_dump(LOOP))
    return ["rlhf", "--config", config]


VERBS: dict[str, Callable[[Path], list]] = {"phantom chest": chest, "tile": tile, "report": report}
VERBS |= {"evaluate phantom": evaluate, "train": train, "synthesize": synthesize, "rlhf": rlhf}


def drawn(out: Path, arguments: tuple) -> None:
    """What a verb is given, drawn once."""
    if not out.is_dir():
        assert ended(forked(out.with_suffix(".log"), *arguments, "--out", out)) == 0


def ended(pid: int) -> int:
    """The exit code of a child; below 0 the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def orphans(session: int) -> list[int]:
    """The processes of a session that are still there after `PATIENCE`."""
    deadline = time.monotonic() + PATIENCE
    while True:
        left = []
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                    left.append(process.pid)
            except (ProcessLookupError, psutil.Error):
                continue
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)


def files_of(verb: str, out: Path) -> dict[str, bytes]:
    """What a verb leaves, but for what differs from run to run."""
    # Checkpoints hold when they were written; the model is what is kept.
    found = contents(out / "model" if verb == "train" else out)
    return {name: content for name, content in found.items() if Path(name).name not in OF_TIME.get(verb, ())}


class Run:
    """A verb that is begun again and again in one folder."""

    def __init__(self, verb: str, work: Path):
        self.verb, self.work, self.log, self.out = verb, work, work / "log.txt", work / "out"
        self.command = VERBS[verb](work)

    def clear(self) -> None:
        shutil.rmtree(self.out, ignore_errors=True)

    def begin(self) -> int:
        """The id of its process, which goes on with what is there."""
        flag = "--output_dir" if self.verb in ("train", "rlhf") else "--out"
        return forked(self.log, *self.command, flag, self.out, "--resume")

    def files(self) -> dict[str, bytes]:
        """What is kept of it."""
        return files_of(self.verb, self.out)


class Publication(Run):
    """A model that is published to a Hub on loopback; nothing of it lies in a folder."""

    def __init__(self, verb: str, work: Path):
        self.verb, self.log, self.hub, self.out = verb, work / "log.txt", hub_server.HubServer().__enter__(), work
        verb = ["publish", str(CHECKPOINTS / "radscribe-tiny"), "org/x"]
        code = f"import sys\nfrom hf_medreport.cli import main\nsys.argv[1:] = {verb}\nmain()"
        self.client = hub_server.client_command(self.hub, code, HF_HOME=str(work / "home"))

    def clear(self) -> None:
        self.hub.repos.clear()
        self.hub.lfs.clear()

    def begin(self) -> int:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(**self.client, stdout=log, stderr=log, start_new_session=True)
        return self.process.pid

    def files(self) -> dict[str, bytes]:
        return self.hub.files("org/x")


def run(verb: str, kills: int, hits: int, seed: int, work: Path) -> dict:
    """Rounds of one verb, until so many kills have hit."""
    work.mkdir(parents=True, exist_ok=True)
    (log := work / "log.txt").unlink(missing_ok=True)
    one, begun = (Publication if verb == "publish" else Run)(verb, work), time.perf_counter()
    one.clear()
    code = ended(one.begin())
    assert code == 0, f"{verb}: the undisturbed run ended with {code}: {log.read_text()[-500:]}"
    seconds, whole = time.perf_counter() - begun, one.files()
    rng, hit, rounds, problems = random.Random(f"{seed} {verb}"), {"SIGKILL": 0, "SIGINT": 0}, 0, []
    while sum(hit.values()) < kills:
        rounds += 1
        one.clear()
        for _ in range(min(hits, kills - sum(hit.values()))):
            pid, kind = one.begin(), rng.choice(SIGNALS)
            time.sleep(rng.uniform(0.02, 0.9) * seconds)
            os.kill(pid, kind)
            code = ended(pid)
            if left := orphans(pid):
                problems.append(f"{kind.name}: {len(left)} processes left")
            if code in (-kind, 130):
                hit[kind.name] += 1
            elif code:
                problems.append(f"{kind.name}: exit code {code}")
        code, files = ended(one.begin()), one.files()
        if code:
            problems.append(f"gone on with: exit code {code}")
        problems += sorted(f"other bytes: {name}" for name in {*whole, *files} if whole.get(name) != files.get(name))
        problems += [f"left behind: {path}" for path in contents(one.out) if path.endswith(".part")]
        print(f"{verb}: {hit}, {rounds} rounds, {problems or 'equal bytes'}", flush=True)
    if "Traceback" in log.read_text(errors="replace"):
        problems.append("a traceback")
    return {"kills": hit, "rounds": rounds, "seconds_undisturbed": round(seconds, 1), "problems": problems}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="In all, shared out over the verbs.")
    parser.add_argument("--hits", type=int, default=3, help="A round.")
    parser.add_argument("--verbs", nargs="+", choices=(*VERBS, "publish"), default=[*VERBS, "publish"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("build/campaign/kills"))
    given = parser.parse_args()
    quiet()  # imports what all verbs need, once; children have it
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job ignores
    share = -(-given.kills // len(given.verbs))
    kept = RESULTS / "kills.json"
    for verb in given.verbs:  # those that are asked for, in place of what was known of them
        result = run(verb, share, given.hits, given.seed, given.work.absolute() / verb.replace(" ", "-"))
        figures = (json.loads(kept.read_text())["verbs"] if kept.is_file() else {}) | {verb: result}
        total = sum(sum(each["kills"].values()) for each in figures.values())
        equal = not any(each["problems"] for each in figures.values())
        write_part("kills", {"seed": given.seed, "kills": total, "equal_bytes": equal, "verbs": figures})
