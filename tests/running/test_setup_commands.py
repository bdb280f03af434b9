"""The commands of `ray_cluster.yaml` as its head runs them: in a clean Debian, as the nodes' user, with nothing but
loopback for a network. `.ci/run` makes the root.

Of ours the node sees the installed libraries alone, which it cannot change: pip finds there what constraints.txt pins,
and would otherwise have to fetch it. What is not seen here: Ray's image, whether the index has the wheels, and AWS.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from fnmatch import fnmatch
from pathlib import Path

import pytest
from tests.helpers import HELPERS, ROOT
from tests.running.test_cluster_files import cluster

CLEAN = os.environ.get("UNBLUR_CLEAN_ROOT")
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CLEAN and POSTGRES and os.getuid() == 0 and sys.version_info[:2] == (3, 11)),
        reason="needs root, PostgreSQL, Python 3.11 and a clean Debian 12 with python3-venv at UNBLUR_CLEAN_ROOT",
    ),
]
PASSWORD = "pa/ss"
UP = """
python - <<'EOF'
import mlflow, pathlib, sys, time, urllib.request
end = time.monotonic() + 300
while time.monotonic() < end:
    try:
        urllib.request.urlopen("http://127.0.0.1:5000/health")
        break
    except OSError:
        time.sleep(0.5)
else:
    sys.exit(pathlib.Path.home().joinpath("mlflow.log").read_text())
mlflow.set_tracking_uri("http://127.0.0.1:5000")
with mlflow.start_run():
    mlflow.log_metric("x", 1)
    print("artifacts", mlflow.get_artifact_uri())
EOF
"""


def commands(key: str) -> list[str]:
    """With the services' addresses in place of what is to be filled in."""
    filled = {"YOUR-DATABASE": "127.0.0.1", "YOUR-BUCKET": "bucket"}
    lines: list[str] = cluster()[key]
    return [re.sub("|".join(filled), lambda found: filled[found[0]], line) for line in lines]


def laptop(home: Path) -> None:
    """What docs/cluster.md has made before `ray up`: the password's file, and Ray's token."""
    (line,) = [each for each in (ROOT / "docs/cluster.md").read_text().splitlines() if each.startswith("(umask")]
    home.mkdir()
    (home / ".ray").mkdir()
    (home / ".ray/auth_token").write_text("0123456789abcdef" * 4)
    subprocess.run(["bash", "-ec", line], env={"HOME": str(home), "password": PASSWORD}, check=True)


def mounted(node: Path, home: Path) -> None:
    """What `file_mounts` brings to a node, but for what `rsync_exclude` keeps away."""
    for there, here in cluster()["file_mounts"].items():
        target = node / there.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if here == ".":
            shutil.copytree(ROOT, target, ignore=away)
        else:
            shutil.copy2(home / here.removeprefix("~/"), target)
    subprocess.run(["chown", "-R", "1000:100", node / "home/ray"], check=True)


def away(folder: str, names: list[str]) -> set[str]:
    """What of a folder stays on the laptop."""
    patterns = [pattern.removesuffix("/**") for pattern in cluster()["rsync_exclude"]]
    return {name for name in names if folder == str(ROOT) and any(fnmatch(name, pattern) for pattern in patterns)}


def image() -> list[str]:
    """What Ray's image has: a Python of the user's own, with pip, and with Ray among its libraries; and the program
    that pip would write if it had to install MLflow."""
    libraries = "~/python/lib/python3.11/site-packages/libraries.pth"
    program = (
        r"""printf '#!/bin/sh\nexec python -m mlflow "$@"\n' > ~/python/bin/mlflow; chmod +x ~/python/bin/mlflow"""
    )
    return ["python3 -m venv ~/python", "pip uninstall --quiet --yes setuptools", f"echo /mnt > {libraries}", program]


def test_a_head_comes_up_in_a_clean_root(tmp_path: Path) -> None:
    assert CLEAN
    laptop(tmp_path / "laptop")
    mounted(tmp_path / "node", tmp_path / "laptop")
    setup, head, (*_, mlflow) = (
        commands(key) for key in ("setup_commands", "head_setup_commands", "head_start_ray_commands")
    )
    lines = [*image(), *setup, *head, *head, mlflow, UP, "unblur --version"]  # head: again, as by a second `ray up`
    (tmp_path / "node/home/ray/commands.sh").write_text("\n".join(f"({line})" for line in lines))
    node = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "bash", str(HELPERS / "clean_node.sh")]
    libraries = sysconfig.get_path("purelib")
    places = [CLEAN, str(tmp_path / "node/home"), libraries, str(POSTGRES[-1]), PASSWORD, "/home/ray/commands.sh"]
    done = subprocess.run([*node, *places], cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert "artifacts mlflow-artifacts:/" in done.stdout, "MLflow's server keeps files, in the bucket, for its clients"
    assert done.stdout.splitlines()[-1].startswith("unblur 0.")
