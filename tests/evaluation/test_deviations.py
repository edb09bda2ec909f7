"""Gains by leaving a policy, and the distance to an equilibrium."""

import numpy as np
import pytest

import dice_tf
from dice_tf import evaluation
from tests.evaluation.memory_one import (
    PAYOFFS,
    game_of,
    policies_of,
    random_tables,
    returns,
)
from tests.toys import ASYMMETRIC, swap_seats

PRISONERS = dice_tf.games.iterated_prisoners_dilemma(10)


def named(*names):
    return [
        getattr(dice_tf.policies, name)(PRISONERS, player_id)
        for player_id, name in enumerate(names)
    ]


@pytest.mark.parametrize("length", [4, None])
@pytest.mark.parametrize("name", PAYOFFS)
def test_gains_are_best_responses_less_values(name, length):
    payoffs = PAYOFFS[name]
    game, tables = game_of(payoffs, 4), random_tables(payoffs, 1)
    policies = policies_of(game, tables)
    found = evaluation.exploitability(
        game, policies, discount=0.9, episode_length=length
    )
    np.testing.assert_allclose(
        found.values, returns(payoffs, tables, 0.9, length), rtol=1e-9
    )
    for player_id in range(len(payoffs)):
        response = evaluation.best_response(
            game, policies, player_id, discount=0.9, episode_length=length
        )
        gain = response.value - found.values[player_id]
        assert found.gains[player_id] == pytest.approx(gain) and gain > 0.01
        assert found.best_response_values[player_id] == response.value
    assert found.nash_conv == pytest.approx(found.gains.sum())


@pytest.mark.parametrize(
    "names",
    [
        ("always_defect", "always_defect"),
        ("grim_trigger", "grim_trigger"),
        ("tit_for_tat", "grim_trigger"),
        ("always_cooperate", "tit_for_tat"),
    ],
)
def test_only_equilibria_leave_nothing_to_gain(names):
    found = evaluation.exploitability(
        PRISONERS, named(*names), discount=0.96, episode_length=None
    )
    # Who always cooperates can be exploited, if by the other alone.
    expected = [0.0, 1.0 if "always_cooperate" in names else 0.0]
    np.testing.assert_allclose(found.gains, expected, atol=1e-12)


def test_a_fair_coin_is_an_equilibrium_of_matching_pennies():
    game = dice_tf.games.iterated_matching_pennies(10)
    policies = [dice_tf.policies.random(game, i) for i in range(2)]
    for length in (None, 10):
        found = evaluation.exploitability(
            game, policies, discount=0.96, episode_length=length
        )
        assert found.nash_conv == pytest.approx(0.0, abs=1e-12)


def test_in_an_episode_the_last_round_tempts():
    found = evaluation.exploitability(PRISONERS, named(*["grim_trigger"] * 2))
    # To defect in the tenth round gains 1, discounted nine times.
    np.testing.assert_allclose(found.gains, 0.04 * 0.96**9)


def test_swapping_the_seats_swaps_the_gains():
    tables = random_tables(ASYMMETRIC, 2)
    game = game_of(ASYMMETRIC)
    swapped = game_of(swap_seats(ASYMMETRIC, (1, 0)))
    here = evaluation.exploitability(game, policies_of(game, tables))
    there = evaluation.exploitability(
        swapped, policies_of(swapped, tables[::-1])
    )
    assert here.gains[0] != pytest.approx(here.gains[1])
    np.testing.assert_allclose(here.gains, there.gains[::-1])


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"game": 1}, TypeError, "`game` must be a dice_tf.games.FiniteGame"),
        ({"policies": None}, TypeError, "`policies` must be a list with one"),
        ({"discount": 1.0}, ValueError, "`discount` must be below 1 with an"),
    ],
)
def test_bad_arguments_are_refused(changes, error, message):
    arguments = {
        "game": PRISONERS,
        "policies": named("random", "random"),
        "episode_length": None,
    }
    with pytest.raises(error, match=message):
        evaluation.exploitability(**arguments | changes)
