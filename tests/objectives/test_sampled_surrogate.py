"""Sampled objectives beside DiCE: the surrogate, and the paper's baseline."""

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.learners.learner import own_gradients
from dice_tf.seeds import split_seed
from tests import oracles
from tests.toys import ASYMMETRIC, Plain, random_params, tabular_policies

DISCOUNT = 0.9
RATES = (0.4, 0.7)
BASELINES = (None, "leave_one_out", "state_values", "bellman_values", "critic")
DICE = dice_tf.objectives.DiCEObjective
SURROGATE = dice_tf.objectives.SurrogateObjective
FIRST_ORDER = dice_tf.objectives.FirstOrderBaselineObjective


def game(episode_length=4):
    return dice_tf.games.iterated_matrix_game(
        ASYMMETRIC, episode_length, dtype="float64"
    )


def make(kind, baseline, batch_size=50, own_game=None, **options):
    own_game = own_game or game()
    critics = None
    if baseline == "critic":
        critics = [dice_tf.critics.tabular_critic(own_game, i) for i in (0, 1)]
        for critic in critics:
            critic.set_weights([np.arange(5.0)[:, np.newaxis]])
    return kind(
        own_game,
        tabular_policies(own_game),
        DISCOUNT,
        batch_size,
        baseline,
        critics,
        **options,
    )


def params():
    drawn = random_params(tabular_policies(game()), seed=3)
    return [
        [tf.constant(value) for value in player_params]
        for player_params in drawn
    ]


def value_and_gradients(objective, at, seed=(1, 2)):
    """Of player 0's value, in all players' parameters."""
    with tf.GradientTape() as tape:
        tape.watch(at)
        value = objective(at, list(seed))[0]
    return value, [gradients[0] for gradients in tape.gradient(value, at)]


@pytest.mark.parametrize(
    "kind, baseline",
    [
        *((SURROGATE, baseline) for baseline in BASELINES),
        *((FIRST_ORDER, baseline) for baseline in BASELINES[2:]),
    ],
)
def test_values_and_first_derivatives_are_those_of_dice(kind, baseline):
    """On the same play, with each baseline."""
    (value, gradients), (expected, others) = (
        value_and_gradients(make(estimator, baseline), params())
        for estimator in (kind, DICE)
    )
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    for one, other in zip(gradients, others, strict=True):
        assert np.abs(other).max() > 1e-2
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_they_take_games_without_a_table():
    hidden = Plain(game())
    (value, gradients), (expected, others) = (
        value_and_gradients(make(kind, "critic", own_game=hidden), params())
        for kind in (SURROGATE, DICE)
    )
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    np.testing.assert_allclose(gradients[0], others[0], atol=1e-12)


def test_tau_is_that_of_the_advantages():
    """With lambda 1, the gradient is that of Loaded DiCE."""
    (_, one), (_, other), (_, plain) = (
        value_and_gradients(make(kind, "bellman_values", tau=tau), params())
        for kind, tau in ((SURROGATE, 0.3), (DICE, 0.3), (SURROGATE, 1.0))
    )
    np.testing.assert_allclose(one[0], other[0], rtol=1e-10)
    assert np.abs(one[0] - plain[0]).max() > 1e-3


def reached(objective, at, seed):
    """The opponent's parameters after one naive step, held constant."""
    gradients = own_gradients(objective, at, [1], seed)[1]
    moved = [
        tf.stop_gradient(value + RATES[1] * gradient)
        for value, gradient in zip(at[1], gradients, strict=True)
    ]
    return [at[0], moved]


@pytest.mark.parametrize("baseline", BASELINES[1:4])
def test_lola_dice_on_the_surrogate_has_no_shaping_term(baseline):
    """It is the naive gradient where the look-ahead arrives, to rounding."""
    learner = dice_tf.learners.LOLADiCE(1, RATES)
    seed = tf.constant([1, 2])
    surrogate, dice = make(SURROGATE, baseline), make(DICE, baseline)
    found = learner.gradient(surrogate, params(), 0, seed)[0]
    (later,) = split_seed(seed, 1)
    for objective in (surrogate, dice):
        at = reached(objective, params(), seed)
        expected = own_gradients(objective, at, [0], later)[0][0]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    shaped = learner.gradient(dice, params(), 0, seed)[0]
    assert np.abs(shaped - found).max() > 0.05 * np.abs(found).max()


def test_it_is_the_closed_form_without_the_shaping_term():
    """Within sampling error, for two look-aheads."""
    learner = dice_tf.learners.LOLADiCE(2, RATES)
    sampled = make(SURROGATE, "leave_one_out", batch_size=4000)
    found = [
        learner.gradient(sampled, params(), 0, tf.constant([5, k]))[0].numpy()
        for k in range(8)
    ]
    thetas = [player_params[0].numpy() for player_params in params()]

    def value(at):
        return oracles.values(ASYMMETRIC, at, DISCOUNT, 4)

    expected = oracles.without_shaping(value, thetas, 0, 2, RATES)
    mean = np.mean(found, axis=0)
    error = np.std(found, axis=0, ddof=1) / np.sqrt(8)
    assert np.all(np.abs(mean - expected) < 5 * error)
    shaped = oracles.lola_dice(value, thetas, 0, 2, RATES)
    assert np.any(np.abs(mean - shaped) > 8 * error)


def test_shaping_works_with_the_first_order_baseline():
    """Its second derivatives are unbiased."""
    learner = dice_tf.learners.LOLADiCE(1, RATES)
    sampled = make(FIRST_ORDER, "state_values", batch_size=4000)
    found = [
        learner.gradient(sampled, params(), 0, tf.constant([5, k]))[0].numpy()
        for k in range(8)
    ]
    thetas = [player_params[0].numpy() for player_params in params()]
    expected = oracles.lola_dice(
        lambda at: oracles.values(ASYMMETRIC, at, DISCOUNT, 4),
        thetas,
        0,
        1,
        RATES,
    )
    error = np.std(found, axis=0, ddof=1) / np.sqrt(8)
    assert np.all(np.abs(np.mean(found, axis=0) - expected) < 5 * error)


@pytest.mark.parametrize(
    "kind, baseline, options, message",
    [
        (SURROGATE, None, {"tau": 0.5}, "`tau` below 1 .tau=0.5. needs a bas"),
        (SURROGATE, "leave_one_out", {"tau": 0.0}, "needs a baseline of stat"),
        (SURROGATE, "critic", {"tau": 1.5}, "`tau` must be finite and in"),
        (SURROGATE, "values", {}, "`baseline` must be one of None"),
        (FIRST_ORDER, None, {}, "FirstOrderBaselineObjective needs a baselin"),
        (FIRST_ORDER, "leave_one_out", {}, "'bellman_values' or 'critic'. Re"),
        (DICE, None, {"lambda_": 0.5}, "lambda_=0.5, tau=1.0. need a baseline"),
        (
            DICE,
            "critic",
            {"critic_td_lambda": -1.0},
            "`critic_td_lambda` must be finite and in",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    kind, baseline, options, message
):
    with pytest.raises(ValueError, match=message):
        make(kind, baseline, **options)
