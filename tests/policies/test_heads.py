"""Heads: from outputs to distributions over actions."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from dice_tf import policies
from dice_tf.distributions import all_log_probs
from dice_tf.policies.heads import head_of
from tests import oracles


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape)


def network(num_outputs, name="network"):
    inputs = keras.Input((3,))
    outputs = keras.layers.Dense(num_outputs)(inputs)
    return keras.Model(inputs, outputs, name=name)


def test_a_categorical_head_reads_one_logit_per_action():
    logits = normal(6, 4)
    head = policies.categorical(tf.constant(logits))
    np.testing.assert_allclose(head.probs_parameter(), oracles.policy(logits))


def test_a_bernoulli_head_reads_the_log_odds_of_action_0():
    log_odds = normal(6, 1)
    head = policies.bernoulli(tf.constant(log_odds))
    assert head.batch_shape == [6]
    for action in (0, 1):
        np.testing.assert_allclose(
            head.prob(action), oracles.policy(log_odds)[:, action]
        )


@pytest.mark.parametrize(
    "num_outputs, num_actions, expected",
    [
        (1, 2, policies.bernoulli),
        (2, 2, policies.categorical),
        (3, 3, policies.categorical),
        (1, 1, policies.categorical),
    ],
)
def test_the_head_follows_from_the_number_of_outputs(
    num_outputs, num_actions, expected
):
    assert head_of(network(1), num_outputs, num_actions) is expected


def test_an_attached_head_is_used_whatever_the_outputs():
    def cautious(outputs):
        return tfp.distributions.Categorical(logits=outputs[..., :2] / 2.0)

    policy = network(5)
    assert policies.with_head(policy, cautious) is policy
    for num_actions in (2, 7, None):
        assert head_of(policy, 5, num_actions) is cautious


def test_an_attached_head_is_no_part_of_the_policy():
    class LayerHead(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.scale = self.add_weight(shape=())

        def call(self, outputs):
            return tfp.distributions.Categorical(logits=outputs * self.scale)

    policy = network(2)
    num_variables = len(policy.variables)
    policies.with_head(policy, LayerHead())
    assert len(policy.variables) == num_variables


@pytest.mark.parametrize(
    "num_outputs, num_actions, message",
    [
        (
            2,
            3,
            r"'ann' has 2 outputs, but the player has 3 actions\. Expected 3",
        ),
        (3, 2, r"2 logits \(or 1, the log-odds of action 0\), or a head"),
        (1, None, r"finite set of actions \(num_actions=None\): attach a head"),
    ],
)
def test_outputs_that_fit_no_head_are_refused(
    num_outputs, num_actions, message
):
    with pytest.raises(ValueError, match=message):
        head_of(network(num_outputs, "ann"), num_outputs, num_actions)


def test_a_head_is_attached_to_models_only():
    with pytest.raises(TypeError, match="`policy` must be a keras.Model"):
        policies.with_head(lambda x: x, policies.categorical)


def test_a_head_must_be_a_function():
    with pytest.raises(TypeError, match="`head` must be a function from a te"):
        policies.with_head(network(2), "categorical")


# --- Log-probabilities of all actions ---------------------------------------

HEADS = {
    "log-odds": lambda x: tfp.distributions.Bernoulli(logits=x),
    "probability": lambda x: tfp.distributions.Bernoulli(probs=tf.sigmoid(x)),
    "logits": lambda x: tfp.distributions.Categorical(
        logits=tf.stack([x, 2.0 * x, -x], axis=-1)
    ),
}


def derivatives(function):
    """Of a weighted sum of log-probabilities, up to the second order."""
    x = tf.constant([[-3.0, 0.4, 4.0], [1.7, -0.2, -4.0]], tf.float64)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            values = function(x)
            weights = np.arange(1.0, values.shape[-1] + 1)
            total = tf.reduce_sum(weights * values)
        first = inner.gradient(total, x)
    return values, first, outer.gradient(first, x)


@pytest.mark.parametrize("name", HEADS)
def test_they_and_their_derivatives_are_those_of_the_distribution(name):
    head, number = HEADS[name], 3 if name == "logits" else 2

    def one_by_one(x):
        distribution = head(x)
        log_probs = [distribution.log_prob(action) for action in range(number)]
        return tf.stack(log_probs, axis=-1)

    found = derivatives(lambda x: all_log_probs(head(x), number))
    for one, other in zip(found, derivatives(one_by_one), strict=True):
        assert np.abs(one).max() > 0.0
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)


def test_those_of_logits_are_one_softmax():
    """`log_prob` of each action would be a softmax for each."""

    def graph_of(function):
        spec = tf.TensorSpec([5], tf.float64)
        traced = tf.function(function, autograph=False)
        graph = traced.get_concrete_function(spec).graph
        return [op.type for op in graph.get_operations()]

    logits = HEADS["logits"]
    kinds = graph_of(lambda x: all_log_probs(logits(x), 3))
    assert kinds.count("LogSoftmax") == 1
    assert not [kind for kind in kinds if "CrossEntropy" in kind]
