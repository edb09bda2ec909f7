"""The trainer: a Keras model that trains all players, in many runs at once."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from dice_tf.checks import (
    check_flag,
    check_steps_per_epoch,
    check_whole_number,
)
from dice_tf.kernels.draws import choose_draw
from dice_tf.learners.learner import Learner, check_learners
from dice_tf.objectives.objective import Objective, check_objective
from dice_tf.training.averages import callback_list, with_averages
from dice_tf.training.compilation import fit_one_program
from dice_tf.training.initial_states import CURRENT, RANDOM, initial_run_states
from dice_tf.training.loaded_models import LoadedModels
from dice_tf.training.many_runs import map_steps
from dice_tf.training.records import (
    Curves,
    StepMeans,
    metric_names,
    nan_unless_finite,
)
from dice_tf.training.runs import Runs
from dice_tf.training.steps import StepSeeds, player_rules
from dice_tf.training.team import Team
from dice_tf.training.validation import Opponents, with_validation


class Trainer(Runs):
    """Trains the players of an objective, each with a learner of its own.

    A `keras.Model` whose `fit` needs no data. `num_seeds` independent runs are
    one vectorised program; run r (from 0) draws its random numbers from
    `seed + r`, whatever the number of runs.

    The policies and critics of the objective always hold the parameters of one
    run, the loaded one: the first, or that of the last call of `load_run`.
    Weights that are set on them (`policy.set_weights`, `load_weights`) are
    taken into that run, and the next step starts from them; what optimisers
    and learners remember stays, as in Keras. Those set on the policy of a
    frozen player count in every run. Trainers that share policies take turns
    if they have a single run; several runs are each trainer's own.

    A run whose parameters stop being finite goes on without a return: its
    curves are NaN from there on, the other runs are as they would be without
    it. What is logged are means over runs, which are NaN as soon as one run's
    are; `diverged_runs` says which. `keras.callbacks.TerminateOnNaN` then ends
    all of them.

    Args:
      objective: what the players maximise.
      learners: one `dice_tf.learners.Learner` per player; `None` freezes the
        player at its policy's current parameters.
      num_seeds: number of independent runs.
      seed: whole number, the seed of the first run.
      initial_params: `"current"`, the parameters that policies and critics
        have now; `"random"`, parameters drawn anew by the models' own
        initializers from each run's seed (frozen players keep theirs); or for
        each run one list of arrays per player. Default: `"current"` for a
        single run, `"random"` for several.
      entropy_coefficient: weight of the entropy (in nats) of each policy,
        which is added to the player's value (a discounted return, not
        normalised); one number, or one per player. It is the mean over the
        states visited, where a visit at step t counts `discount^t`, on every
        objective. The visits are held constant.
      max_gradient_norm: norm to which the direction of each player is
        clipped; one number or `None`, or one per player.
      updates: `"simultaneous"`, in every step all players move at once from
        one snapshot of the parameters; or `"alternating"`, one after the
        other in seat order, each where those before it have moved to.
      strategy: a `MirroredStrategy` or `MultiWorkerMirroredStrategy` that
        splits each batch of episodes. Default: that of the scope around.
      name: name of the model.

    Raises:
      TypeError, ValueError: if an argument does not fit the objective, or the
        parameters that a run starts from are not finite.
      ValueError: if a model that learns has regularizers, constraints or
        losses of its own, which would be ignored, or if two policies or
        critics share trainable variables; or if layers of a policy were set
        free whose second derivatives are wrong.

    Example:
      >>> trainer = dice_tf.Trainer(objective, learners=[learner, learner])
      >>> trainer.compile(optimizer=keras.optimizers.SGD(0.3))
      >>> history = trainer.fit(epochs=20, steps_per_epoch=10)
    """

    def __init__(
        self,
        objective: Objective,
        learners: Sequence[Learner | None],
        *,
        num_seeds: int = 1,
        seed: int = 0,
        initial_params: Any = None,
        entropy_coefficient: float | Sequence[float] = 0.0,
        max_gradient_norm: float | Sequence[float | None] | None = None,
        updates: str = "simultaneous",
        strategy: tf.distribute.Strategy | None = None,
        name: str = "trainer",
    ):
        super().__init__(check_objective(objective), strategy, name)
        num_players = objective.num_players
        self.objective = objective
        self.learners = check_learners(learners, num_players)
        self.num_seeds = check_whole_number("num_seeds", num_seeds, 1)
        self.seed = check_whole_number("seed", seed, 0)
        if initial_params is None:
            initial_params = CURRENT if self.num_seeds == 1 else RANDOM
        self._team = Team(
            objective,
            player_rules(self.learners, entropy_coefficient, max_gradient_norm),
            initial_run_states(
                objective, self.learners, self._run_seeds(), initial_params
            ),
            updates,
            self.replicas,
        )
        self.players = self._team.players
        self._iteration = self.add_weight(
            name="iteration",
            dtype="int32",
            initializer="zeros",
            trainable=False,
        )
        has_given_params = not isinstance(initial_params, str)
        self._starts_from_models = (
            not has_given_params and initial_params == CURRENT
        )
        self._models = LoadedModels(
            objective, self.players, self.learners, has_given_params
        )
        self._use_averages = False
        self._curves = Curves(self.num_seeds, num_players)
        self._means = StepMeans(metric_names(self.learners))
        self.built = True
        self._models.show()

    def compile(
        self,
        optimizer: Any = "sgd",
        *,
        critic_optimizer: Any = "adam",
        critic_passes: int = 1,
        jit_compile: bool | str = "auto",
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
    ) -> None:
        """Configures the trainer for training.

        Models of opponents belong to their learner: their optimisers and
        rates are arguments of `dice_tf.opponent_models.OpponentModelling`.

        Args:
          optimizer: a Keras optimiser, or its name, for all players; or a
            list with one per player (`None` for a frozen one), each with a
            rate or a schedule. It ascends: it is handed the negative of each
            direction. With `use_ema=True`, its averages take the place of
            the parameters when `fit` ends, as in Keras.
          critic_optimizer: the same, for the critics' losses. Unused without
            critics.
          critic_passes: number of steps of the critics on each play.
          jit_compile: whether to compile with XLA; "auto" does if it can.
          run_eagerly: whether to run step by step in Python, to debug.
          steps_per_execution: number of steps of one compiled call, at least
            1. Of small batches XLA makes one program of them all.

        Raises:
          TypeError, ValueError: if the optimisers do not fit the players, or
            another argument is of the wrong kind.
        """
        steps_per_execution = check_whole_number(
            "steps_per_execution", steps_per_execution, 1
        )
        run_eagerly = check_flag("run_eagerly", run_eagerly)
        compiles = self._team.compiles(jit_compile)
        self._team.use_optimizers(optimizer, critic_optimizer, critic_passes)
        self._use_averages = self._team.use_averages
        # Named so that Keras saves what they remember with the weights.
        self.player_optimizers = self._team.optimizers.optimizers
        self.critic_optimizers = self._team.critic_optimizers.optimizers
        self._jit_step = self.replicas.jit(compiles) and not run_eagerly
        self.steps_per_program = 1
        if self._jit_step and fit_one_program(
            self.objective, self.num_seeds, steps_per_execution
        ):
            self.steps_per_program = steps_per_execution
        super().compile(
            optimizer=self._team.joint_optimizer,
            jit_compile=False,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            # No loss is scaled here, whatever Keras' global dtype policy is.
            auto_scale_loss=False,
        )

    def fit(
        self,
        *,
        epochs: int = 1,
        steps_per_epoch: int = 1,
        initial_epoch: int = 0,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_opponents: Opponents | None = None,
        validation_freq: int = 1,
        validation_batch_size: int | None = None,
    ) -> keras.callbacks.History:
        """Trains, without a data set.

        Args:
          epochs: number of the last epoch.
          steps_per_epoch: iterations per epoch, each one step of all players.
          initial_epoch: epoch to start from.
          verbose: 0 for silence, 1 for a progress bar, 2 for a line an epoch.
          callbacks: list of `keras.callbacks.Callback`.
          validation_opponents: whom to `evaluate` against; what it returns
            is logged with `val_` before its name.
          validation_freq: number of epochs from one evaluation to the next;
            the first epoch is evaluated, too.
          validation_batch_size: episodes of each match, see `evaluate`.

        Returns:
          A `keras.callbacks.History` of scalars, means over steps and seeds.
        """
        epochs = check_whole_number("epochs", epochs, 1)
        steps = check_steps_per_epoch(steps_per_epoch, self.steps_per_execution)
        initial_epoch = check_whole_number("initial_epoch", initial_epoch, 0)
        callbacks = with_validation(
            callbacks,
            self.objective,
            validation_opponents,
            validation_batch_size,
            validation_freq,
        )
        if self._use_averages:
            callbacks = with_averages(
                callback_list(callbacks), self._team.critic_optimizers
            )
        dataset = self.replicas.dataset()
        self._models.check()
        self.synchronize()
        new = max(epochs - initial_epoch, 0) * steps
        self._curves.reserve(self.iterations + new)
        # A callback that restores sets it; Keras would keep it for ever.
        self._initial_epoch = None
        history = super().fit(
            x=dataset,
            shuffle=False,
            epochs=epochs,
            steps_per_epoch=steps,
            initial_epoch=initial_epoch,
            verbose=verbose,
            callbacks=callbacks,
        )
        self.synchronize()
        return history

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Moves all players, in every run, by the steps of one program."""
        del data
        num_steps = self.steps_per_program
        iterations = tf.range(num_steps) + tf.convert_to_tensor(self._iteration)
        keys = tf.stack(
            [
                tf.tile(self._run_seeds(), [num_steps]),
                tf.repeat(iterations, self.num_seeds),
            ],
            axis=-1,
        )

        draw = choose_draw(self._jit_step)

        def move(step: Any) -> tf.Tensor:
            seeds = StepSeeds(keys, step, draw)
            returns, scalars = self._team.move(seeds)
            self._means.update_state(scalars)
            return nan_unless_finite(tf.cast(returns, tf.float32))

        def update() -> tf.Tensor:
            self._models.read()
            returns = map_steps(move, num_steps)
            self._models.write()
            return returns

        if self._jit_step:
            # One function per trace: it captures the bits drawn around it.
            update = tf.function(update, jit_compile=True, autograph=False)
        self._curves.write(iterations, update())
        self._iteration.assign_add(num_steps)
        return self._means.result()
