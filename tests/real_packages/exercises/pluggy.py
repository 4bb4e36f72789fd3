"""Register implementations with a wrapper and call them in order."""

import pluggy

spec, impl = pluggy.HookspecMarker("wrapped"), pluggy.HookimplMarker("wrapped")


class Specs:
    @spec
    def add(self, x):
        pass


class First:
    @impl(tryfirst=True)
    def add(self, x):
        return x + 1


class Wrapper:
    @impl(wrapper=True)
    def add(self, x):
        return [*(yield), "wrapped"]


class Second:
    @impl
    def add(self, x):
        return x + 2


def exercise():
    manager = pluggy.PluginManager("wrapped")
    manager.add_hookspecs(Specs)
    for plugin in (Second(), First(), Wrapper()):
        manager.register(plugin)
    manager.check_pending()
    return [manager.hook.add(x=1), len(manager.get_plugins())]
