"""Exact matches, against distributions over states."""

import numpy as np
import pytest

import dice_tf
from dice_tf import evaluation
from tests import oracles
from tests.evaluation.memory_one import (
    PAYOFFS,
    game_of,
    logits,
    policies_of,
    random_tables,
    returns,
)
from tests.toys import ASYMMETRIC, Plain, random_params, tabular_policies

HORIZONS = [(0.9, 5), (1.0, 5), (0.9, None), (0.0, 3)]


def visits(payoffs, tables, discount, length):
    """Shares `[S]` of visits of each state, the start last."""
    p = oracles.state_distributions(
        logits(tables), payoffs.shape[1:], length or 400
    )
    weights = discount ** np.arange(len(p))
    return weights @ p / weights.sum()


@pytest.mark.parametrize("discount, length", HORIZONS)
@pytest.mark.parametrize("name", PAYOFFS)
def test_returns_and_rates_are_expectations(name, discount, length):
    payoffs = PAYOFFS[name]
    game, tables = game_of(payoffs, 5), random_tables(payoffs, 2)
    match = evaluation.exact_match(
        game,
        policies_of(game, tables),
        discount=discount,
        episode_length=length,
    )
    expected = returns(payoffs, tables, discount, length)
    np.testing.assert_allclose(match.mean, expected, rtol=1e-9)
    np.testing.assert_array_equal(match.standard_error, 0.0)
    assert match.returns is None and match.actions is None
    decay = discount if length is None else 1.0
    shares = visits(payoffs, tables, decay, length)
    joint = oracles.joint_policy(logits(tables), game.num_actions)
    joint = (shares @ joint).reshape(game.num_actions)
    for player_id, rates in enumerate(match.action_rates):
        others = tuple(j for j in range(joint.ndim) if j != player_id)
        np.testing.assert_allclose(rates, joint.sum(axis=others), rtol=1e-9)


def test_by_default_the_episode_is_that_of_the_game():
    game = game_of(ASYMMETRIC, 7)
    policies = tabular_policies(game)
    np.testing.assert_array_equal(
        evaluation.exact_match(game, policies, discount=0.8).mean,
        evaluation.exact_match(
            game, policies, discount=0.8, episode_length=7
        ).mean,
    )


def test_a_game_in_float32_is_exact_in_float64():
    game = dice_tf.games.iterated_prisoners_dilemma(3)
    policies = [dice_tf.policies.random(game, i) for i in range(2)]
    match = evaluation.exact_match(
        game, policies, discount=0.96, episode_length=None
    )
    np.testing.assert_allclose(match.mean, -1.5, rtol=1e-13)


@pytest.mark.parametrize("discount, length", HORIZONS)
@pytest.mark.parametrize("player_id", [0, 1, 2])
def test_visits_are_in_the_order_of_the_observer(player_id, discount, length):
    payoffs = PAYOFFS["3"]
    game, tables = game_of(payoffs, 5), random_tables(payoffs, 3)
    found = evaluation.visit_frequencies(
        game,
        policies_of(game, tables),
        player_id,
        discount=discount,
        episode_length=length,
    )
    shares = visits(payoffs, tables, discount, length)
    joints = [*oracles.joint_actions(game.num_actions), None]
    for share, previous in zip(shares, joints, strict=True):
        seen = oracles.observation(previous, player_id, game.num_actions)
        assert found[seen] == pytest.approx(share, rel=1e-9)
    assert found.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("player_id", [0, 1, 2])
def test_probabilities_are_in_the_order_of_the_observer(player_id):
    payoffs = PAYOFFS["3"]
    game, tables = game_of(payoffs), random_tables(payoffs, 4)
    found = evaluation.action_probabilities(
        game, policies_of(game, tables)[player_id], player_id
    )
    np.testing.assert_allclose(found, tables[player_id], rtol=1e-9)


def test_probabilities_are_a_copy_of_a_policy_that_learns_on():
    game = dice_tf.games.iterated_matrix_game(PAYOFFS["3"], 5)
    policies = tabular_policies(game)
    for policy, params in zip(
        policies, random_params(policies, 0), strict=True
    ):
        policy.set_weights(params)
    before = evaluation.exact_match(game, policies)
    copies = policies_of(
        game,
        [
            evaluation.action_probabilities(game, policy, player_id)
            for player_id, policy in enumerate(policies)
        ],
    )
    for policy in policies:
        policy.set_weights([2.0 * x for x in policy.get_weights()])
    after = evaluation.exact_match(game, policies)
    kept = evaluation.exact_match(game, copies)
    np.testing.assert_allclose(kept.mean, before.mean, rtol=1e-5)
    assert np.abs(after.mean - before.mean).max() > 0.01


def aliased_game():
    """Players do not see the second of three states."""
    return dice_tf.games.FiniteGame(
        np.ones((2, 3, 2, 2)),
        np.full((3, 2, 2, 3), 1 / 3),
        [1, 0, 0],
        episode_length=4,
        observations=[np.eye(3)[[0, 0, 2]]] * 2,
    )


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"game": Plain(game_of(ASYMMETRIC))}, TypeError, "FiniteGame: what "),
        ({"policies": [None, None]}, TypeError, r"`policies\[0\]` must be a"),
        ({"discount": 1.0}, ValueError, "`discount` must be below 1 with an"),
        ({"episode_length": 0}, ValueError, "`episode_length` must be at l"),
        ({"episode_length": "T"}, TypeError, "`episode_length` must be a who"),
    ],
)
def test_bad_arguments_are_refused(changes, error, message):
    game = game_of(ASYMMETRIC)
    arguments = {
        "game": game,
        "policies": tabular_policies(game),
        "discount": 0.9,
        "episode_length": None,
    }
    with pytest.raises(error, match=message):
        evaluation.exact_match(**arguments | changes)
    with pytest.raises(error, match=message):
        evaluation.visit_frequencies(player_id=0, **arguments | changes)


def test_observations_that_hide_the_state_are_refused():
    game = aliased_game()
    policies = [dice_tf.policies.random(game, i) for i in range(2)]
    with pytest.raises(ValueError, match="must show player 1 its 3 states"):
        evaluation.visit_frequencies(game, policies, 1)
    with pytest.raises(ValueError, match="must show player 0 its 3 states"):
        evaluation.action_probabilities(game, policies[0], 0)
    with pytest.raises(ValueError, match="must show player 0 its 3 states"):
        evaluation.best_response(game, policies, 0)
