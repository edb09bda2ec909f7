"""Environments of PettingZoo: what they may return, and what is refused."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from gymnasium import spaces
from pettingzoo import ParallelEnv

import dice_tf
from dice_tf import bridges
from tests.bridges.environments import Walks

SEED = tf.constant([5, 6])


class Scripted(ParallelEnv):
    """Two agents; a test says what differs from the plain play.

    At step t (from 0) agent `a` earns t + 1 and `b` earns minus that; both
    see the time. Nothing ends by itself.
    """

    metadata = {"name": "scripted"}
    possible_agents = ["a", "b"]
    view = spaces.Box(0, 100, [2])
    moves = spaces.Discrete(3)

    def __init__(self):
        self.received = []

    def observation_space(self, agent):
        return self.view

    def action_space(self, agent):
        return self.moves

    def reset(self, seed=None, options=None):
        self.agents = list(self.possible_agents)
        self.time = 0
        self.received = []
        return self.observations(), dict.fromkeys(self.agents, {})

    def step(self, actions):
        self.received.append(dict(actions))
        step = self.time
        self.time += 1
        return (
            self.observations(),
            self.rewards(step),
            self.flags(self.terminated, step),
            self.flags(self.truncated, step),
            dict.fromkeys(self.agents, {}),
        )

    def observations(self):
        return {agent: self.observe(agent) for agent in self.possible_agents}

    def observe(self, agent):
        return np.full([2], self.time, np.float32)

    def rewards(self, step):
        return {"a": step + 1.0, "b": -step - 1.0}

    def flags(self, last_steps, step):
        return {
            agent: step >= last_steps.get(agent, np.inf)
            for agent in self.possible_agents
        }

    terminated: dict = {}
    truncated: dict = {}


def variant(**attributes):
    """Returns a class of scripted environments, which knows its instances."""
    made = []

    def remember(self):
        Scripted.__init__(self)
        made.append(self)

    made_of = type("Variant", (Scripted,), {"__init__": remember, **attributes})
    made_of.made = made
    return made_of


def play(make, num_steps=4, actions=(1, 2), length=6):
    """Returns the steps of a play, and the environment of its one episode."""
    game = bridges.from_pettingzoo(make, length)
    state, first = game.reset(SEED, 1)
    steps = [first]
    for _ in range(num_steps):
        chosen = tuple(
            tf.constant(np.array([action], np.float32 if size is None else int))
            if size is None
            else tf.constant([action], tf.int32)
            for action, size in zip(actions, game.num_actions, strict=True)
        )
        state, after = game.step(state, chosen, SEED)
        steps.append(after)
    return steps[1:], make.made[0]


def rewards_of(steps):
    return np.array([[x.numpy()[0] for x in step.rewards] for step in steps])


def discounts_of(steps):
    return [float(step.discounts[0]) for step in steps]


@pytest.mark.parametrize("flag", ["terminated", "truncated"])
def test_an_episode_ends_with_all_flags_whatever_the_agents_list_holds(flag):
    make = variant(**{flag: {"a": 1, "b": 1}})
    steps, environment = play(make)
    assert environment.agents == ["a", "b"]
    assert len(environment.received) == 2
    np.testing.assert_array_equal(
        rewards_of(steps), [[1, -1], [2, -2], [0, 0], [0, 0]]
    )
    assert discounts_of(steps) == [1, 0, 0, 0]


def test_an_episode_ends_where_some_terminate_and_the_others_are_truncated():
    steps, environment = play(variant(terminated={"a": 2}, truncated={"b": 2}))
    assert discounts_of(steps) == [1, 1, 0, 0]
    assert len(environment.received) == 3


@pytest.mark.parametrize("flag", ["terminated", "truncated"])
def test_an_agent_that_is_flagged_and_kept_is_out(flag):
    steps, environment = play(variant(**{flag: {"a": 1}}))
    assert environment.received == [
        {"a": 1, "b": 2},
        {"a": 1, "b": 2},
        {"b": 2},
        {"b": 2},
    ]
    np.testing.assert_array_equal(
        rewards_of(steps), [[1, -1], [2, -2], [0, -3], [0, -4]]
    )
    assert discounts_of(steps) == [1, 1, 1, 1]
    seen = [step.observations[0][0, 0] for step in steps]
    np.testing.assert_array_equal(seen, [1, 0, 0, 0])
    np.testing.assert_array_equal(steps[3].observations[1], [[4, 4]])


def test_an_environment_that_asks_those_who_are_out_is_refused():
    def step(self, actions):
        for agent in self.agents:
            assert actions[agent] in (1, 2)
        return Scripted.step(self, actions)

    with pytest.raises(ValueError, match="'a' has terminated or been trunc"):
        play(variant(terminated={"a": 0}, step=step))

    def other_step(self, actions):
        raise KeyError("b")

    with pytest.raises(KeyError, match="b"):
        play(variant(step=other_step))


@pytest.mark.parametrize(
    "kind",
    [
        np.float32,
        np.array,
        int,
        lambda x: np.array([x]),
        lambda x: np.array([[x]], np.float32),
        lambda x: [x],
        tf.constant,
    ],
)
def test_rewards_may_be_numbers_of_every_kind(kind):
    def rewards(self, step):
        return {"a": kind(step + 1), "b": kind(-step)}

    steps, _ = play(variant(rewards=rewards), 2)
    np.testing.assert_array_equal(rewards_of(steps), [[1, 0], [2, -1]])


@pytest.mark.parametrize(
    ("reward", "error", "message"),
    [
        (np.nan, ValueError, r"`rewards\['b'\]` at step 1 must be finite. Rec"),
        (np.inf, ValueError, r"`rewards\['b'\]` at step 1 must be finite"),
        ([1.0, 2.0], ValueError, "at step 1 must be one number. Received 2 of"),
        ([], ValueError, "must be one number. Received 0 of"),
        (None, TypeError, r"`rewards\['b'\]` at step 1 must consist of real"),
        ("1.0", TypeError, "must consist of real numbers. Received: '1.0'"),
        (1j, TypeError, "must consist of real numbers"),
    ],
)
def test_what_is_no_reward_is_refused(reward, error, message):
    def rewards(self, step):
        return {"a": 0.0, "b": reward if step == 1 else 0.0}

    with pytest.raises(error, match=message):
        play(variant(rewards=rewards))


def test_a_reward_that_overflows_is_refused():
    def rewards(self, step):
        return {"a": 0.0, "b": 1e39}

    with pytest.raises(
        ValueError, match="player 1 at step 0 must be finite in"
    ):
        play(variant(rewards=rewards))


@pytest.mark.parametrize(
    ("observation", "error", "message"),
    [
        (
            [0.0, np.nan],
            ValueError,
            r"`observations\['b'\]` at step 1 must be f",
        ),
        ([np.inf, 0.0], ValueError, r"at step 1 must be finite. Rec.*inf"),
        ([1.0], ValueError, r"must have shape \(2,\). Received shape \(1,\)"),
        ([[1.0, 2.0]], ValueError, r"must have shape \(2,\). Received shape"),
        (
            ["x", "y"],
            TypeError,
            r"`observations\['b'\]` at step 1 must consist",
        ),
        ([[1.0], [1.0, 2.0]], TypeError, "must consist of real numbers"),
        (None, ValueError, r"`observations\['b'\]` at step 1 must be given"),
    ],
)
def test_what_is_no_observation_is_refused(observation, error, message):
    def observe(self, agent):
        return observation if agent == "b" and self.time == 2 else [0.0, 1.0]

    with pytest.raises(error, match=message):
        play(variant(observe=observe))


def test_first_observations_are_looked_at_too():
    def observe(self, agent):
        return [0.0, np.nan]

    with pytest.raises(ValueError, match=r"\['a'\]` after a reset must be fin"):
        play(variant(observe=observe), 0)


def test_errors_reach_training():
    def rewards(self, step):
        return {"a": 0.0, "b": np.nan if step == 2 else 1.0}

    game = bridges.from_pettingzoo(variant(rewards=rewards), 4)
    policies = [
        dice_tf.policies.mlp(game, i, hidden_units=[]) for i in range(2)
    ]
    objective = dice_tf.objectives.DiCEObjective(game, policies, 0.9, 2)
    trainer = dice_tf.Trainer(objective, [dice_tf.learners.Naive()] * 2)
    trainer.compile("sgd")
    with pytest.raises(Exception, match=r"`rewards\['b'\]` at step 2 must be"):
        trainer.fit(epochs=1, steps_per_epoch=1, verbose=0)


def test_what_an_agent_sees_at_its_end_does_not_count():
    def observe(self, agent):
        is_over = self.time == 2
        if agent == "a":
            return np.array([np.nan, 1.0]) if is_over else np.ones([2])
        return np.full([2], self.time)

    steps, _ = play(variant(observe=observe, terminated={"a": 1, "b": 1}), 3)
    for step in steps[1:]:
        np.testing.assert_array_equal(step.observations[0], [[0, 0]])
        np.testing.assert_array_equal(step.observations[1], [[2, 2]])


def without_b(self, step):
    return {"a": 1.0}


def of_everybody(self, step):
    return {"a": 1.0, "b": 1.0, "__all__": True}


@pytest.mark.parametrize(
    ("attributes", "error", "message"),
    [
        (
            {"rewards": without_b},
            ValueError,
            "`rewards` must have an entry for",
        ),
        (
            {"rewards": of_everybody},
            ValueError,
            r"at step 0 also: \['__all__'\]",
        ),
        (
            {"flags": lambda self, last, step: {"a": False}},
            ValueError,
            "`terminations` must have an entry for each.*step 0 none for 'b'",
        ),
        (
            {"flags": lambda self, last, step: of_everybody(self, step)},
            ValueError,
            "`terminations` must have agents as its keys",
        ),
        (
            {"flags": lambda self, last, step: {"a": 0.5, "b": False}},
            ValueError,
            r"`terminations\['a'\]` at step 0 must be True or False. Rec",
        ),
        (
            {"rewards": lambda self, step: 1.0},
            TypeError,
            "`rewards` at step 0 m",
        ),
        (
            {"observations": lambda self: {"a": [0.0, 0.0]}},
            ValueError,
            r"`observations\['b'\]` after a reset must be given",
        ),
        (
            {"step": lambda self, actions: ({}, {}, {}, {})},
            TypeError,
            "`step` of a ParallelEnv must return five dictionaries",
        ),
        (
            {"reset": lambda self, seed=None: {"a": [0.0, 0.0]}},
            TypeError,
            "`reset` of a ParallelEnv must return two dictionaries",
        ),
    ],
)
def test_dictionaries_without_the_agents_are_refused(
    attributes, error, message
):
    with pytest.raises(error, match=message):
        play(variant(**attributes))


@pytest.mark.parametrize(
    ("listed", "message"),
    [([], "`reset` of a ParallelEnv must list who plays"), (["a", "c"], "'c'")],
)
def test_agents_that_are_none_or_unknown_are_refused(listed, message):
    def reset(self, seed=None):
        result = Scripted.reset(self)
        self.agents = listed
        return result

    with pytest.raises(ValueError, match=message):
        play(variant(reset=reset))


def test_entries_for_nobody_are_taken_where_pettingzoo_allows_them():
    def observations(self):
        return {**Scripted.observations(self), "common": 3}

    steps, _ = play(variant(observations=observations), 2)
    np.testing.assert_array_equal(steps[1].observations[1], [[2, 2]])


NESTED = spaces.Dict(
    {
        "place": spaces.MultiDiscrete([2, 3], start=[1, -1]),
        "lamps": spaces.MultiBinary([2, 2]),
        "pair": spaces.Tuple(
            (spaces.Discrete(3, start=2), spaces.Box(0, 1, [2]))
        ),
        "word": spaces.Text(3),
    }
)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(4, start=-1),
        spaces.MultiDiscrete([2, 3], start=[1, -1]),
        spaces.MultiDiscrete([[2, 3], [4, 5]]),
        spaces.MultiBinary(3),
        spaces.MultiBinary([2, 2]),
        spaces.Box(-1, 1, [2, 3], np.float64),
        spaces.Box(0, 255, [2], np.uint8),
        NESTED,
    ],
    ids=str,
)
def test_observations_are_flattened_as_by_gymnasium(space):
    seen = []
    space.seed(3)

    def observe(self, agent):
        seen.append(space.sample())
        return seen[-1]

    make = variant(view=space, observe=observe)
    game = bridges.from_pettingzoo(make, 3, dtype="float64")
    _, first = game.reset(SEED, 1)
    for observation, drawn in zip(first.observations, seen, strict=True):
        expected = drawn
        if not isinstance(space, spaces.Box):
            expected = spaces.flatten(space, drawn)
        np.testing.assert_array_equal(observation[0], expected)


@pytest.mark.parametrize(
    ("space", "observation", "message"),
    [
        (
            spaces.Discrete(4),
            4,
            r"`observations\['a'\]` after a reset must be in",
        ),
        (spaces.Discrete(4), -1, "must be in Discrete"),
        (spaces.Discrete(4), 1.5, "must be in Discrete"),
        (spaces.Discrete(4), np.nan, "must be finite"),
        (spaces.MultiDiscrete([2, 3]), [2, 0], "must be in MultiDiscrete"),
        (spaces.MultiDiscrete([2, 3]), [0], r"must have shape \(2,\)"),
        (spaces.MultiBinary(2), [0, 2], "must be in MultiBinary"),
        (
            spaces.Tuple((spaces.Discrete(2), spaces.Discrete(2))),
            (1, 2),
            "after a reset, part 1, must be in Discrete",
        ),
        (
            spaces.Tuple((spaces.Discrete(2),)),
            (1, 2),
            "must be a tuple of 1 part",
        ),
        (
            spaces.Dict({"x": spaces.Box(0, 1, [2])}),
            {"x": [0, np.nan]},
            "after a reset, 'x', must be finite",
        ),
        (spaces.Dict({"x": spaces.Discrete(2)}), {"y": 1}, "have an entry 'x'"),
        (spaces.Text(2), "abc", "must be in Text"),
    ],
)
def test_observations_out_of_their_space_are_refused(
    space, observation, message
):
    with pytest.raises(ValueError, match=message):
        play(variant(view=space, observe=lambda self, agent: observation), 0)


def test_spaces_that_have_no_size_are_refused():
    endless = spaces.Sequence(spaces.Discrete(2))
    with pytest.raises(TypeError, match="Those of 'a' are Sequence"):
        play(variant(view=endless), 0)
    with pytest.raises(TypeError, match="at most 1024 joint.*'a' are Tuple"):
        play(variant(moves=spaces.Tuple((spaces.Discrete(2),))), 0)
    with pytest.raises(TypeError, match="Those of 'a' are Dict"):
        play(variant(moves=spaces.Dict({"x": spaces.Discrete(2)})), 0)


@pytest.mark.parametrize(
    ("space", "values"),
    [
        (
            spaces.MultiDiscrete([2, 3], start=[5, -1]),
            itertools.product([5, 6], [-1, 0, 1]),
        ),
        (
            spaces.MultiDiscrete([[2, 1], [1, 3]], dtype=np.int32),
            [[[i, 0], [0, j]] for i in range(2) for j in range(3)],
        ),
        (spaces.MultiBinary(3), itertools.product([0, 1], repeat=3)),
        (
            spaces.MultiBinary([1, 2]),
            [[pair] for pair in itertools.product([0, 1], repeat=2)],
        ),
    ],
    ids=["started", "matrix", "binary", "binary_matrix"],
)
def test_actions_of_several_parts_are_numbered_as_joint_ones(space, values):
    values = list(values)
    make = variant(moves=space)
    game = bridges.from_pettingzoo(make, len(values))
    assert game.num_actions == (len(values),) * 2
    assert game.action_shapes == ((), ())
    state, _ = game.reset(SEED, 1)
    for number in range(len(values)):
        action = tf.constant([number])
        state, _ = game.step(state, (action, action), SEED)
    for actions, expected in zip(make.made[0].received, values, strict=True):
        for action in actions.values():
            np.testing.assert_array_equal(action, expected)
            assert action.dtype == space.dtype
            assert space.contains(action)


def test_a_policy_learns_with_actions_of_several_parts():
    def rewards(self, step):
        both = [self.received[-1][agent] for agent in self.possible_agents]
        return {"a": float(both[0][1]), "b": -float(both[1].sum())}

    make = variant(moves=spaces.MultiDiscrete([2, 3]), rewards=rewards)
    game = bridges.from_pettingzoo(make, 2)
    policies = [
        dice_tf.policies.mlp(game, i, hidden_units=[]) for i in range(2)
    ]
    objective = dice_tf.objectives.DiCEObjective(game, policies, 1.0, 32)
    trainer = dice_tf.Trainer(objective, [dice_tf.learners.Naive()] * 2)
    trainer.compile("adam")
    for optimizer in trainer.player_optimizers:
        optimizer.learning_rate = 0.3
    trainer.fit(epochs=1, steps_per_epoch=25, verbose=0)
    first, last = trainer.curves[0, 0], trainer.curves[-3:, 0].mean(axis=0)
    assert np.all(last > first + 0.3)


@pytest.mark.parametrize(
    "space",
    [spaces.MultiDiscrete([33, 32]), spaces.MultiBinary(200)],
    ids=["discrete", "binary"],
)
def test_too_many_joint_actions_are_refused(space):
    with pytest.raises(ValueError, match="at most 1024 joint actions, since"):
        bridges.from_pettingzoo(variant(moves=space), 3)


def test_shapes_and_bounds_of_real_actions_are_known():
    box = spaces.Box(
        np.array([-1, -2, -3, -4, -np.inf]), np.arange(5.0), [5], np.float64
    )
    game = bridges.from_pettingzoo(variant(moves=box), 3, dtype="float64")
    assert game.num_actions == (None, None)
    assert game.action_shapes == ((5,), (5,))
    low, high = game.action_bounds[1]
    np.testing.assert_array_equal(low, box.low)
    np.testing.assert_array_equal(high, box.high)
    environment = bridges.to_pettingzoo(game)
    assert environment.action_space("player_1") == box
    mixed = bridges.from_pettingzoo(Walks, 3)
    assert mixed.action_shapes == ((), (), (1,))
    assert mixed.action_bounds[:2] == (None, None)


def test_a_box_of_whole_numbers_gets_rounded_ones():
    box = spaces.Box(-2, 2, [3], np.int64)
    make = variant(moves=box)
    _, environment = play(make, 1, ([1.7, -0.6, 9.0], [0.2, -0.2, -7.0]))
    for agent, expected in (("a", [2, -1, 2]), ("b", [0, 0, -2])):
        action = environment.received[0][agent]
        np.testing.assert_array_equal(action, expected)
        assert action.dtype == np.int64


def test_one_environment_for_all_episodes_is_refused():
    environment = Scripted()
    with pytest.raises(TypeError, match="must be a function that returns"):
        bridges.from_pettingzoo(environment, 3)
    game = bridges.from_pettingzoo(lambda: environment, 3)
    with pytest.raises(ValueError, match="It returned the same one twice"):
        game.reset(SEED, 2)


def test_worker_processes_know_spaces_and_ends():
    here = bridges.from_pettingzoo(Walks, 4)
    there = bridges.from_pettingzoo(Walks, 4, num_workers=2)
    try:
        assert there.action_shapes == here.action_shapes
        assert there.action_bounds[2] == here.action_bounds[2]
        states = [game.reset(SEED, 3)[0] for game in (here, there)]
        zeros = tf.zeros([3], tf.int32)
        for _ in range(4):
            steps = []
            for i, game in enumerate((here, there)):
                actions = (zeros, zeros, tf.zeros([3, 1]))
                states[i], after = game.step(states[i], actions, SEED)
                steps.append(after)
            for x, y in zip(*map(tf.nest.flatten, steps), strict=True):
                np.testing.assert_array_equal(x, y)
    finally:
        there.close()


@pytest.mark.parametrize("agents", [[], None])
def test_an_environment_must_name_its_agents(agents):
    class Nameless(ParallelEnv):
        if agents is not None:
            possible_agents = agents

    with pytest.raises(ValueError, match="name all agents that ever play in"):
        bridges.from_pettingzoo(Nameless, 3)


def test_a_head_of_another_shape_than_the_actions_is_refused():
    make = variant(moves=spaces.Box(-1, 1, [5]))
    with pytest.raises(ValueError, match=r"must have shape \(1, 5\)"):
        play(make, 1, (0.5, 0.5))
