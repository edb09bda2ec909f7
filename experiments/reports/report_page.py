"""The page of a report: one HTML file that loads nothing from outside."""

import base64
import html
from collections.abc import Iterable, Sequence
from typing import Any

from . import report_plot
from .comparison import Comparison
from .estimates import Interval

# More pairs are in the table only.
_MOST_PAIRS = 30

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #222; margin: 0 auto;
  max-width: 60rem; padding: 1rem; }}
h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.2rem; margin-top: 2.5rem; }}
div {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: 0.9rem; }}
th, td {{ border-bottom: 1px solid #ddd; padding: 0.35rem 0.7rem;
  text-align: right; white-space: nowrap; vertical-align: top; }}
th:first-child, td:first-child {{ text-align: left; }}
td small {{ color: #666; display: block; }}
img {{ max-width: 100%; height: auto; }}
td code {{ display: block; text-align: left; }}
code {{ overflow-wrap: anywhere; font-size: 0.85rem; }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""

_NOTE = (
    "Scores are the final joint returns of single runs, which differ in their "
    "seed. The interquartile mean is the mean of the middle half of them. "
    "Brackets, bars and bands are 95 % confidence intervals by the stratified "
    "bootstrap, from {num_resamples} resamples of the runs. The estimators are "
    "those of Agarwal et al. 2021, Deep Reinforcement Learning at the Edge of "
    "the Statistical Precipice; their median over games is the mean here, "
    "where there is one game. Runs that have failed, as their numbers are not "
    "finite, are counted and left out."
)
_GAP_NOTE = (
    "The optimality gap is how much the runs miss {best}, the best joint "
    "return, on average."
)


def page(comparison: Comparison, num_resamples: int) -> str:
    """Returns the HTML of a report.

    Args:
      comparison: what is reported.
      num_resamples: of each interval.
    """
    game = comparison.methods[0].game
    name = str(game["game"]).replace("_", " ")
    details = ", ".join(
        f"{key.replace('_', ' ')} {value}"
        for key, value in game.items()
        if key != "game" and value is not None
    )
    note = _NOTE.format(num_resamples=num_resamples)
    if comparison.best is not None:
        note += " " + _GAP_NOTE.format(best=_number(comparison.best))
    parts = [
        _paragraph(f"With {details}." if details else ""),
        _estimates(comparison),
        _picture("Estimates", report_plot.plot_estimates(comparison)),
        _paragraph(note),
        "<h2>Learning curves</h2>",
        _picture(
            "Interquartile mean of the joint return by iteration",
            report_plot.plot_learning_curves(comparison),
        ),
        "<h2>Performance profile</h2>",
        _paragraph(
            "The share of runs that end above a return: a line above another "
            "one everywhere is that of the better method."
        ),
        _picture(
            "Share of runs above each final return",
            report_plot.plot_profiles(comparison),
        ),
        *_improvements(comparison),
        "<h2>Runs</h2>",
        _table(
            ["method", "folder", "command"],
            (
                [x.label, f"<code>{_text(x.folder)}</code>"]
                + [f"<code>{_text(x.command)}</code>"]
                for x in comparison.methods
            ),
        ),
    ]
    title = _text(f"Methods in the game {name}")
    return _PAGE.format(title=title, body="\n".join(filter(None, parts)))


def _estimates(comparison: Comparison) -> str:
    """Returns the table of estimates."""
    first = comparison.methods[0].label
    names = list(comparison.estimates[first])
    return _table(
        ["method", *(name.replace("_", " ") for name in names)]
        + ["runs", "failed"],
        (
            [_text(x.label)]
            + [_cell(comparison.estimates[x.label][name]) for name in names]
            + [str(len(x.scores)), str(x.num_failed)]
            for x in comparison.methods
        ),
    )


def _improvements(comparison: Comparison) -> list[str]:
    """Returns the section on pairs of methods, nothing if there are none."""
    if not comparison.improvements:
        return []
    labels = [method.label for method in comparison.methods]
    table = _table(
        ["", *map(_text, labels)],
        (
            [_text(row)]
            + [
                _cell(comparison.improvements[row, column])
                if row != column
                else ""
                for column in labels
            ]
            for row in labels
        ),
    )
    text = (
        "How likely a run of the method of a row has a higher final return "
        "than a run of that of a column. Equal returns count half."
    )
    parts = ["<h2>Probability of improvement</h2>", _paragraph(text), table]
    if len(comparison.improvements) <= _MOST_PAIRS:
        parts.append(
            _picture(
                "Probability of improvement of each pair",
                report_plot.plot_improvements(comparison),
            )
        )
    return parts


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a table; the cells are HTML."""
    lines = [f"<tr>{''.join(f'<th>{cell}</th>' for cell in header)}</tr>"]
    for row in rows:
        lines.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>")
    return "<div><table>\n" + "\n".join(lines) + "\n</table></div>"


def _cell(found: Interval) -> str:
    low, high = _number(found.low), _number(found.high)
    return f"{_number(found.value)}<small>[{low}, {high}]</small>"


def _picture(text: str, figure: Any) -> str:
    content = base64.b64encode(report_plot.png(figure)).decode()
    address = f"data:image/png;base64,{content}"
    return f'<p><img alt="{_text(text)}" src="{address}"></p>'


def _paragraph(text: str) -> str:
    return f"<p>{_text(text)}</p>" if text else ""


def _text(text: str) -> str:
    return html.escape(text)


def _number(value: float) -> str:
    # Adding 0 turns -0 into 0.
    return f"{round(float(value), 3) + 0:.3f}".replace("-", "\N{MINUS SIGN}")
