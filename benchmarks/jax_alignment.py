"""An ideal JAX program for Advantage Alignment in the Coin Game.

What a specialist would write for this one algorithm and this game, to measure
ours against: one policy and one critic for both seats, which are evaluated at
once; uniforms drawn ahead by a hash; a scan that plays; sums over time by
triangular matrices; a single gradient of policy and critic, for groups of
episodes that fit the cache, one after the other; Adam for both.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import jax_coin_game
from benchmarks.jax_reference import Training, adam, draw_uniforms, scanned


class Settings(NamedTuple):
    """What the program is compiled for.

    Attributes:
      batch_size: episodes of an iteration.
      episode_length: T.
      discount: in [0, 1].
      tau: of the generalised advantages.
      weight: of the alignment.
      entropy_coefficient: weight of the policy's entropy.
      max_gradient_norm: to which the direction of the policy is clipped.
      learning_rate: of Adam, for the policy and the critic.
      hidden_units: of both networks; empty for linear ones.
      group_size: episodes that are differentiated at once.
    """

    batch_size: int
    episode_length: int
    discount: float
    tau: float
    weight: float
    entropy_coefficient: float
    max_gradient_norm: float
    learning_rate: float
    hidden_units: tuple[int, ...]
    group_size: int = 32


class Play(NamedTuple):
    """What was played; the first axis behind time is that of the seats.

    Attributes:
      observations: `[T, 2, B, NUM_FEATURES]`.
      actions: int32 `[T, 2, B]`.
      rewards: `[T, 2, B]`.
    """

    observations: jax.Array
    actions: jax.Array
    rewards: jax.Array


def initial(settings: Settings, seed: int = 0) -> Training:
    """Returns random networks, drawn as Keras does."""
    generator = np.random.default_rng(seed)

    def network(num_outputs: int) -> list[tuple[jax.Array, jax.Array]]:
        sizes = (
            jax_coin_game.NUM_FEATURES,
            *settings.hidden_units,
            num_outputs,
        )
        layers = []
        for shape in zip(sizes[:-1], sizes[1:], strict=True):
            limit = np.sqrt(6.0 / sum(shape))
            weights = generator.uniform(-limit, limit, shape)
            layers.append((jnp.asarray(weights), jnp.zeros(shape[1])))
        return jax.tree.map(lambda x: x.astype(jnp.float32), layers)

    params, critic = network(jax_coin_game.NUM_ACTIONS), network(1)
    zeros = jax.tree.map(jnp.zeros_like, (params, critic))
    return Training(params, critic, (zeros, zeros), jnp.zeros([], jnp.int32))


def outputs_of(network: Any, inputs: jax.Array) -> jax.Array:
    """Evaluates a network on `[..., NUM_FEATURES]`."""
    for weights, bias in network[:-1]:
        inputs = jnp.tanh(inputs @ weights + bias)
    weights, bias = network[-1]
    return inputs @ weights + bias


def play(policy: Any, first: jax.Array, noise: jax.Array) -> Play:
    """Plays episodes, both seats by one policy.

    Args:
      policy: the network.
      first: uniforms `[4, B]`, for the start.
      noise: uniforms `[T, 3, B]`, for the actions and the coins.
    """

    def step(cells, uniforms):
        seen = jnp.stack(jax_coin_game.observe(*cells))
        seen = seen.reshape([*seen.shape[:2], jax_coin_game.NUM_FEATURES])
        chances = jax.nn.softmax(outputs_of(policy, seen))
        thresholds = jnp.cumsum(chances, axis=-1)[..., :-1]
        passed = uniforms[:2, :, jnp.newaxis] >= thresholds
        actions = jnp.sum(passed.astype(jnp.int32), axis=-1)
        *cells, rewards = jax_coin_game.step(*cells, actions, uniforms[2])
        return tuple(cells), Play(seen, actions, jnp.stack(rewards))

    return jax.lax.scan(step, jax_coin_game.start(first), noise)[1]


def sums_over_time(x: jax.Array, decay: float, reverse: bool) -> jax.Array:
    """Returns `y_t = x_t + decay y_{t-1}`, or of `y_{t+1}` in reverse."""
    lags = np.subtract.outer(np.arange(len(x)), np.arange(len(x)))
    matrix = np.where(lags >= 0, float(decay) ** np.maximum(lags, 0), 0.0)
    matrix = jnp.asarray(matrix.T if reverse else matrix, x.dtype)
    return jnp.tensordot(matrix, x, 1)


def aligned_advantages(
    settings: Settings, values: jax.Array, rewards: jax.Array
) -> jax.Array:
    """Returns what each action is credited with, `[T, 2, B]`."""
    following = jnp.concatenate([values[1:], jnp.zeros_like(values[:1])])
    errors = rewards + settings.discount * following - values
    decay = settings.discount * settings.tau
    advantages = sums_over_time(errors, decay, reverse=True)
    past = sums_over_time(advantages, 1.0, reverse=False) - advantages
    past /= jnp.arange(1, len(past) + 1)[:, None, None]
    return advantages + settings.weight * past * advantages[:, ::-1]


def loss(settings: Settings, networks: Any, played: Play) -> jax.Array:
    """What policy and critic descend; each has its own part of the sum.

    Means over steps and episodes, and sums over the seats: of the squared
    errors of the critic, and of log-probability times credit and entropy.
    """
    policy, critic = networks
    log_probs = jax.nn.log_softmax(outputs_of(policy, played.observations))
    actions = jnp.arange(jax_coin_game.NUM_ACTIONS)
    is_taken = played.actions[..., jnp.newaxis] == actions
    taken = jnp.sum(jnp.where(is_taken, log_probs, 0.0), axis=-1)
    values = outputs_of(critic, played.observations)[..., 0]
    credit = aligned_advantages(
        settings, jax.lax.stop_gradient(values), played.rewards
    )
    targets = sums_over_time(played.rewards, settings.discount, reverse=True)
    entropies = -jnp.sum(jnp.exp(log_probs) * log_probs, axis=-1)
    weights = settings.discount ** np.arange(settings.episode_length)
    weights = jnp.asarray(weights / weights.mean(), values.dtype)
    bonus = jnp.mean(weights[:, None, None] * entropies)
    gain = jnp.mean(taken * credit) + settings.entropy_coefficient * bonus
    return 2.0 * (jnp.mean((values - targets) ** 2) - gain)


def gradients_of(settings: Settings, networks: Any, played: Play) -> Any:
    """Returns the gradient of `loss`, from one group after the other."""
    size = min(settings.group_size, settings.batch_size)
    num_groups = settings.batch_size // size
    gradient = jax.grad(functools.partial(loss, settings))
    if num_groups == 1:
        return gradient(networks, played)

    def split(x: jax.Array) -> jax.Array:
        x = x.reshape(*x.shape[:2], num_groups, size, *x.shape[3:])
        return jnp.moveaxis(x, 2, 0)

    def add(sums: Any, group: Play) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, sums, gradient(networks, group)), None

    zeros = jax.tree.map(jnp.zeros_like, networks)
    sums, _ = jax.lax.scan(add, zeros, jax.tree.map(split, played))
    return jax.tree.map(lambda x: x / num_groups, sums)


def clip(settings: Settings, gradients: Any) -> Any:
    """Scales gradients down to the largest norm."""
    squares = [jnp.sum(x * x) for x in jax.tree.leaves(gradients)]
    norm = jnp.sqrt(sum(squares))
    scale = settings.max_gradient_norm / jnp.maximum(
        norm, settings.max_gradient_norm
    )
    return jax.tree.map(lambda x: scale * x, gradients)


def iterate(
    settings: Settings, training: Training, key: jax.Array
) -> tuple[Training, jax.Array]:
    """Moves policy and critic; returns the mean reward per step, too."""
    length, batch_size = settings.episode_length, settings.batch_size
    # The barrier keeps XLA from drawing anew for every consumer.
    uniforms = jax.lax.optimization_barrier(
        draw_uniforms(key, (4 + 3 * length, batch_size))
    )
    noise = uniforms[4:].reshape(length, 3, batch_size)
    networks = training.params, training.critics
    played = play(training.params, uniforms[:4], noise)
    of_policy, of_critic = gradients_of(settings, networks, played)
    gradients = clip(settings, of_policy), of_critic
    rates = jax.tree.map(lambda x: settings.learning_rate, networks)
    steps, moments = adam(gradients, training.moments, training.step, rates)
    params, critic = jax.tree.map(jnp.add, networks, steps)
    reward = jnp.mean(played.rewards)
    return Training(params, critic, moments, training.step + 1), reward


def make_program(settings: Settings, num_seeds: int = 1) -> Any:
    """Returns a jitted function, as of `benchmarks.jax_reference`."""
    return scanned(functools.partial(iterate, settings), num_seeds)
