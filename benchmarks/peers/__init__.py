"""Every program that is measured. The platform comes first."""

from benchmarks.dialect import Dialect
from benchmarks.peers.artcafe import ArtCafe, ArtCafeRest
from benchmarks.peers.c_loop import CLoop, CLoopWithBus
from benchmarks.peers.crossbar import Crossbar
from benchmarks.peers.gateways import NodeWs, PlainGateway, PlainRest, SocketIo
from benchmarks.peers.mosquitto import Mosquitto
from benchmarks.peers.nats_server import NatsServer
from benchmarks.peers.peer import Peer, Place

PEERS: tuple[Peer, ...] = (
    ArtCafe(),
    NatsServer(),
    PlainGateway(),
    NodeWs(),
    SocketIo(),
    Mosquitto(),
    Crossbar(),
    CLoop(),
    CLoopWithBus(),
)

REST: dict[str, Peer] = {"artcafe": ArtCafeRest(), "plain": PlainRest()}
"""The peers that can be published to over REST, and how."""


def dialect_of(name: str, place: Place) -> Dialect:
    """How to talk to the peer of this name. Raises KeyError."""
    return {peer.name: peer for peer in (*PEERS, *REST.values())}[name].dialect(place)
