"""The trainer: a Keras model that trains all players, in many runs at once.

An iteration is one update of all players in all runs. A program, which Keras
calls a step, makes one iteration or several, compiled together.
"""

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dice_tf.checks import (
    check_flag,
    check_function,
    check_index,
    check_kind,
    check_name,
    check_player_id,
    check_steps_per_epoch,
    check_whole_number,
)
from dice_tf.learners.learner import Learner, check_learners
from dice_tf.objectives.objective import Objective, check_objective
from dice_tf.training.checkpoints import Snapshot, check_snapshot
from dice_tf.training.compilation import (
    should_compile_step,
    steps_share_program,
)
from dice_tf.training.dataless_model import DatalessModel, explained
from dice_tf.training.distribution import Distribution
from dice_tf.training.fit_callbacks import prepared_callbacks
from dice_tf.training.initial_states import (
    CURRENT,
    GIVEN,
    RANDOM,
    initial_run_states,
)
from dice_tf.training.iteration import player_rules
from dice_tf.training.loaded_models import LoadedModels
from dice_tf.training.players import describe_training, make_players
from dice_tf.training.programs import shared_program
from dice_tf.training.records import Curves, StepMeans, metric_names
from dice_tf.training.training_step import TrainingStep
from dice_tf.training.updates import PlayerUpdates
from dice_tf.training.validation import (
    Opponents,
    check_opponents,
    check_size,
    match_returns,
    mean_returns,
)


class Trainer(DatalessModel):
    """Trains the players of an objective, each by its own learner.

    A `keras.Model` whose `fit` needs no data. `num_seeds` independent runs are
    one vectorised program. Run r (from 0) draws its random numbers from
    `seed + r`, whatever the number of runs. A model in several seats has one
    set of parameters there, as in self-play, which the first of these players
    holds: it moves along the sum of the seats' directions.

    The policies and critics of the objective hold the parameters of one run,
    the loaded one: the first, or that of the last call of `load_run`. Weights
    that are set on them (`policy.set_weights`, `load_weights`) are taken into
    that run, and the next step starts from them. What optimisers and learners
    remember stays, as in Keras. Weights that are set on the policy of a frozen
    player count in every run. Trainers with a single run can take turns on
    shared policies. Several runs belong to one trainer only.

    The trainer's own `get_weights` and `set_weights` copy the parameters, what
    learners remember, and the number of the iteration. As in Keras, they leave
    out what optimisers remember; they leave out `curves`, too, where returns
    of iterations that this trainer has not made are missing or 0.
    `trainer.put_back(trained.take_snapshot())` copies everything.

    If the parameters of a run stop being finite, the run goes on without a
    return. Its curves are NaN from there on, and the other runs are not
    affected. The logs are means over runs, which are NaN as soon as one run
    is; `diverged_runs` tells which. `keras.callbacks.TerminateOnNaN` then ends
    all runs.

    Args:
      objective: what the players maximise.
      learners: one `dice_tf.learners.Learner` per player; `None` freezes the
        player at its policy's current parameters.
      num_seeds: number of independent runs.
      seed: whole number of any size, not negative, the seed of the first run.
      initial_params: `"current"`, the parameters that policies and critics
        have now; `"random"`, parameters that the models' initializers draw
        from each run's seed (frozen players keep theirs); or for each run one
        list of arrays per player. Default: `"current"` for a single run,
        `"random"` for several.
      entropy_coefficient: weight of the entropy (in nats) of each policy,
        which is added to the player's value (a discounted return, not
        normalised); one number, or one per player. The entropy is the mean
        over the states visited, where a visit at step t counts `discount^t`.
        The visits are held constant.
      max_gradient_norm: norm to which the direction of each player is
        clipped; one number or `None`, or one per player.
      updates: `"simultaneous"`, all players move at once from the same
        parameters; or `"alternating"`, they move one after the other in seat
        order, each from the parameters that earlier moves have led to.
      strategy: a `MirroredStrategy` or `MultiWorkerMirroredStrategy` that
        splits each batch of episodes. Default: that of the scope around.
      name: name of the model.

    Attributes:
      players: one layer per player, which holds its variables for all runs.
      player_optimizers: the Keras optimisers of policies, after `compile`.
      critic_optimizers: the same, of critics.

    Raises:
      TypeError, ValueError: if an argument does not fit the objective, or the
        parameters that a run starts from are not finite.
      ValueError: if a model that learns has regularizers, constraints or
        losses, which would be ignored; if two models share a part of their
        trainable variables, or a frozen player a policy that learns; or if
        layers of a policy were set free whose second derivatives are wrong.

    Example:
      >>> trainer = dice_tf.Trainer(objective, learners=[learner, learner])
      >>> trainer.compile(optimizer=keras.optimizers.SGD(0.3))
      >>> history = trainer.fit(epochs=20, steps_per_epoch=10)
    """

    train_function: Callable | None
    _device: str | None = None

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
        check_objective(objective)
        distribution = Distribution(strategy)
        distribution.check_batch(objective)
        with distribution.scope():
            super().__init__(name=check_name("name", name))
        self.distribution = distribution
        self.objective = objective
        self.learners = check_learners(learners, objective.num_players)
        self.num_seeds = check_whole_number("num_seeds", num_seeds, 1, 2**16)
        self.seed = check_whole_number("seed", seed, 0, None)
        if initial_params is None:
            initial_params = CURRENT if self.num_seeds == 1 else RANDOM
        rules = player_rules(
            objective, self.learners, entropy_coefficient, max_gradient_norm
        )
        run_seeds = [self.seed + run for run in range(self.num_seeds)]
        runs = initial_run_states(
            objective, self.learners, run_seeds, initial_params
        )
        with distribution.scope():
            self.players = make_players(objective, rules, runs)
        self._updates = PlayerUpdates(
            objective, rules, self.players, updates, distribution
        )
        self.player_optimizers: list[keras.optimizers.Optimizer] = []
        self.critic_optimizers: list[keras.optimizers.Optimizer] = []
        self._iteration = self.add_weight(
            name="iteration",
            dtype="int32",
            initializer="zeros",
            trainable=False,
        )
        start = initial_params if isinstance(initial_params, str) else GIVEN
        self._models = LoadedModels(
            objective, self.players, self.learners, self.num_seeds, start
        )
        self._curves = Curves(self.num_seeds, objective.num_players)
        self._means = StepMeans(metric_names(self.learners))
        recorded = self._curves, self._means, self._iteration
        self._step = TrainingStep(
            self._updates, self._models, *recorded, run_seeds, distribution
        )
        self.built = True
        self._models.push_and_claim()

    @explained
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

        Models of opponents belong to their learner. Their optimisers and
        rates are arguments of `dice_tf.opponent_models.OpponentModelling`.

        Args:
          optimizer: a Keras optimiser, or its name, for all players; or a
            list with one per player (`None` for a frozen one), each with a
            rate or a schedule. It ascends, since it gets the negative of each
            direction. With `use_ema=True`, its averages replace the
            parameters when `fit` ends, as in Keras.
          critic_optimizer: the same, for the critics' losses. Unused without
            critics.
          critic_passes: number of steps of the critics on each play.
          jit_compile: whether to compile with XLA; "auto" does if it can.
          run_eagerly: whether to run step by step in Python, to debug.
          steps_per_execution: number of steps of one compiled call, at least
            1. For small batches, XLA compiles all of them into one program.

        Raises:
          TypeError, ValueError: if the optimisers do not fit the players, or
            another argument is of the wrong kind.
        """
        steps_per_execution = check_whole_number(
            "steps_per_execution", steps_per_execution, 1
        )
        run_eagerly = check_flag("run_eagerly", run_eagerly)
        compiles = should_compile_step(self.objective, jit_compile)
        self._models.check()
        self._updates.use_optimizers(optimizer, critic_optimizer, critic_passes)
        # As attributes of the trainer, Keras saves them with its weights.
        self.player_optimizers = self._updates.optimizers.optimizers
        self.critic_optimizers = self._updates.critic_optimizers.optimizers
        self._step.is_compiled = (
            self.distribution.can_compile(compiles) and not run_eagerly
        )
        self._step.num_iterations = 1
        if self._step.is_compiled and steps_share_program(
            self.objective, self.num_seeds, steps_per_execution
        ):
            self._step.num_iterations = steps_per_execution
        super().compile(
            optimizer=self._updates.joint_optimizer,
            jit_compile=False,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            # There is no loss to scale, whatever Keras' dtype policy is.
            auto_scale_loss=False,
        )

    @explained
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
          steps_per_epoch: iterations per epoch, in each of which every player
            moves once.
          initial_epoch: epoch to start from.
          verbose: 0 for silence, 1 for a progress bar, 2 for one line per
            epoch.
          callbacks: list of `keras.callbacks.Callback`. Those that monitor a
            return need `mode="max"`: Keras cannot tell the direction. It can
            for `"loss"`, minus the joint return. `ModelCheckpoint` needs
            `save_weights_only=True`.
          validation_opponents: the opponents to `evaluate` against. The logs
            get what it returns, with `val_` before each name.
          validation_freq: number of epochs from one evaluation to the next;
            the first epoch is evaluated, too.
          validation_batch_size: episodes of each match, see `evaluate`.

        Returns:
          A `keras.callbacks.History` of scalars, means over steps and seeds.

        Raises:
          TypeError, ValueError: if an argument does not fit, or layers or
            players were frozen or set free since the trainer was made.
        """
        epochs = check_whole_number("epochs", epochs, 1)
        steps = check_steps_per_epoch(steps_per_epoch, self.steps_per_execution)
        initial_epoch = check_whole_number("initial_epoch", initial_epoch, 0)
        kinds = (str, int, np.integer)
        check_kind("verbose", verbose, kinds, '"auto", 0, 1 or 2')
        callbacks = prepared_callbacks(
            callbacks,
            self.objective,
            validation_opponents,
            validation_batch_size,
            validation_freq,
            self._updates if self.compiled else None,
        )
        dataset = self.distribution.dataset()
        self._models.check()
        self.synchronize()
        num_new = max(epochs - initial_epoch, 0) * steps
        self._curves.reserve(self.iterations + num_new)
        # A callback that restores sets this. Keras would keep it for ever.
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

    def make_train_function(self, force: bool = False) -> Callable | None:
        """Makes `train_function`, which Keras calls for each execution."""
        # A program is traced for the device in whose scope `fit` is called.
        device = tf.constant(0.0).device
        if self.train_function and not force and device == self._device:
            return self.train_function
        self._device = device
        step = vars(self).get("train_step", type(self).train_step)
        if self.distribution.strategy is not None:
            self.train_function = self.distribution.train_function(
                self.train_step, self.run_eagerly, self.steps_per_execution
            )
        elif self.run_eagerly:
            super().make_train_function(force=True)
        else:
            train = tf.function(lambda: self.train_step(None), autograph=False)
            if step is _TRAIN_STEP:
                train = shared_program(self._step)
            num_calls = self.steps_per_execution // self.steps_per_program
            # A call takes less time than Keras needs for its iterator.
            self.train_function = lambda iterator: [
                train() for _ in range(num_calls)
            ][-1]
        return self.train_function

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Makes `steps_per_program` iterations of all players in all runs.

        Args:
          data: not read.

        Returns:
          The mean of each logged scalar since the epoch began.
        """
        del data
        return self._step.make_iterations()

    @explained
    def evaluate(
        self, opponents: Opponents, *, batch_size: int | None = None
    ) -> dict[str, float]:
        """Plays matches of each learning player against given opponents.

        Args:
          opponents: by name, one policy per seat (each learner takes its own
            seat); or a function from the game and a seat to a policy, such as
            `dice_tf.policies.tit_for_tat`.
          batch_size: number of episodes of each match. Default: exact values
            in a `FiniteGame`, 1024 episodes in any other game.

        Returns:
          `player_<i>/return_against_<name>`: reported returns, means over
          runs.

        Raises:
          TypeError, ValueError: if there is no game, or the opponents do not
            fit it.
        """
        seated = check_opponents(self.objective, opponents)
        size = check_size(batch_size)
        learning = [i for i, x in enumerate(self.players) if x.trainable]
        play = functools.partial(
            match_returns, self.objective, learning, seated, size
        )
        return mean_returns(
            self.map_loaded_runs(lambda run: play(self.seed + run))
        )

    @property
    def steps_per_program(self) -> int:
        """Number of iterations of one call of `train_step`."""
        return self._step.num_iterations

    @property
    def iterations(self) -> int:
        """Number of iterations made so far."""
        return int(self._iteration.numpy())

    @property
    def curves(self) -> np.ndarray:
        """Reported returns, `[iterations, num_seeds, num_players]`.

        A return is `(1 - discount)` times the discounted return (at discount
        1 the mean reward per step), of real play before the update. It is NaN
        if it is not finite, or if a policy's probabilities are NaN.
        """
        return self._curves.read(self.iterations)

    @property
    def diverged_runs(self) -> tuple[int, ...]:
        """Numbers of the runs, from 0, that have stopped being finite.

        In such a run a parameter of a policy or critic is NaN or infinite, or
        the last return is NaN.
        """
        has_diverged = ~np.all(np.isfinite(self.curves[-1:]), axis=(0, 2))
        for player in self.players:
            has_diverged |= player.diverged()
        return tuple(int(run) for run in np.flatnonzero(has_diverged))

    @property
    def loaded_run(self) -> int:
        """Number of the run whose parameters policies and critics hold."""
        return int(self._models.run.numpy())

    def load_run(self, run: int) -> None:
        """Makes the objective's policies and critics hold, and follow, a run.

        Weights that were set on them before are taken into the run that they
        held.

        Args:
          run: number of the run, from 0.

        Raises:
          ValueError: if there is no such run.
        """
        run = check_index("run", run, self.num_seeds, "runs")
        self.distribution.check_current()
        self._models.pull_if_followed(has_begun=self.iterations > 0)
        self._models.run.assign(run)
        self._models.push_and_claim()

    def map_loaded_runs(
        self, function: Callable[[int], Any], num_runs: int | None = None
    ) -> list[Any]:
        """Calls a function for each run, while policies and critics hold it.

        In the end they hold the run that they held before.

        Args:
          function: from the number of the run to anything.
          num_runs: number of runs, the first ones. Default: all.

        Returns:
          What the function returned for each run.
        """
        expected = "a function of the number of a run"
        check_function("function", function, expected, 1)
        if num_runs is not None:
            check_whole_number("num_runs", num_runs, 1, self.num_seeds)
        loaded = self.loaded_run
        results = []
        try:
            for run in range(self.num_seeds if num_runs is None else num_runs):
                self.load_run(run)
                results.append(function(run))
        finally:
            self.load_run(loaded)
        return results

    def synchronize(self) -> None:
        """Makes the trainer and its models agree on the loaded run.

        Weights that were set on policies and critics are taken into the run
        that they hold. Changes of the trainer's variables are written to them.
        The trainer calls this wherever it reads or has changed either side.
        Call it to read policies after assigning variables of the trainer, or
        to read these variables after setting weights of policies.
        """
        self.load_run(self.loaded_run)

    @property
    def is_chief(self) -> bool:
        """Whether this process should write files, as the first worker does."""
        return self.distribution.is_chief

    def optimizer_of(self, player_id: int) -> keras.optimizers.Optimizer | None:
        """Returns the optimiser that moves a player, `None` without one.

        Args:
          player_id: the player.
        """
        check_player_id(player_id, len(self.players))
        return self._updates.optimizer_of(player_id) if self.compiled else None

    def summary(self, *args: Any, print_fn: Any = None, **kwargs: Any) -> None:
        """Prints who learns what, and how, and Keras' table of variables.

        Args:
          *args: as of `keras.Model.summary`.
          print_fn: what to call with each piece of text. Default: writes to
            the standard output.
          **kwargs: as of `keras.Model.summary`.
        """
        text = describe_training(
            self.objective,
            self.players,
            self.learners,
            optimizers=map(self.optimizer_of, range(len(self.players))),
            seed=self.seed,
            iterations=self.iterations,
        )
        if print_fn is None:
            sys.stdout.write(f"{text}\n")
        else:
            print_fn(text)
        super().summary(*args, print_fn=print_fn, **kwargs)

    def take_snapshot(self) -> Snapshot:
        """Returns copies of all that training changes, see `Snapshot`."""
        self.synchronize()
        return Snapshot(
            [variable.numpy() for variable in self._state_variables()],
            self.curves,
        )

    def put_back(self, snapshot: Snapshot) -> None:
        """Makes the trainer what it was when a snapshot was taken.

        Args:
          snapshot: what `take_snapshot` returned.

        Raises:
          ValueError: if it is the snapshot of another kind of trainer.
        """
        check_kind("snapshot", snapshot, Snapshot, "of `take_snapshot`")
        num_made = self.iterations
        variables = self._state_variables()
        check_snapshot(snapshot, variables, self.curves)
        for variable, value in zip(variables, snapshot.values, strict=True):
            variable.assign(value)
        self._curves.restore(snapshot.curves, num_made)
        self._models.push_and_claim()

    def _state_variables(self) -> list[keras.Variable]:
        optimizers = [*self.player_optimizers, *self.critic_optimizers]
        return sum((x.variables for x in optimizers), self.variables)

    def load_weights(self, filepath: Any, **kwargs: Any) -> None:
        load = functools.partial(super().load_weights, filepath, **kwargs)
        self._change_weights(load)

    def save_weights(self, *args: Any, **kwargs: Any) -> None:
        self.synchronize()
        super().save_weights(*args, **kwargs)

    def set_weights(self, weights: Any) -> None:
        self._change_weights(functools.partial(super().set_weights, weights))

    def _change_weights(self, change: Callable[[], Any]) -> None:
        """Calls what changes weights, and undoes all of it if it raises."""
        before = self.take_snapshot()
        try:
            change()
        except BaseException:
            self.put_back(before)
            raise
        self._models.push_and_claim()

    def get_weights(self) -> list[np.ndarray]:
        self.synchronize()
        return super().get_weights()

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        store["curves"] = self.curves

    def load_own_variables(self, store: Any) -> None:
        # Read everything first, so that a missing part changes nothing.
        iteration, curves = np.asarray(store["0"]), np.asarray(store["curves"])
        num_made = self.iterations
        self._iteration.assign(iteration)
        self._curves.restore(curves, num_made)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [self._means]

    def reset_metrics(self) -> None:
        """Resets the metrics, as Keras does at the start of each epoch."""
        super().reset_metrics()
        self.distribution.check_agreement(self.iterations)


# A step that was replaced, in a subclass or on a trainer, is not shared.
_TRAIN_STEP = Trainer.train_step
