"""Makes `python experiments/ipd.py` find the package that the file is in.

Python looks for modules beside the program that it starts, and so it finds
this file under the name of the package. A module with a `__path__` is a
package.
"""

import pathlib
import sys

_FOLDER = pathlib.Path(__file__).resolve().parent
__path__ = [str(_FOLDER)]

# Beside the programs there are names that other libraries might ask for.
if pathlib.Path(sys.path[0]).resolve() == _FOLDER:
    sys.path[0] = str(_FOLDER.parent)
