"""Self-play in the negotiation game, and matches of what was learned."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf

from ..building.tracking import tracked
from ..building.trainings import (
    ProgressBar,
    StopWhenAsked,
    checkpoint_of,
)
from ..command_line.commands import user_errors
from ..command_line.stopping import deferred_interrupts
from ..results.outputs import OutputFolder
from .negotiation_settings import (
    ACTOR_CRITIC,
    NegotiationSettings,
)

# The largest proposal for an item.
_MOST = 5.0
# The standard deviations of proposals lie in between.
_LEAST_NOISE, _MOST_NOISE = 0.3, 1.5
# Of bots, which hardly vary what they propose.
_BOT_NOISE = 1e-3
# What is seen lies between 0 and one half: networks get it from -1 to 1.
_SCALE, _OFFSET = 4.0, -1.0
# Played in each match.
_NUM_EPISODES = 1024


class Matches(NamedTuple):
    """Mean rewards a round, on fresh episodes.

    Attributes:
      self_play: `[num_runs]`, of a policy with itself.
      between_runs: `[num_runs]`, of a policy with those of other runs; NaN if
        there is a single run.
      against_always_cooperate: `[num_runs]`, with a bot that wants 5 of what
        it values more, and nothing of the rest.
      against_always_maximal: `[num_runs]`, with a bot that wants everything.
      proposals: `[num_runs, 2]`, what a policy wants, in self-play, of an item
        that it values less, and of one that it values more.
      episode: the `Trajectory` of the first run's self-play.
    """

    self_play: np.ndarray
    between_runs: np.ndarray
    against_always_cooperate: np.ndarray
    against_always_maximal: np.ndarray
    proposals: np.ndarray
    episode: Any

    def by_opponent(self) -> dict[str, np.ndarray]:
        """Returns the rewards by their names in summary.json."""
        rewards = self._asdict()
        del rewards["proposals"], rewards["episode"]
        return {"final_mean_reward_per_run": rewards.pop("self_play")} | rewards


def proposal_head(outputs: tf.Tensor) -> tfp.distributions.Distribution:
    """Reads the outputs as a normal distribution over proposals.

    Args:
      outputs: `[..., 2 K]`, of each item the log-odds of the mean in (0, 5),
        then those of the standard deviation in (0.3, 1.5).

    Returns:
      A distribution over `[..., K]`. The game takes what lies outside of
      [0, 5] as the nearest proposal.
    """
    means, noise = map(tf.sigmoid, tf.split(outputs, 2, axis=-1))
    noise = _LEAST_NOISE + (_MOST_NOISE - _LEAST_NOISE) * noise
    return _normal(_MOST * means, noise)


def bot_head(outputs: tf.Tensor) -> tfp.distributions.Distribution:
    """Reads the outputs `[..., K]` as proposals."""
    return _normal(outputs, _BOT_NOISE)


def _normal(means: tf.Tensor, noise: tf.Tensor | float) -> Any:
    """Returns independent normal distributions over the last axis."""
    normal = tfp.distributions.Normal(means, noise)
    return tfp.distributions.Independent(normal, 1)


def network(
    game: dice_tf.games.Negotiation,
    hidden_units: Sequence[int],
    num_outputs: int,
) -> keras.Model:
    """Returns a perceptron whose outputs are close to 0 at first."""
    inputs = keras.Input(game.observation_shapes[0])
    x = keras.layers.Rescaling(_SCALE, _OFFSET)(inputs)
    for units in hidden_units:
        x = keras.layers.Dense(units, "tanh")(x)
    small = keras.initializers.RandomNormal(0.0, 0.01)
    outputs = keras.layers.Dense(num_outputs, kernel_initializer=small)(x)
    return keras.Model(inputs, outputs)


def bot(game: dice_tf.games.Negotiation, is_cooperative: bool) -> keras.Model:
    """Returns a policy that always cooperates, or always wants everything."""
    inputs = keras.Input(game.observation_shapes[0])
    layer = keras.layers.Dense(game.num_items, trainable=False)
    policy = keras.Model(inputs, layer(inputs))
    kernel, bias = map(np.zeros_like, layer.get_weights())
    bias += _MOST
    if is_cooperative:
        # The values of the player are seen as 0.1 or 0.5, behind the items.
        slope = _MOST / 0.4
        kernel[game.num_items : 2 * game.num_items] = slope * np.eye(
            game.num_items
        )
        bias[:] = -0.1 * slope
    layer.set_weights([kernel, bias])
    return dice_tf.policies.with_head(policy, bot_head)


def build_trainer(
    settings: NegotiationSettings, jit_compile: bool = True
) -> dice_tf.Trainer:
    """Returns a compiled trainer of one policy, in both seats."""
    game = dice_tf.games.Negotiation(settings.episode_length)
    units = (settings.hidden_units,) * 2
    policy = dice_tf.policies.with_head(
        network(game, units, 2 * game.num_items), proposal_head
    )
    critic = network(game, units, 1)
    objective = dice_tf.objectives.SurrogateObjective(
        game,
        [policy, policy],
        discount=settings.discount,
        batch_size=settings.batch_size,
        baseline="critic",
        critics=[critic, critic],
        tau=settings.tau,
    )
    learner = build_learner(settings)
    trainer = dice_tf.Trainer(
        objective,
        [learner, learner],
        num_seeds=settings.num_seeds,
        seed=settings.seed,
        initial_params="random",
        entropy_coefficient=settings.entropy_coefficient,
        max_gradient_norm=settings.max_gradient_norm,
    )
    trainer.compile(
        optimizer=keras.optimizers.Adam(settings.learning_rate),
        critic_optimizer=keras.optimizers.Adam(settings.critic_learning_rate),
        jit_compile=jit_compile,
    )
    return trainer


def build_learner(settings: NegotiationSettings) -> dice_tf.learners.Learner:
    """Returns how the policy learns."""
    if settings.learner == ACTOR_CRITIC:
        return dice_tf.learners.ActorCritic()
    return dice_tf.learners.AdvantageAlignment(
        settings.weight, past=settings.past
    )


def train(
    trainer: dice_tf.Trainer,
    settings: NegotiationSettings,
    folder: OutputFolder,
) -> float:
    """Trains with a progress bar and checkpoints.

    Returns:
      The wall time in seconds, compilation and earlier sittings included.
    """
    with user_errors():
        checkpoint = checkpoint_of(folder, "trainer", settings)
        done = checkpoint.restore(trainer)
    if done:
        print(f"Continued after {trainer.iterations} iterations.", flush=True)
    bar = ProgressBar(settings.num_iterations)
    with (
        tracked(folder, settings.learner, settings) as trackers,
        deferred_interrupts(),
    ):
        trainer.fit(
            epochs=settings.num_iterations,
            initial_epoch=done,
            verbose=0,
            callbacks=[bar, *trackers, checkpoint, StopWhenAsked(checkpoint)],
        )
    seconds = checkpoint.seconds
    checkpoint.save(trainer, settings.num_iterations)
    return seconds


def return_of_ones(settings: NegotiationSettings) -> float:
    """Returns the reported return of an episode that earns 1 a round."""
    if settings.discount == 1.0:
        return 1.0
    return 1.0 - settings.discount**settings.episode_length


def play_matches(
    trainer: dice_tf.Trainer, settings: NegotiationSettings
) -> Matches:
    """Plays fresh episodes of the policies of all runs."""
    objective = trainer.objective
    game, policy = objective.game, objective.policies[0]
    play = _player(game, [policy, policy])
    learned = []
    for run in range(settings.num_seeds):
        trainer.load_run(run)
        learned.append(objective.initial_params()[0])
    seed = dice_tf.seeds.make_seed(settings.seed, settings.num_iterations)
    alone = [play([params, params], seed) for params in learned]
    rewards = np.full([settings.num_seeds] * 2, np.nan)
    for one, two in itertools.permutations(range(settings.num_seeds), 2):
        episode = play([learned[one], learned[two]], seed)
        rewards[one, two] = np.mean(episode.rewards[0])
    against = []
    for is_cooperative in (True, False):
        play = _player(game, [policy, bot(game, is_cooperative)])
        episodes = [play([params, []], seed) for params in learned]
        against.append([np.mean(episode.rewards[0]) for episode in episodes])
    # Without other runs, the mean is NaN.
    pairs = ~np.eye(settings.num_seeds, dtype=bool)
    return Matches(
        np.array([np.mean(episode.rewards) for episode in alone]),
        np.array(
            [
                np.mean(row[there]) if np.any(there) else np.nan
                for row, there in zip(rewards, pairs, strict=True)
            ]
        ),
        *map(np.array, against),
        np.array([_mean_proposals(game, episode) for episode in alone]),
        alone[0],
    )


def _player(
    game: dice_tf.games.Negotiation, policies: Sequence[keras.Model]
) -> Callable[[list, tf.Tensor], Any]:
    """Returns a function from parameters and a seed to a `Trajectory`."""
    objective = dice_tf.objectives.SurrogateObjective(
        game, policies, batch_size=_NUM_EPISODES
    )

    @tf.function(autograph=False)
    def play(params: list, seed: tf.Tensor) -> Any:
        return objective.play(params, seed).trajectory

    return play


def _mean_proposals(
    game: dice_tf.games.Negotiation, episode: Any
) -> tuple[float, float]:
    """Returns what both want of items that they value less, and more."""
    proposals = np.clip(np.stack(episode.actions), 0.0, _MOST)
    is_valued = np.stack(
        [values_of(game, seen) > 3.0 for seen in episode.observations]
    )
    return np.mean(proposals[~is_valued]), np.mean(proposals[is_valued])


def values_of(
    game: dice_tf.games.Negotiation, observations: np.ndarray | tf.Tensor
) -> np.ndarray:
    """Returns the values of the player that sees `[..., 5 K]`, `[..., K]`."""
    values = observations[..., game.num_items : 2 * game.num_items]
    return 10.0 * np.asarray(values)
