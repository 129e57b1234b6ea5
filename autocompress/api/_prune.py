"""`prune`: a teacher retrained until weights become zero, and the student that its densities suggest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autocompress.api._modules import as_files
from autocompress.api._named import check_named
from autocompress.api.choices import RecipeName, check_recipe, check_steps
from autocompress.data.layouts import refuse_alone
from autocompress.errors import InvalidInput
from autocompress.io.arguments import typed_arguments
from autocompress.io.outputs import check_folder
from autocompress.progress import tell_if_long
from autocompress.units import images_in_words

if TYPE_CHECKING:
    from torch import nn

    from autocompress.data.sources import ImageSource
    from autocompress.prune import Pruned, SparsifySettings


@dataclass(frozen=True)
class PrunedTeacher:
    """A teacher's densities, PSNR before and after, and the student that they suggest; `images` says of which."""

    name: str
    images: dict[str, str]
    pruned: Pruned

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types: densities.json."""
        return {"name": self.name, "images": self.images, **self.pruned.to_dict()}


@typed_arguments
def prune(
    teacher: str | Path | nn.Module,
    *,
    train: str | Path | None = None,
    val: str | Path | None = None,
    lr: Sequence[str | Path] = (),
    allow_weak_teacher: bool = False,
    recipe: str = RecipeName.OURS.value,
    steps: int | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    progress: bool = True,
    **overrides: Any,
) -> PrunedTeacher:
    """Retrain a teacher so that weights become zero, and read a student's counts off the densities that are left.

    teacher: a shipped one's name, a file, or a torch.nn.Module; how a file is read is said as for `load`.
    train, val: folders of HR images to train on and to score on. None: scikit-image's photographs.
    lr: folders of LR images of all these sets, or ("bicubic",) to have them made. None: see `data.layouts`.
    allow_weak_teacher: take a teacher that upscales worse than bicubic.
    recipe: ours or paper.
    steps, learning_rate: None: the recipe's. Lambda is scaled so that the whole pull stays.
    out: a folder for densities.json, .csv, .html and pruned.safetensors. None: nothing is written.

    Raises InvalidInput for what cannot be used.
    """
    folder = None if out is None else Path(out)
    if folder is not None:
        check_folder(folder, "--out")
    check_recipe(recipe)
    check_steps(steps)
    refuse_alone(lr, "prunings")
    check_named(networks=[teacher], codes=[overrides.get("code")], folders=[train, val], lr=lr)

    from autocompress.compute import probing
    from autocompress.data.bank import PixelBank
    from autocompress.evaluation.scores import check_teachers
    from autocompress.networks.teachers import load_teacher
    from autocompress.prune import densities_of
    from autocompress.terminal import step_display

    given = as_files({**overrides, "teacher": teacher}, "teacher")
    teacher = str(given.pop("teacher"))
    network = load_teacher(teacher, **given)
    settings = _settings(recipe, network.family, steps, seed)
    settings = settings if learning_rate is None else settings.at_rate(learning_rate)
    source, valid = _images(train, val, lr, network.scale, settings)
    check_teachers([(f"the teacher {teacher}", network)], valid, allow_weak=allow_weak_teacher)
    with step_display(settings.steps, quiet=not progress) as display:
        chosen = probing.choose(tell_if_long(display.log, "choosing the arithmetic"))
        used = replace(chosen, dtype="float32", graphs=False)
        bank = PixelBank.open(source, on_image=tell_if_long(display.log, "decoding the training images"))
        display.log(f"pruning {teacher} on {images_in_words(len(bank), source.name)}; {used}")
        scoring = tell_if_long(display.log, "scoring the teacher before and after")
        pruned = densities_of(network, bank, valid, settings, used, display.step, on_score=scoring)
    images = {name: images_in_words(len(of), of.name) for name, of in (("train", source), ("valid", valid))}
    result = PrunedTeacher(teacher, images, pruned)
    if folder is not None:
        _write(folder, result, valid.name)
    return result


def _settings(recipe: str, family: str, steps: int | None, seed: int) -> SparsifySettings:
    from autocompress.prune import default_settings, paper_settings

    settings = (paper_settings if recipe == RecipeName.PAPER else default_settings)(family, seed)
    return settings if steps is None else settings.in_steps(steps)


def _images(
    train: str | Path | None, val: str | Path | None, lr: Sequence[str | Path], scale: int, settings: SparsifySettings
) -> tuple[ImageSource, ImageSource]:
    from autocompress.data.embedded import embedded
    from autocompress.data.folders import open_folder
    from autocompress.evaluation.scores import MIN_SIDE

    size = settings.patch_size * scale
    source = embedded("train", scale) if train is None else open_folder(Path(train), scale, min_size=size, lr=lr)
    return source, embedded("valid", scale) if val is None else open_folder(Path(val), scale, min_size=MIN_SIDE, lr=lr)


def _write(out: Path, result: PrunedTeacher, valid: str) -> None:
    import pandas as pd

    from autocompress.io import atomic, checkpoints
    from autocompress.names import as_cell
    from autocompress.report import write_densities

    about, pruned = result.to_dict(), result.pruned
    layers = [{**layer, "groups": " ".join(layer["groups"])} for layer in about["layers"]]
    side = {
        **about["teacher"],
        "metrics": {valid: {"psnr_y": pruned.psnr_after}},
        "provenance": {"pruned": result.name, "trained_on": result.images["train"], "settings": about["settings"]},
    }
    try:
        atomic.write_json(out / "densities.json", about)
        atomic.write_text(out / "densities.csv", pd.DataFrame(layers).map(as_cell).to_csv(index=False))
        write_densities(pruned, result.name, out / "densities.html")
        checkpoints.save_tensors(out / "pruned.safetensors", pruned.weights)
        atomic.write_json(out / "pruned.json", side)
    except OSError as error:
        raise InvalidInput(f"{out}: cannot be written to ({error.strerror}); give another folder") from error
