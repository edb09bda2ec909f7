"""Learners from the definitions in the papers, in NumPy, for values.

Every rule is a function of numbers that are computed elsewhere: the value
gradients `G[i][j] = dV_i / dtheta_j` and the second derivatives
`H[i][j][k] = d^2 V_i / dtheta_j dtheta_k`, of players' parameters as vectors.
"""

from typing import NamedTuple

import numpy as np

from tests import oracles


class Derivatives(NamedTuple):
    """First and second derivatives of all values at a point."""

    G: list
    H: list

    @property
    def players(self):
        return range(len(self.G))

    def others(self, i):
        return [j for j in self.players if j != i]

    @property
    def g(self):
        """The stack of all players' own gradients."""
        return np.concatenate([self.G[i][i] for i in self.players])

    @property
    def J(self):
        """Its Jacobian."""
        return np.block(
            [[self.H[i][i][j] for j in self.players] for i in self.players]
        )

    def part(self, stacked, i):
        """Player i's part of a stack."""
        sizes = [len(self.G[j][j]) for j in self.players]
        start = sum(sizes[:i])
        return stacked[start : start + sizes[i]]


# --- Where the derivatives come from ----------------------------------------


class Quadratic:
    """V_i = theta^T Q_i theta / 2 + r_i^T theta, with symmetric Q_i."""

    def __init__(self, sizes, seed, scale=1.0):
        rng = np.random.default_rng(seed)
        total = sum(sizes)
        self.sizes, self.ends = sizes, np.cumsum(sizes)
        Q = rng.normal(size=(len(sizes), total, total)) * scale
        self.Q = Q + np.swapaxes(Q, 1, 2)
        self.r = rng.normal(size=(len(sizes), total))

    def split(self, stacked):
        return np.split(stacked, self.ends[:-1])

    def derivatives(self, theta):
        players = range(len(self.sizes))
        G = [self.split(self.Q[i] @ theta + self.r[i]) for i in players]
        H = [
            [np.split(rows, self.ends[:-1], axis=1) for rows in self.split(Q)]
            for Q in self.Q
        ]
        return Derivatives(G, H)

    def hola(self, theta, i, order, rates):
        """d_i^n, from the affine maps d_j^(n-1)(theta) = D_j theta + e_j."""
        D, e = self.hola_map(i, order, rates)
        return D @ theta + e

    def hola_map(self, i, order, rates):
        entries = slice(self.ends[i] - self.sizes[i], self.ends[i])
        M, shift = np.eye(self.ends[-1]), np.zeros(self.ends[-1])
        for j in range(len(self.sizes)):
            if order and j != i:
                D, e = self.hola_map(j, order - 1, rates)
                rows = slice(self.ends[j] - self.sizes[j], self.ends[j])
                M[rows] += rates[j] * D
                shift[rows] += rates[j] * e
        # V_i(M theta + shift), differentiated in theta_i.
        D = M.T @ self.Q[i] @ M
        e = M.T @ (self.Q[i] @ shift + self.r[i])
        return D[entries], e[entries]


def matrix_game_derivatives(payoffs, thetas, discount, length, step=1e-4):
    """Those of an iterated game; second ones by differences of exact ones."""
    shapes = [theta.shape for theta in thetas]

    def gradients(vectors):
        at = [x.reshape(s) for x, s in zip(vectors, shapes, strict=True)]
        return [
            [
                oracles.complex_step_gradient(
                    lambda x, i=i, j=j: oracles.values(
                        payoffs, oracles.replace(at, j, x), discount, length
                    )[i],
                    at[j],
                ).ravel()
                for j in range(len(at))
            ]
            for i in range(len(at))
        ]

    vectors = [theta.ravel() for theta in thetas]
    players = range(len(vectors))
    slopes = []
    for k in players:
        columns = []
        for direction in np.eye(len(vectors[k])):
            up, down = (
                gradients(
                    oracles.replace(vectors, k, vectors[k] + s * direction)
                )
                for s in (step, -step)
            )
            columns.append(
                [
                    [(up[i][j] - down[i][j]) / (2 * step) for j in players]
                    for i in players
                ]
            )
        slopes.append(columns)
    H = [
        [
            [np.stack([c[i][j] for c in slopes[k]], axis=1) for k in players]
            for j in players
        ]
        for i in players
    ]
    return Derivatives(gradients(vectors), H)


# --- Opponent shaping -------------------------------------------------------


def naive(at, i):
    return at.G[i][i]


def look_ahead_term(at, i, rates):
    return sum(
        (rates[j] * at.H[i][i][j] @ at.G[j][j] for j in at.others(i)),
        np.zeros_like(at.G[i][i]),
    )


def shaping_term(at, i, rates):
    return sum(
        (rates[j] * at.H[j][i][j] @ at.G[i][j] for j in at.others(i)),
        np.zeros_like(at.G[i][i]),
    )


def look_ahead(at, i, rates):
    return naive(at, i) + look_ahead_term(at, i, rates)


def lola(at, i, rates):
    return naive(at, i) + shaping_term(at, i, rates)


def lola_full_gradient(at, i, rates):
    return look_ahead(at, i, rates) + shaping_term(at, i, rates)


def sos_weight(at, rates, a, b):
    """p, in the paper's notation: losses L = -V, xi_0 and -alpha chi."""
    xi = -at.g
    xi_0 = -np.concatenate([look_ahead(at, i, rates) for i in at.players])
    minus_alpha_chi = -np.concatenate(
        [shaping_term(at, i, rates) for i in at.players]
    )
    product = minus_alpha_chi @ xi_0
    p_1 = 1.0
    if product < 0:
        p_1 = min(1.0, -a * np.linalg.norm(xi_0) ** 2 / product)
    p_2 = np.linalg.norm(xi) ** 2 if np.linalg.norm(xi) < b else 1.0
    return min(p_1, p_2)


def sos(at, i, rates, a=0.5, b=0.1):
    p = sos_weight(at, rates, a, b)
    return look_ahead(at, i, rates) + p * shaping_term(at, i, rates)


# --- Game optimisation, for losses: xi = -g, H = -J, moving along -result ---


def consensus(at, i, weight):
    xi, H = -at.g, -at.J
    return -at.part(xi + weight * H.T @ xi, i)


def symplectic(at, i, weight, epsilon):
    xi, H = -at.g, -at.J
    A = (H - H.T) / 2
    slope = H.T @ xi
    sign = np.sign(xi @ slope * ((A.T @ xi) @ slope) / len(xi) + epsilon)
    return -at.part(xi + sign * weight * A.T @ xi, i)


def competitive(at, i, rates):
    xi, H = -at.g, -at.J
    owners = np.concatenate([np.full(len(at.G[j][j]), j) for j in at.players])
    H_o = np.where(owners[:, None] == owners[None, :], 0.0, H)
    alphas = np.asarray(rates)[owners]
    inverse = np.linalg.inv(np.eye(len(xi)) + H_o * alphas)
    return -at.part(inverse @ xi, i)


def local_symplectic_surgery(at, i, regularization, singular=False):
    xi, H = -at.g, -at.J
    if singular:
        inverse = np.linalg.inv(H.T @ H + regularization * np.eye(len(H))) @ H.T
    else:
        inverse = np.linalg.inv(H)
    return -at.part((np.eye(len(H)) + H.T @ inverse) @ xi / 2, i)
