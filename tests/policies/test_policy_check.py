"""Policies whose second derivatives are wrong are found, and refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.layers import SafeLayerNormalization
from dice_tf.policies.policy_check import suspects
from tests.toys import Plain

GAME = dice_tf.games.iterated_prisoners_dilemma(3)
layers = keras.layers


class InTraining(layers.BatchNormalization):
    """Normalises by the batch it sees, whoever calls it."""

    def call(self, inputs):
        return super().call(inputs, training=True)


class Moments(layers.Layer):
    """A layer norm as users write it."""

    def call(self, x):
        mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
        return (x - mean) / tf.sqrt(variance + 1e-3)


def network(*middle, dtype="float32", activation="tanh"):
    keras.utils.set_random_seed(1)
    inputs = x = keras.Input((5,), dtype=dtype)
    x = layers.Dense(6, activation=activation, dtype=dtype)(x)
    for layer in middle:
        x = layer(x)
    if len(x.shape) > 2:
        x = layers.Flatten(dtype=dtype)(x)
    return keras.Model(inputs, layers.Dense(2, dtype=dtype)(x), name="ann")


def through_moments(x):
    mean, variance = keras.ops.moments(x, axes=[-1], keepdims=True)
    return (x - mean) / keras.ops.sqrt(variance + 1e-3)


def _attention(x):
    x = layers.Reshape((3, 2))(x)
    return layers.MultiHeadAttention(2, 3)(x, x)


WRONG = {
    "LayerNormalization 'known'": lambda: layers.LayerNormalization(
        name="known"
    ),
    "GroupNormalization 'known'": lambda: layers.GroupNormalization(
        2, name="known"
    ),
    "InTraining 'known'": lambda: InTraining(name="known"),
    "Moments 'mine'": lambda: Moments(name="mine"),
    "Moments 'moments": lambda: through_moments,
    "Lambda 'mine'": lambda: layers.Lambda(through_moments, name="mine"),
    "LayerNormalization 'inner'": lambda: keras.Sequential(
        [layers.Dense(4), layers.LayerNormalization(name="inner")]
    ),
}
RIGHT = {
    "dense": lambda: layers.Dense(4, activation="gelu"),
    "relu": lambda: layers.Dense(64, activation="relu"),
    "safe": lambda: SafeLayerNormalization(),
    "rms": lambda: layers.RMSNormalization(),
    "batch": lambda: layers.BatchNormalization(),
    "attention": lambda: _attention,
    "operation": lambda: keras.ops.tanh,
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_second_derivatives_are_found_and_their_layer_named(name):
    with pytest.raises(ValueError, match=f"'ann'.*twice.*wrong by.*{name}"):
        dice_tf.check_policy(network(WRONG[name]()))


@pytest.mark.parametrize("name", RIGHT)
def test_right_second_derivatives_pass(name):
    assert dice_tf.check_policy(network(RIGHT[name]())) < 1e-3


def test_recurrent_layers_pass():
    policy = network(layers.Reshape((3, 2)), layers.GRU(4, use_cudnn=False))
    assert dice_tf.check_policy(policy) < 1e-3


def test_in_double_precision_the_check_is_sharper():
    policy = network(SafeLayerNormalization(dtype="float64"), dtype="float64")
    assert dice_tf.check_policy(policy) < 1e-5


@pytest.mark.parametrize("kind", ["tabular", "mlp"])
def test_our_policies_pass_without_being_suspected(kind):
    policy = getattr(dice_tf.policies, kind)(GAME, 0)
    assert suspects(policy) == []
    assert dice_tf.check_policy(policy, tf.eye(5)) < 1e-3


def test_a_policy_without_parameters_passes():
    policy = dice_tf.policies.tit_for_tat(GAME, 0)
    assert dice_tf.check_policy(policy) == 0.0


def test_what_is_frozen_does_not_count():
    layer = layers.LayerNormalization()
    policy = network(layer)
    policy.layers[1].trainable = layer.trainable = False
    assert dice_tf.check_policy(policy) < 1e-3


def test_a_check_leaves_parameters_as_they_are():
    policy = network(layers.LayerNormalization())
    before = policy.get_weights()
    with pytest.raises(ValueError, match="wrong by"):
        dice_tf.check_policy(policy)
    for old, new in zip(before, policy.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


# In a seat.


@pytest.mark.parametrize(
    ("name", "wrap"),
    [
        ("LayerNormalization 'known'", lambda game: game),
        ("Moments 'mine'", Plain),
    ],
)
def test_a_seat_refuses_them_and_names_the_remedy(name, wrap):
    policy = network(WRONG[name]())
    policies = [dice_tf.policies.tabular(GAME, 0), policy]
    with pytest.raises(
        ValueError,
        match=rf"`policies\[1\]`.*{name}.*dice_tf.layers.SafeLayerNormali",
    ):
        dice_tf.objectives.DiCEObjective(wrap(GAME), policies)


def test_a_seat_takes_what_does_not_learn():
    policy = network(layers.LayerNormalization())
    policy.trainable = False
    policies = [dice_tf.policies.tabular(GAME, 0), policy]
    dice_tf.objectives.DiCEObjective(GAME, policies)


def test_a_seat_takes_what_cannot_be_measured():
    policies = [dice_tf.policies.tabular(GAME, 0), network(Noise())]
    dice_tf.objectives.DiCEObjective(GAME, policies)


def test_a_critic_may_have_any_layer():
    inputs = keras.Input((5,))
    x = layers.LayerNormalization()(layers.Dense(4)(inputs))
    critics = [
        keras.Model(inputs, layers.Dense(1)(x)),
        dice_tf.critics.tabular_critic(GAME, 1),
    ]
    policies = [dice_tf.policies.tabular(GAME, seat) for seat in range(2)]
    dice_tf.objectives.DiCEObjective(
        GAME, policies, baseline="critic", critics=critics
    )


# Bad input.


class Noise(layers.Layer):
    """Gives other outputs whenever it is called."""

    def call(self, x):
        return x * tf.random.normal(tf.shape(x))


@pytest.mark.parametrize("kind", ["random", "half", "nan"])
def test_what_cannot_be_measured_is_refused(kind):
    middle = {
        "random": Noise(),
        "half": layers.Dense(4, dtype="mixed_float16"),
        "nan": layers.Dense(4, bias_initializer=constant_nan),
    }
    with pytest.raises(ValueError, match=r"\('ann'\) cannot be checked: its"):
        dice_tf.check_policy(network(middle[kind]))


def constant_nan(shape, dtype=None):
    return tf.fill(shape, tf.constant(np.nan, dtype))


class Subclassed(keras.Model):
    """Knows its input only once it has been called."""

    def __init__(self):
        super().__init__(name="unbuilt")
        self.logits = layers.Dense(2)

    def call(self, observation):
        return self.logits(observation)


def test_a_model_that_does_not_know_its_input_needs_observations():
    with pytest.raises(ValueError, match="`observations` must be.*'unbuilt'"):
        dice_tf.check_policy(Subclassed())
    assert dice_tf.check_policy(Subclassed(), tf.ones([2, 3])) < 1e-3


def test_a_policy_must_be_a_model():
    with pytest.raises(TypeError, match="`policy` must be a keras.Model"):
        dice_tf.check_policy(through_moments)
