"""Any differentiable game, given as functions of the parameters."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from dice_tf.checks import described
from dice_tf.objectives.objective import Objective, Params
from dice_tf.seeds import Seed

ValueFunction = Callable[[Params], tf.Tensor]


class FunctionObjective(Objective):
    """The objective of any differentiable game.

    Args:
      value_functions: one function per player, from every player's
        parameters (one list of tensors per player) to that player's value, a
        scalar to be maximised.

    Raises:
      TypeError: if they are not functions, or one does not return a number.
      ValueError: if there is none, or one does not return a scalar.

    Example:
      The tandem game of Letcher et al. 2019, of losses (x + y)^2 - 2x and
      (x + y)^2 - 2y:

      >>> def value(params, player_id):
      ...     x, y = params[0][0], params[1][0]
      ...     return 2.0 * params[player_id][0] - (x + y) ** 2
      >>> objective = dice_tf.objectives.FunctionObjective(
      ...     [functools.partial(value, player_id=i) for i in range(2)]
      ... )
    """

    def __init__(self, value_functions: Sequence[ValueFunction]):
        if not isinstance(value_functions, (list, tuple)) or not all(
            callable(function) for function in value_functions
        ):
            raise TypeError(
                "`value_functions` must be a list of functions, one per "
                f"player. Received: {value_functions!r}."
            )
        if not value_functions:
            raise ValueError("`value_functions` must not be empty.")
        self.value_functions = tuple(value_functions)
        self.num_players = len(value_functions)

    def _values(
        self, params: Params, seed: Seed | None, state: Any
    ) -> tuple[tf.Tensor, ...]:
        return tuple(
            _as_scalar(f"value_functions[{player_id}]", function(params))
            for player_id, function in enumerate(self.value_functions)
        )


def _as_scalar(name: str, value: Any) -> tf.Tensor:
    """Returns what a function of the user returned, or raises."""
    message = f"`{name}` must return a scalar. Received: {described(value)}."
    try:
        scalar = tf.convert_to_tensor(value)
    except (TypeError, ValueError) as error:
        raise TypeError(message) from error
    if scalar.shape.rank != 0:
        raise ValueError(message)
    return scalar
