"""Diagnostics: statistics of derivatives, and the share of shaping."""

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.diagnostics import derivative_statistics, shaping_share
from dice_tf.seeds import split_seed
from tests import oracles
from tests.toys import ASYMMETRIC, Plain, random_params, tabular_policies

pytestmark = pytest.mark.own_process

DISCOUNT = 0.9
LENGTH = 3
RATES = (0.4, 0.7)


def make(
    kind=dice_tf.objectives.DiCEObjective,
    batch_size=20,
    baseline="leave_one_out",
    wrap=lambda game: game,
):
    game = dice_tf.games.iterated_matrix_game(
        ASYMMETRIC, LENGTH, dtype="float64"
    )
    policies = tabular_policies(game)
    for policy, weights in zip(
        policies, random_params(policies, 3), strict=True
    ):
        policy.set_weights(weights)
    return kind(wrap(game), policies, DISCOUNT, batch_size, baseline)


def exact():
    sampled = make()
    return dice_tf.objectives.ExactObjective(
        sampled.game, sampled.policies, DISCOUNT
    )


def thetas():
    return [
        player_params[0].numpy() for player_params in make().initial_params()
    ]


def value(at):
    return oracles.values(ASYMMETRIC, at, DISCOUNT, LENGTH)


def flat_value(x):
    return value(np.split(x[:, np.newaxis], 2))[0]


def flat_gradient(x):
    return oracles.complex_step_gradient(flat_value, x)


def flat_hessian(x):
    return np.stack(
        [
            oracles.gradient(lambda y, i=i: flat_gradient(y)[i], x)
            for i in range(len(x))
        ]
    )


# --- Statistics of derivatives ----------------------------------------------


def test_exact_derivatives_are_those_of_the_value():
    gradient, hessian = derivative_statistics(make(), 0, num_repetitions=2)
    at = np.concatenate(thetas())[:, 0]
    np.testing.assert_allclose(gradient.exact, flat_gradient(at), rtol=1e-9)
    np.testing.assert_allclose(hessian.exact, flat_hessian(at), atol=1e-8)
    assert [gradient.order, hessian.order] == [1, 2]


def test_statistics_are_those_of_the_estimates():
    """Repetition r plays from child r of the seed."""
    sampled = make()
    (found,) = derivative_statistics(
        sampled,
        1,
        orders=(1,),
        num_repetitions=5,
        seed=(4, 7),
        repetitions_at_once=3,
    )
    estimates = []
    for seed in split_seed([4, 7], 5):
        params = sampled.initial_params()
        with tf.GradientTape() as tape:
            tape.watch(params)
            value = sampled(params, seed)[1]
        estimates.append(np.concatenate(tape.gradient(value, params))[:, :, 0])
    estimates = np.reshape(estimates, [5, 10])
    np.testing.assert_allclose(found.mean, estimates.mean(0), rtol=1e-10)
    variance = estimates.var(axis=0, ddof=1)
    np.testing.assert_allclose(found.variance, variance, rtol=1e-9)
    np.testing.assert_allclose(found.standard_error, np.sqrt(variance / 5))
    np.testing.assert_allclose(found.bias, found.mean - found.exact)
    correlations = [
        np.corrcoef(estimate, found.exact)[0, 1] for estimate in estimates
    ]
    np.testing.assert_allclose(found.correlations, correlations, rtol=1e-9)
    np.testing.assert_allclose(
        found.signal_to_noise,
        np.linalg.norm(found.exact) / np.sqrt(variance.sum()),
    )


def test_derivatives_along_a_direction_are_contracted_ones():
    order = 3
    rng = np.random.default_rng(1)
    direction = [[rng.normal(size=(5, 1))] for _ in range(2)]
    options = {"orders": (order,), "num_repetitions": 3, "seed": (1, 2)}
    (whole,) = derivative_statistics(make(batch_size=5), 0, **options)
    (along,) = derivative_statistics(
        make(batch_size=5), 0, direction=direction, **options
    )
    u = np.concatenate(direction)[:, :, 0].ravel()
    for name in ("mean", "exact"):
        contracted = getattr(whole, name)
        for _ in range(order - 1):
            contracted = contracted @ u
        np.testing.assert_allclose(
            getattr(along, name), contracted, rtol=1e-9, atol=1e-11
        )
    assert along.variance.shape == (10,)


def test_it_shows_the_bias_of_the_surrogate_and_none_of_dice():
    options = {"num_repetitions": 100}
    for kind, is_biased in (
        (dice_tf.objectives.DiCEObjective, False),
        (dice_tf.objectives.SurrogateObjective, True),
    ):
        sampled = make(kind, batch_size=200)
        gradient, hessian = derivative_statistics(sampled, 0, **options)
        assert np.all(np.abs(gradient.bias) < 4.5 * gradient.standard_error)
        # No variance at all: the surrogate's other derivatives are zeros.
        off = np.abs(hessian.bias) > 4.5 * hessian.standard_error + 1e-9
        assert np.any(off) == is_biased
        assert gradient.correlations.mean() > 0.8
        assert (hessian.correlations.mean() > 0.8) == (not is_biased)


def test_without_exact_values_the_signal_is_corrected_for_noise():
    """Known and unknown, in a game with much noise, it is about the same."""
    options = {"num_repetitions": 200, "orders": (1,)}
    (known,) = derivative_statistics(make(), 0, **options)
    hidden = make(wrap=Plain)
    (unknown,) = derivative_statistics(hidden, 0, **options)
    assert unknown.exact is None
    assert unknown.bias is None
    assert unknown.correlations is None
    assert known.signal_to_noise < 2
    ratio = unknown.signal_to_noise / known.signal_to_noise
    assert 0.8 < ratio < 1.25
    (given,) = derivative_statistics(
        hidden, 0, num_repetitions=2, orders=(1,), exact_objective=exact()
    )
    np.testing.assert_allclose(given.exact, known.exact, rtol=1e-9)


def test_the_signal_to_noise_ratio_grows_with_the_root_of_the_batch():
    small, large = (
        derivative_statistics(
            make(batch_size=size), 0, orders=(1,), num_repetitions=100
        )[0].signal_to_noise
        for size in (10, 160)
    )
    assert 3.2 < large / small < 5.0


@pytest.mark.parametrize(
    "options",
    [
        {"repetitions_at_once": 3},
        {"repetitions_at_once": 2, "jit_compile": True, "orders": (1,)},
    ],
)
def test_xla_and_the_number_at_once_change_nothing(options):
    results = [
        derivative_statistics(make(), 0, num_repetitions=4, **changes)
        for changes in ({}, options)
    ]
    for one, two in zip(*results, strict=False):
        np.testing.assert_allclose(one.mean, two.mean, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(one.variance, two.variance, rtol=1e-8)


# --- The share of shaping ---------------------------------------------------


def norm_share(total, part):
    return np.linalg.norm(total - part) / np.linalg.norm(total)


@pytest.mark.parametrize("num_lookaheads", [1, 2])
def test_shares_of_exact_directions_are_those_of_the_closed_form(
    num_lookaheads,
):
    learner = dice_tf.learners.LOLADiCE(num_lookaheads, RATES)
    found = shaping_share(learner, exact(), 0, num_repetitions=1)
    arguments = (value, thetas(), 0, num_lookaheads, RATES)
    total = oracles.lola_dice(*arguments)
    constant = oracles.without_shaping(*arguments)
    naive = oracles.without_shaping(value, thetas(), 0, 0, RATES)
    np.testing.assert_allclose(found.direction[0], total, atol=1e-8)
    np.testing.assert_allclose(found.held_constant[0], constant, rtol=1e-9)
    np.testing.assert_allclose(found.naive[0], naive, rtol=1e-9)
    share = norm_share(total, constant)
    assert share > 0.02
    assert found.share == pytest.approx(share, rel=1e-5)
    assert found.shares == pytest.approx([share], rel=1e-5)
    assert found.share_beside_naive == pytest.approx(
        norm_share(total, naive), rel=1e-5
    )


def test_sampled_shares_are_those_of_the_exact_ones_on_average():
    learner = dice_tf.learners.LOLADiCE(1, RATES)
    sampled = make(batch_size=2000)
    found = shaping_share(learner, sampled, 0, num_repetitions=16)
    expected = shaping_share(learner, exact(), 0, num_repetitions=1)
    assert found.share == pytest.approx(expected.share, rel=0.25)
    assert found.shares.shape == (16,)
    assert np.std(found.shares) > 0


def test_what_does_not_shape_has_no_share():
    for learner, objective in (
        (dice_tf.learners.Naive(), make()),
        (
            dice_tf.learners.LOLADiCE(1, RATES),
            make(dice_tf.objectives.SurrogateObjective),
        ),
    ):
        found = shaping_share(learner, objective, 1, num_repetitions=2)
        assert found.share == 0
        np.testing.assert_array_equal(found.shares, np.zeros(2))


class Discounted(dice_tf.learners.Naive):
    """A learner that asks more of an objective than its values."""

    def step(self, objective, params, player_id, seed, state):
        step = super().step(objective, params, player_id, seed, state)
        scaled = [objective.discount * x for x in step.direction]
        return step._replace(direction=scaled)


def test_learners_find_what_else_an_objective_has():
    found = shaping_share(Discounted(), exact(), 0, num_repetitions=1)
    assert found.share == 0
    assert found.share_beside_naive == pytest.approx(0.1 / 0.9)


# --- Bad input --------------------------------------------------------------


def function_objective():
    return dice_tf.objectives.FunctionObjective(
        [lambda params: tf.reduce_sum(params[0][0])] * 2
    )


@pytest.mark.parametrize(
    "error, function, arguments, message",
    [
        (
            ValueError,
            derivative_statistics,
            (function_objective(), 0),
            "`params` must be given for a FunctionObjective, which has no pol",
        ),
        (
            TypeError,
            derivative_statistics,
            ("dice", 0),
            "`objective` must be a dice_tf.objectives.Objective",
        ),
        (
            ValueError,
            shaping_share,
            (dice_tf.learners.Naive(), make(), 2),
            "`player_id` must be below the number of players",
        ),
        (
            TypeError,
            shaping_share,
            ("naive", make(), 0),
            "`learner` must be a dice_tf.learners.Learner. Received: 'naive'",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    error, function, arguments, message
):
    with pytest.raises(error, match=message):
        function(*arguments)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"num_repetitions": 1}, "`num_repetitions` must be at least 2"),
        ({"orders": (0,)}, "`orders` must be at least 1"),
        ({"repetitions_at_once": 0}, "`repetitions_at_once` must be at least"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        derivative_statistics(make(), 0, **options)
