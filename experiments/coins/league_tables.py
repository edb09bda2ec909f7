"""Players of a league as tables: what each does in all that it can see.

A policy without memory beyond who last took whose coin has finitely many
inputs. Evaluated at all of them it is a table, and all that tables do against
each other is exact.
"""

import itertools
from typing import Any

import numpy as np
import tensorflow as tf

import dice_tf

from .bots import bot
from .league_settings import RANDOM, UNTRAINED, CoinEntrant

GRID_SIZE = 3
NUM_CELLS = GRID_SIZE**2
NUM_ACTIONS = 4
# Probabilities on several cells that differ by less are the same.
_TOLERANCE = 1e-5
_OBSERVATION, _PROBABILITIES = "observation", "probabilities"
_STEP_PROBABILITIES = "step_probabilities"
# Where each coin lay, and for both players whose coin they took last.
_MEMORY_SIZE = 4


def situations() -> np.ndarray:
    """Returns what a player sees in the states of `TabularCoinGame`.

    Returns:
      `[S, 5]`, in the order of the states: the cells of the other player and
      of the coin as seen from the player, whether the coin is the other's, and
      for the player and the other whether it last took a coin that was not its
      own.
    """
    cells = range(NUM_CELLS)
    return np.array(
        [
            (other, coin, *rest)
            for other, coin, *rest in itertools.product(
                cells, cells, *[range(2)] * 3
            )
            if coin not in (0, other)
        ]
    )


def shifted(cell: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Returns the cell that lies on a place as seen from another cell."""
    row = (cell // GRID_SIZE + by // GRID_SIZE) % GRID_SIZE
    return row * GRID_SIZE + (cell + by) % GRID_SIZE


def observations() -> np.ndarray:
    """Returns all that a player can see of `CoinGameWithMemory`.

    Returns:
      `[cells, S, 6, rows, columns]`, by the cell of the player and by state.
    """
    other, coin, is_foreign, *memories = situations().T
    num_states = len(other)
    seen = np.zeros([NUM_CELLS, num_states, 6, NUM_CELLS], np.float32)
    every = np.arange(num_states)
    for cell in range(NUM_CELLS):
        seen[cell, :, 0, cell] = 1.0
        seen[cell, every, 1, shifted(cell, other)] = 1.0
        seen[cell, every, 2 + is_foreign, shifted(cell, coin)] = 1.0
    seen[:, :, 4:] = np.stack(memories, axis=1)[:, :, np.newaxis]
    return seen.reshape([NUM_CELLS, num_states, 6, GRID_SIZE, GRID_SIZE])


def tables_of(entrant: CoinEntrant) -> tuple[np.ndarray, np.ndarray]:
    """Returns what an entrant does in each seat.

    Returns:
      Two arrays `[C, S, 4]`, probabilities of the actions by what the player
      itself sees. C is 1 if it does not matter where on the torus the player
      stands, otherwise the number of cells.

    Raises:
      ValueError: if a SavedModel is not a policy of the Coin Game on the grid
        of the league, or its probabilities are not finite.
    """
    tables = [_saved_table(source) for source in entrant.sources]
    return tables[0], tables[-1]


def untrained_table(name: str) -> np.ndarray:
    """Returns `[1, S, 4]` of one of `UNTRAINED`, in either seat."""
    seen = observations()[0]
    if name == RANDOM:
        return np.full([1, len(seen), NUM_ACTIONS], 1.0 / NUM_ACTIONS)
    model = bot(dice_tf.games.CoinGame(), 0, name)
    logits = model(tf.constant(seen[:, :NUM_ACTIONS]))
    return _normalised(tf.nn.softmax(logits).numpy()[np.newaxis])


def untrained_entrants() -> tuple[CoinEntrant, ...]:
    """Returns the entrants that are there in each league."""
    return tuple(CoinEntrant(name, name, name, ()) for name in UNTRAINED)


def _saved_table(path: str) -> np.ndarray:
    loaded = tf.saved_model.load(path)
    signatures = loaded.signatures
    seen = observations()
    flat = seen.reshape([-1, *seen.shape[2:]])
    inputs = {}
    if _STEP_PROBABILITIES in signatures:
        function = signatures[_STEP_PROBABILITIES]
        # Coins that lay nowhere have been taken by nobody: what is remembered
        # of earlier steps stays as it is.
        memory = np.zeros([len(flat), _MEMORY_SIZE], np.float32)
        memory[:, 2:] = flat[:, 4:, 0, 0]
        inputs["state"] = memory
    elif _PROBABILITIES in signatures:
        function = signatures[_PROBABILITIES]
    else:
        raise ValueError(_refusal(path, f"the signatures {[*signatures]}"))
    specs = function.structured_input_signature[1]
    shape = specs[_OBSERVATION].shape
    num_channels = (4,) if inputs else (4, 6)
    if tuple(shape[1:]) not in [
        (count, GRID_SIZE, GRID_SIZE) for count in num_channels
    ]:
        raise ValueError(_refusal(path, f"observations {tuple(shape[1:])}"))
    if inputs and specs["state"].shape[-1] != _MEMORY_SIZE:
        raise ValueError(_refusal(path, "a memory of its own"))
    inputs[_OBSERVATION] = flat[:, : shape[1]]
    result = function(
        **{
            name: tf.constant(value, specs[name].dtype)
            for name, value in inputs.items()
        }
    )
    table = result[_PROBABILITIES].numpy().reshape([*seen.shape[:2], -1])
    if not np.all(np.isfinite(table)):
        raise ValueError(
            f"The SavedModel {path!r} must give finite probabilities, and "
            "gives NaN, as after a training that has diverged. Leave it out."
        )
    return _normalised(table)


def _refusal(path: str, received: Any) -> str:
    return (
        "--entrants must hold policies of the Coin Game on "
        f"{GRID_SIZE} x {GRID_SIZE} cells, which experiments.coin_game has "
        f"exported. Received: {path!r}, with {received}."
    )


def _normalised(table: np.ndarray) -> np.ndarray:
    """Returns a table in float64, of one cell if all cells are alike."""
    table = table.astype(np.float64)
    if np.all(np.abs(table - table[:1]) < _TOLERANCE):
        table = table.mean(axis=0, keepdims=True)
    return table / table.sum(axis=-1, keepdims=True)
