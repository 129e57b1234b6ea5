"""How many trials a node can run at once."""

import pytest

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
