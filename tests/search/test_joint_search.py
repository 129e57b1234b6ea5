"""Several spaces in one search: which teacher goes where, and one front of all."""

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.small_search import Recorder, run_search
from helpers.swinir_networks import random_swinir

from autocompress import load, prune
from autocompress.cli.tables import front_table
from autocompress.compute.precision import Precision
from autocompress.distill.recipe import Recipe
from autocompress.errors import InvalidInput, RunError
from autocompress.networks.edsr.network import EDSR, EDSRConfig
from autocompress.networks.swinir.network import SwinIRConfig
from autocompress.prune import SparsifySettings
from autocompress.report import ReportData, front_figure
from autocompress.search import Settings
from autocompress.search.results.front import pareto, rows
from autocompress.search.sampling.initial import first_points
from autocompress.search.space.budget import Budget
from autocompress.search.space.feasible import FeasibleSet
from autocompress.search.space.joint_space import JointSpace
from autocompress.search.task import open_joint_space, open_task
from autocompress.search.trial.preparation import prepare

EDSR_SPACE = """
family: edsr
parameters:
  num_feat: {type: int, low: 2, high: 8, step: 2}
  num_block: {type: int, low: 1, high: 2}
  teacher_share: {type: float, low: 0.0, high: 1.0, step: 0.5}
"""
SWINIR_SPACE = """
family: swinir
parameters:
  embed_dim: {type: int, low: 4, high: 12, step: 2}
  num_block: {type: int, low: 1, high: 2}
  depth: {type: int, low: 1, high: 2}
  num_heads: 2
  mlp_ratio: 2.0
  learning_rate: {type: float, low: 1.0e-4, high: 1.0e-3, log: true, num: 2}
"""


@pytest.fixture
def swinir_file(tmp_path: Path) -> Path:
    network = random_swinir(SwinIRConfig(2, 12, (2, 2), (2, 2), 4))
    with torch.no_grad():
        for parameter in network.upsample.parameters():  # near to the mean colour, not far beyond all images
            parameter.mul_(0.01)
    torch.save({"params": network.state_dict()}, tmp_path / "swinir.pth")
    return tmp_path / "swinir.pth"


@pytest.fixture
def settings(
    tmp_path: Path, teacher_file: Path, swinir_file: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Settings]:
    """Of a joint search of seconds; any field can be given."""
    for name, text in (("small", EDSR_SPACE), ("windows", SWINIR_SPACE)):
        (tmp_path / f"{name}.yaml").write_text(text)

    def make(**fields: Any) -> Settings:
        usual: dict[str, Any] = {
            "budget_params": 10**6,
            "spaces": (str(tmp_path / "small.yaml"), str(tmp_path / "windows.yaml")),
            "teachers": (str(teacher_file), str(swinir_file)),
            "allow_weak_teacher": True,
            "train": photos,
            "init": "scratch",
            "trials": 6,
            "steps": 2,
            "out": tmp_path / "run",
        }
        return Settings(**usual | fields)

    return make


def test_a_joint_search_makes_one_front_of_students_of_both_families(settings: Callable[..., Settings]) -> None:
    progress = Recorder()
    run, outcome = run_search(settings(), progress)
    assert outcome.reason == "all 6 trials are done"
    families = {student.family for student in run.students()}
    assert families == {"edsr", "swinir"}
    for student in run.students():
        assert load(student.file).family == student.family
        about = student.provenance
        assert about.space == {"edsr": "small", "swinir": "windows"}[student.family]
        assert about.teacher == about.target
        own = run.config.taught_spaces[about.space].reference
        assert about.validation is not None
        assert about.validation["teacher"]["psnr_y"] == own.psnr_y
    best = max(run.config.taught_spaces.values(), key=lambda space: space.reference.psnr_y)
    assert run.config.teacher == best.teacher
    assert run.config.references.teacher == best.reference
    table = pareto(run)
    assert front_table(run, rows(table)).row_count == len(table) + 2
    assert front_figure(ReportData.of(run)).data
    assert sum(fact.startswith("teacher ") for fact in progress.facts) == 2


@pytest.mark.slow
def test_a_joint_search_goes_on(settings: Callable[..., Settings]) -> None:
    run, _ = run_search(settings(trials=5), Recorder())
    kept = {student.file for student in run.students()}
    again, outcome = run_search(settings(trials=9), Recorder())
    assert outcome.reason == "all 9 trials are done"
    assert kept <= {student.file for student in again.students()}
    configs = [json.dumps([s.config, {**s.provenance.recipe, "seed": 0}]) for s in again.students()]
    assert len(set(configs)) == len(configs)


def test_all_learn_from_the_target(settings: Callable[..., Settings], teacher_file: Path) -> None:
    run, _ = run_search(settings(trials=2, target=str(teacher_file)))
    joint_space = open_joint_space(settings(target=str(teacher_file)))
    assert {student_space.target_digest for student_space in joint_space} == {joint_space["small"].teacher_digest}
    for student in run.students():
        assert student.provenance.target == str(teacher_file)


def test_a_teacher_goes_to_the_spaces_of_its_family(
    settings: Callable[..., Settings], teacher_file: Path, swinir_file: Path, tmp_path: Path
) -> None:
    joint_space = open_joint_space(settings())
    assert [(student_space.name, student_space.teacher.family) for student_space in joint_space] == [
        ("small", "edsr"),
        ("windows", "swinir"),
    ]
    keyed = open_joint_space(settings(teachers=(f"swinir={swinir_file}", f"small={teacher_file}")))
    assert [student_space.teacher_name for student_space in keyed] == [str(teacher_file), str(swinir_file)]
    shipped = open_joint_space(settings(teachers=(str(teacher_file),)))
    assert [student_space.teacher_name for student_space in shipped] == [str(teacher_file), "swinir-s-x2"]
    other = tmp_path / "other.yaml"
    other.write_text(EDSR_SPACE)
    two = settings(
        spaces=(str(tmp_path / "small.yaml"), str(other)), teachers=(f"other={teacher_file}", "edsr-baseline-x2")
    )
    assert [student_space.teacher_name for student_space in open_joint_space(two)] == [
        "edsr-baseline-x2",
        str(teacher_file),
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"spaces": ("edsr", "edsr")}, "two spaces are called edsr"),
        ({"spaces": ("edsr",)}, "is swinir, but the space edsr is of the family edsr"),
        (
            {"teachers": ("windows=edsr-baseline-x2",)},
            "edsr-baseline-x2 is edsr, but the space windows is of the family",
        ),
        ({"teachers": ("small=",)}, "--teacher small= names no file; give one behind the equals sign"),
        ({"teachers": ("edsr-baseline-x2", "edsr=TINY")}, "are both teachers for the space small"),
        ({"overrides": (("res_scale", 0.1),), "teachers": ("swinir-s-x2",)}, "no --teacher or --target has one"),
        ({"overrides": (("res_scale", 0.1),), "teachers": ()}, "no --teacher or --target has one"),
        (
            {"teachers": ("edsr-baseline-x2", "small=TINY")},
            "edsr-baseline-x2 is edsr, but the space windows",
        ),
        ({"teachers": ("x3.pth",)}, "upscales by 3, but swinir-s-x2 by 2; give teachers of one scale"),
        ({"target": "x3.pth"}, "the target x3.pth upscales by 3, but the teacher"),
        ({"scale": 4}, "scale 4 was asked for"),
        ({"budget_flops": 1}, "no network of the space small is within"),
    ],
)
def test_what_does_not_fit_is_named(
    settings: Callable[..., Settings],
    fields: dict[str, Any],
    message: str,
    teacher_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(EDSR(EDSRConfig(3, 8, 1)).state_dict(), "x3.pth")
    if "teachers" in fields:
        fields = fields | {"teachers": tuple(name.replace("TINY", str(teacher_file)) for name in fields["teachers"])}
    with pytest.raises(InvalidInput, match=re.escape(message)):
        run_search(settings(**fields))
    assert not (tmp_path / "run").exists()


def test_the_residual_scaling_is_for_all_edsr_networks(settings: Callable[..., Settings], teacher_file: Path) -> None:
    overrides = (("res_scale", 0.5),)
    joint_space = open_joint_space(settings(overrides=overrides))
    assert joint_space["small"].teacher.config.res_scale == 0.5  # type: ignore[attr-defined]
    taught = open_joint_space(
        settings(teachers=(), spaces=("swinir",), target=str(teacher_file), overrides=(("res_scale", 0.5),))
    )
    assert taught["swinir"].target.config.res_scale == 0.5  # type: ignore[attr-defined]


@pytest.mark.slow
def test_the_order_of_the_spaces_says_nothing(settings: Callable[..., Settings]) -> None:
    wanted = settings(trials=3)
    run_search(wanted)
    swapped = dataclasses.replace(wanted, spaces=wanted.spaces[::-1], trials=5)
    assert run_search(swapped)[1].reason == "all 5 trials are done"


def test_spaces_of_one_family_do_not_begin_with_the_same_student_twice(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    (tmp_path / "other.yaml").write_text(EDSR_SPACE)
    wanted = settings(spaces=(str(tmp_path / "small.yaml"), str(tmp_path / "other.yaml")), teachers=())
    joint_space = open_joint_space(wanted)
    points = first_points(FeasibleSet(joint_space, Budget(20 * 10**9)), 8)
    keys = [joint_space.key(joint_space.candidate(point, Recipe())) for point in points]
    assert len(set(keys)) == len(keys)
    assert len(first_points(FeasibleSet(joint_space, Budget(20 * 10**9)), 1)) == 1


def test_counting_the_networks_of_a_space_says_how_far_it_is(settings: Callable[..., Settings]) -> None:
    (student_space,) = open_joint_space(settings(spaces=("edsr",), teachers=()))
    told: list[tuple[int, int]] = []
    networks = student_space.count_networks(lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == list(range(1, len(told) + 1))
    assert {total for _, total in told} == {len(told)}
    assert len(told) >= len(networks) > 100
    assert student_space.networks is networks  # they are counted once


def test_a_suggestion_beyond_the_budget_is_brought_within(settings: Callable[..., Settings]) -> None:
    joint_space = open_joint_space(settings(spaces=("edsr",), teachers=()))
    (student_space,) = joint_space
    for suggested, least in ((EDSRConfig(2, 36, 16), 17e9), (EDSRConfig(2, 12, 10), 7e9)):
        (point,) = first_points(FeasibleSet(joint_space, Budget(20 * 10**9)), 1, {"edsr": suggested})
        candidate = joint_space.candidate(point, Recipe())
        assert least < candidate.flops <= 20e9
    assert candidate.config == EDSRConfig(2, 12, 10)
    assert student_space.space.name == "edsr"


@pytest.fixture
def short_pruning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a few steps."""
    settings = SparsifySettings(steps=4, batch_size=2, patch_size=16, learning_rate=0.01, lambda_=0.1)
    monkeypatch.setattr(prune, "default_settings", lambda family, seed: settings)


@pytest.mark.usefixtures("short_pruning")
def test_what_pruning_suggests_is_among_the_first_trials(settings: Callable[..., Settings]) -> None:
    wanted = settings(prune=True, trials=8, steps=1)
    run, _ = run_search(wanted)
    task = open_task(wanted)
    suggested = prepare(task, precision=Precision()).suggested
    assert suggested.keys() == {"small", "windows"}
    tried = [json.dumps([student.family, student.config]) for student in run.students()]
    for name, config in suggested.items():
        student_space = task.joint_space[name]
        alone = first_points(FeasibleSet(JointSpace([student_space]), wanted.budget), 1, {name: config})[0]
        nearest = JointSpace([student_space]).candidate(alone, Recipe()).config
        assert json.dumps([student_space.family.name, nearest.to_dict()]) in tried
    with pytest.raises(RunError, match="prune was True and is now False"):
        run_search(settings(prune=False, steps=1))


@pytest.mark.usefixtures("short_pruning")
@pytest.mark.slow
def test_densities_can_be_the_guide(settings: Callable[..., Settings]) -> None:
    run, outcome = run_search(settings(init="density", trials=2, steps=1))
    assert outcome.reason == "all 2 trials are done"
    assert all(student.provenance.init == "density" for student in run.students())


@pytest.mark.parametrize("sampler", ["nsga2", "gp"])
def test_samplers_of_one_space_are_refused_before_anything_is_trained(
    settings: Callable[..., Settings], sampler: str
) -> None:
    """Optuna's take a space's parameters off every trial of the study: a KeyError, after some trials."""
    wanted = settings(sampler=sampler)
    with pytest.raises(InvalidInput, match=f"--sampler {sampler} .* 2 are searched .small, windows.; leave it out"):
        run_search(wanted)
    assert not wanted.folder.exists()
