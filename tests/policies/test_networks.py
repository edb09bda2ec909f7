"""Policy networks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.games import FiniteGame
from dice_tf.policies import mlp, tabular
from tests.toys import THREE_PLAYERS, Pursuit


@pytest.fixture(scope="module")
def game():
    return dice_tf.games.iterated_matrix_game(THREE_PLAYERS, 4, dtype="float64")


def game_with_images():
    """Two players that see 2 x 3 numbers in each of two states."""
    rng = np.random.default_rng(0)
    return FiniteGame(
        rng.normal(size=(2, 2, 2, 3)),
        rng.dirichlet(np.ones(2), size=(2, 2, 3)),
        [0.5, 0.5],
        episode_length=3,
        observations=rng.normal(size=(2, 2, 2, 3)),
    )


@pytest.mark.parametrize("player_id, num_outputs", [(0, 1), (1, 3), (2, 1)])
def test_a_table_holds_one_row_per_observation(game, player_id, num_outputs):
    policy = tabular(game, player_id)
    (theta,) = policy.trainable_variables
    assert theta.shape == (13, num_outputs) and theta.dtype == "float64"
    assert policy.variables == [theta]
    np.testing.assert_array_equal(policy(tf.eye(13, dtype="float64")), theta)
    observations = np.random.default_rng(0).normal(size=(6, 13))
    np.testing.assert_allclose(
        policy(observations), observations @ theta.numpy(), rtol=1e-12
    )


def test_a_table_starts_uniform_on_minus_1_to_1(game):
    logits = np.concatenate(
        [tabular(game, 1).get_weights()[0].ravel() for _ in range(60)]
    )
    assert logits.min() > -1.0 and logits.max() < 1.0
    # Of uniforms on (-1, 1): mean 0, variance 1/3, and 0.95 is often passed.
    assert abs(logits.mean()) < 4 * np.sqrt(1 / 3 / logits.size)
    assert logits.max() > 0.95 and logits.min() < -0.95


def test_a_table_starts_as_its_initializer_says(game):
    policy = tabular(game, 0, initializer=keras.initializers.Constant(0.25))
    np.testing.assert_array_equal(
        policy.get_weights()[0], np.full((13, 1), 0.25)
    )


@pytest.mark.parametrize("player_id, num_outputs", [(0, 1), (1, 3)])
def test_a_perceptron_has_hidden_layers_and_a_linear_output(
    game, player_id, num_outputs
):
    policy = mlp(game, player_id, hidden_units=(4, 5), activation="sigmoid")
    shapes = [tuple(v.shape) for v in policy.trainable_variables]
    assert shapes == [
        *((13, 4), (4,), (4, 5), (5,)),
        *((5, num_outputs), (num_outputs,)),
    ]
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=shape) for shape in shapes]
    policy.set_weights(weights)
    x = observations = rng.normal(size=(7, 13))
    for layer in range(2):
        x = 1 / (1 + np.exp(-x @ weights[2 * layer] - weights[2 * layer + 1]))
    np.testing.assert_allclose(
        policy(observations), x @ weights[4] + weights[5], rtol=1e-12
    )


def test_a_perceptron_takes_observations_of_any_shape():
    game = game_with_images()
    for player_id, num_outputs in enumerate((1, 3)):
        policy = mlp(game, player_id, hidden_units=(4,))
        assert policy(tf.ones([5, 2, 3])).shape == (5, num_outputs)


@pytest.mark.parametrize("build", [tabular, mlp])
def test_models_are_named_by_their_seat_unless_told(game, build):
    assert build(game, 1).name == f"{build.__name__}_policy_1" or (
        build is mlp and build(game, 1).name == "mlp_policy_1"
    )
    assert build(game, 1, name="ann").name == "ann"


@pytest.mark.parametrize("build", [tabular, mlp])
def test_a_seat_that_does_not_exist_is_refused(game, build):
    with pytest.raises(ValueError, match="`player_id` must be below the numb"):
        build(game, 3)


@pytest.mark.parametrize("build", [tabular, mlp])
def test_a_seat_of_continuous_actions_is_refused(build):
    with pytest.raises(ValueError, match="Player 0 has no finite set of acti"):
        build(Pursuit(), 0)


def test_layers_without_units_are_refused(game):
    with pytest.raises(ValueError, match="`hidden_units` must be at least 1"):
        mlp(game, 0, hidden_units=(4, 0))
