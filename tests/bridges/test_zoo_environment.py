"""Games of ours as environments of PettingZoo: what they take, and copies."""

import copy
import pickle

import numpy as np
import pytest
import tensorflow as tf
from gymnasium.spaces import Box, Discrete

from dice_tf import bridges, games
from tests.bridges.environments import Counting, Walks
from tests.bridges.test_petting_zoo import OURS

LENGTH = 6


def environment_of(name, dtype="float32"):
    if name == "navigation":
        game = games.PointNavigation([0.1, 0.2], LENGTH, dtype=dtype)
    elif name == "cournot":
        game = games.RepeatedCournot(LENGTH, dtype=dtype)
    elif name == "walks":
        game = bridges.from_pettingzoo(Walks, LENGTH, dtype=dtype)
    else:
        game = games.iterated_prisoners_dilemma(LENGTH, dtype=dtype)
    return bridges.to_pettingzoo(game)


def sampled(environment):
    return {
        agent: environment.action_space(agent).sample()
        for agent in environment.agents
    }


@pytest.mark.parametrize(
    ("name", "agent", "action"),
    [
        ("prisoners_dilemma", "player_1", 7),
        ("prisoners_dilemma", "player_1", 2),
        ("prisoners_dilemma", "player_1", -1),
        ("prisoners_dilemma", "player_1", 1.7),
        ("prisoners_dilemma", "player_1", 1.0),
        ("prisoners_dilemma", "player_1", np.nan),
        ("prisoners_dilemma", "player_1", True),
        ("prisoners_dilemma", "player_1", [1]),
        ("prisoners_dilemma", "player_1", np.array([0, 1])),
        ("prisoners_dilemma", "player_0", 2**40),
        ("navigation", "player_0", [0.1, np.nan]),
        ("navigation", "player_0", [np.inf, 0.1]),
        ("navigation", "player_0", [0.1, 1e39]),
        ("navigation", "player_0", 0.1),
        ("navigation", "player_0", [[0.1, 0.1]]),
        ("cournot", "player_1", np.nan),
        ("cournot", "player_1", [1.0]),
        ("walks", "player_2", [1.5]),
    ],
)
def test_actions_out_of_their_space_are_refused(name, agent, action):
    environment = environment_of(name)
    environment.reset(seed=1)
    actions = {**sampled(environment), agent: action}
    with pytest.raises(ValueError, match=f"^The action of {agent!r} must"):
        environment.step(actions)
    # Nothing was played.
    assert environment.agents == environment.possible_agents
    environment.step(sampled(environment))


@pytest.mark.parametrize("action", [None, "1", {}])
def test_actions_that_are_not_numbers_are_refused(action):
    environment = environment_of("prisoners_dilemma")
    environment.reset(seed=1)
    with pytest.raises(TypeError, match="'player_0' must consist of real num"):
        environment.step({"player_0": action, "player_1": 0})


@pytest.mark.parametrize(
    "kind", [int, np.int8, np.uint64, np.array, tf.constant]
)
def test_whole_numbers_of_every_kind_are_actions(kind):
    environment = environment_of("prisoners_dilemma")
    environment.reset(seed=1)
    _, rewards, *_ = environment.step(
        {"player_0": kind(0), "player_1": kind(1)}
    )
    assert rewards == {"player_0": -3.0, "player_1": 0.0}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_real_actions_may_have_every_dtype(dtype):
    environment = environment_of("cournot", dtype)
    environment.reset(seed=1)
    actions = {"player_0": np.float64(0.5), "player_1": 1}
    _, rewards, *_ = environment.step(actions)
    np.testing.assert_allclose(list(rewards.values()), [0.75, 1.5])


@pytest.mark.parametrize(
    "actions",
    [
        {"player_0": 0},
        {},
        {"player_0": 0, "player_1": 0, "player_2": 0},
        {"player_0": 0, 1: 0},
        [0, 0],
        None,
    ],
)
def test_actions_must_be_those_of_the_agents(actions):
    environment = environment_of("prisoners_dilemma")
    environment.reset(seed=1)
    with pytest.raises(ValueError, match="each agent that plays: player_0, pl"):
        environment.step(actions)


@pytest.mark.parametrize("actions", [{}, {"player_0": 0, "player_1": 0}])
def test_a_step_before_the_first_reset_is_refused(actions):
    environment = environment_of("prisoners_dilemma")
    with pytest.raises(
        ValueError, match="`reset` must be called before `step`"
    ):
        environment.step(actions)


def test_actions_after_the_end_are_refused():
    environment = environment_of("prisoners_dilemma")
    environment.reset(seed=1)
    for _ in range(LENGTH):
        environment.step({"player_0": 0, "player_1": 0})
    assert environment.step({}) == ({}, {}, {}, {}, {})
    with pytest.raises(ValueError, match="that plays: none, after the end"):
        environment.step({"player_0": 0, "player_1": 0})
    environment.reset()
    environment.step({"player_0": 0, "player_1": 0})


def assert_same(first, second):
    for x, y in zip(
        tf.nest.flatten(first), tf.nest.flatten(second), strict=True
    ):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(
    "how",
    [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))],
    ids=["copied", "pickled"],
)
@pytest.mark.parametrize(
    "make",
    [
        lambda: games.CoinGame(LENGTH),
        lambda: games.CommonPool(LENGTH),
        lambda: games.PointNavigation([0.1, 0.2], LENGTH),
        lambda: bridges.from_pettingzoo(Walks, LENGTH),
        lambda: bridges.from_open_spiel("goofspiel(num_cards=4)", LENGTH),
        lambda: bridges.PythonGame(Counting, LENGTH),
    ],
    ids=["coins", "pool", "navigation", "walks", "goofspiel", "counting"],
)
def test_a_copy_goes_on_as_the_original_does(make, how):
    environment = bridges.to_pettingzoo(make())
    environment.reset(seed=3)
    environment.step(sampled(environment))
    twin = how(environment)
    for _ in range(2):
        while environment.agents:
            actions = sampled(environment)
            assert_same(sampled(twin), actions)
            assert_same(twin.step(actions), environment.step(actions))
            assert twin.agents == environment.agents
        assert_same(twin.reset(), environment.reset())
    # They are two.
    environment.step(sampled(environment))
    environment.step(sampled(environment))
    assert twin._num_steps == 0
    twin.step(sampled(twin))


def test_games_in_worker_processes_cannot_be_copied():
    game = bridges.PythonGame(Counting, LENGTH, num_workers=1)
    try:
        for how in (copy.deepcopy, pickle.dumps):
            with pytest.raises(
                TypeError, match="played in worker processes can"
            ):
                how(game)
    finally:
        game.close()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*OURS, "goofspiel"])
def test_spaces_survive_the_way_there_and_back(name, dtype):
    if name == "goofspiel":
        game = bridges.from_open_spiel("goofspiel(num_cards=3)", dtype=dtype)
    elif name == "walks":
        game = bridges.from_pettingzoo(Walks, LENGTH, dtype=dtype)
    else:
        game = OURS[name]()
        dtype = game.dtype.name
    there = bridges.to_pettingzoo(game)
    back = bridges.from_pettingzoo(
        lambda: bridges.to_pettingzoo(game), LENGTH, dtype=dtype
    )
    assert back.num_players == game.num_players
    assert back.num_actions == game.num_actions
    assert back.action_shapes == game.action_shapes
    assert back.observation_shapes == game.observation_shapes
    assert back.dtype == game.dtype
    again = bridges.to_pettingzoo(back)
    for agent, size in zip(
        there.possible_agents, game.num_actions, strict=True
    ):
        space = there.action_space(agent)
        assert isinstance(space, Box if size is None else Discrete)
        for kind in ("action_space", "observation_space"):
            first, second = (getattr(x, kind)(agent) for x in (there, again))
            assert first == second and first.dtype == second.dtype


def test_a_game_that_does_not_say_the_shape_of_its_actions_is_refused():
    class Silent(Counting):
        num_actions = (None, 2)

    game = bridges.PythonGame(Silent, 3)
    with pytest.raises(ValueError, match="Set the attribute `action_shapes`"):
        bridges.to_pettingzoo(game)

    class Told(Silent):
        action_shapes = ((3,), ())
        action_bounds = ((-1.0, np.arange(3.0)), None)

    told = bridges.to_pettingzoo(bridges.PythonGame(Told, 3))
    assert told.action_space("player_0") == Box(
        np.float32([-1, -1, -1]), np.float32([0, 1, 2])
    )
