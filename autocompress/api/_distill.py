"""`distill`: one given student, shrunk and trained to its end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autocompress.api._distilled import open_networks
from autocompress.api._evaluate import Evaluation, evaluate
from autocompress.api._named import check_named, check_preset, check_settings
from autocompress.api.choices import RecipeName, check_init, check_recipe, check_steps
from autocompress.data.layouts import is_alone, refuse_alone
from autocompress.distill import SETTABLE
from autocompress.errors import ConfigError
from autocompress.io.arguments import typed_arguments
from autocompress.io.outputs import check_weights_file
from autocompress.progress import tell_if_long, tell_tenths
from autocompress.shrink.init import Init

if TYPE_CHECKING:
    from torch import nn

    from autocompress.compute.precision import Precision
    from autocompress.data.sources import ImageSource
    from autocompress.distill.recipe import Recipe
    from autocompress.networks.base import Config, Family, Shrinker, SRNetwork


@dataclass(frozen=True)
class Distilled:
    """A student in its file, with a JSON side file that says how it was made, and its scores."""

    file: Path
    evaluation: Evaluation


@typed_arguments
def distill(
    network: str | nn.Module,
    out: str | Path,
    *,
    config: Mapping[str, Any] | None = None,
    teacher: str | Path | nn.Module | None = None,
    code: str | None = None,
    code_set: Sequence[str] | None = None,
    input_range: float | None = None,
    target: str | Path | nn.Module | None = None,
    allow_weak_teacher: bool = False,
    target_code: str | None = None,
    target_set: Sequence[str] | None = None,
    target_input_range: float | None = None,
    init: str = Init.PROJECTION.value,
    recipe: str = RecipeName.OURS.value,
    steps: int | None = None,
    train: str | Path | None = None,
    train_pixels: int | None = None,
    lr: Sequence[str | Path] = (),
    val: str | Path | None = None,
    data: Sequence[str | Path] = (),
    seed: int = 0,
    progress: bool = True,
    **overrides: float | None,
) -> Distilled:
    """Shrink a teacher to one student, distill it into the file `out`, and score it; the same call again goes on.

    network: a preset, a family, or the teacher's file, of whose family the student is then; it, `teacher` and `target`
        may be modules, any torch.nn.Module of (B, 3, H, W) to (B, 3, sH, sW).
    config: counts of the student and numbers of its training, such as {"num_feat": 16, "patch_size": 96}.
    teacher: what is shrunk. None: that file, or the one that ships with the package; for a family that takes any
        teacher, such as compact, the target.
    code, code_set, input_range: for a teacher of your own code, as `code`, `set` and `input_range` in `search`.
    target: what the student learns from. None: the teacher.
    allow_weak_teacher: take a teacher or a target that upscales worse than bicubic.
    target_code, target_set, target_input_range: for a target of your own code, as in `search`.
    init: how the student starts, see `Init`.
    recipe: ours or paper; `steps` None: as many as that has.
    train, val, data: folders of HR images to train on, to score on during the training (its learning curve, in the
        side file and in a page beside it), and to score the student on. None: scikit-image's photographs.
    lr: folders of LR images of all these sets, or ("bicubic",) to have them made; ("only",): `train` and `val` are
        LR images without HR images, and what is learnt from makes these. None: see `data.layouts`.
    train_pixels: the most HR pixels to train on; of larger sets a window of each image is taken. None: 256 million or,
        for short trainings by our recipe, less; all by the paper's.

    Raises InvalidInput for what cannot be used.
    """
    out = Path(out)
    check_weights_file(out, read=[network, teacher, target])
    check_recipe(recipe)
    check_init(init)
    check_steps(steps)
    named = network if Path(str(network)).suffix else None  # presets and families have none
    codes, folders = [code, target_code], [train, val, *data]
    check_named(networks=[named, teacher, target], codes=codes, folders=folders, lr=lr)
    if isinstance(network, str) and code is None and target is None:
        check_preset(network, teacher)
    if isinstance(network, str):
        check_settings(network, config or {}, code)

    from autocompress.data.folders import open_folder
    from autocompress.distill.checkpointed_training import precision_to_go_on
    from autocompress.distill.distillation import (
        TrainingTask,
        check_scales,
        open_training_images,
        open_validation_images,
        state_file,
        train_to_file,
    )
    from autocompress.evaluation.scores import MIN_SIDE, check_teachers
    from autocompress.networks import shape
    from autocompress.report import write_curve
    from autocompress.terminal import step_display

    networks = open_networks(
        {"network": network, "teacher": teacher, "code": code, "set": code_set, "input_range": input_range},
        {"target": target, "code": target_code, "set": target_set, "input_range": target_input_range},
        overrides,
    )
    shrunk, family, learnt_from = networks.teacher, networks.family, networks.target or networks.teacher
    family.check_init(init, shrunk)
    counts, numbers = _split(family, config or {})
    student = _student_config(family, networks.preset, shrunk.config, counts, init)
    plan = _recipe(family.name, recipe, steps, seed, numbers)
    check_scales(learnt_from.scale, shrunk.scale)
    if init == Init.DENSITY:
        refuse_alone(lr, "prunings")
    for folder in data:
        open_folder(Path(folder), shrunk.scale, min_size=MIN_SIDE, lr=() if is_alone(lr) else lr)
    if train_pixels is None and recipe == RecipeName.PAPER:
        train_pixels = sys.maxsize
    source = open_training_images(None if train is None else Path(train), shrunk.scale, plan, train_pixels, lr)
    valid = open_validation_images(None if val is None else Path(val), shrunk.scale, lr)
    taught = [(f"the {kind} {name}", network) for kind, (name, network) in networks.named.items()]
    check_teachers(taught, valid, allow_weak=allow_weak_teacher)
    described = networks.described | {"init": str(init)}
    with step_display(plan.steps, quiet=not progress) as display:
        used = precision_to_go_on(state_file(out)) or _choose(display.log)
        display.log(f"shrinking {networks.teacher_name} to {shape(family.name, student.to_dict())}")
        if init == Init.DENSITY:
            display.log("pruning the teacher, for the densities")
        display.log(f"reading {source.described}")
        start = _shrinker(family, shrunk, source, init, seed, used, display.log)(
            student, tell_if_long(display.log, "making the student")
        )
        task = TrainingTask(start, source, learnt_from, plan, described, valid)
        page = out.with_suffix(".html")
        curve = partial(write_curve, page, title=f"{out.name}: PSNR-Y on {valid.described}")
        train_to_file(task, out, used, display.log, display.step, curve)
        display.log(f"learning curve: {page}")
    return Distilled(out, evaluate(out, data, progress=progress))


def _choose(log: Callable[[str], None]) -> Precision:
    from autocompress.compute import probing

    return probing.choose(tell_if_long(log, "choosing the arithmetic"))


def _split(family: Family, config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is set of the student's network, and of its training; ConfigError for what is neither, or no such value."""
    unknown = [field for field in config if field not in (*family.perhaps_varied, *SETTABLE)]
    if unknown:
        raise _unsettable(unknown[0], family.perhaps_varied)
    counts = {count.field: count for count in family.counts}
    choices = [choice.field for choice in family.choices]  # which the config itself checks
    numbers = {field: value for field, value in config.items() if field in SETTABLE and field not in family.varied}
    given = {field: value for field, value in config.items() if field not in numbers}
    for field, value in given.items():
        if field in choices:
            continue
        if field not in counts:
            raise _unsettable(field, family.varied)
        whole = counts[field].whole
        if not isinstance(value, int if whole else int | float) or isinstance(value, bool):
            raise ConfigError(f"{field} is {value!r}, but must be a {'whole ' if whole else ''}number")
    return given, numbers


def _unsettable(field: str, varied: Sequence[str]) -> ConfigError:
    return ConfigError(f"{field} is nothing that can be set here; these can: {', '.join([*varied, *SETTABLE])}")


def _student_config(
    family: Family, preset: Config | None, teacher: Config, counts: Mapping[str, Any], init: str
) -> Config:
    """The student's: the preset's counts but for those that are given; a preset from scratch needs nothing more."""
    from dataclasses import replace

    given = {} if preset is None else family.fields_of(preset)
    student = family.student_config(teacher, {**given, **counts})
    if preset is not None and init == Init.SCRATCH and not counts:
        return replace(preset, scale=teacher.scale)
    return student


def _recipe(family: str, name: str, steps: int | None, seed: int, numbers: Mapping[str, Any]) -> Recipe:
    from dataclasses import replace

    from autocompress.distill.recipe import OUR_STEPS, PAPER_STEPS, our_recipe, paper_recipe

    if name == RecipeName.PAPER:
        recipe = paper_recipe(family, PAPER_STEPS if steps is None else steps, seed)
    else:
        recipe = our_recipe(OUR_STEPS if steps is None else steps, seed)
    try:
        return replace(recipe, **numbers)
    except TypeError:
        texts = ", ".join(f"{field}={value}" for field, value in numbers.items())
        raise ConfigError(f"--set {texts}: not all of these are numbers where there must be one") from None


def _shrinker(
    family: Family,
    teacher: SRNetwork,
    source: ImageSource,
    init: str,
    seed: int,
    used: Precision,
    log: Callable[[str], None],
) -> Shrinker:
    """What makes the student's start; pruning is scored on the embedded photographs."""
    from autocompress import prune
    from autocompress.data.bank import PixelBank
    from autocompress.data.embedded import embedded

    decoded = tell_if_long(log, "decoding the training images")
    bank, importance = PixelBank.open(source, on_image=decoded), None
    if init == Init.DENSITY:
        settings = prune.default_settings(teacher.family, seed)
        valid = embedded("valid", teacher.scale)
        tell = tell_tenths(lambda share: log(f"pruning the teacher: {share}"))
        scoring = tell_if_long(log, "scoring the pruned teacher")
        pruned = prune.densities_of(
            teacher, bank, valid, settings, used, lambda step: tell(step, settings.steps), on_score=scoring
        )
        importance = pruned.importance
    patches = prune.sample_patches(bank, seed, used).to(used.device)
    teacher = teacher.to(used.device)
    analysed = tell_if_long(log, "analysing the teacher")
    return prune.shrinker(
        teacher, patches, init, seed, cached=True, importance=importance, family=family, report=analysed
    )
