"""Folders of images: which of them are HR and which LR, in the layouts that people have.

They differ in words, not in kind: a folder of HR images (`HR`, `GT`, `GTmod12`, `DIV2K_train_HR`, with `_sub` behind it
for cut images) with one of LR images beside it, of the same name but for that word (`LR_bicubic`, `LRbicx2`, `LQ`,
`DIV2K_train_LR_unknown`), of one scale, or with a folder for each (`X2`, `x2`). What could be meant in two ways is
refused, for a set that is read wrongly trains and scores without a word.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autocompress.data.images import IMAGE_SUFFIXES
from autocompress.errors import DataError, InvalidInput

MADE = "bicubic"  # in the place of a folder of LR images: they are made
ALONE = "only"  # in that place, too: the images are LR images, and there are no HR images
_HR = re.compile(r"(?P<stem>(?:.*[_-])?)(?:HR|GT|GTmod\d+)(?P<sub>_sub)?", re.IGNORECASE)
_LR = re.compile(r"(?P<stem>(?:.*[_-])?)(?:LR|LQ)(?P<how>[a-wyz_-]*)(?:x(?P<scale>\d+))?(?P<sub>_sub)?", re.IGNORECASE)
_SCALE = re.compile(r"x?(?P<scale>\d+)(?P<sub>_sub)?", re.IGNORECASE)
_WORD = re.compile(r"(?P<before>.*[_-])(?:HR|GT)(?P<after>(?:[_-]?x\d)?)", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """Where a set's HR images lie, and where its LR images: in no folder, where they are to be made."""

    hr: Path
    lr: tuple[Path, ...] = ()


def find_layout(folder: Path, scale: int, lr: Sequence[str | Path] = ()) -> Layout:
    """The layout of `folder`, which has HR images or a folder of them.

    lr: folders of LR images, or the one word `bicubic` for having them made; empty: what lies beside the HR images.
    Raises DataError, with what to give, where there is none or more than one that could be meant.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() would follow links, which lose their names
    hr = _hr_folder(folder)
    if [str(one) for one in lr] == [MADE]:
        return Layout(hr)
    if lr:
        for one in lr:
            check_folder(Path(one))
        return Layout(hr, tuple(dict.fromkeys(_of_scale(Path(one), scale) for one in lr)))
    found = _lr_folders(hr, scale)
    usual = [path for path, how in found if how.strip("_-").lower().startswith("bic")]
    chosen = usual or [path for path, _ in found]
    if len(chosen) > 1:
        raise DataError(
            f"{hr}: its LR images at x{scale} may be in {' or '.join(map(str, chosen))}; give one as --lr DIR, or "
            f"--lr {MADE} to have them made"
        )
    return Layout(hr, tuple(chosen))


def is_alone(lr: Sequence[str | Path]) -> bool:
    """Whether images are LR images without HR images; raises DataError for that and something else."""
    words = [str(one) for one in lr]
    if ALONE in words and len(words) > 1:
        raise DataError(f"--lr {ALONE} says that there are LR images alone; leave --lr {words[words[0] == ALONE]} out")
    return words == [ALONE]


def refuse_alone(lr: Sequence[str | Path], what: str) -> None:
    """Raise InvalidInput where there are LR images alone; `what` are what needs HR images, in the plural."""
    if is_alone(lr):
        raise InvalidInput(f"--lr {ALONE} says that there are no HR images, but {what} need them; leave it out")


def images_in(folder: Path) -> list[Path]:
    """The image files directly in a folder, hidden ones left out, in natural order: a2 before a10.

    Also what cannot be read, such as a link to nothing: a set would else have fewer images without a word.
    """
    paths = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and not path.is_dir()
    ]
    return sorted(paths, key=_natural_key)


def lr_files(folders: Sequence[Path]) -> Mapping[str, list[Path]]:
    """The images in folders of LR images, by stem."""
    files: dict[str, list[Path]] = {}
    for folder in folders:
        for path in images_in(folder):
            files.setdefault(path.stem, []).append(path)
    return files


def lr_of(hr: Path, scale: int, files: Mapping[str, Sequence[Path]], folders: Sequence[Path]) -> Path:
    """The LR file of an HR file: of its name, with `x2` or `_x2` behind it or not, or with LR or LQ for HR or GT.

    Raises DataError where there is none, or more than one.
    """
    stems = [hr.stem]
    if (worded := _WORD.fullmatch(hr.stem)) is not None:
        stems += [f"{worded['before']}{word}{worded['after']}" for word in ("LR", "LQ", "lr", "lq")]
    ends = ("", f"x{scale}", f"X{scale}", f"_x{scale}", f"_X{scale}")
    found = [path for stem in dict.fromkeys(stems) for end in ends for path in files.get(stem + end, ())]
    where = " and ".join(map(str, folders))
    if len(found) > 1:
        raise DataError(f"{hr}: its LR file may be {' or '.join(map(str, found[:3]))}; leave one of them in {where}")
    if not found:
        raise DataError(
            f"{hr}: its LR file {hr.stem}x{scale}.png (or {hr.stem}.png) is missing from {where}; "
            f"add it, or give --lr {MADE} to have all LR images made"
        )
    return found[0]


def refuse_mixed(folder: Path, files: Sequence[Path], scale: int) -> None:
    """Raise DataError where LR images lie among HR images, by their names."""
    stems = {path.stem for path in files}
    for stem in stems:
        worded = _WORD.fullmatch(stem)
        others = (
            [f"{stem}x{scale}"] if worded is None else [f"{worded['before']}LR{worded['after']}", f"{stem}x{scale}"]
        )
        for other in others:
            if other in stems:
                raise DataError(
                    f"{folder}: holds {stem} and {other}, so HR images and LR images; move them into folders of their "
                    "own, HR and LR"
                )


def check_folder(folder: Path) -> None:
    """Raise DataError for what is no folder."""
    if not folder.is_dir():
        raise DataError(f"{folder}: {'not a folder' if folder.exists() else 'no such folder'}; check the path")


def _hr_folder(folder: Path) -> Path:
    """The folder with the HR images: a known subfolder, or `folder` itself."""
    check_folder(folder)
    known = sorted(path for path in _folders(folder) if _HR.fullmatch(path.name))
    if known and images_in(folder):
        raise DataError(f"{folder}: holds images, and {known[0].name}; give {known[0]}, or move the images away")
    if len(known) > 1:
        names = " and ".join(path.name for path in known)
        raise DataError(f"{folder}: holds {names}; give one of them, such as {known[0]}")
    return known[0] if known else folder


def _lr_folders(hr: Path, scale: int) -> list[tuple[Path, str]]:
    """The folders that may have the LR images of `hr` at this scale, with how these were made by the folder's name."""
    named = _HR.fullmatch(hr.name)
    places = [(path, "") for path in _folders(hr)]
    if named is not None:
        places += [(path, named["stem"]) for path in _folders(hr.parent)]
    found = []
    for path, stem in places:
        lr = _LR.fullmatch(path.name)
        if lr is None or lr["stem"].lower() != stem.lower():
            continue
        if lr["scale"] is not None:
            if int(lr["scale"]) == scale and _cut_alike(named, lr):
                found.append((path, lr["how"]))
            continue
        inner = [(one, match) for one in _folders(path) if (match := _SCALE.fullmatch(one.name)) is not None]
        own = [one for one, match in inner if int(match["scale"]) == scale and _cut_alike(named, match)]
        if not own and images_in(path) and _cut_alike(named, lr):
            own = [path]
        found += [(one, lr["how"]) for one in own]
    return found


def _of_scale(folder: Path, scale: int) -> Path:
    """The folder of this scale in a folder of LR images where it has one, else itself."""
    inner = [one for one in _folders(folder) if (named := _SCALE.fullmatch(one.name)) and int(named["scale"]) == scale]
    return inner[0] if len(inner) == 1 and not images_in(folder) else folder


def _cut_alike(hr: re.Match[str] | None, lr: re.Match[str]) -> bool:
    return (hr is not None and hr["sub"] is not None) == (lr["sub"] is not None)


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:  # a folder above the given one may be one that cannot be listed
        return []


def _natural_key(path: Path) -> tuple[list[str | int], str]:
    parts = re.split("([0-9]+)", path.name.casefold())
    return [int(part) if part.isdecimal() else part for part in parts], path.name
