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
    try:
        # Unbuffered: what the poll does not see must not be here already.
        with open(sys.stdin.fileno(), "rb", buffering=0) as commands:  # noqa: PTH123
            generator.serve(commands.fileno())
            while line := commands.readline():
                _tell(_obey(generator, json.loads(line)))
                generator.serve(commands.fileno())
    except (WrongDelivery, HungUp, OSError) as error:
        _tell({"fault": f"{error}"})
        sys.exit(1)
    finally:
        generator.close()


def _obey(generator: Generator, command: dict[str, Any]) -> dict[str, Any]:
    match command["do"]:
        case "join":
            generator.join(command["lanes"], command["receivers"], FIRST_SIZE)
            return {}
        case "leave":
            generator.leave()
            return {}
        case "idle":
            return _figures(generator.idle(command["count"]))
        case "closed":
            generator.resize(command["size"])
            return _figures(generator.closed(command["seconds"], command["batch"]))
        case "paced":
            generator.resize(command["size"])
            return _figures(generator.paced(command["seconds"], command["rate"]))
    raise ValueError(command["do"])


def _figures(window: Window) -> dict[str, Any]:
    return {
        "delivered": window.delivered,
        "seconds": window.seconds,
        "cpu": window.cpu,
        "latencies_us": [round(each * 1e6) for each in window.latencies],
    }


def _tell(words: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
