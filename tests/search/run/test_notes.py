"""What a note says of a trial and of a study, and that names in it are text."""

import json
import re

from autocompress.search import RunFolder
from autocompress.search.run.notes import ended_note, study_attributes, study_note
from autocompress.search.run.record import TrialRecord

PICTURE = "![x](https://example.org/seen.png)<img src=x>`"


def test_scores_come_in_the_order_of_their_steps() -> None:
    """By number: 100 is after 33, and a text of it before."""
    record = TrialRecord(config="edsr num_feat=8", at_step={100: 34.0, 0: 32.1, 33: 33.9}, reason="stopped")
    assert "Scores on the way: 32.10 dB untrained, 33.90 dB after 33 steps, 34.00 dB after 100 steps." in ended_note(
        record, "stopped"
    )


def test_a_dashboard_fetches_no_picture_that_a_name_or_a_failure_says() -> None:
    note = ended_note(TrialRecord(config=PICTURE, reason=f"{PICTURE}: no such file"), "**failed**")
    assert r"\!" not in note
    assert r"!\[x\](https://example.org/seen.png)&lt;img src=x&gt;\`: no such file" in note
    assert "![" not in note


def test_names_of_images_and_spaces_in_the_study_s_note_are_text(copied: RunFolder) -> None:
    file = copied.path / "config.json"
    content = json.loads(file.read_text())
    content["train"]["name"] = content["valid"]["name"] = PICTURE
    [space] = content["search"]["spaces"]
    for named in (content["search"]["spaces"], content["branches"]):
        named[PICTURE] = named.pop(space)
    file.write_text(json.dumps(content))
    note = study_note(copied)
    assert "![" not in re.sub(r"`[^`]*`", "", note)
    assert "<img" not in re.sub(r"`[^`]*`", "", note)
    assert note.count("&lt;img src=x&gt;") == 2
    assert PICTURE in study_attributes(copied)["images"]  # no Markdown there
