"""Style of the page of a result, as CSS: for wide and narrow screens, dark ones and paper."""

STYLE = """
:root { color-scheme: light dark; --line: #8886; --note: #b35900; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin-top: 2rem; }
.warnings { border-left: 0.3rem solid var(--note); padding: 0.1rem 1rem; }
.warnings h2 { margin-top: 0.5rem; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; flex: 0 1 auto; }
img { display: block; max-width: 100%; height: auto; background: #fff; }
figcaption, caption { font-size: 0.875rem; text-align: left; padding: 0.25rem 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { padding: 0.3rem 0.75rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: bottom; }
th { white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.spot { display: inline-block; width: 0.75em; height: 0.75em; border-radius: 50%; margin-right: 0.5em; }
dl { display: grid; gap: 0.25rem; }
dl div { display: flex; flex-wrap: wrap; gap: 0 1rem; }
dt { min-width: 14rem; font-weight: 600; }
dd { margin: 0; overflow-wrap: anywhere; }
@media print {
  body { font-size: 10pt; }
  main { max-width: none; padding: 0; }
  .wide { overflow: visible; }
  figure, tr { break-inside: avoid; }
  thead { display: table-header-group; }
  img { max-height: 14cm; width: auto; }
  .spot { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
