"""Training the critics: passes over the play of one iteration."""

from collections.abc import Sequence

import tensorflow as tf

from dice_tf.learners.learner import gradient_of
from dice_tf.objectives.objective import Objective, Play
from dice_tf.training.many_runs import map_runs


def critic_gradients(
    objective: Objective,
    critic_params: Sequence[list[tf.Tensor]],
    play: Play,
    num_runs: int,
) -> list[list[tf.Tensor]]:
    """Returns the gradients of all critics' losses on what was played.

    Args:
      objective: whose critics.
      critic_params: one list of tensors per player, `[num_runs, ...]`.
      play: a `Play` of tensors with a leading axis of runs.
      num_runs: number of runs.

    Returns:
      Tensors like `critic_params`.
    """
    leaves = tf.nest.flatten(play)

    def run_gradients(
        inputs: tuple[list[list[tf.Tensor]], list[tf.Tensor]],
    ) -> list[list[tf.Tensor]]:
        params, played = inputs
        # A `Play` holds `None`s, which are no tensors to be vectorised.
        values = iter(played)
        filled = [None if leaf is None else next(values) for leaf in leaves]
        own_play = tf.nest.pack_sequence_as(play, filled)
        with tf.GradientTape(
            persistent=True, watch_accessed_variables=False
        ) as tape:
            tape.watch(params)
            losses = objective.critic_losses(params, own_play)
        return [
            gradient_of(tape, loss, own)
            for loss, own in zip(losses, params, strict=True)
        ]

    played = [leaf for leaf in leaves if leaf is not None]
    inputs = ([list(own) for own in critic_params], played)
    return map_runs(run_gradients, inputs, num_runs, not objective.has_memory)
