"""Writes the golden bundle of the current format anew, and what it answers.

    .venv/bin/python tests/golden/make.py

Only while a format is not released. A released format's bundle stays as it is for good, because it
proves that such bundles can still be read; a new format gets a folder beside it.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent))

from support.asking import golden_answers  # noqa: E402
from support.worlds import shared_bundle  # noqa: E402

from recsvc.model.bundle import FORMAT_VERSION, read_bundle, write_bundle  # noqa: E402

if __name__ == "__main__":
    bundle = FOLDER / f"bundle-{FORMAT_VERSION}"
    shutil.rmtree(bundle, ignore_errors=True)
    write_bundle(shared_bundle(), bundle)
    answers = json.dumps(golden_answers(read_bundle(bundle)), ensure_ascii=False, indent=1)
    (FOLDER / f"answers-{FORMAT_VERSION}.json").write_text(answers + "\n", "utf-8")
    size = sum(p.stat().st_size for p in bundle.rglob("*") if p.is_file())
    print(f"{bundle}: {size:,} bytes")
