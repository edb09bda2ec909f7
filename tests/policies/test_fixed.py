"""Fixed policies: what they do, in play against a random player."""

import numpy as np
import pytest

import dice_tf
from dice_tf import policies
from dice_tf.play.actors import Actor
from dice_tf.play.rollouts import sample_trajectory
from tests.toys import ASYMMETRIC, THREE_PLAYERS, Pursuit

PRISONERS = dice_tf.games.iterated_prisoners_dilemma(12)
THREE = dice_tf.games.iterated_matrix_game(THREE_PLAYERS, 4)


def tit_for_tat(mine, others):
    return others[-1]


def grim_trigger(mine, others):
    return max([*mine, *others])


def win_stay_lose_shift(mine, others):
    return mine[-1] if others[-1] == 0 else 1 - mine[-1]


def always_cooperate(mine, others):
    return 0


STRATEGIES = [always_cooperate, tit_for_tat, grim_trigger, win_stay_lose_shift]


@pytest.mark.parametrize("seat", [0, 1])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_strategies_cooperate_first_and_then_follow_their_rule(strategy, seat):
    models = [policies.random(PRISONERS, 0), policies.random(PRISONERS, 1)]
    models[seat] = getattr(policies, strategy.__name__)(PRISONERS, seat)
    actors = [Actor(PRISONERS, model, i) for i, model in enumerate(models)]
    trajectory = sample_trajectory(
        PRISONERS,
        actors,
        [a.model.weights() for a in actors],
        batch_size=64,
        seed=[1, seat],
    )
    actions = np.stack(trajectory.actions)
    mine, others = actions[seat], actions[1 - seat]
    assert not mine[0].any() and others[0].any()
    for t in range(1, 12):
        for b in range(64):
            assert mine[t, b] == strategy(mine[:t, b], others[:t, b])


@pytest.mark.parametrize("player_id", [0, 1, 2])
@pytest.mark.parametrize("action", [0, 1])
def test_constant_policies_sit_anywhere(player_id, action):
    name = ("always_cooperate", "always_defect")[action]
    policy = getattr(policies, name)(THREE, player_id)
    actor = Actor(THREE, policy, player_id)
    table = np.exp(actor.log_prob_table(actor.model.weights()))
    expected = np.eye(THREE.num_actions[player_id])[[action] * 13]
    np.testing.assert_allclose(table, expected, rtol=0, atol=1e-40)


@pytest.mark.parametrize("player_id", [0, 1])
def test_the_random_policy_gives_every_action_the_same_chance(player_id):
    actor = Actor(THREE, policies.random(THREE, player_id), player_id)
    table = np.exp(actor.log_prob_table(actor.model.weights()))
    np.testing.assert_allclose(table, 1 / THREE.num_actions[player_id])


def test_a_policy_of_any_probabilities_has_them():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), size=13)
    policy = policies.fixed_policy(THREE, 1, probabilities, name="ann")
    actor = Actor(THREE, policy, 1)
    seen = np.exp(actor.log_prob_table(actor.model.weights()))
    np.testing.assert_allclose(
        seen, THREE.observations[1] @ probabilities, rtol=1e-5
    )
    assert policy.name == "ann"


@pytest.mark.parametrize("name", policies.fixed.FIXED_POLICIES)
def test_fixed_policies_have_nothing_to_train(name):
    policy = getattr(policies, name)(PRISONERS, 0)
    assert policy.name == name and policy.trainable_variables == []


def test_log_probabilities_of_certain_policies_are_finite():
    policy = policies.always_defect(PRISONERS, 0)
    actor = Actor(PRISONERS, policy, 0)
    assert np.all(np.isfinite(actor.log_prob_table(actor.model.weights())))


@pytest.mark.parametrize(
    "probabilities, message",
    [
        (np.ones((13, 2)) / 2, r"`probabilities` must have shape \(13, 3\)"),
        (np.ones((13, 3)), "`probabilities` must not be negative and sum to"),
        (np.tile([1.5, -0.5, 0.0], (13, 1)), "must not be negative and sum"),
    ],
)
def test_probabilities_that_do_not_fit_are_refused(probabilities, message):
    with pytest.raises(ValueError, match=message):
        policies.fixed_policy(THREE, 1, probabilities)


def test_defecting_needs_a_second_action():
    game = dice_tf.games.iterated_matrix_game(np.zeros((2, 1, 2)), 2)
    with pytest.raises(ValueError, match="takes action 1, but player 0 has 1"):
        policies.always_defect(game, 0)


@pytest.mark.parametrize("name", ["always_cooperate", "random"])
def test_a_fixed_policy_needs_finitely_many_actions(name):
    with pytest.raises(ValueError, match="A fixed policy needs one-hot obser"):
        getattr(policies, name)(Pursuit(), 0)


@pytest.mark.parametrize(
    "name", ["tit_for_tat", "grim_trigger", "win_stay_lose_shift"]
)
def test_strategies_need_two_players_with_two_actions(name):
    with pytest.raises(ValueError, match=f"{name} needs an iterated game of"):
        getattr(policies, name)(THREE, 0)


@pytest.mark.parametrize("name", policies.fixed.FIXED_POLICIES)
def test_a_seat_that_does_not_exist_is_refused(name):
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 2)
    with pytest.raises(ValueError, match="`player_id` must be below the numb"):
        getattr(policies, name)(game, 2)
