"""Families of a user's own code belong to its code and to their teacher's arguments, whichever file was read last."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from helpers.own_network import CODE, OwnNetwork, write_own_network

from autocompress import api
from autocompress.distill import SETTABLE
from autocompress.io import package_files
from autocompress.networks import FAMILIES, family_of, file_name, find_family, in_words, know_code, load, shape
from autocompress.networks.base import SRNetwork
from autocompress.networks.custom import CustomFamily
from autocompress.networks.plainusr import PlainUSRFamily

OWN = "own.py:OwnNetwork"


@pytest.fixture(autouse=True)
def _forgotten(here: Path) -> Iterator[None]:
    write_own_network(here / "own.py")
    yield
    for name in ("OwnNetwork", "plainusr"):
        FAMILIES.pop(name, None)


def network(feat: int, blocks: int, file: str = OWN) -> SRNetwork:
    torch.manual_seed(0)
    path = f"{feat}-{blocks}.pth"
    torch.save(OwnNetwork(feat=feat, blocks=blocks).state_dict(), path)
    return load(path, code=file, set=[f"feat={feat}", f"blocks={blocks}"], input_range=1)


def arguments(network: SRNetwork) -> dict[str, object]:
    family = family_of(network)
    assert isinstance(family, CustomFamily)
    return family.arguments


def test_shipped_spaces_name_all_that_varies() -> None:
    """By them it is told, before a family is imported, what can be set of its students."""
    for name in package_files.families():
        known = FAMILIES.get(name)  # one whose space follows from a teacher is there once a file of it was read
        varied = set(known.varied) if known is not None and not known.derives_space else set()
        assert varied == set(package_files.parameters(name)) - set(SETTABLE)


def test_a_teachers_family_stays_its_own_when_another_is_read() -> None:
    teacher = network(12, 3)
    student = family_of(teacher).build(family_of(teacher).student_config(teacher.config, {"feat": 6, "blocks": 1}))
    network(6, 1)
    for each in (teacher, student, copy.deepcopy(student), pickle.loads(pickle.dumps(student))):
        assert arguments(each) == {"feat": 12, "blocks": 3}
    assert family_of(copy.deepcopy(student)) is family_of(teacher)  # what was found of it is not found again
    assert family_of(teacher).student_config(teacher.config, {"feat": 10}).to_dict()["arguments"]["feat"] == 10
    assert in_words(student) == "OwnNetwork feat=6 blocks=1"


def test_names_do_not_depend_on_the_file_that_was_read_last() -> None:
    """A network of one block has no count of blocks, but a student of three blocks' does."""
    config = network(12, 3).config.to_dict()
    fields = config | {"arguments": {"feat": 6, "blocks": 1}}
    expected = shape("OwnNetwork", fields), file_name("OwnNetwork", fields, 2, 10**9)
    assert expected == ("OwnNetwork feat=6 blocks=1", "2x-OwnNetwork-f6b1-1G")
    network(6, 1)
    assert (shape("OwnNetwork", fields), file_name("OwnNetwork", fields, 2, 10**9)) == expected
    know_code(OWN)  # by the code's defaults: 8 and 2
    assert (shape("OwnNetwork", fields), file_name("OwnNetwork", fields, 2, 10**9)) == expected
    assert shape("OwnNetwork", config) == "OwnNetwork feat=12 blocks=3"


def test_of_a_network_that_none_covers_its_own_arguments_count() -> None:
    know_code(OWN, ["feat=4", "blocks=1"])
    fields = {"scale": 2, "arguments": {"feat": 6, "blocks": 3}}
    assert shape("OwnNetwork", fields) == "OwnNetwork feat=6 blocks=3"
    small = {"scale": 2, "arguments": {"feat": 6, "blocks": 1}}
    teacher = {"scale": 2, "arguments": {"feat": 24, "blocks": 9}}
    assert file_name("OwnNetwork", small, 2, 10**9, teacher) == "2x-OwnNetwork-f6b1-1G"


def test_code_of_the_same_name_in_another_file_is_another_family(here: Path) -> None:
    (here / "other.py").write_text(CODE.replace("feat: int = 8", "feat: int = 5"))
    ours = network(12, 3)
    know_code("other.py:OwnNetwork")
    assert arguments(ours)["feat"] == 12
    again = find_family("OwnNetwork", {"arguments": {"feat": 4}})
    assert isinstance(again, CustomFamily)
    assert str(again.code).count("other.py") == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, True),
        ({"feat": 16, "mid": 8}, True),
        ({"feat": 33}, False),
        ({"scale": 3}, False),
        ({"feat": "wide"}, False),
        ({"feat": [8, 8]}, False),
        ({"colours": 1}, False),
    ],
)
def test_which_networks_a_family_covers(given: dict[str, object], expected: bool) -> None:
    family = PlainUSRFamily({"feat": 32, "mid": 16, "few": 8, "attention": 4, "scale": 2})
    assert family.covers(given) is expected


def test_evaluating_a_student_leaves_its_teachers_family_as_it_was(photos: Path) -> None:
    teacher = network(12, 3)
    api.evaluate(network(6, 1), data=[photos])
    assert in_words(teacher) == "OwnNetwork feat=12 blocks=3"
    assert find_family("OwnNetwork", {"arguments": {"feat": 6, "blocks": 1}}) is family_of(teacher)
