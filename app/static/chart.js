// A chart that keeps one element: the script says what to draw, the run's stream says with which numbers, and
// Plotly.react puts both on the same node, so zoom, hover and legend survive updates, reruns and a change of theme.

import { cursor } from "./cursor.js"
import { follow, unfollow } from "./stream.js"
import { configFor, dressed, PAPER, themeOf } from "./look.js"
import { significant, whole } from "./words.js"

const SHORTEST_MS = 100 // at most ten drawings a second
const SHARE = 3 // and on a slow device, at most a third of its time for each chart
const FRAME_MS = 16 // a drawing waits for the next frame of the screen
const MARK_WIDTH = 20 // pixels that each mark of an epoch has at least: they would merge, and 28 took a quarter of a drawing
const CURSOR = { type: "rect", yref: "paper", y0: 0, y1: 1, layer: "above", fillcolor: "rgba(0,0,0,0)", line: { color: "#C2408F", width: 2 } }

let loading = null // the promise of Plotly

function loadPlotly(address) {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script")
    script.src = new URL(address, location.origin)
    script.onload = () => resolve(window.Plotly)
    script.onerror = () => {
      loading = null
      script.remove()
      reject(new Error("Plotly's script could not be loaded"))
    }
    document.head.append(script)
  })
  return loading
}

export class Chart {
  constructor(root) {
    this.root = root
    this.node = root.querySelector(".unrolled-chart")
    this.run = null
    this.seen = false
    this.due = this.drawing = this.ended = false
    this.next = 0
    this.buttons = root.parentElement.querySelector(".unrolled-save")
    this.buttons.onclick = event => event.target.dataset.format && this.save(event.target.dataset.format)
    this.hear = news => this.heard(news)
    this.inView = new IntersectionObserver(entries => {
      this.seen = entries.at(-1).isIntersecting
      if (this.seen && this.due) this.schedule()
    }, { rootMargin: "150px" })
    this.inView.observe(root)
    this.resized = new ResizeObserver(() => this.root.clientWidth !== this.width && this.request())
    this.resized.observe(root)
  }

  /** What the script wants: {name, run, figure, height, plotly}. Called at each of its runs and at a change of theme. */
  update(data, setTriggerValue) {
    const before = this.run
    this.trigger = setTriggerValue
    if (data.run !== (before?.id ?? null) || (data.view ?? "") !== (before?.view ?? "")) {
      this.run = data.run ? follow(data.run, this.hear, data.view) : null
      unfollow(before, this.hear)
    }
    this.data = data
    this.run?.wantPicture(data.name)
    this.run?.want(data.figure.data.map(trace => trace.meta?.series).filter(Boolean))
    this.root.style.height = `${data.height}px`
    if (data.group !== this.group) {
      this.forget?.()
      this.group = data.group
      this.forget = data.group ? cursor(data.group).subscribe(() => this.point()) : null
    }
    this.node.dataset.name = data.name
    this.buttons.hidden = !data.save
    this.request()
  }

  heard(news) {
    if (this.fed ? this.run.frame !== this.drawn : news.figures.includes(this.data.name)) this.request()
  }

  /** Whether the stream's curves go into it. */
  get fed() {
    return this.data.figure.data.some(trace => trace.meta?.series || trace.meta?.epochs)
  }

  request() {
    this.due = true
    this.describe()
    this.schedule()
  }

  schedule() {
    if (this.timer || this.drawing || this.ended || !this.seen) return
    const wait = Math.max(0, this.next - performance.now() - FRAME_MS)
    this.timer = setTimeout(() => requestAnimationFrame(() => this.turn()), wait)
  }

  async turn() {
    this.timer = 0
    if (this.ended || !this.seen || !this.due) return
    if (this.node._dragging) this.next = performance.now() + SHORTEST_MS // not while somebody is zooming
    else await this.draw()
    if (this.due) this.schedule()
  }

  async draw() {
    this.drawing = true
    this.due = false
    const started = performance.now()
    try {
      const plotly = window.Plotly ?? (await loadPlotly(this.data.plotly))
      if (this.ended) return
      this.width = this.root.clientWidth
      this.drawn = this.run?.frame
      const { data, layout } = this.figure()
      const width = Math.max(this.width, layout.meta?.least_width ?? 0) // what needs more room is scrolled
      this.node.style.width = width > this.width ? `${width}px` : ""
      const wanted = dressed(layout, themeOf(this.root), width, this.data.height)
      this.shapes = wanted.shapes ?? []
      wanted.shapes = [...this.shapes, ...this.cursorShapes(layout)]
      await plotly.react(this.node, data, wanted, configFor(this.data.name))
      this.listen()
      this.node.dataset.drawn = this.run?.id ?? "" // which run is to be seen, for tests and measurements
      this.node.dataset.draws = 1 + Number(this.node.dataset.draws ?? 0)
      this.root.classList.remove("waiting", "failed")
    } catch (error) {
      console.error(error)
      this.due = true
      this.next = performance.now() + 3000
      this.root.classList.add("failed")
    } finally {
      this.drawing = false
      this.point() // the cursor may have moved meanwhile
      const now = performance.now()
      this.next = Math.max(this.next, started + SHORTEST_MS, now + (SHARE - 1) * Math.min(now - started, 1000))
    }
  }

  /** Tell the script of a click on a heatmap's cell or on a point: the last of its custom values. Where a click chooses a
   *  step as well, that goes to the page's cursor. */
  listen() {
    if (this.listening || !this.data.clicks) return
    this.listening = true
    this.node.on("plotly_click", ({ points: [point] }) => {
      const [row, column] = [point.pointNumber].flat()
      const { cursor: steps, units } = this.figure().layout.meta ?? {}
      if (steps) {
        cursor(this.group).set(point.x - 1)
        if (point.data.meta?.units) this.trigger("click", String(units[row]))
        return
      }
      const custom = point.data.customdata?.[row]
      const chosen = (column === undefined ? custom : custom?.[column])?.at(-1)
      if (chosen === undefined || chosen === "") return
      this.trigger("click", chosen)
      if (this.data.leads) document.querySelector("[data-testid=stMain]")?.scrollTo({ top: 0, behavior: "smooth" })
    })
  }

  /** The frame around the step that the page looks at. */
  cursorShapes(layout) {
    if (!this.group || !layout.meta?.cursor) return []
    const step = Math.min(cursor(this.group).step + 1, layout.xaxis.range[1] - 0.5)
    return [{ ...CURSOR, x0: step - 0.5, x1: step + 0.5 }]
  }

  /** Move the cursor, which costs less than to draw. */
  point() {
    const layout = this.figure().layout
    if (!window.Plotly || !this.shapes || this.drawing || this.due || !layout.meta?.cursor) return
    window.Plotly.relayout(this.node, { shapes: [...this.shapes, ...this.cursorShapes(layout)] })
  }

  /** The stream's picture of this name or else the script's figure, its empty traces filled. */
  figure() {
    const figure = this.run?.figures[this.data.name] ?? this.data.figure
    const units = trace => (trace.meta?.units ? unitsOf(trace, figure.layout.meta.units) : {})
    return { data: figure.data.map(trace => ({ ...trace, ...this.points(trace), ...units(trace) })), layout: figure.layout }
  }

  /** The figure as a file, dark on white whatever the page's theme. */
  save(format) {
    const { data, layout } = this.figure()
    const size = { width: 1000, height: this.data.height }
    const wanted = { ...dressed(layout, PAPER, size.width, size.height), paper_bgcolor: PAPER.ground, plot_bgcolor: PAPER.ground }
    window.Plotly.downloadImage({ data, layout: wanted }, { format, filename: this.data.save, ...size })
  }

  points(trace) {
    if (!this.run) return {}
    const series = this.run.series.get(trace.meta?.series)
    if (series) return { x: series.step.slice(0, series.count), y: series.value.slice(0, series.count) }
    return trace.meta?.epochs && this.run.frame ? epochMarks(this.run.frame, this.width / MARK_WIDTH, trace.y?.[0]) : {}
  }

  /** The text alternative, with the numbers of now. */
  describe() {
    const meta = (this.run?.figures[this.data.name] ?? this.data.figure).layout.meta ?? {}
    const frame = this.run?.frame
    let text = meta.alt ?? ""
    if (this.fed && frame?.step > 0 && meta.alt_template) {
      const said = name => (name === "step" ? whole(frame.step) : significant(frame.metrics[name]))
      text = meta.alt_template.replace(/\{(\w+)\}/g, (_, name) => said(name))
    }
    if (this.node.getAttribute("aria-label") !== text) this.node.setAttribute("aria-label", text)
  }

  end() {
    this.ended = true
    clearTimeout(this.timer)
    unfollow(this.run, this.hear)
    this.forget?.()
    this.inView.disconnect()
    this.resized.disconnect()
    window.Plotly?.purge(this.node)
  }
}

/** The number of the unit behind each cell of a heatmap whose rows are units. */
const unitsOf = (trace, units) => ({ customdata: units.map(unit => Array(trace.x.length).fill(unit)) })

/** A mark at each new epoch that has begun; where there are too many to tell apart, at every second, fifth, tenth, … of them. */
function epochMarks({ step, steps_per_epoch: length }, most, height = 0.02) {
  const epochs = length > 0 && step > 0 ? Math.floor((step - 1) / length) : 0
  const every = nice(epochs / most)
  const x = Array.from({ length: Math.floor(epochs / every) }, (_, i) => (i + 1) * every * length)
  return { x, y: x.map(() => height) }
}

/** The least of 1, 2, 5, 10, 20, … that is not below a number. */
function nice(least) {
  if (least <= 1) return 1
  const power = 10 ** Math.floor(Math.log10(least))
  return [1, 2, 5, 10].map(factor => factor * power).find(value => value >= least)
}
