"""The examples of dice_tf inside of the code of others."""

import pathlib

import numpy as np
import pytest

from examples import (
    dice_in_a_gradient_tape,
    game_of_ones_own,
    learner_in_a_custom_loop,
    learner_of_ones_own,
    pretrained_trunk,
    trainer_in_a_pipeline,
    trajectories_from_tf_data,
)

pytestmark = pytest.mark.own_process

EXAMPLES = sorted(pathlib.Path(pretrained_trunk.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_under_sixty_lines(path):
    assert len(path.read_text().splitlines()) < 60


def test_a_walker_learns_in_a_tape_of_ones_own(capsys):
    means = dice_in_a_gradient_tape.main()
    # A random walker is about 3 away; on the way to 2, the mean is -1/12.
    assert means[0] < -2.0 and means[-1] > -0.8
    assert "Mean reward: -" in capsys.readouterr().out


def test_a_custom_loop_finds_cooperation(capsys):
    returns = learner_in_a_custom_loop.main()
    assert min(returns) > -1.2
    assert "Returns: LOLA-DiCE -" in capsys.readouterr().out


def test_a_pipeline_estimates_the_game_and_serves_what_was_trained(capsys):
    payoffs, table = trainer_in_a_pipeline.main()
    expected = trainer_in_a_pipeline.PAYOFFS.T.reshape([2, 2, 2])
    # 500 records of each kind with noise of 0.5: standard error 0.022.
    np.testing.assert_allclose(payoffs, expected, atol=0.1)
    # After CC, CD and DD; a player that cooperates never meets DC.
    np.testing.assert_allclose(table[[0, 1, 3]], [1, 0, 0], atol=0.1)
    assert "Cooperation after" in capsys.readouterr().out


def test_episodes_of_a_pipeline_are_padded_and_learned_from(capsys):
    probs = trajectories_from_tf_data.main()
    # Bid 1: 0.6 * 2 / (1 - 0.4 * 0.9) = 1.9, bid 2: about 1.
    assert probs[1] > 0.9
    assert "Probabilities of bids" in capsys.readouterr().out


def test_a_policy_on_a_pretrained_trunk_learns(capsys):
    first, last = pretrained_trunk.main()
    assert last > max(first, -1.1)
    assert "Error of second derivatives: " in capsys.readouterr().out


def test_a_game_of_ones_own_is_checked_and_played(capsys):
    first, last = game_of_ones_own.main()
    # Taking little, the stock stays near 1, and a fifth of it is 0.2 a step.
    assert 0.0 < first and last > first
    assert "Catch per step: 0." in capsys.readouterr().out


def test_a_learner_of_ones_own_cooperates(capsys):
    assert learner_of_ones_own.main() > -1.2
    assert "Mean return: -1." in capsys.readouterr().out
