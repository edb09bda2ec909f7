"""Random stochastic computation graphs, small enough to enumerate.

All nodes and costs are smooth functions of the same parameters, which run along
a random line: with `theta = theta_0 + t u`, what is linear in theta is
`a + t b`. A derivative of order n in t is the one in theta, applied n times to
the random direction u, so that a wrong one shows.
"""

import functools
import itertools
import math

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf

tfd = tfp.distributions

# How many values each kind of node has. A function is deterministic, and
# differentiated through its sample.
NUM_VALUES = {"bernoulli": 2, "categorical": 3, "one_hot": 3, "function": 1}


class RandomGraph:
    """A graph of 1 to 6 nodes and 1 to 3 costs, with some baselines.

    Attributes:
      kinds: of each node, in the order of declaration.
      parents: of each node, parents first.
      costs: the parents of each cost.
      baselines: by node, the parents of its baseline.
      values: of each node, which of its values it has, `[num_outcomes]`: all
        nodes together go through all outcomes.
    """

    def __init__(self, seed):
        rng = np.random.default_rng(seed)

        def some(names):
            return [name for name in sorted(names) if rng.uniform() < 0.5]

        order = [f"n{k}" for k in rng.permutation(1 + seed % 6)]
        kinds = rng.choice([*NUM_VALUES], len(order), p=[0.4, 0.2, 0.2, 0.2])
        self.kinds = dict(zip(sorted(order), map(str, kinds), strict=True))
        self.parents = {name: some(order[:k]) for k, name in enumerate(order)}
        self.costs = {f"c{k}": some(order) for k in range(1 + seed // 6 % 3)}
        self.costs["c0"] = sorted({*self.costs["c0"], order[-1]})
        influential = self.with_ancestors(sum(self.costs.values(), []))
        self.baselines = {
            name: some(
                other
                for other in order
                if name not in self.with_ancestors([other])
            )
            for name in sorted(influential)
            if self.kinds[name] != "function" and rng.uniform() < 0.7
        }
        counts = [range(NUM_VALUES[kind]) for kind in self.kinds.values()]
        values = np.array([*itertools.product(*counts)]).T
        self.values = dict(zip(self.kinds, values, strict=True))
        self._weights = {}
        for kind, functions in [
            ("node", self.parents),
            ("cost", self.costs),
            ("baseline", self.baselines),
        ]:
            for name, parents in functions.items():
                three = kind == "node" and NUM_VALUES[self.kinds[name]] == 3
                shape = (2, 1 + len(parents)) + (3,) * three
                self._weights[kind, name] = rng.normal(size=shape)

    def with_ancestors(self, names):
        """Returns the names, and those of all that influences them."""
        above = (self.with_ancestors(self.parents[name]) for name in names)
        return set(names).union(*above)

    def _smooth(self, library, key, t, signals):
        """Returns a smooth function of the parameters and of the parents.

        Args:
          library: `numpy` or `tensorflow`.
          key: of the function.
          t: of the parameters.
          signals: of each parent, a number for each sample.

        Returns:
          `[num_samples]`, or `[num_samples, 3]` for nodes with three values;
          without parents, without the first axis.
        """
        like = signals[0] if signals else np.float64(1.0)
        features = library.stack([library.ones_like(like), *signals], axis=-1)
        a, b = (library.tensordot(features, w, 1) for w in self._weights[key])
        kind, name = key
        if kind == "cost":
            return library.square(a + t * b)
        if self.kinds[name] == "function":
            return library.sin(a + t * b)
        return a + t * b

    # --- As a user declares it ----------------------------------------------

    def graph(self, t, with_baselines):
        """Returns the `StochasticComputationGraph`."""

        def functions(kind, parents):
            return {
                name: _with_arguments(
                    parents[name],
                    functools.partial(self._user_function, kind, name, t),
                )
                # Nodes need not be declared in the order of their causes.
                for name in sorted(parents)
            }

        baselines = functions("baseline", self.baselines)
        return dice_tf.StochasticComputationGraph(
            functions("node", self.parents),
            functions("cost", self.costs),
            baselines=baselines if with_baselines else None,
        )

    def _user_function(self, kind, name, t, parents):
        signals = [
            tf.linalg.matvec(sample, tf.range(3, dtype=tf.float64))
            if self.kinds[parent] == "one_hot"
            else tf.cast(sample, tf.float64)
            for parent, sample in parents.items()
        ]
        smooth = self._smooth(tf, (kind, name), t, signals)
        if kind != "node":
            return smooth
        if self.kinds[name] == "bernoulli":
            return tfd.Bernoulli(logits=smooth)
        if self.kinds[name] == "categorical":
            return tfd.Categorical(logits=smooth)
        if self.kinds[name] == "one_hot":
            return tfd.OneHotCategorical(logits=smooth, dtype=tf.float64)
        return tfd.Deterministic(smooth)

    def samples(self, t):
        """Returns all outcomes as samples of the graph, `[num_outcomes]`."""
        samples = {}
        for name, own in self.parents.items():
            values = self.values[name]
            if self.kinds[name] == "one_hot":
                samples[name] = tf.one_hot(values, 3, dtype=tf.float64)
            elif self.kinds[name] == "function":
                parents = {parent: samples[parent] for parent in own}
                node = self._user_function("node", name, t, parents)
                samples[name] = tf.broadcast_to(node.loc, values.shape)
            else:
                samples[name] = tf.constant(values, tf.int32)
        return samples

    # --- From the definition, in NumPy --------------------------------------

    def probabilities_and_costs(self, t):
        """Returns those of all outcomes, for complex t too."""
        probabilities, signals = np.ones(len(self.values["n0"])), {}
        for name, own in self.parents.items():
            own = [signals[parent] for parent in own]
            logits = self._smooth(np, ("node", name), t, own)
            values = self.values[name]
            if self.kinds[name] == "function":
                signals[name] = np.broadcast_to(logits, values.shape)
                continue
            signals[name] = values
            if self.kinds[name] == "bernoulli":
                logits = np.stack([np.zeros_like(logits), logits], axis=-1)
            odds = np.exp(logits) * np.ones((len(values), 1))
            chosen = odds[np.arange(len(values)), values]
            probabilities = probabilities * chosen / odds.sum(axis=1)
        costs = sum(
            self._smooth(np, ("cost", name), t, [signals[key] for key in own])
            for name, own in self.costs.items()
        )
        return probabilities, costs

    def exact_derivatives(self, radius=0.1, num_points=32):
        """Returns the expected costs and three derivatives in t, at t = 0.

        By Cauchy's formula on a circle, which loses few digits.
        """
        circle = np.exp(2j * np.pi * np.arange(num_points) / num_points)
        values = [
            np.sum(np.multiply(*self.probabilities_and_costs(radius * point)))
            for point in circle
        ]
        taylor = np.fft.fft(values).real / num_points
        return [math.factorial(n) * taylor[n] / radius**n for n in range(4)]


def _with_arguments(names, function):
    """Returns `function`, which takes a dict, as one of named arguments."""
    pairs = ", ".join(f"{name}={name}" for name in names)
    source = f"lambda {', '.join(names)}: function(dict({pairs}))"
    return eval(source, {"function": function})
