"""Tournaments: scores by hand, tables and CSV."""

import csv

import numpy as np
import pytest

import dice_tf
from dice_tf import evaluation, policies
from tests.evaluation.memory_one import game_of, policies_of, random_tables
from tests.toys import ASYMMETRIC, THREE_PLAYERS, Pursuit, normal_policy

GAME = game_of(ASYMMETRIC, 4)
ENTRANTS = {
    name: policies_of(GAME, random_tables(ASYMMETRIC, seed))
    for seed, name in enumerate(["ann", "bob", "cat"])
}
PRISONERS = dice_tf.games.iterated_prisoners_dilemma(10)


def returns_of(first, second):
    line_up = [ENTRANTS[first][0], ENTRANTS[second][1]]
    return evaluation.exact_match(GAME, line_up, discount=0.9).mean


@pytest.mark.parametrize("with_itself", [True, False])
def test_scores_are_means_over_opponents_and_seats(with_itself):
    result = evaluation.tournament(
        GAME, ENTRANTS, discount=0.9, with_itself=with_itself
    )
    assert result.names == ("ann", "bob", "cat")
    scores = {}
    for i, one in enumerate(result.names):
        pairs = []
        for j, other in enumerate(result.names):
            here, there = returns_of(one, other)[0], returns_of(other, one)[1]
            if with_itself or i != j:
                pairs.append((here + there) / 2)
                assert result.pair_scores[i, j] == pytest.approx(pairs[-1])
            else:
                assert np.isnan(result.pair_scores[i, j])
        scores[one] = np.mean(pairs)
        assert result.scores[i] == pytest.approx(scores[one])
    assert list(result.ranking) == sorted(scores, key=scores.get)[::-1]
    assert result.ranking != result.names
    np.testing.assert_array_equal(result.standard_errors, 0.0)


def test_cooperation_is_averaged_like_scores():
    result = evaluation.tournament(PRISONERS, {
        "kind": policies.always_cooperate,
        "grim": policies.grim_trigger,
        "mean": policies.always_defect,
    })  # fmt: skip
    np.testing.assert_allclose(
        result.cooperation_rates, [1.0, (1 + 1 + 0.1) / 3, 0.0], atol=1e-30
    )


def test_an_entrant_is_a_model_or_one_per_seat_or_a_builder():
    entrants = (
        policies.tit_for_tat,
        policies.tit_for_tat(PRISONERS, 0),
        [policies.tit_for_tat(PRISONERS, i) for i in range(2)],
    )
    results = [
        evaluation.tournament(PRISONERS, {"a": entrant, "b": policies.random})
        for entrant in entrants
    ]
    for result in results[1:]:
        np.testing.assert_array_equal(
            result.pair_scores, results[0].pair_scores
        )


def test_the_given_order_decides_a_draw():
    names = ["win_stay_lose_shift", "tit_for_tat", "grim_trigger"]
    for order in (names, names[::-1]):
        result = evaluation.tournament(
            PRISONERS, {name: getattr(policies, name) for name in order}
        )
        assert result.ranking == tuple(order)


@pytest.mark.parametrize("with_itself", [True, False])
def test_sampled_scores_are_as_far_off_as_their_errors_say(with_itself):
    entrants = {name: ENTRANTS[name] for name in ("ann", "bob")}
    results = [
        evaluation.tournament(
            GAME,
            entrants,
            batch_size=20,
            seed=(7, seed),
            with_itself=with_itself,
        )
        for seed in range(25)
    ]
    exact = evaluation.tournament(GAME, entrants, with_itself=with_itself)
    scores = np.array([result.scores for result in results])
    errors = np.array([result.standard_errors for result in results])
    spread = np.std(scores, axis=0, ddof=1)
    ratio = spread / np.sqrt(np.mean(np.square(errors), axis=0))
    # The relative error of the spread of n draws is 1 / sqrt(2 (n - 1)). In
    # a match with itself both seats count as if they went together, the most.
    far = 4 / np.sqrt(2 * 24)
    assert np.all(ratio < 1 + far)
    assert with_itself or np.all(ratio > 1 - far)
    off = np.abs(scores.mean(axis=0) - exact.scores)
    assert np.all(off < 4.5 * spread / np.sqrt(25))


def test_the_table_lists_the_best_first():
    result = evaluation.tournament(GAME, ENTRANTS, discount=0.9)
    header, *lines = evaluation.tournament_table(result).splitlines()
    assert (
        header.split() == "rank name score cooperation vs 1 vs 2 vs 3".split()
    )
    assert [line.split()[1] for line in lines] == list(result.ranking)
    order = [result.names.index(name) for name in result.ranking]
    for rank, (i, line) in enumerate(zip(order, lines, strict=True), start=1):
        cells = line.split()
        assert cells[0] == str(rank)
        numbers = np.array(cells[2:], float)
        expected = [
            result.scores[i],
            result.cooperation_rates[i],
            *result.pair_scores[i, order],
        ]
        np.testing.assert_allclose(numbers, expected, atol=0.006)
    assert len(set(map(len, [header, *lines]))) == 1


def test_the_table_tells_the_errors_of_what_is_sampled():
    result = evaluation.tournament(
        GAME, ENTRANTS, batch_size=9, with_itself=False
    )
    header, first, *_ = evaluation.tournament_table(result).splitlines()
    assert header.split()[3] == "+-"
    best = result.names.index(result.ranking[0])
    cells = first.split()
    assert float(cells[3]) == pytest.approx(
        result.standard_errors[best], abs=6e-4
    )
    assert cells[5] == "-"


@pytest.mark.parametrize("with_itself, lines", [(True, 9), (False, 6)])
def test_the_csv_holds_every_seating(with_itself, lines):
    result = evaluation.tournament(
        GAME, ENTRANTS, discount=0.9, with_itself=with_itself
    )
    text = evaluation.tournament_csv(result)
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == lines
    for row in rows:
        expected = returns_of(row["seat_0"], row["seat_1"])
        for seat in (0, 1):
            found = float(row[f"seat_{seat}_return"])
            assert found == pytest.approx(expected[seat], rel=1e-8)
            assert float(row[f"seat_{seat}_standard_error"]) == 0.0
            assert 0 < float(row[f"seat_{seat}_cooperation_rate"]) < 1


def test_what_is_not_a_number_is_left_out():
    result = evaluation.tournament(
        Pursuit(), {"a": normal_policy(0)}, batch_size=1
    )
    assert evaluation.tournament_csv(result).splitlines()[1].endswith(",,,,")
    table = evaluation.tournament_table(result).splitlines()
    assert table[1].split()[3:5] == ["-", "-"]


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"game": 0}, TypeError, "`game` must be a dice_tf.games.Game"),
        (
            {"game": game_of(THREE_PLAYERS)},
            ValueError,
            "`game` must have two players",
        ),
        ({"entrants": [1]}, TypeError, "`entrants` must be a mapping from"),
        ({"entrants": {}}, ValueError, "`entrants` must hold at least 1. Re"),
        (
            {"entrants": {"a": policies.random}, "with_itself": False},
            ValueError,
            "`entrants` must hold at least 2. Received: 1",
        ),
        ({"entrants": {"a": 3}}, TypeError, r"`entrants\['a'\]` must be a k"),
        (
            {"entrants": {"a": [policies.random(GAME, 0)]}},
            TypeError,
            r"`entrants\['a'\]` must be a keras.Model, a list of one per seat",
        ),
        ({"discount": -1}, ValueError, "`discount` must be finite and in"),
    ],
)
def test_bad_arguments_are_refused(changes, error, message):
    arguments = {"game": GAME, "entrants": ENTRANTS}
    with pytest.raises(error, match=message):
        evaluation.tournament(**arguments | changes)
