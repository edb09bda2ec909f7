"""The trainings behind what is known of learners, and what they showed."""

from collections.abc import Callable

import numpy as np
from absl import flags

from experiments.comparisons import facts
from experiments.comparisons.averaged_policies import final_tables
from experiments.comparisons.fact_record import Record
from experiments.comparisons.public_goods_facts import (
    mixed_public_goods,
    public_goods,
)
from experiments.results.checks import Check, at_least, at_most
from experiments.results.report import failed_text
from experiments.results.summary import failed_runs
from experiments.settings.defaults import EXACT_DEFAULTS, Defaults, defaults_for
from experiments.settings.line_up import parse_method
from experiments.settings.settings import Settings, resolve

PENNIES_DISCOUNT = 0.9

# Mutual defection in the prisoner's dilemma, and what may be lost to a player
# that always defects.
_DEFECTION = -2.0
_LOSS = 0.1


def matching_pennies(values: flags.FlagValues, record: Record) -> list[Check]:
    """LOLA tosses coins in matching pennies, and naive learners do not."""
    checks = []
    for kind, method in (
        ("exact", "lola"),
        ("dice", "lola_dice_1_lookahead"),
        ("exact", "naive"),
        ("dice", "naive"),
    ):
        name = f"matching pennies, {method}, {kind}"
        settings = _pennies_settings(values, method, kind == "exact")
        record.start(name, settings)
        mixing = facts.mixing(
            final_tables(settings, record.checkpoint, record.tables),
            discount=settings.discount,
        )
        mixed = facts.is_mixed(mixing)
        record.say(
            f"distance from one half: mean {mixing.mean.mean():.3f}, worst "
            f"run {mixing.mean.max():.3f}, worst state "
            f"{mixing.largest.max():.3f}"
        )
        if failed := failed_runs(mixing.mean):
            record.say(failed_text(failed, len(mixed)))
        if method == "naive":
            name = f"{name}: share of runs that mix"
            share = facts.share_of_runs(mixed, mixing.mean)
            checks.append(at_most(name, share, 0.5))
        else:
            checks.append(facts.enough_runs(f"{name}: mixes", mixed, 0.9))
    return checks


def naive_opponent(values: flags.FlagValues, record: Record) -> list[Check]:
    """LOLA-DiCE earns more than the naive learner that it meets."""
    checks = []
    for method, seat in (
        ("lola_dice_1_lookahead_vs_naive", 0),
        ("naive_vs_lola_dice_1_lookahead", 1),
    ):
        finals = _finals(values, method, record)
        more = finals[:, seat] > finals[:, 1 - seat]
        means = finals.mean(axis=0)
        record.say(f"mean returns {means[0]:.3f}, {means[1]:.3f}")
        checks.append(
            facts.enough_runs(f"{method}: LOLA-DiCE earns more", more, 0.9)
        )
    return checks


def defector(values: flags.FlagValues, record: Record) -> list[Check]:
    """LOLA-DiCE is not exploited by a player that always defects."""
    checks = []
    for method, seat in (
        ("lola_dice_1_lookahead_vs_always_defect", 0),
        ("always_defect_vs_lola_dice_1_lookahead", 1),
    ):
        finals = _finals(values, method, record)
        settings = _dilemma_settings(values, method)
        bound = facts.constant_return(
            _DEFECTION, settings.discount, settings.episode_length
        )
        name = f"{method}: return of LOLA-DiCE, worst run"
        checks.append(
            at_least(name, float(finals[:, seat].min()), bound - _LOSS)
        )
    return checks


def _pennies_settings(
    values: flags.FlagValues, method: str, is_exact: bool
) -> Settings:
    defaults = EXACT_DEFAULTS if is_exact else _PENNIES
    settings = resolve(
        values,
        parse_method(method).line_up,
        is_exact=is_exact,
        defaults=defaults,
        game="matching_pennies",
    )
    return settings._replace(
        discount=PENNIES_DISCOUNT,
        num_seeds=values.num_seeds,
        num_iterations=values.num_iterations,
    )


# Small real steps for both: at those of self-play a naive learner has settled
# on defection before it can be shaped.
_AGAINST_OTHERS = defaults_for(1)._replace(learning_rate=0.3)
_PENNIES = Defaults(inner_learning_rate=1.0, learning_rate=1.0)


def _dilemma_settings(values: flags.FlagValues, method: str) -> Settings:
    return resolve(
        values,
        parse_method(method).line_up,
        game="prisoners_dilemma",
        defaults=_AGAINST_OTHERS,
    )


def _finals(
    values: flags.FlagValues, method: str, record: Record
) -> np.ndarray:
    return record.final_returns(method, _dilemma_settings(values, method))


FACTS: dict[str, Callable[[flags.FlagValues, Record], list[Check]]] = {
    own.__name__: own
    for own in (
        matching_pennies,
        naive_opponent,
        defector,
        public_goods,
        mixed_public_goods,
    )
}
