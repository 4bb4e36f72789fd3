"""Which modules are there, where is their code, and in which order do they load; nothing in here imports a module.

- `entries`, `metadata`: what one distribution says of itself (`entry_points.txt`, `METADATA`).
- `folders`, `index`, `elsewhere`, `discovery`: one scan of `sys.path`, remembered on disk, always right.
- `locating`, `owned`, `editable`: from an entry point to the directories and the names that a generation loads.
- `guests`: the same for WebAssembly modules, which are files and own no names.
- `sources`, `projects`, `wheels`: the same for what is not installed: a project directory, a wheel, a `.wasm` file.
- `order`: load order from what manifests require.
"""
