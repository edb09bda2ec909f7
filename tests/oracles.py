"""Slow oracles in NumPy, in the notation of the papers.

They are written from the definitions and import nothing of the library. What
is computed from parameters holds for complex ones too, so that inner gradients
can be taken by the complex step, which loses no digits.
"""

import functools
import itertools

import numpy as np

# --- Memory-one policies in iterated matrix games ---------------------------


def policy(theta):
    """pi(a | o), `[O, A]`, from logits `[O, A]` or log-odds of 0 `[O, 1]`."""
    theta = np.asarray(theta)
    if theta.shape[1] == 1:
        theta = np.concatenate([theta, np.zeros_like(theta)], axis=1)
    weights = np.exp(theta - np.max(theta.real, axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def observation(previous, player_id, num_actions):
    """Number of what a player sees of the previous joint action.

    Its own action first, then those of seats i+1, i+2, ... modulo N,
    row-major; the start (`None`) last.
    """
    if previous is None:
        return int(np.prod(num_actions))
    number = 0
    for k in range(len(num_actions)):
        seat = (player_id + k) % len(num_actions)
        number = number * num_actions[seat] + previous[seat]
    return number


def joint_actions(num_actions):
    """All joint actions, row-major."""
    return list(itertools.product(*(range(count) for count in num_actions)))


@functools.cache
def _rows_and_actions(num_actions):
    """For each player what it sees `[S]`, and what it does `[prod A]`."""
    joints = joint_actions(num_actions)
    rows = [
        [observation(previous, i, num_actions) for previous in [*joints, None]]
        for i in range(len(num_actions))
    ]
    return np.array(rows), np.array(joints).T


def joint_policy(thetas, num_actions):
    """Pi[s, a], joint action a after joint action s, the start last."""
    rows, actions = _rows_and_actions(tuple(num_actions))
    pi = 1.0
    for theta, own_rows, own_actions in zip(thetas, rows, actions, strict=True):
        pi = pi * policy(theta)[own_rows[:, np.newaxis], own_actions]
    return pi


def state_distributions(thetas, num_actions, episode_length):
    """p_t(s) for t < T, `[T, S]`: which joint action came before step t."""
    pi = joint_policy(thetas, num_actions)
    p = np.zeros(len(pi), pi.dtype)
    p[-1] = 1.0
    distributions = []
    for _ in range(episode_length):
        distributions.append(p)
        p = np.append(p @ pi, 0.0)
    return np.array(distributions)


def values(payoffs, thetas, discount, episode_length):
    """V_i = sum_t gamma^t E[r_i,t], one per player."""
    payoffs = np.asarray(payoffs, np.float64)
    num_actions = payoffs.shape[1:]
    pi = joint_policy(thetas, num_actions)
    flat = payoffs.reshape(len(payoffs), -1)
    total = np.zeros(len(payoffs), pi.dtype)
    distributions = state_distributions(thetas, num_actions, episode_length)
    for t, p in enumerate(distributions):
        total = total + discount**t * (flat @ (p @ pi))
    return total


def state_values(payoffs, thetas, discount, num_steps):
    """V_i(s) with `num_steps` to go, `[S, N]`, by backward induction."""
    payoffs = np.asarray(payoffs, np.float64)
    pi = joint_policy(thetas, payoffs.shape[1:])
    flat = payoffs.reshape(len(payoffs), -1)
    v = np.zeros((len(pi), len(payoffs)))
    for _ in range(num_steps):
        v = pi @ (flat.T + discount * v[:-1])
    return v


# --- Any Markov game, by its tables -----------------------------------------


def markov_values(rewards, transitions, initial, policies, discount, length):
    """V_i, with pi_i(a | s) given per player, summing over everything."""
    num_actions = np.shape(rewards)[2:]
    p, total = np.asarray(initial), np.zeros(len(rewards))
    for t in range(length):
        following = np.zeros_like(p)
        for s, joint in itertools.product(
            range(len(p)), joint_actions(num_actions)
        ):
            chance = p[s] * np.prod(
                [pi[s, a] for pi, a in zip(policies, joint, strict=True)]
            )
            for i in range(len(rewards)):
                total[i] += discount**t * chance * rewards[(i, s, *joint)]
            following += chance * transitions[(s, *joint)]
        p = following
    return total


# --- Sums over time ---------------------------------------------------------


def discount_weights(discounts):
    """d_t: the product of the discounts before t, per episode, `[T, B]`."""
    weights = np.ones_like(discounts)
    for t in range(1, len(discounts)):
        weights[t] = weights[t - 1] * discounts[t - 1]
    return weights


def returns_to_go(rewards, discounts):
    """G_t = r_t + gamma_t G_(t+1)."""
    result, following = np.zeros_like(rewards), 0.0
    for t in reversed(range(len(rewards))):
        following = rewards[t] + discounts[t] * following
        result[t] = following
    return result


def leave_one_out_mean(x):
    """Mean over the other episodes, `[T, B]`."""
    return np.stack(
        [np.delete(x, b, axis=1).mean(axis=1) for b in range(x.shape[1])],
        axis=1,
    )


# --- Derivatives ------------------------------------------------------------


def gradient(f, x, step=1e-5):
    """Central differences, of an error of about `step**2`."""
    x = np.asarray(x)
    result = np.zeros(x.shape)
    for index in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        result[index] = (f(up) - f(down)) / (2 * step)
    return result


def complex_step_gradient(f, x):
    """Derivatives of an analytic f, exact to rounding."""
    x = np.asarray(x)
    result = np.zeros(x.shape)
    for index in np.ndindex(*x.shape):
        moved = x.astype(np.complex128)
        moved[index] += 1e-30j
        result[index] = np.imag(f(moved)) / 1e-30
    return result


def replace(thetas, player_id, theta):
    """Returns the parameters of all, with those of one player replaced."""
    return [theta if i == player_id else own for i, own in enumerate(thetas)]


# --- LOLA-DiCE --------------------------------------------------------------


def look_ahead(value, thetas, player_id, num_lookaheads, rates, momentum=0.0):
    """theta_-i^K: K simultaneous steps of ascent of all but one player.

    `value(thetas)` gives one value per player, `rates` one rate per player.
    """
    opponents = [j for j in range(len(thetas)) if j != player_id]
    speed = {j: np.zeros_like(thetas[j]) for j in opponents}
    for _ in range(num_lookaheads):
        gradients = {
            j: complex_step_gradient(
                lambda x, j=j, at=thetas: value(replace(at, j, x))[j],
                thetas[j],
            )
            for j in opponents
        }
        for j in opponents:
            speed[j] = momentum * speed[j] + gradients[j]
            thetas = replace(thetas, j, thetas[j] + rates[j] * speed[j])
    return thetas


def lola_dice(value, thetas, player_id, num_lookaheads, rates, momentum=0.0):
    """d/dtheta_i V_i(theta_i, theta_-i^K(theta_i)), the total derivative."""
    return gradient(
        lambda x: value(
            look_ahead(
                value,
                replace(thetas, player_id, x),
                player_id,
                num_lookaheads,
                rates,
                momentum,
            )
        )[player_id],
        thetas[player_id],
    )


def without_shaping(value, thetas, player_id, num_lookaheads, rates):
    """The same direction with the opponents' steps held constant."""
    reached = look_ahead(value, thetas, player_id, num_lookaheads, rates)
    return complex_step_gradient(
        lambda x: value(replace(reached, player_id, x))[player_id],
        thetas[player_id],
    )
