"""The options of a search: each is declared once, and is one on the command line, in Python and in config.json."""

import dataclasses
import inspect
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.main import get_command

from autocompress import api
from autocompress.cli import app
from autocompress.errors import InvalidInput
from autocompress.search.options import Option
from autocompress.search.settings import OPTIONS, OVERRIDES, BackendName, Log, SamplerName, Settings
from autocompress.search.space.budget import Budget, Objective
from autocompress.shrink.init import Init

COMMAND: Any = get_command(app).commands["search"]  # type: ignore[attr-defined]
WORD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).map(lambda text: f"a{text}")
ADDRESS = st.just("auto") | st.builds(
    "{}:{}".format, st.from_regex(r"[a-z0-9][a-z0-9.-]*", fullmatch=True), st.integers(1, 65535)
)
SECONDS = st.integers(1, 10**9).map(lambda microseconds: microseconds / 1e6) | st.integers(1, 10**6).map(float)


def read(line: str) -> Settings:
    """What the command line makes of a line, without running it."""
    program, name, *words = shlex.split(line)
    assert (program, name) == ("autocompress", "search")
    given = COMMAND.make_context("search", words).params
    return Settings.read({option.keyword: given[option.keyword] for option in OPTIONS})


@st.composite
def any_settings(draw: st.DrawFn) -> Settings:
    """Without what the command line leaves out: the study's database and `extend`."""

    def maybe(strategy: st.SearchStrategy[Any]) -> Any:
        return draw(st.none() | strategy)

    latency = draw(st.booleans())
    ray = not latency and draw(st.booleans())
    train = maybe(WORD.map(Path))
    return Settings(
        budget_flops=draw(st.integers(1, 10**13)),
        budget_params=maybe(st.integers(1, 10**9)),
        budget_latency=maybe(SECONDS) if latency else None,
        spaces=tuple(draw(st.lists(WORD, min_size=1, max_size=3))),
        teachers=tuple(draw(st.lists(WORD, max_size=3))),
        target=maybe(WORD),
        overrides=tuple((each.field, draw(st.floats(0, 10))) for each in OVERRIDES if draw(st.booleans())),
        train=train,
        val=None if train is None else maybe(WORD.map(Path)),
        scale=maybe(st.integers(2, 4)),
        skip_bad_images=draw(st.booleans()),
        init=draw(st.sampled_from(Init)),
        log=draw(st.sampled_from(Log)),
        prune=draw(st.booleans()),
        objective=Objective.LATENCY if latency else Objective.FLOPS,
        sampler=draw(st.sampled_from(SamplerName)),
        trials=draw(st.integers(1, 10**6)),
        steps=draw(st.integers(1, 10**6)),
        timeout=maybe(SECONDS),
        workers=None if latency else maybe(st.integers(1, 64)),
        trial_timeout=maybe(SECONDS),
        backend=BackendName.RAY if ray else BackendName.LOCAL,
        address=maybe(ADDRESS) if ray else None,
        cpus_per_trial=maybe(st.integers(1, 64)) if ray else None,
        gpus_per_trial=maybe(st.floats(0, 1)) if ray else None,
        seed=draw(st.integers(0, 2**32 - 1)),
        out=maybe(WORD.map(Path)),
    )


@given(any_settings())
def test_the_command_gives_the_settings_again(settings: Settings) -> None:
    assert read(settings.command) == settings


@given(any_settings(), st.none() | WORD, st.booleans())
def test_config_json_gives_the_settings_again(settings: Settings, storage: str | None, extend: bool) -> None:
    settings = dataclasses.replace(settings, storage=storage, extend=extend)
    again = Settings.from_dict(json.loads(json.dumps(settings.to_dict())))
    assert again == settings
    assert isinstance(again.init, Init)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.field)
def test_an_option_is_one_everywhere(option: Option) -> None:
    """A field of Settings, an option with help, a described keyword with the same default, and in config.json."""
    assert option.help.endswith((".", "..."))
    [parameter] = [parameter for parameter in COMMAND.params if parameter.name == option.keyword]
    assert parameter.opts == [option.flag]
    assert parameter.help == option.help
    keyword = inspect.signature(api.search).parameters[option.keyword]
    assert keyword.default == option.usual
    assert parameter.default == (None if option.many else keyword.default)
    assert f"\n{option.keyword}: {option.help}" in (inspect.getdoc(api.search) or "")
    assert option.field in Settings(budget_flops=1).to_dict()


def test_nothing_else_is_an_option() -> None:
    keywords = [option.keyword for option in OPTIONS]
    fields = [option.field for option in OPTIONS if option not in OVERRIDES]
    assert [field.name for field in dataclasses.fields(Settings)] == [*fields, "overrides"]
    assert [*inspect.signature(api.search).parameters] == [*keywords, "progress", "callbacks"]
    assert [parameter.name for parameter in COMMAND.params] == [*keywords, "join", "quiet"]
    assert Settings(budget_flops=1).to_dict().keys() == {option.field for option in OPTIONS}


def test_an_unknown_keyword_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'bugdet_flops'"):
        api.search(bugdet_flops="20G")
    with pytest.raises(TypeError, match="unexpected keyword argument 'seed'"):
        api.join("runs/mine", seed=1)


def test_what_a_user_gives_is_read() -> None:
    given = {"budget_flops": "20G", "budget_latency": "30ms", "objective": "latency", "timeout": 600, "space": "swinir"}
    settings = Settings.read(given | {"teacher": [Path("net.pth")], "sampler": "tpe", "trial_timeout": "2h"})
    assert settings.budget == Budget(20 * 10**9, None, 30.0)
    assert (settings.spaces, settings.teachers) == (("swinir",), ("net.pth",))
    assert (settings.timeout, settings.trial_timeout, settings.sampler) == (600.0, 7200.0, SamplerName.TPE)
    for name, value in {"init": "magic", "sampler": "luck", "objective": "size", "backend": "slurm"}.items():
        with pytest.raises(InvalidInput, match=f"{name} is {value!r}, but must be one of "):
            Settings.read({"budget_flops": 1, name: value})


def test_the_settings_of_0_1_are_read() -> None:
    """They had mappings of their own for the budget and for Ray; what was usual is not on the command line."""
    recorded: dict[str, Any] = {
        "budget": {"flops": 20_000_000_000, "params": 123_456_789},
        "spaces": ["edsr", "my space.yaml"],
        "teachers": [],
        "train": "DIV2K",
        "prune": True,
        "trials": 24,
        "timeout": 600.0,
        "workers": 4,
        "ray": {"address": "head:6379", "workers": 4, "cpus": 1, "gpus": 0.5},
        "storage": "postgresql://me:secret@host/db",
        "extend": False,
    }
    assert Settings.from_dict(recorded).command == (
        "autocompress search --budget-flops 20G --budget-params 123456789 --space edsr --space 'my space.yaml' "
        "--train DIV2K --prune --timeout 10m --workers 4 --backend ray --address head:6379 --cpus-per-trial 1 "
        "--gpus-per-trial 0.5"
    )
    del recorded["ray"]
    assert Settings.from_dict(recorded).command.endswith("--timeout 10m --workers 4")
    recorded["workers"] = 1
    assert Settings.from_dict(recorded).command.endswith("--timeout 10m")


@pytest.mark.parametrize(("seconds", "said"), [(90.0, "90s"), (0.5, "0.5s"), (5400.0, "90m"), (7200.0, "2h")])
def test_times_in_the_command_are_as_people_write_them(seconds: float, said: str) -> None:
    assert Settings(trial_timeout=seconds).command == f"autocompress search --trial-timeout {said}"


def test_a_session_that_joins_has_the_search_but_not_its_session(tmp_path: Path) -> None:
    (tmp_path / "a=b.pth").touch()
    settings = Settings(
        budget_flops=1,
        spaces=("edsr", "own.yaml"),
        teachers=("edsr=net.pth", "a=b.pth", "edsr=edsr-baseline-x2"),
        target="swinir-s-x2",
        train=Path("images"),
        val=Path("/elsewhere"),
        seed=3,
        trial_timeout=60.0,
        timeout=5.0,
        workers=3,
        storage="redis://host",
        backend=BackendName.RAY,
        gpus_per_trial=0.5,
    )
    assert settings.for_joining(tmp_path) == Settings(
        budget_flops=1,
        spaces=("edsr", str(tmp_path / "own.yaml")),
        teachers=(f"edsr={tmp_path / 'net.pth'}", str(tmp_path / "a=b.pth"), "edsr=edsr-baseline-x2"),
        target="swinir-s-x2",
        train=tmp_path / "images",
        val=Path("/elsewhere"),
        seed=3,
        trial_timeout=60.0,
    )


def test_settings_and_the_words_of_choices_are_there_without_torch() -> None:
    code = (
        "import sys, autocompress.search.settings, autocompress.export.formats, autocompress.api.choices\n"
        "assert not {'torch', 'optuna', 'ray', 'pandas', 'numpy', 'typer'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
