"""Training in the Coin Game, and what players pick up meanwhile."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

import dice_tf
from experiments.building.checkpoints import CheckpointPlan
from experiments.command_line.user_errors import user_errors

LEARNERS = ("naive", "lola_dice_1_lookahead", "pola")
TABULAR = "tabular"


class Settings(NamedTuple):
    """What config.json says of the run, beside the folder.

    Attributes:
      policy: of both players, mlp or tabular.
      learner: of both players, one of `LEARNERS`.
      num_seeds: number of runs.
      seed: of the first run.
      num_iterations: number of updates.
      batch_size: episodes of each play.
      episode_length: T.
      discount: in [0, 1].
      hidden_units: width of the two hidden layers.
      learning_rate: of Adam, of SGD for tables, or of the outer steps of
        `pola`.
      inner_learning_rate: of imagined steps.
      num_outer_steps: of `pola`, in each update.
      outer_penalty: of `pola`.
      inner_penalty: of `pola`.
      num_lookaheads: of `pola`.
    """

    policy: str
    learner: str
    num_seeds: int
    seed: int
    num_iterations: int
    batch_size: int
    episode_length: int
    discount: float
    hidden_units: int
    learning_rate: float
    inner_learning_rate: float
    num_outer_steps: int
    outer_penalty: float
    inner_penalty: float
    num_lookaheads: int


class Progress(NamedTuple):
    """What was measured between updates.

    Attributes:
      iterations: `[M]`, how many updates came before.
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
    settings: Settings, jit_compile: bool = True
) -> dice_tf.Trainer:
    """Returns a compiled trainer of two policies of their own.

    Networks learn from play, tables from exact values over an infinite
    horizon, and are measured in play.
    """
    if settings.policy == TABULAR:
        game = dice_tf.games.TabularCoinGame(settings.episode_length)
        objective = dice_tf.objectives.ExactObjective(
            game,
            [dice_tf.policies.tabular(game, i) for i in range(2)],
            settings.discount,
            episode_length=None,
        )
        # There is nothing in it that XLA makes faster.
        jit_compile = False
    else:
        game = dice_tf.games.CoinGame(settings.episode_length)
        units = (settings.hidden_units,) * 2
        objective = played_objective(
            settings,
            game,
            [
                dice_tf.policies.mlp(game, i, hidden_units=units)
                for i in range(2)
            ],
        )
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
    settings: Settings, game: dice_tf.games.Game, policies: Sequence[Any]
) -> dice_tf.objectives.DiCEObjective:
    """Returns what plays a batch of episodes."""
    return dice_tf.objectives.DiCEObjective(
        game,
        policies,
        discount=settings.discount,
        batch_size=settings.batch_size,
        baseline="leave_one_out",
    )


def _optimizer(settings: Settings) -> keras.optimizers.Optimizer:
    if settings.learner == "pola":
        return keras.optimizers.SGD(1.0)
    if settings.policy == TABULAR:
        return keras.optimizers.SGD(settings.learning_rate)
    return keras.optimizers.Adam(settings.learning_rate)


def build_learner(settings: Settings) -> dice_tf.learners.Learner:
    """Returns how both players learn."""
    if settings.learner == "naive":
        return dice_tf.learners.Naive()
    if settings.learner == "pola":
        return dice_tf.learners.POLA(
            settings.num_outer_steps,
            settings.learning_rate,
            settings.outer_penalty,
            num_lookaheads=settings.num_lookaheads,
            inner_learning_rate=settings.inner_learning_rate,
            inner_penalty=settings.inner_penalty,
        )
    return dice_tf.learners.LOLADiCE(1, settings.inner_learning_rate)


def train(
    trainer: dice_tf.Trainer,
    settings: Settings,
    num_measurements: int,
    say: Callable[[str], None],
    plan: CheckpointPlan,
) -> Progress:
    """Trains, and measures the players at the start and so often after it.

    Args:
      trainer: what `build_trainer(settings)` returned.
      settings: all that determines the training.
      num_measurements: after the first one.
      say: called with a line about each measurement.
      plan: from where to go on, and where to leave checkpoints.
    """
    played = _measured(trainer.objective, settings)
    player = _player(played)
    edges = np.linspace(0, settings.num_iterations, num_measurements + 1)
    edges = np.unique(edges.astype(int))
    checkpoint = plan.of("trainer", settings)
    kept = plan.partial_results("measurements", settings)
    with user_errors():
        found = kept.load()
        # Without what was measured, there is nothing to go on from.
        if found and checkpoint.restore(trainer):
            say(f"Continued after {trainer.iterations} updates.")
    # The players of an earlier measurement are gone, those of now are there.
    num_measured = int(np.searchsorted(edges, trainer.iterations))
    shares = list(found.get("shares", ())[:num_measured])
    returns = list(found.get("returns", ())[:num_measured])
    for done in map(int, edges[num_measured:]):
        if trainer.iterations < done:
            trainer.fit(
                epochs=done,
                initial_epoch=trainer.iterations,
                verbose=0,
                callbacks=[checkpoint],
            )
        measured = []
        for run in range(settings.num_seeds)[::-1]:
            trainer.load_run(run)
            seed = tf.constant([settings.seed + run, done])
            measured.append(player(played.initial_params(), seed))
        share, reward, episode = zip(*measured[::-1], strict=True)
        shares.append(np.array(share))
        returns.append(np.array(reward))
        kept.save({"shares": np.array(shares), "returns": np.array(returns)})
        say(
            f"  {done} updates: own-coin share {np.mean(share):.3f}, mean "
            f"reward {np.mean(reward):.4f}"
        )
    checkpoint.save(trainer, trainer.iterations)
    return Progress(edges, np.array(shares), np.array(returns), episode[0])


def _measured(
    objective: dice_tf.objectives.Objective, settings: Settings
) -> dice_tf.objectives.DiCEObjective:
    """Returns an objective with the same policies that plays on the grid."""
    if settings.policy != TABULAR:
        return objective
    game = dice_tf.games.CoinGame(settings.episode_length)
    on_the_grid = [
        dice_tf.policies.on_the_grid(policy, game, i)
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
        # Players of NaNs move, too, but have no rewards.
        are_finite = tf.reduce_all(tf.math.is_finite(rewards))
        share = tf.where(are_finite, share, float("nan"))
        return share, rewards, trajectory

    return play
