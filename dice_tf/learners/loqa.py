"""LOQA: shaping opponents that act by what their actions are worth."""

import tensorflow as tf

from dice_tf.checks import check_number
from dice_tf.estimators.returns import generalized_advantages, returns_to_go
from dice_tf.learners.learner import (
    Situation,
    StatelessLearner,
    gradient_of,
)
from dice_tf.learners.loqa_closed_form import expected_alignment
from dice_tf.objectives.advantages import Advantages
from dice_tf.objectives.objective import Objective
from dice_tf.seeds import Seed


class LOQA(StatelessLearner):
    """Shapes opponents that choose an action by its value.

    Every opponent j is taken to play the softmax of its action values `Q_j`.
    They depend on what player i will do later, so that the player can move
    them. Its direction is the gradient of a mean over all steps of the play,

      `mean_t A_i,t [log pi_i(a_i,t | o_i,t) + w sum_j log q_j,t]`,
      `q_j,t = exp Q^_j,t / (exp Q^_j,t + sum_{b != a_j,t} exp Q_j(o_j,t, b))`,

    with its one-step advantages `A_i,t = r_i,t + discount v_i,t+1 - v_i,t`
    held constant. The values of actions that were not taken are constants.
    `Q^_j,t` has the value `Q_j(o_j,t, a_j,t)`, and the derivative of what
    opponent j earns from the next step on,

      `discount sum_{k>t} (discount d)^(k-t-1) A_j,k dlog pi_i(a_i,k | o_i,k)`,

    with the advantages of the objective. A `decay` d below 1 leaves out what
    the player does much later. With `weight=0` it is `ActorCritic` with
    one-step advantages. Actions that the opponent's policy never takes are
    left out of the softmax.

    On a sampled objective the critics of the opponents must value actions, see
    `dice_tf.critics`. The action values are then theirs. On an
    `ExactObjective`, with an episode length, everything is exact: the
    direction is the expectation of the sampled one that has exact action
    values for critics. There is no form for continuous actions.

    If all action values had their derivatives, the normaliser would add nothing
    on average, since the mean advantage in a state is 0. Without it, with
    `decay=1` and w times the discount for w, the rule is that of
    `AdvantageAlignment` in its discounted form.

    `dice_tf.diagnostics.shaping_share` sees how LOQA shapes on sampled
    objectives only: in closed form it reads no value of the objective.

    Args:
      weight: `w`, at least 0.
      decay: `d`, in [0, 1].

    Raises:
      TypeError, ValueError: if an argument is out of its range; on a step, if
        a player's actions are not a finite set, or if the objective has
        neither such critics nor exact values of finitely many steps.

    Example:
      >>> critics = [
      ...     dice_tf.critics.tabular_critic(game, i, action_values=True)
      ...     for i in range(2)
      ... ]
      >>> objective = dice_tf.objectives.DiCEObjective(
      ...     game, policies, 0.96, 64, "critic", critics, critic_td_lambda=0.0
      ... )
      >>> direction = dice_tf.learners.LOQA().gradient(
      ...     objective, params, 0, seed
      ... )

    References:
      Aghajohari et al. 2024 (LOQA: Learning with Opponent Q-Learning
      Awareness). There `Q^_j,t` has the value of the sampled return.
    """

    def __init__(self, weight: float = 1.0, *, decay: float = 0.9):
        self.weight = check_number("weight", weight, 0.0)
        self.decay = check_number("decay", decay, 0.0, 1.0)

    def direction(self, situation: Situation) -> list[tf.Tensor]:
        objective, params, player_id, seed = situation

        def ascend(task: Objective, task_seed: Seed | None) -> list[tf.Tensor]:
            _check_actions(task)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(params[player_id])
                if task.batch_size is None:
                    value = expected_alignment(
                        task, params, player_id, self.weight, self.decay
                    )
                else:
                    played = task.advantages(params, task_seed)
                    value = self._sampled_alignment(played, player_id)
            return gradient_of(tape, value, params[player_id])

        return objective.average(ascend, seed)

    def _sampled_alignment(
        self, played: Advantages, player_id: int
    ) -> tf.Tensor:
        """Returns the mean that the player ascends, a scalar."""
        advantages = generalized_advantages(
            played.rewards[player_id],
            played.values[player_id],
            discount=played.discounts,
            tau=0.0,
        )
        log_probs = played.log_probs[player_id]
        for j in range(len(played.rewards)):
            if j != player_id:
                log_probs += self.weight * self._opponent_log_probs(
                    played, player_id, j
                )
        return played.mean(advantages * log_probs)

    def _opponent_log_probs(
        self, played: Advantages, player_id: int, opponent: int
    ) -> tf.Tensor:
        """Returns `log q_j` of the actions that an opponent took, `[T, B]`."""
        action_values = played.action_values[opponent]
        if action_values is None:
            raise ValueError(
                "LOQA needs critics of action values for all opponents, with "
                "baseline='critic', such as "
                "dice_tf.critics.mlp_critic(game, player_id, "
                f"action_values=True). Received none for player {opponent}."
            )
        log_probs = played.log_probs[player_id]
        score = log_probs - tf.stop_gradient(log_probs)
        later = returns_to_go(
            played.advantages[opponent] * score, played.discounts * self.decay
        )
        following = tf.concat([later[1:], tf.zeros_like(later[:1])], axis=0)
        changes = played.discounts * following
        actions = played.trajectory.actions[opponent][..., tf.newaxis]
        is_taken = actions == tf.range(action_values.shape[-1])
        nothing = tf.zeros_like(action_values)
        changes = tf.where(is_taken, changes[..., tf.newaxis], nothing)
        all_log_probs = tf.nn.log_softmax(action_values + changes)
        return tf.reduce_sum(tf.where(is_taken, all_log_probs, nothing), -1)


def _check_actions(objective: Objective) -> None:
    """Raises if the actions of a player are not a finite set."""
    for player_id, actor in enumerate(objective.actors):
        if actor.num_actions is None:
            raise ValueError(
                "LOQA needs finite sets of actions, of which an opponent "
                f"chooses by their values. Those of player {player_id} are "
                "continuous. Use AdvantageAlignment."
            )
