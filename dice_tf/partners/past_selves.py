"""Partners that are what the opponents were, kept in a ring buffer."""

from collections.abc import Sequence

import tensorflow as tf

from dice_tf.checks import check_player_id, check_whole_number
from dice_tf.learners.learner import Situation, as_params
from dice_tf.objectives.objective import Params
from dice_tf.partners.source import DrawnPartners, check_remembered


class PastSelves(DrawnPartners):
    """What the other players were in an earlier situation.

    A ring buffer holds the parameters of the last `capacity` times that it was
    filled: in iterations 0, k, 2k, ... for `push_every = k`, after the partners
    of the iteration have been drawn. One time is drawn uniformly, and all
    partners of a set are what they were then. While the buffer is empty, they
    are what they are now. If seats share parameters, these are the past selves
    of the learner.

    Args:
      capacity: number of times that the buffer holds. A trainer stores and
        copies all of it, for each run and each learner.
      push_every: k, number of iterations from one time to the next.
      seats: the seats that partners take; `None` for all but the learner's.
        Without it, the buffer holds what the learner was, too.

    Raises:
      TypeError, ValueError: if an argument is out of its range.

    References:
      Aghajohari et al. 2024 (LOQA: Learning with Opponent Q-Learning
      Awareness), the replay buffer of agents.
    """

    def __init__(
        self,
        capacity: int,
        *,
        push_every: int = 1,
        seats: Sequence[int] | None = None,
    ):
        self.capacity = check_whole_number("capacity", capacity, 1, 2**20)
        self.push_every = check_whole_number("push_every", push_every, 1)
        self.seats = None if seats is None else _check_seats(seats)

    def init(self, params: Params) -> list[list[tf.Tensor]]:
        """Returns the empty buffer, tensors `[capacity, ...]`.

        Args:
          params: one list of tensors per player.

        Raises:
          TypeError, ValueError: if there are no such seats.
        """
        params = as_params(params)
        for seat in self.seats or ():
            check_player_id(seat, len(params))
        return [
            [
                tf.zeros([self.capacity, *parameter.shape], parameter.dtype)
                for parameter in player_params
            ]
            if self._holds(seat)
            else []
            for seat, player_params in enumerate(params)
        ]

    def drawn(
        self,
        state: list[list[tf.Tensor]],
        situation: Situation,
        count: tf.Tensor,
        noise: tf.Tensor,
    ) -> list[list[tf.Tensor]]:
        check_remembered(
            situation.params, [[past[0] for past in seat] for seat in state]
        )
        # Rounded up, since iteration 0 fills the first place.
        num_filled = -(-count // self.push_every)
        num_filled = tf.minimum(num_filled, self.capacity)
        # Noise is below 1 by 2**-24 at least: the product never rounds up.
        place = tf.cast(noise * tf.cast(num_filled, noise.dtype), tf.int32)
        return [
            [
                tf.where(num_filled > 0, tf.gather(past, place), now)
                for past, now in zip(buffer, player_params, strict=True)
            ]
            if self._holds(seat) and seat != situation.player_id
            else []
            for seat, (buffer, player_params) in enumerate(
                zip(state, situation.params, strict=True)
            )
        ]

    def advanced(
        self,
        state: list[list[tf.Tensor]],
        situation: Situation,
        count: tf.Tensor,
    ) -> list[list[tf.Tensor]]:
        place = count // self.push_every % self.capacity
        is_due = count % self.push_every == 0
        is_written = is_due & (tf.range(self.capacity) == place)

        def written(past: tf.Tensor, now: tf.Tensor) -> tf.Tensor:
            shape = [self.capacity] + [1] * now.shape.rank
            return tf.where(tf.reshape(is_written, shape), now, past)

        return [
            [
                written(past, now)
                for past, now in zip(buffer, player_params, strict=True)
            ]
            if self._holds(seat)
            else []
            for seat, (buffer, player_params) in enumerate(
                zip(state, situation.params, strict=True)
            )
        ]

    def _holds(self, seat: int) -> bool:
        return self.seats is None or seat in self.seats


def _check_seats(seats: Sequence[int]) -> tuple[int, ...]:
    if not isinstance(seats, (list, tuple)) or not seats:
        raise TypeError(
            "`seats` must be a list of the seats that partners take, or None. "
            f"Received: {seats!r}."
        )
    return tuple(check_whole_number("seats", seat, 0) for seat in seats)
