"""Training in the common pool by exact values, and what is played then."""

import time
from typing import Any, NamedTuple

import keras
import numpy as np

import dice_tf

from ..building.builders import build_learner
from ..building.trainings import ProgressBar
from ..results.curves import final_joint_returns, median_run
from .pool_settings import NUM_PLAYERS, PoolSettings

# Of each run, at the end.
_NUM_EPISODES = 64


class PoolRuns(NamedTuple):
    """A method that has been trained.

    Attributes:
      trainer: holds what was learned.
      curves: `[num_iterations, num_runs, 2]`, reported returns.
      judged: the curves, with NaN as the last returns of runs that diverged.
      seconds: wall time, compilation included.
      final_stocks: `[num_runs]`, what is left after an episode, on average;
        NaN for runs that diverged.
      median: number of the run, from 0, whose final return is the median;
        `None` if all have failed.
      episodes: the `Trajectory` of that run; `None` if all have failed.
    """

    trainer: dice_tf.Trainer
    curves: np.ndarray
    judged: np.ndarray
    seconds: float
    final_stocks: np.ndarray
    median: int | None
    episodes: Any


def build_trainer(
    settings: PoolSettings, jit_compile: bool = True
) -> dice_tf.Trainer:
    """Returns a compiled trainer of two tables, from random starts."""
    game = dice_tf.games.CommonPool(settings.episode_length)
    players = range(NUM_PLAYERS)
    policies = [dice_tf.policies.tabular(game, i) for i in players]
    objective = dice_tf.objectives.ExactObjective(
        game, policies, discount=settings.discount, episode_length=None
    )
    trainer = dice_tf.Trainer(
        objective,
        [build_learner(settings, game, i) for i in players],
        num_seeds=settings.num_seeds,
        seed=settings.seed,
        initial_params="random",
    )
    trainer.compile(
        [keras.optimizers.SGD(rate) for rate in settings.learning_rate],
        jit_compile=jit_compile,
    )
    return trainer


def train(settings: PoolSettings) -> PoolRuns:
    """Trains all runs, shows a progress bar, and plays episodes of each."""
    trainer = build_trainer(settings)
    start = time.perf_counter()
    trainer.fit(
        epochs=settings.num_iterations,
        verbose=0,
        callbacks=[ProgressBar(settings.num_iterations)],
    )
    seconds = time.perf_counter() - start
    judged = trainer.curves.copy()
    judged[-1:, list(trainer.diverged_runs)] = np.nan
    median = median_run(judged)
    played = trainer.map_loaded_runs(
        lambda run: _play(trainer.objective, settings.seed + run)
    )
    stocks = [_left(trainer.objective.game, episodes) for episodes in played]
    final_stocks = np.mean(stocks, axis=1)
    final_stocks[~np.isfinite(final_joint_returns(judged))] = np.nan
    return PoolRuns(
        trainer,
        trainer.curves,
        judged,
        seconds,
        final_stocks,
        median,
        None if median is None else played[median],
    )


def _play(objective: dice_tf.objectives.Objective, seed: int) -> Any:
    """Returns a `Trajectory` of the policies' weights now."""
    game = objective.game
    actors = [
        dice_tf.play.Actor(game, policy, player_id)
        for player_id, policy in enumerate(objective.policies)
    ]
    return dice_tf.play.sample_trajectory(
        game,
        actors,
        [actor.model.weights() for actor in actors],
        batch_size=_NUM_EPISODES,
        seed=dice_tf.seeds.make_seed(seed),
    )


def _left(game: dice_tf.games.CommonPool, episodes: Any) -> np.ndarray:
    """Returns the stock after each episode, regrown, `[num_episodes]`."""
    taken = sum(np.asarray(rewards[-1], int) for rewards in episodes.rewards)
    return game.growth[np.asarray(episodes.states[-1]) - taken]
