"""A match of two memory-one strategies as a state diagram."""

import pathlib
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, FancyArrowPatch, Wedge

from .pictures import BLUE

DIAGRAM = "state_diagram.png"

# Where the states stand: CC, CD, DC, DD and the start, player 0 first.
_PLACES = np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0], [0.5, 1.5]])
# Player 1 sees its own action first.
_SEEN = ([0, 1, 2, 3, 4], [0, 2, 1, 3, 4])
_START = 4
_NUM_ROUNDS = 1000
_RADIUS = 0.16
# Rarer steps are left out.
_RAREST = 0.02
# Points, of a step that is certain.
_WIDEST = 6.0
_COLORS = matplotlib.colormaps["cividis"]
_ARROW = "#606060"


def has_diagram(tables: Sequence[np.ndarray]) -> bool:
    """Whether these are two memory-one strategies of two actions each."""
    return [np.shape(table) for table in tables] == [(5, 2), (5, 2)]


def step_chances(tables: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the chance of each joint action after each state.

    Args:
      tables: for both players `[5, 2]`, the probabilities of both actions after
        CC, CD, DC, DD, the player's own action first, and at the start.

    Returns:
      `[5, 4]`: from CC, CD, DC, DD, player 0 first, and from the start, to CC,
      CD, DC and DD.
    """
    first, second = (
        table[seen] for table, seen in zip(tables, _SEEN, strict=True)
    )
    return np.einsum("si,sj->sij", first, second).reshape(5, 4)


def visit_shares(chances: np.ndarray) -> np.ndarray:
    """Returns in which share of the rounds each joint action is played.

    Args:
      chances: `[5, 4]`, of `step_chances`.
    """
    now, total = chances[_START], np.zeros(4)
    for _ in range(_NUM_ROUNDS):
        total += now
        now = now @ chances[:_START]
    return total / _NUM_ROUNDS


def plot_states(
    path: pathlib.Path,
    tables: Sequence[np.ndarray],
    letters: Sequence[str],
    players: Sequence[str],
    title: str,
) -> None:
    """Draws what both did last as states, and what follows as arrows.

    A state shows the probability that each player takes action 0: on the left
    player 0, on the right player 1. The width of an arrow is the chance of the
    step.

    Args:
      path: file to write.
      tables: of `step_chances`.
      letters: one for each action.
      players: what each player is called.
      title: of the picture.
    """
    figure = Figure(figsize=(6.0, 6.8), layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set(xlim=(-0.45, 1.45), ylim=(-0.5, 1.85))
    chances = step_chances(tables)
    shares = visit_shares(chances)
    for (state, following), chance in np.ndenumerate(chances):
        if chance >= _RAREST:
            _draw_step(axes, state, following, chance)
    names = [*(x + y for x in letters for y in letters), "start"]
    for state in range(5):
        first = [
            float(table[seen[state], 0])
            for table, seen in zip(tables, _SEEN, strict=True)
        ]
        _draw_state(axes, state, first)
        share = "" if state == _START else f"\n{100 * shares[state]:.0f} %"
        _name_state(axes, state, names[state] + share)
    axes.set_title(title)
    figure.legend(
        handles=_handles(),
        title=f"in a state: P({letters[0]}) of player 0 (left), {players[0]},\n"
        f"and of player 1 (right), {players[1]};\n"
        f"beside it: its share of {_NUM_ROUNDS} rounds",
        loc="outside lower center",
        ncols=4,
        frameon=False,
    )
    figure.savefig(path, dpi=120)


def _draw_state(axes: Axes, state: int, first: Sequence[float]) -> None:
    """Draws both probabilities of action 0 as two halves of a disc."""
    x, y = _PLACES[state]
    for side, value in zip((-1, 1), first, strict=True):
        half = Wedge(
            (x, y),
            _RADIUS,
            90 if side < 0 else 270,
            270 if side < 0 else 90,
            facecolor=_COLORS(value),
            zorder=3,
        )
        axes.add_patch(half)
        axes.text(
            x + side * _RADIUS / 2,
            y,
            f"{value:.2f}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if value <= 0.5 else "black",
            zorder=4,
        )
    axes.add_patch(
        Circle((x, y), _RADIUS, fill=False, edgecolor="black", zorder=4)
    )


def _name_state(axes: Axes, state: int, text: str) -> None:
    """Names a state on the outer side, where there are no arrows."""
    across, along = np.sign(_PLACES[state] - 0.5)
    axes.text(
        *(_PLACES[state] + 1.15 * _RADIUS * np.array([across, along])),
        text,
        ha={-1: "right", 0: "center", 1: "left"}[int(across)],
        va="bottom" if along > 0 else "top",
        fontweight="bold",
    )


def _draw_step(axes: Axes, state: int, following: int, chance: float) -> None:
    """Draws an arrow whose width is the chance of a step."""
    start, end = _PLACES[state], _PLACES[following]
    look = {
        "linewidth": _WIDEST * chance,
        "color": BLUE if state == _START else _ARROW,
        "arrowstyle": "-|>",
        "mutation_scale": 8 + 10 * chance,
        "zorder": 2,
    }
    if state == following:
        # A loop on the outer side.
        side = 1 if start[0] > 0.5 else -1
        tips = [
            start + _RADIUS * np.array([side * np.cos(angle), np.sin(angle)])
            for angle in np.deg2rad([35.0, -35.0])
        ]
        bend = f"arc3,rad={-1.6 * side}"
        axes.add_patch(
            FancyArrowPatch(
                *tips, connectionstyle=bend, shrinkA=0, shrinkB=0, **look
            )
        )
        return
    bend = "arc3,rad=0.14"
    away = (end - start) / np.linalg.norm(end - start)
    # Arrows of both directions lie side by side.
    turned = 0.35 * np.array([away[1], -away[0]])
    leave = start + _RADIUS * _unit(away + turned)
    arrive = end - _RADIUS * _unit(away - turned)
    axes.add_patch(
        FancyArrowPatch(
            leave, arrive, connectionstyle=bend, shrinkA=0, shrinkB=0, **look
        )
    )


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _handles() -> list[Line2D]:
    """Explains widths and colours of arrows."""
    looks = [
        (f"chance {chance:g}", {"color": _ARROW, "linewidth": _WIDEST * chance})
        for chance in (1.0, 0.5, 0.1)
    ]
    looks.append(("at the start", {"color": BLUE}))
    return [Line2D([], [], label=label, **look) for label, look in looks]
