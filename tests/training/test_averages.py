"""Averages that optimisers keep: policies and critics hold them as in Keras."""

import keras
import numpy as np
import pytest

import dice_tf
from dice_tf.learners import Naive
from tests.toys import ASYMMETRIC, exact_objective, random_params

RATE, MOMENTUM = 0.25, 0.5
OPPONENTS = {"random": dice_tf.policies.random}


def averaging(rate=RATE, **arguments):
    return keras.optimizers.SGD(
        rate, use_ema=True, ema_momentum=MOMENTUM, **arguments
    )


def objective_of():
    objective = exact_objective(ASYMMETRIC, 0.9, 3)
    for policy, start in zip(
        objective.policies, random_params(objective.policies, 0), strict=True
    ):
        policy.set_weights(start)
    return objective


def trainer_of(objective, optimizer, **arguments):
    trainer = dice_tf.Trainer(objective, [Naive(), Naive()], num_seeds=2)
    trainer.compile(optimizer, **{"jit_compile": False, **arguments})
    return trainer


def path_of(num_steps):
    """Parameters of both players after each step, and their averages."""
    objective = objective_of()
    trainer = trainer_of(objective, keras.optimizers.SGD(RATE))
    params, averages = [], []
    for step in range(num_steps):
        trainer.fit(verbose=0)
        now = np.array([player.params[0].numpy() for player in trainer.players])
        momentum = MOMENTUM if step else 0.0
        before = averages[-1] if step else np.zeros_like(now)
        params.append(now)
        averages.append(momentum * before + (1.0 - momentum) * now)
    return params, averages


def weights_of(trainer):
    return np.array(
        [policy.get_weights()[0] for policy in trainer.objective.policies]
    )


def loaded(stacked, run=0):
    return stacked[:, run]


@pytest.mark.parametrize(
    "optimizer",
    [averaging, lambda: [averaging(), averaging()]],
    ids=["shared", "list"],
)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_policies_hold_the_averages_when_training_has_ended(
    optimizer, jit_compile
):
    """Also for callbacks at the end, and after an evaluation."""
    trainer = trainer_of(objective_of(), optimizer(), jit_compile=jit_compile)
    seen = []
    trainer.fit(
        steps_per_epoch=3,
        verbose=0,
        callbacks=keras.callbacks.LambdaCallback(
            on_train_end=lambda logs: seen.append(weights_of(trainer))
        ),
    )
    params, averages = path_of(3)
    for found in (seen[0], weights_of(trainer)):
        np.testing.assert_allclose(found, loaded(averages[-1]), rtol=1e-9)
    assert np.abs(params[-1] - averages[-1]).max() > 1e-3
    trainer.evaluate(OPPONENTS)
    np.testing.assert_allclose(
        weights_of(trainer), loaded(averages[-1]), rtol=1e-9
    )
    trainer.load_run(1)
    np.testing.assert_allclose(
        weights_of(trainer), loaded(averages[-1], 1), rtol=1e-9
    )


def test_averages_that_overwrite_on_the_way_are_trained_from():
    trainer = trainer_of(objective_of(), averaging(ema_overwrite_frequency=2))
    trainer.fit(steps_per_epoch=2, verbose=0)
    expected = path_of(2)[1][-1]
    np.testing.assert_allclose(weights_of(trainer), loaded(expected), rtol=1e-9)


class Watch(keras.callbacks.Callback):
    """Remembers what the policies hold before and after each epoch."""

    def __init__(self):
        super().__init__()
        self.before, self.after = [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.before.append(weights_of(self.model))

    def on_epoch_end(self, epoch, logs=None):
        self.after.append(weights_of(self.model))


def test_averages_that_are_swapped_in_are_seen_by_callbacks_that_follow():
    """And training goes on without them."""
    trainer = trainer_of(objective_of(), averaging())
    first, second = Watch(), Watch()
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    trainer.fit(
        epochs=2,
        steps_per_epoch=2,
        verbose=0,
        callbacks=[first, swap, second],
    )
    params, averages = path_of(4)
    for found, expected in (
        (first.after[0], params[1]),
        (second.after[0], averages[1]),
        (second.before[1], params[1]),
        (first.after[1], params[3]),
        (second.after[1], averages[3]),
        (weights_of(trainer), averages[3]),
    ):
        np.testing.assert_allclose(found, loaded(expected), rtol=1e-9)


def test_validation_is_of_the_averages_as_in_keras():
    trainer = trainer_of(objective_of(), averaging())
    history = trainer.fit(
        steps_per_epoch=2,
        verbose=0,
        callbacks=[keras.callbacks.SwapEMAWeights()],
        validation_opponents=OPPONENTS,
    )
    averages = path_of(2)[1][-1]
    objective = objective_of()
    plain = trainer_of(objective, "sgd")
    for player, average in zip(plain.players, averages, strict=True):
        player.params[0].assign(average)
    for name, value in plain.evaluate(OPPONENTS).items():
        found = history.history[f"val_{name}"][0]
        np.testing.assert_allclose(found, value, rtol=1e-9)
    np.testing.assert_allclose(weights_of(trainer), loaded(averages), rtol=1e-9)


@pytest.mark.parametrize("of_critics", [False, True])
def test_averages_of_players_and_of_critics_are_told_apart(of_critics):
    """Each takes the place of what it is the average of, and of nothing else.

    Of the other, the rate is 0 and nothing may change.
    """
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3, dtype="float64")
    models = [
        [build(game, i) for i in (0, 1)]
        for build in (dice_tf.policies.tabular, dice_tf.critics.tabular_critic)
    ]
    for number, group in enumerate(models):
        for model, start in zip(
            group, random_params(group, number), strict=True
        ):
            model.set_weights(start)
    starts = [[model.get_weights()[0] for model in group] for group in models]
    objective = dice_tf.objectives.DiCEObjective(
        game, models[0], 0.9, 4, "critic", models[1]
    )
    moving, still = averaging(), keras.optimizers.SGD(0.0)
    trainer = dice_tf.Trainer(objective, [Naive(), Naive()])
    trainer.compile(
        still if of_critics else moving,
        critic_optimizer=moving if of_critics else still,
        jit_compile=False,
    )
    params = []

    def remember(batch, logs):
        params.append([model.get_weights()[0] for model in models[of_critics]])

    trainer.fit(
        steps_per_epoch=2,
        verbose=0,
        callbacks=keras.callbacks.LambdaCallback(on_train_batch_end=remember),
    )
    for i in (0, 1):
        expected = 0.5 * (params[0][i] + params[1][i])
        assert np.abs(params[1][i] - expected).max() > 1e-4
        np.testing.assert_allclose(
            models[of_critics][i].get_weights()[0], expected, rtol=1e-9
        )
        np.testing.assert_array_equal(
            models[not of_critics][i].get_weights()[0],
            starts[not of_critics][i],
        )
