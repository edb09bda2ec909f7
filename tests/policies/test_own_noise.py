"""Policies and critics that draw noise of their own are refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf
from dice_tf.play.actors import Actor
from tests import oracles
from tests.toys import ASYMMETRIC, Plain, Pursuit, normal_policy

GAME = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3, dtype="float64")
layers = keras.layers
GENERATOR = keras.random.SeedGenerator(3)


def network(middle, seed=1, dtype="float64", **last):
    """Outputs of a hidden layer that `middle` stands behind."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((5,), dtype=dtype)
    x = middle(layers.Dense(4, activation="tanh", dtype=dtype)(inputs))
    outputs = layers.Dense(1, dtype=dtype, **last)(x)
    return keras.Model(inputs, outputs, name="ann")


def in_training(layer):
    return lambda x: layer(x, training=True)


class Custom(layers.Layer):
    """Calls a function of its inputs and of itself."""

    def __init__(self, function, **kwargs):
        super().__init__(dtype="float64", **kwargs)
        self.function = function

    def build(self, shape):
        del shape
        self.count = self.add_weight(
            name="count", shape=(), trainable=False, initializer="zeros"
        )
        self.calls = 0

    def call(self, x):
        return self.function(self, x)


def counting(layer, x):
    layer.count.assign_add(1.0)
    return x


def counting_in_python(layer, x):
    layer.calls += 1
    return x * layer.calls


def rarely(layer, x):
    del layer
    return x * tf.cast(
        tf.random.uniform(tf.shape(x)[:1])[:, None] > 0.01, x.dtype
    )


def with_fixed_seed(layer, x):
    del layer
    return x + tf.random.stateless_normal(tf.shape(x), [1, 2], dtype=x.dtype)


def across_the_batch(layer, x):
    del layer
    return x - tf.reduce_mean(x, axis=0)


CHANGES = {
    "dropout": lambda: in_training(layers.Dropout(0.5, dtype="float64")),
    "rare dropout": lambda: in_training(layers.Dropout(0.01, dtype="float64")),
    "gaussian noise": lambda: in_training(
        layers.GaussianNoise(0.5, dtype="float64")
    ),
    "gaussian dropout": lambda: in_training(
        layers.GaussianDropout(0.5, dtype="float64")
    ),
    "alpha dropout": lambda: in_training(
        layers.AlphaDropout(0.5, dtype="float64")
    ),
    "batch normalization": lambda: in_training(
        layers.BatchNormalization(dtype="float64")
    ),
    "a counter": lambda: Custom(counting),
    "a generator": lambda: Custom(
        lambda layer, x: (
            x + keras.random.normal(tf.shape(x), dtype=x.dtype, seed=GENERATOR)
        )
    ),
    "keras": lambda: Custom(
        lambda layer, x: x + keras.random.normal(tf.shape(x), dtype=x.dtype)
    ),
}
OTHER_OUTPUTS = {
    "tensorflow": lambda: Custom(
        lambda layer, x: x * tf.random.uniform([], dtype=x.dtype)
    ),
    "a lambda": lambda: layers.Lambda(
        lambda x: x + tf.random.normal(tf.shape(x), dtype=x.dtype),
        dtype="float64",
    ),
    "rare noise": lambda: Custom(rarely),
    "calls": lambda: Custom(counting_in_python),
}
BESIDE_OTHERS = {
    "a fixed seed": lambda: Custom(with_fixed_seed),
    "the mean of the batch": lambda: Custom(across_the_batch),
    "batch normalization without averages": lambda: Custom(
        lambda layer, x: tf.nn.batch_normalization(
            x, *tf.nn.moments(x, [0]), None, None, 1e-3
        )
    ),
}
CASES = [
    (build, message)
    for kind, message in (
        (CHANGES, r"\('ann'\) changes .* whenever it is called"),
        (OTHER_OUTPUTS, r"\('ann'\) gives other outputs whenever"),
        (BESIDE_OTHERS, r"\('ann'\) gives an observation other outputs besi"),
    )
    for build in kind.values()
]
NAMES = [*CHANGES, *OTHER_OUTPUTS, *BESIDE_OTHERS]


@pytest.mark.parametrize("build, message", CASES, ids=NAMES)
def test_objectives_refuse_policies_that_are_no_function_of_what_they_see(
    build, message
):
    """With dropout at T = 3 a gradient was -1.15 in place of -.19."""
    policies = [dice_tf.policies.tabular(GAME, 0), network(build())]
    with pytest.raises(ValueError, match=rf"`policies\[1\]` {message}"):
        dice_tf.objectives.DiCEObjective(GAME, policies)


@pytest.mark.parametrize("name", ["dropout", "a counter"])
def test_the_check_of_a_policy_finds_them_too(name):
    with pytest.raises(ValueError, match=r"`policy` \('ann'\) changes"):
        dice_tf.check_policy(network(CHANGES[name]()))


@pytest.mark.parametrize("name", ["dropout", "keras"])
def test_noise_is_found_behind_weights_of_zeros(name):
    policy = network(CHANGES[name](), kernel_initializer="zeros")
    policies = [policy, dice_tf.policies.tabular(GAME, 1)]
    for kind in ("ExactObjective", "SurrogateObjective"):
        with pytest.raises(ValueError, match="`policies.0.` .*'ann'. changes"):
            getattr(dice_tf.objectives, kind)(GAME, policies)


def test_noise_is_found_in_games_that_are_not_finite():
    policies = [
        dice_tf.policies.tabular(GAME, 0),
        network(Custom(rarely)),
    ]
    with pytest.raises(ValueError, match="gives other outputs whenever"):
        dice_tf.objectives.DiCEObjective(Plain(GAME), policies)


def test_the_variables_that_a_call_changes_are_named():
    policy = network(Custom(counting, name="mine"))
    with pytest.raises(ValueError, match="changes 'mine/count' whenever"):
        Actor(GAME, policy, 0)
    policy = network(CHANGES["keras"]())
    with pytest.raises(ValueError, match="changes a variable outside of the"):
        Actor(GAME, policy, 0)


def test_what_is_frozen_may_not_draw_noise_either():
    policy = network(CHANGES["dropout"]())
    policy.trainable = False
    policies = [dice_tf.policies.tabular(GAME, 0), policy]
    with pytest.raises(ValueError, match="belongs in the policy's distribu"):
        dice_tf.objectives.DiCEObjective(GAME, policies)


def test_memory_that_draws_noise_is_refused():
    inputs = keras.Input((5,), dtype="float64")
    state = keras.Input((4,), dtype="float64")
    x, after = layers.GRUCell(4, dtype="float64")(inputs, state)
    noisy = layers.Dropout(0.5, dtype="float64")(after, training=True)
    outputs = layers.Dense(1, dtype="float64")(x)
    policy = keras.Model([inputs, state], [outputs, noisy], name="ann")
    with pytest.raises(ValueError, match=r"'ann'\) changes .*seed_generator"):
        Actor(GAME, policy, 0)


def recurrent(training, cell=None):
    layer = layers.GRU(3, dropout=0.5, dtype="float64", use_cudnn=False)
    if cell is not None:
        cells = [cell(3, dropout=0.3, dtype="float64")]
        layer = layers.RNN(cells, dtype="float64")
    pairs = layers.Reshape((2, 2), dtype="float64")
    return network(lambda x: layer(pairs(x), training=training))


@pytest.mark.parametrize("cell", [None, layers.LSTMCell])
def test_recurrent_layers_may_have_dropout_that_does_nothing(cell):
    """Keras draws its masks all the same, and does not use them."""
    policies = [recurrent(None, cell), dice_tf.policies.tabular(GAME, 1)]
    objective = dice_tf.objectives.DiCEObjective(GAME, policies, 0.9, 4)
    params, seed = objective.initial_params(), tf.constant([0, 1])
    first, again = (objective(params, seed)[0] for _ in range(2))
    assert first.numpy() == again.numpy()
    policies[0] = recurrent(True, cell)
    with pytest.raises(ValueError, match="`policies.0.` .*as noise does"):
        dice_tf.objectives.DiCEObjective(GAME, policies)


@pytest.mark.parametrize("build, message", CASES, ids=NAMES)
def test_objectives_refuse_such_critics(build, message):
    critics = [network(build()), dice_tf.critics.tabular_critic(GAME, 1)]
    with pytest.raises(ValueError, match=rf"`critics\[0\]` {message}"):
        dice_tf.objectives.DiCEObjective(
            GAME,
            [dice_tf.policies.tabular(GAME, seat) for seat in range(2)],
            baseline="critic",
            critics=critics,
        )


def noisy_head(outputs):
    mean = outputs[..., 0] + tf.random.normal([], dtype=outputs.dtype)
    return tfp.distributions.Normal(mean, tf.ones_like(mean))


def centred_head(outputs):
    mean = outputs[..., 0] - tf.reduce_mean(outputs[..., 0])
    return tfp.distributions.Normal(mean, tf.ones_like(mean))


@pytest.mark.parametrize("head", [noisy_head, centred_head])
def test_heads_that_are_no_function_of_the_outputs_are_refused(head):
    policies = [normal_policy(0), normal_policy(1, head)]
    with pytest.raises(ValueError, match=r"attached to `policies\[1\]`.*gives"):
        dice_tf.objectives.DiCEObjective(Pursuit(), policies)


# What training-mode layers do.


@pytest.mark.parametrize(
    "layer",
    [
        layers.Dropout(0.5, dtype="float64"),
        layers.GaussianNoise(0.5, dtype="float64"),
        layers.SpatialDropout1D(0.5, dtype="float64"),
    ],
)
def test_noise_layers_run_in_inference_mode_and_gradients_are_right(layer):
    """Exact, and sampled within the standard error of its parts."""
    middle = layer
    if isinstance(layer, layers.SpatialDropout1D):

        def middle(x):
            x = layers.Reshape((1, 4), dtype="float64")(x)
            return layers.Flatten(dtype="float64")(layer(x))

    policies = [network(middle), dice_tf.policies.tabular(GAME, 1)]
    first, bias, second, last = policies[0].get_weights()
    other = policies[1].get_weights()[0]

    def value(kernel):
        theta = np.tanh(kernel + bias) @ second + last
        return oracles.values(ASYMMETRIC, [theta, other], 0.9, 3)[0]

    expected = oracles.gradient(value, first)

    def gradient(objective, seed):
        params = objective.initial_params()
        with tf.GradientTape() as tape:
            tape.watch(params[0])
            found = objective(params, seed)[0]
        return tape.gradient(found, params[0])[0].numpy()

    exact = dice_tf.objectives.ExactObjective(GAME, policies, 0.9)
    np.testing.assert_allclose(gradient(exact, None), expected, atol=1e-8)
    sampled = dice_tf.objectives.DiCEObjective(
        GAME, policies, 0.9, batch_size=500
    )
    parts = [gradient(sampled, tf.constant([3, n])) for n in range(20)]
    error = np.std(parts, axis=0, ddof=1) / np.sqrt(len(parts))
    assert np.max(np.abs(expected)) > 0.05
    assert np.all(np.abs(np.mean(parts, axis=0) - expected) <= 4.5 * error)


def test_batch_normalization_runs_with_its_moving_averages():
    layer = layers.BatchNormalization(dtype="float64")
    policy = network(layer)
    rng = np.random.default_rng(0)
    layer.set_weights([rng.uniform(0.5, 2.0, size=4) for _ in range(4)])
    gamma, beta, mean, variance = layer.get_weights()
    first, bias = policy.layers[1].get_weights()
    second, last = policy.layers[-1].get_weights()
    hidden = (np.tanh(first + bias) - mean) / np.sqrt(variance + 1e-3)
    actor = Actor(GAME, policy, 0)
    found = actor.log_prob_table(actor.model.weights())
    log_odds = (hidden * gamma + beta) @ second + last
    expected = np.log(oracles.policy(log_odds))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_checks_leave_variables_as_they_are():
    policy = network(layers.BatchNormalization(dtype="float64"))
    before = policy.get_weights()
    Actor(GAME, policy, 0)
    for old, new in zip(before, policy.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


# What has no derivatives would never learn.


def test_outputs_without_derivatives_are_refused():
    policy = network(Custom(lambda layer, x: tf.round(x)), trainable=False)
    with pytest.raises(ValueError, match="'ann'. has no derivatives in its w"):
        Actor(GAME, policy, 0)


def test_what_keras_computes_again_is_refused():
    with keras.RematScope(mode="full"):
        policy = network(lambda x: x)
    with pytest.raises(ValueError, match="and keras.RematScope loses them"):
        Actor(GAME, policy, 0)
