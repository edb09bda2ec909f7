"""Policies and critics hold the loaded run, and what is set on them counts.

The oracle of training is a loop over the objective's own gradients, with the
optimiser of Keras on a plain variable per player.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.learners import Naive
from tests.toys import (
    ASYMMETRIC,
    exact_objective,
    random_params,
    tabular_policies,
)

# Exact in float32, in which Keras keeps it.
RATE = 0.25
# For two players, in the observations of a game of two actions.
OTHER = [np.linspace(-1.0, 1.0, 5)[:, None], np.linspace(2.0, -0.5, 5)[:, None]]


def objective_of(seed=0):
    """An exact objective, float64, of policies with known parameters."""
    objective = exact_objective(ASYMMETRIC, 0.9, 3)
    for policy, start in zip(
        objective.policies,
        random_params(objective.policies, seed),
        strict=True,
    ):
        policy.set_weights(start)
    return objective


def trainer_of(objective, learners=None, optimizer=None, **arguments):
    compiling = {"jit_compile": False}
    for name in ("run_eagerly", "jit_compile", "steps_per_execution"):
        if name in arguments:
            compiling[name] = arguments.pop(name)
    trainer = dice_tf.Trainer(
        objective, learners or [Naive(), Naive()], **arguments
    )
    trainer.compile(optimizer or keras.optimizers.SGD(RATE), **compiling)
    return trainer


def fit(trainer, steps=1, epochs=1, **arguments):
    return trainer.fit(
        steps_per_epoch=steps, epochs=epochs, verbose=0, **arguments
    )


def weights_of(models):
    return [model.get_weights()[0] for model in models]


def run_of(trainer, run=0):
    return [player.params[0].numpy()[run] for player in trainer.players]


def assert_same(found, expected, **tolerances):
    for array, value in zip(found, expected, strict=True):
        np.testing.assert_allclose(array, value, **{"rtol": 1e-9, **tolerances})


def ascended(objective, params, num_steps=1, learning=(True, True), rate=RATE):
    """Where players go that ascend their own exact values."""
    params = [np.array(array) for array in params]
    for _ in range(num_steps):
        tensors = [[tf.constant(array)] for array in params]
        directions = [
            Naive().gradient(objective, tensors, i)[0].numpy() for i in (0, 1)
        ]
        params = [
            array + rate * direction if learns else array
            for array, direction, learns in zip(
                params, directions, learning, strict=True
            )
        ]
    return params


# --- What is set on policies ------------------------------------------------


@pytest.mark.parametrize(
    "ways",
    [
        {},
        {"run_eagerly": True},
        {"jit_compile": True},
        {"jit_compile": True, "steps_per_execution": 2},
    ],
    ids=str,
)
def test_weights_that_are_set_on_policies_are_trained_from(ways):
    """Before the first `fit`, and between two."""
    objective = objective_of()
    trainer = trainer_of(objective, **ways)
    for start in (OTHER, OTHER[::-1]):
        for policy, value in zip(objective.policies, start, strict=True):
            policy.set_weights([value])
        fit(trainer, 2)
        expected = ascended(objective, start, 2)
        assert_same(run_of(trainer), expected)
        assert_same(weights_of(objective.policies), expected)
    values = objective([[tf.constant(array)] for array in OTHER[::-1]])
    np.testing.assert_allclose(
        trainer.curves[2, 0], 0.1 * np.array(values), rtol=1e-6
    )


def test_weights_that_are_loaded_or_assigned_are_trained_from(tmp_path):
    objective = objective_of()
    trainer = trainer_of(objective)
    first, second = objective.policies
    first.save_weights(tmp_path / "first.weights.h5")
    start = first.get_weights()[0]
    fit(trainer)
    first.load_weights(tmp_path / "first.weights.h5")
    second.trainable_variables[0].assign(OTHER[1])
    fit(trainer)
    assert_same(run_of(trainer), ascended(objective, [start, OTHER[1]]))


def test_the_optimizer_remembers_what_it_did_before_weights_were_set():
    """As in Keras: only the weights are set."""
    objective = objective_of()
    trainer = trainer_of(objective, optimizer=keras.optimizers.Adam(0.1))
    plain = [
        keras.Variable(weight) for weight in weights_of(objective.policies)
    ]
    adam = keras.optimizers.Adam(0.1)
    for step in range(3):
        if step == 2:
            objective.policies[1].set_weights([OTHER[1]])
            plain[1].assign(OTHER[1])
        fit(trainer)
        params = [[tf.convert_to_tensor(variable)] for variable in plain]
        directions = [Naive().gradient(objective, params, i)[0] for i in (0, 1)]
        adam.apply([-direction for direction in directions], plain)
    assert_same(run_of(trainer), [variable.numpy() for variable in plain])


def test_weights_are_set_in_the_loaded_run_alone():
    objective = objective_of()
    trainer = trainer_of(objective, num_seeds=3, seed=4)
    trainer.load_run(1)
    starts = [run_of(trainer, run) for run in range(3)]
    objective.policies[0].set_weights([OTHER[0]])
    starts[1][0] = OTHER[0]
    fit(trainer, 2)
    for run in range(3):
        assert_same(
            run_of(trainer, run),
            ascended(objective, starts[run], 2),
            rtol=1e-7,
        )
    assert_same(weights_of(objective.policies), run_of(trainer, 1))


def test_another_run_is_loaded_without_losing_what_was_set():
    objective = objective_of()
    trainer = trainer_of(objective, num_seeds=2, seed=4)
    before = run_of(trainer, 1)
    objective.policies[0].set_weights([OTHER[0]])
    trainer.load_run(1)
    assert_same(weights_of(objective.policies), before)
    trainer.load_run(0)
    assert_same(weights_of(objective.policies)[:1], [OTHER[0]])


@pytest.mark.parametrize("num_seeds", [1, 2])
def test_a_frozen_player_stands_where_its_policy_does(num_seeds):
    """In every run, also after its weights were set."""
    objective = objective_of()
    trainer = trainer_of(objective, [Naive(), None], num_seeds=num_seeds)
    starts = [run_of(trainer, run) for run in range(num_seeds)]
    objective.policies[1].set_weights([OTHER[1]])
    fit(trainer, 2)
    for run in range(num_seeds):
        expected = ascended(
            objective, [starts[run][0], OTHER[1]], 2, (True, False)
        )
        assert_same(run_of(trainer, run), expected)


def test_parameters_given_for_a_frozen_player_are_shown_by_its_policy():
    objective = objective_of()
    starts = [[[array] for array in OTHER], [[array] for array in OTHER[::-1]]]
    trainer = trainer_of(
        objective, [Naive(), None], num_seeds=2, initial_params=starts
    )
    assert_same(weights_of(objective.policies), OTHER)
    trainer.load_run(1)
    assert_same(weights_of(objective.policies), OTHER[::-1])
    objective.policies[1].set_weights([2.0 * OTHER[0]])
    fit(trainer)
    assert_same(run_of(trainer, 1)[1:], [2.0 * OTHER[0]])
    assert_same(run_of(trainer, 0)[1:], [OTHER[1]])


@pytest.mark.parametrize("hook", ["on_epoch_end", "on_train_batch_end"])
def test_weights_that_a_callback_sets_count_from_the_next_step_on(hook):
    objective = objective_of()
    trainer = trainer_of(objective)
    calls = []

    def set_weights(number, logs=None):
        calls.append(number)
        if len(calls) == 2:
            objective.policies[0].set_weights([OTHER[0]])

    start = weights_of(objective.policies)
    callback = keras.callbacks.LambdaCallback(**{hook: set_weights})
    fit(trainer, 1, 3, callbacks=[callback])
    second = ascended(objective, start, 2)
    assert_same(run_of(trainer), ascended(objective, [OTHER[0], second[1]]))


def test_weights_that_the_last_callback_sets_stay():
    objective = objective_of()
    trainer = trainer_of(objective)
    callback = keras.callbacks.LambdaCallback(
        on_train_end=lambda logs: objective.policies[0].set_weights([OTHER[0]])
    )
    fit(trainer, callbacks=[callback])
    assert_same(weights_of(objective.policies)[:1], [OTHER[0]])
    assert_same(run_of(trainer)[:1], [OTHER[0]])


def test_what_reads_a_trainer_reads_what_was_set(tmp_path):
    """Evaluation, weights, files and snapshots."""
    objective = objective_of()
    trainer = trainer_of(objective)
    opponents = {"tit_for_tat": dice_tf.policies.tit_for_tat}
    objective.policies[0].set_weights([OTHER[0]])
    found = trainer.evaluate(opponents)["player_0/return_against_tit_for_tat"]
    seats = [
        objective.policies[0],
        dice_tf.policies.tit_for_tat(objective.game, 1),
    ]
    match = dice_tf.evaluation.exact_match(
        objective.game, seats, discount=0.9, episode_length=3
    )
    np.testing.assert_allclose(found, match.mean[0], rtol=1e-6)
    assert_same(weights_of(objective.policies)[:1], [OTHER[0]])
    for number, read in enumerate(
        [
            lambda: trainer.get_weights(),
            lambda: trainer.take_snapshot().values,
            lambda: trainer.save_weights(tmp_path / "own.weights.h5"),
        ]
    ):
        value = OTHER[0] * (number + 2)
        objective.policies[0].set_weights([value])
        arrays = read()
        if arrays is not None:
            # The first array is the number of the iteration.
            assert_same([arrays[1][0]], [value])
    other = trainer_of(objective_of(1))
    other.load_weights(tmp_path / "own.weights.h5")
    assert_same(run_of(other)[:1], [4.0 * OTHER[0]])


def test_what_is_restored_replaces_what_was_set(tmp_path):
    objective = objective_of()
    trainer = trainer_of(objective, num_seeds=2)
    trainer.save_weights(tmp_path / "own.weights.h5")
    snapshot, weights = trainer.take_snapshot(), trainer.get_weights()
    before = weights_of(objective.policies)
    for restore in (
        lambda: trainer.load_weights(tmp_path / "own.weights.h5"),
        lambda: trainer.put_back(snapshot),
        lambda: trainer.set_weights(weights),
    ):
        objective.policies[0].set_weights([OTHER[0]])
        restore()
        assert_same(weights_of(objective.policies), before)
        trainer.load_run(1)
        trainer.load_run(0)
        assert_same(weights_of(objective.policies), before)


def test_what_is_not_set_stays_bit_by_bit():
    """Parameters that the policy's dtype cannot hold, and NaN."""
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3)
    objective = dice_tf.objectives.ExactObjective(
        game, tabular_policies(game), 0.9
    )
    start = [
        [arrays[0] + 1e-12] for arrays in random_params(objective.policies, 1)
    ]
    start = [np.float64(arrays[0]) + 1e-12 for arrays in start]
    trainer = trainer_of(
        objective, [Naive(), None], initial_params=[[[x] for x in start]]
    )
    trainer.synchronize()
    trainer.load_run(0)
    for found, value in zip(run_of(trainer), start, strict=True):
        np.testing.assert_array_equal(found, value)
    trainer.players[0].params[0].assign(np.full((1, 5, 1), np.nan))
    trainer.synchronize()
    trainer.players[0].params[0].assign([OTHER[0]])
    trainer.synchronize()
    assert_same(weights_of(objective.policies)[:1], [OTHER[0]], rtol=1e-6)


# --- What changes the trainer -----------------------------------------------


def test_what_is_assigned_to_the_trainer_is_shown_by_its_policies():
    objective = objective_of()
    trainer = trainer_of(objective)
    (params,) = trainer.players[0].params
    params.assign([OTHER[0]])
    trainer.evaluate({"random": dice_tf.policies.random})
    assert_same(weights_of(objective.policies)[:1], [OTHER[0]])
    params.assign([2.0 * OTHER[0]])
    trainer.synchronize()
    assert_same(weights_of(objective.policies)[:1], [2.0 * OTHER[0]])
    callback = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: params.assign([3.0 * OTHER[0]])
    )
    fit(trainer, callbacks=[callback])
    assert_same(weights_of(objective.policies)[:1], [3.0 * OTHER[0]])


# --- Critics ----------------------------------------------------------------


def critic_trainer(num_seeds=1, **arguments):
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3, dtype="float64")
    critics = [dice_tf.critics.tabular_critic(game, i) for i in (0, 1)]
    for i, critic in enumerate(critics):
        critic.set_weights([OTHER[i]])
    objective = dice_tf.objectives.DiCEObjective(
        game, tabular_policies(game), 0.9, 4, "critic", critics
    )
    trainer = dice_tf.Trainer(
        objective, [Naive(), Naive()], num_seeds=num_seeds
    )
    trainer.compile(
        "sgd",
        critic_optimizer=arguments.pop("critic_optimizer", "sgd"),
        jit_compile=False,
    )
    return trainer, critics


def test_critics_hold_what_they_have_learned_in_the_loaded_run():
    trainer, critics = critic_trainer(2)
    trainer.load_run(1)
    before = weights_of(critics)
    fit(trainer, 2)
    for run in (1, 0):
        trainer.load_run(run)
        expected = [
            player.critic_params[0].numpy()[run] for player in trainer.players
        ]
        assert_same(weights_of(critics), expected)
        assert np.abs(before[0] - expected[0]).max() > 1e-3


def test_weights_that_are_set_on_critics_are_trained_from():
    """With a rate of 0 they stay what they were set to."""
    trainer, critics = critic_trainer(
        critic_optimizer=keras.optimizers.SGD(0.0)
    )
    critics[1].set_weights([3.0 * OTHER[0]])
    fit(trainer)
    expected = [OTHER[0], 3.0 * OTHER[0]]
    assert_same(weights_of(critics), expected)
    found = [player.critic_params[0].numpy()[0] for player in trainer.players]
    assert_same(found, expected)


@pytest.mark.parametrize("second", ["policies", "critics"])
def test_shared_layers_may_not_be_set_free_before_a_trainer_is_made(second):
    """Objectives take shared layers as long as nothing trains them."""
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3)
    trunk = keras.layers.Dense(3, name="trunk")

    def network():
        observation = keras.Input((5,))
        outputs = keras.layers.Dense(1)(trunk(observation))
        return keras.Model(observation, outputs)

    models = {
        "policies": [dice_tf.policies.tabular(game, i) for i in range(2)],
        "critics": [dice_tf.critics.tabular_critic(game, i) for i in range(2)],
    }
    models["policies"][0], models[second][1] = network(), network()
    trunk.trainable = False
    objective = dice_tf.objectives.DiCEObjective(
        game,
        models["policies"],
        0.9,
        4,
        "critic",
        models["critics"],
    )
    dice_tf.Trainer(objective, [Naive(), Naive()])
    trunk.trainable = True
    message = rf"`policies.0.` .* and `{second}.1.` .* share .*'trunk/bias'"
    with pytest.raises(ValueError, match=message):
        dice_tf.Trainer(objective, [Naive(), Naive()])


def test_layers_with_wrong_second_derivatives_may_not_be_set_free():
    """Objectives take any layers in a policy that nothing trains."""
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3)
    keras.utils.set_random_seed(1)
    observation = keras.Input((5,))
    hidden = keras.layers.Dense(4, activation="tanh")(observation)
    outputs = keras.layers.Dense(1)(keras.layers.LayerNormalization()(hidden))
    policy = keras.Model(observation, outputs)
    policy.trainable = False
    policies = [policy, dice_tf.policies.tabular(game, 1)]
    objective = dice_tf.objectives.ExactObjective(game, policies)
    dice_tf.Trainer(objective, [None, Naive()])
    policy.trainable = True
    with pytest.raises(ValueError, match=r"`policies\[0\]` .*different.*twice"):
        dice_tf.Trainer(objective, [Naive(), Naive()])


# --- Models of opponents ----------------------------------------------------


def test_weights_that_are_set_on_models_of_opponents_are_fitted_from():
    """In every run; what was fitted is not written to the model."""
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3, dtype="float64")
    model = dice_tf.policies.tabular(game, 1)
    learner = dice_tf.opponent_models.OpponentModelling(
        Naive(), [None, model], learning_rate=0.0, num_steps=1
    )
    objective = dice_tf.objectives.DiCEObjective(
        game, tabular_policies(game), 0.9, 4
    )
    trainer = trainer_of(objective, [learner, Naive()], num_seeds=2)
    for value in OTHER:
        model.set_weights([value])
        fit(trainer)
        state = trainer.players[0].state().learner_state
        assert_same(state.params[1][0].numpy(), [value, value])
        assert_same(model.get_weights(), [value])
    measured = dice_tf.diagnostics.MeasuredShaping(learner)
    trainer = trainer_of(objective, [measured, Naive()])
    model.set_weights([OTHER[0]])
    trainer.synchronize()
    state = trainer.players[0].state().learner_state.learner
    assert_same(state.params[1][0].numpy(), [OTHER[0]])


def test_a_policy_that_serves_as_a_model_is_fitted_on_its_own():
    """It starts from the policy, which moves on without it."""
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3, dtype="float64")
    policies = tabular_policies(game)
    start = policies[1].get_weights()[0]
    learner = dice_tf.opponent_models.OpponentModelling(
        Naive(), [None, policies[1]], learning_rate=0.0, num_steps=1
    )
    objective = dice_tf.objectives.DiCEObjective(game, policies, 0.9, 4)
    trainer = trainer_of(objective, [learner, Naive()])
    fit(trainer, 2)
    assert np.abs(policies[1].get_weights()[0] - start).max() > 1e-3
    state = trainer.players[0].state().learner_state
    assert_same(state.params[1][0].numpy(), [start])


# --- Several trainers -------------------------------------------------------


def test_trainers_that_share_policies_take_turns():
    """Each learns one player, against what the other has made of its own."""
    objective = objective_of()
    first = trainer_of(objective, [Naive(), None])
    second = trainer_of(objective, [None, Naive()])
    params = weights_of(objective.policies)
    for _ in range(2):
        for trainer, learning in (
            (first, (True, False)),
            (second, (False, True)),
        ):
            fit(trainer)
            params = ascended(objective, params, 1, learning)
            assert_same(run_of(trainer), params)
            assert_same(weights_of(objective.policies), params)
    first.evaluate({"random": dice_tf.policies.random})
    assert_same(weights_of(objective.policies), params)


def test_many_runs_are_a_trainers_own():
    """What another trainer makes of shared policies is none of them."""
    objective = objective_of()
    first = trainer_of(objective, num_seeds=2, seed=1)
    second = trainer_of(objective, num_seeds=2, seed=7)
    starts = [run_of(first, run) for run in range(2)]
    fit(second)
    for run in (1, 0):
        first.load_run(run)
        assert_same(weights_of(objective.policies), starts[run])
    fit(second)
    fit(first)
    for run in range(2):
        assert_same(run_of(first, run), ascended(objective, starts[run]))


def test_a_start_that_was_given_is_the_trainers_own():
    objective = objective_of()
    trainers = [
        trainer_of(objective, initial_params=[[[x] for x in start]])
        for start in (OTHER, OTHER[::-1])
    ]
    for trainer, start in zip(trainers, (OTHER, OTHER[::-1]), strict=True):
        fit(trainer)
        assert_same(run_of(trainer), ascended(objective, start))


# --- Models that the trainer cannot train as they ask for -------------------


class AddsLosses(keras.layers.Layer):
    """Asks for weights of small activity."""

    def call(self, x):
        self.add_loss(0.1 * keras.ops.sum(x**2))
        return x


def network(*layers, units=2):
    return keras.Sequential(
        [
            keras.Input((5,)),
            *layers,
            keras.layers.Dense(units, dtype="float64", name="logits"),
        ]
    )


def dense(**arguments):
    return keras.layers.Dense(3, dtype="float64", name="hidden", **arguments)


def nested(layer):
    return keras.Sequential([keras.Input((5,)), layer])


PENALTIES = [
    (lambda: dense(kernel_regularizer="l2"), "hidden/kernel.* a regularizer"),
    (lambda: dense(bias_regularizer="l1"), "hidden/bias.* has a regularizer"),
    (lambda: dense(kernel_constraint="max_norm"), "kernel.* has a constraint"),
    (lambda: dense(bias_constraint="non_neg"), "bias.* has a constraint"),
    (
        lambda: dense(activity_regularizer="l2"),
        "its layer 'hidden' has an activity_regularizer",
    ),
    (
        lambda: nested(dense(activity_regularizer="l2")),
        "its layer 'hidden' has an activity_regularizer",
    ),
    (
        lambda: keras.layers.ActivityRegularization(l2=0.1),
        "has an activity_regularizer",
    ),
    (
        lambda: keras.layers.LayerNormalization(
            gamma_constraint="unit_norm", dtype="float64"
        ),
        "gamma.* has a constraint",
    ),
    (AddsLosses, "it adds losses with `add_loss`"),
]


@pytest.mark.parametrize("build, message", PENALTIES)
def test_penalties_and_constraints_are_refused_where_a_model_learns(
    build, message
):
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3, dtype="float64")
    plain = [dice_tf.policies.tabular(game, i) for i in (0, 1)]
    policies = [plain[0], network(build())]
    objective = dice_tf.objectives.ExactObjective(game, policies, 0.9)
    with pytest.raises(ValueError, match=rf"`policies\[1\]`.*{message}"):
        dice_tf.Trainer(objective, [Naive(), Naive()])
    # One that stands still asks for nothing.
    dice_tf.Trainer(objective, [Naive(), None])
    critics = [
        network(build(), units=1),
        dice_tf.critics.tabular_critic(game, 1),
    ]
    objective = dice_tf.objectives.DiCEObjective(
        game, plain, 0.9, 4, "critic", critics
    )
    with pytest.raises(ValueError, match=rf"`critics\[0\]`.*{message}"):
        dice_tf.Trainer(objective, [Naive(), Naive()])


@pytest.mark.parametrize("build, message", PENALTIES)
def test_penalties_of_models_of_opponents_are_refused(build, message):
    with pytest.raises(ValueError, match=rf"`models\[1\]`.*{message}"):
        dice_tf.opponent_models.OpponentModelling(
            Naive(), [None, network(build())]
        )


def test_a_model_with_other_variables_than_before_is_refused():
    objective = objective_of()
    trainer = trainer_of(objective)
    policy = objective.policies[1]
    policy.trainable = False
    with pytest.raises(
        ValueError, match=r"`policies\[1\]`.* has other trainable"
    ):
        fit(trainer)
    policy.trainable = True
    (layer,) = [layer for layer in policy.layers if layer.weights]
    layer.kernel.regularizer = keras.regularizers.L2(0.1)
    with pytest.raises(ValueError, match=r"`policies\[1\]`.* a regularizer"):
        fit(trainer)
    layer.kernel.regularizer = None
    fit(trainer)
    assert trainer.iterations == 1
