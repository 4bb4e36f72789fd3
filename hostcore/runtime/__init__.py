"""What the system knows of its modules, and does with them: registry, loading, reload, policy, events."""
