"""Action masks: what the rules forbid, a policy never does.

Here alone the rules of a game (`Game.legal_actions`) meet the distributions of
policies, on their way from outputs to play, values, divergences and files.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from dice_tf.distributions import Categorical, Distribution, logits_of
from dice_tf.games.game import Game
from dice_tf.policies.attachments import attach, attached
from dice_tf.policies.heads import Head

# From observations `[..., *observation_shape]` to bool `[..., num_actions]`.
ActionMask = Callable[[tf.Tensor], tf.Tensor]

# From outputs and the observations that they belong to.
MaskedHead = Callable[[tf.Tensor, tf.Tensor], Distribution]

# The logit of what is illegal. Its exponential is 0 in every precision, and
# unlike -inf it has finite products and derivatives.
ILLEGAL = -1e9

# Set on a policy that has taken a seat; its copies do not have it.
_IS_SEATED = "_dice_tf_is_seated"


class SeatMask:
    """What tells a seat's legal actions, from observations.

    Args:
      game: the game, some of whose actions are illegal in some states.
      player_id: the seat.
    """

    def __init__(self, game: Game, player_id: int):
        self._game = game
        self._player_id = player_id

    def __call__(self, observations: tf.Tensor) -> tf.Tensor:
        """Returns bool `[..., num_actions]`; errors as of `seat_mask`."""
        game, player_id = self._game, self._player_id
        shape = game.observation_shapes[player_id]
        legal = game.legal_actions(observations, player_id)
        leading = observations.shape[: observations.shape.rank - len(shape)]
        expected = [*leading, game.num_actions[player_id]]
        legal = tf.convert_to_tensor(legal)
        if legal.dtype != tf.bool or not legal.shape.is_compatible_with(
            expected
        ):
            raise ValueError(
                f"`legal_actions` of {type(game).__name__} must return bool "
                f"of shape {tuple(expected)} for player {player_id} and "
                f"observations of shape {tuple(observations.shape)}. "
                f"Received: {legal.dtype.name} of shape {tuple(legal.shape)}."
            )
        return legal

    def __deepcopy__(self, memo: dict) -> "SeatMask":
        # A game is immutable, and may hold worker processes.
        return self


def seat_mask(game: Game, player_id: int) -> SeatMask | None:
    """Returns what tells a seat's legal actions, `None` where all are.

    Args:
      game: the game.
      player_id: the seat.

    Raises:
      ValueError: if the game returns no mask of the seat's actions; also when
        the mask is called.
    """
    shape = game.observation_shapes[player_id]
    # An array and not a tensor: a game without a mask adds no operation to a
    # graph.
    example = np.zeros([1, *shape], game.dtype.as_numpy_dtype)
    if game.legal_actions(example, player_id) is None:
        return None
    if game.num_actions[player_id] is None:
        raise ValueError(
            f"`legal_actions` of {type(game).__name__} must return None for "
            f"player {player_id}, whose actions are not a finite set."
        )
    mask = SeatMask(game, player_id)
    mask(tf.constant(example))
    return mask


def seated(policy: keras.Model, game: Game, player_id: int) -> keras.Model:
    """Returns the policy, which carries the mask of a seat."""
    return carrying(policy, seat_mask(game, player_id))


def carrying(policy: keras.Model, mask: ActionMask | None) -> keras.Model:
    """Returns the policy, which carries the first mask that it is given.

    That tells exports, which know no game, what is legal. Like an attached
    head, it is not a part of a `.keras` file. A copy has the mask of the policy
    that it is a copy of, until it takes a seat.

    Args:
      policy: a `keras.Model`.
      mask: of a seat; `None` where all actions are legal.
    """
    is_inherited = _IS_SEATED not in vars(policy)
    if is_inherited and mask is not carried_mask(policy):
        attach(policy, mask=mask)
    if mask is not None:
        object.__setattr__(policy, _IS_SEATED, True)
    return policy


def carried_mask(policy: keras.Model) -> ActionMask | None:
    """Returns the mask of the first seat that a policy took, if it has one."""
    return attached(policy).mask


def masked_head(head: Head, mask: ActionMask | None) -> MaskedHead:
    """Returns a head that gives illegal actions probability 0.

    The probabilities of the others are those of the head, divided by their
    sum. Log-probabilities of illegal actions are about -1e9; nothing depends
    on the logits of illegal actions, and derivatives are finite at any order.

    Args:
      head: any head over finitely many actions.
      mask: which actions are legal; `None` leaves the head as it is.
    """
    if mask is None:
        return lambda outputs, observations: head(outputs)

    def read(outputs: tf.Tensor, observations: tf.Tensor) -> Distribution:
        legal = mask(observations)
        logits = logits_of(head(outputs), legal.shape[-1])
        # The number overflows in half precision.
        never = max(ILLEGAL, float(logits.dtype.min) / 2)
        masked = tf.where(legal, logits, never)
        return Categorical(logits=masked)

    return read
