"""The files of a folder and of the folders in it."""

from __future__ import annotations

import os
from pathlib import Path


def files_below(folder: Path) -> list[Path]:
    """Give the files of a folder, to any depth, sorted.

    Links to folders are followed, because large sets are often put together from such; a folder that several links
    lead to is entered once. A link that leads nowhere is listed: whoever reads it reports it.
    """
    found: list[Path] = []
    entered: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        entered.add(os.path.realpath(place))
        keep = []
        for name in sorted(folders):
            real = os.path.realpath(os.path.join(place, name))
            if real not in entered:
                entered.add(real)
                keep.append(name)
        folders[:] = keep
        found += [path for name in files if (path := Path(place, name)).is_file() or path.is_symlink()]
    return sorted(found)
