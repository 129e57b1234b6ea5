"""A signal in the middle of an operation of the study's storage: it is handled, and the operation is done."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from optuna.storages import RDBStorage

from autocompress.search import RunFolder
from autocompress.search.run.storage import StudyStorage, disconnect
from autocompress.search.run.uninterrupted import uninterrupted

NUMBERS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture
def interrupted() -> Iterator[Callable[..., None]]:
    """A handler that raises KeyboardInterrupt, for both."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in NUMBERS}
    yield interrupt
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NUMBERS)
def test_it_waits_for_the_end(interrupted: Callable[..., None], number: int) -> None:
    done = []

    def work() -> None:
        with uninterrupted():
            with uninterrupted():
                os.kill(os.getpid(), number)
                os.kill(os.getpid(), number)
            done.append("inside")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["inside"]
    assert signal.getsignal(number) is interrupted


def test_an_ignored_signal_stays_so() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_study_is_written_and_can_be_written_again(
    interrupted: Callable[..., None], tmp_path: Path, number: int
) -> None:
    storage = StudyStorage(None, "study").open(RunFolder(tmp_path))
    assert isinstance(storage, RDBStorage)
    study = storage.create_new_study([], "study")
    sent = []

    def send(*_: Any) -> None:
        if not sent:
            sent.append(number)
            os.kill(os.getpid(), number)

    sqlalchemy.event.listen(storage.engine, "before_cursor_execute", send)
    with pytest.raises(KeyboardInterrupt):
        storage.set_study_user_attr(study, "first", 1)
    storage.set_study_user_attr(study, "second", 2)
    assert storage.get_study_user_attrs(study) == {"first": 1, "second": 2}
    disconnect(storage)
