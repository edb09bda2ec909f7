"""Policies with memory in play, and the log-probabilities of it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.objectives import DiCEObjective
from dice_tf.play.actors import Actor
from dice_tf.play.rollouts import sample_trajectory
from dice_tf.play.trajectories import (
    player_divergences,
    player_entropies,
    player_log_probs,
)
from dice_tf.seeds import HoistedSeed
from tests import recurrent
from tests.toys import EndsEarly, Plain, random_params, tabular_policies

SEED = tf.constant([3, 4])


class Table:
    """Policies with random parameters in a game, ready to play."""

    def __init__(self, game, policies):
        self.game = game
        self.actors = [
            Actor(game, policy, i) for i, policy in enumerate(policies)
        ]
        self.weights = [actor.model.weights() for actor in self.actors]

    def play(self, batch_size, seed=SEED):
        return sample_trajectory(
            self.game,
            self.actors,
            self.weights,
            batch_size=batch_size,
            seed=seed,
        )


def recurrent_table(length=3, wrap=lambda game: game):
    game = recurrent.small_game(length)
    return Table(wrap(game), recurrent.gru_policies(game))


@pytest.mark.parametrize("wrap", [lambda game: game, Plain])
def test_trajectories_have_their_exact_distribution(wrap):
    """All 16 of two steps, of probabilities by an oracle."""
    table, size = recurrent_table(2, wrap), 20_000
    played = np.stack(table.play(size).actions, axis=-1)  # [T, B, 2]
    numbers = np.ravel_multi_index(
        played.transpose(0, 2, 1).reshape(4, size), (2,) * 4
    )
    params = [[x.numpy() for x in own.params] for own in table.weights]
    chances = [
        np.exp(sum(recurrent.log_prob(params[i], own, i) for i in range(2)))
        for own in recurrent.all_actions()
    ]
    np.testing.assert_allclose(np.sum(chances), 1.0)
    counts = np.bincount(numbers, minlength=16)
    errors = np.sqrt(np.multiply(chances, np.subtract(1, chances)) * size)
    assert np.all(np.abs(counts - np.multiply(chances, size)) <= 4 * errors)


def test_log_probabilities_are_those_of_what_was_played():
    table = recurrent_table(4)
    trajectory = table.play(3)
    played = np.stack(trajectory.actions, axis=-1)
    for i in range(2):
        log_probs = player_log_probs(
            table.actors[i], table.weights[i], trajectory, i
        )
        params = [x.numpy() for x in table.weights[i].params]
        expected = [
            recurrent.log_prob(params, played[:, b], i) for b in range(3)
        ]
        np.testing.assert_allclose(
            np.sum(log_probs, axis=0), expected, rtol=1e-12
        )


def test_of_a_finite_game_the_states_are_kept():
    table = recurrent_table(4)
    trajectory = table.play(5)
    expected = np.argmax(trajectory.observations[0], axis=-1)
    np.testing.assert_array_equal(trajectory.states, expected)
    assert recurrent_table(2, Plain).play(5).states is None


def test_a_seed_plays_the_same_eagerly_and_in_graphs():
    table = recurrent_table()

    @tf.function
    def play_hoisted(keys):
        return tf.function(lambda: table.play(8, HoistedSeed(keys, 0)))()

    eager = table.play(8)
    for other in (tf.function(table.play)(8), play_hoisted(SEED[tf.newaxis])):
        for one, two in zip(
            tf.nest.flatten(eager), tf.nest.flatten(other), strict=True
        ):
            np.testing.assert_array_equal(one, two)


def test_no_gradient_flows_into_play():
    table = recurrent_table()
    params = [own.params for own in table.weights]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(params)
        trajectory = table.play(5)
    for x in (*trajectory.observations, *trajectory.rewards):
        assert set(tf.nest.flatten(tape.gradient(x, params))) == {None}


# --- The recurrence, cut ----------------------------------------------------


def cut_gru(game, player_id, dense):
    """A GRU that forgets: its state is tanh(W x + b), and nothing else."""
    units = dense[0].shape[1]
    policy = dice_tf.policies.gru(game, player_id, units=units)
    kernel, recurrence, biases, *_, _ = policy.get_weights()
    new = slice(2 * units, None)
    kernel[:, new], biases[:], recurrence[:] = dense[0], 0.0, 0.0
    biases[0, :units], biases[0, new] = -1e5, dense[1]
    rest = policy.get_weights()[5:]
    policy.set_weights([kernel, recurrence, biases, *dense[2:], *rest])
    return policy, new


def test_a_recurrence_that_is_cut_leaves_the_feed_forward_policy():
    game = Plain(recurrent.small_game(4))
    dense = [dice_tf.policies.mlp(game, i, hidden_units=(3,)) for i in range(2)]
    for policy, own in zip(dense, random_params(dense, 7), strict=True):
        policy.set_weights(own)
    built = [cut_gru(game, i, dense[i].get_weights()) for i in range(2)]
    tables = [Table(game, dense), Table(game, [own for own, _ in built])]
    played = [table.play(16) for table in tables]
    for one, other in zip(
        tf.nest.flatten(played[0][:4]),
        tf.nest.flatten(played[1][:4]),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    gradients = []
    for table in tables:
        objective = DiCEObjective(
            game, [actor.model.model for actor in table.actors], 0.9, 16
        )
        params = objective.initial_params()
        with tf.GradientTape() as tape:
            tape.watch(params)
            value = objective(params, SEED)[0]
        gradients.append(tape.gradient(value, params))
        log_probs = [
            player_log_probs(actor, own, played[0], i)
            for i, (actor, own) in enumerate(
                zip(table.actors, table.weights, strict=True)
            )
        ]
        if table is tables[0]:
            expected = log_probs
    np.testing.assert_allclose(log_probs, expected, rtol=1e-12)
    new = built[0][1]
    for feed_forward, own in zip(*gradients, strict=True):
        own = [own[0][:, new], own[2][0, new], *own[3:]]
        for one, other in zip(own, feed_forward, strict=True):
            assert np.abs(other).max() > 1e-6
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-14)


def ignoring(policy):
    """The policy with a state beside it that it never looks at."""
    observed = keras.Input((5,), dtype="float64")
    state = keras.Input((2,), dtype="float64")
    return keras.Model([observed, state], [policy(observed), state + 1.0])


def test_a_state_that_is_ignored_changes_no_look_ahead():
    game = Plain(recurrent.small_game(3))
    policies = tabular_policies(game)
    directions = [
        dice_tf.learners.LOLADiCE(1, 2.0).gradient(
            DiCEObjective(game, own, 0.9, 8), params, 1, SEED
        )
        for own in (policies, list(map(ignoring, policies)))
        for params in [random_params(policies, 3)]
    ]
    np.testing.assert_allclose(*directions, rtol=1e-10)


# --- The end of episodes ----------------------------------------------------


def test_what_is_seen_after_the_end_of_an_episode_does_not_matter():
    table = recurrent_table(3, EndsEarly)
    policies = [actor.model.model for actor in table.actors]
    objective = DiCEObjective(table.game, policies, 0.9, 20, None)
    trajectory = table.play(20)
    ended = np.cumprod(trajectory.discounts, axis=0)[:-1] == 0.0
    assert 0.1 < ended.mean() < 0.9
    noise = np.zeros(trajectory.observations[0].shape)
    noise[1:][ended] = np.random.default_rng(0).normal(size=(ended.sum(), 5))
    other = trajectory._replace(
        observations=tuple(own + noise for own in trajectory.observations)
    )
    params, results = objective.initial_params(), []
    for played in (trajectory, other):
        objective._trajectory = lambda weights, seed, played=played: played
        with tf.GradientTape() as tape:
            tape.watch(params)
            values = objective(params, SEED)
        gradients = tape.gradient(values[0], params)
        results.append([values[0], *tf.nest.flatten(gradients)])
    for one, two in zip(*results, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-10, atol=1e-14)


# --- Entropies and divergences ----------------------------------------------


def test_entropies_and_divergences_are_those_of_what_is_remembered():
    table = recurrent_table(3)
    trajectory = table.play(6)
    tabular = Actor(table.game, tabular_policies(table.game)[0], 0)
    own = table.actors[0], table.weights[0]
    other = tabular, tabular.model.weights()
    chances = []
    for actor, weights in (own, other):
        outputs = actor.model(weights, trajectory.observations[0])[..., 0]
        chances.append(np.stack([recurrent.sigmoid(outputs.numpy())] * 2, -1))
        chances[-1][..., 1] = 1.0 - chances[-1][..., 0]
    mine, theirs = chances
    np.testing.assert_allclose(
        player_entropies(*own, trajectory, 0),
        -np.sum(mine * np.log(mine), axis=-1),
        rtol=1e-9,
    )
    for seats, (p, q) in (
        ((own, other), (mine, theirs)),
        ((other, own), (theirs, mine)),
    ):
        np.testing.assert_allclose(
            player_divergences(*seats[0], *seats[1], trajectory, 0),
            np.sum(p * np.log(p / q), axis=-1),
            rtol=1e-8,
        )
