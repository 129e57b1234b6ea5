"""Help: of every command, at once; and what is said to words that are no command."""

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from helpers.command_line import Call
from typer.main import get_command

from autocompress.cli import app


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with the words that call it."""
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        for below, found in getattr(command, "commands", {"": command}).items():
            yield f"{name} {below}".strip(), found


@pytest.mark.parametrize("words", [pytest.param("--help", marks=pytest.mark.slow), "search --help"])
def test_help_answers_at_once_without_torch_or_ray(words: str) -> None:
    code = (
        f"import sys; sys.argv = ['autocompress', *{words.split()}]\n"
        "from autocompress.cli import main\n"
        "try:\n    main()\nfinally:\n    heavy = {'torch', 'ray', 'optuna', 'numpy', 'pandas'}\n"
        "    print('heavy:', sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
        "    import time; print(time.process_time(), file=sys.stderr)"  # not the clock: others work here
    )
    seconds = []
    for _ in range(3):
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        heavy, time = ended.stderr.splitlines()
        seconds.append(float(time))
    listed = ("search", "prune", "pareto", "evaluate", "upscale", "export", "report", "teacher", "spaces")
    for word in listed if words == "--help" else ("--budget-flops", "--sampler", "--join"):
        assert word in ended.stdout
    assert heavy == "heavy: []"
    assert min(seconds) < 0.6  # half of that on a machine that does nothing else


@pytest.mark.parametrize(
    "command",
    [
        "search",
        "prune",
        "pareto",
        "report",
        "evaluate",
        "upscale",
        "export",
        "teacher list",
        "teacher show",
        "spaces check",
    ],
)
def test_every_command_has_help(call: Call, command: str) -> None:
    result = call(*command.split(), "--help")
    assert result.code == 0
    assert "Usage:" in result.out


def test_help_names_the_exit_codes(call: Call) -> None:
    ended = call("--help")
    assert ended.code == 0
    shown = " ".join(ended.out.split())
    assert "Exit codes: 0 done; 1 failed while running; 2 something given cannot be used; 130 interrupted" in shown


@pytest.mark.parametrize(("words", "command"), list(commands()))
def test_every_command_has_an_example_of_itself(words: str, command: Any) -> None:
    assert f"Example: autocompress {words}" in command.help


def test_help_of_search_is_in_panels_and_fits_80_columns(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ended = call("search", "--help")
    assert ended.code == 0
    lines = ended.out.splitlines()
    panels = [found[1] for line in lines if (found := re.match(r"╭─ (.+?) ─", line))]
    assert panels == ["Options", "Budget", "Space and teacher", "Data", "Search", "Running", "Output"]
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)  # no option's name is cut


@pytest.mark.parametrize("command", ["search", "distill", "prune", "teacher train", "evaluate"])
def test_what_takes_long_can_be_quiet(command: str) -> None:
    [found] = [found for words, found in commands() if words == command]
    [quiet] = [option for option in found.params if option.name == "quiet"]
    assert quiet.opts == ["--quiet", "-q"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "--bugdet-flops", "20G"], "no such option: --bugdet-flops"),
        (["serch"], "no such command 'serch'. Did you mean 'search'?"),
        (["pareto"], "missing argument"),
        (["search", "--trials", "many"], "invalid value for '--trials'"),
        (["spaces", "nothing"], "no such command 'nothing'"),
    ],
)
def test_what_is_no_command_gets_one_line_and_code_2(call: Call, arguments: list[str], message: str) -> None:
    ended = call(*arguments)
    assert (ended.code, ended.out) == (2, "")
    [line] = ended.err.splitlines()
    assert line.startswith(f"error: {message}")
    assert line.endswith("(see --help)")


def test_a_group_without_a_command_shows_its_help(call: Call) -> None:
    ended = call("spaces")
    assert ended.code == 2
    assert "check" in ended.out + ended.err
    assert "error:" not in ended.err


def test_options_speak_of_options_that_their_command_has() -> None:
    for words, command in commands():
        known = {flag for parameter in command.params for flag in parameter.opts}
        said = [f"{getattr(each, 'help', '')} {getattr(each, 'show_default', '')}" for each in command.params]
        assert set(re.findall(r"--[a-z][a-z-]*", " ".join(said))) - known == set(), words
