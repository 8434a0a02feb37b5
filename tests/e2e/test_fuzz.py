"""Is the API what its description says? Schemathesis asks, with every check and in every phase.

`FUZZ_SEED=7 pytest tests/e2e/test_fuzz.py` asks other questions than the usual ones.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit import fuzz_hooks as garden
from tests.kit.platform import RunningPlatform, environment, running_platform

ROOT = Path(__file__).parents[2]
SEED = os.environ.get("FUZZ_SEED", "1")

LEGAL = {
    "ARTCAFE_TERMS_VERSION": garden.LEGAL,
    "ARTCAFE_TERMS_URL": "https://example.com/terms",
    "ARTCAFE_PRIVACY_VERSION": garden.LEGAL,
    "ARTCAFE_PRIVACY_URL": "https://example.com/privacy",
    "ARTCAFE_TENANT_CREATION": "anybody",
}


def plant(platform: RunningPlatform) -> None:
    """What the fuzzer knows by name: a tenant with one of everything, and somebody else's."""
    accepted = {"terms_version": garden.LEGAL, "privacy_version": garden.LEGAL}
    platform.make_tenant(garden.TENANT, subscription_tier="enterprise", **accepted)
    with platform.rest(garden.TENANT) as rest:
        for path, body in (
            (f"/tenants/{garden.TENANT}/members", {"user_id": garden.MEMBER, "role": "viewer"}),
            ("/agents", {"id": garden.AGENT, "name": "Planner", "public_key": garden.KEY_LINE}),
            ("/channels", {"id": garden.CHANNEL, "name": "Tasks"}),
            ("/channels", {"id": garden.OTHER_CHANNEL, "name": "Notes"}),
            (
                "/channels",
                {"id": garden.DURABLE_CHANNEL, "name": "Jobs", "subject": "jobs.>", "durability": {}},
            ),
        ):
            answer = rest.post(path, json=body)
            assert answer.is_success, answer.text
    with platform.rest(garden.HOST, token=platform.token(role="admin")) as rest:
        signer = {
            "id": garden.SIGNER,
            "name": "Signer",
            "public_key": garden.key_line(garden.SIGNING_KEY),
        }
        for path, body in (
            ("/tenants", {"id": garden.HOST, "name": "Host", "subscription_tier": "enterprise", **accepted}),
            ("/agents", signer),
        ):
            answer = rest.post(path, json=body)
            assert answer.is_success, answer.text


@pytest.mark.timeout(300)
def test_no_question_has_an_answer_that_the_description_does_not_give(tmp_path: Path) -> None:
    with running_platform(tmp_path / "data", settings=LEGAL) as platform:
        plant(platform)
        run = subprocess.run(
            [
                *(str(Path(sys.executable).parent / "schemathesis"), "--config-file"),
                *(str(ROOT / "tests/kit/schemathesis.toml"), "run", f"{platform.url}/openapi.json"),
                *("--seed", SEED, "--no-color"),
            ],
            cwd=tmp_path,
            env=environment(
                PYTHONPATH=str(ROOT),
                FUZZ_URL=f"{platform.url}/api/v1",
                FUZZ_TOKEN=platform.token(),
                FUZZ_HOST_TOKEN=platform.token(role="admin"),
                FUZZ_SECRET=(platform.data_dir / "issuer" / "secret").read_text().strip(),
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        (tmp_path / "schemathesis.log").write_text(run.stdout)
        log = platform.log.read_text()

    assert run.returncode == 0, f"seed {SEED}\n{run.stdout}"
    assert "Traceback" not in log, log
