"""Named axes, and the repeated parts that a layer is in."""

import torch

from autocompress.shrink.axes import AxisTable, Dimension, groups_of

LAYERS = {
    "first": ("stream", ""),
    "body.*.conv1": ("inner.*", "stream"),
    "upsample": ("hr:4", "stream"),
    "norm": ("stream",),
}


def test_a_declared_table_names_each_dimension() -> None:
    names = ["first.weight", "first.bias", "body.3.conv1.weight", "body.3.conv1.bias", "upsample.weight", "norm.bias"]
    assert AxisTable.declared(LAYERS, [*names, "other.weight", "body.conv1.weight"]).dimensions == {
        "first.weight": (Dimension("stream"), Dimension("")),
        "first.bias": (Dimension("stream"),),
        "body.3.conv1.weight": (Dimension("inner.3"), Dimension("stream")),
        "body.3.conv1.bias": (Dimension("inner.3"),),
        "upsample.weight": (Dimension("hr", 4), Dimension("stream")),
        "norm.bias": (Dimension("stream"),),
    }


def test_each_number_of_a_path_goes_where_it_stands_in_the_axis() -> None:
    table = AxisTable.declared({"layers.*.blocks.*.fc1": ("units.*.*", "stream")}, ["layers.1.blocks.20.fc1.weight"])
    assert table.dimensions["layers.1.blocks.20.fc1.weight"][0] == Dimension("units.1.20")


def test_the_importance_of_a_channel_is_that_of_all_that_belongs_to_it() -> None:
    table = AxisTable.declared(LAYERS, ["first.weight", "first.bias", "upsample.weight"])
    scores = {
        "first.weight": torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
        "first.bias": torch.tensor([10.0, 20.0]),
        "upsample.weight": torch.arange(16.0).view(8, 2),
        "other.weight": torch.full((2, 2), 1e9),
    }
    importance = table.importance(scores)
    assert importance.keys() == {"stream", "hr"}
    assert importance["stream"].tolist() == [13 + 56, 27 + 64]  # of rows, bias and the columns of `upsample`
    assert importance["hr"].tolist() == [28, 92]


def test_the_rows_of_channels_that_a_pixel_shuffle_makes() -> None:
    assert Dimension("hr", 4).spread(torch.tensor([0, 2])).tolist() == [0, 1, 2, 3, 8, 9, 10, 11]


def test_the_repeated_parts_that_a_layer_is_in() -> None:
    parts = ("layers", "group.blocks")
    assert groups_of("layers.10.group.blocks.2.mlp.fc1", parts) == ("layers.10", "layers.10.group.blocks.2")
    assert groups_of("layers.0.conv", parts) == ("layers.0",)
    assert groups_of("layers_after.0.conv", parts) == ()
    assert groups_of("conv_last", ()) == ()
