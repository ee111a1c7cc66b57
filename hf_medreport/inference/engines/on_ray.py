"""Workers on the machines of a Ray cluster: an actor a GPU where there are any, else one a core.

    for task, result in RayEngine("10.0.0.1:6379").run(partial(report_worker, ...), tasks):
        ...

A worker is made once where it runs, by a function without arguments, and holds the model. Nodes need this library, and
the files under the paths that this process knows them by; what comes back is written here. Ray's usage statistics are
off unless RAY_USAGE_STATS_ENABLED says otherwise.
"""

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any

from hf_medreport.files.run_folder import code_version
from hf_medreport.inference.engines.dispatch import DEAD, DONE, READY, dispatch
from hf_medreport.processing.input_error import InputError

__all__ = ["RayEngine", "RayPool", "chosen_engine"]


@dataclass(frozen=True)
class RayEngine:
    """Where tasks are done; the arguments are those of `RayPool`."""

    address: str | None = None
    device: str | None = None

    def run(self, make: Callable[[], Callable], tasks: Iterable) -> Iterator[tuple[Any, Any]]:
        """Have tasks done by workers that `make` makes; see `dispatch`. Without a task nothing is started."""
        tasks = iter(tasks)
        for first in tasks:
            with RayPool(make, self.address, self.device) as pool:
                yield from dispatch(chain([first], tasks), pool)


def chosen_engine(engine: str | None, address: str | None, device: str | None) -> RayEngine | None:
    """What is asked for; None for this process alone. A check before a model is loaded.

    Raises:
        InputError: no such engine, an address without one, no ray, or nothing that answers at HOST:PORT.
    """
    if engine not in (None, "ray"):
        raise InputError("engine", f"'{engine}'", "ray, or none for this process alone", "correct it")
    if engine is None and address is not None:
        raise InputError("ray_address", f"'{address}' without `engine`", "it beside `engine` ray", "give both")
    if engine is None:
        return None
    _ray()
    host, _, port = (address or "").rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        try:
            socket.create_connection((host, int(port)), timeout=10).close()  # Ray itself tries for minutes
        except (OSError, OverflowError) as error:
            raise _no_cluster(address) from error
    return RayEngine(address, device)


def _no_cluster(address: str | None) -> InputError:
    found = f"no cluster at '{address}'" if address else "no cluster"
    expected, remedy = "one that answers, of this version of Ray and Python", "start it, or leave this out"
    return InputError("ray_address", found, expected, remedy)


def _ray():
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else a warning a worker without a GPU
    try:
        import ray
    except ImportError:
        raise InputError("engine", "that ray is not installed", "it", "pip install hf-medreport[ray]") from None
    return ray


class RayPool:
    """A context manager; see `dispatch.Pool`.

    Args:
        make: makes a worker, which takes a task and returns its result; both are pickled.
        address: of a cluster, such as `"10.0.0.1:6379"`; by default that of RAY_ADDRESS or of this machine, and one
            that is started here where there is none.
        device: where models run; anything but cuda leaves GPUs alone.

    Raises:
        InputError: no ray, or no cluster at the address.
    """

    def __init__(self, make: Callable[[], Callable], address: str | None = None, device: str | None = None):
        self._ray = ray = _ray()
        self._ours = not ray.is_initialized()
        if self._ours:
            with suppress(AttributeError):  # else it tells a worker's death on stdout, among our JSON
                ray._private.worker._worker_logs_enabled = False
            try:
                ray.init(address=address, log_to_driver=False, logging_level="ERROR")
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise _no_cluster(address) from error
        resources = ray.cluster_resources()
        cores, gpus = int(resources.get("CPU", 1)), int(resources.get("GPU", 0))
        on_gpus = gpus > 0 and (device is None or device.startswith("cuda"))
        self.size = gpus if on_gpus else max(1, cores)
        needs = {"num_gpus": 1, "num_cpus": max(1, cores // gpus)} if on_gpus else {"num_cpus": 1}
        self._actor = ray.remote(**needs, max_restarts=0, max_task_retries=0)(_Actor)
        self._make = ray.put(make)
        self._alive, self._asked = set(), {}  # what they were asked for -> who and what the answer means

    def __enter__(self) -> "RayPool":
        return self

    def __exit__(self, *_) -> None:
        self.close()
        if self._ours:
            self._ray.shutdown()

    def start(self) -> None:
        """Begin a worker."""
        actor = self._actor.remote()
        self._alive.add(actor)
        self._asked[actor.load.remote(self._make, code_version())] = actor, READY

    def submit(self, worker, task) -> None:
        """Give a ready worker a task."""
        self._asked[worker.do.remote(task)] = worker, DONE

    def wait(self) -> tuple[Any, str, Any]:
        """See `dispatch.Pool`."""
        [answer], _ = self._ray.wait(list(self._asked), num_returns=1)
        worker, event = self._asked.pop(answer)
        try:
            return worker, event, self._ray.get(answer)
        except self._ray.exceptions.RayTaskError as error:
            if event == READY:
                raise error.cause from None
            return worker, DONE, error.cause
        except self._ray.exceptions.RayError:  # the worker, its node or its memory
            self._alive.discard(worker)
            return worker, DEAD, None

    def close(self) -> None:
        """End all workers."""
        for actor in self._alive:
            self._ray.kill(actor)
        self._alive, self._asked = set(), {}


class _Actor:
    """A process of the cluster with a worker in it."""

    def load(self, make: Callable[[], Callable], wanted: str) -> None:
        if code_version() != wanted:  # its results would not be those of one process
            found, remedy = f"version {code_version()} on a node", "install the same one on all nodes"
            raise InputError("engine", found, f"{wanted}, as here", remedy)
        self._work = make()

    def do(self, task):
        return self._work(task)
