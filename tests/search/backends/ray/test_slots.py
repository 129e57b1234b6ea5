"""How many trials a node can run at once."""

import pytest

from autocompress.errors import InvalidInput
from autocompress.search import OnRay

pytest.importorskip("ray", reason="Ray is not installed")


@pytest.mark.parametrize(("share", "fit"), [(0.1, 10), (0.2, 5), (0.3, 3), (0.5, 2), (1.0, 1), (2.0, 0)])
def test_slots_of_a_gpu_s_share(share: float, fit: int) -> None:
    from autocompress.search.backends.ray.cluster import _fit

    assert _fit({"CPU": 64.0, "GPU": 1.0}, OnRay(gpus=share)) == fit


def test_slots_of_cpus() -> None:
    from autocompress.search.backends.ray.cluster import _fit

    assert _fit({"CPU": 7.0}, OnRay(cpus=2)) == 3
    assert _fit({"CPU": 7.0}, OnRay(gpus=1.0)) == 0


@pytest.mark.parametrize("wanted", [OnRay(cpus=100_000), OnRay(gpus=1000.0), OnRay(workers=2, gpus=1000.0)])
def test_more_than_this_machine_has_is_said_before_a_ray_is_started(wanted: OnRay) -> None:
    """Of as many workers as are asked for it has the processors: it is told so."""
    import ray

    from autocompress.search.backends.ray.cluster import _check_here, connected

    said = r"but this machine has \d+ and \d+; give --cpus-per-trial"
    with pytest.raises(InvalidInput, match=said), connected(wanted):
        pass
    assert not ray.is_initialized()
    _check_here(OnRay(workers=2, cpus=100_000), 200_000)
