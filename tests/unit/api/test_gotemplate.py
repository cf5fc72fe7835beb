"""Templates: what Go would print, and an error that helps wherever Go would give one."""

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tulle.api.gotemplate import TemplateError, render

DATA: dict[str, Any] = {
    "Name": "02:00:00:00:00:01",
    "Nick": "h1",
    "Port": 6783,
    "Rtt": 0.25,
    "On": True,
    "Off": False,
    "None": None,
    "Empty": [],
    "Peers": [{"Nick": "h1", "Links": [1, 2]}, {"Nick": "h2", "Links": []}],
    "Attrs": {"mtu": 1376, "name": "fastdp"},
    "Text": "a\nb",
}

RENDERED = [
    ("plain {text}", "plain {text}"),
    ("{{.Nick}}", "h1"),
    ("{{.Port}} {{.Rtt}} {{.On}} {{.Off}}", "6783 0.25 true false"),
    ("{{.None}}", "<no value>"),
    ("{{.Empty}}", "[]"),
    ("{{.Peers}}", "[{h1 [1 2]} {h2 []}]"),
    ("{{.Attrs}} {{.Attrs.mtu}} {{.Attrs.nothing}}", "map[mtu:1376 name:fastdp] 1376 <no value>"),
    ("{{range .Peers}}{{.Nick}} {{end}}", "h1 h2 "),
    ("{{range $p := .Peers}}{{$p.Nick}}{{$.Port}} {{end}}", "h16783 h26783 "),
    ("{{range $i, $p := .Peers}}{{$i}}{{$p.Nick}}{{end}}", "0h11h2"),
    ("{{range $k, $v := .Attrs}}{{$k}}={{$v}};{{end}}", "mtu=1376;name=fastdp;"),
    ("{{range .Empty}}x{{else}}none{{end}}", "none"),
    ("{{range .None}}x{{else}}none{{end}}", "none"),
    ("{{range .Peers}}{{range .Links}}{{.}}{{else}}-{{end}}{{end}}", "12-"),
    ("{{if .On}}yes{{end}}{{if .Off}}no{{end}}", "yes"),
    ("{{if .Empty}}a{{else if .None}}b{{else if .Port}}c{{else}}d{{end}}", "c"),
    ("{{with .Attrs}}{{.mtu}}{{end}}{{with .None}}x{{else}}-{{end}}", "1376-"),
    ("{{with $x := .Port}}{{$x}}{{.}}{{end}}", "67836783"),
    ("{{with .Off}}a{{else with .Nick}}{{.}}{{end}}", "h1"),
    ("{{$v := .Port}}{{$v}}", "6783"),
    ("{{$v := 1}}{{if .On}}{{$v = 2}}{{end}}{{$v}}", "2"),
    ("{{$v := 1}}{{if .On}}{{$v := 2}}{{$v}}{{end}}{{$v}}", "21"),
    ("{{$n := 0}}{{range $i, $p := .Peers}}{{$n = $i}}{{end}}{{$n}}", "1"),
    ("{{len .Peers}} {{len .Nick}} {{len .Attrs}} {{len `é`}}", "2 2 2 2"),
    ("{{index .Peers 1 `Nick`}} {{index .Attrs `mtu`}} {{index .Attrs `x`}}", "h2 1376 <no value>"),
    ("{{(index .Peers 0).Nick}}", "h1"),
    ("{{index .Nick 0}}", "104"),
    ("{{slice .Nick 1}} {{slice .Name 3 5}} {{len (slice .Peers 1 2)}}", "1 00 1"),
    ("{{json .Peers}}", '[{"Nick":"h1","Links":[1,2]},{"Nick":"h2","Links":[]}]'),
    ("{{.Port | json}} {{json .None}}", "6783 null"),
    ("{{eq .Port 6783}} {{eq .Nick `a` `h1`}} {{ne .Nick `h1`}} {{eq .None nil}}", "true true false true"),
    ("{{lt 1 2}} {{le 2 2}} {{gt 1 2}} {{ge `b` `a`}} {{lt 1 1.5}}", "true true false true true"),
    (
        "{{and .On .Port}} {{and .Off .Port}} {{or .Off .Nick}} {{or .Off .Empty}} {{not .On}}",
        "6783 false h1 [] false",
    ),
    ("{{printf `%s:%d` .Nick .Port}}", "h1:6783"),
    ("{{printf `%-6s|%6s|%6d|%-6d|%06d|%+d` .Nick .Nick 7 7 7 7}}", "h1    |    h1|     7|7     |000007|+7"),
    ("{{printf `%v %v %v` .Nick .On .None}}", "h1 true <nil>"),
    ("{{printf `%.2f %5.1f %e %g` .Rtt .Rtt .Rtt .Rtt}}", "0.25   0.2 2.500000e-01 0.25"),
    ("{{printf `%q %x %X %t %T %%` .Text 255 `az` .On .Port}}", '"a\\nb" ff 617A true int %'),
    ("{{printf `%.3s` .Name}}", "02:"),
    (
        "{{printf `%d` .Nick}} {{printf `%d`}} {{printf `x` 1}}",
        "%!d(string=h1) %!d(MISSING) x%!(EXTRA int=1)",
    ),
    ("{{printf `%`}} {{printf `%s` .None}}", "%!(NOVERB) %!s(<nil>)"),
    ("{{.Port | printf `%s %d` .Nick}}", "h1 6783"),
    ("{{print 1 2 `a` 3 4 .Nick}}", "1 2a3 4h1"),
    ("{{println 1 `a`}}.", "1 a\n."),
    (
        "{{1}} {{-1}} {{0x1F}} {{1_000}} {{017}} {{1.50}} {{1e3}} {{.5}} {{'a'}} {{'\\n'}}",
        "1 -1 31 1000 15 1.5 1000 0.5 97 10",
    ),
    ("{{1e21}} {{1e-7}} {{123456789.0}}", "1e+21 1e-07 123456789"),
    ('{{"a\\tb\\u00e9\\"\\x41"}}', 'a\tbé"A'),
    ("{{true}} {{print nil}}", "true <nil>"),
    ("a  {{- 1 -}}  b", "a1b"),
    ("a {{- /* comment */ -}} b{{/* {{other}} */}}c", "abc"),
    ("a\n{{- range .Peers}}\n{{.Nick}}\n{{- end}}\n", "a\nh1\nh2\n"),
    ("{{\n.Nick\n}}", "h1"),
    ("{{(and .On (eq .Port 6783))}}", "true"),
    ("{{.Peers | len | printf `%03d`}}", "002"),
    ("{{`{{`}}", "{{"),
]


@pytest.mark.parametrize(("template", "text"), RENDERED, ids=[row[0][:40] for row in RENDERED])
def test_rendered(template: str, text: str) -> None:
    assert render(template, DATA) == text


WRONG = [
    ("{{", "line 1: an action is not closed with }}"),
    ("\n\n{{.A", "line 3: an action is not closed"),
    ("{{/* x", "unexpected '/'"),
    ("{{}}", "an action is empty"),
    ("{{end}}", "{{end}} stands outside of any block"),
    ("{{else}}", "{{else}} stands outside"),
    ("{{if .On}}", "{{if}} has no {{end}}"),
    ("{{if .On}}{{else}}", "{{if}} has no {{end}}"),
    ("{{if}}{{end}}", "a value is missing"),
    ("{{if .On}}{{else}}{{else}}{{end}}", "more than one {{else}}"),
    ("{{if .On}}{{end .On}}", "unexpected '.On' after end"),
    ("{{range .Peers}}{{else range .Peers}}{{end}}", "unexpected 'range' after else"),
    ("{{define `x`}}{{end}}", "define is not supported"),
    ("{{range .Peers}}{{break}}{{end}}", "break is not supported"),
    ("{{.Nope}}", "there is no field Nope; there are Name, Nick"),
    ("{{.Nick.X}}", "string has no field X"),
    ("{{.None.X}}", "nil has no field X"),
    ("{{nope}}", "there is no function 'nope'; there are and, eq"),
    ("{{$x}}", "the variable $x is not defined"),
    ("{{$x = 1}}", "the variable $x is not defined"),
    ("{{if $x := 1}}{{end}}{{$x}}", "the variable $x is not defined"),
    ("{{.Nick 1}}", "cannot take arguments"),
    ("{{1 | .Nick}}", "cannot take arguments"),
    ("{{.Nick|}}", "a value is missing"),
    ("{{(.Nick}}", "a closing parenthesis is missing"),
    ("{{.Nick)}}", "unexpected ')'"),
    ("{{.Nick`x`}}", "a space is missing before"),
    ("{{.Nick ?}}", "unexpected '?'"),
    ("{{:=}}", "unexpected ':='"),
    ("{{len}}", "len cannot take 0 arguments"),
    ("{{len 1}}", "len of int, which has no length"),
    ("{{not 1 2}}", "not cannot take 2 arguments"),
    ("{{index .Peers 2}}", "index 2 is out of range: there are 2"),
    ("{{index .Peers `a`}}", "index with string; a list takes a number"),
    ("{{index .Attrs 1}}", "index with int; a map takes a string"),
    ("{{index 1 1}}", "index of int"),
    ("{{slice .Nick 2 1}}", "slice 2:1 is out of range"),
    ("{{slice 1 2}}", "slice of int"),
    ("{{slice .Nick `a`}}", "slice takes a value and up to two numbers"),
    ("{{eq 1 `a`}}", "int and string cannot be compared: their types differ"),
    ("{{eq .Peers 1}}", "list and int cannot be compared"),
    ("{{eq 1}}", "eq takes two values or more"),
    ("{{lt .On .Off}}", "have no order"),
    ("{{lt 1}}", "lt cannot take 1 arguments"),
    ("{{range .Port}}{{end}}", "range over int"),
    ("{{range .}}{{end}}", "range over struct"),
    ("{{printf 1}}", "printf takes a format string first"),
    ("{{printf `%9999d` 1}}", "a width of 9999 in printf is more than 1000"),
    ('{{"\\d"}}', "unknown escape"),
    ("{{'ab'}}", "is not one character"),
    ("{{1__0}}", "is not a number"),
    ("{{0x}}", "a space is missing before 'x'"),
    ("{{09}}", "is not a number"),
    ("x" * 70_000, "longer than 65536 characters"),
    ("{{if 1}}" * 51 + "{{end}}" * 51, "blocks are nested too deeply"),
    ("{{" + "(" * 60 + "1" + ")" * 60 + "}}", "parentheses are nested too deeply"),
]


@pytest.mark.parametrize(("template", "words"), WRONG, ids=[repr(row[0])[:40] for row in WRONG])
def test_wrong(template: str, words: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(template, DATA)
    assert words in str(caught.value)
    assert str(caught.value).startswith("template")
    assert "\n" not in str(caught.value)
    assert caught.value.status == 400


def test_endless_work_is_cut_off() -> None:
    many = {"L": list(range(1000))}
    for body in (
        "{{range $.L}}{{range $.L}}{{end}}{{end}}",
        "{{$x := json $}}{{$x := json $}}{{$x := json $}}",
    ):
        with pytest.raises(TemplateError, match="too much work"):
            render("{{range .L}}" + body * 3 + "{{end}}", many)


def test_endless_output_is_cut_off() -> None:
    many = {"L": list(range(1000)), "T": "x" * 1000}
    with pytest.raises(TemplateError, match="output is too long"):
        render("{{range .L}}{{range $.L}}{{$.T}}{{end}}{{end}}", many)


PIECES = """
    {{ }} {{- -}} . .Nick .Peers .Attrs.mtu $ $x := = , | ( ) if else end range with json len index eq printf
    print 1 -1 0x1 1.5 nil true `a` "b" 'c' /* */ x
"""


@settings(max_examples=500)
@given(st.lists(st.sampled_from(PIECES.split()), max_size=25).map(" ".join))
def test_no_template_fails_in_any_other_way(template: str) -> None:
    with contextlib.suppress(TemplateError):
        render(template, DATA)


@given(st.text(max_size=50))
def test_text_without_actions_is_copied(text: str) -> None:
    if "{{" not in text:
        assert render(text, DATA) == text
