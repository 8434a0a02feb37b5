"""The panels of curves: every value where it belongs, and nothing outside the picture."""

from xml.etree import ElementTree as ET

from benchmarks.curves import Panel, svg

SVG = "{http://www.w3.org/2000/svg}"


def test_curves_go_up_with_their_values_and_stay_in_the_picture() -> None:
    drawn = ET.fromstring(
        svg("Cost & size", [Panel("grows", ["1", "10"], {"a": [1.0, 100.0], "b": [10.0, 10.0]})] * 3)
    )
    height, width = float(drawn.attrib["height"]), float(drawn.attrib["width"])
    dots = [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in drawn.iter(f"{SVG}circle")]
    assert len(dots) == 12
    assert all(0 < x < width and 0 < y < height for x, y in dots)
    (_, first), (_, last), (_, middle), (_, level) = dots[:4]
    assert last < middle == level < first
    words = [each.text for each in drawn.iter(f"{SVG}text")]
    assert {"Cost & size", "grows", "a", "b", "100", "10.0", "1.00"} <= set(words)


def test_a_curve_of_one_value_is_drawn() -> None:
    drawn = ET.fromstring(svg("One", [Panel("flat", ["1"], {"a": [5.0]})]))
    assert len(list(drawn.iter(f"{SVG}circle"))) == 1
