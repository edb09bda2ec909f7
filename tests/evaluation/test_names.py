"""Names of strategies: classical ones, shares, and none."""

import numpy as np
import pytest

import dice_tf
from dice_tf import evaluation, policies
from tests.evaluation.memory_one import game_of
from tests.toys import THREE_PLAYERS

CLASSICAL = (
    "tit_for_tat",
    "grim_trigger",
    "win_stay_lose_shift",
    "always_cooperate",
    "always_defect",
    "random",
)
DILEMMA = game_of([[[3.0, 0], [5, 1]], [[3, 5], [0, 1]]])


def policy_of(game, player_id, cooperation):
    table = np.stack([cooperation, 1 - np.asarray(cooperation)], axis=1)
    return policies.fixed_policy(game, player_id, table)


@pytest.mark.parametrize("player_id", [0, 1])
@pytest.mark.parametrize("name", CLASSICAL)
def test_classical_strategies_keep_their_names(name, player_id):
    game = dice_tf.games.iterated_prisoners_dilemma()
    policy = getattr(policies, name)(game, player_id)
    found = evaluation.name_policy(game, policy, player_id)
    assert found.name == found.nearest == name
    assert found.distance == pytest.approx(0.0, abs=1e-6)
    assert found.also == ()
    # Nearly the same strategy, in the other seat, is still called so.
    table = evaluation.action_probabilities(game, policy, player_id)
    noisy = np.abs(table[:, 0] - [0.1, 0.05, 0.15, 0.1, 0.2])
    policy = policy_of(DILEMMA, player_id, noisy)
    assert evaluation.name_policy(DILEMMA, policy, player_id).name == name


def test_distances_are_root_mean_squares():
    cooperation = np.array([0.9, 0.2, 0.6, 0.3, 0.7])
    weights = np.array([5.0, 0, 1, 2, 2])
    found = evaluation.strategy_distances(cooperation, weights=weights)
    expected = (5 * 0.01 + 0.16 + 2 * 0.09 + 2 * 0.09) / 10
    assert found["tit_for_tat"] == pytest.approx(np.sqrt(expected))
    expected = (5 * 0.16 + 0.01 + 2 * 0.04 + 2 * 0.04) / 10
    assert found["random"] == pytest.approx(np.sqrt(expected))
    assert set(found) == set(CLASSICAL)
    assert list(found.values()) == sorted(found.values())


def test_classical_strategies_are_as_far_apart_as_the_docstring_says():
    distances = [
        distance
        for name in CLASSICAL
        for other, distance in evaluation.strategy_distances(
            evaluation.action_probabilities(
                DILEMMA, getattr(policies, name)(DILEMMA, 0), 0
            )[:, 0]
        ).items()
        if other != name
    ]
    assert min(distances) == pytest.approx(np.sqrt(0.2))


def test_what_is_never_visited_need_not_count():
    # After CD and DC, which do not happen in self-play, it is like nothing.
    cooperation = [1.0, 0.9, 0.1, 0.0, 1.0]
    policy = policy_of(DILEMMA, 0, cooperation)
    assert evaluation.name_policy(DILEMMA, policy, 0).name == "unnamed"
    visits = evaluation.visit_frequencies(DILEMMA, [policy, policy], 0)
    found = evaluation.name_policy(DILEMMA, policy, 0, weights=visits)
    # Play shows no more than that it cooperates. Of what does, over all
    # states, it is nearest to the one that differs in CD alone.
    assert found.name == found.nearest == "grim_trigger"
    assert found.distance == pytest.approx(0.0, abs=1e-9)
    assert set(found.also) == {
        "tit_for_tat",
        "always_cooperate",
        "win_stay_lose_shift",
    }


@pytest.mark.parametrize("player_id", [0, 1])
@pytest.mark.parametrize(
    "name, field, baseline, phi, chi",
    [
        ("zero_determinant_extortion", "extortion", 1, 1 / 26, 3.0),
        ("zero_determinant_generous", "generosity", 3, 1 / 14, 1.8),
    ],
)
def test_unequal_shares_have_names(name, field, baseline, phi, chi, player_id):
    own_payoffs, other = np.array([3.0, 0, 5, 1]), np.array([3.0, 5, 0, 1])
    target = phi * ((own_payoffs - baseline) - chi * (other - baseline))
    policy = policy_of(DILEMMA, player_id, [*(target + [1, 1, 0, 0]), 0.4])
    found = evaluation.name_policy(DILEMMA, policy, player_id)
    assert found.name == name and found.also == ()
    fit = getattr(found, field)
    assert (fit.phi, fit.chi) == pytest.approx((phi, chi))
    assert fit.distance == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("player_id", [0, 1])
def test_shares_are_of_each_players_own_payoffs(player_id):
    payoffs = np.array([[[3.0, 0], [5, 1]], [[3, 5], [0, 1]]])
    payoffs[1 - player_id] = 2.0 * payoffs[1 - player_id] - 0.5
    game = game_of(payoffs)
    policy = policy_of(game, player_id, [11 / 13, 1 / 2, 7 / 26, 0, 0])
    found = evaluation.name_policy(game, policy, player_id)
    assert found.name == "zero_determinant_extortion"
    # In doubled units of the other the same share is half the factor.
    assert found.extortion.chi == pytest.approx(1.5)


def test_a_share_that_is_only_near_is_named_within_the_tolerance():
    cooperation = np.array([11 / 13, 1 / 2, 7 / 26, 0.01, 0])
    policy = policy_of(DILEMMA, 0, cooperation)
    names = [
        evaluation.name_policy(
            DILEMMA, policy, 0, zero_determinant_tolerance=tolerance
        ).name
        for tolerance in (0.001, 0.01)
    ]
    assert names == ["unnamed", "zero_determinant_extortion"]


def test_a_fair_or_spiteful_share_is_not_extortion():
    # chi = 1 is fair; phi below 0 rewards the other for defecting.
    for cooperation in ([1.0, 0.7, 0.3, 0.0, 0.5], [0.2, 0.9, 0.6, 0.6, 0.5]):
        policy = policy_of(DILEMMA, 0, cooperation)
        found = evaluation.name_policy(DILEMMA, policy, 0, tolerance=0.1)
        assert found.name == "unnamed"


def test_without_a_better_cooperation_there_are_no_shares():
    game = dice_tf.games.iterated_matching_pennies()
    found = evaluation.name_policy(game, policies.random(game, 0), 0)
    assert found.extortion is None and found.generosity is None
    policy = policy_of(game, 0, [0.0, 1, 0, 1, 0])
    assert evaluation.name_policy(game, policy, 0).name == "unnamed"


def test_a_discount_makes_another_condition():
    discount = 0.9
    target = 0.1 * (np.array([2, -1, 4, 0]) - 1.7 * np.array([2, 4, -1, 0]))
    cooperation = [*((target + [1, 1, 0, 0]) / discount), 0.0]
    policy = policy_of(DILEMMA, 0, cooperation)
    right, wrong = (
        evaluation.name_policy(DILEMMA, policy, 0, discount=given).extortion
        for given in (discount, 1.0)
    )
    assert right.distance == pytest.approx(0.0, abs=1e-9)
    assert right.chi == pytest.approx(1.7)
    assert wrong.distance > 0.01


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"game": 1}, TypeError, "`game` must be a dice_tf.games.FiniteGame"),
        ({"policy": 1}, TypeError, r"`policies\[0\]` must be a keras.Model"),
        ({"player_id": 2}, ValueError, "`player_id` must be below the numb"),
        ({"tolerance": 2}, ValueError, "`tolerance` must be finite and in"),
        (
            {"zero_determinant_tolerance": "a"},
            TypeError,
            "`zero_determinant_tolerance` must be a number",
        ),
        ({"weights": [1, 2]}, ValueError, "`weights` must be five numbers"),
        ({"weights": [0] * 5}, ValueError, "`weights` must be five numbers"),
        ({"weights": [-1, 1, 1, 1, 1]}, ValueError, "`weights` must be five"),
        ({"discount": 3}, ValueError, "`discount` must be finite and in"),
    ],
)
def test_bad_arguments_are_refused(changes, error, message):
    arguments = {
        "game": DILEMMA,
        "policy": policies.tit_for_tat(DILEMMA, 0),
        "player_id": 0,
    }
    with pytest.raises(error, match=message):
        evaluation.name_policy(**arguments | changes)


@pytest.mark.parametrize(
    "game",
    [
        game_of(THREE_PLAYERS),
        game_of(np.zeros((2, 2, 3))),
        dice_tf.games.FiniteGame(
            np.random.default_rng(0).normal(size=(2, 5, 2, 2)),
            np.full((5, 2, 2, 5), 0.2),
            np.full(5, 0.2),
            episode_length=3,
        ),
    ],
)
def test_games_of_another_kind_are_refused(game):
    policy = policies.random(game, 0)
    with pytest.raises(ValueError, match="`game` must be an iterated matrix"):
        evaluation.name_policy(game, policy, 0)
