"""Watching: `run --watch` and `dev` reload the modules whose sources change.

    sources   what in the file system is a module's, and which modules a changed path concerns: decided purely
    finding   the sources of a module that is loaded, or that failed to load
    views     what the sources look like at a moment, and which directories to watch
    bursts    when the changes to a module are over
    lookout   a thread that watches: watchfiles tells when to look, two views tell what changed
    habits    files that a module writes itself when it is loaded
    watcher   reloads the modules concerned
    outcomes  what came of it, for people and as JSON

Only `lookout` needs watchfiles, and imports it when it begins to watch.
"""
