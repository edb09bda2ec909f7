"""The Coin Game of two players on 3 x 3 cells, in JAX.

The rules and the observations are those of `dice_tf.games.CoinGame`.
"""

import jax
import jax.numpy as jnp

SIZE = 3
NUM_CELLS = SIZE**2
NUM_ACTIONS = 4
NUM_FEATURES = 4 * NUM_CELLS

Pair = tuple[jax.Array, jax.Array]


def start(noise: jax.Array) -> tuple[Pair, Pair]:
    """Returns where everything lies at the start, of uniforms `[4, B]`.

    Cells are numbered row by row.

    Returns:
      The cell of each player, and that of each player's coin, int32 `[B]`; -1
      for a coin that is not on the grid.
    """
    first, second, owner, place = noise
    players = tuple((NUM_CELLS * x).astype(jnp.int32) for x in (first, second))
    cell = free_cell(players, place)
    is_first = owner < 0.5
    return players, (
        jnp.where(is_first, cell, -1),
        jnp.where(is_first, -1, cell),
    )


def step(
    players: Pair, coins: Pair, actions: jax.Array, noise: jax.Array
) -> tuple[Pair, Pair, Pair]:
    """Moves both players.

    Args:
      players, coins: as of `start`.
      actions: int32 `[2, B]`.
      noise: uniforms `[B]`, which place the next coin.

    Returns:
      Players and coins after the step, and both players' rewards, `[B]`.
    """
    players = tuple(_move(players[i], actions[i]) for i in range(2))
    same_color = [players[i] == coins[i] for i in range(2)]
    foreign = [players[i] == coins[1 - i] for i in range(2)]
    rewards = tuple(
        same_color[i].astype(noise.dtype) + foreign[i] - 2.0 * foreign[1 - i]
        for i in range(2)
    )
    cell = free_cell(players, noise)
    taken = [same_color[i] | foreign[1 - i] for i in range(2)]
    coins = tuple(
        jnp.where(taken[0] | taken[1], jnp.where(taken[i], -1, cell), coins[i])
        for i in range(2)
    )
    return players, coins, rewards


def observe(players: Pair, coins: Pair) -> Pair:
    """Returns what both players see, `[B, 4, SIZE, SIZE]`."""
    seen = []
    for i in range(2):
        cells = (players[i], players[1 - i], coins[i], coins[1 - i])
        grids = jax.nn.one_hot(jnp.stack(cells, axis=1), NUM_CELLS)
        seen.append(grids.reshape([-1, 4, SIZE, SIZE]))
    return tuple(seen)


def free_cell(players: Pair, noise: jax.Array) -> jax.Array:
    """Returns a cell without a player, of uniforms `[B]`."""
    low, high = jnp.minimum(*players), jnp.maximum(*players)
    apart = (low != high).astype(jnp.int32)
    cell = (noise * (NUM_CELLS - 1 - apart)).astype(jnp.int32)
    cell = cell + (cell >= low)
    return cell + apart * (cell >= high)


def _move(cell: jax.Array, action: jax.Array) -> jax.Array:
    row, column = cell // SIZE, cell % SIZE
    row = (row + (action == 2).astype(jnp.int32) - (action == 3)) % SIZE
    column = (column + (action == 0).astype(jnp.int32) - (action == 1)) % SIZE
    return SIZE * row + column
