"""Cross-play: every cell is a match of its own."""

import numpy as np
import pytest

import dice_tf
from dice_tf import evaluation
from tests.evaluation.memory_one import game_of, policies_of, random_tables
from tests.toys import (
    ASYMMETRIC,
    THREE_PLAYERS,
    Plain,
    Pursuit,
    normal_policy,
)

GAME = game_of(ASYMMETRIC, 4)
RUNS = [policies_of(GAME, random_tables(ASYMMETRIC, seed)) for seed in range(3)]
ROWS = {"ann": [RUNS[0][0], RUNS[1][0]], "bob": [RUNS[2][0]]}
COLUMNS = {"ann": [RUNS[0][1], RUNS[1][1]], "cat": [RUNS[2][1]]}
LABELS = (("ann", 0), ("ann", 1), ("bob", 0))


@pytest.mark.parametrize("length", [4, None])
def test_cells_are_exact_matches(length):
    result = evaluation.cross_play(
        GAME, ROWS, COLUMNS, discount=0.9, episode_length=length
    )
    assert result.row_labels == LABELS
    assert result.column_labels == (*LABELS[:2], ("cat", 0))
    for r, (row, _) in enumerate(RUNS):
        for c, (_, column) in enumerate(RUNS):
            match = evaluation.exact_match(
                GAME, [row, column], discount=0.9, episode_length=length
            )
            np.testing.assert_allclose(result.payoffs[:, r, c], match.mean)
            np.testing.assert_allclose(
                result.cooperation_rates[:, r, c], match.cooperation_rates
            )
    np.testing.assert_array_equal(result.standard_errors, 0.0)
    assert len(np.unique(result.payoffs.round(9))) == 18


@pytest.mark.parametrize(
    "game, rows, columns",
    [
        (GAME, ROWS, COLUMNS),
        (Plain(GAME), {"bob": ROWS["bob"]}, {"ann": COLUMNS["ann"]}),
    ],
)
def test_sampled_cells_are_near_the_exact_ones(game, rows, columns):
    exact = evaluation.cross_play(GAME, rows, columns)
    sampled = evaluation.cross_play(
        game, rows, columns, batch_size=1500, seed=(2, 3)
    )
    assert np.all(sampled.standard_errors > 0)
    errors = np.abs(sampled.payoffs - exact.payoffs) / sampled.standard_errors
    assert errors.max() < 4.5
    rates = sampled.cooperation_rates - exact.cooperation_rates
    # Of 1500 episodes of 4 steps, dependent within an episode at most.
    assert np.abs(rates).max() < 4.5 * 0.5 / np.sqrt(1500)


def test_every_pair_has_its_own_seed():
    same = {"ann": [RUNS[0][0]] * 2}, {"ann": [RUNS[0][1]] * 2}
    first, again, other = (
        evaluation.cross_play(GAME, *same, batch_size=50, seed=seed)
        for seed in [(0, 1), (0, 1), (1, 1)]
    )
    np.testing.assert_array_equal(first.payoffs, again.payoffs)
    assert len(np.unique(first.payoffs[0])) == 4
    assert np.all(first.payoffs != other.payoffs)


def test_other_games_are_sampled_by_default():
    result = evaluation.cross_play(
        Pursuit(), {"a": [normal_policy(0)]}, {"b": [normal_policy(1)]}
    )
    assert np.all(result.standard_errors > 0)
    assert np.all(np.isnan(result.cooperation_rates))


def test_group_means_are_means_over_pairs_of_runs():
    result = evaluation.cross_play(GAME, ROWS, COLUMNS)
    payoffs = result.payoffs
    means = result.group_means()
    np.testing.assert_allclose(means[:, 0, 0], payoffs[:, :2, :2].mean((1, 2)))
    np.testing.assert_allclose(means[:, 0, 1], payoffs[:, :2, 2].mean(1))
    np.testing.assert_allclose(means[:, 1, 1], payoffs[:, 2, 2])
    apart = result.group_means(without_partners=True)
    across = (payoffs[:, 0, 1] + payoffs[:, 1, 0]) / 2
    np.testing.assert_allclose(apart[:, 0, 0], across)
    np.testing.assert_allclose(apart[:, 1], means[:, 1])
    alone = evaluation.cross_play(GAME, {"a": RUNS[0][:1]}, {"a": RUNS[0][1:]})
    assert np.all(np.isnan(alone.group_means(without_partners=True)))


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"game": 0}, TypeError, "`game` must be a dice_tf.games.Game. Rec"),
        ({"rows": RUNS[0]}, TypeError, "`rows` must be a mapping from names"),
        ({"columns": {"a": 1}}, TypeError, "`columns` must be a mapping fro"),
        ({"rows": {"a": []}}, ValueError, "`rows` must hold a policy. Recei"),
        (
            {"columns": {"a": [3]}},
            TypeError,
            r"`columns\['a'\]\[0\]` must be a",
        ),
        ({"batch_size": 0}, ValueError, "`batch_size` must be at least 1. R"),
        (
            {"batch_size": 4, "episode_length": None},
            ValueError,
            r"`episode_length` can only be that of the game \(4\) where",
        ),
        ({"discount": 2}, ValueError, "`discount` must be finite and in"),
    ],
)
def test_bad_arguments_are_refused(changes, error, message):
    arguments = {"game": GAME, "rows": ROWS, "columns": COLUMNS}
    with pytest.raises(error, match=message):
        evaluation.cross_play(**arguments | changes)


def test_rows_and_columns_are_two_players():
    game = dice_tf.games.iterated_matrix_game(THREE_PLAYERS, 2)
    with pytest.raises(ValueError, match="must have two players.*num_players"):
        evaluation.cross_play(game, ROWS, COLUMNS)
