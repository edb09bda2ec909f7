"""Players with memory in training, evaluation and diagnostics."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.learners import LocalSymplecticSurgery, LOLADiCE, Naive
from dice_tf.learners.jacobians import game_jacobian
from dice_tf.objectives import DiCEObjective, SampledTasks
from dice_tf.opponent_models import OpponentModelling
from tests import recurrent
from tests.toys import random_params, tabular_policies

pytestmark = pytest.mark.own_process

BATCH, LENGTH = 8, 3


def objective_of(critics=False):
    """A GRU in seat 0 against a table, with a GRU critic if asked for."""
    game = recurrent.small_game(LENGTH)
    policies = [recurrent.gru_policies(game)[0], tabular_policies(game)[1]]
    if not critics:
        return DiCEObjective(game, policies, 0.9, BATCH)
    critics = [
        dice_tf.critics.gru_critic(game, 0, units=2),
        dice_tf.critics.tabular_critic(game, 1),
    ]
    return DiCEObjective(game, policies, 0.9, BATCH, "critic", critics)


def new_trainer(num_seeds=1, seed=0, **options):
    objective = objective_of()
    start = [random_params(objective.policies, 3)] * num_seeds
    trainer = dice_tf.Trainer(
        objective,
        [LOLADiCE(1, 1.0), Naive()],
        num_seeds=num_seeds,
        seed=seed,
        initial_params=start,
        entropy_coefficient=0.1,
    )
    trainer.compile(keras.optimizers.SGD(0.1), **options)
    return trainer


def trained(**settings):
    trainer = new_trainer(**settings)
    trainer.fit(epochs=2, verbose=0)
    return trainer


@functools.cache
def two_runs():
    return trained(num_seeds=2)


def assert_run_is(trainer, run, alone):
    """Asserts that a run is that of a trainer that has no others."""
    np.testing.assert_allclose(
        trainer.curves[:, run], alone.curves[:, 0], rtol=1e-10
    )
    trainer.load_run(run)
    for one, other in zip(
        trainer.objective.policies, alone.objective.policies, strict=True
    ):
        for x, y in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-7, atol=1e-10)


def test_a_run_is_the_same_vectorised_and_alone():
    """The others by XLA, with a look-ahead, and this one step by step."""
    assert two_runs()._step.is_compiled
    assert_run_is(two_runs(), 1, trained(seed=1, run_eagerly=True))


def test_a_loop_calls_the_program_of_vectorised_runs():
    """In a loop around converted loops, XLA copies all rows at every step."""
    trainer = new_trainer(num_seeds=2, steps_per_execution=2)
    trainer.fit(steps_per_epoch=2, verbose=0)
    np.testing.assert_allclose(trainer.curves, two_runs().curves, rtol=1e-12)
    step = tf.function(trainer._step.make_iterations, autograph=False)
    graph = step.get_concrete_function().graph.as_graph_def()
    compiled = {
        function.signature.name
        for function in graph.library.function
        if function.attr["_XlaMustCompile"].b
    }

    def calls(nodes):
        return [node for node in nodes if node.attr["f"].func.name in compiled]

    assert not calls(graph.node)
    in_functions = [calls(f.node_def) for f in graph.library.function]
    assert len(sum(in_functions, [])) == 1


def recurrent_trainer():
    """Compiled, with Adam, an opponent model and critics with memory."""
    objective = objective_of(critics=True)
    model = recurrent.gru_policies(objective.game)[1]
    modelling = OpponentModelling(Naive(), [None, model], num_steps=1)
    trainer = dice_tf.Trainer(objective, [modelling, Naive()], seed=3)
    trainer.compile(keras.optimizers.Adam(0.1))
    return trainer


def test_training_with_memory_continues_bit_by_bit(tmp_path):
    """In another trainer, whose weights were others."""
    trainer = recurrent_trainer()
    trainer.fit(verbose=0)
    checkpoint = dice_tf.callbacks.Checkpoint(tmp_path / "run.checkpoint")
    checkpoint.save(trainer, 1)
    trainer.fit(epochs=2, initial_epoch=1, verbose=0)
    resumed = recurrent_trainer()
    assert checkpoint.restore(resumed) == 1
    resumed.fit(epochs=2, initial_epoch=1, verbose=0)
    expected, found = trainer.take_snapshot(), resumed.take_snapshot()
    for one, other in zip(found.values, expected.values, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(found.curves, expected.curves)
    # Policies, critics, the model, and the slots of Adam.
    assert len(found.values) >= 60


def test_all_that_learns_moves():
    trainer = two_runs()
    trainer.load_run(0)
    start = random_params(trainer.objective.policies, 3)
    for policy, arrays in zip(trainer.objective.policies, start, strict=True):
        for x, y in zip(policy.trainable_variables, arrays, strict=True):
            assert np.abs(x.numpy() - y).max() > 1e-8
    assert np.isfinite(trainer.curves).all()


def test_with_memory_matches_are_played():
    for size in (64, None):
        returns = two_runs().evaluate(
            {"tit_for_tat": dice_tf.policies.tit_for_tat}, batch_size=size
        )
        assert np.isfinite(returns["player_0/return_against_tit_for_tat"])


@pytest.mark.parametrize("seat", ["policy", "critic"])
def test_an_objective_knows_who_has_memory(seat):
    game = recurrent.small_game()
    policies = tabular_policies(game)
    assert not DiCEObjective(game, policies, 0.9, BATCH).has_memory
    if seat == "policy":
        policies = recurrent.gru_policies(game)
        objective = DiCEObjective(game, policies, 0.9, BATCH)
    else:
        critics = [dice_tf.critics.gru_critic(game, i) for i in range(2)]
        objective = DiCEObjective(game, policies, 0.9, BATCH, "critic", critics)
    assert objective.has_memory


def test_a_critic_follows_what_it_remembers():
    objective = objective_of(critics=True)
    params = objective.initial_params()
    trajectory = objective.play(params, [0, 1]).trajectory
    critic = objective.critics[0]
    weights = critic.model.weights()
    values = critic(weights, trajectory)
    arrays = [x.numpy() for x in weights.params]
    seen = trajectory.observations[0].numpy()
    expected = [
        recurrent.gru_log_odds(arrays, seen[:, b]) for b in range(BATCH)
    ]
    np.testing.assert_allclose(values, np.transpose(expected), rtol=1e-10)


# --- Tournaments ------------------------------------------------------------


def test_tournaments_with_memory_are_played():
    game = recurrent.small_game(LENGTH)
    gru = recurrent.gru_policies(game)
    tables = tabular_policies(game)
    result = dice_tf.evaluation.cross_play(
        game,
        {"both": [gru[0], tables[0]]},
        {"gru": [gru[1]]},
        batch_size=16,
    )
    assert result.payoffs.shape == (2, 2, 1)
    assert np.all(result.standard_errors > 0)


# --- Learners, models and tasks ---------------------------------------------


def test_a_whole_jacobian_is_that_of_its_rows():
    objective = objective_of()
    params, seed = objective.initial_params(), tf.constant([1, 2])

    @tf.function(autograph=False)
    def in_graph():
        return game_jacobian(objective, params, [0, 1], seed)

    expected = game_jacobian(objective, params, [0, 1], seed)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(in_graph(), expected, rtol=1e-9, atol=1e-12)
    direction = LocalSymplecticSurgery().gradient(objective, params, 0, seed)
    assert all(np.all(np.isfinite(x)) for x in direction)


def test_a_model_with_memory_is_fitted_where_there_is_memory():
    objective = objective_of()
    game = objective.game
    model = recurrent.gru_policies(game)[1]
    learner = OpponentModelling(
        Naive(), [None, model], num_steps=3, learning_rate=0.1
    )
    params, seed = objective.initial_params(), tf.constant([1, 2])
    state = learner.init(params)
    _, after = learner.step(objective, params, 0, seed, state)
    played = objective.play(params, seed).trajectory
    actions = np.stack(played.actions, axis=-1)
    likelihoods = [
        sum(
            recurrent.log_prob(
                [x.numpy() for x in point.params[1]], actions[:, b], 1
            )
            for b in range(BATCH)
        )
        for point in (state, after)
    ]
    assert likelihoods[1] > likelihoods[0] + 0.1
    # In a game that is otherwise played from tables, too.
    plain = DiCEObjective(game, tabular_policies(game), 0.9, BATCH)
    trainer = dice_tf.Trainer(plain, [learner, None])
    trainer.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    trainer.fit(verbose=0)
    assert np.isfinite(trainer.curves).all()


def test_sampled_tasks_with_memory_are_met_one_by_one():
    objective = objective_of()

    def build(task):
        del task
        return objective

    family = SampledTasks(build, lambda seed, num: tf.zeros([num]), num_tasks=2)
    assert family.has_memory
    params, seed = objective.initial_params(), tf.constant([1, 2])
    graph = tf.function(lambda: family(params, seed), autograph=False)()
    np.testing.assert_allclose(family(params, seed), graph, rtol=1e-12)


# --- Diagnostics ------------------------------------------------------------


def test_derivatives_are_measured_of_several_plays_at_once():
    objective = objective_of()
    measure = functools.partial(
        dice_tf.diagnostics.derivative_statistics,
        objective,
        0,
        num_repetitions=2,
        orders=[2],
    )
    options = {"direction": objective.initial_params()}
    found = measure(repetitions_at_once=2, **options)
    for one, other in zip(found, measure(**options), strict=True):
        assert one.exact is None and np.abs(one.mean).max() > 0
        np.testing.assert_allclose(one.mean, other.mean, 1e-9, 1e-12)
    with pytest.raises(ValueError, match="`direction` must be given, or repe"):
        measure(repetitions_at_once=2)


def test_whole_jacobians_of_several_runs_are_refused():
    learners = [LocalSymplecticSurgery(), None]
    trainer = dice_tf.Trainer(objective_of(), learners, num_seeds=2)
    trainer.compile(keras.optimizers.SGD(0.1))
    with pytest.raises(ValueError, match="cannot vectorise a pass over time t"):
        trainer.fit(verbose=0)
