"""The share of the shaping term, logged while training."""

import keras
import numpy as np
import pytest

import dice_tf
from dice_tf.diagnostics import MeasuredShaping, shaping_share
from dice_tf.learners import LOLADiCE, Naive
from dice_tf.opponent_models import OpponentModelling
from tests.toys import ASYMMETRIC, exact_objective, tabular_policies


def test_it_logs_the_share_that_the_diagnostic_finds_and_moves_alike():
    objective = exact_objective(ASYMMETRIC, 0.9, 3)
    learners = [LOLADiCE(1, 0.7), Naive()]
    expected = [
        shaping_share(learner, objective, i, num_repetitions=1)
        for i, learner in enumerate(learners)
    ]
    before = [policy.get_weights()[0] for policy in objective.policies]
    trainer = dice_tf.Trainer(objective, list(map(MeasuredShaping, learners)))
    trainer.compile(keras.optimizers.SGD(1.0), jit_compile=False)
    logs = trainer.fit(verbose=0).history
    for i in range(2):
        np.testing.assert_allclose(
            logs[f"player_{i}/shaping_share"], [expected[i].share], rtol=1e-5
        )
        after = objective.policies[i].get_weights()[0]
        np.testing.assert_allclose(
            after - before[i], expected[i].direction[0], rtol=1e-6
        )
    assert logs["player_0/shaping_share"][0] > 0.01
    assert logs["player_1/shaping_share"][0] == 0.0


def test_it_shares_the_play_of_the_step_and_logs_with_what_it_wraps():
    """On sampled play, and inside of what models the opponent."""
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 2)
    objective = dice_tf.objectives.DiCEObjective(
        game, tabular_policies(game), 0.9, 4
    )
    model = dice_tf.policies.tabular(game, 1)
    learner = OpponentModelling(
        MeasuredShaping(Naive()), [None, model], num_steps=1
    )
    trainer = dice_tf.Trainer(objective, [learner, MeasuredShaping(Naive())])
    trainer.compile("sgd", run_eagerly=True)
    logs = trainer.fit(verbose=0).history
    assert "player_0/model/return" in logs
    # With other play the two directions would not be the same.
    assert logs["player_0/shaping_share"] == [0.0]
    assert logs["player_1/shaping_share"] == [0.0]


def test_what_is_no_learner_is_refused():
    with pytest.raises(TypeError, match="`learner` must be a dice_tf.learners"):
        MeasuredShaping("lola")
