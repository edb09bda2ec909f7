"""Kills that are as far apart on any machine."""

import os

import pytest

import dice_tf
from benchmarks import disturbed_training, held_training
from experiments.building import builders
from tests.experiments.kills import Killed


@pytest.mark.parametrize("num_kills", [3, 10, 20])
def test_kills_come_after_enough_different_epochs(num_kills: int) -> None:
    """Each after its epoch or the next, whichever leaves the fewest."""
    moments = [
        held_training.epoch_of_kill(number, num_kills, 20)
        for number in range(num_kills)
    ]
    assert moments[0] == 0 and moments[-1] == 20
    fewest, last = 0, -1
    for epoch in moments:
        if last < epoch:
            fewest, last = fewest + 1, epoch + 1
    assert fewest >= num_kills // 2


@pytest.mark.parametrize("in_writing", [False, True])
def test_a_training_goes_no_further_than_the_epoch_after(
    monkeypatch, tmp_path, in_writing: bool
) -> None:
    saved, place = [], tmp_path / "checkpoint"

    def save(checkpoint, trainer, epoch: int) -> None:
        (tmp_path / "unfinished").touch()
        os.replace(tmp_path / "unfinished", place)
        saved.append(epoch)

    def halt(*_) -> None:
        raise Killed

    monkeypatch.setattr(dice_tf.callbacks.Checkpoint, "save", save)
    monkeypatch.setattr(held_training, "halt", halt)
    monkeypatch.setattr(os, "replace", os.replace)
    held_training.hold(1, in_writing)
    dice_tf.callbacks.Checkpoint.save(None, None, 1)
    place.unlink()
    with pytest.raises(Killed):
        dice_tf.callbacks.Checkpoint.save(None, None, 2)
    assert saved == ([1] if in_writing else [1, 2])
    assert place.exists() != in_writing


def test_players_that_learn_do_so_against_past_selves(monkeypatch) -> None:
    naive = dice_tf.learners.Naive()
    monkeypatch.setattr(
        builders, "build_learner", lambda player_id: (naive, None)[player_id]
    )
    held_training.play_against_past_selves(8)
    learner = builders.build_learner(0)
    assert isinstance(learner, dice_tf.partners.AgainstPartners)
    assert learner.learner is naive and builders.build_learner(1) is None
    (source,) = learner.sources
    assert source.capacity == 8


@pytest.mark.parametrize("num_past_selves", [0, 8])
def test_all_processes_of_a_training_have_the_same_partners(
    tmp_path, monkeypatch, num_past_selves: int
) -> None:
    training = disturbed_training.Training(tmp_path, (), num_past_selves)
    commands = [training.command(tmp_path)]
    monkeypatch.setattr(training, "start", lambda _, x: commands.append(x))
    training.start_held(tmp_path, 3)
    in_peace, held = (command[2:6] for command in commands)
    assert held == ["benchmarks.held_training", "3", "between", held[3]]
    assert held[3] == str(num_past_selves)
    if num_past_selves:
        never = str(held_training.NEVER)
        assert in_peace == [held[0], never, "between", held[3]]
    else:
        assert in_peace[0] == "experiments.ipd"
