"""Policies and critics around cells of Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.learners import LOLADiCE
from dice_tf.models.recurrent_models import seat_model
from dice_tf.objectives import DiCEObjective
from tests import recurrent
from tests.toys import tabular_policies

pytestmark = pytest.mark.own_process


class TwoStates(keras.layers.Layer):
    """A cell of one's own, with two states of other shapes."""

    state_size = (3, 2)

    def build(self, shape):
        self.kernel = self.add_weight(
            shape=(shape[-1], 3), initializer="glorot_uniform", name="kernel"
        )

    def call(self, inputs, states):
        fast, slow = states
        fast = keras.ops.tanh(inputs @ self.kernel + fast)
        slow = 0.5 * slow + fast[:, :2] * fast[:, 1:]
        return keras.ops.concatenate([fast, slow], axis=-1), [fast, slow]


def cell_of(kind, *arguments):
    # Keras asks for its default dtype only until the first layer is made.
    return kind(*arguments, dtype="float64")


def stacked():
    return cell_of(
        keras.layers.StackedRNNCells,
        [
            cell_of(keras.layers.GRUCell, 3),
            cell_of(keras.layers.LSTMCell, 2),
        ],
    )


CELLS = {
    "gru": (lambda: cell_of(keras.layers.GRUCell, 3), 1),
    "lstm": (lambda: cell_of(keras.layers.LSTMCell, 3), 2),
    "simple": (lambda: cell_of(keras.layers.SimpleRNNCell, 3), 1),
    "stacked": (stacked, 3),
    "two_states": (lambda: cell_of(TwoStates), 2),
}


@pytest.mark.parametrize("name", CELLS)
def test_a_policy_is_a_layer_over_time_and_linear_outputs(name):
    make, num_states = CELLS[name]
    cell, game = make(), recurrent.small_game(4)
    policy = dice_tf.policies.recurrent(game, 0, cell, name="ann")
    assert policy.name == "ann" and len(policy.inputs) == 1 + num_states
    seen = tf.constant(np.random.default_rng(0).normal(size=(4, 3, 5)))
    model = seat_model("policies[0]", policy, (5,), tf.float64)
    outputs = tf.function(model)(model.weights(), seen)
    # The same weights, by Keras' own layer.
    layer = keras.layers.RNN(cell, return_sequences=True, dtype="float64")
    features = layer(tf.transpose(seen, [1, 0, 2]))
    kernel, bias = policy.layers[-1].get_weights()
    expected = tf.transpose(features @ kernel + bias, [1, 0, 2])
    np.testing.assert_allclose(outputs, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["stacked", "two_states"])
def test_players_around_any_cell_learn_by_look_aheads_under_xla(name):
    game, make = recurrent.small_game(3), CELLS[name][0]
    policies = [
        dice_tf.policies.recurrent(game, 0, make()),
        tabular_policies(game)[1],
    ]
    critics = [
        dice_tf.critics.recurrent_critic(game, i, make()) for i in range(2)
    ]
    objective = DiCEObjective(game, policies, 0.9, 8, "critic", critics)
    params, seed = objective.initial_params(), tf.constant([1, 2])

    def direction():
        return LOLADiCE(1, 1.0).gradient(objective, params, 0, seed)

    compiled = tf.function(direction, autograph=False, jit_compile=True)()
    for one, other in zip(compiled, direction(), strict=True):
        assert np.abs(other).max() > 1e-6
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-12)


def test_what_goes_over_time_is_not_a_cell():
    game = recurrent.small_game()
    for layer in (keras.layers.GRU(3), keras.layers.Dense(3)):
        with pytest.raises(TypeError, match="`cell` must be what is done at"):
            dice_tf.policies.recurrent(game, 0, layer)
    with pytest.raises(TypeError, match="`cell` must be a Keras cell"):
        dice_tf.critics.recurrent_critic(game, 0, None)


def test_a_cell_starts_from_zeros():
    class FromOnes(keras.layers.GRUCell):
        def get_initial_state(self, batch_size=None):
            return [keras.ops.ones([batch_size, self.units])]

    with pytest.raises(ValueError, match="must start from states of zeros"):
        dice_tf.policies.recurrent(recurrent.small_game(), 0, FromOnes(3))


def test_the_states_of_a_cell_have_known_sizes():
    class Unknown(keras.layers.Layer):
        state_size = (None,)

    with pytest.raises(ValueError, match="cell with states of known size"):
        dice_tf.policies.recurrent(recurrent.small_game(), 0, Unknown())
