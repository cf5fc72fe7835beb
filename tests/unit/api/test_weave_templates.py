"""Templates for ``report -f`` as people wrote them for Weave Net, filled in with its own and our reports."""

import json
from typing import Any

import msgspec
import pytest

from api.reports import recorded, troubled
from tulle.api.gotemplate import render

SHOWN = [
    ("{{.DNS.Domain}}", "weave.local."),
    ("{{ .Router.NickName}}", "h1"),
    ("{{.Router.Name}}", "02:00:00:00:00:01"),
    ("{{.Version}}", "2.8.1-ref-keylog"),
    ("{{.IPAM.Range}} {{.IPAM.DefaultSubnet}}", "10.32.0.0/12 10.32.0.0/12"),
    ("{{len .Router.Peers}} {{len .Router.Connections}}", "3 2"),
    ("{{if .Router.Encryption}}encrypted{{else}}plain{{end}}", "plain"),
    ("{{range .Router.Peers}}{{.NickName}} {{end}}", "h1 h2 h3 "),
    (
        "{{range $p := .Router.Peers}}{{range .Connections}}{{$p.NickName}}-{{.NickName}} {{end}}{{end}}",
        "h1-h2 h1-h3 h2-h1 h2-h3 h3-h1 h3-h2 ",
    ),
    ('{{range .Router.Connections}}{{.State}} {{.Attrs.name}}{{"\\n"}}{{end}}', "established sleeve\n" * 2),
    ("{{(index .Router.Connections 0).Address}}", "10.99.0.3:53271"),
    ('{{index (index .Router.Connections 0).Attrs "mtu"}}', "1438"),
    ('{{range .Router.Peers}}{{if eq .NickName "h2"}}{{.ShortID}}{{end}}{{end}}', "643"),
    ("{{with .IPAM.Paxos}}waiting for {{.Quorum}}{{else}}settled{{end}}", "settled"),
    ('{{printf "%s:%d" .Router.NickName .Router.Port}}', "h1:6783"),
]


@pytest.mark.parametrize(("template", "text"), SHOWN, ids=[row[0][:40] for row in SHOWN])
def test_with_a_report_of_weave_net(template: str, text: str) -> None:
    assert render(template, _plain("three-peers")) == text


@pytest.mark.parametrize("part", ["DNS", "IPAM", "Router", "Router.Peers", "Router.Connections"])
def test_json_gives_any_part(part: str) -> None:
    whole = _plain("three-peers")
    expected = whole
    for key in part.split("."):
        expected = expected[key]
    printed = render(f"{{{{json .{part}}}}}", whole)
    assert json.loads(printed) == expected
    assert "\n" not in printed


def test_ours_has_what_theirs_has() -> None:
    """Keys that a template can rely on."""
    ours, theirs = msgspec.to_builtins(troubled()), _plain("three-peers")
    assert set(theirs) <= set(ours)
    for part in ("Router", "IPAM", "DNS"):
        assert set(theirs[part]) <= set(ours[part]), part


def _plain(name: str) -> Any:
    return msgspec.to_builtins(recorded(name))
