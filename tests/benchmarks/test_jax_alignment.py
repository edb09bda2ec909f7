"""The JAX program of Advantage Alignment: the same game and the same rule."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import alignment_programs
from tests.learners import advantage_oracles

jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")
jax_alignment = pytest.importorskip("benchmarks.jax_alignment")

SIZE = alignment_programs.Size(
    batch_size=12, episode_length=7, hidden_units=5, iterations=1
)
SEED = (1, 2)


@pytest.fixture(autouse=True)
def in_float64():
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def settings_of(**changes):
    # Several groups, so that the sum over them is tested, too.
    settings = alignment_programs.jax_settings(SIZE)
    return settings._replace(group_size=4, **changes)


def networks_of(settings, seed):
    """A policy and a critic of random weights and biases, in float64."""
    training = jax_alignment.initial(settings, seed)
    generator = np.random.default_rng(seed)
    return jax.tree.map(
        lambda x: x + generator.normal(size=x.shape),
        (training.params, training.critics),
    )


def played_by(settings, policy):
    generator = np.random.default_rng(3)
    length, batch_size = settings.episode_length, settings.batch_size
    noise = generator.uniform(size=(4 + 3 * length, batch_size))
    return jax_alignment.play(
        policy, noise[:4], noise[4:].reshape(length, 3, batch_size)
    )


def flat(nest):
    leaves = jax.tree.leaves(nest)
    return np.concatenate([np.ravel(x) for x in leaves])


# --- The game ----------------------------------------------------------------


def test_the_play_follows_the_rules():
    settings = settings_of()
    played = played_by(settings, networks_of(settings, 0)[0])
    game = alignment_programs.our_objective(SIZE).game
    seen = np.reshape(
        played.observations,
        [*played.actions.shape, *game.observation_shapes[0]],
    )
    states = [game.state_of(seen[t, 0]) for t in range(SIZE.episode_length)]
    num_taken = 0
    for t, (before, after) in enumerate(zip(states, states[1:], strict=False)):
        actions = tuple(map(tf.constant, np.asarray(played.actions[t])))
        expected, step = game.step(before, actions, SEED)
        np.testing.assert_array_equal(played.rewards[t], step.rewards)
        np.testing.assert_array_equal(after.players, expected.players)
        # Which coins there are follows from the rules, and where a new one
        # lies is drawn.
        coins, rule = np.array(after.coins), np.array(expected.coins)
        np.testing.assert_array_equal(coins == -1, rule == -1)
        is_taken = np.any(played.rewards[t], axis=0)
        np.testing.assert_array_equal(coins[:, ~is_taken], rule[:, ~is_taken])
        for cell in after.players:
            assert not np.any(is_taken & np.any(coins == cell, axis=0))
        num_taken += is_taken.sum()
    assert 0 < num_taken < len(states) * SIZE.batch_size
    mirrored = game.state_of(seen[:, 1])
    for cells, others in zip(game.state_of(seen[:, 0]), mirrored, strict=True):
        np.testing.assert_array_equal(cells, others[::-1])


def test_actions_follow_the_policy():
    settings = settings_of(batch_size=30_000, episode_length=1)
    policy, _ = networks_of(settings, 0)
    played = played_by(settings, policy)
    logits = jax_alignment.outputs_of(policy, played.observations)
    chances = np.asarray(jax.nn.softmax(logits))
    taken = np.eye(4)[np.asarray(played.actions)]
    errors = np.sum(taken - chances, axis=(0, 1, 2))
    variances = np.sum(chances * (1.0 - chances), axis=(0, 1, 2))
    assert np.all(np.abs(errors) < 4.0 * np.sqrt(variances))


# --- The rule ----------------------------------------------------------------


def test_the_direction_of_linear_networks_is_that_of_the_definition():
    settings = settings_of(hidden_units=(), entropy_coefficient=0.0)
    networks = networks_of(settings, 1)
    ((table, bias),), ((values_of, base),) = networks
    played = played_by(settings, networks[0])
    seen, rewards = np.asarray(played.observations), np.asarray(played.rewards)
    values = (seen @ values_of + base)[..., 0]
    logits = np.asarray(seen @ table + bias)
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    scores = np.eye(4)[np.asarray(played.actions)] - chances
    expected, loss = np.zeros(table.shape), np.zeros(values_of.shape)
    count = SIZE.episode_length * SIZE.batch_size
    discount = settings.discount
    for b in range(SIZE.batch_size):
        advantages = [
            advantage_oracles.generalized_advantages(
                rewards[:, i, b], values[:, i, b], discount, settings.tau
            )
            for i in range(2)
        ]
        for i in range(2):
            credit = advantage_oracles.aligned(
                advantages, i, discount, settings.weight, "averaged"
            )
            for t in range(SIZE.episode_length):
                score = np.outer(seen[t, i, b], scores[t, i, b])
                expected += credit[t] * score / count
                later = rewards[t:, i, b]
                target = np.sum(discount ** np.arange(len(later)) * later)
                error = values[t, i, b] - target
                loss += 2.0 * error * seen[t, i, b][:, np.newaxis] / count
    (found, *_), (of_critic, *_) = (
        gradients[0]
        for gradients in jax_alignment.gradients_of(settings, networks, played)
    )
    np.testing.assert_allclose(-found, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(of_critic, loss, rtol=1e-9, atol=1e-12)


def test_both_programs_move_alike():
    settings = settings_of()
    networks = networks_of(settings, 2)
    found = alignment_programs.our_gradients(SIZE, networks, SEED, "float64")
    played = jax_alignment.Play(*map(jnp.asarray, found.play))
    of_policy, of_critic = jax_alignment.gradients_of(
        settings, networks, played
    )
    np.testing.assert_allclose(
        flat(found.direction), -flat(of_policy), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(
        flat(found.critic_gradient), flat(of_critic), rtol=1e-9, atol=1e-12
    )
    clipped, _ = tf.clip_by_global_norm(
        found.direction, settings.max_gradient_norm
    )
    assert np.linalg.norm(flat(of_policy)) > settings.max_gradient_norm
    np.testing.assert_allclose(
        flat(clipped), -flat(jax_alignment.clip(settings, of_policy)), 1e-9
    )
