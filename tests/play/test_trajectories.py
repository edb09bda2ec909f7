"""Log-probabilities and entropies of what was played."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf
from dice_tf.models.seat_models import Weights
from dice_tf.play.actors import Actor
from dice_tf.play.rollouts import sample_trajectory
from dice_tf.play.trajectories import player_entropies, player_log_probs
from tests import oracles
from tests.toys import THREE_PLAYERS, Pursuit, normal_policy, random_params


class Played:
    """A trajectory of random tabular policies, three players."""

    def __init__(self):
        game = dice_tf.games.iterated_matrix_game(
            THREE_PLAYERS, 5, dtype="float64"
        )
        policies = [dice_tf.policies.tabular(game, i) for i in range(3)]
        self.actors = [Actor(game, p, i) for i, p in enumerate(policies)]
        self.thetas = [own[0] for own in random_params(policies, 0)]
        self.weights = [Weights([tf.constant(x)], []) for x in self.thetas]
        self.trajectory = sample_trajectory(
            game, self.actors, self.weights, batch_size=6, seed=[1, 2]
        )

    def rows(self, player_id):
        """Numbers of what the player saw, `[T, B]`."""
        return np.argmax(self.trajectory.observations[player_id], axis=-1)


PLAYED = Played()
# Both paths through the library: by tables of states, and by observations.
TRAJECTORIES = {
    "by state": PLAYED.trajectory,
    "by observation": PLAYED.trajectory._replace(states=None),
}


@pytest.mark.parametrize("kind", TRAJECTORIES)
@pytest.mark.parametrize("player_id", [0, 1, 2])
def test_log_probabilities_are_those_of_what_was_done(player_id, kind):
    found = player_log_probs(
        PLAYED.actors[player_id],
        PLAYED.weights[player_id],
        TRAJECTORIES[kind],
        player_id,
    )
    pi = oracles.policy(PLAYED.thetas[player_id])
    actions = PLAYED.trajectory.actions[player_id]
    expected = np.log(pi[PLAYED.rows(player_id), actions])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("kind", TRAJECTORIES)
@pytest.mark.parametrize("player_id", [0, 1, 2])
def test_entropies_are_those_of_the_policy_in_each_state(player_id, kind):
    found = player_entropies(
        PLAYED.actors[player_id],
        PLAYED.weights[player_id],
        TRAJECTORIES[kind],
        player_id,
    )
    pi = oracles.policy(PLAYED.thetas[player_id])[PLAYED.rows(player_id)]
    expected = -np.sum(pi * np.log(pi), axis=-1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("function", [player_log_probs, player_entropies])
@pytest.mark.parametrize("kind", TRAJECTORIES)
def test_gradients_flow_into_the_parameters_of_the_player(function, kind):
    theta = PLAYED.weights[1].params[0]
    direction = tf.constant(np.random.default_rng(1).normal(size=(5, 6)))

    def total(theta):
        weights = Weights([theta], [])
        result = function(PLAYED.actors[1], weights, TRAJECTORIES[kind], 1)
        return tf.reduce_sum(direction * result)

    with tf.GradientTape() as tape:
        tape.watch(theta)
        value = total(theta)
    expected = oracles.gradient(
        lambda x: total(tf.constant(x)).numpy(), theta.numpy()
    )
    np.testing.assert_allclose(tape.gradient(value, theta), expected, atol=1e-8)


def play_pursuit(head, batch_size):
    game = Pursuit(episode_length=1)
    actors = [Actor(game, normal_policy(i, head), i) for i in range(2)]
    weights = [actor.model.weights() for actor in actors]
    trajectory = sample_trajectory(
        game, actors, weights, batch_size=batch_size, seed=[1, 2]
    )
    return actors[0], weights[0], trajectory


def normal(outputs):
    return tfp.distributions.Normal(outputs[..., 0], tf.exp(outputs[..., 1]))


def log_normal(outputs):
    """A distribution that does not know its entropy."""
    return tfp.distributions.TransformedDistribution(
        normal(outputs), tfp.bijectors.Exp()
    )


def test_log_probabilities_of_continuous_actions_are_densities():
    actor, weights, trajectory = play_pursuit(normal, 7)
    outputs = actor.model(weights, trajectory.observations[0]).numpy()
    mean, scale = outputs[..., 0], np.exp(outputs[..., 1])
    z = (trajectory.actions[0] - mean) / scale
    np.testing.assert_allclose(
        player_log_probs(actor, weights, trajectory, 0),
        -0.5 * z**2 - np.log(scale) - 0.5 * np.log(2 * np.pi),
        rtol=1e-12,
    )


def test_entropies_of_continuous_actions_are_those_of_their_distribution():
    actor, weights, trajectory = play_pursuit(normal, 7)
    outputs = actor.model(weights, trajectory.observations[0]).numpy()
    np.testing.assert_allclose(
        player_entropies(actor, weights, trajectory, 0),
        outputs[..., 1] + 0.5 * np.log(2 * np.pi * np.e),
        rtol=1e-12,
    )


def test_an_unknown_entropy_is_estimated_with_its_gradient():
    """Of a log-normal: mu + log sigma + log(2 pi e) / 2."""
    size = 20_000
    actor, weights, trajectory = play_pursuit(log_normal, size)
    with tf.GradientTape() as tape:
        outputs = actor.model(weights, trajectory.observations[0])
        tape.watch(outputs)
        # The head alone, so that each sample's gradient can be had.
        bound = actor.__class__.__new__(actor.__class__)
        bound.__dict__.update(actor.__dict__)
        bound.model = lambda own, observations: outputs
        entropies = player_entropies(bound, weights, trajectory, 0)
    expected = (
        outputs[..., 0] + outputs[..., 1] + 0.5 * np.log(2 * np.pi * np.e)
    )
    errors = (entropies - expected).numpy()
    assert abs(errors.mean()) < 4 * errors.std() / np.sqrt(size)
    gradients = tape.gradient(entropies, outputs).numpy()[0]
    deviations = gradients - 1.0
    spread = deviations.std(axis=0) / np.sqrt(size)
    assert np.all(np.abs(deviations.mean(axis=0)) < 4 * spread)
