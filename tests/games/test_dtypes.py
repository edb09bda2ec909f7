"""Games are played in float32 or float64, and in nothing else."""

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf import bridges, games
from dice_tf.seeds import uniform
from tests.toys import ASYMMETRIC, Plain, tabular_policies

BUILDERS = {
    "FiniteGame": lambda **kwargs: games.FiniteGame(
        np.zeros((1, 1, 2)),
        np.ones((1, 2, 1)),
        np.ones(1),
        episode_length=2,
        **kwargs,
    ),
    "iterated_matrix_game": lambda **kwargs: games.iterated_matrix_game(
        ASYMMETRIC, **kwargs
    ),
    "PointNavigation": lambda **kwargs: games.PointNavigation(
        np.zeros(2), **kwargs
    ),
    "CoinGameWithMemory": lambda **kwargs: games.CoinGameWithMemory(
        games.CoinGame(4, **kwargs)
    ),
    "sample_goals": lambda **kwargs: games.PointNavigation.sample_goals(
        tf.constant([0, 1]), 3, **kwargs
    ),
    "uniform": lambda **kwargs: uniform(tf.constant([0, 1]), [3], **kwargs),
}
BRIDGES = {
    "from_open_spiel": lambda **kwargs: bridges.from_open_spiel(
        "goofspiel(num_cards=3)", **kwargs
    ),
    "from_pettingzoo": lambda **kwargs: bridges.from_pettingzoo(
        lambda: bridges.to_pettingzoo(games.CoinGame(3)), 3, **kwargs
    ),
}
for name in (
    "CommonPool",
    "CoinGame",
    "TabularCoinGame",
    "Negotiation",
    "RepeatedCournot",
    "iterated_prisoners_dilemma",
    "iterated_matching_pennies",
    "iterated_stag_hunt",
    "iterated_chicken",
    "iterated_battle_of_the_sexes",
    "iterated_public_goods",
):
    BUILDERS[name] = getattr(games, name)
BUILDERS |= BRIDGES


def test_all_games_are_here():
    states = {"CoinState", "CoinMemoryState", "NegotiationState"}
    others = {*states, "CoinStatistics", "Game", "TimeStep"}
    assert set(games.__all__) - others <= BUILDERS.keys()


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("dtype", ["float16", tf.bfloat16, np.float16, "int32"])
def test_a_dtype_of_fewer_digits_is_refused_by_name(name, dtype):
    """In float16 actions had the rates 1 and 0 where .5 was right."""
    message = f"`dtype` must be.*dtype='{tf.as_dtype(dtype).name}'"
    with pytest.raises(ValueError, match=message):
        BUILDERS[name](dtype=dtype)


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("dtype", [True, np.int64(2), None, float])
def test_what_is_not_a_dtype_is_refused(name, dtype):
    with pytest.raises(TypeError, match="`dtype` must be 'float32' or 'float6"):
        BUILDERS[name](dtype=dtype)


@pytest.mark.parametrize("dtype", [tf.float64, np.float64, np.dtype("float64")])
def test_games_take_every_spelling(dtype):
    for build in BUILDERS.values():
        assert build(dtype=dtype).dtype == tf.float64


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.int32])
def test_a_game_of_ones_own_has_a_seat_in_no_other_dtype(dtype):
    game = games.iterated_matrix_game(ASYMMETRIC, 2)
    policies = tabular_policies(game)
    game = Plain(game)
    game.dtype = dtype
    message = f"`game.dtype` must be.*game.dtype='{dtype.name}'"
    for use in (
        lambda: dice_tf.objectives.DiCEObjective(game, policies),
        lambda: dice_tf.evaluation.play_match(
            game, policies, batch_size=10, seed=(0, 1)
        ),
    ):
        with pytest.raises(ValueError, match=message):
            use()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_actions_have_the_rates_of_their_probabilities(dtype):
    game = games.iterated_matrix_game(ASYMMETRIC, 2, dtype=dtype)
    policies = [dice_tf.policies.random(game, seat) for seat in range(2)]
    found = dice_tf.evaluation.play_match(
        game, policies, batch_size=20_000, seed=(0, 1)
    )
    # Four standard errors of 40,000 actions.
    np.testing.assert_allclose(found.action_rates, 0.5, atol=0.01)
