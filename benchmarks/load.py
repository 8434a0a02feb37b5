"""The generator's process: commands come in as lines of JSON, figures go out as lines of JSON."""

import json
import sys
from typing import Any

from benchmarks.generator import Generator, Window
from benchmarks.payload import WrongDelivery
from benchmarks.peers import dialect_of
from benchmarks.websocket import HungUp

FIRST_SIZE = 256


def main() -> None:
    """Serve one peer: `python -m benchmarks.load PEER PLACE`, PLACE being what its start gave, as JSON."""
    name, place = sys.argv[1], json.loads(sys.argv[2])
    generator = Generator(dialect_of(name, place), (place["host"], place["port"]))
    desk = Desk(generator)
    try:
        # Unbuffered: what the poll does not see must not be here already.
        with open(sys.stdin.fileno(), "rb", buffering=0) as commands:  # noqa: PTH123
            generator.serve(commands.fileno())
            while line := commands.readline():
                _tell(desk.obey(json.loads(line)))
                generator.serve(commands.fileno())
    except (WrongDelivery, HungUp, OSError) as error:
        _tell({"fault": f"{error}"})
        sys.exit(1)
    finally:
        generator.close()


class Desk:
    """Where the commands of one generator come in."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._latencies: list[float] = []

    def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        """Do it, and say what came of it. Raises WrongDelivery and HungUp."""
        generator = self._generator
        match command["do"]:
            case "join":
                generator.join(command["lanes"], command["receivers"], FIRST_SIZE, command.get("first", 0))
                return {}
            case "leave":
                generator.leave()
                return {}
            case "idle":
                return self._figures(generator.idle(command["count"]))
            case "churn":
                return self._figures(generator.churn(command["seconds"], command["rate"]))
            case "closed":
                generator.resize(command["size"])
                return self._figures(generator.closed(command["seconds"], command["batch"]))
            case "paced":
                generator.resize(command["size"])
                window = generator.paced(command["seconds"], command["rate"], command.get("batch", 1))
                return self._figures(window)
            case "latencies":
                return {"us": [round(each * 1e6) for each in self._latencies]}
        raise ValueError(command["do"])

    def _figures(self, window: Window) -> dict[str, Any]:
        """Latencies are told when they are asked for: they are many, and others may still be measuring."""
        self._latencies = window.latencies
        return {"delivered": window.delivered, "seconds": window.seconds, "cpu": window.cpu}


def _tell(words: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
