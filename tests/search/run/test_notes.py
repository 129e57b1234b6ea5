"""What a note says of a trial."""

from autocompress.search.run.notes import ended_note
from autocompress.search.run.record import TrialRecord


def test_scores_come_in_the_order_of_their_steps() -> None:
    """By number: 100 is after 33, and a text of it before."""
    record = TrialRecord(config="edsr num_feat=8", at_step={100: 34.0, 0: 32.1, 33: 33.9}, reason="stopped")
    assert "Scores on the way: 32.10 dB untrained, 33.90 dB after 33 steps, 34.00 dB after 100 steps." in ended_note(
        record, "stopped"
    )
