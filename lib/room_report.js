// Draws the report's figures, in the page's colours and for its width, and again when either changes.

const figures = JSON.parse(document.getElementById("figures").textContent)
const root = document.documentElement

function dressed(given, width) {
  const look = getComputedStyle(root)
  const [text, ground, line] = ["text-color", "background-color", "border-color"].map(name => look.getPropertyValue(`--st-${name}`).trim())
  const layout = structuredClone(given)
  Object.assign(layout, { width, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", dragmode: false })
  layout.font = { ...layout.font, family: look.fontFamily, color: text }
  layout.legend = { ...layout.legend, bgcolor: "rgba(0,0,0,0)" }
  layout.hoverlabel = { ...layout.hoverlabel, bgcolor: ground, bordercolor: line, align: "left", font: { color: text } }
  for (const name of Object.keys(layout).filter(name => /^[xy]axis\d*$/.test(name))) {
    Object.assign(layout[name], { gridcolor: line, zerolinecolor: line, tickcolor: line, fixedrange: true })
  }
  if (width <= 500) {
    layout.font.size = 11
    layout.margin = { ...layout.margin, l: 40, r: 8 }
    Object.assign(layout.legend, { orientation: "h", x: 0, xref: "container", y: 0, yanchor: "bottom", yref: "container" })
  }
  return layout
}

function draw() {
  for (const [name, { data, layout }] of Object.entries(figures)) {
    const node = document.getElementById(name)
    const width = root.dataset.print === undefined ? node.clientWidth : 680 // what fits on a page of paper
    window.Plotly.react(node, data, dressed(layout, width), { displayModeBar: false })
  }
}

function paper(printing) {
  if (printing) root.dataset.print = ""
  else delete root.dataset.print
  draw()
}

let drawn = 0
new ResizeObserver(() => {
  if (root.clientWidth === drawn || root.dataset.print !== undefined) return
  drawn = root.clientWidth
  draw()
}).observe(root)
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw)
addEventListener("beforeprint", () => paper(true))
addEventListener("afterprint", () => paper(false))
