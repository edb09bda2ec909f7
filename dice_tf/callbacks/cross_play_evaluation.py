"""Cross-play between the runs of a trainer while they learn."""

from typing import Any

import keras
import numpy as np

from dice_tf.callbacks.policy_tables import check_tables, run_tables
from dice_tf.checks import check_whole_number
from dice_tf.evaluation.pairings import check_two_players
from dice_tf.evaluation.payoff_matrices import cross_play
from dice_tf.policies.fixed import fixed_policy


class CrossPlayEvaluation(keras.callbacks.Callback):
    """Logs how runs do with each other's players, every n epochs.

    `cross_play/player_<i>/return` is the mean return of player i over all
    pairs of players from different runs. `self_play/player_<i>/return` is the
    mean over pairs from the same run. Both are exact, and NaN if a run has
    diverged. The first epoch of a `fit` is evaluated, too, since `CSVLogger`
    takes its columns from there. Put callbacks that should see these numbers
    after this one.

    Needs several runs of two players in a `FiniteGame` that they see one-hot,
    such as an iterated matrix game.

    Args:
      every: number of epochs from one evaluation to the next.

    Raises:
      ValueError: when training starts, if there is a single run, if the game
        does not have two players, or if policies are not tables.

    Example:
      >>> evaluation = dice_tf.callbacks.CrossPlayEvaluation(every=5)
      >>> trainer.fit(epochs=20, steps_per_epoch=10, callbacks=[evaluation])

    References:
      Hu et al. 2020 ("Other-Play" for Zero-Shot Coordination), for cross-play
      between independent runs.
    """

    def __init__(self, every: int = 1):
        super().__init__()
        self._every = check_whole_number("every", every, 1)
        self._is_first = True

    def on_train_begin(self, logs: Any = None) -> None:
        check_tables(self.model, "Cross-play")
        check_two_players(self.model.objective.game)
        if self.model.num_seeds < 2:
            raise ValueError(
                "Cross-play is between runs: `num_seeds` of the trainer must "
                "be at least 2."
            )
        self._is_first = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if (epoch + 1) % self._every and not self._is_first:
            return
        self._is_first = False
        objective, num_runs = self.model.objective, self.model.num_seeds
        tables = run_tables(self.model, num_runs)
        # A run that has diverged has no policies. All its pairs are NaN.
        runs = np.flatnonzero(
            [
                all(np.all(np.isfinite(table[run])) for table in tables)
                for run in range(num_runs)
            ]
        )
        seats = [
            [
                fixed_policy(objective.game, player_id, table[run])
                for run in runs
            ]
            for player_id, table in enumerate(tables)
        ]
        payoffs = np.full([2, num_runs, num_runs], np.nan)
        if len(runs):
            payoffs[:, runs[:, np.newaxis], runs] = cross_play(
                objective.game,
                {"run": seats[0]},
                {"run": seats[1]},
                discount=objective.discount,
                episode_length=objective.episode_length,
            ).payoffs
        is_partner = np.eye(num_runs, dtype=bool)
        for player_id, returns in enumerate(payoffs):
            name = f"player_{player_id}/return"
            logs[f"cross_play/{name}"] = float(returns[~is_partner].mean())
            logs[f"self_play/{name}"] = float(returns[is_partner].mean())
