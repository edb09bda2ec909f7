"""Stochastic computation graphs: DiCE for any causal structure."""

import warnings
from collections.abc import Callable, Collection, Mapping, Set
from typing import Any

import numpy as np
import tensorflow as tf

from dice_tf.checks import (
    as_whole_numbers,
    check_kind,
    check_rank,
    check_whole_number,
)
from dice_tf.distributions import tfd
from dice_tf.estimators.causality import (
    causal_graph,
    check_names,
    evaluate,
    match,
)
from dice_tf.estimators.dice import magic_box
from dice_tf.estimators.reparameterization import judge
from dice_tf.seeds import Seed, seed_tensor, split_seed

# Of each node, they are in memory at the same time.
_MOST_SAMPLES = 2**28


class StochasticComputationGraph:
    """Random variables, the costs that they influence, and a DiCE objective.

    Declared as `tfp.distributions.JointDistributionNamed` is: arguments name
    the parents. With `l_w` the log-probability of node w, `L_c` and `A_w` the
    sums of those of the nodes that influence cost c and node w, and `b_w` the
    baselines, the objective is

      sum_c box(L_c) c + sum_w [box(A_w) - box(A_w + l_w)] b_w

    Reparameterised nodes are not part of the sums: they are differentiated
    through their samples. The value is that of the costs; the derivatives, of
    every order, are unbiased, and baselines lower their variance. With one
    node and one cost, its mean is `tfp.monte_carlo.expectation`; for a chain
    of actions and rewards, it is `dice_objective`.

    Args:
      nodes: distributions by name, or functions that return one, whose
        required arguments name their parents. A graph is cheap: build it
        inside of the `GradientTape`, with functions that use the parameters.
      costs: by name, functions of nodes with values of the shape of the
        log-probabilities; or scalars, which depend on no node.
      baselines: by the name of a node, functions of nodes (or scalars) that do
        not depend on it, and estimate the sum of the costs that it influences.
        Held constant.
      reparameterized: names of the nodes to differentiate through their
        samples; the others have the score function. Default: those with a
        fully reparameterised distribution whose samples have the right
        derivatives; of the rest a warning names those that claim to be
        reparameterised.

    Samples of several distributions of TFP 0.25 have wrong derivatives:
    `TruncatedNormal`, `InverseGaussian` and `NormalInverseGaussian` of every
    order; `VonMises` in the concentration from the second order on, and in the
    location of every order, as samples jump from one end of the circle to the
    other; `Triangular` (in the peak) and `TwoPieceNormal` (in the skewness) of
    the third order. Others cannot be differentiated twice, with a
    `LookupError` on the attempt: `Gamma` and what is made of it (`Beta`,
    `Chi2`, `Dirichlet`, `InverseGamma`, `StudentT`, the power of a
    `GeneralizedNormal` and others), and a `MixtureSameFamily` with
    `reparameterize=True`. The first time that a process meets a kind of
    distribution, of TFP or a user's, the graph therefore measures its
    derivatives up to the third order at an example of its parameters: through
    the samples, of the log-probability, and of the probabilities. This takes
    about a second for each parameter. The usual distributions, such as
    `Normal` and those made of it, are known to be right and need no
    measurement.
    Parameters that are numbers of Python or NumPy count as constants: a gamma
    distribution of fixed concentration has the right derivatives. Errors below
    about a fifth may hide in the noise of the measurement, those of
    `TwoPieceNormal` among them. Distributions that have no log-probability, or
    cannot be built from examples of their arguments, such as a Gaussian
    process, are taken at their word.

    Raises:
      ValueError: if a name is unknown, nodes form a cycle, no cost depends on
        a node, or a baseline's node influences no cost or the baseline; if a
        node in `reparameterized` cannot be, or neither its samples nor its
        log-probability have the right derivatives. Nodes with parents are
        looked at when they are sampled.

    Warns:
      UserWarning: if a node has the score function because the derivatives of
        its samples are wrong.

    Example:
      >>> logit = tf.Variable(0.5)
      >>> with tf.GradientTape() as tape:
      ...     graph = dice_tf.StochasticComputationGraph(
      ...         nodes=dict(
      ...             z=tfd.Bernoulli(logits=logit, dtype=tf.float32),
      ...             x=lambda z: tfd.Normal(z, 1.0),
      ...         ),
      ...         costs=dict(error=lambda x: tf.square(x - 3.0)),
      ...         baselines=dict(z=7.0),
      ...     )
      ...     samples = graph.sample(1000, seed=[0, 1])
      ...     mean_cost = tf.reduce_mean(graph.objective(samples))
      >>> gradient = tape.gradient(mean_cost, logit)

    References:
      Schulman et al. 2015 (Gradient Estimation Using Stochastic Computation
      Graphs); Foerster et al. 2018 (DiCE); for the baselines Mao et al. 2019
      (A Baseline for Any Order Gradient Estimation in Stochastic Computation
      Graphs).
    """

    def __init__(
        self,
        nodes: Mapping[str, Any],
        costs: Mapping[str, Any],
        *,
        baselines: Mapping[str, Any] | None = None,
        reparameterized: Collection[str] | None = None,
    ):
        baselines = {} if baselines is None else baselines
        self._graph = causal_graph(nodes, costs, baselines)
        if reparameterized is not None:
            reparameterized = _as_names(reparameterized)
            check_names("reparameterized", reparameterized, nodes)
        self._reparameterized = reparameterized
        for name, node in self._graph.nodes.items():
            distribution = None if node.parents else node({})
            if isinstance(distribution, tfd.Distribution):
                self._is_reparameterized(name, distribution)

    def sample(self, sample_shape: Any, seed: Seed) -> dict[str, Any]:
        """Draws all nodes, parents first.

        Args:
          sample_shape: a number of samples, or the leading axes of each.
          seed: int32 `[2]`, or a `HoistedSeed`.

        Returns:
          Samples by name, held constant except those of reparameterised
          nodes. The same seed may give other samples under XLA.

        Raises:
          TypeError: if a node is not a distribution.
          ValueError: if one in `reparameterized` cannot be.
        """
        nodes = self._graph.nodes
        _check_sample_shape(sample_shape)
        seeds = dict(zip(nodes, split_seed(seed, len(nodes)), strict=True))

        def draw(name: str, distribution: Any) -> Any:
            # A node with parents has the leading axes of their samples.
            shape = () if nodes[name].parents else sample_shape
            return distribution.sample(shape, seed=seed_tensor(seeds[name]))

        return self._visit(draw)[1]

    def objective(self, samples: Mapping[str, Any]) -> tf.Tensor:
        """Returns the costs of each sample, summed, as a DiCE objective.

        Args:
          samples: of all nodes, by name. Those of reparameterised nodes must
            come from `sample`, within the same tape; others may come from
            anywhere.

        Returns:
          The shape of the log-probabilities, `[num_samples]` and batch axes,
          not reduced. To be minimised, or maximised if costs are rewards.

        Raises:
          NotImplementedError: if a log-probability is missing.
          ValueError: if samples are missing, shapes or dtypes differ, or a
            baseline is of a reparameterised node; also what `sample` raises.
        """
        graph = self._graph
        check_kind("samples", samples, Mapping, "a mapping by name")
        if samples.keys() != graph.nodes.keys():
            raise ValueError(
                f"`samples` must be of the nodes {sorted(graph.nodes)}. "
                f"Received samples of {sorted(samples)}."
            )
        distributions, samples = self._visit(lambda name, _: samples[name])
        log_probs = {
            name: _log_prob(name, distribution, samples[name])
            for name, distribution in distributions.items()
            if any(name in nodes for nodes in graph.influences.values())
        }
        if not graph.baselines.keys() <= log_probs.keys():
            raise ValueError(
                "`baselines` must be of nodes with the score function, "
                f"{sorted(log_probs)}. Received: {sorted(graph.baselines)}."
            )
        like = next(iter(log_probs.values()), None)
        for name, log_prob in log_probs.items():
            match(f"nodes[{name!r}].log_prob", log_prob, like)

        def box(names: Any) -> Any:
            parts = [log_probs[name] for name in log_probs if name in names]
            return magic_box(tf.add_n(parts)) if parts else 1.0

        costs = evaluate("costs", graph.costs, samples, like)
        terms = [box(graph.influences[name]) * costs[name] for name in costs]
        baselines = evaluate("baselines", graph.baselines, samples, like)
        for name, baseline in baselines.items():
            before = graph.ancestors[name]
            weight = box(before) - box(before | {name})
            terms.append(weight * tf.stop_gradient(baseline))
        return tf.add_n(terms)

    def _visit(self, choose: Callable) -> tuple[dict, dict]:
        """Chooses a sample of each node, given those of its parents.

        Returns the distributions of the nodes with the score function, and
        the samples of all nodes.
        """
        distributions: dict[str, Any] = {}
        samples: dict[str, Any] = {}
        for name, node in self._graph.nodes.items():
            distribution = node(samples)
            if not isinstance(distribution, tfd.Distribution):
                raise TypeError(
                    f"`nodes[{name!r}]` must be a distribution, or a function "
                    f"that returns one. Received: {distribution!r}."
                )
            sample = choose(name, distribution)
            if not self._is_reparameterized(name, distribution):
                # The score function counts all that depends on the sample. A
                # gradient through the sample would count it twice.
                sample = tf.nest.map_structure(tf.stop_gradient, sample)
                distributions[name] = distribution
            samples[name] = sample
        return distributions, samples

    def _is_reparameterized(self, name: str, distribution: Any) -> bool:
        kinds = tf.nest.flatten(distribution.reparameterization_type)
        fully = tfd.FULLY_REPARAMETERIZED
        can_be = all(kind == fully for kind in kinds)
        names = self._reparameterized
        if names is not None and name not in names:
            return False
        if not can_be:
            if names is None:
                return False
            raise ValueError(
                "`reparameterized` must name nodes with fully reparameterised "
                f"distributions. Received: {name!r}, a {distribution.name}."
            )
        verdict = judge(distribution)
        if verdict.samples is None:
            return True
        problem = (
            f"Samples of `nodes[{name!r}]`, a {distribution.name}, do not have "
            f"the derivatives that they should: {verdict.samples}."
        )
        if names is not None:
            raise ValueError(
                f"{problem} Leave {name!r} out of `reparameterized`, which "
                "gives it the score function."
            )
        if not verdict.has_score:
            raise ValueError(
                f"{problem} Neither does its log-probability, as where the "
                "support or a kink of the density depends on a parameter. "
                "Give parameters that are constant, such as bounds, as "
                "numbers, or use another distribution."
            )
        warnings.warn(
            f"{problem} The node has the score function instead. "
            "`reparameterized` with the names of the other nodes to be "
            "differentiated through their samples silences this warning.",
            UserWarning,
            stacklevel=2,
        )
        return False


def _as_names(names: Any) -> tuple[str, ...]:
    """Returns names of nodes, or raises if they are not a list of names."""
    kinds = (list, tuple, Set)
    check_kind("reparameterized", names, kinds, "a list of names, or None")
    return tuple(
        check_kind("reparameterized", name, str, "a list of names, or None")
        for name in names
    )


def _check_sample_shape(shape: Any) -> None:
    """Raises if it is neither a number of samples nor a shape."""
    if tf.is_tensor(shape):
        if as_whole_numbers("sample_shape", shape).shape.rank != 0:
            check_rank("sample_shape", shape, 1, "[] or [num_axes]")
        return
    if not isinstance(shape, (list, tuple, np.ndarray, tf.TensorShape)):
        shape = [shape]
    for size in shape:
        if not tf.is_tensor(size):
            check_whole_number("sample_shape", size, 0, _MOST_SAMPLES)


def _log_prob(name: str, distribution: Any, sample: Any) -> tf.Tensor:
    try:
        return distribution.log_prob(sample)
    except NotImplementedError as error:
        raise NotImplementedError(
            f"`nodes[{name!r}]` must have a log-probability or be "
            f"reparameterised. Received a {distribution.name}, which has none."
        ) from error
