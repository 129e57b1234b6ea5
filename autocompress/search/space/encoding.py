"""Points of the search spaces as vectors of numbers, for a regression over them."""

from __future__ import annotations

import math

from optuna.distributions import CategoricalDistribution, IntDistribution

from autocompress.search.space.joint_space import JointSpace, StudentSpace
from autocompress.search.space.parameter import Parameter, Value
from autocompress.search.space.search_space import Values

ABSENT = 0.5  # a feature's value in a space that has no such parameter
DECADES = 2.0  # of FLOPs, which weigh as much as the whole range of a parameter


class Encoding:
    """Encodes points as vectors, whose first number is log10 FLOPs over DECADES.

    Numbers are scaled to [0, 1] by their range in their space, counts and log floats by their logarithms. Choices are
    one-hot; that of the teacher's loss is multiplied by the teacher's share, since it does not matter without one.
    Parameters with the same name in several spaces share a feature; the space itself is one-hot too.
    """

    def __init__(self, joint_space: JointSpace) -> None:
        self._names = [student_space.name for student_space in joint_space] if len(joint_space) > 1 else []
        self._absent: dict[str, float] = {}
        # by space, parameter and value: thousands of points are encoded for each trial
        self._tables: dict[str, dict[str, dict[Value, dict[str, float]]]] = {}
        for student_space in joint_space:
            table = self._tables[student_space.name] = {
                parameter.name: {value: _features(parameter, value) for value in parameter.values}
                for parameter in student_space.space.parameters
            }
            for features in table.values():
                self._absent |= dict.fromkeys(next(iter(features.values())), ABSENT)

    def encode(self, student_space: StudentSpace, values: Values, flops: int) -> list[float]:
        """The features [d] of these values in a student space."""
        vector = dict(self._absent)
        table = self._tables[student_space.name]
        for parameter in student_space.space.parameters:
            value = values[parameter.name]
            features = table[parameter.name].get(value) or _features(parameter, value)
            if parameter.name == "teacher_loss":
                share = float(values.get("teacher_share", 1.0))
                features = {name: share * feature for name, feature in features.items()}
            vector |= features
        which = [float(name == student_space.name) for name in self._names]
        return [math.log10(flops) / DECADES, *which, *vector.values()]


def _features(parameter: Parameter, value: Value) -> dict[str, float]:
    """The features of a parameter's value by name; none for a constant."""
    distribution = parameter.distribution
    if len(parameter.values) == 1:
        return {}
    if isinstance(distribution, CategoricalDistribution):
        return {f"{parameter.name}={choice}": float(choice == value) for choice in parameter.values}
    low, high = (float(end) for end in (parameter.values[0], parameter.values[-1]))
    log = low > 0 and (isinstance(distribution, IntDistribution) or getattr(distribution, "log", False))
    scale = math.log if log else float
    return {parameter.name: (scale(float(value)) - scale(low)) / (scale(high) - scale(low))}
