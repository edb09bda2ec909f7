"""Which actions are legal in games with finitely many states."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dice_tf.checks import check_per_player


def check_action_masks(
    action_masks: Any,
    observations: Sequence[np.ndarray],
    num_actions: Sequence[int],
) -> tuple[np.ndarray, ...] | None:
    """Returns masks as arrays, or raises if no player could keep to them.

    Args:
      action_masks: one per player, bool `[S, A_i]`; or `None`.
      observations: one per player, `[S, ...]`.
      num_actions: one per player.
    """
    if action_masks is None:
        return None
    masks = tuple(
        np.asarray(mask)
        for mask in check_per_player(
            "action_masks", action_masks, len(num_actions)
        )
    )
    for player_id, mask in enumerate(masks):
        expected = (len(observations[player_id]), num_actions[player_id])
        if mask.dtype != bool or mask.shape != expected:
            raise ValueError(
                f"`action_masks[{player_id}]` must be bool of shape "
                f"{expected}, one row per state and one column per action. "
                f"Received: {mask.dtype} of shape {mask.shape}."
            )
        stuck = np.flatnonzero(~mask.any(axis=1))
        if len(stuck):
            raise ValueError(
                "`action_masks` must leave every player an action in every "
                f"state. Player {player_id} has no legal action in state "
                f"{stuck[0]}."
            )
        _check_seen(player_id, mask, observations[player_id])
    return masks


def _check_seen(
    player_id: int, mask: np.ndarray, observations: np.ndarray
) -> None:
    flat = observations.reshape(len(mask), -1)
    _, first, group = np.unique(
        flat, axis=0, return_index=True, return_inverse=True
    )
    alike = first[group.reshape(-1)]
    for state in np.flatnonzero(np.any(mask != mask[alike], axis=1)):
        raise ValueError(
            "Players must see which actions are legal. Player "
            f"{player_id} sees the same in states {alike[state]} and {state}, "
            f"but `action_masks[{player_id}]` differs."
        )


def mask_of_nearest(
    seen: Any, observations: np.ndarray, mask: np.ndarray
) -> tf.Tensor:
    """Returns the mask of the state whose observation is the nearest.

    Args:
      seen: `[..., *observation_shape]`, floating.
      observations: `[S, *observation_shape]`.
      mask: bool `[S, A]`.

    Returns:
      bool `[..., A]`.
    """
    seen = tf.convert_to_tensor(seen)
    num_leading = seen.shape.rank - (observations.ndim - 1)
    leading = tf.shape(seen)[:num_leading]
    if seen.shape[:num_leading].is_fully_defined():
        leading = seen.shape[:num_leading]
    flat = observations.reshape(len(mask), -1)
    # |x - o|^2 without |x|^2, which is the same for all.
    nearness = 2.0 * tf.linalg.matmul(
        tf.reshape(seen, [-1, flat.shape[1]]),
        tf.constant(flat.T, seen.dtype),
    ) - tf.constant(np.sum(flat**2, axis=1), seen.dtype)
    state = tf.argmax(nearness, axis=-1, output_type=tf.int32)
    legal = tf.gather(tf.constant(mask), state)
    return tf.reshape(legal, tf.concat([leading, [mask.shape[1]]], axis=0))
