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
