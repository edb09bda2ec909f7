"""Checkpoints: bit-exact, whole at any moment, and nobody else's."""

import json
import os
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.callbacks import Checkpoint
from dice_tf.learners import Learner, LearnerStep, Naive
from dice_tf.opponent_models import OpponentModelling
from dice_tf.training.checkpoints import Snapshot
from tests.toys import ASYMMETRIC, tabular_policies

EPOCHS = 4


class Slowing(Learner):
    """Ascends its own gradient, divided by the number of steps made."""

    def init(self, params):
        return {"count": tf.zeros([])}

    def step(self, objective, params, player_id, seed, state):
        count = state["count"] + 1.0
        (gradient,) = Naive().gradient(objective, params, player_id, seed)
        return LearnerStep([gradient / count], {"count": count})


def build_trainer(optimizers=None, num_seeds=2, seed=3):
    """With a learner and an optimiser that remember, and a schedule."""
    objective = dice_tf.objectives.FunctionObjective(
        [
            lambda params: -tf.reduce_sum((params[0][0] - 1.0) ** 2),
            lambda params: -tf.reduce_sum(params[1][0] * params[0][0]),
        ]
    )
    starts = np.random.default_rng(0).normal(size=(num_seeds, 2, 1, 3))
    trainer = dice_tf.Trainer(
        objective,
        [Slowing(), Naive()],
        num_seeds=num_seeds,
        seed=seed,
        initial_params=starts.astype(np.float32),
    )
    schedule = keras.optimizers.schedules.InverseTimeDecay(0.3, 2, 0.5)
    trainer.compile(
        optimizers
        or [keras.optimizers.Adam(0.1), keras.optimizers.SGD(schedule)],
        jit_compile=False,
        steps_per_execution=2,
    )
    return trainer


def build_sampled_trainer():
    """With critics and a model of an opponent."""
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 2)
    objective = dice_tf.objectives.DiCEObjective(
        game,
        tabular_policies(game),
        0.9,
        4,
        baseline="critic",
        critics=[dice_tf.critics.tabular_critic(game, i) for i in range(2)],
    )
    model = dice_tf.policies.tabular(game, 1, initializer="zeros")
    modelling = OpponentModelling(
        Naive(),
        [None, model],
        num_steps=1,
        learning_rate=keras.optimizers.schedules.InverseTimeDecay(0.1, 1, 1.0),
    )
    trainer = dice_tf.Trainer(objective, [modelling, Naive()])
    trainer.compile(keras.optimizers.Adam(0.1), jit_compile=False)
    return trainer


class Dies(keras.callbacks.Callback):
    """Raises at the end of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            raise RuntimeError("the machine is gone")


def fit(trainer, *callbacks, epochs=EPOCHS, **arguments):
    return trainer.fit(
        epochs=epochs,
        steps_per_epoch=2,
        verbose=0,
        callbacks=list(callbacks),
        **arguments,
    )


def reduce_rate():
    return keras.callbacks.LearningRateScheduler(
        lambda epoch, rate: 0.5 * rate if epoch else rate
    )


def assert_same(trainer, other):
    first, second = trainer.take_snapshot(), other
    if not isinstance(other, Snapshot):
        second = other.take_snapshot()
    for value, expected in zip(first.values, second.values, strict=True):
        np.testing.assert_array_equal(value, expected)
    np.testing.assert_array_equal(first.curves, second.curves)


def adams():
    return [keras.optimizers.Adam(0.1), keras.optimizers.Adam(0.2)]


@pytest.fixture(scope="module")
def uninterrupted():
    trainer = build_trainer()
    fit(trainer)
    return trainer


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A file after two epochs, and a trainer that died in the third."""
    path = tmp_path_factory.mktemp("checkpoint") / "a" / "run.checkpoint"
    trainer = build_trainer()
    callbacks = [Checkpoint(path, configuration={"game": "toy"}), Dies(1)]
    with pytest.raises(RuntimeError, match="the machine is gone"):
        fit(trainer, *callbacks)
    return path, trainer


def copy_of(interrupted, tmp_path):
    path = tmp_path / "run.checkpoint"
    path.write_bytes(interrupted[0].read_bytes())
    return path


@pytest.fixture(scope="module")
def other():
    """A trainer that may be loaded into again and again."""
    return build_trainer()


def test_training_continues_bit_by_bit(
    interrupted, uninterrupted, other, tmp_path
):
    path = copy_of(interrupted, tmp_path)
    fresh = other.take_snapshot()
    history = fit(other, Checkpoint(path, configuration={"game": "toy"}))
    assert history.epoch == [2, 3]
    assert_same(other, uninterrupted)
    # Its work is done.
    assert os.listdir(tmp_path) == []
    other.put_back(fresh)


def test_critics_and_models_of_opponents_are_part_of_it(tmp_path):
    trainer = build_sampled_trainer()
    checkpoint = Checkpoint(tmp_path / "own")
    fit(trainer, epochs=1)
    checkpoint.save(trainer, 1)
    at_save = trainer.take_snapshot()
    fit(trainer, epochs=2, initial_epoch=1)
    expected = trainer.take_snapshot()
    assert checkpoint.restore(trainer) == 1
    assert_same(trainer, at_save)
    fit(trainer, epochs=2, initial_epoch=1)
    assert_same(trainer, expected)
    changed = [
        np.any(before != after)
        for before, after in zip(at_save.values, expected.values, strict=True)
    ]
    # Policies, critics and a model, and what their optimisers remember.
    assert sum(changed) > 12


def test_a_later_fit_starts_where_it_is_told(
    interrupted, other, uninterrupted, tmp_path
):
    path = copy_of(interrupted, tmp_path)
    fresh = other.take_snapshot()
    fit(other, Checkpoint(path, configuration={"game": "toy"}), epochs=3)
    history = fit(other, initial_epoch=3)
    assert history.epoch == [3]
    assert_same(other, uninterrupted)
    other.put_back(fresh)


def test_a_callback_that_raises_leaves_a_trainer_that_goes_on(
    interrupted, uninterrupted
):
    trainer = interrupted[1]
    assert trainer.iterations == 4
    fit(trainer, initial_epoch=2)
    assert_same(trainer, uninterrupted)


def test_without_a_file_training_starts_at_the_beginning(other, tmp_path):
    checkpoint = Checkpoint(tmp_path / "none")
    assert checkpoint.restore(other) == 0
    assert other.iterations == 0


def test_checkpoints_are_as_far_apart_as_asked_for(other, tmp_path):
    fresh = other.take_snapshot()
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(os.path.exists(tmp_path / "own"))

    rare = Checkpoint(tmp_path / "own", every_seconds=3600, keep=True)
    fit(other, rare, Watch())
    assert seen == [False] * EPOCHS
    rare.save(other, EPOCHS)
    other.put_back(fresh)
    assert Checkpoint(tmp_path / "own").restore(other) == EPOCHS
    assert other.iterations == 2 * EPOCHS
    other.put_back(fresh)


def test_an_earlier_file_can_be_replaced(interrupted, other, tmp_path):
    path = copy_of(interrupted, tmp_path)
    fresh = other.take_snapshot()
    fit(other, Checkpoint(path, resume=False, keep=True), epochs=1)
    assert other.iterations == 2
    other.put_back(fresh)
    assert Checkpoint(path).restore(other) == 1
    other.put_back(fresh)


def test_rates_that_callbacks_have_set_are_restored(tmp_path):
    trainer = build_trainer(adams())
    with pytest.raises(RuntimeError):
        fit(trainer, reduce_rate(), Checkpoint(tmp_path / "own"), Dies(2))
    other = build_trainer(adams())
    Checkpoint(tmp_path / "own").restore(other)
    rates = [
        float(optimizer.learning_rate.numpy())
        for optimizer in other.player_optimizers
    ]
    np.testing.assert_allclose(rates, [0.025, 0.05], rtol=1e-6)


def damage(path, kind):
    content = path.read_bytes()
    if kind == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "flipped":
        middle = len(content) // 2
        flipped = bytes([content[middle] ^ 1])
        path.write_bytes(content[:middle] + flipped + content[middle + 1 :])
    elif kind == "empty":
        path.write_bytes(b"")
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("notes.txt", "mine")


@pytest.mark.parametrize("kind", ["cut", "flipped", "empty", "foreign"])
def test_a_damaged_file_is_refused(interrupted, other, tmp_path, kind):
    path = copy_of(interrupted, tmp_path)
    damage(path, kind)
    before = other.take_snapshot()
    with pytest.raises(
        ValueError, match="is not a checkpoint of a trainer, or"
    ):
        fit(other, Checkpoint(path, configuration={"game": "toy"}))
    assert_same(other, before)
    assert path.exists()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"seed": 4}, "another training: `seed` is 3 there and 4 here"),
        ({"num_seeds": 1}, "`num_seeds` is 2 there and 1 here; `variables"),
        (
            {"optimizers": keras.optimizers.Adam(0.1)},
            "`optimizer` is .* there and .* here",
        ),
    ],
)
def test_the_file_of_another_trainer_is_refused(interrupted, changes, message):
    trainer = build_trainer(**changes)
    before = trainer.take_snapshot()
    checkpoint = Checkpoint(interrupted[0], configuration={"game": "toy"})
    with pytest.raises(ValueError, match=message):
        checkpoint.restore(trainer)
    assert_same(trainer, before)


def test_the_file_of_another_configuration_is_refused(interrupted, other):
    checkpoint = Checkpoint(
        interrupted[0], configuration={"game": "hunt", "rates": (1, 2)}
    )
    with pytest.raises(
        ValueError,
        match=r"`configuration.game` is 'toy' there and 'hunt' here; "
        r"`configuration.rates` is None there and \[1, 2\] here",
    ):
        checkpoint.restore(other)
    assert other.iterations == 0


def rewrite(path, change):
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(files["metadata.json"])
    change(metadata)
    files["metadata.json"] = json.dumps(metadata)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def test_a_file_of_another_format_is_refused(interrupted, other, tmp_path):
    path = copy_of(interrupted, tmp_path)
    rewrite(path, lambda metadata: metadata.update(version=0))
    with pytest.raises(ValueError, match="`version` is 0 there and 1 here"):
        Checkpoint(path, configuration={"game": "toy"}).restore(other)


def test_other_versions_are_told(interrupted, other, tmp_path):
    path = copy_of(interrupted, tmp_path)
    rewrite(path, lambda metadata: metadata["versions"].update(keras="3.0"))
    fresh = other.take_snapshot()
    with pytest.warns(UserWarning, match="but not bit by bit"):
        Checkpoint(path, configuration={"game": "toy"}).restore(other)
    other.put_back(fresh)


def test_a_trainer_that_is_not_compiled_is_refused(interrupted, tmp_path):
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 2)
    objective = dice_tf.objectives.ExactObjective(
        game, tabular_policies(game), 0.9
    )
    trainer = dice_tf.Trainer(objective, [Naive(), Naive()])
    with pytest.raises(ValueError, match="must be compiled before it is saved"):
        Checkpoint(tmp_path / "own").save(trainer, 0)


@pytest.mark.parametrize("step", ["save_weights", "fsync", "replace"])
def test_a_file_is_whole_whenever_writing_it_ends(
    interrupted, other, tmp_path, monkeypatch, step
):
    """What is cut short leaves the file before it, and no litter piles up."""
    path = copy_of(interrupted, tmp_path)
    before = path.read_bytes()

    def die(*_):
        raise KeyboardInterrupt

    owner = other if step == "save_weights" else os
    checkpoint = Checkpoint(path, configuration={"game": "toy"})
    with monkeypatch.context() as patch:
        patch.setattr(owner, step, die)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.save(other, 9)
    assert path.read_bytes() == before
    checkpoint.save(other, 9)
    assert os.listdir(tmp_path) == [path.name]
    fresh = other.take_snapshot()
    assert checkpoint.restore(other) == 9
    other.put_back(fresh)


def test_weights_that_do_not_fit_change_nothing(other, tmp_path):
    """Also those that callbacks of Keras load."""
    trainer = build_trainer(num_seeds=1)
    trainer.save_weights(tmp_path / "foreign.weights.h5")
    (tmp_path / "damaged.weights.h5").write_bytes(b"nothing")
    before = other.take_snapshot()
    for name in ("foreign", "damaged"):
        with pytest.raises((ValueError, OSError)):
            other.load_weights(tmp_path / f"{name}.weights.h5")
        assert_same(other, before)


def test_numbers_that_make_no_sense_are_refused(tmp_path):
    with pytest.raises(ValueError, match="`every_seconds` must be finite and"):
        Checkpoint(tmp_path / "own", every_seconds=-1)
