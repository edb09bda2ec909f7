"""An ideal JAX program for LOLA-DiCE with memory in two-player dilemmas.

What a specialist would write for policies and critics of gated recurrent units,
to measure ours against: as `benchmarks.jax_reference`, with one scan over time
that acts and evaluates at once, so that no play is passed through twice. The
units are those of Keras (with the reset gate behind the product).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import jax_reference
from benchmarks.jax_reference import (
    NUM_STATES,
    Rule,
    Settings,
    Training,
    rewards_of,
)

UNITS = 32
# What a state is called from the other seat.
MIRROR = np.array([0, 2, 1, 3, 4])


def initial(settings: Settings, seed: int = 0) -> Training:
    """Returns random policies and critics."""
    del settings
    generator = np.random.default_rng(seed)

    def network() -> dict[str, jax.Array]:
        shapes = {
            "kernel": (NUM_STATES, 3 * UNITS),
            "recurrent": (UNITS, 3 * UNITS),
            "head": (UNITS, 1),
        }
        weights = {
            name: generator.normal(size=shape) / np.sqrt(sum(shape) / 2)
            for name, shape in shapes.items()
        }
        weights["bias"] = np.zeros([2, 3 * UNITS])
        weights["head_bias"] = np.zeros([1])
        return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), weights)

    params, critics = ([network(), network()] for _ in range(2))
    zeros = jax.tree.map(jnp.zeros_like, (params, critics))
    return Training(params, critics, (zeros, zeros), jnp.zeros([], jnp.int32))


def next_hidden(network: Any, hidden: jax.Array, inputs: jax.Array):
    """Returns the state `[B, UNITS]` after inputs `[B, NUM_STATES]`."""
    x = inputs @ network["kernel"] + network["bias"][0]
    h = hidden @ network["recurrent"] + network["bias"][1]
    update = jax.nn.sigmoid(x[:, :UNITS] + h[:, :UNITS])
    reset = jax.nn.sigmoid(x[:, UNITS : 2 * UNITS] + h[:, UNITS : 2 * UNITS])
    candidate = jnp.tanh(x[:, 2 * UNITS :] + reset * h[:, 2 * UNITS :])
    return update * hidden + (1 - update) * candidate


def output(network: Any, hidden: jax.Array) -> jax.Array:
    """Returns log-odds or values, of states `[..., UNITS]`."""
    return (hidden @ network["head"] + network["head_bias"])[..., 0]


def seen(state: jax.Array, player: int) -> jax.Array:
    """Returns what a player sees of states as player 0 calls them."""
    state = jnp.asarray(MIRROR)[state] if player else state
    return jax.nn.one_hot(state, NUM_STATES)


def play(params: Any, uniforms: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Plays, and evaluates what is played, in one pass.

    Args:
      params: of both policies.
      uniforms: `[2, T, B]`.

    Returns:
      Four times the state plus what was done, and the log-probability of both
      actions, `[T, B]`, differentiable in `params`.
    """

    def step(carry, noise):
        state, *hiddens = carry
        joint, log_prob, following = 0, 0.0, []
        for player, (network, hidden) in enumerate(
            zip(params, hiddens, strict=True)
        ):
            hidden = next_hidden(network, hidden, seen(state, player))
            odds = output(network, hidden)
            action = noise[player] >= jax.lax.stop_gradient(
                jax.nn.sigmoid(odds)
            )
            joint = 2 * joint + action.astype(jnp.int32)
            log_prob += jax.nn.log_sigmoid(jnp.where(action, -odds, odds))
            following.append(hidden)
        return (joint, *following), (4 * state + joint, log_prob)

    batch_size = uniforms.shape[2]
    start = jnp.full([batch_size], NUM_STATES - 1, jnp.int32)
    hidden = jnp.zeros([batch_size, UNITS])
    _, results = jax.lax.scan(
        step, (start, hidden, hidden), jnp.moveaxis(uniforms, 1, 0)
    )
    return results


def values_of(critic: Any, played: jax.Array, player: int) -> jax.Array:
    """Returns the values of a critic along a play, `[T, B]`."""

    def step(hidden, inputs):
        hidden = next_hidden(critic, hidden, inputs)
        return hidden, hidden

    start = jnp.zeros([played.shape[1], UNITS])
    _, hiddens = jax.lax.scan(step, start, seen(played >> 2, player))
    return output(critic, hiddens)


def group_value(
    settings: Settings, player: int, params: Any, critic: Any, uniforms: Any
) -> tuple[jax.Array, jax.Array]:
    """The DiCE objective of a group of episodes, and how they were played."""
    played, log_probs = play(params, uniforms)
    played = jax.lax.stop_gradient(played)
    length = settings.episode_length
    weights = (settings.discount ** jnp.arange(length))[:, None]
    sums = jnp.tril(jnp.ones([length, length])) @ log_probs
    boxes = jnp.exp(sums - jax.lax.stop_gradient(sums))
    before = jnp.concatenate([jnp.ones_like(boxes[:1]), boxes[:-1]])
    rewards = weights * rewards_of(settings, played, player)
    values = jax.lax.stop_gradient(values_of(critic, played, player))
    total = jnp.sum(boxes * rewards + (before - boxes) * weights * values)
    return total / settings.batch_size, played


def value(
    settings: Settings, player: int, params: Any, critic: Any, uniforms: Any
) -> tuple[jax.Array, jax.Array]:
    """The mean objective, from uniforms `[groups, 2, T, B / groups]`."""

    def of_group(noise):
        return group_value(settings, player, params, critic, noise)

    if uniforms.shape[0] == 1:
        total, played = of_group(uniforms[0])
        return total, played[None]
    totals, plays = jax.lax.map(of_group, uniforms)
    return jnp.sum(totals), plays


def direction(
    settings: Settings, player: int, params: Any, critics: Any, uniforms: Any
) -> tuple[Any, jax.Array]:
    """The LOLA-DiCE direction of a player, and the first play."""
    other = 1 - player

    def both(mine, theirs):
        return [theirs, mine] if player else [mine, theirs]

    def looked_ahead(mine):
        theirs, first_play = params[other], None
        for noise in uniforms[:-1]:
            gradient, plays = jax.grad(
                lambda theirs, noise=noise: value(
                    settings, other, both(mine, theirs), critics[other], noise
                ),
                has_aux=True,
            )(theirs)
            first_play = plays if first_play is None else first_play
            theirs = jax.tree.map(
                lambda x, g: x + settings.inner_learning_rate * g,
                theirs,
                gradient,
            )
        result, plays = value(
            settings, player, both(mine, theirs), critics[player], uniforms[-1]
        )
        return result, plays if first_play is None else first_play

    return jax.grad(looked_ahead, has_aux=True)(params[player])


def critic_loss(
    settings: Settings, critics: Any, plays: jax.Array
) -> jax.Array:
    """Squared errors of both critics against the returns that they saw."""
    length = settings.episode_length
    lags = np.subtract.outer(np.arange(length), np.arange(length))
    decays = np.where(lags <= 0, settings.discount ** np.maximum(-lags, 0), 0)
    to_go = jnp.asarray(decays, jnp.float32)

    def group_loss(played):
        return sum(
            jnp.sum(
                (
                    values_of(critic, played, player)
                    - to_go @ rewards_of(settings, played, player)
                )
                ** 2
            )
            for player, critic in enumerate(critics)
        )

    total = jnp.sum(jax.lax.map(group_loss, plays))
    return total / (length * settings.batch_size)


def make_program(settings: Settings, num_seeds: int = 1):
    """Returns a jitted function, as of `benchmarks.jax_reference`."""
    rule = Rule(direction, critic_loss)
    return jax_reference.make_program(settings, num_seeds, rule)


def exact_direction(settings: Settings, player: int, params: Any) -> Any:
    """The LOLA-DiCE direction of expectations, over all ways to play.

    Args:
      settings: of a game of few steps.
      player: whose direction.
      params: of both policies.
    """
    length = settings.episode_length
    joints = np.indices([4] * length).reshape(length, -1)
    states = np.concatenate([np.full_like(joints[:1], 4), joints[:-1]])
    played = jnp.asarray(4 * states + joints)
    weights = (settings.discount ** jnp.arange(length))[:, None]

    def expected(player, params):
        log_probs = 0.0
        for seat, network in enumerate(params):
            odds = values_of(network, played, seat)
            action = (played >> (1 - seat)) & 1
            log_probs += jax.nn.log_sigmoid(jnp.where(action, -odds, odds))
        returns = jnp.sum(weights * rewards_of(settings, played, player), 0)
        return jnp.sum(jnp.exp(jnp.sum(log_probs, 0)) * returns)

    def looked_ahead(mine):
        def both(theirs):
            return [theirs, mine] if player else [mine, theirs]

        theirs = params[1 - player]
        for _ in range(settings.num_lookaheads):
            gradient = jax.grad(lambda x: expected(1 - player, both(x)))(theirs)
            theirs = jax.tree.map(
                lambda x, g: x + settings.inner_learning_rate * g,
                theirs,
                gradient,
            )
        return expected(player, both(theirs))

    return jax.grad(looked_ahead)(params[player])
