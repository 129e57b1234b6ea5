"""What ATen operations do to channels. What is in none of these tables keeps its channels: never wrong, only whole."""

from __future__ import annotations

# They only move values, so a tensor that says which channel each value belongs to can be moved by the operation itself.
MOVES = {
    "alias", "broadcast_to", "cat", "channel_shuffle", "chunk", "clone", "contiguous", "copy", "detach", "expand",
    "expand_as", "flatten", "flip", "getitem", "lift_fresh_copy", "movedim", "narrow", "numpy_T", "permute",
    "pixel_shuffle", "pixel_unshuffle", "repeat", "repeat_interleave", "reshape", "roll", "select", "select_scatter",
    "slice", "slice_scatter", "split", "split_with_sizes", "squeeze", "stack", "t", "transpose", "type_as", "unbind",
    "unflatten", "unsqueeze", "view", "view_as", "_unsafe_view",
}  # fmt: skip
# Of one tensor, element by element: those that are linear, and those that are not, so that channels can be chosen but
# not mixed.
LINEAR = {"_to_copy", "dropout", "neg", "to"}
NONLINEAR = {
    "abs", "celu", "clamp", "clamp_max", "clamp_min", "cos", "elu", "erf", "exp", "gelu", "hardsigmoid", "hardswish",
    "hardtanh", "leaky_relu", "log", "mish", "pow", "reciprocal", "relu", "relu6", "rrelu", "rsqrt", "selu", "sigmoid",
    "silu", "sin", "softplus", "sqrt", "square", "tanh",
}  # fmt: skip
# Of two tensors, element by element.
SUMS = {"add", "sub", "rsub"}
PRODUCTS = {"mul"}
QUOTIENTS = {"div", "true_divide"}
CHOICES = {"maximum", "minimum", "max", "min"}
# Over rows and columns alone, the last two dimensions of (B, C, H, W): the result has the same channels.
SPATIAL = {
    "adaptive_avg_pool2d", "avg_pool2d", "constant_pad_nd", "pad", "reflection_pad2d", "replication_pad2d",
    "upsample_bicubic2d", "upsample_bilinear2d", "upsample_nearest2d", "upsample_nearest_exact2d",
    "_adaptive_avg_pool2d", "_upsample_bicubic2d_aa", "_upsample_bilinear2d_aa",
}  # fmt: skip
SPATIAL_MAXIMA = {"adaptive_max_pool2d", "max_pool2d", "max_pool2d_with_indices"}
# Over the dimensions that are their second argument.
SUMS_OVER = {"mean", "sum"}
SPREADS_OVER = {"amax", "amin", "std", "var"}
NORMS_OVER = {"linalg_vector_norm", "norm"}
# With parameters for each channel: norms, and an activation.
PER_CHANNEL = {
    "_native_batch_norm_legit_no_training", "batch_norm", "group_norm", "instance_norm", "layer_norm", "prelu",
}  # fmt: skip
MATRIX_PRODUCTS = {"bmm", "matmul"}
# Rows of a tensor by their numbers, and what is at places that an index says.
INDEXED = {"index", "index_select"}
LOOKUPS = {"gather"}
# Shares of a sum over a dimension, and what computes nothing.
SHARES = {"softmax", "_softmax"}
CHECKS = {"_assert_async", "_assert_scalar", "_assert_tensor_metadata"}
