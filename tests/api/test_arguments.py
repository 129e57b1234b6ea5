"""Arguments of another type are one error at the door, whichever function it is: no traceback from within."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import autocompress
from autocompress import api
from autocompress.errors import InvalidInput

FUNCTIONS = [each for name in api.__all__ if inspect.isfunction(each := getattr(api, name))]
WRONG = (object(), b"text", {1: 2}, [None], 10**400, lambda: 1)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
@pytest.mark.parametrize("wrong", WRONG, ids=["object", "bytes", "mapping", "list", "huge", "function"])
def test_a_value_of_another_type_is_one_line(here: Path, function: Callable[..., Any], wrong: object) -> None:
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD or name in ("backend", "callbacks"):  # objects of a user's own
            continue
        if "nn.Module" in str(parameter.annotation):  # tests/api/test_modules.py has these
            continue
        needed = {
            each.name: "missing"
            for each in inspect.signature(function).parameters.values()
            if each.default is each.empty and each.kind is not each.VAR_KEYWORD and each.name != name
        }
        if "runs" in needed:
            needed["runs"] = ["missing"]
        with pytest.raises(InvalidInput) as raised:
            function(**needed, **{name: wrong})
        assert str(raised.value).isprintable()
        assert f"{name} is " in str(raised.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: autocompress.load(None), "file is None, but must be a text or a path"),
        (lambda: autocompress.load("a.pth", input_range=True), "input_range is True, but must be a number or None"),
        (lambda: api.evaluate("a.pth", "folder"), "data is 'folder', but must be a list of which each is a text or"),
        (lambda: api.upscale(None, "a.png", "b.png", tile="64"), "tile is '64', but must be a whole number or None"),
        (lambda: api.upscale(None, "a.png", "b.png", overwrite="no"), "overwrite is 'no', but must be True or False"),
        (lambda: api.distill("edsr", "s.safetensors", clip="1"), "clip is '1', but must be a number or None"),
    ],
)
def test_it_is_said_what_must_be_given(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        call()
    assert message in str(raised.value)


@pytest.mark.parametrize("path", ["a" * 300, "/tmp/" + "/".join(["b" * 200] * 25), "a\0b", "\ud800"])
@pytest.mark.parametrize("function", [*FUNCTIONS, autocompress.load], ids=lambda function: function.__name__)
def test_a_path_that_no_file_can_have_is_one_line(here: Path, function: Callable[..., Any], path: str) -> None:
    """Too long by itself or in all, and with characters that no name has: what asks the system raises other errors."""
    parameters = inspect.signature(function).parameters
    for name, parameter in parameters.items():
        if "Path" not in str(parameter.annotation):
            continue
        needed = {
            each.name: ["missing"] if "Sequence" in str(each.annotation) else "missing"
            for each in parameters.values()
            if each.default is each.empty and each.kind is not each.VAR_KEYWORD and each.name != name
        }
        with pytest.raises(InvalidInput, match=r"give a shorter name|which no file can be called") as raised:
            function(**needed, **{name: [path] if "Sequence" in str(parameter.annotation) else path})
        assert str(raised.value).isprintable()
        assert len(str(raised.value)) < 400
