"""Match paths against gitignore patterns."""

import pathspec


def exercise():
    spec = pathspec.GitIgnoreSpec.from_lines(["*.py", "!keep.py", "build/", "/a/**/z"])
    files = ["x.py", "keep.py", "build/x", "a/b/c/z", "y.txt"]
    return [sorted(spec.match_files(files)), spec.match_file("b/keep.py"), len(spec)]
