"""Matches: what is measured is what was played, and what is expected."""

import numpy as np
import pytest

import dice_tf
from dice_tf import evaluation
from dice_tf.evaluation.matches import compiled_play
from tests.evaluation.memory_one import (
    PAYOFFS,
    game_of,
    policies_of,
    random_tables,
    returns,
)
from tests.toys import (
    ASYMMETRIC,
    EndsEarly,
    Plain,
    Pursuit,
    normal_policy,
    tabular_policies,
)

# Standard errors: one in 150,000 means is further off.
FAR = 4.5
PRISONERS = dice_tf.games.iterated_prisoners_dilemma(6)


def random_policies(name="2", seed=1, length=5):
    payoffs = PAYOFFS[name]
    game = game_of(payoffs, length)
    tables = random_tables(payoffs, seed)
    return game, tables, policies_of(game, tables)


def weighted_sums(rewards, discounts):
    """Sums `[B]` of rewards `[T, B]`, each worth the discounts before it."""
    total, worth = 0.0, np.ones(rewards.shape[1])
    for reward, discount in zip(rewards, discounts, strict=True):
        total = total + worth * reward
        worth = worth * discount
    return total


@pytest.mark.parametrize("discount", [0.9, 1.0])
@pytest.mark.parametrize("name", PAYOFFS)
def test_means_are_within_their_standard_errors_of_the_truth(name, discount):
    game, tables, policies = random_policies(name)
    match = evaluation.play_match(
        game, policies, batch_size=2000, seed=(3, 4), discount=discount
    )
    expected = returns(PAYOFFS[name], tables, discount, 5)
    assert np.all(match.standard_error > 0)
    assert np.all(match.standard_error < 0.1)
    errors = np.abs(match.mean - expected) / match.standard_error
    assert np.max(errors) < FAR


@pytest.mark.parametrize("discount, scale", [(0.9, 0.1), (1.0, 1 / 5)])
@pytest.mark.parametrize("name", PAYOFFS)
def test_returns_are_those_of_the_actions(name, discount, scale):
    game, _, policies = random_policies(name)
    match = evaluation.play_match(
        game, policies, batch_size=30, seed=(5, 6), discount=discount
    )
    for player_id, payoffs in enumerate(PAYOFFS[name]):
        sums = weighted_sums(payoffs[match.actions], [discount] * 5)
        np.testing.assert_allclose(
            match.returns[:, player_id], scale * sums, rtol=1e-12
        )
    np.testing.assert_allclose(match.mean, match.returns.mean(axis=0))
    np.testing.assert_allclose(
        match.standard_error, match.returns.std(axis=0, ddof=1) / np.sqrt(30)
    )


def test_rates_are_shares_of_the_actions_played():
    game, _, policies = random_policies("3")
    match = evaluation.play_match(game, policies, batch_size=40, seed=(7, 8))
    for rates, actions, count in zip(
        match.action_rates, match.actions, game.num_actions, strict=True
    ):
        assert actions.shape == (5, 40) and actions.dtype == np.int32
        np.testing.assert_allclose(
            rates, [(actions == action).mean() for action in range(count)]
        )
    np.testing.assert_array_equal(
        match.cooperation_rates, [rates[0] for rates in match.action_rates]
    )


@pytest.mark.parametrize("seat", [0, 1])
def test_a_match_of_certain_policies_has_its_closed_form(seat):
    policies = [dice_tf.policies.always_defect(PRISONERS, i) for i in range(2)]
    policies[seat] = dice_tf.policies.tit_for_tat(PRISONERS, seat)
    match = evaluation.play_match(
        PRISONERS, policies, batch_size=3, seed=(0, 1), discount=0.5
    )
    later = -2.0 * (1 - 0.5**5) * 0.5
    assert match.mean[seat] == pytest.approx(0.5 * -3 + later)
    assert match.mean[1 - seat] == pytest.approx(later)
    np.testing.assert_allclose(match.standard_error, 0.0, atol=1e-15)
    assert match.cooperation_rates[seat] == pytest.approx(1 / 6)
    assert match.cooperation_rates[1 - seat] == 0.0


def test_what_follows_the_end_of_an_episode_does_not_count():
    finite, _, policies = random_policies(length=8)
    match = evaluation.play_match(
        EndsEarly(finite), policies, batch_size=50, seed=(1, 2), discount=0.9
    )
    over = np.all(np.stack(match.actions) == 1, axis=0)
    running = np.ones_like(over)
    running[1:] = ~np.logical_or.accumulate(over, axis=0)[:-1]
    assert 0.2 < running.mean() < 0.8
    for player_id, payoffs in enumerate(ASYMMETRIC):
        sums = weighted_sums(payoffs[match.actions], 0.9 * ~over)
        np.testing.assert_allclose(
            match.returns[:, player_id], 0.1 * sums, rtol=1e-12
        )
        rate = (match.actions[player_id][running] == 0).mean()
        assert match.cooperation_rates[player_id] == pytest.approx(rate)


def test_any_other_game_is_played_by_the_policies_themselves():
    finite, tables, policies = random_policies(length=4)
    match = evaluation.play_match(
        Plain(finite), policies, batch_size=2000, seed=(9, 9), discount=0.9
    )
    expected = returns(ASYMMETRIC, tables, 0.9, 4)
    assert np.max(np.abs(match.mean - expected) / match.standard_error) < FAR


def test_actions_that_are_no_finite_set_have_no_rates():
    policies = [normal_policy(0), normal_policy(1)]
    match = evaluation.play_match(
        Pursuit(3), policies, batch_size=7, seed=(1, 1)
    )
    assert match.action_rates == (None, None)
    assert np.all(np.isnan(match.cooperation_rates))
    assert match.actions[0].shape == (3, 7)
    assert np.all(match.mean * [-1, 1] > 0)


def test_the_seed_decides_the_play():
    game, _, policies = random_policies()
    first, again, other = (
        evaluation.play_match(game, policies, batch_size=20, seed=seed).returns
        for seed in [(1, 2), np.array([1, 2]), (1, 3)]
    )
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_a_finite_game_is_compiled_once_for_all_policies():
    game, _, policies = random_policies()
    compiled_play.cache_clear()
    for seed, discount in [((0, 1), 0.9), ([5, 6], 0.5)]:
        for line_up in (policies, tabular_policies(game)):
            evaluation.play_match(
                game, line_up, batch_size=8, seed=seed, discount=discount
            )
    assert compiled_play.cache_info().misses == 1
    play = compiled_play(game, None, 8)
    assert play.experimental_get_tracing_count() == 1


def test_any_other_game_is_compiled_once_for_its_policies():
    game = Plain(random_policies()[0])
    policies = tabular_policies(game)
    matches = []
    for seed in [(0, 1), (0, 2), (0, 1)]:
        matches.append(
            evaluation.play_match(
                game, policies, batch_size=8, seed=seed, discount=0.9
            )
        )
    policies[0].set_weights([np.full((5, 1), -100.0)])
    matches.append(
        evaluation.play_match(
            game, policies, batch_size=8, seed=(0, 1), discount=0.9
        )
    )
    play = compiled_play(game, tuple(policies), 8)
    assert play.experimental_get_tracing_count() == 1
    np.testing.assert_array_equal(matches[0].returns, matches[2].returns)
    assert 0 < matches[0].cooperation_rates[0] < 1
    assert matches[3].cooperation_rates[0] == 0.0


def test_one_episode_has_no_standard_error():
    match = evaluation.play_match(
        *random_policies()[::2], batch_size=1, seed=(0, 0)
    )
    assert np.all(np.isnan(match.standard_error))
    assert np.all(np.isfinite(match.mean))


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"game": 3}, TypeError, "`game` must be a dice_tf.games.Game"),
        ({"policies": []}, ValueError, "`policies` must have one entry for"),
        ({"policies": [1, 2]}, TypeError, r"`policies\[0\]` must be a keras"),
        ({"batch_size": 0}, ValueError, "`batch_size` must be at least 1"),
        ({"batch_size": 2.0}, TypeError, "`batch_size` must be a whole numb"),
        ({"seed": (1, 2, 3)}, ValueError, "`seed` must be an int32 tensor"),
        ({"discount": 1.5}, ValueError, "`discount` must be finite and in"),
    ],
)
def test_bad_arguments_are_refused(changes, error, message):
    game, _, policies = random_policies()
    arguments = {
        "game": game,
        "policies": policies,
        "batch_size": 4,
        "seed": (0, 1),
    }
    with pytest.raises(error, match=message):
        evaluation.play_match(**arguments | changes)
