"""A run as people read it: a table in Markdown, the raw figures in JSON, a plot in SVG."""

from pathlib import Path

import msgspec

from benchmarks import page, plot
from benchmarks.figures import Figure, figure
from benchmarks.results import BUS, OURS, Results, Samples, Verdict, beside, cpu, noise, verdicts


def table(results: Results) -> str:
    """Everything, as Markdown."""
    parts = [
        _goals(results),
        _cases(results),
        _ours(results),
        _latency(results),
        _others(results),
        _where(results),
    ]
    return "\n".join(part for part in parts if part)


def write(results: Results, folder: Path) -> None:
    """bench.json, bench.md and bench.svg."""
    folder.mkdir(exist_ok=True)
    (folder / "bench.json").write_bytes(as_json(results))
    (folder / "bench.md").write_text(table(results))
    (folder / "bench.svg").write_text(plot.svg(results))


def publish(results: Results, docs: Path) -> None:
    """Put the table between the marks of performance.md, and the plot beside it."""
    page.publish(docs / "performance.md", "bench", table(results))
    (docs / "performance.svg").write_text(plot.svg(results))


def as_json(results: Results) -> bytes:
    """Every sample, and the goals beside them."""
    whole = {"results": results, "goals": verdicts(results), "noise": noise(results)}
    return msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n"


def _goals(results: Results) -> str:
    head = ["goal", "wanted", "measured", "met", "ours without its bus"]
    return page.table(head, [_goal(verdict) for verdict in verdicts(results)])


def _goal(verdict: Verdict) -> list[str]:
    met = {True: "yes", False: "**no**", None: "-"}[verdict.met]
    own = "-" if verdict.own is None else _number(verdict.own.median)
    return [verdict.title, verdict.wanted, _ranged(verdict.got), met, own]


def _cases(results: Results) -> str:
    """A row a case, a column a peer: µs a message, and how many times ours that is."""
    names = list(next(iter(results.cases.values()), {}))
    rows = [[title, *(_cell(samples, name) for name in names)] for title, samples in results.cases.items()]
    head = ["", *(results.peers[name] for name in names)]
    return "Server CPU per delivered message in µs, and theirs : ours:\n\n" + page.table(head, rows)


def _cell(samples: Samples, name: str) -> str:
    spent = f"{cpu(samples[name]).median:.2f}"
    return spent if name == OURS else f"{spent} ({beside(samples, name).median:.2f}x)"


def _ours(results: Results) -> str:
    rows = []
    for title, by_peer in results.cases.items():
        samples = by_peer[OURS]
        bus = figure([sample.parts.get(BUS, 0.0) for sample in samples]).median
        whole = cpu(samples)
        rate = figure([sample.per_second for sample in samples]).median
        share = figure([sample.generator for sample in samples]).median
        cells = [f"{whole.median - bus:.2f}", f"{bus:.2f}", f"{whole.low:.2f} to {whole.high:.2f}"]
        rows.append([title, *cells, f"{rate:,.0f}", f"{share:.0%}"])
    head = ["", "artcafe µs", "its nats-server µs", "both, lowest to highest run", "messages/s", "generator"]
    return "Ours by process, and the share of a core that the generator took:\n\n" + page.table(head, rows)


def _latency(results: Results) -> str:
    if not results.latency:
        return ""
    rows = []
    for title, by_peer in results.latency.items():
        for name, found in by_peer.items():
            cells = [f"{each / 1000:.2f}" for each in (found.p50, found.p99, found.p999)]
            rows.append([f"{title}, {results.peers[name]}", f"{found.per_second:,.0f}", *cells])
    said = "Latency of a delivery in ms, at half the rate each reaches when messages go one by one (256 B):"
    return f"{said}\n\n" + page.table(["", "deliveries/s", "p50", "p99", "p99.9"], rows)


def _others(results: Results) -> str:
    rows = []
    for name, samples in results.logins.items():
        rest = f"{cpu(results.rest[name]).median:.0f}" if name in results.rest else "-"
        rate = figure([sample.per_second for sample in samples]).median
        kib = f"{results.idle_bytes[name] / 1024:.1f}"
        rows.append([results.peers[name], f"{cpu(samples).median:.0f}", f"{rate:,.0f}", kib, rest])
    said = f"Connections, {results.idle_count:,} of them, idle; and a publish over REST:"
    head = ["", "connect and login, CPU µs", "a second", "memory of one, KiB", "REST publish, CPU µs"]
    return f"{said}\n\n" + page.table(head, rows)


def _where(results: Results) -> str:
    here = results.machine
    pins = (
        f"servers on core {here.server_core}, the generator on core {here.generator_core}"
        if here.server_core is not None
        else "nothing pinned"
    )
    said = (
        f"{here.model}, {here.cores} cores, Linux {here.kernel}; {pins}. "
        f"Medians of interleaved runs; noise ±{noise(results):.0%} (half the range of a figure's runs, "
        f"median of all). Every delivered message was checked. {results.seconds:.0f} s."
    )
    left_out = [f"Left out: {results.peers[name]} ({why})." for name, why in results.left_out.items()]
    return "\n".join([said, *left_out, ""])


def _ranged(got: Figure | None) -> str:
    if got is None:
        return "not measured"
    if got.low == got.high:
        return _number(got.median)
    return f"{_number(got.median)} ({_number(got.low)} to {_number(got.high)})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
