"""Closed-form values of policies in a finite game."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from dice_tf.games import FiniteGame, iterated_matrix_game
from dice_tf.play import exact_values as exact
from tests import oracles
from tests.toys import ASYMMETRIC, THREE_PLAYERS

GAMES = {"2": ASYMMETRIC, "3": THREE_PLAYERS}
# Discount, length: finite, undiscounted, of one step, infinite.
HORIZONS = [(0.96, 7), (1.0, 6), (0.0, 4), (0.9, 1), (0.8, None)]
# At discount .8 all that follows step 180 is below 1e-17.
LONG = 180


def random_thetas(payoffs, seed=0):
    """One `[O, A]` table of logits per player."""
    rng = np.random.default_rng(seed)
    num_states = int(np.prod(payoffs.shape[1:])) + 1
    return [rng.normal(size=(num_states, count)) for count in payoffs.shape[1:]]


def tables(game, thetas):
    """Log-probabilities `[S, A]` by state, of logits by observation."""
    return [
        tf.nn.log_softmax(tf.constant(seen) @ theta)
        for seen, theta in zip(game.observations, thetas, strict=True)
    ]


@functools.cache
def game_of(name):
    return iterated_matrix_game(GAMES[name], 1, dtype="float64")


@pytest.mark.parametrize("discount, length", HORIZONS)
@pytest.mark.parametrize("name", GAMES)
def test_values_are_those_of_the_distribution_over_states(
    name, discount, length
):
    game, thetas = game_of(name), random_thetas(GAMES[name])
    found = exact.initial_values(game, tables(game, thetas), discount, length)
    expected = oracles.values(GAMES[name], thetas, discount, length or LONG)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("discount, length", HORIZONS)
@pytest.mark.parametrize("name", GAMES)
def test_state_values_are_those_of_backward_induction(name, discount, length):
    game, thetas = game_of(name), random_thetas(GAMES[name])
    found = exact.state_values(game, tables(game, thetas), discount, length)
    expected = oracles.state_values(
        GAMES[name], thetas, discount, length or LONG
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("discount, length", HORIZONS)
@pytest.mark.parametrize("name", GAMES)
def test_state_visits_are_shares_of_discounted_time(name, discount, length):
    game, thetas = game_of(name), random_thetas(GAMES[name])
    found = exact.state_visits(game, tables(game, thetas), discount, length)
    distributions = oracles.state_distributions(
        thetas, game.num_actions, length or LONG
    )
    weights = discount ** np.arange(len(distributions))
    expected = weights @ distributions / weights.sum()
    np.testing.assert_allclose(found, expected, atol=1e-13)


@pytest.mark.parametrize("length", range(1, 18))
def test_every_length_has_its_own_value(length):
    # The geometric sum doubles: each length takes another path through it.
    game, thetas = game_of("2"), random_thetas(ASYMMETRIC, seed=length)
    for discount in (0.95, 1.0):
        found = exact.initial_values(
            game, tables(game, thetas), discount, length
        )
        np.testing.assert_allclose(
            found,
            oracles.values(ASYMMETRIC, thetas, discount, length),
            rtol=1e-12,
        )


@pytest.mark.parametrize("discount, length", [(0.96, 6), (1.0, 5), (0.8, None)])
@pytest.mark.parametrize("name", GAMES)
def test_gradients_are_those_of_the_complex_step(name, discount, length):
    game, thetas = game_of(name), random_thetas(GAMES[name])
    variables = [tf.constant(theta) for theta in thetas]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(variables)
        values = exact.initial_values(
            game, tables(game, variables), discount, length
        )
    for i, value in enumerate(values):
        for j, variable in enumerate(variables):
            expected = oracles.complex_step_gradient(
                lambda x, i=i, j=j: oracles.values(
                    GAMES[name],
                    oracles.replace(thetas, j, x),
                    discount,
                    length or LONG,
                )[i],
                thetas[j],
            )
            np.testing.assert_allclose(
                tape.gradient(value, variable), expected, atol=1e-11
            )


@pytest.mark.parametrize("length", [6, None])
def test_hessian_vector_products_are_those_of_finite_differences(length):
    game, thetas = game_of("2"), random_thetas(ASYMMETRIC)
    direction = tf.constant(np.random.default_rng(1).normal(size=(5, 2)))

    def gradients(theta):
        """Of player 0's value in the parameters of player 1."""
        return oracles.complex_step_gradient(
            lambda x: oracles.values(
                ASYMMETRIC, [theta, x], 0.8, length or LONG
            )[0],
            thetas[1],
        )

    own, other = [tf.constant(theta) for theta in thetas]
    with tf.GradientTape() as outer:
        outer.watch(own)
        with tf.GradientTape() as inner:
            inner.watch(other)
            value = exact.initial_values(
                game, tables(game, [own, other]), 0.8, length
            )[0]
        gradient = inner.gradient(value, other)
    np.testing.assert_allclose(
        outer.gradient(gradient, own, output_gradients=direction),
        oracles.gradient(lambda x: np.sum(direction * gradients(x)), thetas[0]),
        atol=1e-8,
    )


@pytest.mark.parametrize("name", GAMES)
def test_an_infinite_horizon_is_the_limit_of_long_ones(name):
    game, thetas = game_of(name), random_thetas(GAMES[name])
    own = tables(game, thetas)
    limit = np.array(exact.initial_values(game, own, 0.9, None))
    visits = exact.state_visits(game, own, 0.9, None)
    errors = []
    for length in (10, 20, 40, 400):
        values = np.array(exact.initial_values(game, own, 0.9, length))
        errors.append(np.abs(values - limit).max())
    largest = np.abs(GAMES[name]).max() / (1 - 0.9)
    assert errors[0] > errors[1] > errors[2] > errors[3]
    assert errors[2] < 0.9**40 * largest and errors[3] < 1e-12
    np.testing.assert_allclose(
        exact.state_visits(game, own, 0.9, 400), visits, atol=1e-13
    )


def test_any_markov_game_has_its_value():
    """With chance moves, rewards by state and players that see it all."""
    rng = np.random.default_rng(2)
    rewards = rng.normal(size=(2, 4, 2, 3))
    transitions = rng.dirichlet(np.ones(4), size=(4, 2, 3))
    initial = rng.dirichlet(np.ones(4))
    game = FiniteGame(
        rewards, transitions, initial, episode_length=5, dtype="float64"
    )
    policies = [rng.dirichlet(np.ones(count), size=4) for count in (2, 3)]
    found = exact.initial_values(
        game, [tf.math.log(pi) for pi in policies], 0.9, 5
    )
    expected = oracles.markov_values(
        rewards, transitions, initial, policies, 0.9, 5
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_joint_probabilities_are_products_row_major():
    game, thetas = game_of("3"), random_thetas(THREE_PLAYERS)
    joint = exact.joint_probabilities(tables(game, thetas))
    assert joint.shape == [13, 12]
    np.testing.assert_allclose(
        joint, oracles.joint_policy(thetas, (2, 3, 2)), rtol=1e-12
    )


def test_values_keep_the_dtype_of_the_policies():
    game, thetas = game_of("2"), random_thetas(ASYMMETRIC)
    own = [tf.cast(table, tf.float32) for table in tables(game, thetas)]
    for length in (6, None):
        values = exact.initial_values(game, own, 0.96, length)
        assert {value.dtype for value in values} == {tf.float32}
        np.testing.assert_allclose(
            values,
            oracles.values(ASYMMETRIC, thetas, 0.96, length or 1500),
            rtol=1e-4,
        )


@pytest.mark.parametrize("length", [7, None])
def test_it_compiles(length):
    game, thetas = game_of("2"), random_thetas(ASYMMETRIC)
    own = tables(game, thetas)

    def values(own):
        return exact.initial_values(game, own, 0.9, length)

    compiled = tf.function(values, jit_compile=True)(own)
    np.testing.assert_allclose(compiled, values(own), rtol=1e-12)
