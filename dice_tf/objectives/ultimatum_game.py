"""The ultimatum game: to share fairly or not, and to accept that or not."""

import tensorflow as tf

from dice_tf.objectives.function import FunctionObjective
from dice_tf.objectives.objective import Params


def ultimatum() -> FunctionObjective:
    """Returns the values of the ultimatum game, as functions of two logits.

    Player 0 has 10 to share. It offers 5 with probability `p = sigmoid(a)`,
    which player 1 always accepts, and 2 with probability `1 - p`. Player 1
    accepts 2 with probability `q = sigmoid(b)`; else both get nothing:

      `V_0 = 5 p + 8 (1 - p) q`,   `V_1 = 5 p + 2 (1 - p) q`.

    Players that learn naively end where player 1 accepts everything, and gets
    2. One that rejects 2 would be offered 5, but must shape the other to gain
    from it.

    Returns:
      A `FunctionObjective` of parameters `[[a], [b]]`, scalars or tensors with
      a single number.

    Example:
      >>> objective = dice_tf.objectives.ultimatum()
      >>> values = objective([[tf.constant(0.0)], [tf.constant(0.0)]])
      >>> [float(value) for value in values]
      [4.5, 3.0]

    References:
      Willi et al. 2022 (COLA: Consistent Learning with Opponent-Learning
      Awareness).
    """
    return FunctionObjective([_proposer_value, _responder_value])


def _proposer_value(params: Params) -> tf.Tensor:
    fair, accepts = _probabilities(params)
    return 5.0 * fair + 8.0 * (1.0 - fair) * accepts


def _responder_value(params: Params) -> tf.Tensor:
    fair, accepts = _probabilities(params)
    return 5.0 * fair + 2.0 * (1.0 - fair) * accepts


def _probabilities(params: Params) -> list[tf.Tensor]:
    return [
        tf.sigmoid(tf.reshape(player_params[0], [])) for player_params in params
    ]
