"""What is known of the way to one peer, put into the report's shape."""

from collections.abc import Sequence

from tulle.api.report import CarrierAttempt, ConnectionAttrs, Traffic
from tulle.datapath.carrier import CarrierStatus
from tulle.datapath.tables import ShortId
from tulle.host.vxlan import KernelPath


def attributes(
    name: str,
    status: CarrierStatus | None,
    secret: bool,
    reason: str = "",
    carriers: Sequence[CarrierAttempt] = (),
) -> ConnectionAttrs:
    """Facts about the carrier in use; ``secret``: what there will be when one is."""
    if status is None:
        return ConnectionAttrs(name=name, encrypted=secret, reason=reason, carriers=list(carriers))
    return ConnectionAttrs(
        name=name,
        mtu=status.mtu,
        encrypted=status.encrypted,
        path_mtu=status.path_mtu,
        rtt=None if status.rtt is None else round(status.rtt * 1000, 3),
        loss=None if status.loss is None else round(status.loss, 5),
        reason=reason,
        carriers=list(carriers),
    )


def traffic(kernel: KernelPath, short_id: int | None) -> Traffic | None:
    """What went to and came from a peer over the data path."""
    if short_id is None:
        return None
    counted = kernel.traffic(ShortId(short_id))
    return Traffic(
        sent_packets=counted.tx_packets,
        sent_bytes=counted.tx_bytes,
        received_packets=counted.rx_packets,
        received_bytes=counted.rx_bytes,
    )
