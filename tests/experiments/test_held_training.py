"""Kills that are as far apart on any machine."""

import os

import pytest

import dice_tf
from benchmarks import held_training
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
