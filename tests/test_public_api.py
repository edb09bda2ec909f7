"""The public API: its names, its pinned signatures, its docstrings.

What users can import is a promise: whoever adds or removes a name says so
here, and in CHANGELOG.md.
"""

import fnmatch
import importlib
import inspect
import itertools
import operator
import pkgutil
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pytest

import dice_tf
from benchmarks.public_names import public_modules, public_names

# What `__all__` holds, for the top and each public module, which is one that
# is itself a public name.
PUBLIC_NAMES = {
    "dice_tf": {
        "StochasticComputationGraph",
        "Trainer",
        "__version__",
        "bridges",
        "callbacks",
        "check_game",
        "check_policy",
        "critics",
        "diagnostics",
        "dice_objective",
        "estimators",
        "evaluation",
        "export",
        "games",
        "inner_optimizers",
        "layers",
        "learners",
        "magic_box",
        "objectives",
        "opponent_models",
        "partners",
        "play",
        "policies",
        "scan",
        "seeds",
        "zoo",
    },
    "dice_tf.bridges": {
        "PythonGame",
        "VectorEnvironment",
        "VectorStep",
        "from_open_spiel",
        "from_pettingzoo",
        "to_pettingzoo",
    },
    "dice_tf.callbacks": {
        "Checkpoint",
        "CrossPlayEvaluation",
        "PolicyPictures",
        "RestoreLastGood",
    },
    "dice_tf.critics": {
        "gru_critic",
        "min_gru_critic",
        "mlp_critic",
        "recurrent_critic",
        "tabular_critic",
    },
    "dice_tf.diagnostics": {
        "DerivativeStatistics",
        "MeasuredShaping",
        "MeasuredShapingState",
        "ShapingShare",
        "derivative_statistics",
        "shaping_share",
    },
    "dice_tf.estimators": {
        "discount_weights",
        "discounted_rewards",
        "first_order_baseline_objective",
        "generalized_advantages",
        "lambda_returns",
        "loaded_dice_objective",
        "mean_return",
        "returns_to_go",
        "running_steps",
        "surrogate_objective",
    },
    "dice_tf.evaluation": {
        "BestResponse",
        "CrossPlay",
        "Exploitability",
        "Extortion",
        "MatchResult",
        "StrategyName",
        "TournamentResult",
        "ZeroDeterminant",
        "action_probabilities",
        "best_response",
        "cross_play",
        "exact_match",
        "exploitability",
        "extortion_fit",
        "name_policy",
        "play_match",
        "policy_figure",
        "strategy_distances",
        "tournament",
        "tournament_csv",
        "tournament_table",
        "visit_frequencies",
        "zero_determinant_fit",
    },
    "dice_tf.export": {
        "Card",
        "export_onnx",
        "export_policy",
        "export_tflite",
        "read_card",
    },
    "dice_tf.games": {
        "CoinGame",
        "CoinGameWithMemory",
        "CoinMemoryState",
        "CoinState",
        "CoinStatistics",
        "CommonPool",
        "FiniteGame",
        "Game",
        "Negotiation",
        "NegotiationState",
        "PointNavigation",
        "RepeatedCournot",
        "TabularCoinGame",
        "TimeStep",
        "iterated_battle_of_the_sexes",
        "iterated_chicken",
        "iterated_matching_pennies",
        "iterated_matrix_game",
        "iterated_prisoners_dilemma",
        "iterated_public_goods",
        "iterated_stag_hunt",
    },
    "dice_tf.inner_optimizers": {
        "Adam",
        "AdamSlots",
        "ClipByGlobalNorm",
        "InnerOptimizer",
        "InnerStep",
        "SGD",
    },
    "dice_tf.layers": {
        "ByCoinMemory",
        "MemoryLayer",
        "MemoryNetwork",
        "MinGRU",
        "SafeLayerNormalization",
        "SeenFromPlayer",
        "StackedObservations",
    },
    "dice_tf.learners": {
        "ActorCritic",
        "AdvantageAlignment",
        "COLA",
        "CompetitiveGradientDescent",
        "Consensus",
        "Extragradient",
        "FittedRates",
        "FixedRates",
        "HOLA",
        "InnerRates",
        "LOLA",
        "LOLADiCE",
        "LOQA",
        "LOLAFullGradient",
        "Learner",
        "LearnerStep",
        "LocalSymplecticSurgery",
        "LookAhead",
        "MAML",
        "Mixture",
        "POLA",
        "Naive",
        "OutputSpace",
        "SOS",
        "SymplecticGradientAdjustment",
        "consistency_loss",
    },
    "dice_tf.objectives": {
        "Advantages",
        "DiCEObjective",
        "ExactObjective",
        "FiniteTasks",
        "FirstOrderBaselineObjective",
        "FunctionObjective",
        "GameState",
        "Objective",
        "Play",
        "SampledTasks",
        "SurrogateObjective",
        "TaskFamily",
        "ultimatum",
    },
    "dice_tf.opponent_models": {"OpponentModelState", "OpponentModelling"},
    "dice_tf.partners": {
        "AgainstPartners",
        "FixedPolicies",
        "NaiveLearners",
        "PartnersState",
        "PastSelves",
    },
    "dice_tf.play": {
        "Actor",
        "Trajectory",
        "player_entropies",
        "player_log_probs",
        "sample_trajectory",
    },
    "dice_tf.policies": {
        "always_cooperate",
        "always_defect",
        "bernoulli",
        "categorical",
        "convolutional",
        "fixed_policy",
        "from_saved_model",
        "grim_trigger",
        "initial_params",
        "gru",
        "lstm",
        "min_gru",
        "mlp",
        "on_the_grid",
        "random",
        "recurrent",
        "stacked",
        "tabular",
        "tit_for_tat",
        "win_stay_lose_shift",
        "with_head",
    },
    "dice_tf.seeds": {
        "Seed",
        "make_seed",
        "private_seed",
        "split_seed",
        "uniform",
    },
    "dice_tf.zoo": {"card", "game", "load", "names"},
}

# What other tools rely on: the names, order and kinds of parameters. A default
# is pinned where it stands here, `...` meaning any. More parameters may follow
# as long as they have defaults.
PINNED_SIGNATURES = {
    "Trainer": "objective, learners",
    "check_game": "game",
    "check_policy": "policy",
    "dice_objective": "log_probs, rewards, *, discount, baseline=None",
    "export.export_onnx": "policy, path",
    "export.export_policy": "policy, path",
    "export.export_tflite": "policy, path",
    "export.read_card": "path",
    "games.iterated_battle_of_the_sexes": "episode_length=150",
    "games.iterated_chicken": "episode_length=150",
    "games.iterated_matching_pennies": "episode_length=150",
    "games.iterated_matrix_game": "payoffs, episode_length",
    "games.iterated_prisoners_dilemma": "episode_length=150",
    "games.iterated_stag_hunt": "episode_length=150",
    "learners.LOLADiCE": "num_lookaheads, inner_learning_rate",
    "learners.LOLADiCE.gradient": "self, objective, params, player_id, seed",
    "learners.LOLADiCE.init": "self, params",
    "learners.LOLADiCE.step": "self, objective, params, player_id, seed, state",
    "learners.Naive.gradient": "self, objective, params, player_id, seed",
    "learners.Naive.init": "self, params",
    "learners.Naive.step": "self, objective, params, player_id, seed, state",
    "magic_box": "x",
    "objectives.DiCEObjective": (
        "game, policies, discount, batch_size, baseline, critics=None"
    ),
    "objectives.DiCEObjective.__call__": "self, params, seed, state=None",
    "objectives.ExactObjective": "game, policies, discount, episode_length=...",
    "objectives.ExactObjective.__call__": "self, params, seed, state=None",
    "objectives.FunctionObjective": "value_functions",
    "objectives.FunctionObjective.__call__": "self, params, seed, state=None",
    "policies.from_saved_model": "path",
    "policies.mlp": "game, player_id",
    "policies.tabular": "game, player_id",
    "zoo.card": "name, player_id=0",
    "zoo.game": "name",
    "zoo.load": "name, player_id=0",
    "zoo.names": "",
}

# The order that the docstring of the package gives.
ORDER = (
    *("learner", "objective", "params"),
    *("game", "policies", "policy", "player_id"),
    *("discount", "episode_length", "batch_size", "seed"),
)

# Callables whose arguments stand in another order, and why.
OTHER_ORDERS = {
    "dice_tf.*.reset": "pinned as (seed, batch_size)",
    "dice_tf.bridges.*.step": "pinned as (state, actions, seed)",
    "dice_tf.games.*.reward": "the state of a game comes first, as in `step`",
    "dice_tf.games.*.step": "pinned as (state, actions, seed)",
    "dice_tf.learners.*Rates.*": "what is remembered comes first",
}

# Callables of more than three positional arguments, and why.
LONG_SIGNATURES = {
    "dice_tf.diagnostics.*.step": "as of all learners",
    "dice_tf.inner_optimizers.*.step": "one signature of all inner optimizers",
    "dice_tf.learners.*.adapt*": "begins as `Learner.step`",
    "dice_tf.learners.*.gradient": "pinned",
    "dice_tf.learners.*.look_ahead": "begins as `Learner.step`",
    "dice_tf.learners.*.step": "pinned",
    "dice_tf.objectives.*.divergences": "as a call, with two of its params",
    "dice_tf.objectives.*Objective": "pinned",
    "dice_tf.opponent_models.*.step": "as of all learners",
    "dice_tf.partners.*.drawn": "as of all sources of partners",
    "dice_tf.partners.*.step": "as of all learners",
    "dice_tf.play.player_*": "an actor and its weights are one policy",
    "dice_tf.scan": "a cell, and all that it is given",
}


def _public_objects() -> dict[str, Any]:
    """Returns public functions, classes and modules by dotted name."""
    return {
        name: value
        for name, value in public_names()
        if callable(value) or isinstance(value, types.ModuleType)
    }


def _undocumented(name: str, value: Any) -> list[str]:
    """Returns the names under `value` that have no docstring.

    A class has its own, also a NamedTuple, whose generated one does not count;
    a method may inherit it.
    """
    if not inspect.isclass(value):
        return [] if inspect.getdoc(value) else [name]
    docstring = vars(value).get("__doc__") or ""
    is_generated = docstring.startswith(f"{value.__name__}(")
    missing = [] if docstring and not is_generated else [name]
    fields = getattr(value, "_fields", ())
    for key in vars(value).keys() - set(fields):
        member = getattr(value, key)
        is_property = isinstance(member, property)
        if key.startswith("_") or not (callable(member) or is_property):
            continue
        if not inspect.getdoc(member):
            missing.append(f"{name}.{key}")
    return sorted(missing)


def _signature_faults(actual: inspect.Signature, pinned: str) -> list[str]:
    """Returns how a signature departs from a pinned one."""
    # The pinned parameters are ours: `eval` reads them as Python does.
    expected = inspect.signature(eval(f"lambda {pinned}: None"))
    left = dict(actual.parameters)
    order = list(left)
    faults = []
    for position, (name, parameter) in enumerate(expected.parameters.items()):
        found = left.pop(name, None)
        if found is None:
            faults.append(f"{name} is missing")
            continue
        if found.kind != parameter.kind:
            faults.append(f"{name} is {found.kind.description}")
        elif found.kind != found.KEYWORD_ONLY and order[position] != name:
            faults.append(f"{name} stands at another place")
        if parameter.default is ... and found.default is found.empty:
            faults.append(f"{name} has no default")
        elif parameter.default not in (parameter.empty, ..., found.default):
            faults.append(f"{name} has the default {found.default!r}")
    for name, found in left.items():
        is_variadic = found.kind in (found.VAR_KEYWORD, found.VAR_POSITIONAL)
        if found.default is found.empty and not is_variadic:
            faults.append(f"{name} is new and has no default")
    return faults


def _public_callables() -> Iterator[tuple[str, list[inspect.Parameter]]]:
    """Yields public functions, classes and methods with their parameters.

    Each method stands for the class that defines it. The fields of a
    NamedTuple are not arguments: the library makes it.
    """
    for name, value in _public_objects().items():
        if isinstance(value, types.ModuleType) or hasattr(value, "_fields"):
            continue
        yield name, _parameters(value)
        methods = vars(value) if inspect.isclass(value) else {}
        for key, member in methods.items():
            is_method = inspect.isroutine(member) or isinstance(
                member, (classmethod, staticmethod)
            )
            if is_method and (key == "__call__" or not key.startswith("_")):
                parameters = _parameters(getattr(value, key))
                if inspect.isfunction(member):
                    parameters = parameters[1:]
                yield f"{name}.{key}", parameters


def _parameters(function: Any) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())


def _is_positional(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (
        parameter.POSITIONAL_ONLY,
        parameter.POSITIONAL_OR_KEYWORD,
    )


def _order_faults(orders: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Returns pairs of names that stand in both orders, and an example each.

    Args:
      orders: by callable the names of its positional parameters, or of its
        keyword-only ones: those always follow, whatever their names.
    """
    first_with = {}
    for name, order in orders.items():
        for pair in itertools.combinations(order, 2):
            first_with.setdefault(pair, name)
    return {
        f"{one}, {another}": f"{name}; but {first_with[another, one]}"
        for (one, another), name in first_with.items()
        if one < another and (another, one) in first_with
    }


def test_public_modules_are_those_listed_here() -> None:
    found = {module.__name__ for module in public_modules()}
    assert found == set(PUBLIC_NAMES)


@pytest.mark.parametrize("module", sorted(PUBLIC_NAMES))
def test_public_names_are_those_listed_here(module: str) -> None:
    names = importlib.import_module(module).__all__
    assert set(names) == PUBLIC_NAMES[module]
    assert len(set(names)) == len(names)


def test_folders_that_are_not_public_declare_no_names() -> None:
    for info in pkgutil.iter_modules(dice_tf.__path__, "dice_tf."):
        if info.ispkg and info.name not in PUBLIC_NAMES:
            module = importlib.import_module(info.name)
            assert not getattr(module, "__all__", ()), info.name


@pytest.mark.parametrize("name", sorted(PINNED_SIGNATURES))
def test_pinned_signatures_stay(name: str) -> None:
    actual = inspect.signature(operator.attrgetter(name)(dice_tf))
    assert _signature_faults(actual, PINNED_SIGNATURES[name]) == []


def test_arguments_that_mean_the_same_stand_in_one_order() -> None:
    found = {}
    for name, parameters in _public_callables():
        positional = filter(_is_positional, parameters)
        found[name] = [parameter.name for parameter in positional]
        others = itertools.filterfalse(_is_positional, parameters)
        found[f"{name}, by keyword"] = [parameter.name for parameter in others]
    excepted = {
        pattern: set(fnmatch.filter(found, pattern)) for pattern in OTHER_ORDERS
    }
    names = found.keys() - set().union(*excepted.values())
    orders = {name: found[name] for name in sorted(names)}
    orders["the docstring of the package"] = ORDER
    assert _order_faults(orders) == {}
    for pattern, names in excepted.items():
        others = {name: found[name] for name in names}
        assert _order_faults(orders | others), f"{pattern} is no exception"


def test_the_package_says_in_which_order_arguments_stand() -> None:
    written = re.sub(r"[(),]|\bor\b", " ", dice_tf.__doc__).split()
    assert " ".join(ORDER) in " ".join(written)


def test_at_most_three_arguments_are_positional() -> None:
    long = {
        name
        for name, parameters in _public_callables()
        if sum(map(_is_positional, parameters)) > 3
    }
    listed = {
        pattern: set(fnmatch.filter(long, pattern))
        for pattern in LONG_SIGNATURES
    }
    assert long == set().union(*listed.values())
    assert all(listed.values()), "what is not long is not to be listed"


def test_every_public_name_has_a_docstring() -> None:
    missing = _undocumented("dice_tf", dice_tf)
    for name, value in _public_objects().items():
        missing += _undocumented(name, value)
    assert missing == []


def test_the_version_is_that_of_its_one_place() -> None:
    version = importlib.import_module("dice_tf.version")
    assert dice_tf.__version__ == version.__version__


# The checks themselves.


class _Documented:
    """Has a docstring."""

    def method(self) -> None:
        """Has one too."""

    def bare(self) -> None:
        pass

    @property
    def bare_property(self) -> int:
        return 1

    def _private(self) -> None:
        pass


class _Heir(_Documented):
    def method(self) -> None:
        pass


class _Pair(NamedTuple):
    first: int
    second: int


def test_docstring_check_finds_what_has_none() -> None:
    assert _undocumented("a", _Documented) == ["a.bare", "a.bare_property"]
    assert _undocumented("a", _Heir) == ["a"]
    assert _undocumented("a", _Pair) == ["a"]
    assert _undocumented("a", lambda: None) == ["a"]
    assert _undocumented("a", len) == []


@pytest.mark.parametrize(
    ("function", "pinned", "faults"),
    [
        (lambda a, b=1: 0, "a, b", []),
        (lambda a, b=1: 0, "a, b=...", []),
        (lambda a, b=1: 0, "a, b=1", []),
        (lambda a, b=1, *, c=2, **rest: 0, "a, b=1", []),
        (lambda a, *, c, b: 0, "a, *, b, c", []),
        (lambda a, b: 0, "a, b=...", ["b has no default"]),
        (lambda a, b=2: 0, "a, b=1", ["b has the default 2"]),
        (lambda a: 0, "a, b", ["b is missing"]),
        (lambda a, c: 0, "a", ["c is new and has no default"]),
        (lambda a, *, b: 0, "a, b", ["b is keyword-only"]),
        (lambda a, c=1, b=2: 0, "a, b", ["b stands at another place"]),
    ],
)
def test_signature_check_finds_what_changed(
    function: Any, pinned: str, faults: list[str]
) -> None:
    actual = inspect.signature(function)
    assert _signature_faults(actual, pinned) == faults
