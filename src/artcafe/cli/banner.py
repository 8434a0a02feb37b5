"""The text printed for people once a server answers."""

from artcafe.server.main import Running


def who_may_come(running: Running) -> str:
    """A paragraph about the addresses that agents may dial, where somebody has to be told; else nothing."""
    if not running.agents:
        return ""
    port = running.agents[0].rpartition(":")[2]
    return (
        f"Agents sign the address that they dial, and may dial {' or '.join(running.agents)} alone.\n"
        f"Set ARTCAFE_PUBLIC_URL to what others reach, such as ws://NAME:{port}; then it is that alone."
    )
