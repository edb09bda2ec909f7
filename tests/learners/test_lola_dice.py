"""LOLA-DiCE, against its definition computed in other ways."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf import seeds
from dice_tf.games import FiniteGame
from dice_tf.inner_optimizers import SGD
from dice_tf.learners import LOLADiCE, Naive
from dice_tf.objectives import DiCEObjective, FunctionObjective
from tests import oracles
from tests.toys import (
    ASYMMETRIC,
    THREE_PLAYERS,
    Plain,
    exact_objective,
    random_params,
    swap_seats,
    tabular_policies,
)

GAMES = {"2": ASYMMETRIC, "3": THREE_PLAYERS}
DISCOUNT, LENGTH = 0.9, 3


class Exact:
    """An exact objective with random parameters, and its oracle."""

    def __init__(self, payoffs, length=LENGTH):
        self.objective = exact_objective(payoffs, DISCOUNT, length)
        self.params = random_params(self.objective.policies, 0)
        self.thetas = [player_params[0] for player_params in self.params]
        self.value = functools.partial(self._value, payoffs, length)

    @staticmethod
    def _value(payoffs, length, thetas):
        return oracles.values(payoffs, thetas, DISCOUNT, length)


# --- Exact values -----------------------------------------------------------


@pytest.mark.parametrize("num_lookaheads", [1, 2])
@pytest.mark.parametrize("name, player_id", [("2", 0), ("2", 1), ("3", 1)])
def test_the_direction_is_the_total_derivative(name, player_id, num_lookaheads):
    """d/dtheta_i V_i(theta_i, theta_-i^K(theta_i)) by finite differences."""
    setting = Exact(GAMES[name])
    rates = [1.5] * len(setting.thetas)
    (found,) = LOLADiCE(num_lookaheads, 1.5).gradient(
        setting.objective, setting.params, player_id
    )
    expected = oracles.lola_dice(
        setting.value, setting.thetas, player_id, num_lookaheads, rates
    )
    np.testing.assert_allclose(found, expected, atol=1e-8)
    # The shaping term counts: with the opponents' steps held constant, the
    # direction is another by at least a twentieth of its length.
    constant = oracles.without_shaping(
        setting.value, setting.thetas, player_id, num_lookaheads, rates
    )
    difference = np.linalg.norm(found - constant)
    assert difference > 0.05 * np.linalg.norm(constant)


@pytest.mark.parametrize("player_id", [0, 1, 2])
def test_each_opponent_may_have_a_rate_of_its_own(player_id):
    setting, rates = Exact(THREE_PLAYERS), (0.4, 1.3, 2.2)
    (found,) = LOLADiCE(1, rates).gradient(
        setting.objective, setting.params, player_id
    )
    expected = oracles.lola_dice(
        setting.value, setting.thetas, player_id, 1, rates
    )
    np.testing.assert_allclose(found, expected, atol=1e-8)
    # Its own rate is not used.
    other = [9.9 if i == player_id else rate for i, rate in enumerate(rates)]
    (again,) = LOLADiCE(1, other).gradient(
        setting.objective, setting.params, player_id
    )
    np.testing.assert_array_equal(found, again)


def test_the_inner_optimizer_makes_the_imagined_steps():
    setting = Exact(ASYMMETRIC)
    (found,) = LOLADiCE(3, 0.8, SGD(momentum=0.7)).gradient(
        setting.objective, setting.params, 0
    )
    expected = oracles.lola_dice(
        setting.value, setting.thetas, 0, 3, [0.8, 0.8], momentum=0.7
    )
    np.testing.assert_allclose(found, expected, atol=1e-8)
    (plain,) = LOLADiCE(3, 0.8).gradient(setting.objective, setting.params, 0)
    assert np.linalg.norm(found - plain) > 0.1 * np.linalg.norm(plain)


def test_opponents_step_at_once_and_the_player_stands_still():
    setting = Exact(THREE_PLAYERS)
    params = [[tf.constant(theta)] for theta in setting.thetas]
    reached = LOLADiCE(2, 1.5).look_ahead(
        setting.objective, params, 1, [None, None]
    )
    expected = oracles.look_ahead(
        setting.value, setting.thetas, 1, 2, [1.5] * 3
    )
    for (found,), theta in zip(reached, expected, strict=True):
        np.testing.assert_allclose(found, theta, atol=1e-12)
    assert reached[1][0] is params[1][0]


@pytest.mark.parametrize("name, order", [("2", (1, 0)), ("3", (1, 2, 0))])
def test_moving_every_player_to_another_seat_moves_the_directions(name, order):
    setting = Exact(GAMES[name])
    moved = exact_objective(swap_seats(GAMES[name], order), DISCOUNT, LENGTH)
    learner = LOLADiCE(2, 1.5)
    seated = [setting.params[player_id] for player_id in order]
    for seat, player_id in enumerate(order):
        (found,) = learner.gradient(moved, seated, seat)
        (expected,) = learner.gradient(
            setting.objective, setting.params, player_id
        )
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_an_infinite_horizon_is_looked_ahead_in_too():
    payoffs = ASYMMETRIC
    objective = exact_objective(payoffs, 0.7, None)
    params = random_params(objective.policies, 0)
    (found,) = LOLADiCE(1, 0.5).gradient(objective, params, 1)
    expected = oracles.lola_dice(
        lambda thetas: oracles.values(payoffs, thetas, 0.7, 110),
        [player_params[0] for player_params in params],
        1,
        1,
        [0.5, 0.5],
    )
    np.testing.assert_allclose(found, expected, atol=1e-8)


# --- A closed form ----------------------------------------------------------


def test_in_a_quadratic_game_it_has_the_closed_form():
    """V_0 = -a x^2 / 2 + b x y, V_1 = -c y^2 / 2 + d x y.

    The opponent's step leads to y' = (1 - r c) y + r d x. With
    V_0(x, y'(x)) = -a x^2 / 2 + b x y', the total derivative is
    -a x + b y' + b x dy'/dx with dy'/dx = r d; after a second step
    y'' = (1 - r c) y' + r d x, and dy''/dx = r d (1 + (1 - r c)).
    """
    a, b, c, d, rate, x, y = 0.7, 1.1, 0.4, -0.9, 0.3, 1.7, -0.6
    objective = FunctionObjective(
        [
            lambda params: (
                -0.5 * a * params[0][0] ** 2 + b * params[0][0] * params[1][0]
            ),
            lambda params: (
                -0.5 * c * params[1][0] ** 2 + d * params[0][0] * params[1][0]
            ),
        ]
    )
    params = [[tf.constant(x, tf.float64)], [tf.constant(y, tf.float64)]]
    first = (1 - rate * c) * y + rate * d * x
    second = (1 - rate * c) * first + rate * d * x
    slopes = [0.0, rate * d, rate * d * (2 - rate * c)]
    for num_lookaheads, reached in enumerate((y, first, second)):
        expected = -a * x + b * reached + b * x * slopes[num_lookaheads]
        (found,) = LOLADiCE(num_lookaheads, rate).gradient(objective, params, 0)
        np.testing.assert_allclose(found, expected, rtol=1e-13)


# --- Degenerate cases -------------------------------------------------------


def sampled_objective(batch_size=8, length=LENGTH, dtype="float64"):
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, length, dtype=dtype)
    return DiCEObjective(game, tabular_policies(game), DISCOUNT, batch_size)


@pytest.mark.parametrize("kind", ["exact", "sampled"])
def test_without_a_look_ahead_it_is_naive(kind):
    objective = {
        "exact": Exact(ASYMMETRIC).objective,
        "sampled": sampled_objective(),
    }[kind]
    params = random_params(objective.policies, 0)
    seed = tf.constant([1, 2])
    for player_id in range(2):
        for one, other in zip(
            LOLADiCE(0, 5.0).gradient(objective, params, player_id, seed),
            Naive().gradient(objective, params, player_id, seed),
            strict=True,
        ):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("num_lookaheads", [1, 2])
def test_with_a_rate_of_0_it_is_naive(num_lookaheads):
    setting = Exact(ASYMMETRIC)
    for player_id in range(2):
        (found,) = LOLADiCE(num_lookaheads, 0.0).gradient(
            setting.objective, setting.params, player_id
        )
        (naive,) = Naive().gradient(
            setting.objective, setting.params, player_id
        )
        np.testing.assert_allclose(found, naive, rtol=1e-13)


def test_against_a_fixed_policy_it_is_naive():
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3, dtype="float64")
    policies = [
        dice_tf.policies.tabular(game, 0),
        dice_tf.policies.tit_for_tat(game, 1),
    ]
    objective = dice_tf.objectives.ExactObjective(game, policies, DISCOUNT)
    params = random_params(policies, 0)
    (found,) = LOLADiCE(2, 1.0).gradient(objective, params, 0)
    (naive,) = Naive().gradient(objective, params, 0)
    np.testing.assert_array_equal(found, naive)


# --- Sampled play -----------------------------------------------------------


def test_a_sampled_direction_is_close_to_the_exact_one():
    """For both players, with the cosine that its own noise allows.

    A mean direction with errors of length e around an exact one of length g
    has a cosine above sqrt(1 - (e / g)^2). The errors are measured between
    batches; twice their length is allowed for.
    """
    length, batches, size, rate = 20, 6, 4096, 2.0
    objective = sampled_objective(size, length, dtype="float32")
    params = random_params(objective.policies, 1)
    exact = exact_objective(ASYMMETRIC, DISCOUNT, length)
    thetas = [np.float64(player_params[0]) for player_params in params]
    learner = LOLADiCE(1, rate)

    @tf.function
    def sample(seed):
        return [learner.gradient(objective, params, i, seed) for i in range(2)]

    samples = [sample(tf.constant([5, k])) for k in range(batches)]
    for player_id in range(2):
        directions = np.array(
            [np.ravel(sample[player_id]) for sample in samples]
        )
        mean = directions.mean(axis=0)
        errors = directions.std(axis=0, ddof=1) / np.sqrt(batches)
        expected = np.ravel(
            learner.gradient(exact, [[x] for x in thetas], player_id)
        )
        noise = 2 * np.linalg.norm(errors) / np.linalg.norm(expected)
        assert noise < 0.15, "too noisy to tell"
        assert cosine(mean, expected) > np.sqrt(1 - noise**2)
        # Without the shaping term it would not be.
        constant = oracles.without_shaping(
            lambda at: oracles.values(ASYMMETRIC, at, DISCOUNT, length),
            thetas,
            player_id,
            1,
            [rate, rate],
        )
        assert cosine(np.ravel(constant), expected) < np.sqrt(1 - noise**2)


def cosine(x, y):
    return x @ y / np.linalg.norm(x) / np.linalg.norm(y)


def chance_game():
    rng = np.random.default_rng(4)
    return FiniteGame(
        rng.normal(size=(2, 3, 2, 2)),
        rng.dirichlet(np.ones(3), size=(3, 2, 2)),
        rng.dirichlet(np.ones(3)),
        episode_length=3,
    )


@pytest.mark.parametrize("wrap", [lambda game: game, Plain])
def test_no_two_draws_of_a_step_share_their_key(monkeypatch, wrap):
    """Each evaluation plays afresh, with noise that no other one has."""
    game = wrap(chance_game())
    objective = DiCEObjective(game, tabular_policies(game), 0.9, 2)
    keys, draw = [], seeds._draw_bits

    def record(key, shape):
        keys.append(tuple(key.numpy()))
        return draw(key, shape)

    monkeypatch.setattr(seeds, "_draw_bits", record)
    params, num_lookaheads = objective.initial_params(), 3
    LOLADiCE(num_lookaheads, 0.1).gradient(objective, params, 0, [3, 4])
    # In general the first actions of each play are drawn once more.
    repeated = 2 * (num_lookaheads + 1) if wrap is Plain else 0
    assert len(keys) - repeated == len(set(keys)) >= 3 * (num_lookaheads + 1)


# --- Bad input --------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ((-1,), ValueError, "`num_lookaheads` must be at least 0"),
        ((1.5,), TypeError, "`num_lookaheads` must be a whole number"),
        ((1, -0.1), ValueError, "`inner_learning_rate` must be finite and at"),
        ((1, float("nan")), ValueError, "`inner_learning_rate` must be finite"),
        ((1, [0.1, -1]), ValueError, "`inner_learning_rate` must be finite an"),
        ((1, "0.1"), TypeError, "`inner_learning_rate` must be a number"),
        ((1, [0.1, None]), TypeError, "`inner_learning_rate` must be a numbe"),
    ],
)
def test_arguments_out_of_their_range_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        LOLADiCE(*arguments)


def test_rates_must_be_one_for_each_player():
    setting = Exact(THREE_PLAYERS)
    with pytest.raises(ValueError, match="or one for each of 3 players"):
        LOLADiCE(1, (0.1, 0.2)).gradient(setting.objective, setting.params, 0)
