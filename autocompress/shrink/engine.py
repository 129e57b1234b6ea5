"""Students of any network: its weights in the best smaller spaces, every layer then refitted by least squares.

Layers are fitted in the order in which they run, each on what the student itself computes up to there, to what the
teacher computes at the same place.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from autocompress.errors import ConfigError
from autocompress.progress import finished
from autocompress.shrink.channels import ChannelMap, Use
from autocompress.shrink.classes import Freedom
from autocompress.shrink.graph import Graph, Layer, Values, shape
from autocompress.shrink.least_squares import refit_linear, refit_without_bias
from autocompress.shrink.observation import Teacher, channel_dimension, positions, rows_at, sum_of
from autocompress.shrink.part_importance import most_important
from autocompress.shrink.parts import ends_of_spans, kept_parts, repeated_parts, source_of
from autocompress.shrink.subspaces import Subspace, normed_subspace, subspace
from autocompress.shrink.taps import Taps

# of the sensitivity, see `subspace`; only without it the encoder is orthonormal, too
EXPONENTS = {Freedom.CENTRE: 1.0, Freedom.ROTATE: 0.0, Freedom.PAIR: 1.0, Freedom.MIX: 0.5}


@dataclass(frozen=True, eq=False)
class _Place:
    """A dimension of a student's parameter and of the teacher's: (n, C) to write to it, (C, n) to read from it."""

    encoder: Tensor
    decoder: Tensor


class Projection:
    """Makes students of a teacher, from images (B, 3, h, w) and what `observe` saw of both.

    Without `refit` whole channels are kept, those that matter most, with their weights as they are: a control.
    """

    def __init__(self, teacher: Teacher, images: Tensor, analysis: Mapping[str, Tensor], refit: bool = True) -> None:
        self._teacher = teacher
        self._images = [image[None] for image in images]
        self._analysis = analysis
        self._refit = refit

    def __call__(self, student: nn.Module) -> None:
        """As `steps`, to the end."""
        finished(self.steps(student))

    @torch.no_grad()
    def steps(self, student: nn.Module) -> Generator[float, None, None]:
        """Give a student, a smaller network of the teacher's kind, weights that compute nearly what the teacher does.

        The share of the work that is done is yielded on the way.
        Raises ConfigError for one that is no smaller network of this kind.
        """
        graph = Graph.capture(student, self._images[0])
        fit = _Fit(self._teacher, self._analysis, graph, self._images if self._refit else ())
        yield from fit.into(student)


class _Fit:
    """Of one student; without images nothing is fitted."""

    def __init__(
        self, teacher: Teacher, analysis: Mapping[str, Tensor], graph: Graph, images: Sequence[Tensor]
    ) -> None:
        self._teacher, self._analysis = teacher, analysis
        self._graph, self._images = graph, images
        self._channels = ChannelMap.of(graph)
        layers = list(graph.layers())
        times = Counter(layer.weight for layer in layers)  # one weight in several places has no fit that is each's own
        self._layers = {layer.node: layer for layer in layers if times[layer.weight] == 1}
        changes = {name.removeprefix("parts."): t for name, t in analysis.items() if name.startswith("parts.")}
        choice = most_important(teacher.graph, graph, changes)
        self._sources = kept_parts(teacher.graph.shapes, graph.shapes, choice)
        self._spans = ends_of_spans(teacher.graph, self._sources)
        self._state: dict[str, Tensor] = {}

    def into(self, student: nn.Module) -> Generator[float, None, None]:
        """Set the student's parameters and buffers."""
        used, state = self._graph.used, self._graph.state
        self._state = {name: self._projected(name, own) if name in used else own for name, own in state.items()}
        if self._images and self._graph.shapes != self._teacher.graph.shapes:  # a copy needs no fit
            yield from self._graph.steps(self._state, self._images, before=self._before)
        stored = student.state_dict()
        student.load_state_dict({name: self._state.get(name, tensor) for name, tensor in stored.items()})

    def _projected(self, name: str, ours: Tensor) -> Tensor:
        """A parameter of the teacher in the student's spaces."""
        source = source_of(name, self._sources)
        if source not in self._teacher.graph.state:
            raise ConfigError(f"{name} is in no part of the teacher; this is another kind of network")
        weight = self._teacher.graph.state[source]
        if not weight.is_floating_point():
            return ours
        layer = self._teacher.layers.get(source)
        reading = -1 if layer is None or layer.groups > 1 else (0 if layer.kind == "conv_transpose2d" else 1)
        for dimension in range(weight.dim()):
            place = self._place(name, dimension, ours.shape[dimension], weight.shape[dimension])
            if place is not None and source in self._teacher.graph.gains:
                weight = self._gain(source, weight, place)
            elif place is not None:
                matrix = place.decoder.T if dimension == reading else place.encoder
                weight = torch.tensordot(matrix.to(weight), weight.movedim(dimension, 0), 1).movedim(0, dimension)
        if weight.shape != ours.shape:
            raise ConfigError(f"{name} is {tuple(ours.shape)}, but no smaller network of this kind has that")
        return weight.contiguous()

    def _gain(self, source: str, weight: Tensor, place: _Place) -> Tensor:
        """A LayerNorm's weight (C,) for the student's n channels: the diagonal of encoder * weight * decoder.

        Mixtures have the squares of all C channels in n numbers: the norm divides them by a deviation that is
        sqrt(C / n) as large, which the weight takes back.
        """
        gain = torch.einsum("nc,c,cn->n", place.encoder.to(weight), weight, place.decoder.to(weight))
        channels = self._teacher.channels
        mixed = any(channels.axes[use.axis].freedom is Freedom.CENTRE for use in channels.uses[source, 0])
        return gain * math.sqrt(len(weight) / len(gain)) if mixed and self._images else gain

    @functools.cache  # noqa: B019  (lives as long as the fit of one student)
    def _place(self, name: str, dimension: int, ours: int, theirs: int) -> _Place | None:
        """How a dimension of the student's parameter comes from the teacher's; None where both are the same."""
        source = source_of(name, self._sources)
        our_uses = self._channels.uses.get((name, dimension), ())
        their_uses = self._teacher.channels.uses.get((source, dimension), ())
        number = self._teacher.channels.heads_along((source, dimension))
        if not their_uses and ours == theirs:
            return None
        if not their_uses and number is not None and ours < theirs:  # a value for each head
            chosen = torch.eye(theirs)[self._heads(number, ours)]
            return _Place(chosen, chosen.T)
        if ours == 1 and not our_uses:  # one value alone is not taken for a channel's
            row = torch.zeros(1, 1, dtype=torch.long)
            our_uses = tuple(Use(use.axis, row, use.heads[:1], use.left[:1]) for use in their_uses)
        if len(our_uses) != len(their_uses):
            raise ConfigError(f"{name} has other channels than the teacher's; this is another kind of network")
        if ours > theirs:
            raise ConfigError(f"a student has {ours} channels where its teacher has {theirs}")
        encoder, decoder = torch.zeros(ours, theirs), torch.zeros(theirs, ours)
        stay = torch.ones(ours, dtype=torch.bool), torch.ones(theirs, dtype=torch.bool)
        for our_use, their_use in zip(our_uses, their_uses, strict=True):
            whole, theirs_of = len(their_use.rows), self._columns(our_use, their_use, (source, dimension))
            for column, number, left in zip(our_use.rows.T, theirs_of, our_use.left, strict=True):
                its = their_use.rows[:, number]
                space = self._space(their_use.axis, len(column), int(their_use.heads[number]))
                if left:
                    space = space.opposite()
                encoder[column[:, None], its] = space.encoder
                decoder[its[:, None], column] = space.decoder
                if left:  # copies of queries would count twice in the scores: new ones begin as nothing
                    encoder[column[whole:]] = 0
            stay[0][our_use.rows.flatten()] = False
            stay[1][their_use.rows.flatten()] = False
        if stay[0].sum() != stay[1].sum():
            raise ConfigError(f"{name} has {ours} rows along dimension {dimension}, where a student keeps {theirs}")
        encoder[stay[0].nonzero().flatten(), stay[1].nonzero().flatten()] = 1
        decoder[stay[1].nonzero().flatten(), stay[0].nonzero().flatten()] = 1
        return _Place(encoder * self._rescaled(name, source, dimension, encoder), decoder)

    def _rescaled(self, name: str, source: str, dimension: int, encoder: Tensor) -> Tensor:
        """For each of our rows (n, 1): by how much it is larger, since it is multiplied by less behind its layer."""
        ours = self._channels.factors.get((name, dimension))
        theirs = self._teacher.channels.factors.get((source, dimension))
        if ours is None or theirs is None:
            return torch.ones(len(encoder), 1)
        return theirs[encoder.abs().argmax(1)][:, None] / ours[:, None]

    def _columns(self, ours: Use, theirs: Use, place: tuple[str, int]) -> list[int]:
        """Which of the teacher's rows of a channel ours are: where heads or parts are left out, there are fewer."""
        count, whole = ours.rows.shape[1], theirs.rows.shape[1]
        if count == whole:
            return list(range(whole))
        number = self._teacher.channels.heads_along(place)
        if number is not None:
            heads = self._teacher.channels.heads[number]
            of_columns = heads.of_rows(place)[theirs.rows[0]]
            stay = torch.isin(of_columns, self._heads(number, count * heads.count // whole))
            return stay.nonzero().flatten().tolist()
        for parts in repeated_parts(self._teacher.graph.shapes):
            indices = [parts.index(source) for source in self._sources.values()]
            kept = sorted({index for index in indices if index is not None})
            if len(parts.units) == whole and len(kept) == count:
                return kept
        return list(range(whole - count, whole))

    @functools.cache  # noqa: B019  (as above)
    def _heads(self, number: int, count: int) -> Tensor:
        """The heads of an attention that matter most, (count,), as they come."""
        return self._analysis[f"heads.{number}"].cpu().topk(count).indices.sort().values

    @functools.cache  # noqa: B019  (as above)
    def _space(self, axis: int, size: int, head: int) -> Subspace:
        """What a student of `size` channels keeps of a head of an axis; on the CPU, where places are put together.

        An axis may grow at the expense of another, as where a block reads fewer of the channels: further channels are
        copies, which nothing reads until it is refitted or trained.
        """
        whole = self._teacher.channels.axes[axis]
        if size >= whole.size:
            copies = torch.eye(whole.size)[torch.arange(size) % whole.size]
            return Subspace(copies, torch.eye(whole.size, size))
        if whole.freedom is Freedom.SELECT or not self._images:
            chosen = self._analysis[f"importance.{axis}"][head].cpu().topk(size).indices.sort().values
            rows = torch.eye(whole.size)[chosen]
            return Subspace(rows, rows.T)
        covariance, sensitivity = (
            self._analysis[f"{name}.{axis}"][head].cpu() for name in ("covariance", "sensitivity")
        )
        if whole.freedom is Freedom.CENTRE:
            return normed_subspace(covariance, sensitivity, size, EXPONENTS[Freedom.CENTRE])
        return subspace(covariance, sensitivity, size, EXPONENTS[whole.freedom])

    def _before(self, node: fx.Node, values: Values) -> None:
        """Refit a layer on what the student computes up to it."""
        layer = self._layers.get(node)
        if layer is None or layer.groups > 1 or layer.kind == "conv_transpose2d" or layer.input not in values:
            return  # the last of these read a buffer, such as positions
        target = self._target(layer, values)
        if target is None:
            return
        rows = self._inputs(layer, values)
        if rows is None or len(rows) != len(target):
            return
        weight = self._state[layer.weight].movedim(1, -1)  # as the rows have it: tap by tap, all channels of each
        if layer.bias is None:
            fitted = refit_without_bias(weight.flatten(1), rows, target)
        else:
            fitted, bias = refit_linear(weight.flatten(1), self._state[layer.bias], rows, target)
            self._state[layer.bias] = bias
        self._state[layer.weight] = fitted.view(weight.shape).movedim(-1, 1).contiguous()

    def _target(self, layer: Layer, values: Values) -> Tensor | None:
        """What the layer is to compute, (N, n), at the rows that are fitted."""
        theirs = self._teacher.layers[source_of(layer.weight, self._sources)]
        ours = len(self._state[layer.weight])
        place = self._place(layer.weight, 0, ours, len(self._teacher.graph.state[theirs.weight]))
        total, their_total = sum_of(self._graph, layer), sum_of(self._teacher.graph, theirs)
        node = theirs.node
        if total is not None and their_total is not None:
            targets, node = self._teacher.targets, their_total.total
            end = self._spans.get(node, node)
            if end in targets and _same(targets[end], targets[node]):
                node = end
        rows = self._analysis.get(f"rows.{self._teacher.numbers[node]}")
        if rows is None:
            return None
        target = rows if place is None else rows @ place.encoder.T.to(rows)
        if total is not None and their_total is not None:
            target = (target - self._take(values[total.other], total.dimension, total.pixels)) / total.factor
        return target

    def _take(self, values: Sequence[Tensor], dimension: int, pixels: Tensor | None = None) -> Tensor:
        """As `Rows.take`, at the positions that the analysis holds."""
        at = self._analysis[f"positions.{positions(values[0], dimension)}"]
        return rows_at(at, values, dimension, pixels)

    def _inputs(self, layer: Layer, values: Values) -> Tensor | None:
        """What the layer reads for each row that is fitted: (N, taps * m), tap by tap, all channels of each.

        None for a layer that reads no image.
        """
        read = values[layer.input]
        if layer.kind == "linear":
            return self._take(read, channel_dimension(layer))
        height, width = shape(layer.node)[-2:]
        at = self._analysis.get(f"positions.{height * width}")
        if at is None:
            return None
        taps = Taps.of(layer, self._state[layer.weight])
        return torch.cat([taps.at(image, chosen, width) for image, chosen in zip(read, at, strict=True)])


def _same(one: tuple[int, Tensor | None], other: tuple[int, Tensor | None]) -> bool:
    """Whether two totals have their channels and pixels at the same places: see `Sum`."""
    (dimension, pixels), (other_dimension, other_pixels) = one, other
    if pixels is None or other_pixels is None:
        return dimension == other_dimension and pixels is other_pixels
    return dimension == other_dimension and torch.equal(pixels, other_pixels)
