"""Training in the Coin Game, and what players pick up meanwhile."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

import dice_tf
from experiments.building.trainings import StopWhenAsked, checkpoint_of
from experiments.coins.coin_settings import TABULAR, CoinSettings
from experiments.command_line.commands import user_errors
from experiments.command_line.stopping import deferred_interrupts
from experiments.results.outputs import OutputFolder
from experiments.results.partial_results import partial_results

# After the first one.
_NUM_MEASUREMENTS = 20


class Progress(NamedTuple):
    """Measurements between updates.

    Attributes:
      iterations: `[M]`, number of updates before.
      shares: `[M, num_runs]`, of pick-ups that were the player's own coins,
        mean over players.
      returns: `[M, num_runs, 2]`, mean reward per step.
      episode: the `Trajectory` of the first run at the end.
    """

    iterations: np.ndarray
    shares: np.ndarray
    returns: np.ndarray
    episode: Any


def build_trainer(
    settings: CoinSettings, jit_compile: bool = True
) -> dice_tf.Trainer:
    """Returns a compiled trainer of two policies.

    Networks learn from play. Tables learn from exact values over an infinite
    horizon; only their measurements are played.
    """
    if settings.policy == TABULAR:
        game = dice_tf.games.TabularCoinGame(settings.episode_length)
        objective = dice_tf.objectives.ExactObjective(
            game,
            [dice_tf.policies.tabular(game, i) for i in range(2)],
            discount=settings.discount,
            episode_length=None,
        )
        # XLA makes nothing in it faster.
        jit_compile = False
    else:
        game = dice_tf.games.CoinGame(settings.episode_length)
        units = (settings.hidden_units,) * 2
        policies = [
            dice_tf.policies.mlp(game, i, hidden_units=units) for i in range(2)
        ]
        objective = played_objective(settings, game, policies)
    learner = build_learner(settings)
    trainer = dice_tf.Trainer(
        objective,
        [learner, learner],
        num_seeds=settings.num_seeds,
        seed=settings.seed,
        initial_params="random",
    )
    trainer.compile(optimizer=_optimizer(settings), jit_compile=jit_compile)
    return trainer


def played_objective(
    settings: CoinSettings, game: dice_tf.games.Game, policies: Sequence[Any]
) -> dice_tf.objectives.DiCEObjective:
    """Returns what plays a batch of episodes."""
    return dice_tf.objectives.DiCEObjective(
        game,
        policies,
        discount=settings.discount,
        batch_size=settings.batch_size,
        baseline="leave_one_out",
    )


def _optimizer(settings: CoinSettings) -> keras.optimizers.Optimizer:
    if settings.learner == "pola":
        return keras.optimizers.SGD(1.0)
    if settings.policy == TABULAR:
        return keras.optimizers.SGD(settings.learning_rate)
    return keras.optimizers.Adam(settings.learning_rate)


def build_learner(settings: CoinSettings) -> dice_tf.learners.Learner:
    """Returns how both players learn."""
    if settings.learner == "naive":
        return dice_tf.learners.Naive()
    if settings.learner == "pola":
        return dice_tf.learners.POLA(
            num_outer_steps=settings.num_outer_steps,
            outer_learning_rate=settings.learning_rate,
            outer_penalty=settings.outer_penalty,
            num_lookaheads=settings.num_lookaheads,
            inner_learning_rate=settings.inner_learning_rate,
            inner_penalty=settings.inner_penalty,
        )
    return dice_tf.learners.LOLADiCE(1, settings.inner_learning_rate)


def train(
    trainer: dice_tf.Trainer, settings: CoinSettings, folder: OutputFolder
) -> Progress:
    """Trains, and measures the players at the start and between updates.

    Prints a line about each measurement.
    """
    measured_objective = _measured(trainer.objective, settings)
    play_and_count = _player(measured_objective)
    edges = np.linspace(0, settings.num_iterations, _NUM_MEASUREMENTS + 1)
    edges = np.unique(edges.astype(int))
    with user_errors():
        checkpoint = checkpoint_of(folder, "trainer", settings)
        kept = partial_results(folder, "measurements", settings)
        found = kept.load()
        fresh = trainer.take_snapshot()
        checkpoint.restore(trainer)
    # Earlier players are gone, so that only the next can be measured again.
    num_measured = int(np.searchsorted(edges, trainer.iterations))
    if num_measured > len(found.get("shares", ())):
        # Measurements are missing, which a full disk may not have taken.
        trainer.put_back(fresh)
        num_measured = 0
    if trainer.iterations:
        print(f"Continued after {trainer.iterations} updates.", flush=True)
    shares = list(found.get("shares", ())[:num_measured])
    returns = list(found.get("returns", ())[:num_measured])
    for done in map(int, edges[num_measured:]):
        if trainer.iterations < done:
            with deferred_interrupts():
                trainer.fit(
                    epochs=done,
                    initial_epoch=trainer.iterations,
                    verbose=0,
                    callbacks=[checkpoint, StopWhenAsked(checkpoint)],
                )
        measured = []
        for run in range(settings.num_seeds)[::-1]:
            trainer.load_run(run)
            seed = dice_tf.seeds.make_seed(settings.seed + run, done)
            params = measured_objective.initial_params()
            measured.append(play_and_count(params, seed))
        share, reward, episode = zip(*measured[::-1], strict=True)
        shares.append(np.array(share))
        returns.append(np.array(reward))
        kept.save({"shares": np.array(shares), "returns": np.array(returns)})
        print(
            f"  {done} updates: own-coin share {np.mean(share):.3f}, mean "
            f"reward {np.mean(reward):.4f}",
            flush=True,
        )
    checkpoint.save(trainer, trainer.iterations)
    return Progress(edges, np.array(shares), np.array(returns), episode[0])


def _measured(
    objective: dice_tf.objectives.Objective, settings: CoinSettings
) -> dice_tf.objectives.DiCEObjective:
    """Returns an objective with the same policies that plays on the grid."""
    if settings.policy != TABULAR:
        return objective
    game = dice_tf.games.CoinGame(settings.episode_length)
    on_the_grid = [
        dice_tf.policies.on_the_grid(game, policy, i)
        for i, policy in enumerate(objective.policies)
    ]
    return played_objective(settings, game, on_the_grid)


def _player(objective: dice_tf.objectives.DiCEObjective) -> Callable:
    """Returns a function of parameters and a seed that plays and counts."""

    @tf.function(autograph=False)
    def play(params: list, seed: tf.Tensor) -> tuple:
        trajectory = objective.play(params, seed).trajectory
        counts = objective.game.statistics(trajectory)
        rewards = tf.stack([tf.reduce_mean(x) for x in trajectory.rewards])
        share = tf.reduce_mean(counts.own_coin_share)
        # Players whose parameters are NaN move, too, but have NaN rewards.
        are_finite = tf.reduce_all(tf.math.is_finite(rewards))
        share = tf.where(are_finite, share, float("nan"))
        return share, rewards, trajectory

    return play
