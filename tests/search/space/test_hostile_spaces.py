"""YAML that nobody would write: one line, at once, in little memory, whatever it is."""

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.command_line import Call, assert_refused
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from autocompress.errors import InvalidInput
from autocompress.io.inputs import parse_fields
from autocompress.io.yaml_text import parse_yaml
from autocompress.search.space.search_space import SearchSpace, load_space

LAUGHS = "\n".join(["a: &a0 [x, x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60))])
TEXTS = {
    "aliases": LAUGHS,
    "an alias of itself": "a: &a [*a]",
    "merge keys": "a: &a {x: 1}\nb: {<<: *a}",
    "a merge of no mapping": "<<: 1",
    "many values": f"[{','.join(['1'] * 60_000)}]",
    "deep lists": "[" * 100_000,
    "deep mappings": "{a: " * 5000,
    "deep blocks": "\n".join("  " * i + "a:" for i in range(400)),
    "a huge text": "x" * 300_000,
    "a date": "a: 2026-11-26",
    "no date": "a: 2026-99-99",
    "a tag": "!!python/object/apply:os.system [ls]",
    "a set": "!!set {a, b}",
    "bytes": "!!binary aGk=",
    "no bytes": "!!binary é",
    "no number": "!!int x",
    "no float": "!!float .",
    "no bool": "!!bool x",
    "an empty number": "a: !!int ''",
    "a huge number": "a: " + "9" * 5000,
    "a number of many digits": "a: " + "9" * 100,
    "sixties": "a: " + "1:" * 5000 + "1",
    "not finite": "a: [.inf, 1]",
    "no number at all": "a: .nan",
    "too large for a float": "a: 1.0e+400",
    "a list as key": "? [1, 2]\n: x",
    "a date as key": "2026-11-26: x",
    "control characters": "a: \x01",
    "no end": "a: 'x",
    "two documents": "a: 1\n---\nb: 2",
    "tabs": "a:\n\t- b",
}


@pytest.mark.parametrize("kind", TEXTS)
def test_refused_in_one_short_line(kind: str) -> None:
    start = time.process_time()
    with pytest.raises(InvalidInput) as raised:
        parse_yaml(TEXTS[kind])
    assert time.process_time() - start < 5
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


PARAMETERS = {
    "num_feat: {type: int, low: 8, high: 9223372036854775806}": "values, but may have at most",
    "num_feat: {type: int, low: 1.5, high: 9}": "low is 1.5, but must be a whole number",
    "num_feat: {type: [int], low: 1, high: 9}": "type is",
    "num_feat: {type: {a: b}, low: 1, high: 9}": "type is",
    "num_feat: {type: int, low: true, high: 9}": "low is True",
    f"num_feat: {'x' * 50_000}": r"xxx\.\.\., but must be whole numbers",
    "num_feat: {type: int, low: 1, high: 5000}": "networks, but at most",
    "learning_rate: {type: float, low: 1.0e-308, high: 1.0e+308, step: 1.0e-308}": "values, but may have",
    "learning_rate: {type: float, low: -1.7e+308, high: 1.7e+308, step: 1.0}": "values, but may have",
    "learning_rate: {type: float, low: 1.0e-3, high: .inf, step: 1.0}": "high is inf, but must be a number",
    "learning_rate: {type: float, low: 5.0e-324, high: 1.0e+308, log: true, num: 9}": "high is 1e.308, but must be",
    "learning_rate: {type: float, low: 1.0e-4, high: 1.0e-3, step: 1.0e-300}": r"has 9e\+296 values, but may have",
    "num_feat: {type: int, low: 1, low: 2, high: 8}": "low is there twice; leave one out",
    "learning_rate: [1, 2]": "must be a mapping with `type`",
    "teacher_loss: {type: categorical, choices: [[l1]]}": "must be a list of different values",
    "teacher_loss: {type: categorical, choices: l1}": "must be a list of different values",
    "teacher_loss: 2026-11-26": "a date, but must be a word",
    "1: 2": "parameters has the key 1, a int",
}


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda text: text[:40])
def test_values_under_known_keys(call: Call, here: Path, parameter: str) -> None:
    usual = {"num_feat": "{type: int, low: 1, high: 5000}", "num_block": "{type: int, low: 1, high: 5000}"}
    name = parameter.partition(":")[0]
    many = "networks" in PARAMETERS[parameter]
    lines = [parameter, *(f"{key}: {value if many else 1}" for key, value in usual.items())]
    lines = [line for index, line in enumerate(lines) if index == 0 or not line.startswith(f"{name}:")]
    Path("odd.yaml").write_text("family: edsr\nparameters:\n" + "".join(f"  {line}\n" for line in lines))
    ended = call("spaces", "check", "odd.yaml")
    assert_refused(ended, "odd.yaml: ")
    with pytest.raises(InvalidInput, match=PARAMETERS[parameter]):
        load_space("odd.yaml")
    assert len(ended.err) < 800


scalars: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(["int", "float", "l1"])
)
keys = st.sampled_from(["type", "low", "high", "step", "log", "num", "choices", "x"])
specs = scalars | st.lists(scalars, max_size=3) | st.dictionaries(keys, scalars | st.lists(scalars, max_size=3))
names = st.sampled_from(["num_feat", "num_block", "learning_rate", "teacher_loss", "ema", "x"])
spaces = st.fixed_dictionaries(
    {"family": st.just("edsr") | scalars, "parameters": scalars | st.dictionaries(names, specs)},
    optional={"defaults": scalars | st.dictionaries(names, scalars)},
)


@examples(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=spaces | scalars | specs)
def test_any_content_is_a_space_or_one_line(tmp_path: Path, content: object) -> None:
    (tmp_path / "any.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    try:
        made = load_space(str(tmp_path / "any.yaml"))
    except InvalidInput as error:
        made, line = None, str(error)
        assert "\n" not in line
    assert made is None or isinstance(made, SearchSpace)


@examples(max_examples=150)
@given(text=st.text(max_size=40) | st.text("[]{}&*!:-?|>%@`#,'\" \n19.e", max_size=30))
def test_any_text_is_a_value_or_one_line(text: str) -> None:
    try:
        parse_yaml(text)
    except InvalidInput as error:
        assert "\n" not in str(error)  # noqa: PT017


NO_NUMBERS = ["nan", ".nan", "inf", "-.inf", "1e400", "-1e400", "2026-11-26", "[nan", "&a [*a]", "9" * 5000]


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_a_number_to_set_that_is_none(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"learning_rate=.*: must be a number") as raised:
        parse_fields([f"learning_rate={text}"])
    assert len(str(raised.value)) < 500
