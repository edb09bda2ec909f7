"""Every callback of Keras, with two optimisers, compiled in four ways.

Each way has one trainer, which all callbacks share: it is compiled once.
"""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

import dice_tf
from dice_tf.learners import Naive
from tests.toys import ASYMMETRIC, tabular_policies

STEPS = 5
RATES = (0.1, 0.04)

way = pytest.mark.parametrize(
    "way", [(jit, steps) for jit in (False, True) for steps in (1, 5)], ids=str
)


class Counting(dice_tf.Trainer):
    """Counts how often its step is traced."""

    traces = 0

    def train_step(self, data):
        self.traces += 1
        return super().train_step(data)


@functools.cache
def shared(way):
    """Returns a trainer and its state before training."""
    jit_compile, steps_per_execution = way
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3)
    objective = dice_tf.objectives.ExactObjective(
        game, tabular_policies(game), 0.9
    )
    trainer = Counting(
        objective,
        [Naive(), Naive()],
        seed=4,
        initial_params="random",
    )
    trainer.compile(
        [keras.optimizers.SGD(RATES[0]), keras.optimizers.Adam(RATES[1])],
        jit_compile=jit_compile,
        steps_per_execution=steps_per_execution,
    )
    return trainer, trainer.take_snapshot()


@pytest.fixture
def trainer(way):
    """The trainer of the way, as it was when it was new."""
    trainer, fresh = shared(way)
    trainer.put_back(fresh)
    return trainer


def fit(trainer, *callbacks, epochs=3, **arguments):
    return trainer.fit(
        epochs=epochs,
        steps_per_epoch=STEPS,
        verbose=0,
        callbacks=list(callbacks),
        **arguments,
    )


def rates_of(trainer):
    return [
        float(optimizer.learning_rate.numpy())
        for optimizer in trainer.player_optimizers
    ]


def never_better(callback, **arguments):
    """With a monitor that counts nothing as an improvement."""
    return callback("joint/return", mode="max", min_delta=1e6, **arguments)


@way
def test_each_function_is_traced_once(trainer):
    fit(trainer)
    assert trainer.traces == 1
    fit(trainer, initial_epoch=3, epochs=4)
    assert trainer.traces == 1


@way
def test_all_ways_give_the_same_curves(trainer):
    history = fit(trainer)
    np.testing.assert_allclose(
        history.history["joint/return"],
        trainer.curves.reshape(3, -1).mean(axis=1),
        rtol=1e-5,
    )
    expected, fresh = shared((False, 1))
    found = trainer.curves
    expected.put_back(fresh)
    fit(expected)
    np.testing.assert_allclose(found, expected.curves, rtol=1e-5)


@way
def test_csv_logger(trainer, tmp_path):
    history = fit(trainer, keras.callbacks.CSVLogger(tmp_path / "log.csv"))
    header, *rows = (tmp_path / "log.csv").read_text().splitlines()
    assert {"epoch", *history.history} <= set(header.split(","))
    column = header.split(",").index("player_1/gradient_norm")
    np.testing.assert_allclose(
        [float(row.split(",")[column]) for row in rows],
        history.history["player_1/gradient_norm"],
        rtol=1e-6,
    )


@way
def test_model_checkpoint(trainer, tmp_path):
    checkpoint = keras.callbacks.ModelCheckpoint(
        tmp_path / "{epoch}.weights.h5",
        monitor="joint/return",
        mode="max",
        save_weights_only=True,
    )
    seen = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(trainer.take_snapshot())
    )
    fit(trainer, watch, checkpoint)
    trainer.load_weights(tmp_path / "2.weights.h5")
    found = trainer.take_snapshot()
    np.testing.assert_array_equal(found.curves, seen[1].curves)
    assert trainer.iterations == 2 * STEPS
    for value, other in zip(found.values, seen[1].values, strict=True):
        np.testing.assert_array_equal(value, other)


@way
def test_early_stopping(trainer):
    stopping = never_better(
        keras.callbacks.EarlyStopping, patience=2, restore_best_weights=True
    )
    first = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: first.append(trainer.get_weights())
    )
    history = fit(trainer, watch, stopping, epochs=9)
    assert history.epoch == [0, 1, 2]
    # Those of the first epoch, and the policies hold them.
    for value, best in zip(trainer.get_weights(), first[0], strict=True):
        np.testing.assert_array_equal(value, best)
    policy = trainer.objective.policies[0].get_weights()[0]
    np.testing.assert_array_equal(policy, trainer.players[0].params[0][0])


@way
def test_learning_rate_scheduler_sets_the_rate_of_each_player(trainer):
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    history = fit(trainer, halve)
    np.testing.assert_allclose(
        rates_of(trainer), np.array(RATES) / 8, rtol=1e-6
    )
    logged = [name for name in history.history if "learning_rate" in name]
    assert len(logged) == 2


@way
def test_reduce_on_plateau_reduces_the_rate_of_each_player(trainer):
    fit(
        trainer,
        never_better(keras.callbacks.ReduceLROnPlateau, factor=0.1, patience=1),
    )
    np.testing.assert_allclose(
        rates_of(trainer), np.array(RATES) / 100, rtol=1e-6
    )


@way
def test_terminate_on_nan(trainer):
    fit(trainer, keras.callbacks.TerminateOnNaN())
    assert trainer.iterations == 3 * STEPS
    (params,) = trainer.players[0].params
    params.assign(np.full_like(params.numpy(), np.nan))
    history = fit(trainer, keras.callbacks.TerminateOnNaN())
    assert history.epoch == [0]


@way
def test_tensorboard(trainer, tmp_path):
    board = keras.callbacks.TensorBoard(
        tmp_path, histogram_freq=1, update_freq="epoch"
    )
    history = fit(trainer, board)
    events = event_accumulator.EventAccumulator(str(tmp_path / "train"))
    events.Reload()
    values = [
        tf.make_ndarray(event.tensor_proto).item()
        for event in events.Tensors("epoch_player_0/entropy")
    ]
    np.testing.assert_allclose(
        values, history.history["player_0/entropy"], rtol=1e-6
    )
    tags = events.Tags()["tensors"]
    assert any("player_0/parameter_0" in tag for tag in tags)


@way
def test_backup_and_restore(way, trainer, tmp_path):
    fit(trainer)
    expected = trainer.take_snapshot()
    trainer.put_back(shared(way)[1])

    def die(epoch, logs):
        if epoch == 1:
            raise RuntimeError("the machine is gone")

    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    death = keras.callbacks.LambdaCallback(on_epoch_end=die)
    with pytest.raises(RuntimeError, match="the machine is gone"):
        fit(trainer, backup, death)
    trainer.put_back(shared(way)[1])
    history = fit(trainer, backup)
    assert history.epoch == [2]
    found = trainer.take_snapshot()
    for value, other in zip(found.values, expected.values, strict=True):
        np.testing.assert_array_equal(value, other)
    np.testing.assert_array_equal(found.curves, expected.curves)


@way
def test_a_callback_that_raises_leaves_the_trainer_able_to_go_on(way, trainer):
    fit(trainer)
    expected = trainer.curves

    def fail(epoch, logs):
        raise ZeroDivisionError("a mistake of the user")

    trainer.put_back(shared(way)[1])
    with pytest.raises(ZeroDivisionError, match="a mistake of the user"):
        fit(trainer, keras.callbacks.LambdaCallback(on_epoch_end=fail))
    assert trainer.iterations == STEPS
    np.testing.assert_array_equal(trainer.curves, expected[:STEPS])
    fit(trainer, initial_epoch=1)
    np.testing.assert_array_equal(trainer.curves, expected)


# --- Directions -------------------------------------------------------------

PLAIN = (False, 1)
MONITORS = [
    keras.callbacks.EarlyStopping,
    keras.callbacks.ReduceLROnPlateau,
    functools.partial(
        keras.callbacks.ModelCheckpoint, "a.weights.h5", save_weights_only=True
    ),
]


@pytest.mark.parametrize("callback", MONITORS)
@pytest.mark.parametrize(
    "monitor, message",
    [
        ("player_0/return", "are maximised: pass mode='max'"),
        ("joint/return", "are maximised: pass mode='max'"),
        ("val_player_1/return_against_me", "are maximised: pass mode='max'"),
        ("player_0/entropy", "Pass mode='max' or mode='min'"),
    ],
)
def test_a_metric_without_a_direction_is_refused(callback, monitor, message):
    """Before the first epoch, not after it, as Keras does."""
    trainer, fresh = shared(PLAIN)
    trainer.put_back(fresh)
    given = callback(monitor=monitor)
    for callbacks in ([given], keras.callbacks.CallbackList([given])):
        with pytest.raises(ValueError, match=f"{monitor!r}, .*{message}"):
            trainer.fit(verbose=0, callbacks=callbacks)
    assert trainer.iterations == 0


@pytest.mark.parametrize("callback", MONITORS)
def test_the_loss_has_a_direction(callback, tmp_path, monkeypatch):
    """It is minus the joint return."""
    monkeypatch.chdir(tmp_path)
    trainer, fresh = shared(PLAIN)
    trainer.put_back(fresh)
    given = callback(monitor="loss")
    fit(trainer, given, epochs=1)
    assert given.monitor_op(0.0, 1.0)


def test_a_return_that_rises_does_not_stop_early():
    trainer, fresh = shared(PLAIN)
    trainer.put_back(fresh)
    stopping = keras.callbacks.EarlyStopping(
        "joint/return", mode="max", patience=1
    )
    history = fit(trainer, stopping, epochs=4)
    assert np.all(np.diff(history.history["joint/return"]) > 0)
    assert history.epoch == [0, 1, 2, 3]


def test_a_checkpoint_of_the_whole_trainer_is_refused(tmp_path):
    trainer, fresh = shared(PLAIN)
    trainer.put_back(fresh)
    whole = keras.callbacks.ModelCheckpoint(tmp_path / "a.keras")
    with pytest.raises(ValueError, match="Pass save_weights_only=True"):
        fit(trainer, whole)
    assert trainer.iterations == 0
