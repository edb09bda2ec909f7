"""Which node depends on which, read from the names of arguments.

A function depends on the nodes that its required arguments name, as in
`tfp.distributions.JointDistributionNamed`.
"""

import graphlib
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.checks import check_kind

_NAMED_KINDS = (
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)


class NamedFunction(NamedTuple):
    """A function of nodes.

    Attributes:
      parents: the names of its required arguments.
      function: to be called with these by name.
    """

    parents: tuple[str, ...]
    function: Callable

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Returns the function of the values of its parents."""
        return self.function(**{name: values[name] for name in self.parents})


class CausalGraph(NamedTuple):
    """The structure of a stochastic computation graph.

    Attributes:
      nodes: functions of nodes by name, parents first.
      costs: functions of nodes by name.
      baselines: functions of nodes by the name of a node.
      ancestors: of each node, the names of the nodes that influence it.
      influences: of each cost, the names of the nodes that influence it.
    """

    nodes: dict[str, NamedFunction]
    costs: dict[str, NamedFunction]
    baselines: dict[str, NamedFunction]
    ancestors: dict[str, set[str]]
    influences: dict[str, set[str]]


def causal_graph(
    nodes: Mapping[str, Any],
    costs: Mapping[str, Any],
    baselines: Mapping[str, Any],
) -> CausalGraph:
    """Reads the structure of a graph.

    Each mapping holds functions of nodes. What a function without arguments
    returns may stand in its place.

    Raises:
      ValueError: if a name is unknown, nodes form a cycle, no cost depends on
        a node, or a baseline depends on its own node or influences no cost.
    """
    for where, functions in (
        ("nodes", nodes),
        ("costs", costs),
        ("baselines", baselines),
    ):
        _check_names(where, functions)
    nodes = _named_functions("nodes", nodes, nodes)
    parents = {name: node.parents for name, node in nodes.items()}
    try:
        order = tuple(graphlib.TopologicalSorter(parents).static_order())
    except graphlib.CycleError as error:
        raise ValueError(
            "`nodes` must not depend on themselves. Received a cycle: "
            f"{' -> '.join(error.args[1])}."
        ) from error
    ancestors: dict[str, set[str]] = {}
    for name in order:
        ancestors[name] = _with_ancestors(parents[name], ancestors)
    costs = _named_functions("costs", costs, nodes)
    influences = {
        name: _with_ancestors(cost.parents, ancestors)
        for name, cost in costs.items()
    }
    if not any(influences.values()):
        raise ValueError(
            "At least one of `costs` must be a function of a node. "
            f"Received the costs {sorted(costs)}."
        )
    baselines = _named_functions("baselines", baselines, nodes)
    _check_baselines(baselines, ancestors, influences)
    nodes = {name: nodes[name] for name in order}
    return CausalGraph(nodes, costs, baselines, ancestors, influences)


def _check_names(where: str, functions: Any) -> None:
    """Raises if functions are not given by name."""
    check_kind(where, functions, Mapping, "a mapping from names to functions")
    if not all(isinstance(name, str) for name in functions):
        raise TypeError(
            f"`{where}` must have strings as names. Received: "
            f"{list(functions)!r}."
        )
    if where == "nodes" and not functions:
        raise ValueError("`nodes` must hold a distribution. Received: none.")


def check_names(what: str, names: Collection, nodes: Collection[str]) -> None:
    """Raises if one of `names` is not that of a node."""
    for name in names:
        if name not in nodes:
            raise ValueError(
                f"`{what}` must name nodes, which are {sorted(nodes)}. "
                f"Received: {name!r}."
            )


def _with_ancestors(
    names: Collection[str], ancestors: Mapping[str, set[str]]
) -> set[str]:
    """Returns the named nodes and all that influence them."""
    return set(names).union(*(ancestors[name] for name in names))


def _named_functions(
    where: str, functions: Mapping[str, Any], nodes: Collection[str]
) -> dict[str, NamedFunction]:
    """Reads the parents of functions; constants have none."""
    found = {}
    for name, function in functions.items():
        if not callable(function):
            found[name] = NamedFunction((), lambda value=function: value)
            continue
        parents = _required_arguments(f"{where}[{name!r}]", function)
        check_names(f"{where}[{name!r}]", parents, nodes)
        found[name] = NamedFunction(parents, function)
    return found


def _required_arguments(what: str, function: Callable) -> tuple[str, ...]:
    signature = inspect.signature(function)
    required = [
        parameter
        for parameter in signature.parameters.values()
        if parameter.default is parameter.empty
    ]
    if any(parameter.kind not in _NAMED_KINDS for parameter in required):
        raise ValueError(
            f"`{what}` must name the nodes that it depends on, as in "
            f"`lambda z: function(z)`. Received a function of {signature}."
        )
    return tuple(parameter.name for parameter in required)


def _check_baselines(
    baselines: Mapping[str, NamedFunction],
    ancestors: Mapping[str, set[str]],
    influences: Mapping[str, set[str]],
) -> None:
    check_names("baselines", baselines, ancestors)
    for name, baseline in baselines.items():
        if not any(name in influence for influence in influences.values()):
            raise ValueError(
                f"`baselines[{name!r}]` must be of a node that influences a "
                "cost. Received one of a node that influences none."
            )
        for parent in baseline.parents:
            if name in _with_ancestors([parent], ancestors):
                raise ValueError(
                    f"`baselines[{name!r}]` must not depend on {name!r}. "
                    f"Received a function of {parent!r}, which does."
                )


def evaluate(
    where: str,
    functions: Mapping[str, NamedFunction],
    samples: Mapping[str, Any],
    like: tf.Tensor | None,
) -> dict[str, tf.Tensor]:
    """Returns functions of samples, as tensors like `like` or each other."""
    values = {name: function(samples) for name, function in functions.items()}
    if like is None:
        depending = [values[name] for name in values if functions[name].parents]
        like = tf.convert_to_tensor(depending[0]) if depending else None
    return {
        name: match(
            f"{where}[{name!r}]", value, like, not functions[name].parents
        )
        for name, value in values.items()
    }


def match(
    what: str, value: Any, like: tf.Tensor, may_be_scalar: bool = False
) -> tf.Tensor:
    """Returns a tensor of the shape and dtype of `like`: broadcasts nothing."""
    value = tf.convert_to_tensor(value, dtype_hint=like.dtype)
    if may_be_scalar and value.shape.rank == 0:
        value = tf.broadcast_to(value, tf.shape(like))
    fits = value.shape.is_compatible_with(like.shape)
    if value.dtype != like.dtype or not fits:
        raise ValueError(
            f"`{what}` must have shape {tuple(like.shape)} and dtype "
            f"{like.dtype.name}, as the rest of the graph. Received shape "
            f"{tuple(value.shape)} and dtype {value.dtype.name}. Axes that "
            "are not of the batch belong to events "
            "(tfp.distributions.Independent) or are summed in the cost."
        )
    return value
