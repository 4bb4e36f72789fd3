"""Write, list and read files of a file system in memory, through the registry."""

import fsspec


def exercise():
    files = fsspec.filesystem("memory", skip_instance_cache=True)
    with fsspec.open("memory://folder/a.txt", "w") as file:
        file.write("hello")
    files.pipe("/folder/b.bin", b"\x01")
    found = files.find("/folder")
    mapper = fsspec.get_mapper("memory://folder")
    result = [found, files.cat("/folder/a.txt").decode(), sorted(mapper), files.size("/folder/b.bin")]
    files.rm("/folder", recursive=True)
    return result
