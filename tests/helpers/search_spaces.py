"""A search space, and others by a change of it."""

from pathlib import Path

from autocompress.networks.edsr.network import EDSRConfig
from autocompress.search.space.search_space import SearchSpace, load_space

TEACHER = EDSRConfig(scale=2, num_feat=20, num_block=4, res_scale=0.1)

GOOD = """
family: edsr
parameters:
  num_feat: {type: int, low: 8, high: 64, step: 8}
  num_block: {type: int, low: 1, high: 16}
  teacher_loss: {type: categorical, choices: [l1, multilap]}
  teacher_share: {type: float, low: 0.0, high: 1.0, step: 0.25}
  learning_rate: {type: float, low: 1.0e-4, high: 1.0e-2, log: true, num: 3}
defaults: {teacher_share: 0.5, learning_rate: 1.0e-3}
"""


def parse(tmp_path: Path, text: str) -> SearchSpace:
    """The space of a file with this text."""
    (tmp_path / "mine.yaml").write_text(text)
    return load_space(str(tmp_path / "mine.yaml"))


def changed(old: str, new: str) -> str:
    """The good one with one thing replaced."""
    assert old in GOOD
    return GOOD.replace(old, new)
