"""The teacher's outputs: killed while they are computed, they go on with the image at which they were."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.images import write_image

from autocompress.compute.precision import Precision
from autocompress.data.bank import PixelBank
from autocompress.data.folders import open_folder
from autocompress.distill.targets import teacher_targets
from autocompress.io import cache
from autocompress.networks.edsr.network import EDSR, EDSRConfig


class Killed(BaseException):
    """In the middle of it."""


@pytest.mark.parametrize(("damage", "left_to_do"), [("", [3, 4]), ("cut", [2, 3, 4]), ("zeros", [1, 2, 3, 4])])
def test_they_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str, left_to_do: list[int]) -> None:
    monkeypatch.setenv(cache.FOLDER_VARIABLE, str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for index in range(4):
        write_image(tmp_path / "images" / f"{index}.png", rng.integers(0, 256, (24 + 2 * index, 32, 3), dtype=np.uint8))
    bank = PixelBank.open(open_folder(tmp_path / "images", 2, min_size=16))
    teacher = EDSR(EDSRConfig(2, 4, 1)).eval()

    def stop(done: int, total: int) -> None:
        assert total == 4
        if done == 3:
            raise Killed

    with pytest.raises(Killed):
        teacher_targets(teacher, bank, Precision(), stop)
    (left,) = (tmp_path / "cache" / ".building").glob("*/teacher.u8")
    whole = left.read_bytes()
    left.write_bytes({"": whole, "cut": whole[:-7], "zeros": bytes(len(whole))}[damage])
    tiles = list[int]()
    outputs = teacher_targets(teacher, bank, Precision(), lambda done, _: tiles.append(done))
    assert tiles == left_to_do
    monkeypatch.setenv(cache.FOLDER_VARIABLE, str(tmp_path / "another"))
    again = list[int]()
    assert torch.equal(teacher_targets(teacher, bank, Precision(), lambda done, _: again.append(done)), outputs)
    assert again == [1, 2, 3, 4]
