"""Divergences between policies, which objectives of games provide."""

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.models.seat_models import Weights
from dice_tf.objectives import sampled
from dice_tf.objectives.divergences import mean_divergences
from dice_tf.play.trajectories import Trajectory
from tests import oracles
from tests.toys import (
    ASYMMETRIC,
    THREE_PLAYERS,
    Plain,
    Pursuit,
    exact_objective,
    normal_policy,
    random_params,
    tabular_policies,
)

GAMES = {"2": ASYMMETRIC, "3": THREE_PLAYERS}


def divergence_at(d, theta, other, player_id, num_actions):
    """sum_s d(s) KL(pi(. | s) || pi'(. | s)) with the visits d given."""
    rows = [
        oracles.observation(previous, player_id, num_actions)
        for previous in [*oracles.joint_actions(num_actions), None]
    ]
    pi, old = oracles.policy(theta), oracles.policy(other)
    return d @ np.sum(pi * (np.log(pi) - np.log(old)), axis=1)[rows]


def visits(thetas, num_actions, discount, length):
    p = oracles.state_distributions(thetas, num_actions, length)
    d = discount ** np.arange(length) @ p
    return d / d.sum()


def two_points(objective):
    return [random_params(objective.policies, seed) for seed in (0, 1)]


@pytest.mark.parametrize("discount, length", [(0.9, 5), (1.0, 4), (0.8, None)])
@pytest.mark.parametrize("name", GAMES)
def test_exact_ones_and_their_gradients_hold_the_visits(name, discount, length):
    payoffs = GAMES[name]
    objective = exact_objective(payoffs, discount, length)
    params, others = two_points(objective)
    thetas, olds = (
        [player_params[0] for player_params in x] for x in (params, others)
    )
    num_actions = payoffs.shape[1:]
    d = visits(thetas, num_actions, discount, length or 200)
    parameters = [[tf.constant(theta)] for theta in thetas]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(parameters)
        found = objective.divergences(parameters, others)
    for i in range(len(thetas)):
        one = (olds[i], i, num_actions)
        np.testing.assert_allclose(
            found[i], divergence_at(d, thetas[i], *one), rtol=1e-12
        )
        expected = oracles.complex_step_gradient(
            lambda x, one=one: divergence_at(d, x, *one), thetas[i]
        )
        np.testing.assert_allclose(
            tape.gradient(found[i], parameters[i][0]),
            expected,
            rtol=1e-9,
            atol=1e-14,
        )
        # Others move the visits alone, which are held.
        assert tape.gradient(found[i], parameters[i - 1][0]) is None


@pytest.mark.parametrize("is_hidden", [False, True])
def test_sampled_ones_estimate_the_exact_ones(is_hidden):
    exact = exact_objective(ASYMMETRIC, 0.9, 4)
    params, others = two_points(exact)
    game = Plain(exact.game) if is_hidden else exact.game
    objective = dice_tf.objectives.DiCEObjective(
        game, exact.policies, 0.9, batch_size=50
    )
    found = np.array(
        [
            objective.divergences(params, others, tf.constant([seed, 1]))
            for seed in range(30)
        ]
    )
    errors = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    expected = np.array(exact.divergences(params, others))
    assert np.all(np.abs(found.mean(axis=0) - expected) < 4 * errors)
    assert np.all(errors < 0.1 * expected)


@pytest.mark.parametrize("kind", ["DiCEObjective", "SurrogateObjective"])
def test_a_policy_does_not_diverge_from_itself(kind):
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3, dtype="float64")
    objective = getattr(dice_tf.objectives, kind)(
        game, tabular_policies(game), 0.9, 8
    )
    params, others = two_points(objective)
    seed = tf.constant([1, 2])
    assert np.all(np.equal(objective.divergences(params, params, seed), 0.0))
    assert np.all(np.greater(objective.divergences(params, others, seed), 0.0))


def test_continuous_actions_have_one_too():
    policies = [normal_policy(0), normal_policy(1)]
    objective = dice_tf.objectives.DiCEObjective(
        Pursuit(), policies, 0.9, batch_size=2000
    )
    params, others = two_points(objective)
    found = objective.divergences(params, others, tf.constant([1, 2]))
    assert np.all(np.greater(found, 0.0))


def test_what_follows_the_end_of_an_episode_does_not_count():
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3, dtype="float64")
    objective = dice_tf.objectives.DiCEObjective(
        Plain(game), tabular_policies(game), 0.5, batch_size=2
    )
    params, others = two_points(objective)
    rows = np.array([[4, 4], [0, 1], [2, 3]])
    observations = tf.constant(np.eye(5)[rows])
    nothing = tf.zeros([3, 2], tf.float64)
    trajectory = Trajectory(
        (observations, observations),
        (tf.zeros([3, 2], tf.int32),) * 2,
        (nothing, nothing),
        tf.constant([[1.0, 1.0], [0.0, 1.0], [0.0, 1.0]], tf.float64),
        None,
    )
    found = mean_divergences(
        objective.actors,
        [Weights(player_params, []) for player_params in params],
        [Weights(player_params, []) for player_params in others],
        trajectory,
        0.5 * trajectory.discounts,
    )
    weights = np.array([[1.0, 1.0], [0.5, 0.5], [0.0, 0.25]])
    for i in range(2):
        pi, old = (oracles.policy(x[i][0]) for x in (params, others))
        each = np.sum(pi * np.log(pi / old), axis=1)[rows]
        expected = np.sum(weights * each) / np.sum(weights)
        np.testing.assert_allclose(found[i], expected, rtol=1e-12)


def test_a_step_plays_once_for_values_and_divergences(monkeypatch):
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3)
    objective = dice_tf.objectives.DiCEObjective(
        game, tabular_policies(game), 0.9, 4
    )
    played = []
    sample = sampled.sample_trajectory
    monkeypatch.setattr(
        sampled,
        "sample_trajectory",
        lambda *inputs, **options: (
            played.append(1) or sample(*inputs, **options)
        ),
    )
    params = objective.initial_params()
    seed = tf.constant([1, 2])
    bound = objective.bind()
    bound(params, seed)
    bound.divergences(params, objective.initial_params(), seed)
    assert len(played) == 1


def test_without_policies_there_is_none():
    objective = dice_tf.objectives.FunctionObjective([lambda params: 0.0])
    with pytest.raises(ValueError, match="has no policies to tell apart"):
        objective.divergences([[]], [[]])


def test_what_is_sampled_needs_a_seed():
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3)
    objective = dice_tf.objectives.DiCEObjective(
        game, tabular_policies(game), 0.9, 4
    )
    params = objective.initial_params()
    with pytest.raises(ValueError, match="a sampled objective needs one"):
        objective.divergences(params, params)
