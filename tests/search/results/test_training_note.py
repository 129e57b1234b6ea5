"""What is said of a student that its training made worse."""

import json

import pytest
from helpers.command_line import Call

from autocompress.search import RunFolder
from autocompress.search.results.rows import front_rows, pick


@pytest.mark.parametrize(("before", "said"), [(99.0, True), (1.0, False)])
def test_a_pick_that_was_better_before_its_training(call: Call, copied: RunFolder, before: float, said: bool) -> None:
    best = pick(front_rows(copied))["trial"]
    file = copied.trial(best) / "student.json"
    record = json.loads(file.read_text())
    record["provenance"]["psnr_y_before_training"] = before
    file.write_text(json.dumps(record))
    code, out, _ = call("pareto", copied.path)
    assert code == 0
    assert (f"trial {best} had 99.00 dB before its training" in out) == said
    assert ("search with more `--steps`" in out) == said
