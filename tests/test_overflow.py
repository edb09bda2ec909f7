"""Numbers that are infinite in float32 are refused where they enter."""

import keras
import numpy as np
import pytest

import dice_tf
from dice_tf import games, inner_optimizers, learners
from dice_tf.checks import check_number, is_finite_in
from tests.toys import ASYMMETRIC, tabular_policies

LARGEST = float(np.finfo(np.float32).max)
GAME = games.iterated_matrix_game(ASYMMETRIC, 3)


@pytest.mark.parametrize("value", [1e39, 1e308, 10**400, np.float64(1e300)])
def test_a_number_must_be_finite_in_float32(value):
    with pytest.raises(ValueError, match="`rate` must be finite.*largest numb"):
        check_number("rate", value)


@pytest.mark.parametrize("value", [LARGEST, 0, 3e38, np.float32(1e38)])
def test_float32_itself_is_the_limit(value):
    assert check_number("rate", value) == float(value)


def test_what_is_finite_depends_on_the_dtype():
    assert is_finite_in([1e39, -1e300], "float64")
    assert not is_finite_in([0.0, -1e39], "float32")
    assert not is_finite_in([0.0, np.nan], "float64")


PAYOFFS = np.where(np.arange(8).reshape(2, 2, 2) == 5, -1e39, 1.0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: games.iterated_matrix_game(PAYOFFS, 3),
            r"`payoffs` must be finite in float32.*size 1e\+39.*float64",
        ),
        (
            lambda: games.FiniteGame(
                1e39 * GAME.rewards,
                GAME.transitions,
                GAME.initial,
                episode_length=3,
            ),
            "`rewards` must be finite in float32",
        ),
        (
            lambda: games.FiniteGame(
                GAME.rewards,
                GAME.transitions,
                GAME.initial,
                episode_length=3,
                observations=[np.eye(5), 1e39 * np.eye(5)],
            ),
            r"`observations\[1\]` must be finite in float32",
        ),
        (
            lambda: games.FiniteGame(
                GAME.rewards,
                GAME.transitions,
                GAME.initial,
                episode_length=3,
                observations=[np.eye(5) * np.nan, np.eye(5)],
            ),
            r"`observations\[0\]` must be finite\. Received NaN",
        ),
        (
            lambda: games.PointNavigation([0.0, 1e39]),
            "`goal` must be finite",
        ),
        (
            lambda: games.RepeatedCournot(intercept=1e39),
            "`intercept` must be finite",
        ),
        (
            lambda: games.iterated_public_goods(multiplier=1e39),
            "`multiplier` must be finite",
        ),
        (
            lambda: learners.LOLADiCE(1, 1e308),
            "`inner_learning_rate` must be finite",
        ),
        (
            lambda: learners.LOLA(inner_learning_rate=[1.0, 1e39]),
            "`inner_learning_rate` must be finite",
        ),
        (lambda: learners.Consensus(1e308), "`weight` must be finite"),
        (
            lambda: inner_optimizers.ClipByGlobalNorm(1e308),
            "`max_norm` must be finite",
        ),
        # Its square overflows: all gradients would be clipped to 0.
        (
            lambda: inner_optimizers.ClipByGlobalNorm(1e30),
            r"`max_norm` must be finite and in \[0, 1.8e\+19\]",
        ),
    ],
)
def test_overflow_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_game_in_float64_takes_larger_payoffs():
    game = games.iterated_matrix_game(PAYOFFS, 3, dtype="float64")
    assert np.min(game.rewards) == -1e39


def trainer(**options):
    objective = dice_tf.objectives.ExactObjective(
        GAME, tabular_policies(GAME), 0.9
    )
    naive = learners.Naive()
    return dice_tf.Trainer(objective, [naive, naive], **options)


@pytest.mark.parametrize("name", ["entropy_coefficient", "max_gradient_norm"])
def test_numbers_of_the_trainer_must_be_finite_in_float32(name):
    with pytest.raises(ValueError, match=f"`{name}` must be finite"):
        trainer(**{name: [0.1, 1e308]})


@pytest.mark.parametrize("rate", [1e308, 1e39, np.nan])
def test_rates_of_optimisers_must_be_finite_in_float32(rate):
    own = trainer()
    for optimizer in (
        keras.optimizers.SGD(rate),
        [keras.optimizers.SGD(0.1), keras.optimizers.Adam(rate)],
    ):
        with pytest.raises(
            ValueError, match=r"`optimizer` .*finite learning r"
        ):
            own.compile(optimizer)
