"""Fresh initial parameters of a policy, from a seed."""

import random

import keras
import numpy as np
import pytest

import dice_tf
from dice_tf.policies import initial_params, mlp, tabular
from tests.toys import ASYMMETRIC

GAME = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 4)


def flat(params):
    return np.concatenate([np.ravel(param) for param in params])


def seeded_model():
    """Initializers with seeds of their own, which must not stick."""
    inputs = keras.Input((5,))
    x = keras.layers.Dense(
        4,
        activation="tanh",
        kernel_initializer=keras.initializers.Orthogonal(seed=3),
        bias_initializer="ones",
    )(inputs)
    initializer = keras.initializers.RandomNormal(seed=3)
    outputs = keras.layers.Dense(2, kernel_initializer=initializer)(x)
    return keras.Model(inputs, outputs)


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    """A model of two layers, as a user would write it."""

    def __init__(self, units=6, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.hidden = keras.layers.Dense(units, activation="tanh")
        self.out = keras.layers.Dense(1)

    def call(self, observations):
        return self.out(self.hidden(observations))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def subclassed_model():
    model = Subclassed()
    model(np.zeros((1, 5), np.float32))
    return model


MODELS = {
    "tabular": lambda: tabular(GAME, 0),
    "mlp": lambda: mlp(GAME, 0, hidden_units=(4,)),
    "seeded": seeded_model,
    "subclassed": subclassed_model,
}


@pytest.mark.parametrize("name", MODELS)
def test_a_seed_gives_the_same_parameters_and_another_seed_others(name):
    policy = MODELS[name]()
    first = flat(initial_params(policy, 5))
    np.testing.assert_array_equal(first, flat(initial_params(policy, 5)))
    for seed in (6, [5, 1]):
        assert np.any(first != flat(initial_params(policy, seed)))


@pytest.mark.parametrize("name", MODELS)
def test_parameters_come_in_the_order_of_the_trainable_variables(name):
    policy = MODELS[name]()
    params = initial_params(policy, 5)
    assert [param.shape for param in params] == [
        tuple(variable.shape) for variable in policy.trainable_variables
    ]


@pytest.mark.parametrize("name", MODELS)
def test_the_model_and_global_random_states_are_left_alone(name):
    policy = MODELS[name]()
    before = policy.get_weights()
    states = random.getstate(), np.random.get_state()[1].tolist()
    initial_params(policy, 5)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states
    for one, other in zip(before, policy.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_each_initializer_draws_its_own():
    params = initial_params(seeded_model(), 5)
    np.testing.assert_array_equal(params[1], np.ones(4))
    # Columns of an orthogonal kernel.
    np.testing.assert_allclose(params[0].T @ params[0], np.eye(4), atol=1e-5)
    twins = keras.Sequential(
        [
            keras.Input((4,)),
            *(keras.layers.Dense(4, use_bias=False) for _ in range(2)),
        ]
    )
    first, second = initial_params(twins, 5)
    assert np.all(first != second)


def test_runs_of_many_seeds_have_the_distribution_of_the_initializer():
    policy = tabular(GAME, 0)
    logits = np.concatenate(
        [flat(initial_params(policy, [seed, 0])) for seed in range(100)]
    )
    assert len(set(logits)) == logits.size
    assert abs(logits.mean()) < 4 * np.sqrt(1 / 3 / logits.size)
    spread = np.sqrt((1 / 5 - 1 / 9) / logits.size)
    assert abs(np.mean(logits**2) - 1 / 3) < 4 * spread


def test_a_model_that_cannot_be_rebuilt_is_refused():
    class Opaque(keras.Model):
        def __init__(self, layer):
            super().__init__(name="opaque")
            self.layer = layer

        def call(self, observations):
            return self.layer(observations)

    policy = Opaque(keras.layers.Dense(1))
    policy(np.zeros((1, 5), np.float32))
    with pytest.raises(ValueError, match="'opaque' cannot be rebuilt from its"):
        initial_params(policy, 5)


def test_seeds_are_whole_numbers_of_any_size():
    """In words of 32 bits, the first and the last three would be the same."""
    policy = tabular(GAME, 0)
    seeds = [2**128, 0, [0, 0], [2**32 + 5, 0], [5, 1], [5, 1, 0]]
    drawn = [flat(initial_params(policy, seed)).tolist() for seed in seeds]
    assert len({tuple(values) for values in drawn}) == len(seeds)
    again = flat(initial_params(policy, np.array([5, 1])))
    np.testing.assert_array_equal(again, drawn[4])


@pytest.mark.parametrize("seed", [True, [1, None], [[1]]])
def test_what_is_not_a_whole_number_is_refused(seed):
    with pytest.raises(TypeError, match="`seed` must be a whole number"):
        initial_params(tabular(GAME, 0), seed)
    with pytest.raises(ValueError, match="`seed` must be at least 0"):
        initial_params(tabular(GAME, 0), [3, -1])


def test_a_model_that_is_rebuilt_otherwise_is_refused():
    @keras.saving.register_keras_serializable("tests")
    class Forgetful(Subclassed):
        def get_config(self):
            return {"name": self.name}

    policy = Forgetful(units=7, name="forgetful")
    policy(np.zeros((1, 5), np.float32))
    with pytest.raises(ValueError, match="'forgetful', rebuilt from its conf"):
        initial_params(policy, 5)
