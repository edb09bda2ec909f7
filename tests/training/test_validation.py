"""Evaluation while training: matches with given opponents."""

import functools

import keras
import numpy as np
import pytest

import dice_tf
from dice_tf.learners import Naive
from dice_tf.objectives.wrapper import ObjectiveWrapper
from tests.toys import ASYMMETRIC, Plain, tabular_policies

OPPONENTS = {
    "tit_for_tat": dice_tf.policies.tit_for_tat,
    "random": dice_tf.policies.random,
}


def build_trainer(num_seeds=2, learners=None, plain=False, length=4):
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, length)
    game = Plain(game) if plain else game
    objective = dice_tf.objectives.DiCEObjective(
        game, tabular_policies(game), 0.9, 4
    )
    trainer = dice_tf.Trainer(
        objective, learners or [Naive(), Naive()], num_seeds=num_seeds
    )
    trainer.compile(keras.optimizers.SGD(0.5), jit_compile=False)
    return trainer


@functools.cache
def validated():
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append("val_player_1/return_against_random" in logs)

    trainer = build_trainer()
    history = trainer.fit(
        epochs=4,
        verbose=0,
        callbacks=[Watch()],
        validation_opponents=OPPONENTS,
        validation_freq=2,
    )
    return trainer, history, seen


def test_every_learner_meets_every_opponent():
    """In closed form, averaged over runs."""
    trainer = validated()[0]
    found = trainer.evaluate(OPPONENTS)
    game, policies = trainer.objective.game, trainer.objective.policies
    for name, build in OPPONENTS.items():
        for player_id in range(2):
            expected = []
            for run in range(2):
                trainer.load_run(run)
                seats = [build(game, seat) for seat in range(2)]
                seats[player_id] = policies[player_id]
                match = dice_tf.evaluation.exact_match(
                    game, seats, discount=0.9
                )
                expected.append(match.mean[player_id])
            np.testing.assert_allclose(
                found.pop(f"player_{player_id}/return_against_{name}"),
                np.mean(expected),
                rtol=1e-6,
            )
    assert found == {}


def test_evaluation_leaves_the_loaded_run_as_it_was():
    trainer = validated()[0]
    trainer.load_run(1)
    before = trainer.objective.policies[0].get_weights()[0]
    trainer.evaluate(OPPONENTS)
    after = trainer.objective.policies[0].get_weights()[0]
    np.testing.assert_array_equal(before, after)
    assert trainer.loaded_run == 1


def test_what_was_evaluated_is_in_the_history_and_seen_by_callbacks():
    trainer, history, seen = validated()
    # The first, and every second.
    assert seen == [True, True, False, True]
    logged = history.history["val_player_0/return_against_tit_for_tat"]
    assert len(logged) == 3
    last = trainer.evaluate(OPPONENTS)["player_0/return_against_tit_for_tat"]
    assert logged[-1] == pytest.approx(last)


def test_validation_does_not_change_the_training():
    plain = build_trainer()
    plain.fit(epochs=4, verbose=0)
    np.testing.assert_array_equal(plain.curves, validated()[0].curves)


def test_csv_logger_writes_what_was_evaluated(tmp_path):
    trainer = build_trainer(1)
    trainer.fit(
        epochs=3,
        verbose=0,
        callbacks=keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        validation_opponents=OPPONENTS,
        validation_freq=3,
    )
    header, *rows = (tmp_path / "log.csv").read_text().splitlines()
    column = header.split(",").index("val_player_0/return_against_random")
    values = [row.split(",")[column] for row in rows]
    assert values[1] == "NA" and "NA" not in (values[0], values[2])


def test_sampled_matches_agree_with_exact_ones():
    trainer = validated()[0]
    exact = trainer.evaluate(OPPONENTS)
    sampled = trainer.evaluate(OPPONENTS, batch_size=4000)
    for name, value in exact.items():
        # Returns of one episode lie within about 1 of their mean.
        assert 0 < abs(sampled[name] - value) < 5 / np.sqrt(2 * 4000)


def test_a_game_without_tables_is_played():
    trainer = build_trainer(1, [Naive(), None], plain=True)
    found = trainer.evaluate({"same": [None, trainer.objective.policies[1]]})
    assert list(found) == ["player_0/return_against_same"]
    # 1024 episodes, and the same ones when asked again.
    assert found == trainer.evaluate(
        {"same": [None, trainer.objective.policies[1]]}, batch_size=1024
    )


class Doubled(ObjectiveWrapper):
    """Doubles the values, which changes no match."""

    def _values(self, params, seed, state):
        return [2.0 * value for value in self.objective(params, seed, state)]


@pytest.mark.parametrize("wrap", [lambda objective: objective, Doubled])
def test_matches_have_the_horizon_of_the_objective(wrap):
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 4)
    policies = tabular_policies(game)
    exact = dice_tf.objectives.ExactObjective(game, policies, 0.9, None)
    trainer = dice_tf.Trainer(wrap(exact), [Naive(), None])
    random = dice_tf.policies.random(game, 1)
    found = trainer.evaluate({"random": [None, random]})
    expected, other = (
        dice_tf.evaluation.exact_match(
            game, [policies[0], random], discount=0.9, episode_length=length
        )
        for length in (None, 4)
    )
    (value,) = found.values()
    assert value == pytest.approx(expected.mean[0])
    assert value != pytest.approx(other.mean[0], abs=1e-3)


@pytest.mark.parametrize(
    "opponents, error, message",
    [
        (dice_tf.policies.random, TypeError, "must be a mapping from names"),
        ({}, TypeError, "must be a mapping from names to policies"),
        ({"a": []}, ValueError, "'a' must be a list with one policy for each"),
    ],
)
def test_opponents_that_are_none_are_refused(opponents, error, message):
    trainer = validated()[0]
    with pytest.raises(error, match=message):
        trainer.evaluate(opponents)
    with pytest.raises(error, match=message):
        trainer.fit(validation_opponents=opponents)
    assert trainer.iterations == 4


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"validation_freq": 0}, "`validation_freq` must be at least 1"),
        ({"validation_batch_size": 0}, "`batch_size` must be at least 1"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        validated()[0].fit(validation_opponents=OPPONENTS, **arguments)


def test_an_objective_without_a_game_has_no_matches():
    objective = dice_tf.objectives.FunctionObjective(
        [lambda params: -(params[0][0] ** 2)]
    )
    trainer = dice_tf.Trainer(objective, [Naive()], initial_params=[[[1.0]]])
    with pytest.raises(ValueError, match="Matches need a game"):
        trainer.evaluate(OPPONENTS)


def test_a_trainer_is_not_saved_as_a_keras_file(tmp_path):
    with pytest.raises(NotImplementedError, match="cannot be rebuilt from a"):
        validated()[0].save(tmp_path / "trainer.keras")
