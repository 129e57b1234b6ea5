"""Teachers: `teachers` lists those that ship with the package, `describe_teacher` says what is known of one, and
`train_teacher` trains another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autocompress.api._modules import as_files
from autocompress.api._named import check_family, check_named
from autocompress.api.choices import check_scale, check_steps
from autocompress.errors import InvalidInput
from autocompress.io.arguments import typed_arguments
from autocompress.io.outputs import check_weights_file
from autocompress.progress import tell_if_long

if TYPE_CHECKING:
    from torch import nn

    from autocompress.networks.base import SRNetwork
    from autocompress.networks.custom import CustomFamily
    from autocompress.networks.models import Shipped


@dataclass(frozen=True)
class TrainedTeacher:
    """A network in its file, with a JSON side file that says how it was made; `start` is what it went on from."""

    file: Path
    family: str
    config: dict[str, Any]


def teachers() -> list[Shipped]:
    """The teachers that ship with the package; any network may be one, its students too (see `models`)."""
    from autocompress.networks.teachers import shipped_teachers

    return list(shipped_teachers().values())


@typed_arguments
def describe_teacher(name: str | Path | nn.Module, **overrides: Any) -> dict[str, Any]:
    """What is known of a shipped network, a file of weights or a module: config, cost and, where it ships, provenance.

    Of any other network than those of known families also what can vary, and what stays, and why.
    """
    check_named(networks=[name], codes=[overrides.get("code")])

    from autocompress.networks import describe
    from autocompress.networks.teachers import load_teacher, shipped

    overrides = as_files({**overrides, "name": name}, "name")
    name = overrides.pop("name")
    network = load_teacher(str(name), **overrides)
    about = shipped()[str(name)].about if str(name) in shipped() else {}
    layout = {"layout": network.layout} if network.layout else {}
    return about | describe(network) | layout | _what_can_vary(network)


def _what_can_vary(network: SRNetwork) -> dict[str, Any]:
    """Of a network of a user's own code: the counts with their values, and the parameters that stay whole, and why."""
    from autocompress.networks import family_of
    from autocompress.networks.custom import CustomFamily

    family = family_of(network)
    if not isinstance(family, CustomFamily):
        return {}
    fixed = family.fixed()
    return {"varies": {count.field: list(values) for count, values in family.values.items()}, "stays": fixed}


@typed_arguments
def train_teacher(
    family: str | None,
    out: str | Path,
    *,
    code: str | None = None,
    input_range: float | None = None,
    config: Mapping[str, Any] | None = None,
    scale: int | None = None,
    train: str | Path | None = None,
    train_pixels: int | None = None,
    lr: Sequence[str | Path] = (),
    val: str | Path | None = None,
    start: str | Path | None = None,
    target: str | Path | None = None,
    target_code: str | None = None,
    target_set: Sequence[str] | None = None,
    target_input_range: float | None = None,
    allow_weak_teacher: bool = False,
    teacher_share: float = 0.5,
    steps: int = 20_000,
    batch_size: int = 16,
    patch_size: int = 48,
    learning_rate: float | None = None,
    seed: int = 0,
    progress: bool = True,
) -> TrainedTeacher:
    """Train a network into the file `out`, to shrink it later; the same call again goes on where it stopped.

    family: of the network. None: it is one of your own `code`, FILE.py:CALLABLE, whose images are in 0 to `input_range`
        (None: 1).
    config: fields of the family's config, such as {"embed_dim": 48}, or arguments of the code.
    scale: upscaling factor. None: 2, or that of `start`, or of the code's network.
    train, val: folders of HR images to train on, and to score on, on the way. None: scikit-image's photographs.
    train_pixels: as for `distill`.
    start: weights to go on from, a name or a file. None: random ones.
    target: a teacher to learn from as well, with `teacher_share` of the loss.
    target_code, target_set, target_input_range: for a target of your own code, as in `search`.
    allow_weak_teacher: take a target that upscales worse than bicubic.
    patch_size: side of a patch in LR pixels.
    learning_rate: after the warm-up. None: by the network's size; to go on from good weights take less.

    Raises InvalidInput for what cannot be used.
    """
    out = Path(out)
    check_weights_file(out, read=[start, target])
    check_named(networks=[start, target], codes=[code, target_code], folders=[train, val], lr=lr)
    check_steps(steps)
    check_scale(scale)
    if (family is None) == (code is None):
        given = "neither is given" if code is None else f"both {family} and {code} are given"
        raise InvalidInput(f"a network is of a family, or of your own --code FILE.py:CALLABLE, but {given}")
    if family is not None:
        check_family(family)

    from autocompress.compute import probing
    from autocompress.distill.checkpointed_training import precision_to_go_on
    from autocompress.distill.distillation import (
        TrainingTask,
        check_scales,
        open_training_images,
        open_validation_images,
        state_file,
        train_to_file,
    )
    from autocompress.distill.recipe import Recipe
    from autocompress.evaluation.scores import check_teachers, warning_of_start
    from autocompress.networks.teachers import load_target
    from autocompress.networks.weights import digest
    from autocompress.report import write_curve
    from autocompress.terminal import step_display

    recipe = Recipe(
        steps=steps,
        batch_size=batch_size,
        patch_size=patch_size,
        learning_rate=learning_rate,
        warmup=0.01,
        teacher_share=teacher_share,
        seed=seed,
    )
    if target is None:
        recipe = replace(recipe, teacher_share=0.0)
    own = _own_family(code, input_range, config or {})
    teacher = load_target(target, target_code, target_set, target_input_range)
    described: dict[str, Any] = {"target": None if target is None else str(target)}
    if own is not None:
        network = _of_own_code(own, input_range, scale, start, seed)
        described |= {} if start is None else {"start": str(start), "start_digest": digest(network)}
    elif start is None:
        network = _from_scratch(str(family), 2 if scale is None else scale, config or {}, seed)
    else:
        network = _start(str(start), str(family), config or {}, scale)
        described |= {"start": str(start), "start_digest": digest(network)}
    source = open_training_images(None if train is None else Path(train), network.scale, recipe, train_pixels, lr)
    valid = open_validation_images(None if val is None else Path(val), network.scale, lr)
    if teacher is not None:
        check_scales(teacher.scale, network.scale)
        check_teachers([(f"the target {target}", teacher)], valid, allow_weak=allow_weak_teacher)
    warning = None if start is None else warning_of_start(f"the start {start}", network.eval(), valid)
    task = TrainingTask(network, source, teacher, recipe, described, valid)
    with step_display(steps, quiet=not progress) as display:
        if warning is not None:
            display.log(warning)
        choosing = tell_if_long(display.log, "choosing the arithmetic")
        used = precision_to_go_on(state_file(out)) or probing.choose(choosing)
        page = out.with_suffix(".html")
        curve = partial(write_curve, page, title=f"{out.name}: PSNR-Y on {valid.described}")
        trained = train_to_file(task, out, used, display.log, display.step, curve)
        display.log(f"learning curve: {page}")
    return TrainedTeacher(out, trained.family, trained.config.to_dict())


def _own_family(code: str | None, input_range: float | None, arguments: Mapping[str, Any]) -> CustomFamily | None:
    """That of the code, known from now on; None where a known family is named. InvalidInput for what needs code."""
    from autocompress.networks.custom import CustomFamily
    from autocompress.networks.custom.code import Code
    from autocompress.networks.registry import register

    if code is None:
        if input_range is not None:
            raise InvalidInput(f"--input-range {input_range:g} is for networks of --code; leave it out")
        return None
    own = CustomFamily(Code.parse(code), arguments)
    register(own)
    return own


def _of_own_code(
    family: CustomFamily, input_range: float | None, scale: int | None, start: str | Path | None, seed: int
) -> SRNetwork:
    """The network of the code, with random weights or those of the file `start`."""
    from autocompress import prune
    from autocompress.networks.loading import read_by_code

    config = family.config(1.0 if input_range is None else input_range)
    if scale not in (None, config.scale):
        raise InvalidInput(f"--scale is {scale}, but {family.name} upscales by {config.scale}; leave --scale out")
    if start is None:
        return prune.from_scratch(family, config, seed)
    return read_by_code(Path(start), family, config.input_range)


def _from_scratch(family: str, scale: int, config: Mapping[str, Any], seed: int) -> SRNetwork:
    from autocompress import prune
    from autocompress.networks import find_family

    known_family = find_family(family)
    return prune.from_scratch(known_family, known_family.config_class.from_dict({"scale": scale, **config}), seed)


def _start(name_or_file: str, family: str, config: Mapping[str, Any], scale: int | None) -> SRNetwork:
    """The network to go on from, which has a config of its own."""
    from autocompress.networks.teachers import load_teacher

    network = load_teacher(name_or_file)
    if network.family != family:
        raise InvalidInput(f"{name_or_file} is {network.family}, but {family} was asked for")
    if config:
        name, value = next(iter(config.items()))
        raise InvalidInput(f"--set {name}={value} was given, but {name_or_file} has a config; leave one of them out")
    if scale not in (None, network.scale):
        raise InvalidInput(f"--scale is {scale}, but {name_or_file} upscales by {network.scale}; leave --scale out")
    return network
