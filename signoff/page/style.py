"""The page's style sheet: light and dark, from 320 px up, and on paper."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1f2328; --faint: #57606a;
  --line: #d0d7de; --panel: #f6f8fa; --good: #1a7f37; --bad: #cf222e; --open: #9a6700;
  --c0: #0969da; --c1: #bc4c00; --c2: #1a7f37; --c3: #8250df; --c4: #57606a; --c5: #bf3989 }
@media (prefers-color-scheme: dark) { :root { --back: #0d1117; --text: #e6edf3;
  --faint: #9da7b1; --line: #3d444d; --panel: #161b22; --good: #3fb950; --bad: #ff7b72;
  --open: #d29922; --c0: #58a6ff; --c1: #f0883e; --c2: #3fb950; --c3: #bc8cff; --c4: #9da7b1;
  --c5: #f778ba } }
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
svg { width: 100%; height: auto; display: block; margin: .6rem 0; max-width: 34rem }
svg text { font: 11px system-ui, sans-serif; fill: var(--text) }
svg text.tick, svg text.label { fill: var(--faint) }
svg line, svg polyline { fill: none; stroke: currentColor } svg .grid { stroke: var(--line);
  stroke-width: .5 } svg .axis { stroke: var(--faint) }
svg .limit { stroke: var(--bad); stroke-width: 1.5; stroke-dasharray: 5 3 }
svg .floor { stroke: var(--faint); stroke-width: 1.5; stroke-dasharray: 1 3 }
svg .zone { fill: var(--bad); opacity: .12 } svg .on { fill: var(--c0) }
svg .off { fill: none; stroke: var(--line) } svg .bar { fill: var(--c0) }
svg .range { stroke: var(--text); stroke-width: 2.5 } svg .mean { fill: var(--text) }
svg .ok { fill: var(--c0); opacity: .65 } svg .wrong { fill: var(--bad) }
svg .known { fill: var(--open) }
svg .s0, svg .s1, svg .s2, svg .s3, svg .s4, svg .s5 { stroke-width: 2 }
svg .s0 { stroke: var(--c0) } svg .s1 { stroke: var(--c1); stroke-dasharray: 7 2 }
svg .s2 { stroke: var(--c2); stroke-dasharray: 2 2 }
svg .s3 { stroke: var(--c3); stroke-dasharray: 8 2 2 2 } svg .s4 { stroke: var(--c4);
  stroke-dasharray: 4 4 } svg .s5 { stroke: var(--c5); stroke-dasharray: 10 4 }
svg circle.s0 { fill: var(--c0) } svg circle.s1 { fill: var(--c1) }
svg circle.s2 { fill: var(--c2) } svg circle.s3 { fill: var(--c3) }
svg circle.s4 { fill: var(--c4) } svg circle.s5 { fill: var(--c5) }
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
