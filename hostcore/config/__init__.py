"""The host's configuration: `hostcore.toml`, or `[tool.hostcore]` in a `pyproject.toml`.

A program may as well pass the same keys as a mapping.  All mistakes come in one error, each with its line.  Paths
in a file are relative to that file, so that a host starts the same from anywhere; in a mapping, to the working
directory of the moment.

* `host` holds the whole; `modules`, `policy`, `reload`, `supervision`, `wasm` and `worker` one table each; `forms` what
  they share;
* `files` finds and reads; `places` says where a host keeps its data.
"""

from hostcore.config.files import BUILD, FILE, POLICY, PYPROJECT, config_schema, find_config, load_config
from hostcore.config.host import HostConfig, usual_limits
from hostcore.config.modules import ModuleConfig
from hostcore.config.places import cache_dir, runtime_dir, state_dir
from hostcore.config.policy import PolicyConfig, TrustConfig
from hostcore.config.reload import ReloadConfig
from hostcore.config.supervision import SupervisionConfig
from hostcore.config.wasm import WasmConfig
from hostcore.config.worker import WorkerConfig

__all__ = [
    "BUILD", "FILE", "POLICY", "PYPROJECT", "HostConfig", "ModuleConfig", "PolicyConfig", "ReloadConfig",
    "SupervisionConfig", "TrustConfig",
    "WasmConfig", "WorkerConfig", "cache_dir", "config_schema", "find_config", "load_config", "runtime_dir",
    "state_dir", "usual_limits",
]  # fmt: skip
