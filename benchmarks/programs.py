"""The programs that are timed: ours through the public trainer, and others'.

All train LOLA-DiCE against LOLA-DiCE in the iterated prisoner's dilemma, with
tabular critics (of the policies' kind for those with memory), Adam for policies
and critics, and the same sizes.
"""

import threading
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import keras

import dice_tf

DISCOUNT = 0.96
INNER_LEARNING_RATE = 0.3
LEARNING_RATE = 0.01
CRITIC_LEARNING_RATE = 0.1
PAYOFFS = (((-1.0, -3.0), (0.0, -2.0)), ((-1.0, 0.0), (-3.0, -2.0)))

Call = Callable[[], None]


class Size(NamedTuple):
    """What is trained.

    Attributes:
      batch_size: episodes of each evaluation.
      episode_length: T.
      num_lookaheads: K.
      num_seeds: independent runs at once.
      hidden_units: width of the two layers of the policies, 0 for tables.
      recurrent: "gru" or "min_gru" for policies and critics of 32 such units.
      iterations: how many one call makes.
      num_groups: of episodes, differentiated one at a time; of ours alone.
    """

    batch_size: int = 128
    episode_length: int = 150
    num_lookaheads: int = 1
    num_seeds: int = 1
    hidden_units: int = 0
    recurrent: str = ""
    iterations: int = 10
    num_groups: int = 1


def our_trainer(size: Size) -> dice_tf.Trainer:
    """Returns the trainer of these sizes, compiled by Keras."""
    game = dice_tf.games.iterated_matrix_game(PAYOFFS, size.episode_length)
    players = range(2)
    build_critic = dice_tf.critics.tabular_critic
    if size.recurrent:
        build = getattr(dice_tf.policies, size.recurrent)
        policies = [build(game, player_id) for player_id in players]
        build_critic = getattr(dice_tf.critics, f"{size.recurrent}_critic")
    elif size.hidden_units:
        hidden = (size.hidden_units, size.hidden_units)
        policies = [
            dice_tf.policies.mlp(game, player_id, hidden_units=hidden)
            for player_id in players
        ]
    else:
        policies = [
            dice_tf.policies.tabular(game, player_id) for player_id in players
        ]
    objective = dice_tf.objectives.DiCEObjective(
        game,
        policies,
        DISCOUNT,
        size.batch_size,
        baseline="critic",
        critics=[build_critic(game, player_id) for player_id in players],
        num_groups=size.num_groups,
    )
    learner = dice_tf.learners.LOLADiCE(
        size.num_lookaheads, INNER_LEARNING_RATE
    )
    trainer = dice_tf.Trainer(
        objective,
        [learner, learner],
        num_seeds=size.num_seeds,
        initial_params="random",
    )
    trainer.compile(
        keras.optimizers.Adam(LEARNING_RATE),
        critic_optimizer=keras.optimizers.Adam(CRITIC_LEARNING_RATE),
        steps_per_execution=size.iterations,
    )
    return trainer


class Turns(keras.callbacks.Callback):
    """Lets `fit` make some executions at a time, when it is told to."""

    def __init__(self, num_executions: int):
        super().__init__()
        self._num_executions, self._left = num_executions, 0
        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._has_failed = False

    def on_train_batch_begin(self, batch, logs=None):
        if not self._left:
            self._go.acquire()
            self._left = self._num_executions

    def on_train_batch_end(self, batch, logs=None):
        float(logs["joint/return"])  # Waits for what was computed.
        self._left -= 1
        if not self._left:
            self._done.release()

    def fit(self, trainer: dice_tf.Trainer, num_steps: int) -> None:
        """Trains, in a thread of its own."""
        try:
            trainer.fit(steps_per_epoch=num_steps, verbose=0, callbacks=[self])
        except BaseException:
            self._has_failed = True
            self._done.release()
            raise

    def __call__(self) -> None:
        self._go.release()
        self._done.acquire()
        if self._has_failed:
            raise RuntimeError("The training has failed, see above.")


def execution(
    trainer: dice_tf.Trainer,
    num_iterations: int,
    num_calls: int,
    num_executions: int = 1,
) -> Call:
    """Returns executions of a trainer, within `fit` as users call it.

    Args:
      trainer: compiled by Keras.
      num_iterations: how many an execution makes.
      num_calls: how often it will be called.
      num_executions: how many a call makes.
    """
    turns = Turns(num_executions)
    steps = (num_calls + 1) * num_executions * num_iterations
    threading.Thread(
        target=turns.fit, args=(trainer, steps), daemon=True
    ).start()
    turns()
    return turns


def ours(size: Size, num_calls: int, num_executions: int = 1) -> Call:
    """Returns executions of our trainer, see `execution`."""
    return execution(
        our_trainer(size), size.iterations, num_calls, num_executions
    )


def jax_module(size: Size) -> ModuleType:
    """Returns the module of the JAX program for these sizes."""
    if size.recurrent:
        from benchmarks import jax_recurrent

        return jax_recurrent
    from benchmarks import jax_reference

    return jax_reference


def jax_settings(size: Size) -> NamedTuple:
    """Returns the settings of the JAX program for these sizes."""
    from benchmarks import jax_reference as reference

    hidden = (size.hidden_units,) * 2 if size.hidden_units else ()
    return reference.Settings(
        PAYOFFS,
        size.batch_size,
        size.episode_length,
        DISCOUNT,
        size.num_lookaheads,
        INNER_LEARNING_RATE,
        LEARNING_RATE,
        CRITIC_LEARNING_RATE,
        hidden,
    )


def jax_reference(size: Size) -> Call:
    """Returns the scanned iterations of the ideal JAX program."""
    from benchmarks.jax_reference import scanned_call

    settings, reference = jax_settings(size), jax_module(size)
    runs = [reference.initial(settings, run) for run in range(size.num_seeds)]
    program = reference.make_program(settings, size.num_seeds)
    return scanned_call(program, runs, size.iterations)


def torch_reference(size: Size) -> Call:
    """Returns one iteration of the plain PyTorch program."""
    from benchmarks import torch_reference as reference

    agents = reference.make_agents()

    def call() -> None:
        reference.iterate(
            agents,
            size.batch_size,
            size.episode_length,
            size.num_lookaheads,
            INNER_LEARNING_RATE,
        )

    call()
    return call


def openspiel(size: Size) -> Call:
    """Returns one iteration of OpenSpiel's agents."""
    from benchmarks import openspiel_reference as reference

    call = reference.make_iteration(
        size.batch_size, size.episode_length, size.num_lookaheads
    )
    call()
    return call
