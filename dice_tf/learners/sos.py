"""SOS: as much opponent shaping as is safe."""

from collections.abc import Sequence

import tensorflow as tf

from dice_tf.checks import check_number
from dice_tf.learners.derivatives import (
    inner_product,
    players_with_params,
    weighted_sum,
)
from dice_tf.learners.inner_rates import InnerRates
from dice_tf.learners.taylor import TaylorLearner, TaylorTerms
from dice_tf.objectives.objective import Params


class SOS(TaylorLearner):
    """Stable opponent shaping: between `LookAhead` and full-gradient LOLA.

    With `l_i` the direction of `LookAhead` and `s_i` the shaping term of
    `LOLA`, player i moves along `l_i + p s_i`. One p in [0, 1] serves all
    players: it is computed from the terms of all of them, stacked into `l`
    and `s`, and from their stacked gradients `g`,

      `p_1 = 1` if `<s, l> >= 0`, else `min(1, -a |l|^2 / <s, l>)`,
      `p_2 = |g|^2` if `|g| < b`, else 1,
      `p = min(p_1, p_2)`.

    The first keeps the direction within a right angle of look-ahead's, the
    second makes shaping vanish near stationary points, which LOLA moves away
    from. With `p=0` this is `LookAhead`, with `p=1` `LOLAFullGradient`.

    The published rule is of losses, with the signs of `l`, `s` and `g` turned;
    p is the same. Values count as they are, not normalised, in `|g| < b`.

    On a sampled objective a fixed p keeps the direction unbiased. A computed p
    depends on the samples of the terms that it weights, and biases them.

    Args:
      inner_learning_rate: the rate assumed for the opponents: one number, one
        per player, or `InnerRates`. The rate of the learning player itself is
        the one that its opponents assume of it in the terms that make p.
      a: in (0, 1), strictness of the first criterion.
      b: in (0, 1), radius of the second.
      p: in [0, 1], fixed; `None` to compute it.

    Raises:
      TypeError, ValueError: if an argument is out of its range.

    Example:
      >>> learner = dice_tf.learners.SOS(inner_learning_rate=1.0)
      >>> direction = learner.gradient(objective, params, 0, seed)

    References:
      Letcher et al. 2019 (Stable Opponent Shaping in Differentiable Games),
      algorithm 1; a = 0.5 and b = 0.1 in its authors' code.
    """

    def __init__(
        self,
        inner_learning_rate: float | Sequence[float] | InnerRates = 1.0,
        *,
        a: float = 0.5,
        b: float = 0.1,
        p: float | None = None,
    ):
        super().__init__(inner_learning_rate)
        self.a = check_number("a", a, 0.0, 1.0)
        self.b = check_number("b", b, 0.0, 1.0)
        self.p = None if p is None else check_number("p", p, 0.0, 1.0)

    def terms_of(self, params: Params, player_id: int) -> list[int]:
        if self.p is not None:
            return [player_id]
        return sorted({player_id, *players_with_params(params)})

    def combine(
        self, terms: dict[int, TaylorTerms], player_id: int
    ) -> list[tf.Tensor]:
        p = self.p
        if p is None:
            p = shaping_weight([*terms.values()], self.a, self.b)
        naive, look_ahead, shaping = terms[player_id]
        return weighted_sum((1.0, naive), (1.0, look_ahead), (p, shaping))


def shaping_weight(
    terms: Sequence[TaylorTerms], a: float, b: float
) -> tf.Tensor:
    """Returns the weight p of the shaping terms.

    Args:
      terms: those of all players.
      a: strictness of the first criterion.
      b: radius of the second.

    Returns:
      p, a scalar in [0, 1].
    """
    naive = [x for player in terms for x in player.naive]
    shaping = [x for player in terms for x in player.shaping]
    direction = [
        x
        for player in terms
        for x in weighted_sum((1.0, player.naive), (1.0, player.look_ahead))
    ]
    alignment = inner_product(shaping, direction)
    one = tf.ones_like(alignment)
    against = tf.where(alignment < 0.0, -alignment, one)
    bound = a * inner_product(direction, direction) / against
    p_1 = tf.where(alignment < 0.0, tf.minimum(one, bound), one)
    square = inner_product(naive, naive)
    p_2 = tf.where(square < b**2, square, one)
    return tf.minimum(p_1, p_2)
