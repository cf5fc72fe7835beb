"""A data path that takes the place of another."""

import asyncio
from typing import cast
from unittest.mock import Mock

import pytest

from tulle.datapath.tables import Hop, ShortId, Tables
from tulle.host.bpf.layout import Config
from tulle.host.vxlan import KernelPath, Names


def path() -> KernelPath:
    made = KernelPath(Names.of("tulle"), Mock(), 7)
    made.lanes, made.groups, made._maps, made.bypass = Mock(), Mock(), Mock(), Mock()
    return made


def test_who_is_replaced_leaves_nothing_running(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lanes' keeper would go on in its own way beside the new one's, and hold its programs for ever."""
    old, new = path(), path()
    monkeypatch.setattr(new, "apply", Mock())

    async def ensure(*_: object, bypass: bool) -> KernelPath:
        assert not bypass
        return new

    monkeypatch.setattr(KernelPath, "ensure", ensure)
    old._maps.config.get.return_value = Config(bypass=0)  # type: ignore[attr-defined]
    assert asyncio.run(old.made_again(6784, 1376)) is new
    new.apply.assert_called_once_with(Tables())  # type: ignore[attr-defined]
    for part in (old.tap, old.lanes, old.groups, old._maps, old.bypass):
        part.close.assert_called_once_with()  # type: ignore[attr-defined]


def test_what_the_kernel_refuses_is_tried_again() -> None:
    one, tables = path(), Tables(ShortId(1), routes={ShortId(2): Hop("10.0.0.2", "10.0.0.1")})
    maps = cast(Mock, one._maps)
    maps.config.get.return_value = Config()
    maps.routes.set.side_effect = OSError("no memory")
    for refused in (lambda: one.apply(tables), one.look):
        with pytest.raises(OSError, match="no memory"):
            refused()
        assert one.tables == Tables()
    maps.routes.set.side_effect = None
    one.look()
    assert one.tables == tables
    maps.routes.set.reset_mock()
    one.look()
    maps.routes.set.assert_not_called()
