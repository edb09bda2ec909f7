"""What a trainer holds: all players in many runs, saved, read, evaluated."""

import sys
from typing import Any

import keras
import numpy as np

from dice_tf.checks import check_index
from dice_tf.training.replicated_model import ReplicatedModel
from dice_tf.training.snapshots import put_back, take_snapshot
from dice_tf.training.summary import describe
from dice_tf.training.validation import (
    Opponents,
    check_size,
    match_returns,
    seat_opponents,
)


class Runs(ReplicatedModel):
    """The state of a trainer, which its steps change.

    `dice_tf.Trainer` adds how it is trained, and sets the attributes that are
    read here.
    """

    @property
    def iterations(self) -> int:
        """Number of iterations made so far."""
        return int(self._iteration.numpy())

    @property
    def curves(self) -> np.ndarray:
        """Reported returns, `[iterations, num_seeds, num_players]`.

        A return is `(1 - discount)` times the discounted return (at discount
        1 the mean reward per step), of real play before the update. It is NaN
        where it is not finite, or a policy's probabilities are not.
        """
        return self._curves.read(self.iterations)

    @property
    def diverged_runs(self) -> tuple[int, ...]:
        """Numbers of the runs, from 0, that have stopped being finite.

        Those in which a parameter of a policy or critic is NaN or infinite, or
        the last return is NaN.
        """
        found = ~np.all(np.isfinite(self.curves[-1:]), axis=(0, 2))
        for player in self.players:
            for variable in (*player.params, *player.critic_params):
                values = np.isfinite(variable.numpy())
                found |= ~np.all(values.reshape(self.num_seeds, -1), axis=1)
        return tuple(int(run) for run in np.flatnonzero(found))

    @property
    def loaded_run(self) -> int:
        """Number of the run whose parameters policies and critics hold."""
        return int(self._models.run.numpy())

    def load_run(self, run: int) -> None:
        """Makes the objective's policies and critics hold, and follow, a run.

        What was set on them before is taken into the run that they held.

        Args:
          run: number of the run, from 0.

        Raises:
          ValueError: if there is no such run.
        """
        run = check_index("run", run, self.num_seeds, "runs")
        self.replicas.check_current()
        self._models.take(self._follows_other_trainers)
        self._models.run.assign(run)
        self._models.show()

    def synchronize(self) -> None:
        """Makes the trainer and its models agree on the loaded run.

        What was set on policies and critics is taken into the run that they
        hold; what changed of the trainer's variables is written to them. The
        trainer calls this wherever it reads or has changed either; call it to
        read policies after variables of the trainer were assigned, or the
        other way round.
        """
        self.load_run(self.loaded_run)

    @property
    def _follows_other_trainers(self) -> bool:
        """Whether models that learn continue from what other trainers wrote.

        A single run does, as Keras models that share layers: but for a first
        start that was drawn or given. Many runs are the trainer's own.
        """
        return self.num_seeds == 1 and (
            self._starts_from_models or self.iterations > 0
        )

    def optimizer_of(self, player_id: int) -> keras.optimizers.Optimizer | None:
        """Returns the optimiser that moves a player, `None` without one.

        Args:
          player_id: the player.
        """
        return self._team.optimizers.of(player_id) if self.compiled else None

    def summary(self, *args: Any, print_fn: Any = None, **kwargs: Any) -> None:
        """Prints who learns what, and how, and Keras' table of variables.

        Args:
          *args: as of `keras.Model.summary`.
          print_fn: what to call with each piece of text; to the standard
            output by default.
          **kwargs: as of `keras.Model.summary`.
        """
        text = describe(self)
        if print_fn is None:
            sys.stdout.write(f"{text}\n")
        else:
            print_fn(text)
        super().summary(*args, print_fn=print_fn, **kwargs)

    def evaluate(
        self,
        opponents: Opponents,
        *,
        batch_size: int | None = None,
    ) -> dict[str, float]:
        """Plays matches of each learning player against given opponents.

        Args:
          opponents: by name, one policy per seat (who learns sits down in
            its own); or a function from the game and a seat to a policy,
            such as `dice_tf.policies.tit_for_tat`.
          batch_size: number of episodes of each match. Default: exact values
            in a `FiniteGame`, 1024 episodes in any other game.

        Returns:
          `player_<i>/return_against_<name>`: reported returns, means over
          runs.

        Raises:
          TypeError, ValueError: if there is no game, or the opponents do not
            fit it.
        """
        opponents = seat_opponents(self.objective, opponents)
        return match_returns(self, opponents, check_size(batch_size))

    def load_weights(self, filepath: Any, **kwargs: Any) -> None:
        before = take_snapshot(self)
        try:
            super().load_weights(filepath, **kwargs)
        except BaseException:
            put_back(self, before)
            raise
        self._models.show()

    def save_weights(self, *args: Any, **kwargs: Any) -> None:
        self.synchronize()
        super().save_weights(*args, **kwargs)

    def set_weights(self, weights: Any) -> None:
        super().set_weights(weights)
        self._models.show()

    def get_weights(self) -> list[np.ndarray]:
        self.synchronize()
        return super().get_weights()

    def show_loaded_run(self) -> None:
        """Makes the models hold the loaded run, whatever was set on them."""
        self._models.show()

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        store["curves"] = self.curves

    def load_own_variables(self, store: Any) -> None:
        # What is saved is read first: nothing changes if it is not there.
        iteration, curves = np.asarray(store["0"]), np.asarray(store["curves"])
        coming = self.num_coming_iterations
        self._iteration.assign(iteration)
        self.put_back_curves(curves, coming)

    @property
    def num_coming_iterations(self) -> int:
        """Number of iterations that a `fit` under way has made room for."""
        return self._curves.num_rows - self.iterations

    def put_back_curves(self, curves: np.ndarray, num_coming: int) -> None:
        """Replaces the curves, with room for so many more iterations."""
        self._curves.restore(curves, num_coming)

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError(
            "A trainer cannot be rebuilt from a file: it holds games and "
            "learners. Save what it learned with `save_weights` "
            "(`ModelCheckpoint(..., save_weights_only=True)`) and load that "
            "into a new trainer, or export its policies with "
            "`dice_tf.export.export_policy`."
        )

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [self._means]

    def _run_seeds(self) -> list[int]:
        return [self.seed + run for run in range(self.num_seeds)]
