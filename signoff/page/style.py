"""The page's style sheet: light and dark, from 320 px up, and on paper."""

from __future__ import annotations

from goldgate.page_style import COLOURS, DRAWINGS

STYLE = (
    COLOURS
    + DRAWINGS
    + """\
* { box-sizing: border-box }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; background: var(--back);
  color: var(--text); overflow-wrap: anywhere }
main { max-width: 68rem; margin: 0 auto; padding: 1rem }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0 1rem }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem } h3 { font-size: 1rem; margin: 0 }
p { margin: .35rem 0 } .faint, .tick, .label { color: var(--faint) }
.demonstration { background: repeating-linear-gradient(135deg,
    #9a670022 0 12px, #9a670044 12px 24px);
  border: 2px solid var(--open); padding: .5rem .8rem; margin: .5rem 0; font-weight: 600 }
.answer { border: 1px solid var(--line); border-left: .6rem solid var(--bad);
  background: var(--panel); padding: .7rem 1rem; font-size: 1.1rem }
.answer.yes { border-left-color: var(--good) } .answer p:first-child { font-weight: 700 }
.answer p + p { font-size: 1rem }
.item { display: grid; grid-template-columns: 6.2rem minmax(0, 1fr); gap: 0 1rem;
  border-top: 1px solid var(--line); padding: .8rem 0; break-inside: avoid }
.item > div { min-width: 0 }
.state { font-weight: 700; font-size: .85rem; border: 2px solid; border-radius: .3rem;
  padding: .05rem .45rem; display: inline-block }
.PASS { color: var(--good) } .FAIL { color: var(--bad) } .MISSING { color: var(--open) }
.need { display: block; font-size: .8rem; color: var(--faint) }
.refused { border-top: 1px solid var(--line); padding: .6rem 0; break-inside: avoid }
ul { padding-left: 1.2rem; margin: .35rem 0 } .files { list-style: none; padding: 0;
  font-size: .88rem }
code, pre { font: .85rem/1.45 ui-monospace, monospace }
pre { white-space: pre-wrap; background: var(--panel); border: 1px solid var(--line);
  padding: .5rem .7rem; margin: .3rem 0; user-select: all }
.hash { display: inline-block; max-width: 12ch; overflow: hidden; white-space: nowrap;
  vertical-align: bottom; user-select: all; color: var(--faint); border-bottom: 1px dotted }
.hash:hover, .hash:focus { max-width: 100%; white-space: normal }
details { margin: .35rem 0 } summary { cursor: pointer; color: var(--faint); font-size: .9rem }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: .85rem }
td, th { border: 1px solid var(--line); padding: .25rem .5rem; text-align: left;
  vertical-align: top; overflow-wrap: normal }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) minmax(0, 1fr);
  gap: .2rem 1rem; margin: 0 } dt { color: var(--faint) } dd { margin: 0 }
.figures { display: grid; gap: 1.2rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)) }
figure { margin: 0; border: 1px solid var(--line); padding: .8rem; min-width: 0;
  break-inside: avoid } figcaption { font-size: .92rem }
.legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .1rem 1rem;
  font-size: .85rem } .legend svg { width: 2rem; display: inline-block; margin: 0 .4rem 0 0;
  vertical-align: middle }
.sign, .mark { display: none }
@media (max-width: 34rem) { .item { grid-template-columns: minmax(0, 1fr) }
  .need { display: inline; margin-left: .5rem } dl { grid-template-columns: minmax(0, 1fr) }
  dd { margin-bottom: .4rem } svg text { font-size: 12px } }
@media print { :root { --back: #fff; --text: #000; --faint: #444; --line: #bbb; --panel: #fff;
    --good: #1a7f37; --bad: #b3141f; --open: #7a5200; --c0: #0550ae; --c1: #953800;
    --c2: #116329; --c3: #6639ba; --c4: #444; --c5: #99286e; color-scheme: light }
  html { font-size: 12.5px } body { font-size: 1rem }
  .mark { display: block; position: fixed; top: 40%; width: 100%; text-align: center;
    font-size: 5.5rem; font-weight: 700; color: #7a5200; opacity: .1; transform: rotate(-30deg) }
  main { max-width: none; padding: 0 }
  .answer, .demonstration, svg { print-color-adjust: exact; -webkit-print-color-adjust: exact }
  .hash { max-width: 100%; white-space: normal } .figures { grid-template-columns: 1fr 1fr }
  h2 { break-after: avoid } figure details:not([open]) { display: none }
  .sign { display: grid; grid-template-columns: 2fr 1fr 3fr; gap: 1rem; margin-top: 3rem;
    break-inside: avoid } .sign span { border-top: 1px solid; padding-top: .2rem } }
"""
)
