"""Items on a Ray cluster: every one once and the bytes of one process, also where a worker is killed.

What workers make, and how the verbs write it, is tested with an engine in this process; the cluster itself in slow
tests, where Ray is installed.
"""

import json
import os
import pickle
import signal
import socket
import sys
import threading
import time

import psutil
import pytest

from hf_medreport.inference.engines.on_ray import RayEngine, _Actor, chosen_engine
from hf_medreport.processing.input_error import InputError
from tests.cli.test_cli import run
from tests.cli.test_merge import contents, films  # noqa: F401  (a fixture)
from tests.inference.engines.marking import Marking
from tests.inference.tiles.tiny_slides import damage, save_encoder, write_cohort


def test_what_cannot_be_chosen(monkeypatch):
    for engine, address, message in [
        ("spark", None, "engine: found 'spark'; expected ray, or none for this process alone; correct it"),
        (None, "here:1", "ray_address: found 'here:1' without `engine`; expected it beside `engine` ray; give both"),
    ]:
        with pytest.raises(InputError) as raised:
            chosen_engine(engine, address, None)
        assert str(raised.value) == message
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError) as raised:
        chosen_engine("ray", None, None)
    message = "engine: found that ray is not installed; expected it; pip install hf-medreport[ray]"
    assert str(raised.value) == message and chosen_engine(None, None, None) is None


def last_first(self, make, tasks):
    """An engine in this process, through which everything goes as between processes, the last task first."""
    work = pickle.loads(pickle.dumps(make))()
    for task in reversed(list(tasks)):
        yield task, pickle.loads(pickle.dumps(work(pickle.loads(pickle.dumps(task)))))


@pytest.fixture
def here(monkeypatch):
    """The flags of an engine that is this process."""
    monkeypatch.setattr(RayEngine, "run", last_first)
    monkeypatch.setattr("hf_medreport.inference.engines.on_ray._ray", lambda: None)
    return ["--engine", "ray"]


def without_times(folder) -> dict[str, bytes]:
    times = ("summary.json", "records.jsonl", "manifest.json")
    return {name: content for name, content in contents(folder).items() if name not in times}


def outcomes(folder) -> list[dict]:
    slides = json.loads((folder / "summary.json").read_text())["slides"]
    assert "0.25" in slides[0]["notes"][0]
    return [slide | {"seconds": 0} for slide in slides]


def check_report(capsys, films, model, tmp_path, engine) -> None:  # noqa: F811
    report = ["report", *films, "--model", model, "--batch-size", 1, "--out"]
    assert run(capsys, *report, tmp_path / "one")[0] == 1
    code, _, err = run(capsys, *report, tmp_path / "out", *engine)
    assert code == 1 and err.endswith("2 done, 1 failed, 0 left\n")
    assert contents(tmp_path / "out") == contents(tmp_path / "one")


def check_evaluation(capsys, films, model, tmp_path, engine) -> None:  # noqa: F811
    table = films[0].parents[1] / "table.jsonl"
    evaluate = ["evaluate", "model", table, "--model", model, "--metrics", "bleu1", "--batch-size", 1, "--out"]
    assert run(capsys, *evaluate, tmp_path / "one")[0] == 1
    assert run(capsys, *evaluate, tmp_path / "out", *engine)[0] == 1
    assert contents(tmp_path / "out") == contents(tmp_path / "one")


def check_tile(capsys, tmp_path, engine, slides: int = 3) -> None:
    """One slide damaged, the resolution of another overridden; then again where one of the files is gone."""
    paths, encoder = write_cohort(tmp_path / "slides", slides), save_encoder(tmp_path / "encoder")
    damage(paths[1])
    (tmp_path / "mpp.csv").write_text("slide,mpp\nslide0.tiff,0.25\n")
    tile = ["tile", tmp_path / "slides", "--encoder", encoder, "--patch-px", 64, "--tissue", "otsu", "--batch-size", 8]
    tile += ["--slide-mpp-csv", tmp_path / "mpp.csv", "--override-slide-mpp"]
    assert run(capsys, *tile, "--workers", 1, "--out", tmp_path / "one")[0] == 1
    for flags in ([], ["--resume"]):
        code, out, err = run(capsys, *tile, "--out", tmp_path / "out", *engine, *flags, "--json")
        assert code == 1 and err.endswith(f"{slides - 1} done, 1 failed, 0 left\n")
        states = [slide["state"] for slide in json.loads(out)["slides"]]
        assert states[:3] == (["kept", "failed", "done"] if flags else ["done", "failed", "done"])
        assert without_times(tmp_path / "out") == without_times(tmp_path / "one")
        assert flags or outcomes(tmp_path / "out") == outcomes(tmp_path / "one")
        (tmp_path / "out" / "slide2.safetensors").unlink()


def test_reports_by_workers(capsys, films, tiny_pipe_folder, tmp_path, here):  # noqa: F811
    check_report(capsys, films, tiny_pipe_folder, tmp_path, here)


def test_an_evaluation_by_workers(capsys, films, tiny_pipe_folder, tmp_path, here):  # noqa: F811
    check_evaluation(capsys, films, tiny_pipe_folder, tmp_path, here)


def test_slides_by_workers(capsys, tmp_path, here):
    check_tile(capsys, tmp_path, here)


def test_a_worker_that_raises_fails_its_items_alone(capsys, films, tiny_pipe_folder, tmp_path, here, monkeypatch):  # noqa: F811
    def failing(self, make, tasks):
        yield from ((task, MemoryError("none left")) for task in tasks)

    monkeypatch.setattr(RayEngine, "run", failing)
    flags = ["--model", tiny_pipe_folder, *here, "--out"]
    code, _, err = run(capsys, "report", films[0], films[2], *flags, tmp_path / "reports")
    assert code == 1 and err.count("a.png: MemoryError: none left") == 2 and "0 done, 2 failed" in err
    slides, encoder = write_cohort(tmp_path / "slides", 1), save_encoder(tmp_path / "encoder")
    code, _, err = run(capsys, "tile", *slides, "--encoder", encoder, *here, "--out", tmp_path / "tiled")
    assert code == 1 and err.startswith("slide0.tiff: MemoryError: none left")


def test_an_engine_needs_a_folder(capsys, films, here):  # noqa: F811
    code, _, err = run(capsys, "report", films[0], *here)
    assert code == 2 and err == "--engine: found ray without --out; expected a folder to write to; give --out\n"


def test_an_address_where_nothing_answers(monkeypatch):
    monkeypatch.setattr("hf_medreport.inference.engines.on_ray._ray", lambda: None)
    for address in ("127.0.0.1:9", "127.0.0.1:99999"):
        with pytest.raises(InputError) as raised:
            chosen_engine("ray", address, None)
        assert str(raised.value) == (
            f"ray_address: found no cluster at '{address}'; expected one that answers, of this version of Ray and "
            "Python; start it, or leave this out"
        )
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert chosen_engine("ray", address, "cpu") == RayEngine(address, "cpu")
    assert chosen_engine("ray", "ray://head:10001", None).address == "ray://head:10001"


def test_a_worker_of_another_version():
    with pytest.raises(InputError, match=r"engine: found version \S+ on a node; expected 0.0\+0, as here; install the"):
        _Actor().load(None, "0.0+0")


# --- a cluster --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of a core each on this machine."""
    pytest.importorskip("ray", reason="ray is not installed")
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    os.environ |= {"RAY_worker_niceness": "0"}  # its 15 is minutes where others work too
    import ray
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 120 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    cluster.add_node(**node)
    yield cluster.address
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.slow
def test_the_verbs_on_two_nodes(capsys, films, tiny_pipe_folder, tmp_path, cluster):  # noqa: F811
    engine = ["--engine", "ray", "--ray-address", cluster]
    for name in ("report", "evaluate", "tile"):
        (tmp_path / name).mkdir()
    check_report(capsys, films, tiny_pipe_folder, tmp_path / "report", engine)
    check_evaluation(capsys, films, tiny_pipe_folder, tmp_path / "evaluate", engine)
    check_tile(capsys, tmp_path / "tile", engine)


@pytest.mark.slow
def test_a_killed_worker(tmp_path, cluster):
    def kill():
        while not (pids := list(tmp_path.iterdir())):
            time.sleep(0.05)
        time.sleep(0.5)
        os.kill(int(pids[0].name), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    results = list(RayEngine(cluster).run(Marking(tmp_path), [*range(12), "bad"]))
    killer.join()
    assert sorted(str(task) for task, _ in results) == sorted(map(str, [*range(12), "bad"]))
    by_task = dict(results)
    assert type(by_task.pop("bad")).__name__ == "WorkerDied"
    assert len({pid for pid, _ in by_task.values()}) >= 2 and {threads for _, threads in by_task.values()} == {"1"}
    pids = [int(path.name) for path in tmp_path.iterdir()]
    assert len(pids) >= 1 + 3 and not psutil.wait_procs([p for p in map(_process, pids) if p], timeout=20)[1]


def _process(pid: int):
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


@pytest.mark.slow
def test_slides_and_a_worker_that_is_killed_over_them(capsys, tmp_path, cluster):
    """The worker is found by its name among the processes of the cluster, and killed once the first slide is there."""

    def kill():
        while not list((tmp_path / "out").glob("*.safetensors")):
            time.sleep(0.02)
        workers = [each for each in psutil.process_iter(["cmdline"]) if "ray::_Actor" in " ".join(each.cmdline()[:1])]
        workers[0].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    check_tile(capsys, tmp_path, ["--engine", "ray", "--ray-address", cluster], slides=8)
    killer.join()
