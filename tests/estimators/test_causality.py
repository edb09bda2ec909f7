"""What depends on what, as stochastic computation graphs read it."""

import functools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from dice_tf import StochasticComputationGraph
from dice_tf.estimators.causality import causal_graph

tfd = tfp.distributions


def test_ancestors_are_all_that_influence_a_node_or_a_cost():
    graph = causal_graph(
        dict(
            d=lambda b, c: None,
            c=lambda a: None,
            b=lambda a: None,
            a=None,
            e=lambda f: None,
            f=None,
        ),
        dict(first=lambda d: None, second=lambda b, f: None, third=1.0),
        dict(c=lambda b, e: None),
    )
    assert graph.ancestors == dict(
        a=set(), b={"a"}, c={"a"}, d={"a", "b", "c"}, e={"f"}, f=set()
    )
    assert graph.influences == dict(
        first={"a", "b", "c", "d"}, second={"a", "b", "f"}, third=set()
    )
    order = [*graph.nodes]
    for name, above in graph.ancestors.items():
        assert above <= set(order[: order.index(name)])
    assert graph.baselines["c"].parents == ("b", "e")


def test_required_arguments_are_the_parents():
    def with_options(z, scale=3.0, *, shift=0.5):
        return tfd.Normal(z, scale)

    def shifted(theta, z):
        return z + theta

    loop = {f"x{k}": lambda z, k=k: tfd.Normal(z + k, 1.0) for k in range(2)}
    graph = StochasticComputationGraph(
        dict(
            z=tfd.Normal(0.0, 1.0),
            loc=lambda: tfd.Normal(4.0, 1.0),
            scale=tfd.LogNormal(0.0, 1.0),
            optional=with_options,
            a_class=tfd.Normal,
            **loop,
        ),
        dict(
            partial=functools.partial(shifted, theta=1.0),
            keyword=lambda *, a_class: a_class,
            constant=2.0,
        ),
    )
    samples = graph.sample(3, [0, 1])
    assert all(sample.shape == [3] for sample in samples.values())
    np.testing.assert_allclose(
        graph.objective(samples),
        samples["z"] + 3.0 + samples["a_class"],
        rtol=1e-5,
    )


def build(**changes):
    arguments = {
        "nodes": dict(
            z=tfd.Bernoulli(logits=0.0, dtype=tf.float32),
            x=lambda z: tfd.Normal(z, 1.0),
            y=lambda x: tfd.Bernoulli(logits=x, dtype=tf.float32),
        ),
        "costs": dict(cost=lambda x, y: x * y),
    }
    arguments.update(changes)
    nodes, costs = arguments.pop("nodes"), arguments.pop("costs")
    return StochasticComputationGraph(nodes, costs, **arguments)


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"nodes": dict(x=lambda w: tfd.Normal(w, 1.0))},
            r"`nodes\['x'\]` must name nodes, which are \['x'\]. Received: 'w'",
        ),
        (
            {"costs": dict(cost=lambda x, w: x)},
            r"`costs\['cost'\]` must name nodes, .*'x', 'y', 'z'.*: 'w'",
        ),
        (
            {"baselines": dict(y=lambda w: w)},
            r"`baselines\['y'\]` must name nodes, .* Received: 'w'",
        ),
        (
            {"nodes": dict(x=lambda y: y, y=lambda z: z, z=lambda x: x)},
            r"must not depend on themselves. .*: (\w) -> \w -> \w -> \1\.",
        ),
        (
            {"nodes": dict(x=lambda x: tfd.Normal(x, 1.0))},
            r"must not depend on themselves. .*: x -> x\.",
        ),
        (
            {"nodes": dict(x=lambda *parents: tfd.Normal(0.0, 1.0))},
            r"`nodes\['x'\]` must name the nodes .* function of \(\*parents\)",
        ),
        (
            {"costs": dict(cost=lambda **nodes: 0.0)},
            r"`costs\['cost'\]` must name the nodes .* of \(\*\*nodes\)",
        ),
        (
            {"costs": {}},
            r"one of `costs` must be a function of a node. .*costs \[\]",
        ),
        (
            {"costs": dict(penalty=lambda: 1.0)},
            r"`costs` must be a function of a node. .*costs \['penalty'\]",
        ),
        (
            {"baselines": dict(w=1.0)},
            r"`baselines` must name nodes, .*Received: 'w'",
        ),
        (
            {"baselines": dict(y=lambda y: y)},
            r"`baselines\['y'\]` must not depend on 'y'. .*function of 'y'",
        ),
        (
            {"baselines": dict(z=lambda x: x)},
            r"`baselines\['z'\]` must not depend on 'z'. .*function of 'x'",
        ),
        (
            {"baselines": dict(y=1.0), "costs": dict(cost=lambda x: x)},
            r"`baselines\['y'\]` must be of a node that influences a cost",
        ),
        (
            {"reparameterized": ["x", "w"]},
            r"`reparameterized` must name nodes, .* Received: 'w'",
        ),
    ],
)
def test_declarations_that_make_no_graph_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)
