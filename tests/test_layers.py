"""The architecture: layers, and what a module of the library may hold.

The rules are functions of source text, in `import_rules` and `source_rules`.
They are applied to the repository first, and then to small sources that break
each of them: a rule that cannot fail proves nothing.
"""

import pathlib
import re
import textwrap

import pytest

from tests import import_rules, source_rules
from tests.import_rules import Module

ROOT = pathlib.Path(__file__).resolve().parents[1]
USERS = ("benchmarks", "examples", "experiments")

# An import points to a lower row, or within a row without a circle. A module
# or folder at the top of dice_tf/ stands in exactly one row.
LAYERS = (
    # 0: pure functions on tensors, seeds, and what is written for speed.
    {
        "checks",
        "distributions",
        "estimators",
        "kernels",
        "replicas",
        "seeds",
        "version",
    },
    # 1: games; Keras models and their heads; differentiable optimizers.
    {
        "critics",
        "games",
        "inner_optimizers",
        "layers",
        "models",
        "policies",
    },
    # 2: actors, trajectories, rollouts, exact values.
    {"play"},
    # 3
    {"objectives"},
    # 4
    {
        "diagnostics",
        "evaluation",
        "export",
        "learners",
        "opponent_models",
        "partners",
    },
    # 5: what holds variables, compiles and trains, or meets other libraries;
    # what was trained.
    {"bridges", "callbacks", "trainer", "training", "zoo"},
)
# A room is a module or folder at the top of dice_tf/. A floor is a room on the
# longest chain of imports between rooms.
MOST_ROOMS, MOST_FLOORS = 26, 12
# The draws of a step are a program beside its own.
COMPILING = {
    "diagnostics",
    # It traces a game that a user wrote.
    "dice_tf.games.game_check",
    "dice_tf.kernels.draws",
    # It calls a cell once beside the graph, to see what it returns and reads.
    "dice_tf.kernels.scans",
    "evaluation",
    "export",
    *LAYERS[5],
}

LIBRARY = import_rules.read_package(ROOT / "dice_tf")
USER_MODULES = [
    module
    for folder in USERS
    for module in import_rules.read_package(ROOT / folder)
]


def _module(name: str, source: str, is_package: bool = False) -> Module:
    return Module(name, textwrap.dedent(source), is_package)


def _names(modules: list[Module]) -> list[str]:
    return [module.name for module in modules]


# The repository.


def test_the_library_was_found() -> None:
    assert {"dice_tf", "dice_tf.estimators.dice", "dice_tf.games"} <= set(
        _names(LIBRARY)
    )


def test_no_room_stands_in_two_layers() -> None:
    rooms = [room for row in LAYERS for room in row]
    assert sorted(rooms) == sorted(set(rooms))


def test_imports_of_the_library_point_down() -> None:
    assert import_rules.layer_faults(LIBRARY, LAYERS) == []


@pytest.mark.parametrize("module", USER_MODULES, ids=_names(USER_MODULES))
def test_users_import_only_the_public_api(module: Module) -> None:
    api = import_rules.public_api(LIBRARY)
    assert import_rules.public_api_faults(module, api) == []


@pytest.mark.parametrize("module", LIBRARY, ids=_names(LIBRARY))
def test_modules_hold_what_they_may(module: Module) -> None:
    assert source_rules.content_faults(module) == []
    assert source_rules.compilation_faults(module, COMPILING) == []
    if module.is_package:
        assert source_rules.init_faults(module) == []


@pytest.mark.parametrize(
    "module", LIBRARY + USER_MODULES, ids=_names(LIBRARY + USER_MODULES)
)
def test_functions_fit_on_a_screen(module: Module) -> None:
    assert source_rules.size_faults(module) == []


@pytest.mark.parametrize(
    "module", LIBRARY + USER_MODULES, ids=_names(LIBRARY + USER_MODULES)
)
def test_modules_name_and_read_what_types_declare(module: Module) -> None:
    assert source_rules.variable_faults(module) == []
    assert source_rules.private_faults(module) == []
    assert source_rules.literal_getattr_faults(module) == []


# Libraries that may be given up before this one is.
@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("tensorflow_probability", ["dice_tf.distributions"]),
        ("tf_keras", []),
    ],
)
def test_libraries_that_may_die_are_imported_in_one_module(
    library: str, homes: list[str]
) -> None:
    faults = [
        fault
        for module in LIBRARY
        for fault in source_rules.library_faults(module, library, homes)
    ]
    assert faults == []


def test_no_two_modules_of_the_library_share_a_file_name() -> None:
    assert source_rules.file_name_faults(LIBRARY) == []


def test_rooms_and_floors_are_few() -> None:
    assert len(import_rules.rooms(LIBRARY)) <= MOST_ROOMS
    assert import_rules.num_floors(LIBRARY) <= MOST_FLOORS


def test_no_module_and_function_of_a_package_share_a_name() -> None:
    assert source_rules.shared_name_faults(LIBRARY) == []


# The rules themselves.

TOY_LAYERS = ({"low", "games"}, {"middle"}, {"high"})


def _toy(**sources: str) -> list[Module]:
    """Returns a package `toy` with these modules; `__` stands for a dot."""
    modules = [_module("toy", "from toy import low", is_package=True)]
    for name, source in sources.items():
        dotted = "toy." + name.replace("__", ".")
        modules.append(_module(dotted, source, is_package=name == "games"))
    return modules


@pytest.mark.parametrize(
    "sources",
    [
        {"high": "import toy.low\nfrom toy import middle", "middle": ""},
        {"low": "from toy.games.b import x", "games": "", "games__b": ""},
        {"games": "from toy.games.b import x", "games__b": "import numpy"},
        {"high": "from . import low\nfrom .low import x", "low": ""},
        {"low": "import toys\nfrom high import x"},
    ],
)
def test_layer_rule_accepts_imports_that_point_down(sources: dict) -> None:
    assert import_rules.layer_faults(_toy(**sources), TOY_LAYERS) == []


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({"low": "from toy.high import x"}, "row 0.*toy.high .row 2"),
        ({"low": "from toy import middle", "middle": ""}, "toy.middle .row 1"),
        ({"low": "import toy.middle"}, "toy.middle .row 1"),
        ({"low": "from .middle import x"}, "toy.middle .row 1"),
        ({"low": "from . import middle", "middle": ""}, "toy.middle .row 1"),
        ({"games__a": "from ..high import x"}, "toy.games.a .*toy.high"),
        ({"low": "def f():\n  import toy.high"}, "toy.high .row 2"),
        ({"low": "from toy import x"}, "toy.low imports toy itself"),
        ({"low": "from experiments.ipd import x"}, "imports experiments.ipd"),
        ({"low": "import tests"}, "imports tests: that stands above toy"),
        ({"attic": "import toy.low"}, "'attic' is in no layer: add it to"),
        ({"low": "from toy.attic import x", "attic": ""}, "'attic' is in no"),
        (
            {
                "games__a": "from toy.games.b import x",
                "games__b": "import toy.games.a",
            },
            "circle: toy.games.a -> toy.games.b -> toy.games.a",
        ),
        (
            {
                "games": "import toy.games.a",
                "games__a": "from toy.games import x",
            },
            "circle: toy.games -> toy.games.a -> toy.games",
        ),
        (
            {
                "low": "import toy.games.a",
                "games__a": "",
                "games__b": "import toy.low",
            },
            "circle: games -> low -> games",
        ),
    ],
)
def test_layer_rule_finds(sources: dict, message: str) -> None:
    (fault,) = import_rules.layer_faults(_toy(**sources), TOY_LAYERS)
    assert re.search(message, fault)


def test_rooms_and_floors_are_counted_along_imports() -> None:
    toy = _toy(
        high="import toy.middle\nimport numpy",
        middle="from toy.games.b import x",
        games="",
        games__a="import toy.games.b",
        games__b="from toy import low",
        low="",
        alone="import toy.low",
    )
    expected = {"high", "middle", "games", "low", "alone"}
    assert import_rules.rooms(toy) == expected
    assert import_rules.num_floors(toy) == 4


def test_a_relative_import_counts_from_the_package() -> None:
    module = _module("toy.games", "from . import a\nfrom .b import c", True)
    known = {"toy.games.a", "toy.games.b"}
    found = list(import_rules.imported_modules(module, known))
    assert found == ["toy.games.a", "toy.games.b"]


def test_modules_are_read_with_their_dotted_names(
    tmp_path: pathlib.Path,
) -> None:
    folder = tmp_path / "toy" / "games"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("import toy")
    (folder / "matrix.py").write_text("x = 1")
    assert import_rules.read_package(tmp_path / "toy") == [
        Module("toy.games", "import toy", is_package=True),
        Module("toy.games.matrix", "x = 1"),
    ]


API_MODULES = [
    _module(
        "toy",
        """
        from toy import export, games
        __all__ = ["Trainer", "export", "games"]
        """,
        is_package=True,
    ),
    _module("toy.export", "def export_policy(): ..."),
    _module("toy.games", '__all__ = ["chess"]', is_package=True),
    _module("toy.games.matrix", "def solve(): ..."),
]
API = import_rules.public_api(API_MODULES)


def test_public_api_follows_the_names_that_packages_declare() -> None:
    assert API == {
        "toy": {"Trainer", "export", "games"},
        "toy.export": None,
        "toy.games": {"chess"},
    }


@pytest.mark.parametrize(
    "source",
    [
        "import toy\ntoy.games.chess().board._cells",
        "import toy as t\nt.export.export_policy\nt.__version__",
        "from toy import Trainer, games as g\ng.chess",
        "import toy.games\ntoy.games.chess",
        "from toy.export import export_policy",
        "import numpy as np\nfrom experiments.a import _b\nnp._c",
    ],
)
def test_public_api_rule_accepts(source: str) -> None:
    user = _module("experiments.ipd", source)
    assert import_rules.public_api_faults(user, API) == []


@pytest.mark.parametrize(
    ("source", "hidden"),
    [
        ("from toy.games.matrix import _solve", "toy.games.matrix"),
        ("from toy.games.matrix import solve", "toy.games.matrix"),
        ("from toy.games import board", "toy.games.board"),
        ("from toy.export import _hidden", "toy.export._hidden"),
        ("from toy import seeds", "toy.seeds"),
        ("import toy.seeds", "toy.seeds"),
        ("import toy.seeds as s", "toy.seeds"),
        ("def f():\n  from toy.a.b import c", "toy.a"),
        ("import toy\ntoy.seeds.split_seed(1)", "toy.seeds"),
        ("import toy as t\nt.games.matrix.solve()", "toy.games.matrix"),
        ("from toy import games\ngames._table", "toy.games._table"),
        ("from toy import Trainer\nTrainer._step", "toy.Trainer._step"),
        ("from toy import export as e\ne._write", "toy.export._write"),
    ],
)
def test_public_api_rule_finds(source: str, hidden: str) -> None:
    faults = import_rules.public_api_faults(_module("a.b", source), API)
    assert faults
    assert all(f": {hidden} is not public" in fault for fault in faults)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("print(1)", "line 1: a print"),
        ("show = print", "a print"),
        ("def f(x):\n  assert x", "line 2: an assert"),
        ("from absl import flags", "flags, absl.flags"),
        ("import absl.app", "flags, absl.app"),
        ("import absl.flags as f", "flags, absl.flags"),
        ("tf.random.set_seed(1)", "a global seed, tf.random.set_seed"),
        ("from keras.utils import set_random_seed", "a global seed"),
        ("keras.utils.set_random_seed(1)", "a global seed"),
        ("np.random.seed(1)", "a global seed, np.random.seed"),
        ("x = os.environ['A']", "an environment variable, os.environ"),
        ("os.environ.get('A')", "an environment variable, os.environ"),
        ("os.getenv('A')", "an environment variable, os.getenv"),
        ("from os import environ", "an environment variable, os.environ"),
    ],
)
def test_content_rule_finds(source: str, message: str) -> None:
    (fault,) = source_rules.content_faults(_module("toy.low", source))
    assert message in fault


def test_content_rule_accepts_what_only_looks_alike() -> None:
    source = '''
    """Do not print, assert or call set_seed; os.environ stays unread."""
    import os
    from absl import logging
    seed_sets = os.path.join("print", "assert")
    generator = np.random.default_rng(0)
    '''
    module = Module("toy.low", textwrap.dedent(source))
    assert source_rules.content_faults(module) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def f():\n" + "  x = 1\n" * 60, "f: 61 lines, over 60"),
        ("class A:\n async def f():\n" + "  x = 1\n" * 60, "f: 61 lines"),
        (
            "def f():\n def g():\n  def h():\n   def i(): ...",
            "f: functions deeper than 2",
        ),
    ],
)
def test_size_rule_finds(source: str, message: str) -> None:
    (fault,) = source_rules.size_faults(_module("toy.low", source))
    assert message in fault


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n" + "  x = 1\n" * 59,
        'def f():\n  """' + "x\n" * 60 + '  """\n',
        "x = 1\n" * 500,
        "def f():\n def g():\n  def h(): ...",
    ],
)
def test_size_rule_accepts(source: str) -> None:
    assert source_rules.size_faults(_module("toy.low", source)) == []


@pytest.mark.parametrize(
    "source",
    [
        "@tf.function\ndef f(): ...",
        "@tf.function(jit_compile=True)\ndef f(): ...",
        "from tensorflow import function",
    ],
)
def test_compilation_rule_knows_where_it_may_be(source: str) -> None:
    (fault,) = source_rules.compilation_faults(
        _module("toy.low", source), {"high"}
    )
    assert "toy.low: line 1: a tf.function" in fault
    module = _module("toy.high.edge", source)
    assert source_rules.compilation_faults(module, {"high"}) == []


@pytest.mark.parametrize(
    "source",
    [
        "own = 1",
        "for own in x: ...",
        "def f(own): ...",
        "f = lambda own: 1",
        "x = [own for own in y]",
        "def own(): ...",
        "a, own = 1, 2",
    ],
)
def test_variable_rule_finds(source: str) -> None:
    (fault,) = source_rules.variable_faults(_module("toy.low", source))
    assert fault == "toy.low: line 1: a variable called own."


def test_variable_rule_accepts_words_that_hold_another() -> None:
    source = "own_params = x.own\nf(own=1)\ny = 'own'  # own"
    assert source_rules.variable_faults(_module("toy.low", source)) == []


@pytest.mark.parametrize(
    "source",
    [
        "from tensorflow.python import context",
        "from tensorflow.python.eager import context",
        "import tensorflow.python.eager",
        "from keras.src import ops",
        "from keras import src",
        "x = keras.src.ops",
        "x = tf.python.eager",
    ],
)
def test_privacy_rule_finds(source: str) -> None:
    faults = source_rules.private_faults(_module("toy.low", source))
    assert faults and all("is private" in fault for fault in faults)


def test_privacy_rule_accepts_public_names() -> None:
    source = "import tensorflow as tf\nfrom keras import ops\ntf.pythonic"
    assert source_rules.private_faults(_module("toy.low", source)) == []


@pytest.mark.parametrize(
    "source",
    [
        "import heavy",
        "import heavy as h",
        "import heavy.inner",
        "from heavy import x",
        "from heavy.inner import x",
        "def f():\n  import heavy",
    ],
)
def test_library_rule_finds(source: str) -> None:
    module = _module("toy.low", source)
    (fault,) = source_rules.library_faults(module, "heavy", ["toy.high"])
    assert "which only ['toy.high'] may" in fault
    assert source_rules.library_faults(module, "heavy", ["toy.low"]) == []


def test_library_rule_accepts_what_is_named_alike() -> None:
    source = "import heavyweight\nfrom toy import heavy\nfrom .heavy import x"
    assert (
        source_rules.library_faults(_module("toy.low", source), "heavy") == []
    )


@pytest.mark.parametrize(
    "source",
    [
        "getattr(objective, 'game', None)",
        "getattr(self.objective, 'game')",
        "hasattr(self._trainer, 'game')",
        "getattr(rule.learner, 'game')",
        "getattr(first_objective, 'game')",
    ],
)
def test_attribute_rule_finds(source: str) -> None:
    (fault,) = source_rules.literal_getattr_faults(_module("toy.low", source))
    assert "for 'game', which its type should declare." in fault


@pytest.mark.parametrize(
    "source",
    [
        "getattr(objective, name)",
        "getattr(model, 'inputs', None)",
        "getattr(objective.game, 'payoffs', None)",
    ],
)
def test_attribute_rule_accepts(source: str) -> None:
    module = _module("toy.low", source)
    assert source_rules.literal_getattr_faults(module) == []


def test_file_name_rule_looks_at_the_whole_package() -> None:
    toy = _toy(low="", games="", games__low="", middle="")
    (fault,) = source_rules.file_name_faults(toy)
    assert fault == "toy.games.low and toy.low share a file name."
    assert source_rules.file_name_faults(toy, {"low"}) == []


GOOD_INIT = '"""A package."""\nfrom toy import low\n__all__ = ["low"]\n'


@pytest.mark.parametrize(
    "source",
    [
        GOOD_INIT,
        '"""No public names."""\n__all__: list[str] = []',
        '"""A folder."""',
        GOOD_INIT + '__getattr__ = renamed_objects("toy", {}, "9.0.0")',
    ],
)
def test_init_rule_accepts_imports_and_names(source: str) -> None:
    assert source_rules.init_faults(_module("toy", source, True)) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (GOOD_INIT + "x = 1", "line 4: code beside the imports"),
        (GOOD_INIT + "def f(): ...", "line 4: code beside the imports"),
        (GOOD_INIT + "__getattr__ = low", "line 4: code beside the imports"),
        (GOOD_INIT + "low.start()", "line 4: code beside the imports"),
        (GOOD_INIT + "if low:\n  import a", "line 4: code beside"),
        ('"""A package."""\nfrom toy import low', "no __all__"),
        ("import toy.low\n__all__ = []", "no docstring"),
    ],
)
def test_init_rule_finds(source: str, message: str) -> None:
    (fault,) = source_rules.init_faults(_module("toy", source, True))
    assert message in fault


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({"low": "def low(): ..."}, "toy.low defines low"),
        ({"low": "class high: ...", "high": ""}, "toy.low defines high"),
        ({"low": "def games(): ...", "games": ""}, "toy.low defines games"),
        (
            {"games": "from toy.games.a import x as a", "games__a": ""},
            "toy.games imports toy.games.a.x as a",
        ),
    ],
)
def test_shared_name_rule_finds(sources: dict, message: str) -> None:
    (fault,) = source_rules.shared_name_faults(_toy(**sources))
    assert message in fault


def test_shared_name_rule_looks_at_one_package_at_a_time() -> None:
    toy = _toy(low="def a(): ...", games="from . import a", games__a="")
    assert source_rules.shared_name_faults(toy) == []
