"""Directions made of advantages, step by step, in the papers' notation."""

import numpy as np

from tests import oracles


def end_of(discounts):
    """Number of the last step of an episode, of its discounts `[T]`."""
    ended = np.flatnonzero(discounts == 0.0)
    return ended[0] if ended.size else len(discounts) - 1


def generalized_advantages(rewards, values, gamma, tau):
    """A_t = sum_k (gamma tau)^k delta_{t+k} of one episode, all `[T]`."""
    following = np.append(values[1:], 0.0)
    delta = rewards + gamma * following - values
    return np.array(
        [
            sum(
                (gamma * tau) ** (k - t) * delta[k]
                for k in range(t, len(delta))
            )
            for t in range(len(delta))
        ]
    )


def aligned(advantages, i, gamma, beta, past):
    """A*_t of player i of one episode, from advantages `[N, T]`."""
    A_i = advantages[i]
    others = [A for j, A in enumerate(advantages) if j != i]
    result = []
    for t in range(len(A_i)):
        if past == "discounted":
            before = gamma * sum(gamma ** (t - k) * A_i[k] for k in range(t))
        else:
            before = sum(A_i[:t]) / (1 + t)
        result.append(A_i[t] + beta * before * sum(A[t] for A in others))
    return np.array(result)


def scores(theta, row, action):
    """d log pi(action | row) / d theta, for a table of logits or log-odds."""
    result = np.zeros_like(theta)
    pi = oracles.policy(theta)[row]
    if theta.shape[1] == 1:
        result[row, 0] = (action == 0) - pi[0]
    else:
        result[row] = (np.arange(len(pi)) == action) - pi
    return result


def direction(trajectory, theta, i, values, *, gamma, tau, credit):
    """Gradient of the mean over running steps of log pi_i A*.

    Args:
      trajectory: the play.
      theta: the table of player i.
      i: the player.
      values: `[N, T, B]`, state values.
      gamma: discount.
      tau: of the advantages.
      credit: from advantages `[N, T]` of an episode to `[T]`.
    """
    discounts = trajectory.discounts.numpy()
    rows = np.argmax(trajectory.observations[i], axis=-1)
    actions = trajectory.actions[i].numpy()
    total, count = np.zeros_like(theta), 0
    for b in range(discounts.shape[1]):
        steps = slice(0, end_of(discounts[:, b]) + 1)
        advantages = [
            generalized_advantages(r.numpy()[steps, b], v[steps, b], gamma, tau)
            for r, v in zip(trajectory.rewards, values, strict=True)
        ]
        for t, A in enumerate(credit(np.array(advantages))):
            total += A * scores(theta, rows[t, b], actions[t, b])
            count += 1
    return total / count


class ExactLOQA:
    """LOQA in a Markov game, by loops over steps, states and joint actions.

    Args:
      game: its tables.
      policies: pi_i(a | s), `[S, A_i]`, of all players.
      gamma: discount.
    """

    def __init__(self, game, policies, gamma):
        self.game, self.policies, self.gamma = game, policies, gamma
        self.joints = oracles.joint_actions(game.num_actions)
        self.length, self.num_states = game.episode_length, game.num_states
        self.V = self.values(policies)
        self.chances = self.state_chances()

    def chance(self, policies, s, joint, without=None):
        """Probability of a joint action, without one player's."""
        chance = 1.0
        for i, action in enumerate(joint):
            if i != without:
                chance *= policies[i][s, action]
        return chance

    def outcome(self, V, t, s, joint, i):
        """r_i + gamma E V_i,t+1, with V `[T + 1, S, N]`."""
        following = self.game.transitions[(s, *joint)] @ V[t + 1, :, i]
        return self.game.rewards[(i, s, *joint)] + self.gamma * following

    def values(self, policies):
        V = np.zeros((self.length + 1, self.num_states, len(policies)))
        for t in reversed(range(self.length)):
            for s in range(self.num_states):
                for joint in self.joints:
                    chance = self.chance(policies, s, joint)
                    for i in range(len(policies)):
                        V[t, s, i] += chance * self.outcome(V, t, s, joint, i)
        return V

    def state_chances(self):
        d = np.zeros((self.length, self.num_states))
        d[0] = self.game.initial
        for t in range(1, self.length):
            for s in range(self.num_states):
                for joint in self.joints:
                    chance = d[t - 1, s] * self.chance(self.policies, s, joint)
                    d[t] += chance * self.game.transitions[(s, *joint)]
        return d

    def action_values(self, t, s, j):
        """Q_j(s, b) at step t, `[A_j]`."""
        Q = np.zeros(self.game.num_actions[j])
        for joint in self.joints:
            chance = self.chance(self.policies, s, joint, without=j)
            Q[joint[j]] += chance * self.outcome(self.V, t, s, joint, j)
        return Q

    def moved_values(self, i, pi_i, j, decay):
        """How V_j moves with pi_i, `[T + 1, S]`: to first order if decayed."""
        policies = list(self.policies)
        policies[i] = pi_i
        if decay == 1.0:
            return self.values(policies)[..., j] - self.V[..., j]
        U = np.zeros((self.length + 1, self.num_states))
        for t in reversed(range(self.length)):
            for s in range(self.num_states):
                for joint in self.joints:
                    others = self.chance(self.policies, s, joint, without=i)
                    change = pi_i[s, joint[i]] - self.policies[i][s, joint[i]]
                    Q = self.outcome(self.V, t, s, joint, j)
                    following = self.game.transitions[(s, *joint)] @ U[t + 1]
                    chance = self.chance(self.policies, s, joint)
                    U[t, s] += others * change * Q
                    U[t, s] += self.gamma * decay * chance * following
        return U

    def mean(self, i, pi_i, weight, decay):
        """mean_t E A_i,t [log pi_i + w sum_j log q_j,t], with pi_i in it."""
        opponents = [j for j in range(len(self.policies)) if j != i]
        moved = {j: self.moved_values(i, pi_i, j, decay) for j in opponents}
        total = 0.0
        for t, s in np.argwhere(self.chances > 0.0):
            Q = {j: self.action_values(t, s, j) for j in opponents}
            for joint in self.joints:
                chance = self.chance(self.policies, s, joint)
                if chance == 0.0:
                    continue
                chance *= self.chances[t, s]
                for after, p in enumerate(self.game.transitions[(s, *joint)]):
                    A = self.game.rewards[(i, s, *joint)] - self.V[t, s, i]
                    A += self.gamma * self.V[t + 1, after, i]
                    shaped = np.log(pi_i[s, joint[i]])
                    for j in opponents:
                        change = self.gamma * moved[j][t + 1, after]
                        shaped += weight * self.log_q(Q[j], j, s, joint, change)
                    total += chance * p * A * shaped
        return total / self.length

    def log_q(self, Q, j, s, joint, change):
        weights = np.exp(Q) * (self.policies[j][s] > 0.0)
        taken = weights[joint[j]] * np.exp(change)
        return np.log(taken / (taken + weights.sum() - weights[joint[j]]))


def sampled_loqa(played, i, probabilities, *, gamma, weight, decay, scores_of):
    """LOQA's direction from what was played, episode by episode.

    Args:
      played: rewards, values, advantages and action values, `[T, B]`.
      i: the player.
      probabilities: bool `[T, B, A_j]` by opponent, actions that are possible.
      gamma: discount.
      weight: w.
      decay: d.
      scores_of: from t and b to the score of the action.
    """
    discounts = played.trajectory.discounts.numpy()
    total, count = 0.0, 0
    for b in range(discounts.shape[1]):
        steps = range(end_of(discounts[:, b]) + 1)
        v = np.append(played.values[i].numpy()[: len(steps), b], 0.0)
        for t in steps:
            A = played.rewards[i].numpy()[t, b] + gamma * v[t + 1] - v[t]
            term = scores_of(t, b)
            for j, possible in probabilities.items():
                change = 0.0
                for k in steps[t + 1 :]:
                    A_j = played.advantages[j].numpy()[k, b]
                    fading = gamma * (gamma * decay) ** (k - t - 1)
                    change = change + fading * A_j * scores_of(k, b)
                Q = np.exp(played.action_values[j].numpy()[t, b])
                Q = np.where(possible[t, b], Q, 0.0)
                share = Q[played.trajectory.actions[j].numpy()[t, b]] / Q.sum()
                term = term + weight * (1.0 - share) * change
            total += A * term
            count += 1
    return total / count
