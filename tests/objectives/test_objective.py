"""What an objective is."""

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.estimators.returns import return_scale
from dice_tf.objectives import FunctionObjective
from dice_tf.objectives.game_objective import GameObjective
from dice_tf.objectives.objective import (
    check_objective,
    discount_of,
    game_of,
)
from tests.toys import (
    ASYMMETRIC,
    exact_objective,
    random_params,
    tabular_policies,
)


def test_what_is_no_objective_is_refused():
    objective = exact_objective(ASYMMETRIC, 0.9, 3)
    assert check_objective(objective) is objective
    with pytest.raises(TypeError, match="`objective` must be a dice_tf.object"):
        check_objective(lambda params: params)


@pytest.mark.parametrize("name", ["ExactObjective", "DiCEObjective"])
def test_what_does_not_fit_the_game_is_refused(name):
    build = getattr(dice_tf.objectives, name)
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3)
    other = dice_tf.games.iterated_matrix_game(np.ones((2, 3, 3)), 3)
    policies = tabular_policies(game)
    with pytest.raises(TypeError, match="`game` must be a dice_tf.games.Game"):
        build(ASYMMETRIC, policies)
    with pytest.raises(TypeError, match="`policies` must be a list with one"):
        build(game, policies[0])
    with pytest.raises(ValueError, match="`policies` must have one entry for"):
        build(game, policies[:1])
    with pytest.raises(
        TypeError, match=r"`policies\[1\]` must be a keras.Mode"
    ):
        build(game, [policies[0], "tit_for_tat"])
    with pytest.raises(ValueError, match=r"`policies\[0\]`.* must take observ"):
        build(game, tabular_policies(other))
    with pytest.raises(ValueError, match="has 3 outputs, but the player has 2"):
        mlp = dice_tf.policies.mlp(game, 0)
        wide = dice_tf.policies.networks.dense_stack(mlp.input, (), "tanh", 3)
        build(game, [mlp.__class__(mlp.input, wide), policies[1]])
    for discount in (-0.1, 1.1, float("nan")):
        with pytest.raises(
            ValueError, match=r"`discount` must be finite and i"
        ):
            build(game, policies, discount)
    with pytest.raises(TypeError, match="`discount` must be a number"):
        build(game, policies, "0.96")


@pytest.mark.parametrize("name", ["ExactObjective", "DiCEObjective"])
def test_parameters_are_one_list_per_player(name):
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3)
    objective = getattr(dice_tf.objectives, name)(game, tabular_policies(game))
    params = objective.initial_params()
    with pytest.raises(ValueError, match="`params` must have one entry for ea"):
        objective(params[:1], [0, 1])
    with pytest.raises(TypeError, match="`params` must be a list with one ent"):
        objective(params[0][0], [0, 1])


def test_initial_parameters_are_those_of_the_policies():
    objective = exact_objective(ASYMMETRIC, 0.9, 3)
    params = random_params(objective.policies, 1)
    for policy, weights in zip(objective.policies, params, strict=True):
        policy.set_weights(weights)
    for found, weights in zip(objective.initial_params(), params, strict=True):
        np.testing.assert_array_equal(found[0], weights[0])
    # Values snapshotted are not moved by the variables.
    found = objective.initial_params()
    objective.policies[0].set_weights([np.zeros((5, 1))])
    np.testing.assert_array_equal(found[0][0], params[0][0])


def test_a_return_is_1_less_the_discount_times_the_value():
    assert exact_objective(ASYMMETRIC, 0.75, 8).return_scale == 0.25
    assert exact_objective(ASYMMETRIC, 1.0, 8).return_scale == 1 / 8
    with pytest.raises(ValueError, match="needs a `discount` below 1"):
        return_scale(1.0, None)
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 5)
    policies = tabular_policies(game)
    assert GameObjective.__init__ is not None
    for discount, scale in ((0.75, 0.25), (1.0, 1 / 5)):
        dice = dice_tf.objectives.DiCEObjective(game, policies, discount)
        assert dice.return_scale == scale
    assert FunctionObjective([lambda params: 0.0]).return_scale == 1.0


def test_what_training_changes_comes_in_as_state():
    """A frozen layer's weights are read from the state, not the variables."""
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3, dtype="float64")
    policies = [
        dice_tf.policies.tabular(game, 0),
        dice_tf.policies.tit_for_tat(game, 1),
    ]
    objective = dice_tf.objectives.ExactObjective(game, policies, 0.9)
    params, state = objective.initial_params(), objective.initial_state()
    other = dice_tf.policies.always_defect(game, 1)
    expected = dice_tf.objectives.ExactObjective(
        game, [policies[0], other], 0.9
    )(params)
    changed = state._replace(
        non_trainable=([], [tf.convert_to_tensor(other.variables[0])])
    )
    assert np.any(np.abs(np.subtract(objective(params), expected)) > 0.1)
    np.testing.assert_allclose(objective(params, None, changed), expected)
    np.testing.assert_allclose(objective.bind(changed)(params), expected)


def test_objectives_that_do_not_play_report_their_values():
    objective = FunctionObjective(
        [lambda params: 2.0 * params[0][0], lambda params: params[1][0] ** 2]
    )
    params = [[tf.constant(3.0)], [tf.constant(4.0)]]
    play = objective.play(params, None)
    assert [float(value) for value in play.values] == [6.0, 16.0]
    assert [float(entropy) for entropy in play.entropies] == [0.0, 0.0]
    assert play.trajectory is None
    losses = objective.critic_losses([[], []], play)
    assert [float(loss) for loss in losses] == [0.0, 0.0]


def test_the_game_and_the_discount_are_those_of_the_objective():
    objective = exact_objective(ASYMMETRIC, 0.9, 3)
    assert game_of(objective) is objective.game
    assert discount_of(objective) == 0.9


@pytest.mark.parametrize("read", [game_of, discount_of])
def test_an_objective_without_a_game_has_neither(read):
    objective = FunctionObjective([lambda params: params[0][0]])
    with pytest.raises(ValueError, match="must be that of a game, .* Received"):
        read(objective)
