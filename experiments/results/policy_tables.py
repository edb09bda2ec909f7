"""What every run's policies do in every state of a matrix game."""

import numpy as np

import dice_tf


def policy_tables(
    trainer: dice_tf.Trainer, num_runs: int | None = None
) -> list[np.ndarray]:
    """Returns the probabilities of actions, of the first runs.

    Args:
      trainer: a trainer of policies with one-hot observations, which may
        change its loaded run.
      num_runs: number of runs. Default: all.

    Returns:
      For each player `[num_runs, num_observations, num_actions]`, with
      observations as that player sees them.
    """
    runs = []
    for run in range(trainer.num_seeds if num_runs is None else num_runs):
        trainer.load_run(run)
        runs.append(
            [_probabilities(policy) for policy in trainer.objective.policies]
        )
    return [np.stack(tables) for tables in zip(*runs, strict=True)]


def _probabilities(policy) -> np.ndarray:
    """Reads logits: of each action, or the log-odds of action 0 of two."""
    observations = np.eye(policy.input_shape[-1], dtype=policy.compute_dtype)
    logits = np.asarray(policy(observations), np.float64)
    if logits.shape[1] == 1:
        logits = np.concatenate([logits, np.zeros_like(logits)], axis=1)
    # Of a run that has diverged, infinite logits have NaN as differences.
    with np.errstate(invalid="ignore"):
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)
