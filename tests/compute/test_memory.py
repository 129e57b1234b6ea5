"""Results depend on values, not on where in memory they lie: MKL takes another path for what is not aligned."""

import pickle
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.edsr_networks import FAMILY as EDSR_FAMILY
from helpers.swinir_networks import FAMILY as SWINIR_FAMILY
from helpers.swinir_networks import TINY
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils._pytree import tree_leaves

from autocompress import load, prune
from autocompress.compute.memory import ALIGNMENT, aligned, has_aligned_weights, is_aligned, open_mapped, save_mappable
from autocompress.compute.precision import Precision
from autocompress.data.bank import PixelBank
from autocompress.data.folders import open_folder
from autocompress.data.patches import PatchSampler
from autocompress.distill.recipe import Recipe
from autocompress.distill.training import Training
from autocompress.evaluation.scores import network_upscaler
from autocompress.io.checkpoints import save_objects
from autocompress.networks import FAMILIES, family_of
from autocompress.networks.base import Config, Family, SRNetwork
from autocompress.networks.edsr.network import EDSRConfig
from autocompress.networks.teachers import default_teacher, load_teacher
from autocompress.networks.weights import digest, with_weights
from autocompress.search.space.search_space import load_space

OFFSETS = (4, 8, 16, 32, 48)  # bytes
BUDGET = 20e9  # FLOPs, of the README's search

Tensors = dict[str, Tensor]
Move = Callable[[Mapping[str, Tensor], Path], Tensors]


def at_offset(offset: int) -> Move:
    """Copies that begin so many bytes behind a multiple of ALIGNMENT, or the next place that their type may have."""

    def move(tensors: Mapping[str, Tensor], folder: Path) -> Tensors:
        return {name: displaced(tensor, offset) for name, tensor in tensors.items()}

    return move


def displaced(tensor: Tensor, offset: int) -> Tensor:
    offset = -(-offset // tensor.element_size()) * tensor.element_size()
    size = tensor.numel() * tensor.element_size()
    place = torch.empty(size + ALIGNMENT, dtype=torch.uint8)[offset : offset + size].view(tensor.dtype)
    assert place.data_ptr() % ALIGNMENT == offset
    return place.view(tensor.shape).copy_(tensor)


def in_a_packed_file(tensors: Mapping[str, Tensor], folder: Path) -> Tensors:
    """Mapped from one file in which they follow each other."""
    save_file({"first": torch.zeros(3), **tensors}, folder / "packed.safetensors")
    return {name: tensor for name, tensor in load_file(folder / "packed.safetensors").items() if name != "first"}


def in_files_of_their_own(tensors: Mapping[str, Tensor], folder: Path) -> Tensors:
    save_mappable(folder, tensors)
    return open_mapped(folder)


ELSEWHERE = [*map(at_offset, OFFSETS), in_a_packed_file, in_files_of_their_own]
NAMES = [*(f"{offset} bytes" for offset in OFFSETS), "packed file", "files"]


def lr_patches(count: int, size: int) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def fitted_shapes(family: Family, teacher: Config) -> Iterator[Config]:
    """For each width that a default search tries, its smallest network: layers of one width have the same shapes."""
    first, *others = (count.field for count in family.counts if count.field not in ("num_block", "depth"))
    seen = set()
    for values, config in load_space(family.name).for_teacher(teacher).sizes(teacher):
        width = tuple(values[name] for name in (first, *others) if name in values)
        if width not in seen and family.flops(config) <= BUDGET:
            seen.add(width)
            yield config


SLOW = pytest.mark.slow


@cache  # and not before a test asks: each process collects all tests, and to load a SwinIR takes more than a second
def case(name: str) -> tuple[SRNetwork, list[Config]]:
    """A teacher, and configs of students."""
    match name:
        case "tiny EDSR":
            return EDSR_FAMILY.build(EDSRConfig(2, 8, 2)).eval(), [EDSRConfig(2, 4, 1), EDSRConfig(2, 6, 2)]
        case "tiny SwinIR":
            return SWINIR_FAMILY.build(TINY).eval(), [SWINIR_FAMILY.student_config(TINY, {"embed_dim": 6})]
    family = EDSR_FAMILY if name == "shipped edsr" else SWINIR_FAMILY
    shipped = load_teacher(default_teacher(family.name))
    return shipped, list(fitted_shapes(family, shipped.config))


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=SLOW)], ids=["in turn", "every"])
@pytest.mark.parametrize(
    "network",
    ["tiny EDSR", *(pytest.param(name, marks=SLOW) for name in ("tiny SwinIR", "shipped edsr", "shipped swinir"))],
)
def test_students_are_the_same_wherever_the_analysis_lies(network: str, every: bool, tmp_path: Path) -> None:
    """Of each width somewhere and of one width in turn everywhere; or of every width everywhere.

    The graph of a SwinIR takes long to capture: of a single one two places stand for all, unless all are asked for.
    """
    teacher, configs = case(network)
    places = list(zip(NAMES, ELSEWHERE, strict=True))
    if not every and teacher.family == "swinir":
        places = [places[0], places[-1]]
    share = len(configs) if every else -(-len(configs) // len(places))
    patches = lr_patches(1, 16)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        analysis = prune.analyse(teacher, patches)
    expected = list(map(digest, map(prune.shrinker_from(teacher, patches, "projection", analysis), configs)))
    assert len(set(expected)) == len(configs) > 0
    compared = set()
    for place, (name, move) in enumerate(places):
        folder = tmp_path / name
        folder.mkdir()
        shrink = prune.shrinker_from(teacher, patches, "projection", move(analysis, folder))
        for index in range(place * share, (place + 1) * share):
            which = index % len(configs)
            assert digest(shrink(configs[which])) == expected[which], name
            compared.add(which)
    assert len(compared) == len(configs)


def test_the_shapes_of_a_default_search_are_many() -> None:
    widths = {config.to_dict()["num_feat"] for config in case("shipped edsr")[1]}
    assert set(range(8, 21, 4)) <= widths  # those of the README's front, and more
    assert len({config.to_dict()["embed_dim"] for config in case("shipped swinir")[1]}) >= 2


@pytest.mark.parametrize("offset", [OFFSETS[0], *(pytest.param(offset, marks=SLOW) for offset in OFFSETS[1:])])
def test_a_teacher_and_patches_that_lie_elsewhere_make_the_same_students(offset: int) -> None:
    teacher, patches, config = case("tiny EDSR")[0], lr_patches(2, 16), EDSRConfig(2, 4, 1)
    other = EDSR_FAMILY.build(EDSRConfig(2, 8, 2)).eval()
    weights = {name: displaced(tensor, offset) for name, tensor in teacher.state_dict().items()}
    other.load_state_dict(weights, assign=True)
    assert not has_aligned_weights(other)
    assert digest(prune.shrink(other, config, displaced(patches, offset))) == digest(
        prune.shrink(teacher, config, patches)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.uint8])
def test_mapped_tensors_are_aligned_and_not_copied(dtype: torch.dtype, tmp_path: Path) -> None:
    wanted = {f"odd.{index}": torch.arange(7 * index + 1).to(dtype) for index in range(5)} | {"one": torch.tensor(3.0)}
    save_mappable(tmp_path, wanted)
    found = open_mapped(tmp_path)
    assert found.keys() == wanted.keys()
    for name, tensor in found.items():
        assert is_aligned(tensor)
        assert torch.equal(tensor, wanted[name])
        assert tensor.dtype == wanted[name].dtype
    if sys.platform == "linux":
        for name, tensor in found.items():
            assert mapped_file(tensor) == tmp_path / f"{name}.npy"


def mapped_file(tensor: Tensor) -> Path | None:
    """The file whose mapping the tensor lies in."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, *_, name = line.split(maxsplit=5)
        low, high = (int(bound, 16) for bound in span.split("-"))
        if low <= tensor.data_ptr() < high:
            return Path(name)
    return None


def test_what_is_written_to_a_mapped_tensor_stays_there(tmp_path: Path) -> None:
    save_mappable(tmp_path, {"a": torch.ones(5)})
    open_mapped(tmp_path)["a"].zero_()
    assert torch.equal(open_mapped(tmp_path)["a"], torch.ones(5))


@pytest.mark.parametrize("offset", OFFSETS)
def test_only_what_is_not_aligned_is_copied(offset: int) -> None:
    there = torch.arange(24.0).view(4, 6)
    assert aligned(there) is there
    elsewhere = displaced(there, offset)
    assert not is_aligned(elsewhere)
    copy = aligned(elsewhere)
    assert is_aligned(copy)
    assert torch.equal(copy, there)
    assert aligned(elsewhere.T).stride() == there.T.stride()


@pytest.fixture(scope="module")
def bank(photos: Path) -> PixelBank:
    return PixelBank.open(open_folder(photos, 2, min_size=48))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("config", "offset"),
    [
        *((EDSRConfig(2, 6, 1), offset) for offset in OFFSETS),
        (TINY, OFFSETS[0]),
        *(pytest.param(TINY, offset, marks=SLOW) for offset in OFFSETS[1:]),
    ],
)
def test_training_and_scores_do_not_depend_on_where_pixels_lie(
    config: Config, offset: int, dtype: str, bank: PixelBank
) -> None:
    family = next(family for family in FAMILIES.values() if isinstance(config, family.config_class))
    student, targets = prune.from_scratch(family, config, seed=0), bank.hr.clone()
    moved = replace(bank, lr=displaced(bank.lr, offset), hr=displaced(bank.hr, offset))
    weights = {name: displaced(tensor, offset) for name, tensor in student.state_dict().items()}
    there = trained(student, bank, targets, dtype)
    elsewhere = trained(with_weights(family, config, weights), moved, displaced(targets, offset), dtype)
    assert digest(elsewhere.student) == digest(there.student)
    lr, moved_lr = (pixels.lr_image(0).numpy() for pixels in (bank, moved))
    assert np.array_equal(network_upscaler(elsewhere.student)(moved_lr), network_upscaler(there.student)(lr))


def trained(student: SRNetwork, bank: PixelBank, targets: Tensor, dtype: str) -> Training:
    recipe = Recipe(steps=4, batch_size=2, patch_size=16)
    sampler = PatchSampler(bank, patch_size=16, batch_size=2, seed=0, targets={"teacher": targets})
    training = Training(student, sampler, recipe, Precision(dtype=dtype))
    training.run_to(3)
    return training


def test_a_training_state_is_read_into_aligned_memory(bank: PixelBank, tmp_path: Path) -> None:
    student = prune.from_scratch(EDSR_FAMILY, EDSRConfig(2, 6, 1), seed=0)
    save_objects(tmp_path / "state.pt", trained(student, bank, bank.hr, "float32").state_dict())
    state = torch.load(tmp_path / "state.pt", map_location="cpu", weights_only=True)
    tensors = [leaf for leaf in tree_leaves(state) if isinstance(leaf, Tensor)]
    assert len(tensors) > 20
    assert all(map(is_aligned, tensors))


def test_a_teacher_that_is_sent_to_another_process_lies_aligned() -> None:
    sent = pickle.loads(pickle.dumps(case("tiny EDSR")[0]))  # as multiprocessing and Ray send a module
    assert has_aligned_weights(sent)
    assert digest(sent) == digest(case("tiny EDSR")[0])


def test_a_mapped_student_is_loaded_into_aligned_memory(tmp_path: Path) -> None:
    for teacher in (case("tiny EDSR")[0], case("tiny SwinIR")[0]):
        path = tmp_path / f"{teacher.family}.safetensors"
        save_file(dict(family_of(teacher).for_export(teacher).state_dict()), path)
        assert has_aligned_weights(load(path))
