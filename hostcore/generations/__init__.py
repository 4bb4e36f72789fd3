"""Generations: side-by-side, collectable copies of a distribution's modules.

A generation owns a private table of module objects under their plain names.  Its code runs with a private
`__builtins__`, whose `__import__` looks into that table first, so two releases of one package live in one process
and neither knows of the other.  The rest of the process is left as it is as long as it can be:

* `table` knows which generation owns which name, and whom a name means for the code that asks;
* `placing` decides what `sys.modules` shows: the module itself while a name has one owner, a facade while it has
  several;
* `views` are those stand-ins; `hooks` puts them, and a finder, into the process and takes them out again;
* `importlib_bootstrap` imports a module into a generation; `finding` finds its file;
* `belonging` tells what is whose; `sweeping` and `caches` take back what a generation left in other people's
  registries;
* `slots` and `patches` put back what stood before in the places that it took, which `layers` and `records`
  remember, and `rewiring` lets other generations forget what they have picked up there;
* `recorders` take back what went through functions of the standard library, `appearing` what was added to
  `sys.path` and `sys.modules`; `threads` asks its threads to stop;
* `keeping` keeps the code of a generation for a way back;
* `holders` finds what keeps a generation alive all the same: `region` tells what is held, `climbing` who holds it,
  `roots` and `naming` what that is called, `telling` makes the report; `looking` and `frames` look at objects and at
  running functions without touching them.
"""

from hostcore.generations.generation import Generation
from hostcore.generations.hooks import installed
from hostcore.generations.patches import stop_watching
from hostcore.generations.table import GenerationUnloadedError, generation_on_stack

__all__ = ["Generation", "GenerationUnloadedError", "generation_on_stack", "installed", "stop_watching"]
