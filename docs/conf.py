"""Settings of Sphinx: everything a page shows comes from this machine."""

import importlib.util
import inspect
import os
import pathlib
import re
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
_ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_ROOT))

from sphinx.util.inspect import signature as signature_of  # noqa: E402
from sphinx.util.inspect import stringify_signature  # noqa: E402

import dice_tf  # noqa: E402
from benchmarks.public_names import public_names  # noqa: E402

project = "dice_tf"
author = "The dice_tf Authors"
copyright = author
release = version = dice_tf.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]

# Pages. A tutorial that fails, or hangs, fails the build. Each is made for two
# minutes on two idle cores; a busy machine needs longer.
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_cache_path = str(_ROOT / "docs/_build/notebooks")
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_output_stderr = "remove"
# Kernels import the package of this folder, also if it is not installed.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
)

# Reference. Docstrings put code into single backticks: a name that the
# reference holds becomes a link, everything else stays code.
default_role = "py:obj"
autodoc_default_options = {"members": True, "special-members": "__call__"}
# A method is documented where it is first declared.
autodoc_inherit_docstrings = False
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
add_module_names = False
python_maximum_signature_line_length = 79
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_param = False
napoleon_use_rtype = False
# One entry may describe several attributes.
napoleon_custom_sections = [("Attributes", "params_style")]
nitpick_ignore_regex = [
    ("py:obj", "(?s).*"),
    ("py:exc", ".*"),
    # Types of other libraries, and those of our own that have no public name.
    ("py:class", r"(collections|keras|matplotlib|numpy|os|tensorflow\w*)\..*"),
    (
        "py:class",
        r"dice_tf\..*\.(COLAState|FittedModel|GameDefault|HoistedSeed|SeatTable"
        r"|Snapshot|Weights)",
    ),
]

html_theme = "furo"
html_title = "dice_tf"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

# Equations: a copy of MathJax from a package, in one file and without fonts.
_MATHJAX = pathlib.Path(importlib.util.find_spec("mathjax").origin).parent
mathjax_path = "mathjax/tex-svg.js"


def _name_public_places():
    """Gives everything public the address at which users import it."""
    for name, value in public_names():
        if inspect.isclass(value) or inspect.isfunction(value):
            value.__module__ = name.rpartition(".")[0]


def _skip_fields(app, what, name, obj, skip, options):
    """Leaves out the fields of named tuples: `Attributes:` lists them."""
    is_field = type(obj).__name__ == "_tuplegetter"
    return True if is_field else None


def _init_signature(app, what, name, obj, options, signature, returns):
    """Shows what a Keras class takes: its `__new__` takes anything."""
    if what != "class" or signature != "(*args, **kwargs)":
        return None
    found = signature_of(obj.__init__, bound_method=True)
    text = stringify_signature(
        found, show_return_annotation=False, unqualified_typehints=True
    )
    return text, returns


def _mark_code(app, what, name, obj, options, lines):
    """Marks code that is not a name, and may have any characters, as such."""
    text = re.sub(r"(\w?)(?<!`)`([^`]+)`(?!`)(\w?)", _marked, "\n".join(lines))
    # "B." alone, as the size of a batch is told, would start a list.
    text = re.sub(r"^( *\w+: )([A-Z]\.)$", r"\1\\\2", text, flags=re.M)
    lines[:] = text.split("\n")


def _marked(found):
    before, code, after = found.groups()
    # A formula of two lines, the second indented, is one of the text.
    code = re.sub(r"\s*\n\s*", " ", code)
    if not re.fullmatch(r"[\w.]+", code):
        code = f"`{code}`"
    # What is marked must stand apart from letters, also in a plural.
    return (before and rf"{before}\ ") + f"`{code}`" + (after and rf"\ {after}")


def _copy_mathjax(app):
    target = pathlib.Path(app.outdir) / "_static/mathjax"
    target.mkdir(parents=True, exist_ok=True)
    source = _MATHJAX / "static/mathjax/es5/tex-svg.js"
    (target / source.name).write_bytes(source.read_bytes())


def setup(app):
    """Connects what this file adds to Sphinx."""
    _name_public_places()
    # Before napoleon reads the docstrings.
    app.connect("autodoc-process-docstring", _mark_code, priority=400)
    app.connect("autodoc-process-signature", _init_signature)
    app.connect("autodoc-skip-member", _skip_fields)
    app.connect("builder-inited", _copy_mathjax)
