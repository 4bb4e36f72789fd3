"""What a module does with files: its own, and those that were not granted."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

from worker.sandbox.attempts.calling import World, call


def read_code(w: World):
    return Path(w["code"], "mod.py").read_text()


def import_more(w: World):
    import colorsys
    import csv  # with a C extension

    return bool(colorsys and csv)


def write_and_read_data(w: World):
    path = Path(w["data"], f"mine-{os.getpid()}")
    path.write_text("x")
    path.rename(path.with_suffix(".new"))
    path.with_suffix(".new").unlink()
    Path(w["data"], f"folder-{os.getpid()}").mkdir()


def move_between_folders(w: World):
    folder = Path(w["data"], f"in-{os.getpid()}")
    folder.mkdir()
    path = Path(w["data"], f"moved-{os.getpid()}")
    path.write_text("x")
    path.rename(folder / "there")


def write_to_the_sink(w: World):
    Path("/dev/null").write_text("x")


def random_numbers(w: World):
    return len(Path("/dev/urandom").open("rb", buffering=0).read(4))


def own_status(w: World):
    return "Threads" in Path("/proc/self/status").read_text()


def write_code(w: World):
    Path(w["code"], "mod.py").open("r+").close()


def create_beside_code(w: World):
    Path(w["code"], "new.py").touch()


def read_secret(w: World):
    return Path(w["secret"]).read_text()


def read_by_dots(w: World):
    return Path(w["data"] + "/../other/secret").read_text()


def read_by_symlink(w: World):
    link = Path(w["data"], f"link-{os.getpid()}")
    link.symlink_to(w["secret"])
    return link.read_text()


def read_by_hard_link(w: World):
    link = Path(w["data"], f"hard-{os.getpid()}")
    os.link(w["secret"], link)
    return link.read_text()


def rename_into_data(w: World):
    os.rename(w["decoy"], Path(w["data"], f"got-{os.getpid()}"))


def rename_out_of_data(w: World):
    path = Path(w["data"], f"out-{os.getpid()}")
    path.write_text("x")
    os.rename(path, Path(w["other"], path.name))


def read_by_path_descriptor(w: World):
    descriptor = os.open(w["secret"], os.O_PATH)
    return Path(f"/proc/self/fd/{descriptor}").read_text()


def read_beneath_path_descriptor(w: World):
    descriptor = os.open(w["other"], os.O_PATH)
    return os.read(os.open("secret", os.O_RDONLY, dir_fd=descriptor), 10).decode()


def read_by_proc_root(w: World):
    return Path("/proc/self/root" + w["secret"]).read_text()


def read_by_proc_cwd(w: World):
    os.chdir(w["other"])
    return Path("/proc/self/cwd/secret").read_text()


def reopen_for_writing(w: World):
    descriptor = os.open(w["code"] + "/mod.py", os.O_RDONLY)
    os.close(os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR))


def write_secret(w: World):
    Path(w["secret"]).open("r+").close()


def truncate_secret(w: World):
    os.truncate(w["secret"], 6)


def truncate_at_opening(w: World):
    os.close(os.open(w["decoy"], os.O_RDONLY | os.O_TRUNC))


def unlink_decoy(w: World):
    os.unlink(w["decoy"])


def make_a_folder_outside(w: World):
    os.mkdir(f"{w['other']}/folder-{os.getpid()}")


def make_a_pipe_outside(w: World):
    os.mkfifo(f"{w['other']}/pipe-{os.getpid()}")


def list_outside(w: World):
    return "secret" in os.listdir(w["other"])


def list_root(w: World):
    return "usr" in os.listdir("/")


def read_users(w: World):
    return Path("/etc/passwd").read_text()[:4]


def change_mode(w: World):
    os.chmod(w["secret"], 0o666)


def change_mode_of_descriptor(w: World):
    with Path(w["code"], "mod.py").open() as file:
        os.fchmod(file.fileno(), 0o644)


def change_mode_the_newest_way(w: World):
    call("fchmodat2", -100, os.fsencode(w["secret"]), 0o666, 0)


def change_owner(w: World):
    os.chown(w["secret"], os.getuid(), -1)


def change_times(w: World):
    os.utime(w["secret"])


def set_attribute(w: World):
    os.setxattr(w["secret"], "user.x", b"x")


def watch_a_folder(w: World):
    descriptor = call(LIBC_INOTIFY[os.uname().machine], 0)
    call("inotify_add_watch", descriptor, os.fsencode(w["other"]), 0x100)


LIBC_INOTIFY = {"x86_64": 294, "aarch64": 26}  # inotify_init1


def open_by_handle(w: World):
    handle = ctypes.create_string_buffer(struct.pack("II", 128, 0), 136)
    mount = ctypes.c_int()
    call("name_to_handle_at", -100, os.fsencode(w["secret"]), handle, ctypes.byref(mount), 0)


def make_a_device(w: World):
    os.mknod(f"{w['data']}/null-{os.getpid()}", 0o020666, os.makedev(1, 3))


def read_environment_of_host(w: World):
    return bool(Path(f"/proc/{w['host']}/environ").read_bytes())


def read_memory_of_host(w: World):
    Path(f"/proc/{w['host']}/mem").open("rb").close()


def read_maps_of_host(w: World):
    return bool(Path(f"/proc/{w['host']}/maps").read_bytes())


def list_files_of_host(w: World):
    return bool(os.listdir(f"/proc/{w['host']}/fd"))


def change_root(w: World):
    os.chroot(w["data"])


def go_with_landlock_of(w: World):
    """Restrict files as an older kernel can; return whether the secret is still closed, and what was told."""
    from hostcore.hosts.worker.sandbox import kernel, landlock

    kernel.prctl(kernel.SET_NO_NEW_PRIVS, 1)
    told = landlock.restrict([w["code"]], [w["data"]], programs=False, newest=w["newest"])
    write_and_read_data(w)
    try:
        read_secret(w)
    except PermissionError:
        return told
    return "open"
