"""What is measured as latency: of which image, in which process, how often."""

import itertools
import json
import os
import re
import sys
from typing import Any

import pytest
from helpers.latencies import MACHINE, invent_latencies

from autocompress.errors import AutocompressError, ExportFailed, InvalidInput
from autocompress.evaluation import latency
from autocompress.evaluation.latency import ENOUGH, WARM_UP, measure, repeated, this_machine, timed
from autocompress.evaluation.records import Latency
from autocompress.export.extras import is_here
from autocompress.networks.edsr.network import EDSR, EDSRConfig


def test_a_larger_network_takes_longer() -> None:
    small, large = (timed(EDSR(EDSRConfig(2, *size)), this_machine(1, "cpu"), 0.2) for size in ((4, 1), (16, 4)))
    assert small.median < large.median
    for found in (small, large):
        assert found.quartiles[0] <= found.median <= found.quartiles[1]
        assert (found.width, found.height, found.dtype, found.runtime) == (640, 360, "float32", "pytorch")


def test_the_output_is_of_1280x720_or_just_above() -> None:
    found = timed(EDSR(EDSRConfig(3, 2, 1)), this_machine(1, "cpu"), 0.0)
    assert (found.width, found.height, found.runs) == (427, 240, 1)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells of a peak of memory")
@pytest.mark.slow
def test_each_runtime_is_measured_in_a_process_of_its_own() -> None:
    found = measure(EDSR(EDSRConfig(2, 4, 1)), this_machine(1, "cpu"), 0.1, on_failure=pytest.fail)
    assert set(found) == ({"pytorch", "onnx"} if is_here("onnx") else {"pytorch"})
    for name, one in found.items():
        assert one.runtime == name
        assert one.machine == this_machine(1, "cpu")
        assert one.median > 0
        # at least the output and the features before it, and not all that this process has
        assert one.peak_memory is not None
        assert (3 + 4) * 1280 * 720 * 4 < one.peak_memory < 400e6
        json.dumps(one.to_dict(), allow_nan=False)


def test_what_one_runtime_cannot_do_the_other_can(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxscript")
    network, told = EDSR(EDSRConfig(2, 4, 1)), list[str]()

    def no_export(*_: object) -> None:
        raise ExportFailed("PyTorch cannot export this network to ONNX: no")

    def no_memory(job: Any) -> Latency:
        raise AutocompressError("the process that measured it was killed")

    monkeypatch.setattr(latency, "write_onnx", no_export)
    with monkeypatch.context() as patch:
        patch.setattr(latency, "_apart", lambda job: invent_latencies(network, job.machine)["pytorch"])
        assert list(measure(network, MACHINE, on_failure=told.append)) == ["pytorch"]
    assert told == ["not measured with onnx: PyTorch cannot export this network to ONNX: no"]
    monkeypatch.setattr(latency, "_apart", no_memory)
    with pytest.raises(AutocompressError, match="was killed"):
        measure(network, MACHINE, on_failure=pytest.fail)


def test_the_number_of_threads_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    before, seen = torch.get_num_threads(), []
    monkeypatch.setattr(latency, "repeated", lambda run, limit: seen.append(torch.get_num_threads()) or [1.0])
    timed(EDSR(EDSRConfig(2, 2, 1)), this_machine(2, "cpu"))
    assert seen == [2]
    assert torch.get_num_threads() == before


class Clock:
    """Runs take what they are told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *seconds: float) -> None:
        self.now, self.runs, self._seconds = 0.0, 0, itertools.cycle(seconds)
        monkeypatch.setattr(latency.time, "perf_counter", lambda: self.now)

    def run(self) -> None:
        self.now += next(self._seconds)
        self.runs += 1


def test_runs_end_when_they_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, 0.01)
    assert repeated(clock.run, 10) == pytest.approx([0.01] * ENOUGH)
    assert clock.runs == WARM_UP + ENOUGH


def test_runs_that_do_not_agree_end_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    found = repeated(Clock(monkeypatch, 0.01, 0.02).run, 1)
    assert len(found) > 3 * ENOUGH
    assert 1 <= sum(found) < 1.03


def test_what_takes_long_is_run_twice_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, 30.0)
    assert repeated(clock.run, 10) == [30.0]
    assert clock.runs == 2


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"threads": 0}, "threads is 0, but must be >= 1"),
        ({"device": "tpu"}, "device is 'tpu', but must be cpu or cuda"),
        ({"device": "cuda"}, "PyTorch sees no GPU here; give cpu"),
    ],
)
def test_machines_that_are_none(wanted: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency.torch.cuda, "is_available", lambda: False)
    with pytest.raises(InvalidInput, match=re.escape(said)):
        this_machine(**wanted)


class Ending:
    """Ends the process that it is sent to, as a system does that runs out of memory."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (9,)


def test_a_process_that_ends_early_is_one_line() -> None:
    family: Any = Ending()
    said = "the process that measured .* ended early, as where a system runs out of memory; free some memory, and give"
    with pytest.raises(AutocompressError, match=said):
        latency._apart(latency._Job(family, EDSRConfig(2, 4, 1), MACHINE, 0.1))
