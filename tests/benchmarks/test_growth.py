"""Growth is measured on real platforms: several tenants, several patterns, several sizes."""

from xml.etree import ElementTree as ET

from benchmarks import growth
from benchmarks.growth import AXES, BURSTS, PACED, Axis, Point, Step, grow
from benchmarks.measure import Machine
from benchmarks.results import BUS, Sample

HERE = Machine(1, "A processor", "6.1", None, None)

SMALL = (
    Axis(
        AXES[1].title,
        "a few pairs",
        (Step(1, "1", 6, 1), Step(3, "3", 6, 1, tenants=3, patterns=4)),
        (PACED,),
    ),
)


def test_an_axis_is_measured_from_the_least_to_the_most() -> None:
    said: list[str] = []
    found = grow(SMALL, HERE, 0.02, said.append)
    assert said == [f"{AXES[1].title}: 1", f"{AXES[1].title}: 3"]
    one, three = found.axes[AXES[1].title]
    for point in (one, three):
        # Of our process something was measured. Its nats-server may still have everything before it.
        assert point.own(PACED).median > 0
        assert point.bus(PACED).median >= 0
        assert point.server_bytes > 1 << 20
        assert point.bus_bytes > 1 << 20
    assert len(three.samples[PACED]) == growth.ROUNDS
    text = growth.text(found)
    assert f"\n| 3 | {three.own(PACED).median:.2f} | {three.bus(PACED).median:.2f} | " in text
    drawn = ET.fromstring(growth.svg(found))
    words = [each.text for each in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {AXES[1].title, "1", "3", "paced"} <= set(words)


def test_a_point_tells_our_process_from_its_nats_server() -> None:
    samples = [
        Sample({"python": own, BUS: bus}, 100.0, 0.5) for own, bus in ((2.0, 8.0), (3.0, 5.0), (4.0, 1.0))
    ]
    point = Point(SMALL[0].steps[0], {PACED: samples}, 0, 0)
    assert (point.own(PACED).median, point.bus(PACED).median, point.whole(PACED).median) == (3.0, 5.0, 8.0)


def test_the_axes_go_as_far_as_the_platform_has_to() -> None:
    furthest = {axis.title: axis.steps[-1] for axis in AXES}
    assert furthest["subscribers"].receivers == 1000
    assert furthest["tenants with somebody connected"].tenants == 1000
    assert furthest["patterns of each connection"].patterns == 256
    assert furthest["size of a message"].size == 512 << 10
    for axis in AXES:
        assert [step.value for step in axis.steps] == sorted(step.value for step in axis.steps)
        assert set(axis.batches) <= {PACED, BURSTS}
        # Publisher and subscriber of a lane are in the same tenant when the lanes can be shared out evenly.
        assert all(step.lanes % step.tenants == 0 for step in axis.steps)
