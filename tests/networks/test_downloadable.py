"""Networks that can be downloaded: what is known of them."""

import pytest

from autocompress.networks.downloadable import downloadable


def test_they_are_plain_numbers_with_sources() -> None:
    networks = downloadable()
    assert len({network.name for network in networks}) == len(networks) > 10
    for network in networks:
        assert 1e9 < network.flops < 1e12
        assert 36 < network.psnr_y["Set5"] < 39
        assert all(32 < psnr < 39 for psnr in network.psnr_y.values())
        assert network.source
    assert [network.flops for network in networks] == sorted(network.flops for network in networks)


def test_costs_are_those_of_plain_convolutions() -> None:
    """ECBSR and ETDS in their plain form: a pixel's FLOPs are about its weights."""
    for network in downloadable():
        if network.name.startswith("ECBSR"):
            assert network.flops == pytest.approx(network.params * 1280 * 720 / 4, rel=0.02)
