"""The task of a search: the search spaces, teachers, targets and images that settings name, opened and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autocompress.data.embedded import embedded
from autocompress.data.folders import open_folder
from autocompress.data.sources import ImageSource
from autocompress.distill.recipe import Recipe
from autocompress.errors import CheckpointError, InvalidInput
from autocompress.evaluation import scores
from autocompress.names import is_program
from autocompress.networks import FAMILIES, family_of
from autocompress.networks.base import Family, SRNetwork
from autocompress.networks.teachers import default_teacher, load_teacher, shipped
from autocompress.search.settings import OF_ONE_SPACE, Score, Settings
from autocompress.search.space.derived import derived_space
from autocompress.search.space.joint_space import JointSpace, StudentSpace
from autocompress.search.space.search_space import SearchSpace, load_space, parse_space

HELD_OUT = 0.1  # share of the training images that validate, if no folder is given for validation


@dataclass(frozen=True)
class Task:
    """The spaces, the teachers and the images of a search, before anything is computed from them."""

    settings: Settings
    joint_space: JointSpace
    train: ImageSource
    valid: ImageSource

    @property
    def recipe(self) -> Recipe:
        """The recipe of all students, without what the space varies and without the seed."""
        return Recipe(steps=self.settings.steps)

    def recipe_of(self, ordinal: int) -> Recipe:
        """The recipe with the seed of the config of this ordinal; `ordinal` counts the configs of the study."""
        return replace(self.recipe, seed=self.settings.seed + ordinal)

    @property
    def scale(self) -> int:
        """The scale of all teachers and students."""
        return self.joint_space.scale

    @property
    def digests(self) -> dict[str, str]:
        """Hashes of the images, teachers and targets by what they are, in words."""
        images = {"the training images": self.train.digest, "the validation images": self.valid.digest}
        for space in self.joint_space:
            images[f"the teacher {space.teacher_name}"] = space.teacher_digest
            images[f"the target {space.target_name}"] = space.target_digest
        return images


def open_task(settings: Settings, joint_space: JointSpace | None = None) -> Task:
    """Open and check what settings name; a `joint_space` that is open already may be given. Raises InvalidInput."""
    joint_space = joint_space or open_joint_space(settings)
    patch_size = Recipe(steps=settings.steps).patch_size
    train, valid = open_images(settings, joint_space.scale, patch_size)
    return Task(settings, joint_space, train, valid)


def check_teachers(task: Task) -> None:
    """Raise CheckpointError where a teacher or a target is worse than bicubic, unless settings allow that."""
    networks = {}
    for space in task.joint_space:
        networks[space.teacher_digest] = f"the teacher {space.teacher_name}", space.teacher
        networks.setdefault(space.target_digest, (f"the target {space.target_name}", space.target))
    settings = task.settings
    scores.check_teachers(
        networks.values(),
        task.valid,
        allow_weak=settings.allow_weak_teacher,
        skip_bad_images=settings.skip_bad_images,
    )


def open_images(settings: Settings, scale: int, patch_size: int) -> tuple[ImageSource, ImageSource]:
    """The images for training, each at least as large as a patch, and those for validation."""
    if settings.train is None:
        return embedded("train", scale), embedded("valid", scale)
    skip, lr = settings.skip_bad_images, settings.lr
    train = open_folder(settings.train, scale, min_size=patch_size * scale, skip_bad_images=skip, lr=lr)
    if settings.val is None:
        return train.split(HELD_OUT, seed=0)
    return train, open_folder(settings.val, scale, min_size=scores.MIN_SIDE, skip_bad_images=skip, lr=lr)


@dataclass(frozen=True)
class _GivenTeacher:
    """A teacher as a user gave it: for the space or the family `key`, or for all spaces of its own family."""

    key: str
    name: str
    network: SRNetwork

    def fits(self, space: SearchSpace) -> bool:
        return self.key in (space.name, space.family.name)


def open_joint_space(settings: Settings) -> JointSpace:
    """The search spaces that settings name, each with its teacher and target; InvalidInput for what is unusable."""
    load = _Loader(settings)
    target = None if settings.target is None else load.target(settings.target)
    teachers = [_named(text, load) for text in settings.teachers]
    spaces = _spaces(settings, [family_of(network) for _, _, network in teachers])
    for index, space in enumerate(spaces):
        if space.name in [other.name for other in spaces[:index]]:
            raise InvalidInput(f"two spaces are called {space.name}; give each once, or rename one's file")
    given = [_given_teacher(*named, spaces) for named in teachers]
    load.check()
    student_spaces = []
    for space in spaces:
        name, teacher = _teacher_of(space, given) or _target_of(space, settings, target) or _shipped_teacher(space)
        target_name, network = (name, teacher) if target is None else (str(settings.target), target)
        student_spaces.append(StudentSpace(space.for_teacher(teacher.config), name, teacher, target_name, network))
        space.family.check_init(settings.init, teacher)
    _check_used(given, student_spaces)
    _check_scales(student_spaces, settings.scale)
    if len(spaces) > 1 and settings.sampler in OF_ONE_SPACE:
        raise InvalidInput(
            f"--sampler {settings.sampler} learns from the trials of one space, but {len(spaces)} are searched "
            f"({', '.join(space.name for space in spaces)}); leave it out, or give another, such as tpe"
        )
    if settings.score is Score.TEACHER:
        _check_one_target(student_spaces)
    return JointSpace(student_spaces)


def _named(text: str, load: _Loader) -> tuple[str, str, SRNetwork]:
    """Key, name and network of `FILE` or `KEY=FILE`; a file's own name may have an equals sign."""
    key, equals, name = text.partition("=")
    if not equals or Path(text).is_file():
        key, name = "", text
    if not name:
        raise InvalidInput(f"--teacher {text} names no file; give one behind the equals sign, as in {key}=FILE")
    return key, name, load(name)


def _spaces(settings: Settings, families: Sequence[Family]) -> list[SearchSpace]:
    """Those that are named; where none is, and a teacher's family has no shipped space, those of all teachers."""
    if settings.spaces != Settings.spaces or not any(family.derives_space for family in families):
        return [load_space(name, families) for name in settings.spaces]
    return [
        parse_space(family.name, derived_space(family), [family]) if family.derives_space else load_space(family.name)
        for family in {family.name: family for family in families}.values()
    ]


class _Loader:
    """Loads what a user names, with the numbers that no file holds for the networks that have them."""

    def __init__(self, settings: Settings) -> None:
        self._code = {"code": settings.code, "set": settings.arguments, "input_range": settings.input_range}
        self._target_code = {
            "code": settings.target_code,
            "set": settings.target_arguments,
            "input_range": settings.target_input_range,
        }
        self._overrides = dict(settings.overrides)
        self._unused = set(self._overrides)

    def target(self, name: str) -> SRNetwork:
        """What students learn from: of its own code, where that is given, or else read as teachers are."""
        own = self._target_code["code"] is not None or is_program(name)
        return load_teacher(name, **self._target_code) if own else self(name)

    def __call__(self, name: str) -> SRNetwork:
        """A file that is no network of the code may be a known one: a search may have teachers of both kinds."""
        if is_program(name):
            return load_teacher(name, input_range=self._code["input_range"])
        if self._code["code"] is None or name in shipped():
            return self._known(name)
        try:
            return load_teacher(name, **self._code)
        except CheckpointError as other:
            try:
                return self._known(name)
            except CheckpointError:
                raise other from None

    def _known(self, name: str) -> SRNetwork:
        network = load_teacher(name)
        declared = [override.field for override in family_of(network).overrides]
        own = {field: number for field, number in self._overrides.items() if field in declared}
        self._unused -= own.keys()
        return load_teacher(name, **own) if own else network

    def check(self) -> None:
        """Raise InvalidInput where no network has one of the numbers."""
        for field in sorted(self._unused):
            raise InvalidInput(
                f"{field} {self._overrides[field]} was given, but no --teacher or --target has one; leave it out"
            )


def _given_teacher(key: str, name: str, network: SRNetwork, spaces: Sequence[SearchSpace]) -> _GivenTeacher:
    """InvalidInput for a key that is no space and no family, or a teacher of another family than its space."""
    keys = [*FAMILIES, *(space.name for space in spaces)]
    if key and key not in keys:
        raise InvalidInput(f"--teacher {key}={name}: {key} is no space and no family; these are: {', '.join(keys)}")
    teacher = _GivenTeacher(key or network.family, name, network)
    for space in spaces:
        if teacher.fits(space) and not _may_teach(network, space):
            raise _misfit(name, network, space)
    return teacher


def _teacher_of(space: SearchSpace, given: Sequence[_GivenTeacher]) -> tuple[str, SRNetwork] | None:
    """The teacher given for this space, or else for its family; or the only one, where it may be of any family."""
    fitting = [teacher for teacher in given if teacher.fits(space)]
    if not fitting and space.family.any_teacher and len(given) == 1:
        return given[0].name, given[0].network
    own = [teacher for teacher in fitting if teacher.key == space.name] or fitting
    if len(own) > 1:
        raise InvalidInput(
            f"{own[0].name} and {own[1].name} are both teachers for the space {space.name}; leave one out, or say "
            f"which is whose, as in --teacher {space.name}=FILE"
        )
    return (own[0].name, own[0].network) if own else None


def _target_of(space: SearchSpace, settings: Settings, target: SRNetwork | None) -> tuple[str, SRNetwork] | None:
    """The target, where the space's students may be of any teacher."""
    return (str(settings.target), target) if target is not None and space.family.any_teacher else None


def _shipped_teacher(space: SearchSpace) -> tuple[str, SRNetwork]:
    name = default_teacher(space.family.name)
    return name, load_teacher(name)


def _check_used(given: Sequence[_GivenTeacher], student_spaces: Sequence[StudentSpace]) -> None:
    for teacher in given:
        if any(student_space.teacher is teacher.network for student_space in student_spaces):
            continue
        for student_space in student_spaces:
            if not _may_teach(teacher.network, student_space.space):
                raise _misfit(teacher.name, teacher.network, student_space.space)
        raise InvalidInput(f"the teacher {teacher.name} is for no space that is searched; leave it out")


def _may_teach(network: SRNetwork, space: SearchSpace) -> bool:
    """Whether students of the space can be made of this network."""
    return space.family.any_teacher or space.family.name == network.family


def _misfit(name: str, network: SRNetwork, space: SearchSpace) -> InvalidInput:
    return InvalidInput(
        f"the teacher {name} is {network.family}, but the space {space.name} is of the family {space.family.name}; "
        "give a teacher or a space of the same family"
    )


def _check_one_target(student_spaces: Sequence[StudentSpace]) -> None:
    first = student_spaces[0]
    for other in student_spaces:
        if other.target_digest != first.target_digest:
            raise InvalidInput(
                f"by --score teacher all students are compared with one network, but they learn from "
                f"{first.target_name} and from {other.target_name}; give one --target, or leave --score out"
            )


def _check_scales(student_spaces: Sequence[StudentSpace], asked: int | None) -> None:
    first = student_spaces[0]
    for student_space in student_spaces:
        scale = student_space.teacher.scale
        if asked not in (None, scale):
            raise InvalidInput(
                f"scale {asked} was asked for, but the teacher {student_space.teacher_name} upscales by {scale}; "
                f"leave --scale out or give a teacher of x{asked}"
            )
        if scale != first.teacher.scale:
            raise InvalidInput(
                f"the teacher {first.teacher_name} upscales by {first.teacher.scale}, but "
                f"{student_space.teacher_name} by {scale}; give teachers of one scale"
            )
        if student_space.target.scale != scale:
            raise InvalidInput(
                f"the target {student_space.target_name} upscales by {student_space.target.scale}, but the teacher "
                f"{student_space.teacher_name} by {scale}; give a target of the same scale"
            )
