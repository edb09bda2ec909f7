"""Playing a game."""

import pathlib
import traceback

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf import seeds
from dice_tf.games import FiniteGame
from dice_tf.kernels.philox import draw_many
from dice_tf.models.seat_models import Weights
from dice_tf.play.actors import Actor
from dice_tf.play.rollouts import sample_trajectory
from dice_tf.seeds import HoistedSeed
from tests import oracles
from tests.toys import (
    ASYMMETRIC,
    THREE_PLAYERS,
    EndsEarly,
    Plain,
    Pursuit,
    normal_policy,
    random_params,
    tabular_policies,
)

GAMES = {"2": ASYMMETRIC, "3": THREE_PLAYERS}
KINDS = {"finite": lambda game: game, "general": Plain}


def chance_game(episode_length=4):
    """States 0 to 2, chance moves, a random start, rewards by state."""
    rng = np.random.default_rng(4)
    return FiniteGame(
        rng.normal(size=(2, 3, 2, 3)),
        rng.dirichlet(np.ones(3), size=(3, 2, 3)),
        rng.dirichlet(np.ones(3)),
        episode_length=episode_length,
        dtype="float64",
    )


class Table:
    """Tabular policies with random parameters in a game, ready to play."""

    def __init__(self, game, seed=0):
        self.game = game
        policies = tabular_policies(game)
        self.actors = [
            Actor(game, policy, player_id)
            for player_id, policy in enumerate(policies)
        ]
        self.thetas = [own[0] for own in random_params(policies, seed)]
        self.weights = [
            Weights([tf.constant(theta)], []) for theta in self.thetas
        ]

    def play(self, batch_size, seed, weights=None):
        return sample_trajectory(
            self.game,
            self.actors,
            weights or self.weights,
            batch_size=batch_size,
            seed=seed,
        )


def matrix_table(name, kind="finite", episode_length=4):
    game = dice_tf.games.iterated_matrix_game(
        GAMES[name], episode_length, dtype="float64"
    )
    return Table(KINDS[kind](game))


def assert_frequencies(counts, chances, num_errors=4.0):
    """Counts over the last axis are those of the chances."""
    size = counts.sum(axis=-1, keepdims=True)
    errors = np.sqrt(chances * (1 - chances) / np.maximum(size, 1))
    assert np.all(np.abs(counts - size * chances) <= num_errors * errors * size)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", GAMES)
def test_trajectories_obey_the_game(name, kind):
    table = matrix_table(name, kind)
    trajectory = table.play(50, [3, 4])
    state, step = table.game.reset([0, 1], 50)
    for t in range(4):
        actions = tuple(own[t] for own in trajectory.actions)
        for i, observation in enumerate(step.observations):
            np.testing.assert_array_equal(
                trajectory.observations[i][t], observation
            )
            assert actions[i].dtype == tf.int32
            assert 0 <= np.min(actions[i])
            assert np.max(actions[i]) < table.game.num_actions[i]
        if kind == "finite":
            np.testing.assert_array_equal(trajectory.states[t], state)
        state, step = table.game.step(state, actions, [0, 1])
        for i, reward in enumerate(step.rewards):
            np.testing.assert_array_equal(trajectory.rewards[i][t], reward)
    np.testing.assert_array_equal(trajectory.discounts, np.ones((4, 50)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", GAMES)
def test_states_and_actions_have_their_exact_distribution(name, kind):
    """At each time step, from the two paths through the library alike."""
    table, size = matrix_table(name, kind), 20_000
    num_actions = table.game.num_actions
    trajectory = table.play(size, [5, 6])
    joint = np.ravel_multi_index(
        [own.numpy() for own in trajectory.actions], num_actions
    )
    # Player 0 sees the joint action in its plain order.
    states = np.argmax(trajectory.observations[0], axis=-1)
    exact = oracles.state_distributions(table.thetas, num_actions, 4)
    pi = oracles.joint_policy(table.thetas, num_actions)
    for t in range(4):
        counts = np.zeros(pi.shape)
        np.add.at(counts, (states[t], joint[t]), 1)
        assert_frequencies(counts.sum(axis=1), exact[t])
        assert_frequencies(counts, pi, num_errors=4.5)


@pytest.mark.parametrize("kind", KINDS)
def test_chance_moves_have_their_distribution(kind):
    game = chance_game()
    table, size = Table(KINDS[kind](game)), 20_000
    trajectory = table.play(size, [5, 6])
    states = np.argmax(trajectory.observations[0], axis=-1)
    actions = [own.numpy() for own in trajectory.actions]
    assert_frequencies(np.bincount(states[0], minlength=3), game.initial)
    counts = np.zeros(game.transitions.shape)
    for t in range(3):
        moves = (states[t], actions[0][t], actions[1][t], states[t + 1])
        np.add.at(counts, moves, 1)
    assert_frequencies(counts, game.transitions, num_errors=4.5)
    # Chance has no memory and owes nothing to the players: the actions that
    # follow a state do not depend on how it was reached.
    pi = [oracles.policy(theta) for theta in table.thetas]
    for i in range(2):
        counts = np.zeros((3, 3, pi[i].shape[1]))
        np.add.at(counts, (states[:-1], states[1:], actions[i][1:]), 1)
        assert_frequencies(counts, pi[i][np.newaxis], num_errors=4.5)


def test_both_ways_of_playing_give_the_same_returns_on_average():
    means, errors = [], []
    for kind in KINDS:
        trajectory = matrix_table("2", kind).play(20_000, [7, 8])
        returns = np.sum(trajectory.rewards, axis=1)
        means.append(returns.mean(axis=1))
        errors.append(returns.std(axis=1) / np.sqrt(20_000))
    assert np.all(np.abs(means[0] - means[1]) < 4 * np.hypot(*errors))


def floats_of(trajectory):
    tensors = [x for x in tf.nest.flatten(trajectory) if x is not None]
    return [x for x in tensors if x.dtype.is_floating]


@pytest.mark.parametrize("kind", KINDS)
def test_no_gradient_flows_into_a_rollout(kind):
    table = matrix_table("2", kind)
    params = [own.params[0] for own in table.weights]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(params)
        trajectory = table.play(5, [3, 4])
    for x in floats_of(trajectory):
        assert tape.gradient(x, params) == [None, None]


def continuous_table():
    game = Pursuit()
    actors = [Actor(game, normal_policy(i), i) for i in range(2)]
    return game, actors, [actor.model.weights() for actor in actors]


def test_no_gradient_flows_through_actions_that_have_one():
    game, actors, weights = continuous_table()
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([own.params for own in weights])
        # Actions are shifted and scaled noise, a function of the weights.
        own = actors[0].distribution(weights[0], tf.ones([1, 2], game.dtype))
        direct = own.sample(seed=[1, 2])
        trajectory = sample_trajectory(
            game, actors, weights, batch_size=5, seed=[3, 4]
        )
    assert tape.gradient(direct, weights[0].params)[0] is not None
    assert len(floats_of(trajectory)) == 7
    for x in floats_of(trajectory):
        found = tape.gradient(x, weights[0].params + weights[1].params)
        assert found == [None] * 4


def test_no_gradient_flows_from_a_game_that_has_one():
    class Scaled(Pursuit):
        scale = tf.constant(2.0, tf.float64)

        def step(self, state, actions, seed):
            state, step = super().step(state, actions, seed)
            rewards = tuple(self.scale * own for own in step.rewards)
            return state, step._replace(rewards=rewards)

    game = Scaled()
    _, actors, weights = continuous_table()
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(game.scale)
        trajectory = sample_trajectory(
            game, actors, weights, batch_size=5, seed=[3, 4]
        )
        actions = (trajectory.actions[0][0], trajectory.actions[1][0])
        _, step = game.step(trajectory.observations[0][0], actions, None)
    assert tape.gradient(step.rewards[0], game.scale) is not None
    for x in floats_of(trajectory):
        assert tape.gradient(x, game.scale) is None


def test_continuous_actions_are_drawn_from_their_policies():
    game, actors, weights = continuous_table()
    trajectory = sample_trajectory(
        game, actors, weights, batch_size=5000, seed=[3, 4]
    )
    noise = []
    for i in range(2):
        own = actors[i].distribution(weights[i], trajectory.observations[i])
        assert trajectory.actions[i].shape == (2, 5000)
        noise.extend((trajectory.actions[i] - own.mean()) / own.stddev())
    noise = np.array(noise)
    assert np.all(np.abs(noise.mean(axis=1)) < 4 / np.sqrt(5000))
    assert np.all(np.abs(noise.var(axis=1) - 1) < 4 * np.sqrt(2 / 5000))
    # Players and time steps draw noise of their own.
    correlations = np.corrcoef(noise) - np.eye(4)
    assert np.abs(correlations).max() < 4 / np.sqrt(5000)


@pytest.mark.parametrize("kind", [*KINDS, "ends early"])
def test_a_seed_plays_the_same_eagerly_in_graphs_and_under_xla(kind):
    table = Table({**KINDS, "ends early": EndsEarly}[kind](chance_game()))
    seed = tf.constant([3, 4])

    def play(seed):
        played = tf.nest.flatten(table.play(8, seed))
        return [x for x in played if x is not None]

    @tf.function
    def play_hoisted(keys):
        inner = tf.function(
            lambda: play(HoistedSeed(keys, 0)), jit_compile=True
        )
        return inner()

    eager = play(seed)
    compiled = {
        "graph": tf.function(play)(seed),
        "xla": tf.function(play, jit_compile=True)(seed),
        "hoisted": play_hoisted(seed[tf.newaxis]),
    }
    for name, results in compiled.items():
        for one, other in zip(eager, results, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=name)
    other_seed = play(tf.constant([3, 5]))
    assert any(
        np.any(one.numpy() != other.numpy())
        for one, other in zip(eager, other_seed, strict=True)
    )


# 35 steps are played in blocks, 37 divide into none.
@pytest.mark.parametrize("episode_length", [35, 37])
def test_vectorised_runs_play_what_each_plays_alone(episode_length):
    table = Table(chance_game(episode_length))
    keys = tf.constant([[3, 4], [5, 6]])

    def play(seed):
        played = table.play(8, seed)
        return played.states, played.actions, played.rewards

    @tf.function
    def play_runs(keys):
        inner = tf.function(
            lambda: tf.vectorized_map(
                lambda run: play(HoistedSeed(keys, run)), tf.range(2)
            ),
            jit_compile=True,
        )
        return inner()

    together = tf.nest.flatten(play_runs(keys))
    for run in range(2):
        alone = tf.nest.flatten(play(keys[run]))
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one, other[run])


def test_an_episode_that_ends_early_says_so_once_it_has_ended():
    table = Table(EndsEarly(matrix_table("2").game))
    trajectory = table.play(200, [3, 4])
    both_defect = np.sum(trajectory.actions, axis=0) == 2
    running = np.cumprod(1 - both_defect, axis=0)
    np.testing.assert_array_equal(trajectory.discounts, running)
    assert 0.2 < running[-1].mean() < 0.95


@pytest.mark.parametrize("kind", KINDS)
def test_no_two_draws_of_a_rollout_share_their_key(monkeypatch, kind):
    keys, draw = [], seeds._draw_bits

    def record(key, shape):
        keys.append(tuple(key.numpy()))
        return draw(key, shape)

    monkeypatch.setattr(seeds, "_draw_bits", record)
    Table(KINDS[kind](chance_game())).play(4, [3, 4])
    # In general the first actions are drawn once more, for their shapes.
    repeated = {"finite": 0, "general": 2}[kind]
    assert len(keys) - repeated == len(set(keys)) >= 3


def test_few_calls_lead_from_a_rollout_to_its_first_draw():
    package = pathlib.Path(dice_tf.__file__).parent
    table, stacks = matrix_table("2"), []

    def draw(keys, shape):
        stacks.append(traceback.extract_stack())
        return draw_many(keys, shape)

    @tf.function(autograph=False)
    def play(keys):
        return table.play(4, HoistedSeed(keys, 0, draw=draw)).states

    play(tf.constant([[3, 4]]))
    frames = [
        (frame.filename, frame.name)
        for frame in stacks[0]
        if package in pathlib.Path(frame.filename).parents
    ]
    names = [name for _, name in frames]
    assert names == [
        "sample_trajectory",
        "sample_finite",
        "random_bits",
        "bits",
    ]
    # The draw is one more call, in one more module.
    assert len({filename for filename, _ in frames}) <= 3


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="`batch_size` must be at least 1"):
        matrix_table("2").play(0, [3, 4])
