"""Walk a zip file as paths."""

import io
import zipfile

import zipp


def exercise():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("a/b.txt", "text")
        archive.writestr("a/c/d.md", "more")
    with zipfile.ZipFile(data) as archive:
        root = zipp.Path(archive)
        return [
            sorted(str(path.relative_to(root)) for path in root.joinpath("a").iterdir()),
            root.joinpath("a", "b.txt").read_text("utf-8"), sorted(path.name for path in root.rglob("*.md")),
        ]  # fmt: skip
