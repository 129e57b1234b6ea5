"""config.json and student.json: read and written again as they were, by this version and the first."""

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.small_search import FinishedSearch

from autocompress.errors import RunError
from autocompress.search.run.config import ImageSet, RunConfig
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.logs import SessionTimes
from autocompress.search.run.student import StudentRecord, read_student, write_student


@pytest.fixture
def config(finished: FinishedSearch) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((finished[0].path / "config.json").read_text())
    return content


def test_config_json_is_written_as_it_was_read(config: dict[str, Any]) -> None:
    assert json.dumps(RunConfig.from_dict(config).to_dict()) == json.dumps(config)


def test_config_json_of_a_search_for_latency(config: dict[str, Any]) -> None:
    machine = {"name": "abacus", "device": "cuda"}
    config["search"] = {"objective": "latency", "machine": machine} | config["search"]
    config["references"]["teacher"]["latency_ms"] = 3.5
    read = RunConfig.from_dict(config)
    assert (read.search.objective, read.search.machine) == ("latency", machine)
    assert read.references.teacher.latency_ms == 3.5
    assert read.to_dict() == config


def test_config_json_without_what_the_first_versions_did_not_record(config: dict[str, Any]) -> None:
    for key in ("settings", "started_in", "storage"):
        del config[key]
    read = RunConfig.from_dict(config)
    assert (read.settings, read.started_in, read.storage, read.trials) == (None, None, None, None)
    assert read.to_dict() == config


def test_what_config_json_says(finished: FinishedSearch, teacher_file: Path) -> None:
    config = finished[0].config
    assert config.scale == 2
    assert config.trials == 10
    assert config.search.objective == "flops"
    assert config.teachers == {str(teacher_file): config.references.teacher}
    assert config.references.teacher.psnr_y == config.references.teacher.scores["psnr_y"]
    assert str(ImageSet("photos", 8)) == "8 images of photos"


@pytest.mark.parametrize("key", ["search", "references", "branches", "arithmetic"])
def test_another_config_json_is_refused(config: dict[str, Any], tmp_path: Path, key: str) -> None:
    del config[key]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(RunError, match=r"config\.json: describes no run of autocompress search .*, or give another"):
        _ = RunFolder(tmp_path).config


def test_student_json_is_written_as_it_was_read(finished: FinishedSearch, tmp_path: Path) -> None:
    for student in finished[0].students():
        (tmp_path / "0007").mkdir(exist_ok=True)
        write_student(tmp_path / "0007", student)
        before = (finished[0].trial(student.trial) / "student.json").read_text()
        assert (tmp_path / "0007" / "student.json").read_text() == before
        read = read_student(tmp_path / "0007")
        assert read is not None
        assert (read.trial, read.file) == (7, tmp_path / "0007" / "student.safetensors")
        assert read.provenance == student.provenance


def test_a_student_s_cost_is_its_latency_where_that_counts() -> None:
    content = {"family": "edsr", "config": {}, "flops": 123, "params": 5, "metrics": {"psnr_y": 30.0}}
    assert StudentRecord.from_dict(content).objectives == [30.0, 123.0]
    assert StudentRecord.from_dict(content | {"latency_ms": 2.5}).objectives == [30.0, 2.5]


def test_no_student_and_no_description_of_one(tmp_path: Path) -> None:
    assert read_student(tmp_path) is None
    (tmp_path / "student.json").write_text("{}")
    with pytest.raises(RunError, match=r"student\.json: describes no student \(it has no 'family'\); remove it"):
        read_student(tmp_path)


def test_times_of_sessions_replace_each_other(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert run.times == []
    first, second = (
        SessionTimes(session=name, started=1.0, total=2.0, before_training=None, parts={"other": 2.0}) for name in "ab"
    )
    run.write_times(first)
    run.write_times(second)
    longer = SessionTimes(session="a", started=1.0, total=3.0, before_training=2.5, parts={"other": 3.0})
    run.write_times(longer)
    assert run.times == [second, longer]
    (tmp_path / "times.json").write_text('{"sessions": [{"total": 1}]}')
    with pytest.raises(RunError, match="holds no times of sessions"):
        _ = run.times
