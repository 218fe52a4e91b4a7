"""HTML output as a self-contained page without scripts, with light, dark and print styles."""

from __future__ import annotations

from collections.abc import Iterable

from ...core.tree import Node
from ..column_layout import Piece, pieces
from ..document import Document, Fact, Table
from ..markup import escape
from ..numbers import exact
from ..pictures import Picture
from ..svg import draw
from .tree import derivation

NARROW = 300.0  # pixels of a plot on a phone
OPEN_DEPTH = 2  # levels of a derivation that are open initially

STYLE = """
.llmcalc{--ink:#1c1c1c;--quiet:#5a5a5a;--line:#d8d8d8;--sheet:#fff;--bar:#0072b2;--loud:#b00020;
 color:var(--ink);background:var(--sheet);line-height:1.45;
 font-family:system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;font-size:15px}
@media (prefers-color-scheme:dark){.llmcalc{--ink:#ececec;--quiet:#a8a8a8;--line:#3a3a3a;--sheet:#161616;--bar:#4ba3de;
 --loud:#ff7a85}}
.llmcalc h1{font-size:1.6em;margin:.6em 0 .2em}.llmcalc h2{font-size:1.25em;margin:1.6em 0 .3em}
.llmcalc h3{font-size:1em;margin:1.3em 0 .3em}
.llmcalc a{color:var(--bar)}.llmcalc .quiet{color:var(--quiet)}.llmcalc .warning{color:var(--loud);font-weight:600}
.llmcalc table{border-collapse:collapse;margin:.4em 0}.llmcalc .wide{overflow-x:auto;
 background:linear-gradient(90deg,var(--sheet) 30%,#0000) 0 0/2.5em 100% local no-repeat,
 linear-gradient(270deg,var(--sheet) 30%,#0000) 100% 0/2.5em 100% local no-repeat,
 linear-gradient(90deg,#8888,#8880) 0 0/.8em 100% no-repeat,
 linear-gradient(270deg,#8888,#8880) 100% 0/.8em 100% no-repeat}
.llmcalc th{font-weight:normal;color:var(--quiet);text-align:left;vertical-align:bottom}
.llmcalc th,.llmcalc td{padding:.15em 1.2em .15em 0;border-bottom:1px solid var(--line)}
.llmcalc .n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.llmcalc .name{white-space:nowrap}
.llmcalc .bar{width:11em}.llmcalc .bar i{display:block;height:.8em;background:var(--bar);min-width:1px}
.llmcalc tr.total td{font-weight:600;border-bottom:0}.llmcalc .facts td:nth-child(2){font-weight:600}
.llmcalc summary{cursor:pointer}.llmcalc details details,.llmcalc .leaf{margin-left:1.4em}
.llmcalc code{font-size:.95em;overflow-wrap:anywhere}
.llmcalc svg{max-width:100%;height:auto;display:block;margin:.8em 0}
.llmcalc .narrow{display:none}.llmcalc .summary h2{margin-top:.3em}.llmcalc nav ul{columns:20em;padding-left:1.2em}
@media (max-width:40em){.llmcalc .narrow{display:block}.llmcalc .broad{display:none}
 .llmcalc details details,.llmcalc .leaf{margin-left:.7em}.llmcalc .bar{width:3em}
 .llmcalc th,.llmcalc td{padding-right:.8em}.llmcalc table:not(.facts) .name{white-space:normal;min-width:5em}
 .llmcalc .facts,.llmcalc .facts tbody{display:block;width:100%}
 .llmcalc .facts tr{display:grid;grid-template-columns:minmax(min-content,1fr) fit-content(70%);gap:0 1em;
 padding:.3em 0;border-bottom:1px solid var(--line)}
 .llmcalc .facts td{grid-column:1/-1;border:0;padding:0;font-size:.93em;text-align:left;white-space:normal;
 overflow-wrap:anywhere}.llmcalc .facts td:empty{display:none}
 .llmcalc .facts td:first-child{grid-column:1;font-size:1em;color:var(--quiet);overflow-wrap:normal}
 .llmcalc .facts td:nth-child(2){grid-column:2;font-size:1em;text-align:right}}
@media print{.llmcalc{--ink:#000;--sheet:#fff;--quiet:#444;font-size:11px}.llmcalc .wide{overflow:visible}
 .llmcalc th,.llmcalc td{padding-right:.6em}.llmcalc table,.llmcalc svg{break-inside:avoid}
 .llmcalc h1,.llmcalc h2,.llmcalc h3,.llmcalc .quiet{break-after:avoid}}
""".strip()


def render(document: Document) -> str:
    """Render the report as an HTML page."""
    return page(document.title, [document])


def page(title: str, documents: Iterable[Document]) -> str:
    """Render reports as one page. The first one of several is a summary, followed by a table of contents."""
    first, *rest = documents
    summary = fragment(first)
    if rest:
        summary = f'<h1>{escape(title)}</h1>\n<section class="summary">\n{summary}\n</section>\n{_contents(rest)}'
    body = "\n".join(
        f'<section id="part{number}">\n{fragment(document)}\n</section>' for number, document in enumerate(rest)
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>{escape(title)}</title>\n'
        f"<style>\nhtml{{background:#fff}}@media (prefers-color-scheme:dark){{html{{background:#161616}}}}\n"
        f"body{{margin:0 auto;max-width:64em;padding:0 1.2em 3em}}\n{STYLE}\n</style>\n</head>\n"
        f'<body class="llmcalc">\n<main>\n{summary}\n{body}\n</main>\n</body>\n</html>\n'
    )


def _contents(documents: Iterable[Document]) -> str:
    titles = enumerate(document.title for document in documents)
    links = "".join(f'<li><a href="#part{number}">{escape(title)}</a></li>' for number, title in titles)
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>'


def notebook(document: Document) -> str:
    """Render the report as an HTML fragment that includes its style sheet."""
    return f'<div class="llmcalc"><style>{STYLE}</style>\n{fragment(document)}\n</div>'


def fragment(document: Document) -> str:
    """Render the report as HTML elements."""
    parts = [f"<h2>{escape(document.title)}</h2>"]
    parts += [f'<div class="quiet">{escape(line)}</div>' for line in document.lines]
    parts += [f'<p class="warning">! {escape(line)}</p>' for line in document.warnings]
    if document.facts:
        parts.append(f'<div class="wide"><table class="facts">{"".join(map(_fact, document.facts))}</table></div>')
    parts += [_picture(picture) for picture in document.pictures()]
    parts += [_tree(root, 0) for root in document.tree]
    parts += [_table(table) for table in document.every_table]
    parts += [f'<p class="quiet">note: {escape(note)}</p>' for note in document.every_note]
    return "\n".join(parts)


def _picture(picture: Picture) -> str:
    """Draw the plot for a screen and for a phone. The style sheet shows one of them."""
    return f'<div class="broad">{draw(picture)}</div><div class="narrow">{draw(picture, NARROW)}</div>'


def _fact(fact: Fact) -> str:
    value, *more, remark = fact.texts
    number = '<td class="n">' if isinstance(fact.value, int) else "<td>"
    others = "".join(f'<td class="n">{text}</td>' for text in more)
    cells = f"<td>{escape(fact.label)}</td>{number}{escape(value)}</td>{others}"
    return f'<tr>{cells}<td class="quiet">{escape(remark)}</td></tr>'


def _table(table: Table) -> str:
    columns = [piece for piece in pieces(table) if piece.shares or piece.title or any(piece.cells)]
    head = "".join(f"<th{_kind(piece)}>{escape(piece.title)}</th>" for piece in columns)
    lasts = [*([False] * len(table.rows)), *([True] if table.total else [])]
    rows = [
        f"<tr{' class=total' if last else ''}>{''.join(_cell(piece, at, last) for piece in columns)}</tr>"
        for at, last in enumerate(lasts)
    ]
    title = f"<h3>{escape(table.title)}</h3>\n" if table.title else ""
    return f'{title}<div class="wide"><table><tr>{head}</tr>\n{chr(10).join(rows)}</table></div>'


def _cell(piece: Piece, at: int, last: bool) -> str:
    if piece.shares:
        share = 0.0 if last else min(max(piece.shares[at], 0.0), 1.0)
        return f'<td class="bar">{f"<i style=width:{100 * share:.1f}%></i>" if share else ""}</td>'
    return f"<td{_kind(piece)}>{escape(piece.cells[at])}</td>"


def _kind(piece: Piece) -> str:
    """Return the CSS class that right-aligns numbers or prevents names from wrapping."""
    return " class=n" if piece.right else " class=name" if piece.least >= piece.most else ""


def _tree(node: Node, depth: int) -> str:
    """Render a derivation tree, collapsed below the second level."""
    how = derivation(node)
    line = f"<b>{escape(node.label)}</b> {exact(node.value)}" + (f" <code>{escape(how)}</code>" if how else "")
    if not node.children:
        return f'<div class="leaf">{line}</div>'
    inner = "\n".join(_tree(child, depth + 1) for child in node.children)
    return f"<details{' open' if depth < OPEN_DEPTH else ''}><summary>{line}</summary>\n{inner}\n</details>"
