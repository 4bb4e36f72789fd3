"""The WebAssembly host: guests in a sandbox, on the event loop, under the same contract as native modules.

Nothing else imports wasmtime.  `host` loads, `instance` is what stands behind a cell, `imports` what a guest may ask
for; `components` and `core` are the two kinds of guest, on top of one of the call paths in `fast` and `plain`.
"""
