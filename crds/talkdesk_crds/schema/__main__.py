"""``python -m talkdesk_crds.schema``: write the CRDs, or ``--check`` that they are current.

They stand twice in the repository: in ``crds/`` for kubectl and as files of the chart, for Helm reads nothing
outside its chart. Exit code 1 says that ``--check`` found a difference.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from talkdesk_crds.schema.crd import render
from talkdesk_crds.schema.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CHECKOUT: Final = Path(__file__).resolve().parents[3]
#: Folders below the repository's root that hold the generated files, and nothing else that ends in .yaml.
FOLDERS: Final = (Path("crds"), Path("charts/talkdesk-operator/files/crds"))


def wanted() -> Mapping[Path, str]:
    """Every generated file by its path below the repository's root."""
    texts = {f"{kind.plural}.yaml": render(kind) for kind in KINDS}
    return {folder / name: text for folder in FOLDERS for name, text in texts.items()}


def drift(root: Path) -> list[str]:
    """What differs below ``root`` from what the models say, one line a file; empty when nothing does."""
    files = wanted()
    faults = []
    for path, text in files.items():
        if not (root / path).exists():
            faults.append(f"{path} is missing")
        elif (root / path).read_text(encoding="utf-8") != text:
            faults.append(f"{path} differs from the models")
    found = {path.relative_to(root) for folder in FOLDERS for path in (root / folder).glob("*.yaml")}
    return faults + [f"{path} belongs to no kind" for path in sorted(found - files.keys())]


def write(root: Path) -> None:
    """Make the files below ``root`` what the models say; a file of a kind that is gone goes too."""
    files = wanted()
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for path in (root / folder).glob("*.yaml"):
            if path.relative_to(root) not in files:
                path.unlink()
    for path, text in files.items():
        (root / path).write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m talkdesk_crds.schema", description="The kinds' CRDs.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    parser.add_argument("--root", type=Path, default=_CHECKOUT, help="the repository (default: this one)")
    options = parser.parse_args(arguments)
    root: Path = options.root
    if not (root / "pyproject.toml").exists():
        parser.error(f"{root} is no checkout of talkdesk-operator (no pyproject.toml): give one with --root")
    if not options.check:
        write(root)
        return 0
    faults = drift(root)
    for fault in faults:
        sys.stderr.write(f"{fault}: run `make crds` and commit the result\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
