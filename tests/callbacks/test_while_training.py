"""Callbacks that watch and guard a training."""

import functools
import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

import dice_tf
from dice_tf.callbacks import (
    CrossPlayEvaluation,
    PolicyPictures,
    RestoreLastGood,
)
from dice_tf.learners import Naive
from tests.toys import ASYMMETRIC, Plain, tabular_policies


@functools.cache
def shared():
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3)
    objective = dice_tf.objectives.ExactObjective(
        game, tabular_policies(game), 0.9
    )
    trainer = dice_tf.Trainer(objective, [Naive(), Naive()], num_seeds=3)
    trainer.compile(
        [keras.optimizers.SGD(0.8), keras.optimizers.SGD(0.4)],
        jit_compile=False,
    )
    return trainer, trainer.take_snapshot()


@pytest.fixture
def trainer():
    trainer, fresh = shared()
    trainer.put_back(fresh)
    trainer.load_run(0)
    return trainer


def fit(trainer, *callbacks, epochs=3):
    return trainer.fit(epochs=epochs, verbose=0, callbacks=list(callbacks))


def function_trainer(optimizer=None):
    objective = dice_tf.objectives.FunctionObjective(
        [lambda params: -tf.reduce_sum(params[0][0] ** 2)]
    )
    trainer = dice_tf.Trainer(objective, [Naive()], initial_params=[[[[1.0]]]])
    trainer.compile(optimizer or "sgd", jit_compile=False)
    return trainer


# --- Pictures ---------------------------------------------------------------


def test_pictures_are_drawn_every_few_epochs(trainer, tmp_path):
    trainer.load_run(2)
    fit(
        trainer,
        PolicyPictures(
            tmp_path / "a", log_dir=tmp_path / "log", every=2, most_runs=2
        ),
        epochs=4,
    )
    names = ["policies_2.png", "policies_4.png"]
    assert sorted(os.listdir(tmp_path / "a")) == names
    picture = (tmp_path / "a" / names[0]).read_bytes()
    assert picture.startswith(b"\x89PNG")
    events = event_accumulator.EventAccumulator(str(tmp_path / "log"))
    events.Reload()
    assert [event.step for event in events.Tensors("policies")] == [1, 3]
    assert trainer.loaded_run == 2


def test_pictures_that_cannot_be_written_end_nothing(trainer, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.warns(UserWarning, match="picture .* could not be written"):
        history = fit(trainer, PolicyPictures(tmp_path / "file"), epochs=1)
    assert history.epoch == [0]


def test_the_figure_shows_the_tables():
    tables = [np.random.default_rng(0).dirichlet([1] * 3, (2, 10))] * 2
    figure = dice_tf.evaluation.policy_figure(tables, title="Policies")
    axes = figure.axes[:-1]
    # Three actions of two players, nine joint actions and the start.
    assert len(axes) == 6
    np.testing.assert_array_equal(
        axes[4].images[0].get_array(), tables[1][:, :, 1]
    )
    labels = [text.get_text() for text in axes[0].get_xticklabels()]
    assert labels[:4] == ["00", "01", "02", "10"] and labels[-1] == "start"
    assert axes[5].get_title() == "player 1, action 2"


def colour_bar(figure):
    return figure.axes[-1].get_ylabel()


def test_a_picture_of_three_actions_is_no_strip():
    tables = [np.random.default_rng(0).dirichlet([1] * 3, (1, 10))] * 2
    figure = dice_tf.evaluation.policy_figure(tables)
    width, height = figure.get_size_inches()
    assert width < 3 * height
    # A row for each player, and a column for each action.
    places = [axes.get_subplotspec() for axes in figure.axes[:-1]]
    assert [place.rowspan.start for place in places] == [0, 0, 0, 1, 1, 1]
    assert [place.colspan.start for place in places] == [0, 1, 2] * 2
    assert colour_bar(figure) == "probability of the action that a panel names"


def test_a_picture_of_two_actions_names_the_first():
    tables = [np.random.default_rng(0).dirichlet([1] * 2, (3, 5))] * 2
    figure = dice_tf.evaluation.policy_figure(tables)
    assert [axes.get_title() for axes in figure.axes[:-1]] == [
        "player 0",
        "player 1",
    ]
    assert colour_bar(figure) == "probability of action 0"


def test_players_with_other_numbers_of_actions_share_a_picture():
    rng = np.random.default_rng(0)
    tables = [rng.dirichlet([1] * count, (2, 9)) for count in (2, 4)]
    figure = dice_tf.evaluation.policy_figure(
        tables, action_labels=["a", "b", "c", "d"]
    )
    titles = [axes.get_title() for axes in figure.axes[:-1]]
    assert titles == [
        "player 0, action a",
        "player 0, action b",
        "player 1, action a",
        "player 1, action b",
        "player 1, action c",
        "player 1, action d",
    ]
    np.testing.assert_array_equal(
        figure.axes[5].images[0].get_array(), tables[1][:, :, 3]
    )
    figure.canvas.draw()


def test_pictures_need_a_place_and_tables(tmp_path):
    with pytest.raises(ValueError, match="Give a `folder`, a `log_dir`"):
        PolicyPictures()
    with pytest.raises(ValueError, match="needs a dice_tf.games.FiniteGame"):
        fit(function_trainer(), PolicyPictures(tmp_path))


# --- Cross-play -------------------------------------------------------------


def test_runs_meet_each_other(trainer):
    history = fit(trainer, CrossPlayEvaluation(every=3), epochs=4).history
    # The first epoch, and the third.
    assert len(history["cross_play/player_0/return"]) == 2
    trainer.put_back(shared()[1])
    history = fit(trainer, CrossPlayEvaluation(), epochs=2).history
    game, policies = trainer.objective.game, trainer.objective.policies
    payoffs = np.zeros([2, 3, 3])
    for row in range(3):
        trainer.load_run(row)
        table = dice_tf.evaluation.action_probabilities(game, policies[0], 0)
        first = dice_tf.policies.fixed_policy(game, 0, table)
        for column in range(3):
            trainer.load_run(column)
            match = dice_tf.evaluation.exact_match(
                game, [first, policies[1]], discount=0.9
            )
            payoffs[:, row, column] = match.mean
    for i in range(2):
        same = np.diagonal(payoffs[i]).mean()
        other = (payoffs[i].sum() - 3 * same) / 6
        found = history[f"cross_play/player_{i}/return"][-1]
        assert found == pytest.approx(other, rel=1e-5)
        found = history[f"self_play/player_{i}/return"][-1]
        assert found == pytest.approx(same, rel=1e-5)


def test_cross_play_needs_runs_of_two_players_with_tables():
    with pytest.raises(ValueError, match="Cross-play needs a dice_tf.games.F"):
        fit(function_trainer(), CrossPlayEvaluation())
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 2)
    for unfit, message in (
        (game, "`num_seeds` of the trainer must be at least 2"),
        (Plain(game), "Cross-play needs a dice_tf.games.FiniteGame"),
    ):
        objective = dice_tf.objectives.DiCEObjective(
            unfit, tabular_policies(unfit), 0.9, 4
        )
        single = dice_tf.Trainer(objective, [Naive(), Naive()])
        single.compile("sgd")
        with pytest.raises(ValueError, match=message):
            fit(single, CrossPlayEvaluation())


# --- The guard --------------------------------------------------------------


class Poison(keras.callbacks.Callback):
    """Makes a parameter infinite at the ends of epochs."""

    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        if epoch in self.epochs:
            (params,) = self.model.players[0].params
            params.assign(params * np.inf)


def rates_of(trainer):
    return [
        float(optimizer.learning_rate.numpy())
        for optimizer in trainer.player_optimizers
    ]


def test_a_bad_epoch_is_undone_and_steps_are_smaller(trainer):
    fit(trainer, epochs=2)
    good = trainer.take_snapshot()
    trainer.put_back(shared()[1])
    guard = RestoreLastGood(factor=0.5)
    seen = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(
            (trainer.iterations, trainer.players[0].params[0].numpy())
        )
    )
    fit(trainer, Poison({2, 3}), guard, watch, epochs=5)
    assert guard.num_restores == 2
    # Twice in a row, then on from there.
    assert [iterations for iterations, _ in seen] == [1, 2, 2, 2, 3]
    for _, params in seen[2:4]:
        np.testing.assert_array_equal(params, seen[1][1])
    np.testing.assert_allclose(rates_of(trainer), [0.2, 0.1], rtol=1e-6)
    np.testing.assert_array_equal(trainer.curves[:2], good.curves)
    assert np.all(np.isfinite(trainer.curves))
    moved = trainer.objective.policies[0].get_weights()[0]
    np.testing.assert_array_equal(moved, trainer.players[0].params[0][0])


def test_the_guard_gives_up_with_the_last_good_state(trainer):
    fit(trainer, epochs=1)
    good = trainer.take_snapshot()
    trainer.put_back(shared()[1])
    with pytest.raises(RuntimeError, match="3 epochs in a row ended with"):
        fit(
            trainer,
            Poison(range(1, 9)),
            RestoreLastGood(max_restores=2),
            epochs=9,
        )
    np.testing.assert_array_equal(trainer.curves, good.curves)
    for player in trainer.players:
        assert np.all(np.isfinite(player.params[0].numpy()))


def test_training_that_stays_finite_is_left_alone(trainer):
    fit(trainer)
    expected = trainer.curves
    trainer.put_back(shared()[1])
    guard = RestoreLastGood()
    fit(trainer, guard)
    np.testing.assert_array_equal(trainer.curves, expected)
    assert guard.num_restores == 0


def test_the_guard_needs_rates_and_a_factor():
    for factor in (0.0, 1.0):
        with pytest.raises(ValueError, match="`factor` must be between 0 and"):
            RestoreLastGood(factor)
    schedule = keras.optimizers.schedules.InverseTimeDecay(0.3, 2, 0.5)
    trainer = function_trainer(keras.optimizers.SGD(schedule))
    with pytest.raises(ValueError, match="which has a schedule"):
        fit(trainer, RestoreLastGood())
