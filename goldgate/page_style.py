"""Style sheets that pages share: colours of light and dark, and the marks of drawings."""

from __future__ import annotations

#: Names of colours, for light pages and dark ones.
COLOURS = """
:root { color-scheme: light dark; --back: #fff; --text: #1f2328; --faint: #57606a;
  --line: #d0d7de; --panel: #f6f8fa; --good: #1a7f37; --bad: #cf222e; --open: #9a6700;
  --c0: #0969da; --c1: #bc4c00; --c2: #1a7f37; --c3: #8250df; --c4: #57606a; --c5: #bf3989 }
@media (prefers-color-scheme: dark) { :root { --back: #0d1117; --text: #e6edf3;
  --faint: #9da7b1; --line: #3d444d; --panel: #161b22; --good: #3fb950; --bad: #ff7b72;
  --open: #d29922; --c0: #58a6ff; --c1: #f0883e; --c2: #3fb950; --c3: #bc8cff; --c4: #9da7b1;
  --c5: #f778ba } }
"""

#: The classes of the marks that `goldgate.svg` makes.
DRAWINGS = """\
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
"""
