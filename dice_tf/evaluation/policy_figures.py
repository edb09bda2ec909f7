"""Pictures of what policies do, by observation and run."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dice_tf.checks import (
    as_float_array,
    check_installed,
    check_kind,
    check_name,
)

# More columns or rows than this leave no room for numbers in the cells.
_MOST_COLUMNS = 12
_MOST_ROWS = 40
# More panels side by side than this do not fit on a page.
_MOST_PANELS = 3


def policy_figure(
    tables: Sequence[np.ndarray],
    *,
    run_labels: Sequence[str] | None = None,
    run_title: str = "run",
    player_labels: Sequence[str] | None = None,
    state_labels: Sequence[Sequence[str]] | None = None,
    state_title: str = "observation",
    action_labels: Sequence[str] | None = None,
    shown: str | None = None,
    title: str | None = None,
) -> Any:
    """Draws probabilities of actions: per observation, player and run.

    If all players have two actions, one panel per player shows the first. If
    one has more, each player has a row of panels, one for each of its actions,
    which is continued in the next row after three. Colours stand for
    probabilities, as do the numbers in the cells where there is room.

    Args:
      tables: per player `[num_runs, num_observations, num_actions]`.
      run_labels: what each run is called. Default: its number, from 1.
      run_title: what the rows are.
      player_labels: a line on each player. Default: none.
      state_labels: per player, what each observation is called. Default:
        `memory_one_labels`, where there are as many, else numbers.
      state_title: what the columns are.
      action_labels: what each action is called. Default: its number.
      shown: what the colours show the probability of. Default: the first
        action if all players have two, else the one that a panel names.
      title: what the picture is of.

    Returns:
      A `matplotlib.figure.Figure`, to be saved with `savefig`.

    Raises:
      ImportError: without Matplotlib, an extra of dice_tf.
      TypeError, ValueError: if an argument is of another type or shape.
    """
    tables = _check_tables(tables)
    _check_texts(
        run_title=run_title, state_title=state_title, shown=shown, title=title
    )
    _check_labels(
        tables, run_labels, player_labels, state_labels, action_labels
    )
    require_matplotlib()
    from matplotlib.figure import Figure

    num_actions = [table.shape[2] for table in tables]
    is_binary = max(num_actions) <= 2
    num_runs, num_states = tables[0].shape[:2]
    rows = _panel_rows(num_actions)
    num_columns = max(map(len, rows))
    cell = 0.55 if is_binary else 0.42
    width = 1.6 + num_columns * max(3.0, cell * min(num_states, 30))
    height = max(2.1 + 0.36 * min(num_runs, 60), 3.0) * len(rows)
    figure = Figure(figsize=(width, height), layout="constrained")
    grid = figure.subplots(len(rows), num_columns, sharey=True, squeeze=False)
    action_names = action_labels or range(max(num_actions))
    if run_labels is None:
        run_labels = [f"{run + 1}" for run in range(num_runs)]
    for row, all_axes in zip(rows, grid, strict=True):
        for axes in all_axes[len(row) :]:
            axes.remove()
        for axes, (player_id, action) in zip(all_axes, row, strict=False):
            table = tables[player_id]
            image = _draw_panel(axes, table[:, :, action])
            labels = _labels_of(state_labels, num_actions, player_id)
            _label_states(axes, labels, table.shape[1], state_title)
            shown_action = None if is_binary else action_names[action]
            name = _panel_name(player_id, player_labels, shown_action)
            axes.set_title(name, fontsize="medium")
        all_axes[0].set_yticks(np.arange(num_runs), run_labels)
        all_axes[0].set_ylabel(run_title)
    if shown is None:
        shown = "action 0" if is_binary else "the action that a panel names"
    bar = f"probability of {shown}"
    figure.colorbar(image, ax=figure.axes, label=bar, aspect=10 * height)
    if title is not None:
        figure.suptitle(title)
    return figure


def _labels_of(
    labels: Sequence[Sequence[str]] | None,
    num_actions: Sequence[int],
    player_id: int,
) -> Sequence[str]:
    """Returns what a player's observations are called."""
    if labels is not None:
        return labels[player_id]
    return memory_one_labels(num_actions, player_id)


def _panel_name(
    player_id: int, labels: Sequence[str] | None, action: Any
) -> str:
    """Returns the title of a panel; `None` is an action that is not named."""
    name = f"player {player_id}"
    if labels is not None:
        name += f"\n{labels[player_id]}"
    return name if action is None else f"{name}, action {action}"


def _panel_rows(num_actions: Sequence[int]) -> list[list[tuple[int, int]]]:
    """Returns rows of panels, each a player and one of its actions."""
    if max(num_actions) <= 2:
        return [[(player_id, 0) for player_id in range(len(num_actions))]]
    rows = []
    for player_id, count in enumerate(num_actions):
        panels = [(player_id, action) for action in range(count)]
        for start in range(0, count, _MOST_PANELS):
            rows.append(panels[start : start + _MOST_PANELS])
    return rows


def _check_tables(tables: Any) -> list[np.ndarray]:
    """Returns the tables as arrays, or raises if they cannot be drawn."""
    check_kind(
        "tables", tables, (list, tuple), "a list of one array per player"
    )
    if not tables:
        raise ValueError(
            "`tables` must hold one array per player. Received: []."
        )
    arrays = [
        as_float_array(f"tables[{player_id}]", table)
        for player_id, table in enumerate(tables)
    ]
    for player_id, array in enumerate(arrays):
        if array.ndim != 3 or not array.size or len(array) != len(arrays[0]):
            raise ValueError(
                f"`tables[{player_id}]` must have shape [num_runs, "
                "num_observations, num_actions], with as many runs for every "
                f"player. Received shape {array.shape}."
            )
    return arrays


def _check_texts(**texts: Any) -> None:
    for name, text in texts.items():
        check_name(name, text)


def _check_labels(
    tables: list[np.ndarray], runs: Any, players: Any, states: Any, actions: Any
) -> None:
    """Raises if labels are not lists of enough entries, or `None`."""
    num_actions = max(table.shape[2] for table in tables)
    for name, labels, count, kinds in (
        ("run_labels", runs, len(tables[0]), (str, int)),
        ("player_labels", players, len(tables), (str, int)),
        ("state_labels", states, len(tables), (list, tuple)),
        ("action_labels", actions, num_actions, (str, int)),
    ):
        if labels is None:
            continue
        check_kind(name, labels, (list, tuple), "a list of strings, or None")
        if len(labels) < count:
            raise ValueError(
                f"`{name}` must hold {count} entries. Received {len(labels)}."
            )
        for label in labels:
            check_kind(
                name, label, kinds, "a list of strings, or of such lists"
            )


def memory_one_labels(num_actions: Sequence[int], player_id: int) -> list[str]:
    """Returns the last joint actions, the player's first, and `start`."""
    seats = [*num_actions[player_id:], *num_actions[:player_id]]
    return ["".join(map(str, joint)) for joint in np.ndindex(*seats)] + [
        "start"
    ]


def require_matplotlib() -> None:
    """Raises if there is nothing to draw with."""
    check_installed("matplotlib", "Pictures need Matplotlib", "experiments")


def _draw_panel(axes: Any, probabilities: np.ndarray) -> Any:
    """Draws `[num_runs, num_observations]` as a heat map with numbers."""
    image = axes.imshow(
        probabilities, vmin=0.0, vmax=1.0, cmap="cividis", aspect="auto"
    )
    num_runs, num_states = probabilities.shape
    if num_states <= _MOST_COLUMNS and num_runs <= _MOST_ROWS:
        for (run, state), value in np.ndenumerate(probabilities):
            axes.text(
                state,
                run,
                f"{value:.2f}",
                ha="center",
                va="center",
                fontsize="small",
                # The cell of a NaN stays blank, where white would be invisible.
                color="white" if value <= 0.5 else "black",
            )
    axes.tick_params(length=0)
    return image


def _label_states(
    axes: Any, labels: Sequence[str], num_states: int, title: str
) -> None:
    if len(labels) != num_states:
        labels = [str(state) for state in range(num_states)]
    are_long = sum(map(len, labels)) > 40
    axes.set_xticks(
        np.arange(num_states), labels, rotation=90 if are_long else 0
    )
    axes.set_xlabel(title)
