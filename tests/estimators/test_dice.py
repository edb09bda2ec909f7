"""DiCE: the magic box and the objective.

The derivatives are proven without Monte-Carlo error: in a game small enough to
enumerate every trajectory, an expectation is a sum over all of them, weighted
by probabilities that are held constant.
"""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from dice_tf import dice_objective, magic_box
from dice_tf.objectives.baselines import leave_one_out_state_values
from tests import oracles
from tests.enumeration import SIZE, directional_derivatives, trajectories
from tests.toys import ASYMMETRIC


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape))


# --- The magic box ----------------------------------------------------------


def test_the_magic_box_is_1():
    x = normal(50) * 100.0
    np.testing.assert_array_equal(magic_box(x), np.ones(50))
    assert magic_box(tf.constant([1.0])).dtype == tf.float32


def test_derivatives_of_the_magic_box_are_those_of_an_exponential():
    x, u, v = normal(5), normal(5, seed=1), normal(5, seed=2)
    constant = tf.constant(x.numpy())
    found = directional_derivatives(magic_box, x, (u, v))
    expected = directional_derivatives(
        lambda y: tf.exp(y - constant), x, (u, v)
    )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-14)
    np.testing.assert_allclose(found[3], u * v, rtol=1e-14)


def test_the_gradient_of_the_magic_box_of_f_is_that_of_f():
    x = normal(5)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = magic_box(tf.reduce_sum(tf.sin(x) * 3.0))
    np.testing.assert_allclose(tape.gradient(y, x), 3 * np.cos(x), rtol=1e-14)


# --- Every trajectory of a small game ---------------------------------------


def ending_discounts(game):
    """Per step, by state and joint action: about one in three ends it."""
    rng = np.random.default_rng(3)
    table = rng.uniform(0.5, 1.0, size=(5, 4))
    table *= rng.uniform(size=(5, 4)) > 0.35
    return table[game.rows[0], 2 * game.actions[0] + game.actions[1]]


def discounts_of(game, discount):
    """Discounts of each step, `[T, n]`: all the same, or `"ending"`."""
    if discount == "ending":
        return ending_discounts(game)
    return np.full(game.rewards.shape, discount)


def expected_return(game, theta, discount):
    """The sum over trajectories of probability times return."""
    weights = oracles.discount_weights(discounts_of(game, discount))
    returns = np.sum(weights * game.rewards, axis=0)
    return tf.reduce_sum(game.chances(theta) * returns)


def expected_batch_objective(game, theta, discount, batch_size, baseline):
    """Expectation of the batch mean, over all batches of trajectories.

    `baseline` is a function of the numbers of the trajectories in a batch.
    """
    size = game.rewards.shape[1]
    batches = itertools.product(range(size), repeat=batch_size)
    batches = tf.constant(list(batches))
    discounts = discounts_of(game, discount)

    def batch_objective(batch):
        return tf.reduce_mean(
            dice_objective(
                tf.gather(game.log_probs(theta), batch, axis=1),
                tf.gather(game.rewards, batch, axis=1),
                discount=tf.gather(discounts, batch, axis=1)
                if discount == "ending"
                else discount,
                baseline=baseline(batch),
            )
        )

    chances = tf.gather(game.chances(theta), batches)
    chances = tf.stop_gradient(tf.reduce_prod(chances, axis=1))
    objectives = tf.vectorized_map(batch_objective, batches)
    return tf.reduce_sum(chances * objectives)


def assert_derivatives_equal(function, reference, num_directions=3):
    theta = normal(SIZE, seed=7)

    # One function for all directions, since tracing is what takes time.
    @tf.function
    def both(theta, u, v):
        return [
            directional_derivatives(f, theta, (u, v))
            for f in (function, reference)
        ]

    for k in range(num_directions):
        u, v = normal(SIZE, seed=8 + k), normal(SIZE, seed=20 + k)
        found, expected = both(theta, u, v)
        for order, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert np.abs(other).max() > 1e-3, "nothing to compare"
            np.testing.assert_allclose(
                one, other, rtol=1e-10, atol=1e-12, err_msg=f"order {order}"
            )


def test_the_enumeration_is_of_the_game():
    game, theta = trajectories(3), normal(SIZE, seed=7)
    thetas = np.split(theta.numpy()[:, np.newaxis], 2)
    np.testing.assert_allclose(
        tf.reduce_sum(game.chances(theta)), 1.0, rtol=1e-14
    )
    np.testing.assert_allclose(
        expected_return(game, theta, 0.9),
        oracles.values(ASYMMETRIC, thetas, 0.9, 3)[0],
        rtol=1e-13,
    )
    ended = ending_discounts(game) == 0
    assert 0.1 < ended.mean() < 0.9


@pytest.mark.parametrize("discount", [0.9, 1.0, "ending"])
@pytest.mark.parametrize("baseline", ["none", "state_values"])
def test_expected_derivatives_of_three_orders_are_exact(baseline, discount):
    game = trajectories(3)
    discounts = discounts_of(game, discount)

    def estimator(log_probs):
        return dice_objective(
            log_probs,
            game.rewards,
            discount=discounts if discount == "ending" else discount,
            baseline=None if baseline == "none" else game.values,
        )

    assert_derivatives_equal(
        lambda theta: game.expectation(theta, estimator),
        lambda theta: expected_return(game, theta, discount),
    )


@pytest.mark.parametrize("discount", [0.9, "ending"])
@pytest.mark.parametrize("batch_size", [2, 3])
def test_they_are_exact_when_one_episode_is_left_out(batch_size, discount):
    game = trajectories(2)
    assert_derivatives_equal(
        lambda theta: expected_batch_objective(
            game, theta, discount, batch_size, lambda batch: "leave_one_out"
        ),
        lambda theta: expected_return(game, theta, discount),
        num_directions=2,
    )


def test_they_are_exact_with_state_values_of_the_other_episodes():
    game = trajectories(2)
    # Player 0 sees the joint action in its plain order: the state.
    states, rewards = tf.constant(game.rows[0], tf.int32), game.rewards

    def others_values(batch):
        return leave_one_out_state_values(
            tf.gather(states, batch, axis=1),
            tf.gather(rewards, batch, axis=1),
            5,
            0.9,
        )

    assert_derivatives_equal(
        lambda theta: expected_batch_objective(
            game, theta, 0.9, 2, others_values
        ),
        lambda theta: expected_return(game, theta, 0.9),
        num_directions=2,
    )


# --- Every sample -----------------------------------------------------------

T, B = 6, 5


def baselines():
    return {
        "none": None,
        "leave_one_out": "leave_one_out",
        "state_values": normal(T, B, seed=4),
    }


def random_discounts():
    rng = np.random.default_rng(9)
    return rng.uniform(0.5, 1, (T, B)) * (rng.uniform(size=(T, B)) > 0.2)


@pytest.mark.parametrize("baseline", list(baselines()))
def test_the_value_is_the_discounted_return_whatever_the_baseline(baseline):
    log_probs, rewards = -(normal(T, B) ** 2), normal(T, B, seed=1)
    for discount in (0.0, 0.8, 1, random_discounts()):
        discounts = np.broadcast_to(discount, (T, B)).astype(np.float64)
        weights = oracles.discount_weights(discounts)
        result = dice_objective(
            log_probs,
            rewards,
            discount=discount,
            baseline=baselines()[baseline],
        )
        assert result.shape == [B]
        np.testing.assert_allclose(
            result, np.sum(weights * rewards, axis=0), rtol=1e-13
        )


@pytest.mark.parametrize("baseline", list(baselines()))
def test_the_gradient_of_each_sample_is_reinforce(baseline):
    """dJ/dlog p_t: what is earned from t on, less the baseline's due."""
    log_probs, rewards = -(normal(T, B) ** 2), normal(T, B, seed=1)
    discounts = random_discounts()
    weights = oracles.discount_weights(discounts)
    earned = weights * rewards.numpy()
    if baseline == "leave_one_out":
        earned = earned - oracles.leave_one_out_mean(earned)
    expected = np.cumsum(earned[::-1], axis=0)[::-1]
    if baseline == "state_values":
        expected = expected - weights * baselines()[baseline].numpy()
    # Of what is done after the end nothing is earned, and nothing is due.
    expected = np.where(weights > 0.0, expected, 0.0)
    with tf.GradientTape() as tape:
        tape.watch(log_probs)
        result = dice_objective(
            log_probs,
            rewards,
            discount=discounts,
            baseline=baselines()[baseline],
        )
    np.testing.assert_allclose(
        tape.gradient(result, log_probs), expected, rtol=1e-12, atol=1e-13
    )


def test_perfect_state_values_leave_no_noise_of_any_order():
    """With b_t = G_t the sum over time telescopes to the constant b_0."""
    rewards, discounts = normal(T, B).numpy(), random_discounts()
    values = oracles.returns_to_go(rewards, discounts)
    directions = normal(2, T, B, seed=6)
    found = directional_derivatives(
        lambda log_probs: dice_objective(
            log_probs, rewards, discount=discounts, baseline=values
        ),
        normal(T, B, seed=1),
        tf.unstack(directions),
    )
    np.testing.assert_allclose(found[0], values[0], rtol=1e-12)
    for derivative in found[1:]:
        np.testing.assert_allclose(derivative, np.zeros((T, B)), atol=1e-12)


@pytest.mark.parametrize(
    "held_constant, baseline",
    [
        *itertools.product(("rewards", "discount"), baselines()),
        ("baseline", "state_values"),
    ],
)
def test_gradients_flow_through_the_log_probabilities_only(
    held_constant, baseline
):
    arguments = {
        "rewards": normal(T, B, seed=1),
        "discount": tf.constant(random_discounts()),
        "baseline": baselines()[baseline],
    }
    watched = arguments[held_constant]
    log_probs = normal(T, B)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch((watched, log_probs))
        result = dice_objective(log_probs, **arguments)
        # Second derivatives must not open the way either.
        gradient = tape.gradient(result, log_probs)
    assert tape.gradient(result, watched) is None
    assert tape.gradient(gradient, watched) is None


@pytest.mark.parametrize("baseline", list(baselines()))
def test_rewards_and_values_that_depend_on_parameters_do_not_show(baseline):
    theta = normal(3)
    features = normal(T, B, 3, seed=5)

    def gradient(dependent):
        with tf.GradientTape() as tape:
            tape.watch(theta)
            inner = theta if dependent else tf.constant(theta.numpy())
            log_probs = tf.linalg.matvec(features, theta)
            rewards = tf.tanh(tf.linalg.matvec(features, inner))
            values = baselines()[baseline]
            if isinstance(values, tf.Tensor):
                values = values * tf.reduce_sum(inner)
            result = dice_objective(
                log_probs, rewards, discount=0.9, baseline=values
            )
        return tape.gradient(result, theta)

    np.testing.assert_array_equal(gradient(True), gradient(False))


def test_means_of_ones_own_take_the_place_of_those_of_the_others():
    rewards = normal(4, 6, seed=1)
    start = normal(4, 6, seed=2)
    found = []
    for baseline in ("leave_one_out", oracles.leave_one_out_mean):
        with tf.GradientTape() as tape:
            tape.watch(start)
            objective = dice_objective(
                start, rewards, discount=0.9, baseline=baseline
            )
        found.append([objective, tape.gradient(objective, start)])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("baseline", ["none", "leave_one_out"])
def test_it_is_the_same_in_graphs_and_under_xla_for_any_batch(baseline):
    log_probs, rewards = normal(T, B), normal(T, B, seed=1)

    def gradient(log_probs, rewards):
        with tf.GradientTape() as tape:
            tape.watch(log_probs)
            result = dice_objective(
                log_probs,
                rewards,
                discount=0.9,
                baseline=baselines()[baseline],
            )
        return tape.gradient(result, log_probs)

    eager = gradient(log_probs, rewards)
    free = tf.TensorSpec([None, None], tf.float64)
    graph = tf.function(gradient, input_signature=[free, free])
    compiled = tf.function(gradient, jit_compile=True)
    for function in (graph, compiled):
        np.testing.assert_allclose(
            function(log_probs, rewards), eager, rtol=1e-12
        )


def test_float32_and_numpy_inputs_keep_their_dtype():
    log_probs = np.float32(normal(T, B))
    for baseline in ("leave_one_out", np.float32(normal(T, B))):
        result = dice_objective(
            log_probs, np.ones((T, B)), discount=0.5, baseline=baseline
        )
        assert result.dtype == tf.float32


# --- Bad input --------------------------------------------------------------


def call(**changes):
    arguments = {
        "log_probs": normal(T, B),
        "rewards": normal(T, B),
        "discount": 0.9,
        "baseline": None,
    }
    arguments.update(changes)
    return dice_objective(
        arguments.pop("log_probs"), arguments.pop("rewards"), **arguments
    )


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"log_probs": normal(T)}, r"`log_probs` must have shape \[T, B\]"),
        ({"rewards": normal(B, T)}, r"`rewards` must have the shape of `log_"),
        ({"rewards": normal(T, B, 1)}, r"`rewards` must have the shape of"),
        ({"discount": 1.1}, r"`discount` must be finite and in \[0, 1\]"),
        ({"discount": float("nan")}, r"`discount` must be finite and in"),
        ({"discount": normal(T)}, r"`discount` must have shape \[\] or \[T"),
        ({"discount": normal(T, 1)}, r"`discount` must have the shape of `re"),
        ({"baseline": "critic"}, r"`baseline` must be None, 'leave_one_out' o"),
        ({"baseline": normal(T)}, r"`baseline` must have the shape of `log_p"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_arguments_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        call(**changes)


def test_leaving_one_out_needs_two_episodes():
    with pytest.raises(ValueError, match="needs a batch of at least 2 epis"):
        dice_objective(
            normal(T, 1),
            normal(T, 1),
            discount=0.9,
            baseline="leave_one_out",
        )
