from abc import ABC, abstractmethod

import mypkg

__all__ = ["Base", "helper"]


class Base(ABC):
    subs = []

    def __init_subclass__(cls, **keywords):
        super().__init_subclass__(**keywords)
        Base.subs.append(cls)

    @abstractmethod
    def go(self): ...


def helper():
    """Import a module of the own package as late as can be, and tell its version."""
    import mypkg.lazy0 as lazy

    return lazy.VERSION


def package():
    return mypkg
