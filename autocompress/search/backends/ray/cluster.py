"""Connecting to a Ray cluster, or starting one on this machine, and how many trials it can run at once."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import ceil
from typing import Any

import ray
from ray._private import ray_constants
from ray._private.accelerators import get_accelerator_manager_for_resource
from ray._private.utils import get_num_cpus

from autocompress.errors import InvalidInput
from autocompress.search.ray_address import check_ray_address
from autocompress.search.settings import OnRay

RAY_ADDRESS = ray_constants.RAY_ADDRESS_ENVIRONMENT_VARIABLE
COUNTED_EVERY = 2.0  # seconds: nodes come and go
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to anybody
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # paths may be relative
}


@contextmanager
def connected(wanted: OnRay) -> Iterator[None]:
    """A context connected to the given cluster, or to a Ray on this machine, which is started and ended if need be.

    InvalidInput if there is no such cluster, or no node of it has the CPUs and GPUs of a trial.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    ours = not ray.is_initialized()
    if ours:
        _init(wanted)
    try:
        _check(wanted)
        yield
    finally:
        if ours:
            ray.shutdown()


def _init(wanted: OnRay) -> None:
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if wanted.address is None:
        # as many as are asked for, even if there are fewer: as with several workers without Ray
        cpus = None if wanted.workers is None else max(os.cpu_count() or 1, ceil(wanted.workers * wanted.cpus))
        _check_here(wanted, cpus)
        with _on_loopback():
            ray.init("local", num_cpus=cpus, include_dashboard=False, **options)
        return
    if wanted.address == "auto" and (of_environment := os.environ.get(RAY_ADDRESS)):  # which Ray takes in its place
        check_ray_address(of_environment, f"the environment's {RAY_ADDRESS}")
    try:
        ray.init(wanted.address, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        first, *_ = str(error).strip().splitlines() or [type(error).__name__]
        raise InvalidInput(
            f"--address {wanted.address}: cannot join a Ray cluster there ({first}); run this on a node of a cluster, "
            "as `ray start` makes one, or leave --address out to use this machine"
        ) from error


@contextmanager
def _on_loopback() -> Iterator[None]:
    """A context in which a Ray that is started listens on 127.0.0.1 alone: whoever reaches it can run code.

    Ray has no option for that. It does so where it thinks that there are no clusters, as it does on some systems; that
    is a variable, for the processes that it starts, which is read once, when Ray is imported.
    """
    name, before = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR, ray_constants.ENABLE_RAY_CLUSTER
    variable = os.environ.get(name)
    os.environ[name], ray_constants.ENABLE_RAY_CLUSTER = "0", False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
        if variable is None:
            del os.environ[name]
        else:
            os.environ[name] = variable


def _check_here(wanted: OnRay, cpus: int | None) -> None:
    """InvalidInput where a Ray that is started here has no place for a trial: starting it takes long.

    It counts the processors, unless it is told how many `cpus` it has, and the GPUs that this process may use.
    """
    gpus, kind = 0, get_accelerator_manager_for_resource("GPU")
    if kind is not None:
        gpus, visible = kind.get_current_node_num_accelerators(), kind.get_current_process_visible_accelerator_ids()
        gpus = gpus if visible is None else min(gpus, len(visible))
    here = {"CPU": get_num_cpus() if cpus is None else cpus, "GPU": gpus}
    if _fit(here, wanted) == 0:
        raise InvalidInput(
            f"each trial is given {wanted.cpus} CPUs and {wanted.gpus or 0:g} GPUs, but this machine has {here['CPU']} "
            f"and {here['GPU']}; give --cpus-per-trial or --gpus-per-trial that fit, or the --address of a cluster"
        )


def _check(wanted: OnRay) -> None:
    if slots(wanted) == 0:
        raise InvalidInput(
            f"no node of the Ray cluster has {wanted.cpus} CPUs and {wanted.gpus or 0:g} GPUs, as each trial is given; "
            "give --cpus-per-trial or --gpus-per-trial that fit"
        )


def slots(wanted: OnRay) -> int:
    """How many trials the cluster's present nodes can run at once."""
    return sum(_fit(node["Resources"], wanted) for node in ray.nodes() if node["Alive"])


def _fit(resources: Mapping[str, float], wanted: OnRay) -> int:
    by_cpus = resources.get("CPU", 0) // wanted.cpus
    if not wanted.gpus:
        return int(by_cpus)
    by_gpus = round(resources.get("GPU", 0) / wanted.gpus, 6)  # 1 // 0.2 is 4
    return int(min(by_cpus, by_gpus))


class Slots:
    """How many trials may run at once: as many as asked for, or as the cluster's present nodes can run."""

    def __init__(self, wanted: OnRay) -> None:
        self._wanted = wanted
        self._counted = 0.0
        self._slots = 1

    @property
    def now(self) -> int:
        """The number now; at least one, which then waits for a node."""
        if self._wanted.workers is not None:
            return self._wanted.workers
        if time.monotonic() - self._counted > COUNTED_EVERY:
            self._counted, self._slots = time.monotonic(), max(1, slots(self._wanted))
        return self._slots
