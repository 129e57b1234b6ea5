"""What a search for latency looks like in each place where a run is looked at."""

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import optuna
import pytest
from helpers.command_line import Call
from helpers.latencies import LIMIT, MACHINE, invent_latencies, milliseconds
from helpers.small_search import SPACE, Recorder, run_search, trials_of
from optuna.trial import TrialState
from playwright.sync_api import Browser

from autocompress.api import open_run
from autocompress.cli.tables import front_table, spare_of_front
from autocompress.errors import InvalidInput
from autocompress.evaluation import latency
from autocompress.evaluation.records import Latency, Machine
from autocompress.export.formats import Format, Wanted
from autocompress.networks.edsr.network import EDSRConfig
from autocompress.report import ReportData, front_figure, write_report
from autocompress.report.course import growth_figures
from autocompress.search import Outcome, RunFolder, Settings
from autocompress.search.pareto import Point, ReferencePoint, hypervolume
from autocompress.search.results.columns import REFINED
from autocompress.search.results.export import export_front, export_trial, file_names
from autocompress.search.results.front import pareto, rows, students, write_pareto
from autocompress.search.results.rows import front_rows, pick, student_rows
from autocompress.search.run.config import Reference
from autocompress.search.run.record import AT_STEP
from autocompress.search.space import latencies
from autocompress.search.space.cost import LATENCY_MS

TEACHER = milliseconds(EDSRConfig(2, 8, 2))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, teacher_file: Path, photos: Path) -> RunFolder:
    """A search for latency within LIMIT."""
    folder = tmp_path_factory.mktemp("timed")
    (folder / "small.yaml").write_text(SPACE)
    wanted = Settings(
        budget_latency=LIMIT,
        objective="latency",
        spaces=(str(folder / "small.yaml"),),
        teachers=(str(teacher_file),),
        train=photos,
        init="scratch",
        trials=8,
        steps=4,
        out=folder / "run",
    )

    def timed(*measured: Any) -> Latency:
        return invent_latencies(*measured)["pytorch"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latencies, "timed", timed)
        patch.setattr(latency, "this_machine", lambda: MACHINE)
        found, _ = run_search(wanted)
    write_pareto(found)
    write_report(ReportData.of(found))
    return found


@pytest.fixture
def measured(finished: tuple[RunFolder, Outcome, Recorder], tmp_path: Path) -> RunFolder:
    """A search for FLOPs whose front was measured afterwards."""
    shutil.copytree(finished[0].path, tmp_path / "run")
    found = RunFolder(tmp_path / "run")
    for row in front_rows(found):
        median = 2.5 * row["trial"] + 1
        latency = Latency("onnx", "1.0", Machine("abacus", "cpu", 2), 640, 360, 7, median, (median, median))
        found.write_latency(row["trial"], {"onnx": latency})
    return found


# --- the report ---


def test_the_picture_is_over_milliseconds(run: RunFolder) -> None:
    about = {LATENCY_MS: 20.5, "flops": 10**9, f"{AT_STEP}20": 31.5}
    stopped = optuna.trial.create_trial(state=TrialState.PRUNED, user_attrs=about)
    report = ReportData.of(run)
    report = dataclasses.replace(report, trials=[*report.trials, stopped])
    figure, front = front_figure(report), pareto(run)
    traces = {trace.name.partition(" ")[0].strip(":"): trace for trace in figure.data}
    assert list(traces["front"].x) == list(front[LATENCY_MS])
    assert list(traces["pick"].x) == [pick(rows(front))[LATENCY_MS]]
    assert list(traces["teacher"].x) == [TEACHER]
    assert "published" not in traces
    assert f"{TEACHER:g} PyTorch ms" in traces["teacher"].hovertext[0]
    assert (traces["stopped"].x[-1], traces["stopped"].y[-1]) == (20.5, 31.5)
    assert traces["stopped"].hovertext[-1].endswith("stopped: 31.50 dB after 20 steps<br>20.5 ms")
    axis = figure.layout.xaxis
    assert (axis.type, axis.title.text) == ("log", "ms for a 1280x720 output")
    assert {"0.5", "20", "1000"} <= set(axis.ticktext)
    assert [note.text for note in figure.layout.annotations if "budget" in note.text] == ["budget 27 ms"]
    [line] = [shape for shape in figure.layout.shapes if shape.x0 == shape.x1]
    assert line.x0 == LIMIT


def test_the_hypervolume_is_from_the_teacher_s_latency(run: RunFolder) -> None:
    found = students(run)
    points = [Point(row.trial, row.psnr_y, row.latency_ms) for row in found.itertuples()]
    report, low = ReportData.of(run), Reference({"psnr_y": 1.0})  # which all of them are above
    config = dataclasses.replace(report.config, references=dataclasses.replace(report.references, bicubic=low))
    last = growth_figures(dataclasses.replace(report, config=config))["trials"].data[0].y[-1]
    assert last > 1
    assert last == pytest.approx(hypervolume(points, ReferencePoint(TEACHER, 1.0)))


def test_the_page_is_about_milliseconds(run: RunFolder) -> None:
    html = (run.path / "report.html").read_text(encoding="utf-8")
    said = re.sub(r"<[^>]+>", "", html[html.index("<main>") : html.index('<script type="application/json"')])
    for text in (
        "networks within 27 ms",
        "takes with PyTorch on abacus, 1 thread (less is better)",
        "the teacher&rsquo;s latency and bicubic&rsquo;s PSNR-Y, in log10 ms times dB",
        "measured on abacus, 1 thread; where there are none",
    ):
        assert text in said, text
    assert "published" not in said
    assert 'aria-sort="ascending"><button type="button">PyTorch ms<' in html
    assert html.count(' aria-sort="') == 1
    assert "ONNX ms" not in said


def test_its_column_sorts_with_what_was_not_measured_last(measured: RunFolder, browser: Browser) -> None:
    """Of a search for FLOPs: its picture stays over FLOPs, and just the front was measured."""
    report = ReportData.of(measured)
    assert list(report.latencies) == ["ONNX ms"]
    assert front_figure(report).layout.xaxis.title.text == "FLOPs for a 1280x720 output"
    page = browser.new_page()
    page.goto(write_report(report).absolute().as_uri())
    page.locator("#table thead button", has_text="ONNX ms").click()
    cells = page.locator("#table tbody [data-heading='ONNX ms']").all_inner_texts()
    page.close()
    known = [float(text) for text in cells if text]
    assert known == sorted(known)
    assert len(known) == len(report.front) < len(report.students)
    assert cells[len(known) :] == [""] * (len(cells) - len(known))


# --- files for others ---


def test_the_index_and_the_cards_tell_of_milliseconds(run: RunFolder, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    export_front(run, tmp_path, Wanted((Format.PTH,)), lambda done, total: told.append((done, total)))
    assert told == [(done + 1, len(front_rows(run))) for done in range(len(front_rows(run)))]
    index, readme = json.loads((tmp_path / "index.json").read_text()), (tmp_path / "README.md").read_text()
    assert (index["objective"], index["budget"]["latency"]) == ("latency", LIMIT)
    assert index["references"]["teacher"][LATENCY_MS] == TEACHER
    assert "| PyTorch ms | official code | files |" in readme
    assert "the best of its speed" in readme
    assert "measured on abacus, 1 thread." in readme
    for row in index["students"]:
        ms = milliseconds(EDSRConfig(**row["config"]))
        assert (row[LATENCY_MS], row["latency_onnx_ms"]) == (ms, None)
        said = f"| latency | {ms:g} ms with PyTorch for an output of 1280x720, measured on abacus, 1 thread |"
        assert said in (tmp_path / row["card"]).read_text()
        assert f"| {ms:g} | yes | [" in readme
    columns = {line.count("|") for line in readme.splitlines() if line.startswith("|")}
    assert len(columns) == 1
    assert "--budget-latency 27ms" in (tmp_path / index["students"][0]["card"]).read_text()


def test_what_was_measured_afterwards_is_in_the_card_too(measured: RunFolder, tmp_path: Path) -> None:
    best = pick(front_rows(measured))
    export_trial(measured, "pick", tmp_path / "out", Wanted((Format.PTH,)))
    card = (tmp_path / "out" / f"{file_names(measured)[best['trial']]}.md").read_text()
    assert f"{best['latency_onnx_ms']:.3g} ms with ONNX Runtime for an output of 1280x720, measured on abacus" in card
    about = json.loads((tmp_path / "out" / f"{file_names(measured)[best['trial']]}.json").read_text())
    assert about["latency_on"] == "abacus, 2 threads"
    assert "latency_ms" not in about


def test_the_command_line_of_a_search_for_latency(run: RunFolder) -> None:
    assert run.config.settings is not None
    words = Settings.from_dict(run.config.settings).command.split()
    assert words[:4] == ["autocompress", "search", "--budget-latency", "27ms"]
    assert words[words.index("--objective") + 1] == "latency"
    for ms, said in ((33.3, "33.3ms"), (1500.0, "1500ms"), (0.25, "0.25ms")):
        assert f"--budget-latency {said}" in Settings(budget_latency=ms, objective="latency").command


# --- the dashboard ---


def test_trials_and_their_notes_have_their_latency(run: RunFolder) -> None:
    study = optuna.storages.RDBStorage(f"sqlite:///{run.database}")
    notes = study.get_study_system_attrs(study.get_all_studies()[0]._study_id)
    study.remove_session()
    study.engine.dispose()
    assert f"({TEACHER:g} ms)" in notes["dashboard:note_str:0"]
    for trial in trials_of(run):
        about = trial.user_attrs
        assert about[LATENCY_MS] == milliseconds(EDSRConfig(2, trial.params["num_feat"], trial.params["num_block"]))
        ms = f"{about[LATENCY_MS]:g}"
        assert f"({ms} ms)" in notes[f"dashboard:{trial._trial_id}:note_str:0"]
        if trial.state == TrialState.COMPLETE:
            assert f"| latency in ms | {ms} | {TEACHER:g} |" in notes[f"dashboard:{trial._trial_id}:note_str:0"]


# --- from Python, and on a terminal ---


def test_the_best_within_a_time(run: RunFolder, measured: RunFolder) -> None:
    result, table = open_run(run.path), students(run)
    limit = float(table[LATENCY_MS].median())
    best = result.best(max_latency=f"{limit}ms")
    assert best == result.best(max_latency=limit / 1000)
    assert best.psnr_y == table[table[LATENCY_MS] <= limit]["psnr_y"].max()
    assert best.latency_ms is not None
    assert best.latency_ms <= limit
    with pytest.raises(InvalidInput, match=r"no student is within 5 ms; the fewest are .*, .* parameters, 1\d ms"):
        result.best(max_latency="5ms")
    with pytest.raises(InvalidInput, match="max_latency: 'soon' is no duration"):
        result.best(max_latency="soon")
    with pytest.raises(InvalidInput, match=r"no student's latency is known.*evaluate RUN --latency"):
        open_run(measured.path).best(max_latency="30ms")


def test_status_says_the_best_one_s_latency(call: Call, run: RunFolder) -> None:
    [line] = [line for line in call("status", run.path).out.splitlines() if line.startswith("best ")]
    assert line.endswith(f" FLOPs and {pick(student_rows(run))[LATENCY_MS]:g} ms")


def test_the_table_of_a_narrow_terminal_keeps_what_the_front_is_about(run: RunFolder, measured: RunFolder) -> None:
    assert "PyTorch ms" not in spare_of_front(run)
    assert {"PyTorch ms", "ONNX ms"} <= set(spare_of_front(measured))
    headings = {column.header for column in front_table(run, front_rows(run)).columns}
    assert set(spare_of_front(run)) - {"ONNX ms", *(column.heading for column in REFINED)} <= headings


def test_a_student_below_bicubic_has_one_sign(run: RunFolder) -> None:
    front = pareto(run)
    front["gain_over_bicubic"] = -1.26
    [column] = [one for one in front_table(run, rows(front)).columns if one.header == "over bicubic"]
    assert set(list(column.cells)[1:-1]) == {"-1.26"}
