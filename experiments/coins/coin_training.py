"""Training in the Coin Game, and what players pick up meanwhile."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

import dice_tf

from ..building.tracking import tracked
from ..building.trainings import StopWhenAsked, checkpoint_of
from ..command_line.commands import user_errors
from ..command_line.stopping import deferred_interrupts
from ..results.outputs import OutputFolder
from ..results.partial_results import partial_results
from ..settings.line_up import ACTOR_CRITIC, LOQA, NAIVE, POLA
from ..settings.training_flags import MLP, TABULAR
from .coin_settings import (
    LOLA_DICE,
    PUSH_EVERY,
    CoinSettings,
)
from .networks import build_network

# After the first one.
_NUM_MEASUREMENTS = 20
# The progress bar moves so often, at most.
_MOVES = 100
# What the progress bar shows.
_SHOWN = ("own-coin share", "mean reward", "pick-ups")
# The measurements that are kept, and what of `Measured` they are.
_SERIES = {"shares": "share", "returns": "rewards", "pick_ups": "pick_ups"}
# How critics of action values learn: from returns over many steps. With slow
# copies alone (a trace of 0, a momentum of 0.99), as in the paper, they see one
# step further in 100 updates.
_OF_ACTION_CRITICS = {"critic_td_lambda": 0.95, "critic_target_momentum": 0.9}


class Progress(NamedTuple):
    """Measurements between updates.

    Attributes:
      iterations: `[M]`, number of updates before.
      shares: `[M, num_runs]`, of pick-ups that were the player's own coins,
        mean over players.
      returns: `[M, num_runs, 2]`, mean reward per step.
      pick_ups: `[M, num_runs]`, coins that a player takes in a step, mean over
        players.
      episode: the `Trajectory` of the first run at the end, with observations
        of `dice_tf.games.CoinGame`.
      runs: for each run the parameters at the end, one list of tensors per
        player.
    """

    iterations: np.ndarray
    shares: np.ndarray
    returns: np.ndarray
    pick_ups: np.ndarray
    episode: Any
    runs: Sequence[Any]


class Measured(NamedTuple):
    """What a play shows.

    Attributes:
      share: of pick-ups that were the player's own coins, mean over players.
      shares: `[2]`, the same of each player.
      rewards: `[2]`, mean reward per step.
      pick_ups: coins that a player takes in a step, mean over players.
      episode: the `Trajectory`.
    """

    share: Any
    shares: Any
    rewards: Any
    pick_ups: Any
    episode: Any


def build_trainer(
    settings: CoinSettings, jit_compile: bool = True
) -> dice_tf.Trainer:
    """Returns a compiled trainer of two policies.

    Networks learn from play. Tables learn from exact values over an infinite
    horizon; only their measurements are played.
    """
    options = {}
    if settings.is_stepwise:
        objective = stepwise_objective(settings)
        options = {
            "entropy_coefficient": settings.entropy_coefficient,
            "max_gradient_norm": settings.max_gradient_norm,
        }
    elif settings.policy == TABULAR:
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
    trainer = dice_tf.Trainer(
        objective,
        [build_learner(settings, player_id) for player_id in range(2)],
        num_seeds=settings.num_seeds,
        seed=settings.seed,
        initial_params="random",
        **options,
    )
    trainer.compile(**_optimizers(settings), jit_compile=jit_compile)
    return trainer


def stepwise_objective(
    settings: CoinSettings,
) -> dice_tf.objectives.SurrogateObjective:
    """Returns what plays and judges steps, for one policy in both seats.

    Networks without memory see who last took whose coin beside the grid.
    """
    game = dice_tf.games.CoinGame(settings.episode_length)
    if settings.policy == MLP:
        game = dice_tf.games.CoinGameWithMemory(game)
    is_loqa = settings.learner == LOQA
    (num_actions, _) = game.num_actions
    policy, critic = (
        build_network(game, settings.policy, settings.hidden_units, size)
        for size in (num_actions, num_actions if is_loqa else 1)
    )
    return dice_tf.objectives.SurrogateObjective(
        game,
        [policy, policy],
        discount=settings.discount,
        batch_size=settings.batch_size,
        baseline="critic",
        critics=[critic, critic],
        tau=settings.tau,
        **(_OF_ACTION_CRITICS if is_loqa else {}),
    )


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


def _optimizers(settings: CoinSettings) -> dict[str, Any]:
    """Returns the optimisers that `Trainer.compile` takes."""
    if settings.is_stepwise:
        # The first seat holds what both share.
        return {
            name: [keras.optimizers.Adam(rate), None]
            for name, rate in (
                ("optimizer", _rate_of_policies(settings)),
                ("critic_optimizer", settings.critic_learning_rate),
            )
        }
    if settings.learner == POLA:
        return {"optimizer": keras.optimizers.SGD(1.0)}
    if settings.policy == TABULAR:
        return {"optimizer": keras.optimizers.SGD(settings.learning_rate)}
    return {"optimizer": keras.optimizers.Adam(settings.learning_rate)}


def _rate_of_policies(settings: CoinSettings) -> Any:
    """Returns a rate, or a schedule that ends at the last one."""
    rate, last = settings.learning_rate, settings.final_learning_rate
    if last in (None, rate):
        return rate
    num_steps = max(settings.num_iterations - 1, 1)
    return keras.optimizers.schedules.PolynomialDecay(rate, num_steps, last)


def build_learner(
    settings: CoinSettings, player_id: int
) -> dice_tf.learners.Learner:
    """Returns how a player learns."""
    learner = _update_rule(settings)
    if not settings.past_selves:
        return learner
    past = dice_tf.partners.PastSelves(
        settings.past_selves, push_every=PUSH_EVERY, seats=[1 - player_id]
    )
    return dice_tf.partners.AgainstPartners(
        learner, [(settings.past_selves_share, past)]
    )


def _update_rule(settings: CoinSettings) -> dice_tf.learners.Learner:
    """Returns the learner, whoever its opponents are."""
    if settings.learner == NAIVE:
        return dice_tf.learners.Naive()
    if settings.learner == POLA:
        return dice_tf.learners.POLA(
            num_outer_steps=settings.num_outer_steps,
            outer_learning_rate=settings.learning_rate,
            outer_penalty=settings.outer_penalty,
            num_lookaheads=settings.num_lookaheads,
            inner_learning_rate=settings.inner_learning_rate,
            inner_penalty=settings.inner_penalty,
        )
    if settings.learner == LOLA_DICE:
        return dice_tf.learners.LOLADiCE(1, settings.inner_learning_rate)
    if settings.learner == ACTOR_CRITIC:
        return dice_tf.learners.ActorCritic()
    if settings.learner == LOQA:
        return dice_tf.learners.LOQA(settings.weight)
    # Discounted sums grow with the step, and the averaged form does not.
    return dice_tf.learners.AdvantageAlignment(settings.weight, past="averaged")


class CoinBar(keras.callbacks.Callback):
    """One Keras progress bar over a whole training, with what was measured."""

    def __init__(self, num_iterations: int):
        super().__init__()
        self._num_iterations = num_iterations
        self._bar = keras.utils.Progbar(
            num_iterations, stateful_metrics=_SHOWN, unit_name="update"
        )
        self._every = max(num_iterations // _MOVES, 1)

    def show(self, done: int, measured: Sequence[Measured]) -> None:
        """Shows the means over runs of what was measured after updates."""
        means = [
            float(np.mean([getattr(run, name) for run in measured]))
            for name in ("share", "rewards", "pick_ups")
        ]
        self._bar.update(done, list(zip(_SHOWN, means, strict=True)))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        done = self.model.iterations
        # The last measurement is still to come.
        if done % self._every == 0 and done < self._num_iterations:
            self._bar.update(done)


def train(
    trainer: dice_tf.Trainer, settings: CoinSettings, folder: OutputFolder
) -> Progress:
    """Trains, and measures the players at the start and between updates.

    Shows a progress bar with the last measurement.
    """
    objective = measured_in_play(trainer.objective, settings)
    play = measurement(objective)
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
    series = {
        name: list(found.get(name, ())[:num_measured]) for name in _SERIES
    }
    bar = CoinBar(settings.num_iterations)
    stop = StopWhenAsked(checkpoint)
    with tracked(folder, settings.learner, settings) as trackers:
        for done in map(int, edges[num_measured:]):
            if trainer.iterations < done:
                with deferred_interrupts():
                    trainer.fit(
                        epochs=done,
                        initial_epoch=trainer.iterations,
                        verbose=0,
                        callbacks=[bar, *trackers, checkpoint, stop],
                    )
            measured = _measure_runs(trainer, objective, play, settings.seed)
            for name, field in _SERIES.items():
                values = [getattr(run, field).numpy() for run in measured]
                series[name].append(np.array(values))
            kept.save({name: np.array(rows) for name, rows in series.items()})
            bar.show(done, measured)
    checkpoint.save(trainer, trainer.iterations)
    runs = trainer.map_loaded_runs(lambda run: _copied_params(objective))
    arrays = {name: np.array(rows) for name, rows in series.items()}
    episode = _on_the_grid(objective.game, measured[0].episode)
    return Progress(edges, **arrays, episode=episode, runs=runs)


def _on_the_grid(game: dice_tf.games.Game, episode: Any) -> Any:
    """Returns a `Trajectory` whose observations are those of `CoinGame`."""
    if not isinstance(game, dice_tf.games.CoinGameWithMemory):
        return episode
    grids = tuple(map(game.grid_of, episode.observations))
    return episode._replace(observations=grids)


def _measure_runs(
    trainer: dice_tf.Trainer,
    objective: dice_tf.objectives.Objective,
    play: Callable,
    seed: int,
) -> list[Measured]:
    """Returns what one play of each run shows."""
    return trainer.map_loaded_runs(
        lambda run: play(
            objective.initial_params(),
            dice_tf.seeds.make_seed(seed + run, trainer.iterations),
        )
    )


def _copied_params(objective: dice_tf.objectives.Objective) -> Any:
    """Returns the parameters of the loaded run, whichever is loaded later."""
    return tf.nest.map_structure(tf.identity, objective.initial_params())


def measured_in_play(
    objective: dice_tf.objectives.Objective, settings: CoinSettings
) -> dice_tf.objectives.Objective:
    """Returns an objective with the same policies that plays on the grid."""
    if settings.policy != TABULAR:
        return objective
    game = dice_tf.games.CoinGame(settings.episode_length)
    on_the_grid = [
        dice_tf.policies.on_the_grid(game, policy, i)
        for i, policy in enumerate(objective.policies)
    ]
    return played_objective(settings, game, on_the_grid)


def measurement(objective: dice_tf.objectives.Objective) -> Callable:
    """Returns a function of parameters and a seed that plays and measures."""

    def play(params: list, seed: tf.Tensor) -> Measured:
        trajectory = objective.play(params, seed).trajectory
        counts = objective.game.statistics(trajectory)
        rewards = tf.stack([tf.reduce_mean(x) for x in trajectory.rewards])
        shares = tf.stack(counts.own_coin_share)
        pick_ups = tf.reduce_mean(counts.pick_ups_per_step)
        # Players whose parameters are NaN move, too, but have NaN rewards.
        are_finite = tf.reduce_all(tf.math.is_finite(rewards))
        shares = tf.where(are_finite, shares, float("nan"))
        share = tf.reduce_mean(shares)
        return Measured(share, shares, rewards, pick_ups, trajectory)

    specs = tf.nest.map_structure(
        lambda x: tf.TensorSpec(x.shape, x.dtype), objective.initial_params()
    )
    # TensorFlow warns of functions that are traced again and again when they
    # are called, as the measurements of several objectives would be.
    traced = tf.function(play, autograph=False).get_concrete_function(
        specs, tf.TensorSpec([2], tf.int32)
    )
    return lambda params, seed: traced(params, tf.convert_to_tensor(seed))
