"""Best responses, against every deterministic policy and every history."""

import numpy as np
import pytest

import dice_tf
from dice_tf import evaluation
from tests import oracles
from tests.evaluation.memory_one import (
    DILEMMA,
    PAYOFFS,
    certain_tables,
    game_of,
    logits,
    policies_of,
    random_tables,
    returns,
)
from tests.toys import ASYMMETRIC, swap_seats

PRISONERS = dice_tf.games.iterated_prisoners_dilemma(10)


def best_of_all_histories(payoffs, tables, player_id, discount, length):
    """The best expected sum of rewards, over all that could be remembered.

    A tree of the joint actions so far, in full, where the player picks the
    best action at each node.
    """
    num_actions = payoffs.shape[1:]

    def best(history):
        if len(history) == length:
            return 0.0
        previous = history[-1] if history else None
        worth = np.zeros(num_actions[player_id])
        for joint in oracles.joint_actions(num_actions):
            chance = 1.0
            for seat, action in enumerate(joint):
                if seat != player_id:
                    seen = oracles.observation(previous, seat, num_actions)
                    chance *= tables[seat][seen, action]
            now = payoffs[(player_id, *joint)]
            later = discount * best([*history, joint])
            worth[joint[player_id]] += chance * (now + later)
        return worth.max()

    return best([])


@pytest.mark.parametrize("player_id", [0, 1])
@pytest.mark.parametrize(
    "payoffs, seed",
    [(ASYMMETRIC, 0), (DILEMMA, 14), (DILEMMA, 20), (DILEMMA, 46)],
)
def test_no_deterministic_policy_gets_more(payoffs, seed, player_id):
    game, tables = game_of(payoffs), random_tables(payoffs, seed)
    response = evaluation.best_response(
        game,
        policies_of(game, tables),
        player_id,
        discount=0.9,
        episode_length=None,
    )
    found = {}
    for table in certain_tables(5, 2):
        tables[player_id] = table
        value = returns(payoffs, tables, 0.9, None)[player_id]
        found[tuple(np.argmax(table, axis=1))] = value
    assert len(found) == 32
    assert response.value == pytest.approx(max(found.values()), rel=1e-9)
    assert found[tuple(response.actions)] == pytest.approx(response.value)
    assert min(found.values()) < response.value - 0.1


@pytest.mark.parametrize("discount", [0.9, 1.0, 0.0])
@pytest.mark.parametrize("name, player_id, length", [
    ("2", 0, 4), ("2", 1, 4), ("dilemma", 0, 4), ("dilemma", 1, 4),
    ("3", 0, 2), ("3", 1, 2), ("3", 2, 2),
])  # fmt: skip
def test_no_memory_gets_more_in_an_episode(name, player_id, length, discount):
    payoffs = (PAYOFFS | {"dilemma": DILEMMA})[name]
    game, tables = game_of(payoffs, length), random_tables(payoffs, 14)
    response = evaluation.best_response(
        game, policies_of(game, tables), player_id, discount=discount
    )
    expected = best_of_all_histories(
        payoffs, tables, player_id, discount, length
    )
    scale = 1 - discount if discount < 1 else 1 / length
    assert response.value == pytest.approx(scale * expected, rel=1e-9)
    assert response.actions.shape == (length, game.num_states)


@pytest.mark.parametrize("player_id", [0, 1])
def test_the_actions_of_an_episode_get_what_is_promised(player_id):
    game, tables = game_of(DILEMMA, 6), random_tables(DILEMMA, 14)
    response = evaluation.best_response(
        game, policies_of(game, tables), player_id, discount=0.9
    )
    assert len(np.unique(response.actions, axis=0)) > 2
    chances, value = np.array([0, 0, 0, 0, 1.0]), 0.0
    for step, actions in enumerate(response.actions):
        tables[player_id] = np.eye(2)[actions]
        joint = chances @ oracles.joint_policy(logits(tables), (2, 2))
        value += 0.9**step * joint @ DILEMMA[player_id].ravel()
        chances = np.append(joint, 0.0)
    assert 0.1 * value == pytest.approx(response.value, rel=1e-9)


@pytest.mark.parametrize("player_id", [0, 1, 2])
def test_a_long_episode_is_nearly_an_infinite_one(player_id):
    payoffs = PAYOFFS["3"]
    game = game_of(payoffs)
    policies = policies_of(game, random_tables(payoffs, 7))
    endless, long = (
        evaluation.best_response(
            game, policies, player_id, discount=0.8, episode_length=length
        )
        for length in (None, 150)
    )
    assert endless.value == pytest.approx(long.value, rel=1e-9)
    np.testing.assert_array_equal(endless.actions, long.actions[0])
    # As a policy, it gets what is promised.
    policies[player_id] = dice_tf.policies.fixed_policy(
        game, player_id, np.eye(game.num_actions[player_id])[endless.actions]
    )
    match = evaluation.exact_match(
        game, policies, discount=0.8, episode_length=None
    )
    assert match.mean[player_id] == pytest.approx(endless.value, rel=1e-9)


@pytest.mark.parametrize("player_id", [0, 1])
@pytest.mark.parametrize(
    "opponent, value",
    [
        ("always_cooperate", 0.0),
        ("always_defect", -2.0),
        ("tit_for_tat", -1.0),
        ("grim_trigger", -1.0),
        # To defect and be forgiven: 0 and -2 by turns.
        ("win_stay_lose_shift", -2 * 0.96 / 1.96),
        ("random", -1.0),
    ],
)
def test_values_against_the_classical_strategies(opponent, value, player_id):
    policies = [None, None]
    other = 1 - player_id
    policies[other] = getattr(dice_tf.policies, opponent)(PRISONERS, other)
    response = evaluation.best_response(
        PRISONERS, policies, player_id, discount=0.96, episode_length=None
    )
    assert response.value == pytest.approx(value, abs=1e-12)


def test_a_short_sighted_player_defects_against_tit_for_tat():
    policies = [None, dice_tf.policies.tit_for_tat(PRISONERS, 1)]
    for discount, action in [(0.4, 1), (0.6, 0)]:
        response = evaluation.best_response(
            PRISONERS, policies, 0, discount=discount, episode_length=None
        )
        assert response.actions[-1] == action


def test_of_equally_good_actions_the_first_is_taken():
    game = game_of(np.ones((2, 3, 3)), 4)
    policies = [None, dice_tf.policies.random(game, 1)]
    for length in (None, 4):
        response = evaluation.best_response(
            game, policies, 0, discount=0.9, episode_length=length
        )
        assert not np.any(response.actions)


def test_swapping_the_seats_swaps_the_responses():
    tables = random_tables(DILEMMA, 14)
    game = game_of(DILEMMA)
    swapped = game_of(swap_seats(DILEMMA, (1, 0)))
    for seat in (0, 1):
        here = evaluation.best_response(
            game,
            policies_of(game, tables),
            seat,
            discount=0.9,
            episode_length=None,
        )
        there = evaluation.best_response(
            swapped,
            policies_of(swapped, tables[::-1]),
            1 - seat,
            discount=0.9,
            episode_length=None,
        )
        assert here.value == pytest.approx(there.value)
        np.testing.assert_array_equal(here.actions, there.actions)


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"player_id": 2}, ValueError, "`player_id` must be below the number"),
        ({"policies": [None]}, ValueError, "`policies` must have one entry"),
        ({"policies": [1, None]}, TypeError, r"`policies\[1\]` must be a ker"),
        ({"discount": 1.0}, ValueError, "`discount` must be below 1 with an"),
        ({"game": None}, TypeError, "`game` must be a dice_tf.games.FiniteG"),
    ],
)
def test_bad_arguments_are_refused(changes, error, message):
    arguments = {
        "game": PRISONERS,
        "policies": [None, dice_tf.policies.random(PRISONERS, 1)],
        "player_id": 0,
        "discount": 0.9,
        "episode_length": None,
    }
    with pytest.raises(error, match=message):
        evaluation.best_response(**arguments | changes)
