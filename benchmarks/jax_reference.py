"""An ideal JAX program for LOLA-DiCE in two-player memory-one games.

What a specialist would write for this one algorithm and these games, to
measure ours against: uniforms drawn ahead by a hash, a scan that carries the
state, look-ups by nested selections with their own transposes, sums over time
by a triangular matrix, episodes in groups that fit the cache, and one jitted
scan over iterations. Two actions each, tabular or multi-layer policies,
tabular critics, Adam for all.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

NUM_STATES = 5  # The previous joint actions CC, CD, DC, DD, and the start.


class Settings(NamedTuple):
    """What the program is compiled for.

    Attributes:
      payoffs: nested tuples `[2, 2, 2]`.
      batch_size: episodes of each evaluation.
      episode_length: T.
      discount: in [0, 1].
      num_lookaheads: K.
      inner_learning_rate: of the imagined steps.
      learning_rate: of Adam, for the policies.
      critic_learning_rate: of Adam, for the critics.
      hidden_units: of the policies; empty for tables.
      group_size: episodes that are evaluated at once.
    """

    payoffs: tuple
    batch_size: int
    episode_length: int = 150
    discount: float = 0.96
    num_lookaheads: int = 1
    inner_learning_rate: float = 0.3
    learning_rate: float = 0.01
    critic_learning_rate: float = 0.1
    hidden_units: tuple[int, ...] = ()
    group_size: int = 512


class Training(NamedTuple):
    """What an iteration changes.

    Attributes:
      params: policies, one pytree per player.
      critics: values per state, `[2, 5]`.
      moments: Adam's, for `(params, critics)`.
      step: number of iterations made.
    """

    params: Any
    critics: jax.Array
    moments: Any
    step: jax.Array


def initial(settings: Settings, seed: int = 0) -> Training:
    """Returns policies that start near random, and critics at zero."""
    generator = np.random.default_rng(seed)

    def policy():
        sizes = (NUM_STATES, *settings.hidden_units, 1)
        if len(sizes) == 2:
            return generator.uniform(-1, 1, NUM_STATES).astype(np.float32)
        return [
            (
                (generator.normal(size=shape) / np.sqrt(shape[0])).astype(
                    np.float32
                ),
                np.zeros(shape[1], np.float32),
            )
            for shape in zip(sizes[:-1], sizes[1:], strict=True)
        ]

    params = jax.tree.map(jnp.asarray, [policy(), policy()])
    critics = jnp.zeros([2, NUM_STATES])
    zeros = jax.tree.map(jnp.zeros_like, (params, critics))
    return Training(params, critics, (zeros, zeros), jnp.zeros([], jnp.int32))


def log_odds(policy: Any) -> jax.Array:
    """Evaluates a policy on the five states, as its own seat sees them."""
    if not isinstance(policy, (list, tuple)):
        return policy
    hidden = jnp.eye(NUM_STATES)
    for weights, bias in policy[:-1]:
        hidden = jnp.tanh(hidden @ weights + bias)
    weights, bias = policy[-1]
    return (hidden @ weights + bias)[:, 0]


def seat_log_odds(params: Any) -> tuple[jax.Array, jax.Array]:
    """Returns both players' log-odds by state as player 0 sees it."""
    first, second = (log_odds(policy) for policy in params)
    return first, second[jnp.array([0, 2, 1, 3, 4])]


@jax.custom_vjp
def look_up(table: jax.Array, index: jax.Array) -> jax.Array:
    """Reads a small table by nested selections, which are vectorised."""
    result = jnp.broadcast_to(table[0], index.shape)
    for position in range(1, len(table)):
        result = jnp.where(index == position, table[position], result)
    return result


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def sum_by_entry(size: int, numbers: jax.Array, index: jax.Array) -> jax.Array:
    """The transpose of `look_up`: some rows by one another, then the rest."""
    length, batch_size = numbers.shape
    height = next(n for n in range(10, 0, -1) if length % n == 0)
    shape = [length // height, height, batch_size]
    numbers, index = numbers.reshape(shape), index.reshape(shape)
    entries = jnp.arange(size)[:, None, None]
    sums = sum(
        jnp.where(index[:, row] == entries, numbers[:, row], 0.0)
        for row in range(height)
    )
    return jnp.sum(sums, axis=(1, 2))


look_up.defvjp(
    lambda table, index: (look_up(table, index), (len(table), index)),
    lambda saved, upstream: (sum_by_entry(saved[0], upstream, saved[1]), None),
)
sum_by_entry.defvjp(
    lambda size, numbers, index: (sum_by_entry(size, numbers, index), index),
    lambda size, index, upstream: (look_up(upstream, index), None),
)


def rollout(params: Any, uniforms: jax.Array) -> jax.Array:
    """Plays `[2, T, B]`; returns four times the state plus what was done."""
    tables = [jax.nn.sigmoid(table) for table in seat_log_odds(params)]
    tables = jax.lax.stop_gradient(tables)

    def step(state, noise):
        first, second = (
            (own_noise >= look_up(table, state)).astype(jnp.int32)
            for table, own_noise in zip(tables, noise, strict=True)
        )
        joint = 2 * first + second
        return joint, 4 * state + joint

    start = jnp.full(uniforms.shape[2:], NUM_STATES - 1, jnp.int32)
    return jax.lax.scan(step, start, tuple(uniforms))[1]


def rewards_of(settings: Settings, play: jax.Array, player: int) -> jax.Array:
    """Returns a player's rewards, `[T, B]`."""
    return look_up(jnp.asarray(settings.payoffs)[player].ravel(), play & 3)


def log_probs_of(table: jax.Array, play: jax.Array, player: int) -> jax.Array:
    """Returns log-probabilities of the actions, from a table of ten."""
    both = jnp.stack([jax.nn.log_sigmoid(table), jax.nn.log_sigmoid(-table)])
    action = (play >> (1 - player)) & 1
    return look_up(both.T.ravel(), 2 * (play >> 2) + action)


def group_value(
    settings: Settings,
    player: int,
    params: Any,
    critic: jax.Array,
    play: jax.Array,
) -> jax.Array:
    """The DiCE objective of a group of episodes, with its critic's values."""
    length = settings.episode_length
    lower = jnp.tril(jnp.ones([length, length]))
    weights = (settings.discount ** jnp.arange(length))[:, None]
    log_probs = sum(
        log_probs_of(table, play, seat)
        for seat, table in enumerate(seat_log_odds(params))
    )
    sums = lower @ log_probs
    boxes = jnp.exp(sums - jax.lax.stop_gradient(sums))
    before = jnp.concatenate([jnp.ones_like(boxes[:1]), boxes[:-1]])
    rewards = weights * rewards_of(settings, play, player)
    values = weights * look_up(critic, play >> 2)
    return jnp.sum(boxes * rewards + (before - boxes) * values)


def value(
    settings: Settings,
    player: int,
    params: Any,
    critic: jax.Array,
    plays: jax.Array,
) -> jax.Array:
    """The mean objective over `[groups, T, B / groups]`."""
    if plays.shape[0] == 1:
        total = group_value(settings, player, params, critic, plays[0])
    else:
        total = jnp.sum(
            jax.lax.map(
                lambda play: group_value(
                    settings, player, params, critic, play
                ),
                plays,
            )
        )
    return total / settings.batch_size


def grouped_rollout(params: Any, uniforms: jax.Array) -> jax.Array:
    """Plays all groups, from uniforms `[groups, 2, T, B / groups]`."""
    if uniforms.shape[0] == 1:
        return rollout(params, uniforms[0])[None]
    return jax.lax.map(functools.partial(rollout, params), uniforms)


def direction(
    settings: Settings,
    player: int,
    params: Any,
    critics: jax.Array,
    uniforms: jax.Array,
) -> tuple[Any, jax.Array]:
    """The LOLA-DiCE direction of a player, and the first play."""
    other = 1 - player
    first_play = None

    def looked_ahead(player_params):
        nonlocal first_play
        imagined = [None, None]
        imagined[player], imagined[other] = player_params, params[other]
        for step in range(settings.num_lookaheads):
            plays = grouped_rollout(imagined, uniforms[step])
            first_play = plays if first_play is None else first_play

            def opponent_value(theirs, plays=plays):
                both = [None, None]
                both[player], both[other] = player_params, theirs
                return value(settings, other, both, critics[other], plays)

            gradient = jax.grad(opponent_value)(imagined[other])
            imagined[other] = jax.tree.map(
                lambda x, g: x + settings.inner_learning_rate * g,
                imagined[other],
                gradient,
            )
        plays = grouped_rollout(imagined, uniforms[-1])
        first_play = plays if first_play is None else first_play
        result = value(settings, player, imagined, critics[player], plays)
        return result, first_play

    return jax.grad(looked_ahead, has_aux=True)(params[player])


def critic_loss(
    settings: Settings, critics: jax.Array, plays: jax.Array
) -> jax.Array:
    """Squared errors of both critics against the returns that they saw."""
    length = settings.episode_length
    lags = np.subtract.outer(np.arange(length), np.arange(length))
    decays = np.where(lags <= 0, settings.discount ** np.maximum(-lags, 0), 0)
    to_go = jnp.asarray(decays, jnp.float32)

    def group_loss(play):
        return sum(
            jnp.sum(
                (
                    look_up(critics[player], play >> 2)
                    - to_go @ rewards_of(settings, play, player)
                )
                ** 2
            )
            for player in range(2)
        )

    total = jnp.sum(jax.lax.map(group_loss, plays))
    return total / (length * settings.batch_size)


def adam(
    gradients: Any, moments: Any, step: jax.Array, rates: Any
) -> tuple[Any, Any]:
    """Returns the steps of descent, and the moments after them."""
    count = step + 1
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], gradients)
    second = jax.tree.map(
        lambda v, g: 0.999 * v + 0.001 * g * g, moments[1], gradients
    )
    scale = jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
    steps = jax.tree.map(
        lambda m, v, rate: -rate * scale * m / (jnp.sqrt(v) + 1e-7),
        first,
        second,
        rates,
    )
    return steps, (first, second)


class Rule(NamedTuple):
    """How policies and critics of one kind learn.

    Attributes:
      direction: as of `direction` in this module.
      critic_loss: as of `critic_loss` in this module.
    """

    direction: Callable[..., tuple[Any, jax.Array]]
    critic_loss: Callable[..., jax.Array]


TABLES = Rule(direction, critic_loss)


def iterate(
    settings: Settings,
    rule: Rule,
    training: Training,
    key: jax.Array,
) -> tuple[Training, jax.Array]:
    """Moves both players and critics; returns player 0's mean reward too."""
    size = min(settings.group_size, settings.batch_size)
    shape = (
        2,
        settings.num_lookaheads + 1,
        settings.batch_size // size,
        2,
        settings.episode_length,
        size,
    )
    # The barrier keeps XLA from drawing anew for every consumer.
    uniforms = jax.lax.optimization_barrier(draw_uniforms(key, shape))
    results = [
        rule.direction(
            settings,
            player,
            training.params,
            training.critics,
            uniforms[player],
        )
        for player in range(2)
    ]
    plays = results[0][1]
    gradients = (
        jax.tree.map(jnp.negative, [result[0] for result in results]),
        jax.grad(functools.partial(rule.critic_loss, settings))(
            training.critics, plays
        ),
    )
    current = (training.params, training.critics)
    rates = (
        jax.tree.map(lambda x: settings.learning_rate, training.params),
        jax.tree.map(lambda x: settings.critic_learning_rate, training.critics),
    )
    steps, moments = adam(gradients, training.moments, training.step, rates)
    params, critics = jax.tree.map(jnp.add, current, steps)
    reported = jnp.mean(
        jax.vmap(functools.partial(rewards_of, settings, player=0))(plays)
    )
    return Training(params, critics, moments, training.step + 1), reported


def draw_uniforms(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Draws by hashing a counter, as fast as the processor can.

    JAX's own generators take half of the time of an iteration on CPU. This
    one mixes a counter and the two words of a key in five multiplications.

    Args:
      key: uint32 `[2]`.
      shape: of the result.

    Returns:
      Multiples of 2**-24 in [0, 1).
    """
    bits = jax.lax.iota(jnp.uint32, math.prod(shape)) * jnp.uint32(0x9E3779B9)
    for word in key:
        bits = bits ^ word
        for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
            bits = (bits ^ (bits >> shift)) * jnp.uint32(factor)
        bits = bits ^ (bits >> 16)
    return (bits >> 8).astype(jnp.float32).reshape(shape) * 2.0**-24


def make_keys(seed: int, num: int) -> jax.Array:
    """Returns keys of `draw_uniforms`, `[num, 2]`."""
    return jax.random.bits(jax.random.key(seed), [num, 2])


def make_program(
    settings: Settings,
    num_seeds: int = 1,
    rule: Rule = TABLES,
):
    """Returns a jitted function that trains for one iteration per key.

    Args:
      settings: what to train.
      num_seeds: independent runs; above 1, arguments have a leading axis.
      rule: how policies and critics of this kind learn.

    Returns:
      A function `(training, keys) -> (training, mean rewards)`.
    """
    return scanned(functools.partial(iterate, settings, rule), num_seeds)


def scanned(iterate: Callable[..., Any], num_seeds: int) -> Callable[..., Any]:
    """Returns the jitted loop of iterations, over keys, of one or many runs."""

    def train(training, keys):
        return jax.lax.scan(iterate, training, keys)

    return jax.jit(jax.vmap(train) if num_seeds > 1 else train)


def scanned_call(
    program: Callable[..., Any], runs: Sequence[Training], num_iterations: int
) -> Callable[[], None]:
    """Returns a call of a program that `scanned` made, compiled.

    Args:
      program: the program.
      runs: what each run starts from, in every call.
      num_iterations: how many each call makes.
    """
    keys = make_keys(0, len(runs) * num_iterations)
    training = runs[0]
    if len(runs) > 1:
        training = jax.tree.map(lambda *xs: jnp.stack(xs), *runs)
        keys = keys.reshape(len(runs), num_iterations, 2)

    def call() -> None:
        jax.block_until_ready(program(training, keys))

    call()
    return call
