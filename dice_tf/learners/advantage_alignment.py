"""Advantage Alignment: doing what is good for those who were good to you."""

from collections.abc import Sequence

import tensorflow as tf

from dice_tf.checks import check_choice, check_number
from dice_tf.kernels.sums_over_time import cumulative_sum
from dice_tf.learners.actor_critic import CreditLearner

DISCOUNTED = "discounted"
AVERAGED = "averaged"


class AdvantageAlignment(CreditLearner):
    """Rewards opponents for what they did to the player.

    To an opponent that acts by what it expects to earn, an action of the player
    that is good for the opponent makes more likely what the opponent did
    before. The player wants that if it was good for the player. It moves as
    `ActorCritic` does, with other advantages:

      `A*_t = A_i,t + w discount P_t sum_j A_j,t`,
      `P_t = sum_{k<t} discount^(t-k) A_i,k`,

    where j are all other players, or with `past="averaged"`

      `A*_t = A_i,t + w P_t sum_j A_j,t`, `P_t = sum_{k<t} A_i,k / (1 + t)`.

    The second form keeps the size of the term from growing with t. With
    `weight=0`, or if the player is alone, it is `ActorCritic`.

    It needs the rewards of all players and, best, a critic of each, but no
    parameters of an opponent and no second derivatives. So it takes any number
    of players, any policies and any actions that a sampled objective takes.

    Args:
      weight: `w`, at least 0.
      past: how earlier advantages count: `"discounted"` or `"averaged"`.

    Raises:
      TypeError, ValueError: if an argument is out of its range; on a step, if
        the objective does not play.

    Example:
      >>> critics = [dice_tf.critics.tabular_critic(game, i) for i in range(2)]
      >>> objective = dice_tf.objectives.SurrogateObjective(
      ...     game, policies, 0.96, 64, "critic", critics, tau=0.95
      ... )
      >>> learner = dice_tf.learners.AdvantageAlignment(weight=1.0)
      >>> direction = learner.gradient(objective, params, 0, seed)

    References:
      Duque et al. 2025 (Advantage Alignment Algorithms): equation 68 is the
      sum over opponents, equation 59 the averaged form.
    """

    def __init__(self, weight: float = 1.0, *, past: str = DISCOUNTED):
        self.weight = check_number("weight", weight, 0.0)
        self.past = check_choice("past", past, (DISCOUNTED, AVERAGED))

    def credit(
        self, advantages: Sequence[tf.Tensor], player_id: int, discount: float
    ) -> tf.Tensor:
        advantage = advantages[player_id]
        others = tf.add_n(advantages) - advantage
        decay = discount if self.past == DISCOUNTED else 1.0
        sums = cumulative_sum(advantage, decay=decay)
        # Of the steps before: a step is not credited with itself.
        before = tf.concat([tf.zeros_like(sums[:1]), sums[:-1]], axis=0)
        if self.past == DISCOUNTED:
            past = discount * discount * before
        else:
            steps = tf.range(1, advantage.shape[0] + 1)
            past = before / tf.cast(steps, before.dtype)[:, tf.newaxis]
        return advantage + self.weight * past * others
