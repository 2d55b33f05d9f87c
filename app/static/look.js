// How a figure is dressed: colours and font from the page's theme, and a layout for phones.

export const CLEAR = "rgba(0,0,0,0)"
const phone = window.matchMedia("(max-width: 500px)")
const touch = window.matchMedia("(pointer: coarse)")

/** The look of a figure in a file. */
export const PAPER = {
  text: "#202020", font: "sans-serif", ground: "#ffffff", raised: "#f4f4f4", line: "#a0a0a0", grid: "#e4e4e4",
}

/** What the theme of the page says now, as Streamlit's CSS variables have it. */
export function themeOf(element) {
  const style = getComputedStyle(element)
  const read = (name, otherwise) => {
    const value = style.getPropertyValue(`--st-${name}`).trim()
    return value && value !== "unset" ? value : otherwise
  }
  return {
    text: read("text-color", style.color),
    font: read("font", style.fontFamily),
    ground: read("background-color", "#ffffff"),
    raised: read("secondary-background-color", "#f4f4f4"),
    line: read("border-color", "rgba(128,128,128,0.4)"),
    grid: read("border-color-light", "rgba(128,128,128,0.2)"),
  }
}

/** Whether a finger should scroll the page when it moves over a chart. */
export const byTouch = () => phone.matches || touch.matches

/** Plotly's configuration: few buttons, and none where there is no mouse. */
export function configFor(name) {
  return {
    displaylogo: false,
    displayModeBar: byTouch() ? false : "hover",
    modeBarButtons: [["toImage", "resetScale2d"]],
    toImageButtonOptions: { filename: `unrolled-${name}`, scale: 2 },
    doubleClick: "reset",
    responsive: false, // the chart watches its own width
  }
}

/** The layout of a figure, in the theme's colours, for an element of this size. The given layout is left as it is. */
export function dressed(given, theme, width, height) {
  const layout = structuredClone(given)
  const family = theme.font
  Object.assign(layout, { width, height, autosize: false, paper_bgcolor: CLEAR, plot_bgcolor: CLEAR })
  layout.font = { ...layout.font, family, color: theme.text }
  layout.legend = { bgcolor: CLEAR, ...layout.legend }
  layout.modebar = { bgcolor: CLEAR, color: theme.line, activecolor: theme.text, ...layout.modebar }
  const hover = { bgcolor: theme.raised, bordercolor: theme.line, align: "left" }
  layout.hoverlabel = { ...hover, ...layout.hoverlabel, font: { family, color: theme.text } }
  for (const axis of axesOf(layout)) {
    Object.assign(axis, { gridcolor: theme.grid, zerolinecolor: theme.line, tickcolor: theme.line })
    axis.ticklabeloverflow = "allow" // they have room; to look for those without took a tenth of each drawing
    if (axis.showline) axis.linecolor = theme.line // a colour alone would make Plotly draw the line
  }
  if (byTouch()) forTouch(layout)
  if (width <= 500) forNarrow(layout)
  return layout
}

function axesOf(layout) {
  return Object.keys(layout).filter(name => /^[xy]axis\d*$/.test(name)).map(name => layout[name])
}

/** A finger scrolls the page, and a tap shows the values. */
function forTouch(layout) {
  layout.dragmode = false
  for (const axis of axesOf(layout)) axis.fixedrange = true
}

/** Less margin, smaller letters, and the legend below, where it may take several lines. */
function forNarrow(layout) {
  layout.font.size = Math.min(layout.font.size ?? 12, 11)
  layout.margin = { ...layout.margin, l: Math.min(layout.margin?.l ?? 40, 40), r: 8 }
  layout.legend = {
    ...layout.legend, orientation: "h", x: 0, xanchor: "left", xref: "container", y: 0, yanchor: "bottom", yref: "container",
  }
  layout.hoverlabel.font.size = 11
}
