"""The continuous game, its closed form, and learning in it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf
from dice_tf.games import RepeatedCournot

SCALE = 0.4
DISCOUNT = 0.9


def cournot(num_players=2, **changes):
    options = {
        "episode_length": 3,
        "costs": [0.5, 0.1, 0.3][:num_players],
        "slope": 0.7,
        "initial_quantity": 0.6,
        "dtype": "float64",
    }
    return RepeatedCournot(num_players=num_players, **{**options, **changes})


def head(outputs):
    scale = tf.constant(SCALE, outputs.dtype)
    return tfp.distributions.Normal(outputs[..., 0], scale)


def linear_policies(game):
    return [
        dice_tf.policies.with_head(
            keras.Sequential(
                [
                    keras.Input((game.num_players,), dtype="float64"),
                    keras.layers.Dense(1, dtype="float64"),
                ]
            ),
            head,
        )
        for _ in range(game.num_players)
    ]


def random_params(game, seed=0):
    """Kernel and bias of each player's linear policy."""
    rng = np.random.default_rng(seed)
    size = game.num_players
    return [
        [
            tf.constant(rng.uniform(-0.4, 0.4, size=(size, 1))),
            tf.constant(rng.uniform(0.5, 1.0, size=1)),
        ]
        for _ in range(size)
    ]


def exact_objective(game):
    """The closed form, as an objective of the linear policies' parameters."""

    def value_of(player_id):
        def value(params):
            return game.linear_gaussian_values(
                [tf.reshape(kernel, [-1]) for kernel, _ in params],
                [tf.squeeze(bias) for _, bias in params],
                [tf.constant(SCALE, tf.float64)] * game.num_players,
                discount=DISCOUNT,
            )[player_id]

        return value

    return dice_tf.objectives.FunctionObjective(
        [value_of(i) for i in range(game.num_players)]
    )


def sampled_objective(game, batch_size, baseline=None, critics=None):
    return dice_tf.objectives.DiCEObjective(
        game,
        linear_policies(game),
        DISCOUNT,
        batch_size,
        baseline,
        critics,
    )


def slow_values(game, params, quadrature=5):
    """E[sum_t gamma^t profit_i], by nested Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(quadrature)
    weights = weights / weights.sum()
    size = game.num_players
    grid = np.stack(np.meshgrid(*[nodes] * size, indexing="ij"), -1)
    grid = grid.reshape(-1, size)
    chances = weights
    for _ in range(size - 1):
        chances = np.multiply.outer(chances, weights)
    states = np.full((1, size), game.initial_quantity)
    probabilities, total = np.ones(1), np.zeros(size)
    for t in range(game.episode_length):
        means = np.stack(
            [
                np.roll(states, -i, axis=1) @ params[i][0].numpy()[:, 0]
                + params[i][1].numpy()
                for i in range(size)
            ],
            axis=1,
        )
        states = (means[:, np.newaxis] + SCALE * grid).reshape(-1, size)
        probabilities = np.outer(probabilities, chances.ravel()).ravel()
        price = game.intercept - game.slope * states.sum(axis=1)
        for i in range(size):
            profit = (price - game.costs[i]) * states[:, i]
            total[i] += DISCOUNT**t * probabilities @ profit
    return total


def test_profits_and_observations_are_those_of_the_market():
    game = cournot(3, intercept=5.0)
    state, first = game.reset([0, 1], 4)
    for observation in first.observations:
        np.testing.assert_array_equal(observation, np.full((4, 3), 0.6))
    q = np.random.default_rng(1).normal(size=(3, 4))
    _, step = game.step(state, tuple(map(tf.constant, q)), [0, 1])
    for i in range(3):
        profit = (5.0 - 0.7 * q.sum(axis=0) - game.costs[i]) * q[i]
        np.testing.assert_allclose(step.rewards[i], profit, rtol=1e-12)
        seen = q[[i, (i + 1) % 3, (i + 2) % 3]].T
        np.testing.assert_array_equal(step.observations[i], seen)
    np.testing.assert_array_equal(step.discounts, np.ones(4))


def test_the_defaults_make_a_social_dilemma():
    game = RepeatedCournot(dtype="float64")
    state, _ = game.reset([0, 1], 1)

    def profit(quantity, other):
        actions = (tf.constant([quantity]), tf.constant([other]))
        return float(game.step(state, actions, [0, 1])[1].rewards[0][0])

    deviations = [profit(quantity, 1.0) for quantity in np.linspace(0, 2, 41)]
    assert np.argmax(deviations) == 20
    assert profit(1.0, 1.0) == pytest.approx(1.0)
    assert profit(0.75, 0.75) == pytest.approx(1.125)
    assert profit(1.0, 0.75) > profit(0.75, 0.75)


@pytest.mark.parametrize("num_players", [1, 2, 3])
def test_the_closed_form_is_the_expectation_over_all_noise(num_players):
    game = cournot(num_players, episode_length=3 if num_players < 3 else 2)
    params = random_params(game)
    found = exact_objective(game)(params)
    expected = slow_values(game, params, 5 if num_players < 3 else 4)
    np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_sampled_values_and_derivatives_are_those_of_the_closed_form():
    game = cournot()
    statistics = dice_tf.diagnostics.derivative_statistics(
        sampled_objective(game, 500, "leave_one_out"),
        0,
        params=random_params(game),
        num_repetitions=40,
        exact_objective=exact_objective(game),
        repetitions_at_once=1,
    )
    for order in statistics:
        assert np.abs(order.exact).max() > 0.1
        assert np.all(np.abs(order.bias) < 4.5 * order.standard_error)
        assert order.correlations.mean() > 0.8


def test_critics_are_baselines_in_a_game_without_a_table():
    game, noise = cournot(), []
    critics = [dice_tf.critics.tabular_critic(game, i) for i in (0, 1)]
    for critic in critics:
        # Linear in what is seen, so rough, but of the right size.
        critic.set_weights([np.full((2, 1), 0.6)])
    for baseline, critics_of in ((None, None), ("critic", critics)):
        (gradient,) = dice_tf.diagnostics.derivative_statistics(
            sampled_objective(game, 50, baseline, critics_of),
            0,
            params=random_params(game),
            orders=(1,),
            exact_objective=exact_objective(game),
            repetitions_at_once=1,
        )
        assert np.all(np.abs(gradient.bias) < 4.5 * gradient.standard_error)
        noise.append(gradient.variance.sum())
    assert noise[1] < 0.9 * noise[0]


def test_shaping_in_it_is_that_of_the_closed_form():
    """One direction of LOLA-DiCE, sampled and exact."""
    game, learner = cournot(), dice_tf.learners.LOLADiCE(1, 0.3)
    params = random_params(game)
    exact = learner.gradient(exact_objective(game), params, 0)
    naive = dice_tf.learners.Naive().gradient(exact_objective(game), params, 0)
    sampled = learner.gradient(
        sampled_objective(game, 20_000, "leave_one_out"), params, 0, [1, 2]
    )
    for one, other, plain in zip(sampled, exact, naive, strict=True):
        away = np.abs(other - plain).max()
        assert np.abs(one - other).max() < 0.2 * away


@pytest.mark.parametrize(
    "error, changes, message",
    [
        (ValueError, {"slope": 0.0}, "`slope` must be above 0"),
        (ValueError, {"slope": -1.0}, "`slope` must be finite and at least"),
        (ValueError, {"costs": [1.0]}, "`costs` must have one entry for each"),
        (TypeError, {"num_players": 1.5}, "`num_players` must be a whole num"),
        (ValueError, {"episode_length": 0}, "`episode_length` must be at le"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(error, changes, message):
    with pytest.raises(error, match=message):
        RepeatedCournot(**changes)


def test_actions_that_are_not_scalars_are_refused():
    game = cournot()
    state, _ = game.reset([0, 1], 4)
    actions = (tf.zeros([4], tf.float64), tf.zeros([4, 1], tf.float64))
    message = (
        r"`actions\[1\]` must have shape \[B\].*\(4, 1\).*outputs\[..., 0\]"
    )
    with pytest.raises(ValueError, match=message):
        game.step(state, actions, [0, 1])


def test_the_closed_form_needs_the_policies_of_all():
    game = cournot()
    with pytest.raises(ValueError, match="`gains` must have one entry for"):
        game.linear_gaussian_values(
            [tf.zeros(2)], [0.0] * 2, [0.1] * 2, discount=0.9
        )
