"""Checkpoints: bit-exact, whole at any moment, and nobody else's."""

import contextlib
import json
import os
import pathlib
import resource
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from benchmarks import damaged_checkpoints
from dice_tf.callbacks import Checkpoint
from dice_tf.learners import Learner, LearnerStep, Naive
from dice_tf.opponent_models import OpponentModelling
from dice_tf.training.checkpoints import Snapshot, as_json
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


def test_seeds_of_any_size_are_told_apart(tmp_path):
    """As 64 bits, or as a number of JavaScript, these would be the same."""
    seed = 2**128 + 3
    trainer = build_trainer(seed=seed)
    fit(trainer, epochs=1)
    Checkpoint(tmp_path / "run").save(trainer, 1)
    again = build_trainer(seed=seed)
    assert Checkpoint(tmp_path / "run").restore(again) == 1
    assert_same(again, trainer)
    for another in (3, seed + 1, seed + 2**64):
        with pytest.raises(ValueError, match=f"{seed} there and {another} h"):
            Checkpoint(tmp_path / "run").restore(build_trainer(seed=another))


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


def rewrite(path, **changes):
    path.write_bytes(damaged_checkpoints.changed(path.read_bytes(), **changes))


def test_a_file_of_another_format_is_refused(interrupted, other, tmp_path):
    path = copy_of(interrupted, tmp_path)
    rewrite(path, version=0)
    with pytest.raises(
        ValueError, match="format 0, and .* 2. It was written by .*dice_tf"
    ):
        Checkpoint(path, configuration={"game": "toy"}).restore(other)


def test_other_versions_are_told(interrupted, other, tmp_path):
    path = copy_of(interrupted, tmp_path)
    rewrite(path, versions={"keras": "3.0"})
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


@pytest.mark.parametrize("step", ["take_snapshot", "fsync", "replace"])
def test_a_file_is_whole_whenever_writing_it_ends(
    interrupted, other, tmp_path, monkeypatch, step
):
    """What is cut short leaves the file before it, and no litter piles up."""
    path = copy_of(interrupted, tmp_path)
    before = path.read_bytes()

    def die(*_):
        raise KeyboardInterrupt

    owner = other if step == "take_snapshot" else os
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
    weights = [value + 1 for value in other.get_weights()]
    weights[-1] = np.zeros([7, 7])
    with pytest.raises(ValueError, match="is not compatible"):
        other.set_weights(weights)
    assert_same(other, before)


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"every_seconds": -1}, ValueError, "`every_seconds` must be finite a"),
        ({"resume": 1}, TypeError, "`resume` must be True or False"),
        ({"keep": "no"}, TypeError, "`keep` must be True or False"),
        ({"path": None}, TypeError, "`path` must be a string or path of a fi"),
        ({"path": b"own"}, TypeError, "`path` must be a string or path of a f"),
        ({"path": ""}, ValueError, "`path` must be the path of a file"),
        ({"path": "a\0b"}, ValueError, "`path` must be the path of a file"),
        (
            {"configuration": {"game": object()}},
            TypeError,
            "`configuration` must hold what JSON can hold.*<object object",
        ),
        (
            {"configuration": {(1, 2): 3}},
            TypeError,
            "`configuration` must hold what JSON can hold.*keys must be",
        ),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        Checkpoint(**{"path": "own", **arguments})


def test_an_epoch_that_makes_no_sense_is_refused(other, tmp_path):
    with pytest.raises(ValueError, match="`epoch` must be at least 0"):
        Checkpoint(tmp_path / "own").save(other, -5)


# --- Configurations ---------------------------------------------------------


def test_a_configuration_is_that_of_itself(other, tmp_path):
    """Also with NaN, and with what JSON has no word for."""
    fresh = other.take_snapshot()

    def configuration():
        return {
            "rates": [float("nan"), np.float32(0.1), {"of": float("nan")}],
            "payoffs": np.arange(5000.0),
            "folder": pathlib.Path("runs"),
            "names": {"b", "a", "c"},
            "dtypes": [tf.float32, np.dtype("int8")],
            "function": tabular_policies,
            "tensor": tf.ones([2]),
        }

    def checkpoint(**changes):
        return Checkpoint(
            tmp_path / "own", configuration={**configuration(), **changes}
        )

    checkpoint().save(other, 3)
    assert checkpoint().restore(other) == 3
    # The text of an array leaves its middle out.
    payoffs = np.arange(5000.0)
    payoffs[2500] = 0.0
    for changes in (
        {"payoffs": payoffs},
        {"rates": [float("nan"), np.float32(0.1), {"of": 1.0}]},
    ):
        with pytest.raises(ValueError, match="is that of another training"):
            checkpoint(**changes).restore(other)
    other.put_back(fresh)


def test_a_configuration_that_is_not_a_tree_is_refused():
    deep, circle = [], []
    for _ in range(100_000):
        deep = [deep]
    circle.append(circle)
    for content in (deep, circle):
        with pytest.raises(ValueError, match="`name` must be a tree that JSON"):
            as_json("name", content)


# --- Damage -----------------------------------------------------------------


def state_of(trainer):
    snapshot = trainer.take_snapshot()
    return [*snapshot.values, snapshot.curves]


def test_whatever_is_damaged_or_forged_is_refused(interrupted, other, tmp_path):
    path = tmp_path / "run.checkpoint"
    checkpoint = Checkpoint(path, configuration={"game": "toy"})

    def restore(content):
        path.write_bytes(content)
        checkpoint.restore(other)

    outcomes = damaged_checkpoints.fuzz(
        interrupted[0].read_bytes(),
        restore,
        lambda: state_of(other),
        num=150,
        seed=0,
    )
    assert [outcome.escaped for outcome in outcomes.values()] == [[], [], []]
    assert all(outcome.tried >= 100 for outcome in outcomes.values())


def test_files_of_earlier_versions_are_refused(other, tmp_path):
    """They held the weights as HDF5, and no digest."""
    with zipfile.ZipFile(tmp_path / "own", "w") as archive:
        archive.writestr("metadata.json", json.dumps({"version": 1}))
        archive.writestr("trainer.weights.h5", b"weights")
    with pytest.raises(ValueError, match="by an earlier version of dice_tf"):
        Checkpoint(tmp_path / "own").restore(other)


def test_a_file_that_cannot_be_read_is_not_called_damaged(other, tmp_path):
    with pytest.raises(ValueError, match="cannot be read: .*directory"):
        Checkpoint(tmp_path).restore(other)


def test_a_snapshot_of_another_trainer_changes_nothing(other):
    before = other.take_snapshot()
    foreign = build_trainer(num_seeds=1).take_snapshot()
    for snapshot, message in (
        (foreign, "is that of another trainer. It holds"),
        (before._replace(values=before.values[:-1]), "is that of another tra"),
        (before._replace(curves=foreign.curves), "Its curves have shape"),
    ):
        with pytest.raises(ValueError, match=message):
            other.put_back(snapshot)
        assert_same(other, before)


# --- Full disks -------------------------------------------------------------


@pytest.fixture
def small_files():
    """Files may have 100 bytes: what `ulimit -f` and a full disk do."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    @contextlib.contextmanager
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    return limited


def test_a_full_disk_leaves_the_earlier_file_and_the_training(
    interrupted, uninterrupted, other, tmp_path, small_files
):
    path = copy_of(interrupted, tmp_path)
    before, fresh = path.read_bytes(), other.take_snapshot()
    checkpoint = Checkpoint(path, configuration={"game": "toy"}, keep=True)
    with small_files(), pytest.warns(UserWarning) as caught:
        history = fit(other, checkpoint)
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == 2
    assert all("could not be written: [Errno 27]" in x for x in messages)
    assert history.epoch == [2, 3]
    assert_same(other, uninterrupted)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]
    # With room again, it is written again.
    assert checkpoint.save(other, EPOCHS)
    assert path.read_bytes() != before
    other.put_back(fresh)


def test_a_file_that_cannot_be_removed_ends_nothing(
    other, tmp_path, monkeypatch
):
    def refuse(*_, **__):
        raise PermissionError("read-only")

    fresh = other.take_snapshot()
    monkeypatch.setattr(pathlib.Path, "unlink", refuse)
    with pytest.warns(UserWarning, match="could not be removed .*read-only"):
        history = fit(other, Checkpoint(tmp_path / "own"), epochs=1)
    assert history.epoch == [0]
    other.put_back(fresh)


@pytest.mark.parametrize("name", ["file/own", "folder", "x" * 1000])
def test_where_there_can_be_no_file_nothing_starts(other, tmp_path, name):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    checkpoint = Checkpoint(tmp_path / name, resume=False)
    with pytest.raises(ValueError, match="of a Checkpoint must be a file"):
        fit(other, checkpoint)
    assert other.iterations == 0
