"""The hooks and their check: every rule, all problems at once, each in the form of the contract."""

from __future__ import annotations

import functools
import inspect
import types

import pluggy
import pytest

import hostcore
from hostcore.contract.messages import Message
from hostcore.contract.spec import BLOCKING, HOOKS, HookSpecs, hookimpl
from hostcore.contract.validation import check_hooks, marked, place_of
from hostcore.errors import HookError


def problems_of(plugin, third_party=None):
    return check_hooks(plugin, third_party or {})


def only(plugin, third_party=None):
    """Return the one problem of `plugin`, as (code, message, hint)."""
    (problem,) = problems_of(plugin, third_party)
    return problem.code, problem.message, problem.hint


# --- the specification ---------------------------------------------------------------------------------------------


def test_the_hooks_and_their_arguments():
    """The contract has these hooks with these arguments; a change here is a new version of the interface."""
    assert HOOKS == {
        "initialize": ("context",),
        "get_capabilities": (),
        "handle_message": ("message",),
        "execute": ("request",),
        "check_health": (),
        "get_state": (),
        "migrate_state": ("state", "from_version"),
        "restore_state": ("state", "from_version"),
        "shutdown": (),
    }
    assert all(vars(HookSpecs)[name].__doc__ for name in HOOKS)


def test_pluggy_reads_the_marks():
    """What `hookimpl` writes is what pluggy reads, options and all."""

    class Module:
        @hookimpl
        def handle_message(self, message): ...

        @hookimpl(specname="execute", tryfirst=True)
        def run(self, request): ...

        @hookimpl(trylast=True, optionalhook=True)
        def elsewhere(self): ...

    manager = pluggy.PluginManager("hostcore")
    manager.add_hookspecs(HookSpecs)
    plugin = Module()
    manager.register(plugin)
    assert {caller.name for caller in manager.get_hookcallers(plugin)} == {"handle_message", "execute", "elsewhere"}
    (implementation,) = manager.hook.execute.get_hookimpls()
    assert implementation.tryfirst
    manager.check_pending()


def test_marks_leave_the_function_alone():
    """The marker returns the function itself, with and without parentheses; `blocking` is noted on it."""

    def plain(message): ...

    assert hookimpl(plain) is plain
    assert hookimpl(blocking=True)(plain) is plain
    assert getattr(plain, BLOCKING) is True
    assert not hasattr(hookimpl(lambda message: None), BLOCKING)


# --- what is right -------------------------------------------------------------------------------------------------


class Everything:
    """Every hook, in every allowed shape."""

    @hookimpl
    def initialize(self, context): ...

    @hookimpl
    async def handle_message(self, message: Message): ...

    @hookimpl
    def execute(self): ...

    @hookimpl
    def get_capabilities(self, extra=None): ...

    @hookimpl
    def migrate_state(self, from_version, state): ...

    @hookimpl
    def restore_state(self, state, *, flag=True): ...

    @hookimpl
    def shutdown(self, flag=True, /): ...

    @hookimpl(blocking=True)
    def get_state(self): ...

    @staticmethod
    @hookimpl
    def check_health(): ...

    @classmethod
    @hookimpl(specname="shutdown")
    def stop(cls): ...


def test_every_allowed_shape():
    """Fewer arguments, another order, defaults, async, static and class methods are all right."""
    assert problems_of(Everything()) == []
    assert sorted(marked(Everything())) == sorted([*HOOKS, "stop"])


def test_a_python_module_can_be_a_module():
    """Hooks may be plain functions of a Python module, whatever made them."""

    def make(name):
        def handle_message(message): ...

        def execute(reqest): ...

        return hookimpl({"handle_message": handle_message, "execute": execute}[name])

    module = types.ModuleType("acme")
    module.handle_message = make("handle_message")
    assert problems_of(module) == []
    module.execute = make("execute")
    assert only(module)[1] == "hook 'execute' takes an unknown argument 'reqest'"


def test_hooks_of_an_object_of_its_own():
    """Functions and bound methods that an object carries itself are hooks, too."""

    class Module:
        def _own(self, message): ...

    hookimpl(Module._own)
    plugin = types.SimpleNamespace(handle_message=Module()._own, execute=hookimpl(lambda request: None))
    assert problems_of(plugin) == []
    plugin.execute = hookimpl(lambda self, request: None)
    assert only(plugin)[1] == "hook 'execute' takes an unknown argument 'self'"


def test_inherited_and_overridden_hooks():
    """Hooks are inherited; an override without the mark is none."""

    class Base:
        @hookimpl
        def handle_message(self, message): ...

        @hookimpl
        def execute(self, reqest): ...

    class Child(Base):
        def execute(self, request): ...

    assert list(marked(Child())) == ["handle_message"]
    assert problems_of(Child()) == []


def test_decorated_hooks():
    """A wrapper made with functools.wraps is judged by the function that it wraps."""

    def logged(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return function(*args, **kwargs)

        return wrapper

    class Module:
        @hookimpl
        @logged
        def handle_message(self, message): ...

        @hookimpl
        @logged
        def execute(self, reqest): ...

    (problem,) = problems_of(Module())
    assert problem.message == "hook 'execute' takes an unknown argument 'reqest'"
    assert problem.where.startswith("contract/test_hooks.py:")


def test_nothing_of_the_module_is_run():
    """Looking for hooks evaluates no property, descriptor or __getattr__."""
    touched = []

    class Descriptor:
        def __get__(self, instance, owner):
            touched.append("descriptor")

    class Module:
        descriptor = Descriptor()

        @property
        def prop(self):
            touched.append("property")

        @functools.cached_property
        def cached(self):
            touched.append("cached")

        def __getattr__(self, name):
            touched.append(name)
            raise AttributeError(name)

        @hookimpl
        def handle_message(self, message): ...

    assert problems_of(Module()) == []
    assert touched == []


def test_slots():
    """A module without a __dict__ of its own is a module as any other."""

    class Module:
        __slots__ = ("count",)

        @hookimpl
        def handle_message(self, message): ...

    assert problems_of(Module()) == []


def test_third_party_hooks():
    """Hooks that other packages declare are checked like the contract's own, which they cannot redefine."""

    class Module:
        @hookimpl
        def on_save(self, path): ...

        @hookimpl
        def handle_message(self, message): ...

    assert problems_of(Module(), {"on_save": ("path", "text"), "handle_message": ("other",)}) == []
    assert only(Module()) == (
        "HC300",
        "implements an unknown hook 'on_save'",
        "known hooks: " + ", ".join(HOOKS),
    )
    code, message, hint = only(Module(), {"on_save": ("paths",)})
    assert (code, message, hint) == (
        "HC301",
        "hook 'on_save' takes an unknown argument 'path'",
        "did you mean 'paths'?",
    )


def test_optional_hooks():
    """A hook marked optional is no error where nobody declares it, and checked where somebody does."""

    class Module:
        @hookimpl(optionalhook=True)
        def on_save(self, wrong): ...

    assert problems_of(Module()) == []
    assert only(Module(), {"on_save": ("path",)})[0] == "HC301"


# --- what is wrong -------------------------------------------------------------------------------------------------


def test_the_form_of_a_problem():
    """A wrong argument is reported with module, release, distribution, place, specification and advice."""
    hook = "    @hostcore.hookimpl\n    def handle_message(self, mesage): ...\n"
    code = "import hostcore\nclass Counter:\n" + "    #\n" * 9 + hook
    namespace = {"__name__": "acme_counter"}
    exec(compile(code, "/site-packages/acme_counter/__init__.py", "exec"), namespace)
    problems = problems_of(namespace["Counter"]())
    error = HookError("counter", label="counter 1.4.0 (acme-counter)", problems=problems)
    assert str(error) == (
        "HC301 counter 1.4.0 (acme-counter): hook 'handle_message' takes an unknown argument 'mesage'\n"
        "  --> acme_counter/__init__.py:12    spec: handle_message(message)\n"
        "  hint: did you mean 'message'?"
    )


def test_an_unknown_hook():
    """A hook that nobody declares is reported, with the nearest known one."""

    class Module:
        @hookimpl
        def handle_mesage(self, message): ...

    assert only(Module()) == ("HC300", "implements an unknown hook 'handle_mesage'", "did you mean 'handle_message'?")


def test_an_unknown_hook_by_specname():
    """The hook is what `specname` says."""

    class Module:
        @hookimpl(specname="execut")
        def handle_message(self, message): ...

    assert only(Module()) == ("HC300", "implements an unknown hook 'execut'", "did you mean 'execute'?")


def test_a_wrapper():
    """A wrapping implementation, made with pluggy's own marker, is refused: modules do not wrap each other."""

    class Module:
        @pluggy.HookimplMarker("hostcore")(wrapper=True)
        def handle_message(self, message):
            return (yield)

    assert [problem.code for problem in problems_of(Module())] == ["HC304", "HC307"]


@pytest.mark.parametrize("plugin", [object(), types.ModuleType("acme"), types.SimpleNamespace(), 5, None])
def test_no_hook_at_all(plugin):
    """What implements nothing is no module, and is told what there is to implement."""
    (problem,) = problems_of(plugin)
    assert (problem.code, problem.message) == ("HC305", "implements no hook")
    assert problem.expected == "at least one of " + ", ".join(HOOKS)
    assert "@hostcore.hookimpl" in problem.hint


@pytest.mark.parametrize(
    ("function", "shown"),
    [
        (lambda self, *args: None, "'*args'"),
        (lambda self, **options: None, "'**options'"),
        (lambda self, *, message: None, "'keyword-only argument message'"),
        (lambda self, *, message=None: None, "'keyword-only argument message'"),
        (lambda self, message, /: None, "'positional-only argument message'"),
        (lambda self, *, other: None, "'keyword-only argument other'"),
    ],
)
def test_arguments_that_are_not_plain(function, shown):
    """Stars and keyword-only arguments, which would only fail at the call, are refused when the module loads."""
    plugin = type("Module", (), {"handle_message": hookimpl(function)})()
    code, message, _ = only(plugin)
    assert (code, message) == ("HC306", f"hook 'handle_message' takes {shown}; hooks take plain arguments")


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_generators(kind):
    """A hook that yields is refused."""
    namespace = {}
    exec(f"{kind} handle_message(self, message):\n    yield", namespace)
    plugin = type("Module", (), {"handle_message": hookimpl(namespace["handle_message"])})()
    assert only(plugin)[:2] == ("HC307", "hook 'handle_message' is a generator")


def test_blocking_and_async():
    """A hook is async or blocking, not both."""

    class Module:
        @hookimpl(blocking=True)
        async def handle_message(self, message): ...

    assert only(Module()) == (
        "HC308",
        "hook 'handle_message' is async and declared blocking",
        "use one: def with blocking=True",
    )


def test_static_and_class_methods_have_their_own_first_argument():
    """A wrong first argument is found in static methods, which have no self, and in class methods after cls."""

    class Module:
        @staticmethod
        @hookimpl
        def handle_message(mesage): ...

        @classmethod
        @hookimpl
        def execute(cls, reqest): ...

    assert sorted(problem.message for problem in problems_of(Module())) == [
        "hook 'execute' takes an unknown argument 'reqest'",
        "hook 'handle_message' takes an unknown argument 'mesage'",
    ]


@pytest.mark.parametrize("decorator", [staticmethod, classmethod])
def test_a_mark_in_the_wrong_place(decorator):
    """A mark outside of @staticmethod or @classmethod, which nobody would see, is reported."""

    class Module:
        @hookimpl
        @decorator
        def handle_message(message): ...

    name = decorator.__name__
    assert only(Module()) == (
        "HC309",
        f"hook 'handle_message' is marked outside of @{name}, where nobody sees it",
        f"write @{name} first and @hookimpl below it",
    )


def test_what_is_no_function():
    """Something marked that cannot be called is reported, not run into."""
    plugin = type("Module", (), {"handle_message": hookimpl(functools.partialmethod(lambda self, message: None))})()
    assert only(plugin)[:2] == ("HC310", "hook 'handle_message' is a partialmethod, not a function")


def test_all_problems_at_once():
    """Every problem of every hook comes in one report, in a fixed order."""

    class Module:
        @hookimpl
        def handle_mesage(self, message): ...

        @hookimpl
        def execute(self, reqest, other, *args): ...

        @hookimpl(blocking=True)
        async def get_state(self, a): ...

        @hookimpl
        def shutdown(self):
            yield

    problems = problems_of(Module())
    assert [problem.code for problem in problems] == ["HC301", "HC301", "HC306", "HC301", "HC308", "HC300", "HC307"]
    assert all(problem.where for problem in problems)
    error = HookError("m", problems=problems)
    assert str(error).count("HC3") == 7
    assert len(error.as_data()["problems"]) == 7


def test_places():
    """A place is the last two parts of a file and a line; what has no code has none."""
    line = inspect.getsourcelines(test_places)[1]
    assert place_of(test_places) == f"contract/test_hooks.py:{line}"
    assert place_of(functools.lru_cache(test_places)) == place_of(test_places)
    assert place_of(print) == ""


def test_hookspec_is_pluggys():
    """`hookspec` declares hooks for pluggy under hostcore's project name."""

    class Specs:
        @hostcore.hookspec
        def on_save(self, path): ...

    manager = pluggy.PluginManager("hostcore")
    manager.add_hookspecs(Specs)
    assert manager.hook.on_save.spec.argnames == ("path",)
