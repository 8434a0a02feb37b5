"""The curve of Ed25519 by the book (RFC 8032 section 5.1), to know its small-order points from the maths."""

from collections.abc import Iterator

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
COFACTOR = 8

Point = tuple[int, int]


def add(a: Point, b: Point) -> Point:
    (x1, y1), (x2, y2) = a, b
    k = D * x1 * x2 * y1 * y2
    return (x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P


def times(count: int, point: Point) -> Point:
    total = (0, 1)
    while count:
        if count & 1:
            total = add(total, point)
        point, count = add(point, point), count >> 1
    return total


def points() -> Iterator[Point]:
    """Points of the curve, by rising y."""
    for y in range(2, 1000):
        square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
        x = pow(square, (P + 3) // 8, P)
        if x * x % P != square:
            x = x * pow(2, (P - 1) // 4, P) % P
        if x * x % P == square:
            yield x, y


def small_order_encodings() -> list[bytes]:
    """Every way to spell a point whose order divides 8: canonical or not, with either sign bit."""
    for point in points():
        torsion = times(GROUP_ORDER, point)
        orbit = {times(count, torsion) for count in range(COFACTOR)}
        if len(orbit) == COFACTOR:
            break
    spelled = {y + extra for _, y in orbit for extra in (0, P) if y + extra < 2**255}
    return [(y | sign).to_bytes(32, "little") for y in sorted(spelled) for sign in (0, 1 << 255)]
