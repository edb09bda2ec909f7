"""LOLA-DiCE in PyTorch as the public ports have it, to measure against.

Written by us in their manner: a Python loop over time, categorical samples
step by step, log-probabilities kept as lists, autograd through the stacked
graph, one tabular critic per player, Adam. Nothing is tuned, nothing slowed.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

_PAYOFFS = torch.tensor([[-1.0, -3.0], [0.0, -2.0]])
_DISCOUNT = 0.96


class Agent:
    """A player: log-odds of cooperating in five states, and their values."""

    def __init__(self):
        self.theta = torch.empty(5).uniform_(-1, 1).requires_grad_()
        self.values = torch.zeros(5, requires_grad=True)
        self.optimizer = torch.optim.Adam([self.theta], lr=0.01)
        self.critic_optimizer = torch.optim.Adam([self.values], lr=0.1)


def _act(states: torch.Tensor, theta: torch.Tensor, values: torch.Tensor):
    chances = torch.sigmoid(theta)[states]
    distribution = torch.distributions.Bernoulli(1 - chances)
    actions = distribution.sample()
    return actions, distribution.log_prob(actions), values[states]


def _play(
    thetas: Sequence[torch.Tensor],
    values: Sequence[torch.Tensor],
    batch_size: int,
    length: int,
) -> dict[str, Any]:
    states = [torch.full([batch_size], 4) for _ in range(2)]
    memory = {"log_probs": [[], []], "values": [[], []], "rewards": [[], []]}
    for _ in range(length):
        steps = [_act(states[i], thetas[i], values[i]) for i in range(2)]
        actions = [step[0].long() for step in steps]
        for i in range(2):
            action, opponent_action = actions[i], actions[1 - i]
            memory["log_probs"][i].append(steps[i][1])
            memory["values"][i].append(steps[i][2])
            memory["rewards"][i].append(_PAYOFFS[action, opponent_action])
            states[i] = 2 * action + opponent_action
    return {
        name: [torch.stack(values) for values in players]
        for name, players in memory.items()
    }


def _objective(memory: dict[str, Any], player: int) -> torch.Tensor:
    rewards = memory["rewards"][player]
    weights = _DISCOUNT ** torch.arange(len(rewards))[:, None]
    scores = sum(memory["log_probs"])
    sums = torch.cumsum(scores, dim=0)
    values = memory["values"][player].detach()
    objective = (_box(sums) * weights * rewards).sum(0)
    objective += ((_box(sums - scores) - _box(sums)) * weights * values).sum(0)
    return objective.mean()


def _box(x: torch.Tensor) -> torch.Tensor:
    return torch.exp(x - x.detach())


def _train_critic(agent: Agent, memory: dict[str, Any], player: int) -> None:
    rewards = memory["rewards"][player]
    following, returns = torch.zeros_like(rewards[0]), []
    for reward in rewards.flip(0):
        following = reward + _DISCOUNT * following
        returns.append(following)
    errors = torch.stack(returns[::-1]) - memory["values"][player]
    agent.critic_optimizer.zero_grad()
    (errors**2).mean().backward()
    agent.critic_optimizer.step()


def make_agents(seed: int = 0) -> list[Agent]:
    """Returns both players."""
    torch.manual_seed(seed)
    return [Agent(), Agent()]


def iterate(
    agents: Sequence[Agent],
    batch_size: int,
    length: int,
    num_lookaheads: int,
    inner_learning_rate: float,
) -> float:
    """Moves both players once; returns the mean reward of player 0."""
    values = [agent.values for agent in agents]
    directions, plays = [], []
    for i in range(2):
        thetas = [
            agent.theta.detach().clone().requires_grad_() for agent in agents
        ]
        for _ in range(num_lookaheads):
            memory = _play(thetas, values, batch_size, length)
            plays.append(memory)
            (gradient,) = torch.autograd.grad(
                _objective(memory, 1 - i), thetas[1 - i], create_graph=True
            )
            thetas[1 - i] = thetas[1 - i] + inner_learning_rate * gradient
        memory = _play(thetas, values, batch_size, length)
        plays.append(memory)
        (direction,) = torch.autograd.grad(_objective(memory, i), thetas[i])
        directions.append(direction)
    for i, (agent, direction) in enumerate(
        zip(agents, directions, strict=True)
    ):
        agent.optimizer.zero_grad()
        agent.theta.grad = -direction
        agent.optimizer.step()
        _train_critic(agent, plays[0], i)
    return float(np.mean(plays[0]["rewards"][0].numpy()))
