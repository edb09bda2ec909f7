"""Learners against models of their opponents."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.inner_optimizers import SGD, Adam
from dice_tf.learners import LOLADiCE, Naive
from dice_tf.objectives import DiCEObjective
from dice_tf.opponent_models import OpponentModelling
from dice_tf.seeds import split_seed
from tests import oracles
from tests.opponent_models.settings import (
    DISCOUNT,
    LENGTH,
    SEED,
    fitted_by_hand,
    models_of,
    setting,
    tables_of,
)
from tests.toys import (
    ASYMMETRIC,
    THREE_PLAYERS,
    Plain,
    Pursuit,
    exact_objective,
    normal_policy,
    random_params,
    tabular_policies,
)

pytestmark = pytest.mark.own_process

RATE = 0.7


@pytest.mark.parametrize("wrap", [lambda game: game, Plain])
@pytest.mark.parametrize(
    "payoffs, player_id", [(ASYMMETRIC, 0), (ASYMMETRIC, 1), (THREE_PLAYERS, 1)]
)
def test_the_learner_moves_as_if_the_models_were_its_opponents(
    payoffs, player_id, wrap
):
    objective, params = setting(payoffs, wrap)
    models = models_of(objective, player_id)
    wrapped = LOLADiCE(1, 0.5)
    learner = OpponentModelling(
        wrapped, models, learning_rate=RATE, num_steps=3, optimizer=SGD()
    )
    found = learner.step(
        objective, params, player_id, SEED, learner.init(params)
    )
    rates = [RATE] * len(models)
    fitted = fitted_by_hand(objective, params, tables_of(models), 3, rates)
    believed = [
        player_params if theta is None else [tf.constant(theta)]
        for player_params, theta in zip(params, fitted, strict=True)
    ]
    seed = split_seed(SEED, 1)[0]
    expected = wrapped.gradient(objective, believed, player_id, seed)
    np.testing.assert_allclose(found.direction[0], expected[0], rtol=1e-9)
    for theta, model_params in zip(fitted, found.state.params, strict=True):
        if theta is None:
            assert model_params == []
        else:
            np.testing.assert_allclose(model_params[0], theta, rtol=1e-10)

    model_return, divergence = learner.metrics(found.state)
    values = objective.play(believed, seed).values
    np.testing.assert_allclose(
        model_return, (1.0 - DISCOUNT) * values[player_id], rtol=1e-9
    )
    trajectory = objective.play(params, SEED).trajectory
    expected = [
        np.mean(
            divergences(params[j][0].numpy(), theta)[
                np.argmax(trajectory.observations[j], axis=-1)
            ]
        )
        for j, theta in enumerate(fitted)
        if theta is not None
    ]
    np.testing.assert_allclose(divergence, np.mean(expected), rtol=1e-9)


def divergences(theta, other):
    """KL divergence of two tables of logits in each state."""
    pi, rho = oracles.policy(theta), oracles.policy(other)
    return np.sum(pi * np.log(pi / rho), axis=1)


def test_opponents_are_known_by_their_play_alone():
    """What changes no action changes nothing, though it moves real values."""
    objective, params = setting()
    learner = OpponentModelling(LOLADiCE(1, 0.5), models_of(objective, 0))
    moved = [params[0], [params[1][0] + 1e-9]]
    for before, after in zip(
        objective.play(params, SEED).trajectory.actions,
        objective.play(moved, SEED).trajectory.actions,
        strict=True,
    ):
        np.testing.assert_array_equal(before, after)
    directions = [
        learner.gradient(objective, at, 0, SEED)[0] for at in (params, moved)
    ]
    np.testing.assert_array_equal(*directions)
    unmodelled = [
        LOLADiCE(1, 0.5).gradient(objective, at, 0, SEED)[0]
        for at in (params, moved)
    ]
    assert np.any(unmodelled[0] != unmodelled[1])


def test_a_model_goes_on_from_where_it_was():
    objective, params = setting()
    models = models_of(objective, 0)
    options = {"learning_rate": 0.2, "optimizer": Adam()}
    short = OpponentModelling(Naive(), models, num_steps=2, **options)
    state = short.init(params)
    for _ in range(2):
        state = short.step(objective, params, 0, SEED, state).state
    long = OpponentModelling(Naive(), models, num_steps=4, **options)
    expected = long.step(objective, params, 0, SEED, long.init(params)).state
    np.testing.assert_allclose(
        state.params[1][0], expected.params[1][0], rtol=1e-12
    )


def test_the_fit_converges_to_what_was_seen_most_often():
    objective, params = setting()
    # In this play, both actions follow each observation.
    seed = tf.constant([3, 2])
    learner = OpponentModelling(
        Naive(),
        models_of(objective, 0),
        learning_rate=30.0,
        num_steps=500,
        optimizer=SGD(),
    )
    state = learner.step(objective, params, 0, seed, learner.init(params)).state
    trajectory = objective.play(params, seed).trajectory
    rows = np.argmax(trajectory.observations[1], axis=-1)
    cooperated = np.asarray(trajectory.actions[1]) == 0
    for row in range(5):
        share = cooperated[rows == row].mean()
        assert 0.0 < share < 1.0
        np.testing.assert_allclose(
            tf.sigmoid(state.params[1][0][row, 0]), share, atol=1e-3
        )


def test_a_network_models_a_table_in_the_compiled_step_of_many_runs():
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, LENGTH)
    policies = tabular_policies(game)
    keras.utils.set_random_seed(0)
    model = dice_tf.policies.mlp(game, 1, hidden_units=(8,))
    objective = DiCEObjective(game, policies, DISCOUNT, 512)
    starts = [random_params(policies, seed) for seed in range(2)]
    # A schedule with a branch: which one is taken is data.
    warm_up = keras.optimizers.schedules.CosineDecay(
        0.1, 1000, warmup_target=0.3, warmup_steps=3
    )
    learner = OpponentModelling(
        Naive(), [None, model], learning_rate=warm_up, num_steps=2
    )
    histories = []
    for jit_compile in (False, True):
        trainer = dice_tf.Trainer(
            objective,
            [learner, None],
            num_seeds=2,
            initial_params=starts,
        )
        trainer.compile("sgd", jit_compile=jit_compile)
        histories.append(
            trainer.fit(epochs=2, steps_per_epoch=5, verbose=0).history
        )
    names = {"player_0/model/return", "player_0/model/divergence"}
    assert {name for name in histories[0] if "model" in name} == names
    for name in histories[0]:
        np.testing.assert_allclose(
            histories[0][name], histories[1][name], rtol=1e-4, atol=1e-6
        )
    # A frozen opponent is soon known.
    first, last = histories[0]["player_0/model/divergence"]
    assert 0.0 < last < 0.7 * first


def test_continuous_actions_are_modelled():
    game = Pursuit()
    objective = DiCEObjective(
        game, [normal_policy(0), normal_policy(1)], DISCOUNT, 4096
    )
    learner = OpponentModelling(
        Naive(), [None, normal_policy(2)], learning_rate=0.02, num_steps=200
    )
    params = objective.initial_params()
    state = learner.init(params)
    before = learner.step(
        objective,
        params,
        0,
        SEED,
        state,
    )
    after = learner.step(objective, params, 0, SEED, before.state)
    for fitted, real in zip(after.state.params[1], params[1], strict=True):
        assert np.max(np.abs(fitted - real)) < 0.2
    start = [
        np.max(np.abs(x - y))
        for x, y in zip(state.params[1], params[1], strict=True)
    ]
    assert max(start) > 0.4


def test_bad_arguments_are_refused():
    objective, params = setting()
    model = models_of(objective, 0)[1]
    with pytest.raises(TypeError, match="`learner` must be"):
        OpponentModelling("lola", [None, model])
    with pytest.raises(TypeError, match="`models` must be a list"):
        OpponentModelling(Naive(), model)
    with pytest.raises(TypeError, match="`models` must hold keras.Model"):
        OpponentModelling(Naive(), [None, 3])
    with pytest.raises(ValueError, match="at least one model"):
        OpponentModelling(Naive(), [None, None])
    with pytest.raises(ValueError, match="no weights to fit"):
        OpponentModelling(
            Naive(), [None, dice_tf.policies.tit_for_tat(objective.game, 1)]
        )
    with pytest.raises(ValueError, match="num_steps"):
        OpponentModelling(Naive(), [None, model], num_steps=0)
    with pytest.raises(ValueError, match="one entry for each of 2 players"):
        OpponentModelling(Naive(), [None, model, None]).gradient(
            objective, params, 0, SEED
        )
    with pytest.raises(ValueError, match="does not model itself"):
        OpponentModelling(Naive(), [None, model]).gradient(
            objective, params, 1, SEED
        )
    with pytest.raises(ValueError, match="needs a sampled"):
        OpponentModelling(Naive(), [None, model]).gradient(
            exact_objective(ASYMMETRIC, DISCOUNT, LENGTH), params, 0, SEED
        )
