"""Weighted sums of learners' directions."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.diagnostics import MeasuredShaping
from dice_tf.inner_optimizers import Adam
from dice_tf.learners import (
    LOLA,
    AdvantageAlignment,
    FittedRates,
    LOLADiCE,
    Mixture,
    Naive,
)
from dice_tf.objectives import DiCEObjective, sampled
from dice_tf.opponent_models import OpponentModelling
from tests.learners.settings import vector
from tests.toys import (
    ASYMMETRIC,
    exact_objective,
    random_params,
    tabular_policies,
)

SEED = (1, 2)


def sampled_objective():
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3, dtype="float64")
    return DiCEObjective(game, tabular_policies(game), 0.9, 8)


def remembering():
    return LOLADiCE(1, FittedRates(0.3), Adam(epsilon=0.1), carry_slots=True)


@pytest.mark.parametrize("kind", ["exact", "sampled"])
def test_the_direction_is_the_weighted_sum(kind):
    """Of what each learner would do with the same seed."""
    objective = sampled_objective()
    learners = [LOLADiCE(1, 0.7), Naive(), AdvantageAlignment()]
    if kind == "exact":
        objective = exact_objective(ASYMMETRIC, 0.9, 3)
        learners[2] = LOLA(0.3)
    params = random_params(objective.policies, 3)
    weights = [0.6, 0.3, 0.2]
    mixture = Mixture(list(zip(weights, learners, strict=True)))
    for i in range(2):
        expected = sum(
            weight * vector(learner.gradient(objective, params, i, SEED))
            for weight, learner in zip(weights, learners, strict=True)
        )
        found = vector(mixture.gradient(objective, params, i, SEED))
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-13)


def test_each_learner_remembers_what_it_would_alone():
    objective = exact_objective(ASYMMETRIC, 0.9, 3)
    learners = [remembering(), Naive(), LOLADiCE(1, 0.7, carry_slots=True)]
    mixture = Mixture([(0.5, learner) for learner in learners])
    starts = [random_params(objective.policies, seed) for seed in (3, 4)]
    state = mixture.init(starts[0])
    states = [learner.init(starts[0]) for learner in learners]
    for params in starts:
        step = mixture.step(objective, params, 0, None, state)
        steps = [
            learner.step(objective, params, 0, None, learner_state)
            for learner, learner_state in zip(learners, states, strict=True)
        ]
        state, states = step.state, [each.state for each in steps]
        total = sum(vector(each.direction) for each in steps)
        np.testing.assert_allclose(vector(step.direction), 0.5 * total)
    tf.nest.map_structure(
        np.testing.assert_array_equal, list(state.learners), states
    )


def test_the_learners_share_the_play_that_they_start_from(monkeypatch):
    plays = []
    play = sampled.sample_trajectory
    monkeypatch.setattr(
        sampled,
        "sample_trajectory",
        lambda *args, **options: plays.append(1) or play(*args, **options),
    )
    objective = sampled_objective().bind()
    params = objective.initial_params()
    seed = tf.constant(SEED)
    mixture = Mixture([(1.0, LOLADiCE(1, 0.7)), (1.0, Naive())])
    mixture.gradient(objective, params, 0, seed)
    # That of the start, and that after the look-ahead.
    assert len(plays) == 2


def test_runs_with_all_that_learners_can_do_are_those_of_single_trainers():
    """Memories, metrics, a fitted model, and its rates by a schedule."""

    def train(seed, num_seeds):
        objective = sampled_objective()
        model = dice_tf.policies.tabular(objective.game, 1)
        rate = keras.optimizers.schedules.PolynomialDecay(0.3, 3)
        modelling = OpponentModelling(
            Naive(), [None, model], learning_rate=rate, num_steps=1
        )
        mixture = Mixture([(0.6, modelling), (0.4, remembering())])
        trainer = dice_tf.Trainer(
            objective,
            [mixture, Naive()],
            num_seeds=num_seeds,
            seed=seed,
            initial_params="random",
        )
        trainer.compile(keras.optimizers.SGD(0.5), jit_compile=False)
        logs = trainer.fit(steps_per_epoch=2, verbose=0).history
        (fitted,) = mixture.fitted_models(trainer.players[0].learner_state)
        assert fitted.model is model
        return trainer.curves, logs

    found, logs = train(5, 2)
    assert np.all(np.isfinite(found))
    np.testing.assert_allclose(train(6, 1)[0][:, 0], found[:, 1], rtol=1e-9)
    for metric in OpponentModelling.metric_names:
        assert logs[f"player_0/{metric}"][0] != 0.0


def test_training_continues_from_a_checkpoint_and_ends_in_a_file(tmp_path):
    """What the learners remember is in the checkpoint."""

    def make_trainer(start):
        objective = exact_objective(ASYMMETRIC, 0.9, 3)
        mixture = Mixture([(0.6, remembering()), (0.4, Naive())])
        trainer = dice_tf.Trainer(
            objective,
            [mixture, mixture],
            initial_params=[random_params(objective.policies, start)],
        )
        trainer.compile(keras.optimizers.SGD(0.5), jit_compile=False)
        return trainer

    trainer, resumed = make_trainer(3), make_trainer(4)
    trainer.fit(verbose=0)
    checkpoint = dice_tf.callbacks.Checkpoint(tmp_path / "run.checkpoint")
    checkpoint.save(trainer, 1)
    trainer.fit(epochs=2, initial_epoch=1, verbose=0)
    assert checkpoint.restore(resumed) == 1
    resumed.fit(epochs=2, initial_epoch=1, verbose=0)
    expected, found = trainer.take_snapshot(), resumed.take_snapshot()
    for one, other in zip(found.values, expected.values, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(found.curves, expected.curves)
    game, policy = trainer.objective.game, trainer.objective.policies[0]
    dice_tf.export.export_policy(policy, tmp_path / "policy")
    loaded = dice_tf.policies.from_saved_model(str(tmp_path / "policy"))
    found, expected = (
        dice_tf.evaluation.action_probabilities(game, model, 0)
        for model in (loaded, policy)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_player_without_parameters_stays():
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3, dtype="float64")
    policies = [
        dice_tf.policies.tabular(game, 0),
        dice_tf.policies.tit_for_tat(game, 1),
    ]
    objective = dice_tf.objectives.ExactObjective(game, policies, 0.9)
    mixture = Mixture([(1.0, Naive()), (1.0, LOLADiCE())])
    assert mixture.gradient(objective, objective.initial_params(), 1) == []


@pytest.mark.parametrize(
    "parts, error, message",
    [
        (None, TypeError, "`parts` must be a list of pairs"),
        ([], ValueError, "`parts` must be .* Received none"),
        ([Naive()], TypeError, r"`parts\[0\]` must be a weight and a learner"),
        ([(1.0,)], ValueError, r"`parts\[0\]` must be .* Received 1 entries"),
        ([("x", Naive())], TypeError, r"`parts\[0\]\[0\]` must be a number"),
        ([(-1.0, Naive())], ValueError, r"`parts\[0\]\[0\]` must be finite"),
        ([(1.0, None)], TypeError, r"`parts\[0\]\[1\]` must be a dice_tf"),
        (
            [(1.0, MeasuredShaping(Naive()))] * 2,
            ValueError,
            "log a metric of the same name. Received: shaping_share, shaping",
        ),
    ],
)
def test_bad_arguments_are_refused(parts, error, message):
    with pytest.raises(error, match=message):
        Mixture(parts)
