"""What nats-config takes; real servers are started in tests/server/bus/accounts/test_cluster.py."""

import stat
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.kit.certificates import certificate_files
from tests.kit.command_line import CommandLine

NATS_SERVER = Path(sysconfig.get_path("scripts")) / "nats-server"
NODES = [word for n in range(3) for word in ("--node", f"n{n}=127.0.0.{n + 1}")]


def nats_config(folder: Path, *words: object) -> tuple[int, str]:
    """Exit code and what was said."""
    done = CommandLine(folder)("nats-config", "--data-dir", folder / "data", *words)
    return done.exit_code, done.output


def test_each_node_of_a_cluster_gets_a_configuration_that_its_server_takes(tmp_path: Path) -> None:
    certificate, key = certificate_files(tmp_path)
    tls = ["--certificate", certificate, "--certificate-key", key, "--ca", certificate]
    words = ["--cluster", tmp_path / "nats", *NODES, *tls, "--nats-data-dir", tmp_path / "there"]
    code, said = nats_config(tmp_path, *words)
    assert (code, said.split()) == (0, [f"{tmp_path}/nats/n{n}.conf" for n in range(3)])
    for n in range(3):
        config = tmp_path / "nats" / f"n{n}.conf"
        assert stat.S_IMODE(config.stat().st_mode) == 0o600, "it holds a secret"
        assert f'server_name: "n{n}"' in config.read_text()
        checked = subprocess.run(
            [NATS_SERVER, "-t", "-c", config], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stderr
    assert nats_config(tmp_path, *words)[0] == 0, "again, over the files of before"


def test_one_server_with_tls(tmp_path: Path) -> None:
    certificate, key = certificate_files(tmp_path)
    code, said = nats_config(
        tmp_path, "--certificate", certificate, "--certificate-key", key, "--ca", certificate
    )
    assert code == 0
    (tmp_path / "nats.conf").write_text(said)
    checked = subprocess.run(
        [NATS_SERVER, "-t", "-c", tmp_path / "nats.conf"], capture_output=True, check=False
    )
    assert checked.returncode == 0
    assert "tls {" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--cluster", "x"], "go together"),
        (NODES, "go together"),
        (["--cluster", "x", *NODES[:4]], "3 nodes at least"),
        (["--cluster", "x", *NODES[:4], "--node", "n0=10.0.0.9"], "a name of its own"),
        (["--cluster", "x", "--node", "n0"], "is not NAME=HOST"),
        (["--cluster", "x", "--node", 'n0=a"b'], "is not NAME=HOST"),
        (["--cluster", "x", "--node", "n0=10.0.0.1:4222"], "is not NAME=HOST"),
        (["--certificate", "c"], "go together"),
        (["--certificate", "c", "--certificate-key", "k"], "go together"),
    ],
)
def test_options_that_make_no_sense(tmp_path: Path, words: list[str], says: str) -> None:
    code, said = nats_config(tmp_path, *words)
    assert code == 2
    assert says in said


def test_the_folder_of_nats_is_not_looked_at(tmp_path: Path) -> None:
    """It belongs to another user, so writing the configuration anew was refused."""
    there = tmp_path / "not a folder here"
    there.touch(mode=0)
    code, said = nats_config(tmp_path, "--nats-data-dir", there)
    assert code == 0
    assert f'"{there}/streams"' in said
