"""Policies averaged over the end of a training."""

import math

import numpy as np

import dice_tf
from experiments.building.builders import build_trainer, compile_trainer
from experiments.results.partial_results import Arrays, PartialResults
from experiments.results.policy_tables import policy_tables
from experiments.results.summary import FINAL_ITERATIONS
from experiments.settings.settings import Settings


def final_tables(
    settings: Settings,
    checkpoint: dice_tf.callbacks.Checkpoint,
    kept: PartialResults,
) -> list[np.ndarray]:
    """Trains, and returns policies averaged over the last iterations.

    Args:
      settings: of a game with one-hot observations.
      checkpoint: from where to go on, up to the last iterations.
      kept: the tables, once they are there.

    Returns:
      Per player `[num_runs, num_observations, num_actions]`.
    """
    tables = kept.load()
    if not tables:
        tables = _train_tables(settings, checkpoint)
        kept.save(tables)
    return list(tables.values())


def _train_tables(
    settings: Settings, checkpoint: dice_tf.callbacks.Checkpoint
) -> Arrays:
    trainer = build_trainer(settings)
    compile_trainer(trainer, settings, steps_per_execution=1)
    num_last = min(FINAL_ITERATIONS, settings.num_iterations)
    first = settings.num_iterations - num_last
    # A checkpoint comes between epochs.
    steps = math.gcd(first, FINAL_ITERATIONS)
    done = checkpoint.restore(trainer)
    if done * steps < first:
        trainer.fit(
            epochs=first // steps,
            initial_epoch=done,
            steps_per_epoch=steps,
            verbose=0,
            callbacks=[checkpoint],
        )
    seen = []
    for _ in range(num_last):
        trainer.fit(epochs=1, steps_per_epoch=1, verbose=0)
        seen.append(policy_tables(trainer))
    return {
        f"player_{player_id}": np.mean(own, axis=0)
        for player_id, own in enumerate(zip(*seen, strict=True))
    }
