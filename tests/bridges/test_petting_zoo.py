"""Games of PettingZoo here, and ours there."""

import numpy as np
import pytest
import tensorflow as tf
from mpe2 import simple_push_v3
from pettingzoo import ParallelEnv
from pettingzoo.test import parallel_api_test, parallel_seed_test

import dice_tf
from dice_tf import bridges, games
from tests.bridges.environments import Walks

SEED = tf.constant([1, 2])
LENGTH = 6
OURS = {
    "coin_game": lambda: games.CoinGame(LENGTH),
    "two_coins": lambda: games.CoinGame(LENGTH, num_coins=2, can_stay=True),
    "common_pool": lambda: games.CommonPool(LENGTH, num_players=3),
    "cournot": lambda: games.RepeatedCournot(LENGTH, num_players=3),
    "navigation": lambda: games.PointNavigation([0.1, 0.2], LENGTH),
    "finite": lambda: games.FiniteGame(
        np.arange(6.0).reshape(1, 2, 3),
        np.full([2, 3, 2], 0.5),
        [0.3, 0.7],
        episode_length=LENGTH,
    ),
    "battle_of_the_sexes": lambda: games.iterated_battle_of_the_sexes(LENGTH),
    "chicken": lambda: games.iterated_chicken(LENGTH),
    "matching_pennies": lambda: games.iterated_matching_pennies(LENGTH),
    "prisoners_dilemma": lambda: games.iterated_prisoners_dilemma(LENGTH),
    "public_goods": lambda: games.iterated_public_goods(LENGTH),
    "stag_hunt": lambda: games.iterated_stag_hunt(LENGTH),
    "rock_paper_scissors": lambda: games.iterated_matrix_game(
        np.stack([np.eye(3), -np.eye(3)]), LENGTH
    ),
    "walks": lambda: bridges.from_pettingzoo(Walks, LENGTH),
}


@pytest.mark.parametrize("name", OURS)
def test_our_games_pass_the_tests_of_pettingzoo(name):
    environment = bridges.to_pettingzoo(OURS[name]())
    parallel_api_test(environment, num_cycles=50)
    parallel_seed_test(lambda: bridges.to_pettingzoo(OURS[name]()), 15)


def test_infos_tell_which_actions_are_legal():
    environment = bridges.to_pettingzoo(games.CommonPool(3))
    _, infos = environment.reset(seed=1)
    agents, moves = environment.possible_agents, [(4, 3), (1, 0), (1, 1)]
    for legal, actions in zip([5, 4, 4], moves, strict=True):
        for agent in agents:
            mask = infos[agent]["action_mask"]
            assert mask.dtype == np.int8
            np.testing.assert_array_equal(mask, np.arange(5) < legal)
            sampled = environment.action_space(agent).sample(mask)
            assert sampled < legal
        *_, infos = environment.step(dict(zip(agents, actions, strict=True)))
    _, infos = bridges.to_pettingzoo(games.CoinGame(2)).reset(seed=1)
    assert infos == {"player_0": {}, "player_1": {}}


def test_an_environment_of_a_game_plays_that_game():
    game = games.iterated_prisoners_dilemma(2)
    environment = bridges.to_pettingzoo(game)
    observations, _ = environment.reset(seed=1)
    np.testing.assert_array_equal(observations["player_1"], np.eye(5)[4])
    actions = {"player_0": 0, "player_1": 1}
    observations, rewards, terminated, truncated, _ = environment.step(actions)
    assert rewards == {"player_0": -3.0, "player_1": 0.0}
    np.testing.assert_array_equal(observations["player_0"], np.eye(5)[1])
    np.testing.assert_array_equal(observations["player_1"], np.eye(5)[2])
    assert not any(terminated.values()) and not any(truncated.values())
    *_, terminated, truncated, _ = environment.step(actions)
    assert not any(terminated.values()) and all(truncated.values())
    assert environment.agents == []
    assert environment.step({}) == ({}, {}, {}, {}, {})


def test_games_that_end_early_terminate():
    environment = bridges.to_pettingzoo(OURS["walks"]())
    environment.reset(seed=1)
    for _ in range(3):
        *_, terminated, truncated, _ = environment.step(
            {"player_0": 0, "player_1": 0, "player_2": np.zeros(1)}
        )
    assert all(terminated.values()) and not any(truncated.values())


def test_all_kinds_of_spaces_and_endings_are_understood():
    made = []

    def make():
        made.append(Walks())
        return made[-1]

    game = bridges.from_pettingzoo(make, 5)
    assert game.num_actions == (2, 2, None)
    assert game.observation_shapes == ((2, 3), (4,), (1,))
    state, first = game.reset(SEED, 2)
    np.testing.assert_array_equal(first.observations[1], np.eye(4)[[0, 0]])
    actions = (
        tf.constant([0, 1]),
        tf.constant([1, 0]),
        tf.constant([[0.25], [7.0]]),
    )
    steps = []
    for _ in range(4):
        state, after = game.step(state, actions, SEED)
        steps.append(after)
    # Discrete spaces may start anywhere; real actions are clipped.
    assert made[0].received[0]["early"] == 5
    assert made[1].received[0]["early"] == 6
    assert made[0].received[0]["real"] == [0.25]
    assert made[1].received[0]["real"] == [1.0]
    # One leaves after two steps, the others after three.
    assert "early" not in made[0].received[2]
    rewards = np.array(
        [
            [player_rewards[0] for player_rewards in after.rewards]
            for after in steps
        ]
    )
    np.testing.assert_array_equal(
        rewards, [[1, 1, 1], [2, 2, 2], [0, 3, 3], [0, 0, 0]]
    )
    np.testing.assert_array_equal(
        [after.discounts[0] for after in steps], [1, 1, 0, 0]
    )
    np.testing.assert_array_equal(steps[2].observations[0], np.zeros([2, 2, 3]))
    assert len(made[0].received) == 3


def test_an_environment_that_we_did_not_write_trains_in_the_trainer():
    game = bridges.from_pettingzoo(simple_push_v3.parallel_env, 3)
    policies = [
        dice_tf.policies.mlp(game, i, hidden_units=[4]) for i in range(2)
    ]
    objective = dice_tf.objectives.DiCEObjective(game, policies, 0.9, 4, None)
    trainer = dice_tf.Trainer(
        objective, [dice_tf.learners.LOLADiCE(1, 0.1), dice_tf.learners.Naive()]
    )
    trainer.compile("sgd")
    before = [policy.trainable_variables[0].numpy() for policy in policies]
    trainer.fit(epochs=1, steps_per_epoch=2, verbose=0)
    assert trainer.curves.shape == (2, 1, 2)
    assert np.all(np.isfinite(trainer.curves)) and np.all(trainer.curves)
    for table, policy in zip(before, policies, strict=True):
        assert not np.array_equal(table, policy.trainable_variables[0])


class Listed(Walks):
    """Has actions of a kind that no policy has."""

    def action_space(self, agent):
        del agent
        return self.observation_space("discrete").__class__(2), 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (object, "must return a pettingzoo.ParallelEnv"),
        (Listed, "Actions must be a gymnasium.spaces.Discrete or Box"),
    ],
)
def test_what_is_no_known_environment_is_refused(make, message):
    with pytest.raises(TypeError, match=message):
        bridges.from_pettingzoo(make, 5)
    assert issubclass(Listed, ParallelEnv)


def test_what_is_no_game_is_refused():
    with pytest.raises(TypeError, match="`game` must be a dice_tf.games.Game"):
        bridges.to_pettingzoo(Walks())
