"""Keras optimisers for players, over variables stacked along runs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dice_tf.training.player_optimizers import PlayerOptimizers


def stacked(num_seeds, seed=0):
    """For two players, two variables each, with a leading axis of runs."""
    rng = np.random.default_rng(seed)
    return [
        [
            rng.normal(size=(num_seeds, *shape)).astype(np.float32)
            for shape in [(3, 2), (4,)]
        ]
        for _ in range(2)
    ]


def variables_of(values):
    return [[keras.Variable(value) for value in arrays] for arrays in values]


def make_optimizer():
    return keras.optimizers.Adam(0.1)


@pytest.mark.parametrize("shared", [True, False])
def test_one_optimizer_over_all_runs_is_one_per_run(shared):
    num_seeds, values = 3, stacked(3)
    together = variables_of(values)
    optimizers = PlayerOptimizers(
        "optimizer",
        make_optimizer() if shared else [make_optimizer() for _ in range(2)],
        together,
        num_seeds,
    )
    alone = [
        variables_of([[x[run] for x in arrays] for arrays in values])
        for run in range(num_seeds)
    ]
    apart = [
        PlayerOptimizers("optimizer", make_optimizer(), variables, 1)
        for variables in alone
    ]
    for step in range(3):
        directions = stacked(num_seeds, seed=step + 1)
        optimizers.ascend(directions)
        for run in range(num_seeds):
            apart[run].ascend(
                [[x[run] for x in tensors] for tensors in directions]
            )
    for player in range(2):
        for index in range(2):
            for run in range(num_seeds):
                np.testing.assert_allclose(
                    together[player][index].numpy()[run],
                    alone[run][player][index].numpy(),
                    rtol=1e-6,
                )


def test_directions_are_ascended_and_gradients_descended():
    values = stacked(2)
    variables = variables_of(values)
    optimizers = PlayerOptimizers(
        "optimizer", keras.optimizers.SGD(0.5), variables, 2
    )
    directions = stacked(2, seed=1)
    optimizers.ascend(
        [[tf.constant(x) for x in arrays] for arrays in directions]
    )
    expected = values[1][0] + 0.5 * directions[1][0]
    np.testing.assert_allclose(variables[1][0].numpy(), expected, rtol=1e-6)
    optimizers.descend(directions)
    np.testing.assert_allclose(
        variables[1][0].numpy(), values[1][0], rtol=1e-5, atol=1e-6
    )


def test_a_player_without_variables_needs_no_optimizer():
    variables = variables_of(stacked(2))
    variables[0] = []
    optimizers = PlayerOptimizers(
        "optimizer", [None, keras.optimizers.SGD(0.5)], variables, 2
    )
    assert len(optimizers.optimizers) == 1
    before = variables[1][0].numpy()
    optimizers.ascend([[np.ones(7)], [np.ones((2, 3, 2)), np.ones((2, 4))]])
    np.testing.assert_allclose(variables[1][0].numpy(), before + 0.5)


def test_optimizers_may_be_named():
    optimizers = PlayerOptimizers(
        "optimizer", "adam", variables_of(stacked(1)), 1
    )
    assert isinstance(optimizers.optimizers[0], keras.optimizers.Adam)


TWICE = keras.optimizers.SGD(0.1)


@pytest.mark.parametrize(
    "optimizer, error, message",
    [
        (3, TypeError, "`optimizer` must be a Keras optimiser, its name, or a"),
        ([TWICE, None], TypeError, "`optimizer` must be a Keras optimiser"),
        ([TWICE], ValueError, "`optimizer` must have one entry for each of 2"),
        ([TWICE, TWICE], ValueError, "must hold a different object for each"),
        (
            keras.optimizers.SGD(0.1, clipnorm=1.0),
            ValueError,
            "`optimizer` has clipnorm=1.0, which would clip all runs",
        ),
        (
            keras.optimizers.SGD(0.1, global_clipnorm=1.0),
            ValueError,
            "`optimizer` has global_clipnorm=1.0",
        ),
        (
            keras.optimizers.Lamb(),
            ValueError,
            "`optimizer` is Lamb, which would mix the 2 runs",
        ),
        (
            type("OfMine", (keras.optimizers.Lamb,), {})(),
            ValueError,
            "`optimizer` is OfMine, which would mix the 2 runs",
        ),
    ],
)
def test_optimizers_that_do_not_fit_are_refused(optimizer, error, message):
    with pytest.raises(error, match=message):
        PlayerOptimizers("optimizer", optimizer, variables_of(stacked(2)), 2)


@pytest.mark.parametrize("num_seeds", [1, 2])
@pytest.mark.parametrize(
    "build, message",
    [
        (
            lambda: keras.optimizers.LossScaleOptimizer(
                keras.optimizers.SGD(1.0)
            ),
            "is a LossScaleOptimizer, .* Pass its inner optimiser",
        ),
        (
            lambda: keras.optimizers.MultiOptimizer(
                keras.optimizers.OptimizerMap(keras.optimizers.SGD(1.0))
            ),
            "is a MultiOptimizer, .* Pass a list with one optimiser per player",
        ),
        (keras.optimizers.Muon, "is a Muon, .* Pass keras.optimizers.AdamW"),
    ],
)
def test_optimizers_that_would_do_something_else_are_refused(
    build, message, num_seeds
):
    for name in ("optimizer", "critic_optimizer"):
        variables = variables_of(stacked(num_seeds))
        with pytest.raises(ValueError, match=f"`{name}` {message}"):
            PlayerOptimizers(name, build(), variables, num_seeds)
        with pytest.raises(ValueError, match=f"`{name}` {message}"):
            PlayerOptimizers(name, ["sgd", build()], variables, num_seeds)


def test_a_fixed_scale_of_the_loss_changes_nothing():
    """As in Keras' training step, which multiplies by what is divided by."""
    values = stacked(2)
    variables = variables_of(values)
    optimizers = PlayerOptimizers(
        "optimizer",
        keras.optimizers.SGD(0.5, loss_scale_factor=1024.0),
        variables,
        2,
    )
    directions = stacked(2, seed=1)
    optimizers.ascend(
        [[tf.constant(x) for x in arrays] for arrays in directions]
    )
    for arrays, start, direction in zip(
        variables, values, directions, strict=True
    ):
        for variable, x, dx in zip(arrays, start, direction, strict=True):
            np.testing.assert_allclose(
                variable.numpy(), x + 0.5 * dx, rtol=1e-6
            )


def test_what_is_excluded_from_weight_decay_must_be_there():
    variables = variables_of(stacked(1))
    for exclusion in (
        {"var_names": ["bias"]},
        {"var_list": [keras.Variable(1.0)]},
    ):
        optimizer = keras.optimizers.AdamW(0.1)
        optimizer.exclude_from_weight_decay(**exclusion)
        with pytest.raises(
            ValueError, match="excludes variables from weight d"
        ):
            PlayerOptimizers("optimizer", optimizer, variables, 1)
    optimizer = keras.optimizers.SGD(1.0, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_list=variables[0])
    optimizers = PlayerOptimizers("optimizer", optimizer, variables, 1)
    before = [group[0].numpy() for group in variables]
    optimizers.ascend(
        [[tf.zeros(x.shape) for x in group] for group in variables]
    )
    np.testing.assert_allclose(variables[0][0].numpy(), before[0])
    np.testing.assert_allclose(variables[1][0].numpy(), 0.5 * before[1])


@pytest.mark.parametrize(
    "optimizer",
    [keras.optimizers.SGD(0.1, clipnorm=1.0), keras.optimizers.Lamb()],
)
def test_a_single_run_takes_any_optimizer(optimizer):
    PlayerOptimizers("optimizer", optimizer, variables_of(stacked(1)), 1)


def test_players_that_all_stand_still_need_an_optimizer_in_name_only():
    with pytest.raises(ValueError, match="must hold at least one optimiser"):
        PlayerOptimizers("optimizer", [None, None], [[], []], 1)
    PlayerOptimizers("optimizer", "sgd", [[], []], 1).ascend([[], []])


def test_one_player_can_move_alone():
    values = stacked(2)
    variables = variables_of(values)
    optimizers = PlayerOptimizers(
        "optimizer",
        [keras.optimizers.SGD(0.5), keras.optimizers.SGD(0.25)],
        variables,
        2,
    )
    optimizers.check_separate()
    directions = stacked(2, seed=1)
    optimizers.ascend(directions, player_id=1)
    for rate, group, start, direction in zip(
        (0.0, 0.25), variables, values, directions, strict=True
    ):
        np.testing.assert_allclose(
            group[0].numpy(), start[0] + rate * direction[0], rtol=1e-6
        )
    assert [
        int(optimizer.iterations) for optimizer in optimizers.optimizers
    ] == [0, 1]


def test_players_that_share_an_optimizer_cannot_move_alone():
    shared = PlayerOptimizers("optimizer", "sgd", variables_of(stacked(2)), 2)
    with pytest.raises(ValueError, match="`optimizer` must be a list with one"):
        shared.check_separate()
    variables = variables_of(stacked(2))
    variables[0] = []
    PlayerOptimizers("optimizer", "sgd", variables, 2).check_separate()
