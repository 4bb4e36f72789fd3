"""Every error hostcore raises, in one tree.

The class says who has to act: a `ModuleError` is the module author's, a `HostError` the supervisor's, a
`DeniedError` the operator's, a `DeliveryError` the caller's.  Each error has a stable `code` and carries its
facts as attributes, so that a program need not read the text, and the text is made from them in one place:

    HC301 counter 1.4.0 (acme-counter): hook 'handle_message' takes an unknown argument 'mesage'
      --> acme_counter/__init__.py:12    spec: handle_message(message)
      hint: did you mean 'message'?

Errors hold no exception, frame or object of a module: a stored one would keep the module's old code alive after
a reload.  What a module raised travels as its type's name, its text and its formatted traceback.
"""

from hostcore.errors.base import HostcoreError, Problem, did_you_mean
from hostcore.errors.delivery import (
    CallCycleError,
    DeadlineError,
    DeliveryError,
    MailboxFullError,
    NetworkError,
    QuarantinedError,
    StoppedError,
    UnknownModuleError,
)
from hostcore.errors.denied import ConsentError, DeniedError, EgressError
from hostcore.errors.hosts import GuestTrapError, HostError, HungError, LimitError, WorkerDiedError
from hostcore.errors.modules import (
    BuildError,
    ContractError,
    HookError,
    LoadError,
    ManifestError,
    ModuleError,
    StateError,
)
from hostcore.errors.operating import (
    ConfigError,
    ConflictError,
    ControlError,
    CycleError,
    DigestError,
    LifecycleError,
    MissingError,
    NoHostError,
    ReleaseNotFoundError,
    ReloadError,
    ResolutionError,
    SignatureError,
    StoreError,
)

__all__ = [
    "BuildError", "CallCycleError", "ConfigError", "ConflictError", "ConsentError", "ContractError", "ControlError",
    "CycleError", "DeadlineError", "DeliveryError", "DeniedError", "DigestError", "EgressError", "GuestTrapError",
    "HookError", "HostError", "HostcoreError", "HungError", "LifecycleError", "LimitError", "LoadError",
    "MailboxFullError", "ManifestError", "MissingError", "ModuleError", "NetworkError", "NoHostError", "Problem",
    "QuarantinedError", "ReleaseNotFoundError", "ReloadError", "ResolutionError", "SignatureError", "StateError",
    "StoppedError", "StoreError", "UnknownModuleError", "WorkerDiedError", "did_you_mean",
]  # fmt: skip

for _name in __all__:
    globals()[_name].__module__ = __name__  # as people know it: which file an error stands in is nobody's concern
del _name
