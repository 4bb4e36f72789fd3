"""What `sys.modules` holds under the names of generations.

A top with one generation, no copy of the host's and nothing private about it is *plain*: the real dict holds the
generation's modules themselves, `sys.modules` is the interpreter's dict, and nothing looks different from an
ordinary import.  Any other owned top is *contested*: the real dict holds facades (or the host's own copy) and
`sys.modules` is a view.  `arrange` moves a top between the two whenever its owners change; classes get their exact
module name only then.
"""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

from hostcore.generations import table
from hostcore.generations.names import tag_classes
from hostcore.generations.views import Facade, ModulesView

if TYPE_CHECKING:
    from hostcore.generations.generation import Generation

_view = ModulesView()


def show(generation: Generation, name: str, module: Any) -> None:
    """Let the process see that `generation` is loading `module` under `name`."""
    with table.lock:
        if table.top_of(name) not in table.contested:
            table.real[name] = module
        elif not generation.is_private(name):
            table.real.setdefault(name, Facade(name))


def settle(generation: Generation, name: str) -> Any:
    """Return what stands under `name` once its body ran, and bring the real dict in line.

    The body may have put another object into `sys.modules` in its own place, and the name may have become
    contested meanwhile.
    """
    with table.lock:
        if not generation.alive:
            module = generation.modules.pop(name, None)
            hide(generation, name, module)
            raise table.GenerationUnloadedError(f"{generation!r} was unloaded while it loaded {name!r}", name=name)
        if table.top_of(name) not in table.contested:
            module = table.real.setdefault(name, generation.modules.get(name))
            generation.modules[name] = module
            return module
        module = generation.modules[name]
        if type(module) is types.ModuleType:
            tag_classes(vars(module), name, generation.id)
        return module


def follow(generation: Generation, name: str) -> None:
    """Make the generation's table agree with the real dict, where the name is plain: code may have changed that.

    Where the name is contested, such changes went through the view into the right table.
    """
    top = table.top_of(name)
    if top in table.contested or table.real.get(name, table) is generation.modules.get(name, table):
        return
    with table.lock:  # without it, a top that is just becoming plain would still show facades
        if top in table.contested or top not in generation.tops or not generation.alive:
            return
        if name in table.real:
            generation.modules[name] = table.real[name]
        else:
            generation.modules.pop(name, None)


def adopt(generation: Generation, name: str) -> bool:
    """Take over a module that the generation's code put straight into `sys.modules`; tell whether there was one.

    Where the name is contested, the view has put it into the right table already.
    """
    top = table.top_of(name)
    if top in table.contested or top not in generation.tops or name not in table.real:
        return False
    generation.modules.setdefault(name, table.real[name])
    return True


def hide(generation: Generation, name: str, module: Any) -> None:
    """Undo `show`, once `name` is out of the generation's table."""
    with table.lock:
        there = table.real.get(name)
        alone = not any(name in g.modules for g in table.owners.get(table.top_of(name), ()) if g is not generation)
        if there is module or (type(there) is Facade and alone):
            table.real.pop(name, None)


def arrange(top: str) -> None:
    """Make `top` plain or contested, as its owners are now.  Call with `table.lock` held."""
    generations = table.owners.get(top, ())
    if not generations:
        table.contested.discard(top)
        table.host_copies.discard(top)
        table.published.pop(top, None)
    elif _is_plain(top, generations):
        table.contested.discard(top)
        _place_modules(top, generations[0])
    else:
        if top not in table.contested and top not in table.host_copies and len(generations) > 1:
            _adopt_all(top, generations[0])
        table.contested.add(top)
        for generation in generations:
            _place_facades(top, generation)
    sys.modules = _view if table.contested else table.real


def note_host_copy(top: str) -> None:
    """Remember whether the host has a copy of its own of `top`.  Call before its first generation is added."""
    if top in table.real and top not in table.owners:
        table.host_copies.add(top)


def _is_plain(top: str, generations: tuple[Generation, ...]) -> bool:
    if len(generations) > 1 or top in table.host_copies:
        return False
    return top in generations[0].owned and top not in generations[0].private


def _under(top: str, generation: Generation) -> list[tuple[str, Any]]:
    return [(name, module) for name, module in list(generation.modules.items()) if table.top_of(name) == top]


def remove(generation: Generation) -> None:
    """Take all that stands for `generation` out of the real dict.  Call while it is still an owner."""
    for top in generation.tops:
        if top not in table.contested:
            _adopt_all(top, generation)
    for name, module in list(generation.modules.items()):
        hide(generation, name, module)


def _adopt_all(top: str, generation: Generation) -> None:
    below = f"{top}."
    for name in [n for n in list(table.real) if n == top or n.startswith(below)]:
        adopt(generation, name)


def _place_modules(top: str, generation: Generation) -> None:
    for name, module in _under(top, generation):
        table.real[name] = module
        if type(module) is types.ModuleType:
            tag_classes(vars(module), name, None)


def _place_facades(top: str, generation: Generation) -> None:
    for name, module in _under(top, generation):
        if type(module) is types.ModuleType:
            tag_classes(vars(module), name, generation.id)
        if generation.is_private(name) or not generation.owns(name):
            continue
        if table.real.get(name, module) is module:
            table.real[name] = Facade(name)
