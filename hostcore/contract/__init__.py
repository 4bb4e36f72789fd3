"""What a module and its host promise each other: hooks, manifest, messages, context, lifecycle.

Nothing in here runs a module.  Every other folder imports this one; it imports only `hostcore.errors`.
"""
