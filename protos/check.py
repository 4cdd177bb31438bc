"""Checks the contract, and that the generated code is current: `python protos/check.py`.

buf lint, buf format and buf breaking (against the last commit), then everything is generated into a
temporary folder and compared byte for byte with recsvc/v1. `--write` puts it there instead.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
GENERATED = Path("recsvc") / "v1"
SCRIPTS = Path(sysconfig.get_path("scripts"))
GOOGLE_FOLDERS = ("google/api", "google/rpc", "google/type")
INIT = '"""Generated from protos/recsvc/v1 by `make gen`; do not edit."""\n'


class CheckError(Exception):
    """A check failed; the message says which, and what to do."""


def package_folder(module: str) -> Path:
    """Folder of an installed package; CheckError when it is missing."""
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise CheckError(f"package {module} is not installed: run make setup")
    return Path(next(iter(spec.submodule_search_locations)))


def googleapis_folder() -> Path:
    """Include path that holds google/api, google/rpc and google/type as .proto files."""
    return package_folder("google.api").parent.parent


def run(command: Sequence[str | Path], folder: Path, failure: str) -> None:
    """Run a command in a folder; CheckError with `failure` and its output when it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CheckError(f"{failure}\n{done.stdout}{done.stderr}".rstrip())


def lay_out_workspace(folder: Path, protos: Path) -> None:
    """Copy a protos folder, the google protos and buf.yaml to where buf.yaml expects them."""
    shutil.copytree(protos / "recsvc", folder / "protos" / "recsvc")
    for name in GOOGLE_FOLDERS:
        target = folder / "googleapis" / name
        target.mkdir(parents=True)
        for file in (googleapis_folder() / name).glob("*.proto"):
            shutil.copy(file, target)
    # Today's rules for both sides: the comparison reads the file of the newer one only.
    shutil.copy(PROTOS / "buf.yaml", folder)


def extract_last_commit(folder: Path) -> str | None:
    """Put the last commit's protos into a folder; the reason when there is nothing to compare."""
    git = shutil.which("git")
    if git is None:
        return "git is not installed"
    done = subprocess.run(
        [git, "archive", "--format=tar", "HEAD", "protos/recsvc"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        return "this is no git repository, or its last commit has no protos"
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return None


def check_with_buf(temporary: Path) -> list[str]:
    """Lint, format and breaking changes; gives one line of report a check."""
    buf = SCRIPTS / "buf"
    now = temporary / "now"
    lay_out_workspace(now, PROTOS)
    run([buf, "lint"], now, "buf lint: change the .proto files as it says")
    run(
        [buf, "format", "--diff", "--exit-code", "protos"],
        now,
        "buf format: apply this difference (make gen does it)",
    )
    report = ["lint and format: clean"]
    reason = extract_last_commit(temporary / "commit")
    if reason is not None:
        return [*report, f"breaking changes: skipped, {reason}"]
    lay_out_workspace(temporary / "last", temporary / "commit" / "protos")
    run(
        [buf, "breaking", "--against", temporary / "last"],
        now,
        "buf breaking: a client of the last commit would fail; add fields, do not change them",
    )
    return [*report, "breaking changes: none since the last commit"]


def format_protos() -> None:
    """Let buf format the .proto files in place."""
    run([SCRIPTS / "buf", "format", "--write", "protos/recsvc"], ROOT, "buf format")


def generate(folder: Path) -> None:
    """Generate messages, services and their type stubs below a folder, as recsvc/v1/*."""
    folder.mkdir(parents=True, exist_ok=True)
    outputs = ("python_out", "grpc_python_out", "mypy_out", "mypy_grpc_out")
    includes = (PROTOS, googleapis_folder(), package_folder("grpc_tools") / "_proto")
    run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            *(f"-I{include}" for include in includes),
            *(
                f"--plugin=protoc-gen-{name}={SCRIPTS / f'protoc-gen-{name}'}"
                for name in ("mypy", "mypy_grpc")
            ),
            *(f"--{output}={folder}" for output in outputs),
            *sorted(str(file.relative_to(PROTOS)) for file in PROTOS.rglob("*.proto")),
        ],
        ROOT,
        "protoc: the .proto files do not compile",
    )
    drop_empty_services(folder / GENERATED)
    (folder / GENERATED / "__init__.py").write_text(INIT, encoding="utf-8")


def drop_empty_services(folder: Path) -> None:
    """Remove the service modules of files that declare no service; protoc writes them anyway."""
    for module in folder.glob("*_pb2_grpc.py"):
        if "class " not in module.read_text(encoding="utf-8"):
            module.unlink()
            module.with_suffix(".pyi").unlink(missing_ok=True)


def read_folder(folder: Path) -> dict[str, bytes]:
    """File name -> content of a folder's files; sub-folders (caches) do not count."""
    files = folder.iterdir() if folder.is_dir() else ()
    return {file.name: file.read_bytes() for file in files if file.is_file()}


def compare(expected: Path, actual: Path) -> None:
    """CheckError that names the files when two folders differ."""
    wanted, found = read_folder(expected), read_folder(actual)
    names = sorted(name for name in wanted | found if wanted.get(name) != found.get(name))
    if names:
        raise CheckError(
            f"{GENERATED} is not what protos/ generates ({', '.join(names)}): run make gen"
        )


def install(generated: Path, target: Path) -> None:
    """Replace the files of the target folder by the generated ones."""
    target.mkdir(parents=True, exist_ok=True)
    wanted = read_folder(generated)
    for name in read_folder(target).keys() - wanted.keys():
        (target / name).unlink()
    for name, content in wanted.items():
        (target / name).write_bytes(content)


def main() -> int:
    """Run the checks; exit code 1 and one clear message when one fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="regenerate recsvc/v1")
    write = parser.parse_args().write
    try:
        with tempfile.TemporaryDirectory(prefix="recsvc-protos-") as name:
            if write:
                format_protos()
            generate(Path(name) / "generated")
            generated = Path(name) / "generated" / GENERATED
            if write:
                install(generated, ROOT / GENERATED)
            report = check_with_buf(Path(name))
            compare(generated, ROOT / GENERATED)
    except CheckError as error:
        print(f"protos: {error}", file=sys.stderr)
        return 1
    print("\n".join(f"protos: {line}" for line in [*report, f"{GENERATED}: current"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
