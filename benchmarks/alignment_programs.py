"""Programs of Advantage Alignment in the Coin Game: ours, and one in JAX.

Both seats share one policy and one critic, which see the grid: networks of two
hidden layers, Adam for both, entropy, and clipping, as in published settings.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

import dice_tf
from benchmarks.programs import Call, execution

DISCOUNT = 0.96
TAU = 0.95
WEIGHT = 1.0
ENTROPY_COEFFICIENT = 0.1
MAX_GRADIENT_NORM = 1.0
LEARNING_RATE = 0.001


class Size(NamedTuple):
    """What is trained.

    Attributes:
      batch_size: episodes of an iteration.
      episode_length: T.
      num_seeds: independent runs at once.
      hidden_units: width of the two layers of both networks.
      iterations: how many one call makes.
    """

    batch_size: int = 512
    episode_length: int = 50
    num_seeds: int = 1
    hidden_units: int = 64
    iterations: int = 10


def our_objective(
    size: Size, dtype: str = "float32"
) -> dice_tf.objectives.SurrogateObjective:
    """Returns what plays, with one policy and one critic in both seats."""
    game = dice_tf.games.CoinGame(size.episode_length, dtype=dtype)
    hidden = (size.hidden_units,) * 2
    policy = dice_tf.policies.mlp(game, 0, hidden_units=hidden)
    critic = dice_tf.critics.mlp_critic(game, 0, hidden_units=hidden)
    return dice_tf.objectives.SurrogateObjective(
        game,
        [policy] * 2,
        DISCOUNT,
        size.batch_size,
        "critic",
        [critic] * 2,
        tau=TAU,
    )


class Gradients(NamedTuple):
    """A play, and what our program makes of it.

    Attributes:
      play: observations `[T, 2, B, num_features]`, actions and rewards
        `[T, 2, B]`.
      direction: of the policy, list of tensors, to be ascended.
      critic_gradient: list of tensors, to be descended.
    """

    play: tuple[np.ndarray, ...]
    direction: list[tf.Tensor]
    critic_gradient: list[tf.Tensor]


def our_gradients(
    size: Size, networks: Any, seed: Sequence[int], dtype: str = "float32"
) -> Gradients:
    """Returns the sums over both seats, as a `Trainer` makes them.

    Args:
      size: what is trained.
      networks: policy and critic, as of the JAX program.
      seed: of the play, two whole numbers.
      dtype: of the game.
    """
    objective = our_objective(size, dtype)
    weights = [
        [tf.constant(np.asarray(x), dtype) for layer in network for x in layer]
        for network in networks
    ]
    # The parameters of each seat are tensors of their own.
    params, critics = (
        [list(map(tf.identity, seat)) for seat in (weight, weight)]
        for weight in weights
    )
    for critic, critic_params in zip(objective.critics, critics, strict=True):
        critic.network.set_weights(critic_params)
    learner = dice_tf.learners.AdvantageAlignment(WEIGHT, past="averaged")
    with tf.GradientTape(persistent=True) as tape:
        tape.watch((params, critics))
        play = objective.play(params, seed)
        losses = objective.critic_losses(critics, play)
    directions, critic_gradients = [], []
    for seat in range(2):
        direction = learner.gradient(objective, params, seat, seed)
        bonus = tape.gradient(play.entropies[seat], params[seat])
        directions.append(
            [
                gradient + ENTROPY_COEFFICIENT * extra
                for gradient, extra in zip(direction, bonus, strict=True)
            ]
        )
        critic_gradients.append(tape.gradient(losses[seat], critics[seat]))
    observations, actions, rewards = (
        np.stack(x, axis=1)
        for x in (
            play.trajectory.observations,
            play.trajectory.actions,
            play.trajectory.rewards,
        )
    )
    return Gradients(
        (observations.reshape(*actions.shape, -1), actions, rewards),
        [tf.add_n(x) for x in zip(*directions, strict=True)],
        [tf.add_n(x) for x in zip(*critic_gradients, strict=True)],
    )


def our_trainer(size: Size) -> dice_tf.Trainer:
    """Returns the trainer of these sizes, compiled by Keras."""
    learner = dice_tf.learners.AdvantageAlignment(WEIGHT, past="averaged")
    trainer = dice_tf.Trainer(
        our_objective(size),
        [learner] * 2,
        num_seeds=size.num_seeds,
        initial_params="random",
        entropy_coefficient=ENTROPY_COEFFICIENT,
        max_gradient_norm=MAX_GRADIENT_NORM,
    )
    trainer.compile(
        keras.optimizers.Adam(LEARNING_RATE),
        critic_optimizer=keras.optimizers.Adam(LEARNING_RATE),
        steps_per_execution=size.iterations,
    )
    return trainer


def ours(size: Size, num_calls: int, num_executions: int = 1) -> Call:
    """Returns one execution of our trainer, see `programs.execution`."""
    return execution(
        our_trainer(size), size.iterations, num_calls, num_executions
    )


def jax_settings(size: Size) -> NamedTuple:
    """Returns the settings of the JAX program for these sizes."""
    from benchmarks import jax_alignment

    return jax_alignment.Settings(
        size.batch_size,
        size.episode_length,
        DISCOUNT,
        TAU,
        WEIGHT,
        ENTROPY_COEFFICIENT,
        MAX_GRADIENT_NORM,
        LEARNING_RATE,
        (size.hidden_units,) * 2,
    )


def jax_reference(size: Size) -> Call:
    """Returns the scanned iterations of the ideal JAX program."""
    from benchmarks import jax_alignment
    from benchmarks.jax_reference import scanned_call

    settings = jax_settings(size)
    runs = [
        jax_alignment.initial(settings, run) for run in range(size.num_seeds)
    ]
    program = jax_alignment.make_program(settings, size.num_seeds)
    return scanned_call(program, runs, size.iterations)
