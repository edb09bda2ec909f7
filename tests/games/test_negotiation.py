"""Negotiation against slow NumPy, its bounds, and where it runs."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf
from dice_tf.games import Negotiation, NegotiationState
from dice_tf.seeds import split_seed

SEED = tf.constant([1, 2])


def play(game, seed, proposals):
    """Plays given proposals `[T, 2, B, K]`; returns stacked time steps."""
    reset_seed, *seeds = split_seed(seed, 1 + len(proposals))
    state, after = game.reset(reset_seed, proposals.shape[2])
    played = [(state, after)]
    for joint, step_seed in zip(proposals, seeds, strict=True):
        state, after = game.step(state, tuple(joint), step_seed)
        played.append((state, after))
    return tf.nest.map_structure(lambda *x: tf.stack(x).numpy(), *played)


def divide(values, proposals):
    """One round by the rules in words: the rewards of both."""
    rewards = [0.0, 0.0]
    for item, value in enumerate(values):
        wanted = [min(max(p[item], 0.0), 5.0) for p in proposals]
        whole = max(sum(wanted), 5.0)
        rewards[0] += value * wanted[0] / whole
        rewards[1] += (6.0 - value) * wanted[1] / whole
    return np.array(rewards) / (5.0 * len(values))


@pytest.mark.parametrize(
    ("num_items", "dtype"), [(3, "float64"), (2, "float32")]
)
def test_the_rules_are_those_of_the_slow_oracle(num_items, dtype):
    """10,000 random rounds of each."""
    game = Negotiation(num_items=num_items, dtype=dtype)
    rng = np.random.default_rng(0)
    proposals = rng.uniform(-1.0, 6.0, (40, 2, 250, num_items)).astype(dtype)
    states, after = play(game, SEED, proposals)
    kept = np.clip(proposals, 0.0, 5.0)
    for t in range(40):
        for b in range(250):
            values = states.values[t, b]
            rewards = divide(values, proposals[t, :, b])
            found = [x[t + 1, b] for x in after.rewards]
            np.testing.assert_allclose(found, rewards, rtol=1e-6)
            for i in range(2):
                mine = values if i == 0 else 6.0 - values
                last = kept[t - 1, :, b] if t else np.zeros((2, num_items))
                expected = [np.ones(num_items), mine, last[i]]
                expected += [6.0 - mine, last[1 - i]]
                np.testing.assert_allclose(
                    after.observations[i][t, b],
                    np.concatenate(expected) / 10.0,
                    rtol=1e-6,
                )
    np.testing.assert_array_equal(after.rewards[0][0], 0.0)
    np.testing.assert_array_equal(after.discounts, 1.0)
    assert after.rewards[0].dtype == after.observations[0].dtype == dtype


def test_values_are_low_or_high_and_new_in_each_round():
    game = Negotiation()
    states, _ = play(game, SEED, np.zeros([20, 2, 500, 3]))
    assert set(np.unique(states.values)) == {1.0, 5.0}
    is_high = states.values == 5.0
    # Numbers of standard errors from the means of independent coins.
    for coins in (is_high, is_high[1:] ^ is_high[:-1]):
        assert abs(coins.mean() - 0.5) < 4.5 * 0.5 / np.sqrt(coins.size)
    for one, two in ((0, 1), (0, 2), (1, 2)):
        differ = is_high[..., one] ^ is_high[..., two]
        assert abs(differ.mean() - 0.5) < 4.5 * 0.5 / np.sqrt(differ.size)


def rewards_of(propose, size=100_000):
    """Mean rewards if players propose by functions of their values."""
    game = Negotiation(dtype="float64")
    state, _ = game.reset(SEED, size)
    values = state.values, 6.0 - state.values
    actions = [f(x) for f, x in zip(propose, values, strict=True)]
    _, step = game.step(state, actions, SEED)
    return [float(tf.reduce_mean(x)) for x in step.rewards]


def test_it_is_a_dilemma_with_the_published_bounds():
    def want_all(values):
        return tf.fill(values.shape, tf.constant(5.0, tf.float64))

    def want_own(values):
        return tf.where(values == 5.0, want_all(values), 0.0)

    np.testing.assert_allclose(rewards_of([want_all] * 2), 0.3, atol=5e-3)
    np.testing.assert_allclose(rewards_of([want_own] * 2), 0.5, atol=5e-3)
    greedy, kind = rewards_of([want_all, want_own])
    # Half of what the other values, and all of the rest.
    np.testing.assert_allclose([greedy, kind], [0.55, 0.25], atol=5e-3)


def test_swapping_the_seats_swaps_everything():
    game = Negotiation(dtype="float64")
    rng = np.random.default_rng(0)
    values = tf.constant(rng.choice([1.0, 5.0], (7, 3)))
    last, now = rng.uniform(0.0, 5.0, (2, 2, 7, 3))
    ours = NegotiationState(values, tuple(map(tf.constant, last)))
    theirs = NegotiationState(6.0 - values, ours.proposals[::-1])
    _, one = game.step(ours, tuple(map(tf.constant, now)), SEED)
    _, two = game.step(theirs, tuple(map(tf.constant, now[::-1])), SEED)
    for i in range(2):
        np.testing.assert_array_equal(one.rewards[i], two.rewards[1 - i])


def test_it_is_the_same_eagerly_in_graphs_and_under_xla():
    game = Negotiation()
    proposals = tuple(
        tf.constant(np.random.default_rng(i).uniform(0.0, 5.0, (9, 3)))
        for i in range(2)
    )

    def reset_and_step(seed):
        reset_seed, step_seed = split_seed(seed, 2)
        state, first = game.reset(reset_seed, 9)
        return first, game.step(state, proposals, step_seed)

    expected = reset_and_step(SEED)
    for jit_compile in (False, True):
        found = tf.function(reset_and_step, jit_compile=jit_compile)(SEED)
        tf.nest.map_structure(
            lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-6),
            found,
            expected,
        )
    mapped = tf.vectorized_map(reset_and_step, tf.constant([[3, 4], [1, 2]]))
    tf.nest.map_structure(
        lambda x, y: np.testing.assert_allclose(x[1], y, rtol=1e-6),
        mapped,
        expected,
    )


def test_two_seats_of_one_policy_are_trained_in_it():
    game = Negotiation(episode_length=3, dtype="float64")

    def head(outputs):
        mean = 5.0 * tf.sigmoid(outputs)
        return tfp.distributions.MultivariateNormalDiag(mean, [0.5] * 3)

    network = keras.Sequential(
        [keras.Input((15,)), keras.layers.Dense(3, dtype="float64")]
    )
    policy = dice_tf.policies.with_head(network, head)
    policies = [policy, policy]
    objective = dice_tf.objectives.DiCEObjective(game, policies, 1.0, 8)
    trainer = dice_tf.Trainer(objective, [dice_tf.learners.Naive()] * 2)
    trainer.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    before = policy.get_weights()
    trainer.fit(steps_per_epoch=2, verbose=0)
    assert np.all(np.isfinite(trainer.curves))
    assert 0.05 < trainer.curves.mean() < 0.5
    assert np.abs(policy.get_weights()[0] - before[0]).max() > 1e-4
    dice_tf.check_game(game)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"episode_length": 0}, "`episode_length` must be at least 1"),
        ({"num_items": 0}, "`num_items` must be at least 1"),
        ({"dtype": "float16"}, "`dtype` must be"),
    ],
)
def test_arguments_out_of_their_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Negotiation(**arguments)


def test_what_is_not_a_proposal_is_refused():
    game = Negotiation()
    state, _ = game.reset(SEED, 4)
    right, wrong = tf.zeros([4, 3]), tf.zeros([4])
    message = r"`actions\[1\]` must have shape \[B, num_items\] = \(4, 3\)"
    with pytest.raises(ValueError, match=message):
        game.step(state, (right, wrong), SEED)
    with pytest.raises(TypeError, match="`state` must be what `reset`"):
        game.step(state.values, (right, right), SEED)
