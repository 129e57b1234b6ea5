"""Event files for TensorBoard: what is in them, by every verb that logs; and callbacks of one's own."""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.small_search import run_search

from autocompress import api
from autocompress.errors import InvalidInput
from autocompress.event_log import logged
from autocompress.event_log.tensorboard import open_tensorboard
from autocompress.search import SearchCallback, Settings
from autocompress.search.callbacks import CallbackList
from autocompress.search.results.front import pareto
from autocompress.search.settings import Log
from autocompress.search.space.search_space import Candidate

event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2", reason="tensorboardX is not installed")


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The scalars of the event files in a folder, by tag: step and value."""
    found: dict[str, list[tuple[int, float]]] = {}
    for file in sorted(folder.glob("events.*")):
        for event in _events(file.read_bytes()):
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def _events(content: bytes) -> Iterator[event_pb2.Event]:
    """Each is its length, a checksum, itself, and a checksum."""
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        yield event_pb2.Event.FromString(content[12 : 12 + length])
        content = content[16 + length :]


def test_the_front_and_the_curves_are_there(settings: Callable[..., Settings]) -> None:
    wanted = settings(trials=2, steps=30)
    with logged(Log.TENSORBOARD, wanted.folder) as (log,):
        run, _ = run_search(wanted, log)
    front = scalars(run.path / "tensorboard")
    volumes = [value for _, value in front["front/hypervolume"]]
    assert volumes == sorted(volumes)
    assert front["front/psnr_y"][-1][1] == pytest.approx(pareto(run)["psnr_y"].max(), rel=1e-6)
    assert front["front/size"][-1][1] == len(pareto(run))
    for student in run.students():
        curve = dict(scalars(run.path / "tensorboard" / f"trial-{student.trial:04d}")["psnr_y"])
        assert list(curve) == [0, *sorted(step for step in student.provenance.scores or {} if step), 30]
        assert curve[30] == pytest.approx(student.metrics["psnr_y"], rel=1e-6)

    with logged(Log.TENSORBOARD, wanted.folder) as (log,):
        run_search(settings(trials=3, steps=30), log)
    assert scalars(run.path / "tensorboard")["front/hypervolume"][-1][0] == 3


def test_texts_of_others_are_no_markdown(tmp_path: Path) -> None:
    """TensorBoard shows texts as Markdown, and would fetch pictures that a failure or a name says."""
    sink = open_tensorboard(tmp_path)
    sink.note("failed", "trial 0: ![x](https://example.org/a.png)\n![y](https://example.org/b.png)", 0)
    sink.front(0, {}, [(0, "own act=![z](https://example.org/c.png)", "1G", "30.00")])
    sink.close()
    texts = [
        value.tensor.string_val[0].decode()
        for file in (tmp_path / "tensorboard").glob("events.*")
        for event in _events(file.read_bytes())
        for value in event.summary.value
    ]
    lines = [line for text in texts for line in text.splitlines()]
    assert len([line for line in lines if "example.org" in line]) == 3
    assert not [line for line in lines if "![" in line and not line.startswith("    ")]  # indented is code


def test_without_tensorboardx_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("autocompress.event_log.tensorboard.find_spec", lambda _: None)
    with (
        pytest.raises(InvalidInput, match=r"pip install 'autocompress\[tensorboard\]'"),
        logged(Log.TENSORBOARD, tmp_path),
    ):
        pytest.fail("it was opened")


@pytest.mark.parametrize("name", ["tensorboard", "tensorboard/trial-0001"])
@pytest.mark.parametrize("what", ["link", "file"])
def test_what_stands_in_its_place_is_named(tmp_path: Path, name: str, what: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    place = tmp_path / "run" / name
    place.parent.mkdir(parents=True)
    if what == "link":
        place.symlink_to(tmp_path / "elsewhere")
    else:
        place.write_text("x")
    with (
        pytest.raises(InvalidInput, match=f"{name}: .*, where --log tensorboard needs one of its own; move it, or"),
        logged(Log.TENSORBOARD, tmp_path / "run"),
    ):
        pytest.fail("it was opened")
    assert not [*(tmp_path / "elsewhere").iterdir()]


def test_every_event_reaches_every_callback() -> None:
    told = list[str]()

    class Teller(SearchCallback):
        def on_stage(self, what: str) -> None:
            told.append(what)

        def on_step(self, trial: int, step: int) -> None:
            told.append(f"{trial}: {step}")

    both = CallbackList([Teller(), Teller()])
    both.on_stage("a")
    both.on_step(1, 2)
    both.on_prepared([])
    assert told == ["a", "a", "1: 2", "1: 2"]
    own = {name for name in vars(SearchCallback) if name.startswith("on_")}
    assert own <= set(vars(CallbackList))


def test_own_callbacks_and_the_option_by_the_public_door(settings: Callable[..., Settings]) -> None:
    wanted, seen = settings(trials=1, steps=1), list[int]()

    class Own(SearchCallback):
        def on_trial_complete(self, trial: int, candidate: Candidate, psnr: float) -> None:
            seen.append(trial)

    given = {"space": wanted.spaces, "teacher": wanted.teachers, "train": wanted.train, "val": wanted.val}
    result = api.search(
        budget_flops=wanted.budget_flops,
        trials=1,
        steps=1,
        repeats=2,
        out=wanted.out,
        log="tensorboard",
        callbacks=[Own()],
        progress=False,
        **given,
    )
    assert seen == [0]
    assert scalars(result.path / "tensorboard")["front/size"] == [(1, 1.0)]
    curves = scalars(result.path / "tensorboard" / "trial-0000")
    assert [step for step, _ in curves["psnr_y"]] == [0, 1]
    assert [step for step, _ in curves["psnr_y_repeated"]] == [1]

    api.refine(result.path, 2, log="tensorboard", progress=False)
    refined = scalars(result.path / "tensorboard" / "trial-0000")["psnr_y"]
    assert max(refined)[0] == 1 + 2
    assert sorted(scalars(result.path / "tensorboard")["front/size"]) == [(1, 1.0), (2, 1.0)]
    before = list((result.path / "tensorboard").glob("events.*"))
    api.join(result.path, log="tensorboard", progress=False)  # nothing is left to do
    assert len(list((result.path / "tensorboard").glob("events.*"))) == len(before) + 1
