// The live views: a chart and a status strip, fed by one stream for each run that the page shows.
// This module is imported once per page, so the Map below is shared by all components.

const streams = new Map() // run id -> Stream
const views = new WeakMap() // a component's parent element -> its view

// ---------------------------------------------------------------- the stream of one run

class Stream {
  constructor(run) {
    this.run = run
    this.series = {}
    this.figures = {}
    this.frame = null
    this.lost = false
    this.listeners = new Set()
    this.open()
  }

  open() {
    this.source = new EventSource(`/api/runs/${encodeURIComponent(this.run)}/events`)
    this.source.onmessage = message => this.receive(JSON.parse(message.data))
    this.source.onopen = () => this.tell(false)
    this.source.onerror = () => {
      this.tell(true)
      // The browser tries again by itself, unless the server answered with an error.
      if (this.source.readyState === EventSource.CLOSED) this.reopen(2000)
    }
  }

  reopen(wait) {
    this.source.close()
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.open(), wait)
  }

  tell(lost) {
    if (this.lost === lost) return
    this.lost = lost
    for (const listener of this.listeners) listener()
  }

  receive(frame) {
    for (const [name, delta] of Object.entries(frame.series)) {
      const have = this.series[name] ?? { step: new Int32Array(0), value: new Float32Array(0) }
      if (delta.start > have.step.length) return this.reopen(0) // something was lost: begin anew
      this.series[name] = {
        step: extended(have.step, delta.start, new Int32Array(bytes(delta.step))),
        value: extended(have.value, delta.start, new Float32Array(bytes(delta.value))),
      }
    }
    Object.assign(this.figures, frame.figures)
    this.frame = frame
    for (const listener of this.listeners) listener()
  }

  close() {
    clearTimeout(this.timer)
    this.source.close()
  }
}

function bytes(text) {
  return Uint8Array.from(atob(text), letter => letter.charCodeAt(0)).buffer
}

function extended(old, start, added) {
  const result = new old.constructor(start + added.length)
  result.set(old.subarray(0, start))
  result.set(added, start)
  return result
}

function listen(run, listener) {
  if (!run) return null
  if (!streams.has(run)) streams.set(run, new Stream(run))
  streams.get(run).listeners.add(listener)
  return streams.get(run)
}

function leave(stream, listener) {
  if (!stream) return
  stream.listeners.delete(listener)
  if (stream.listeners.size === 0) {
    stream.close()
    streams.delete(stream.run)
  }
}

// ---------------------------------------------------------------- a view: what chart and status have in common

class View {
  constructor(element) {
    this.element = element
    this.listener = () => this.schedule()
    this.stream = null
    this.run = undefined
    this.drawnAt = 0
  }

  update(component) {
    this.component = component
    this.data = component.data
    if (this.data.run !== this.run) {
      const before = this.stream
      this.run = this.data.run
      this.stream = listen(this.run, this.listener)
      leave(before, this.listener)
    }
    this.schedule()
  }

  schedule() {
    if (this.pending || this.gone) return
    this.pending = true
    const wait = Math.max(0, this.drawnAt + this.constructor.PAUSE_MS - performance.now())
    setTimeout(() => requestAnimationFrame(() => {
      this.pending = false
      if (this.gone) return
      this.drawnAt = performance.now()
      this.draw()
    }), wait)
  }

  destroy() {
    this.gone = true
    leave(this.stream, this.listener)
  }
}

// ---------------------------------------------------------------- the chart

let plotly = null

function loadPlotly(address) {
  plotly ??= new Promise((resolve, reject) => {
    const script = document.createElement("script")
    script.src = address
    script.onload = () => resolve(window.Plotly)
    script.onerror = () => {
      plotly = null
      reject(new Error("Plotly could not be loaded"))
    }
    document.head.append(script)
  })
  return plotly
}

class Chart extends View {
  static PAUSE_MS = 90 // between two drawings

  constructor(element) {
    super(element)
    element.setAttribute("role", "img")
    this.visible = true
    this.seen = new IntersectionObserver(entries => {
      this.visible = entries.at(-1).isIntersecting
      if (this.visible && this.stale) this.schedule()
    }, { rootMargin: "200px" })
    this.seen.observe(element)
    this.width = element.clientWidth
    this.resized = new ResizeObserver(() => {
      if (Math.abs(element.clientWidth - this.width) < 1) return
      this.width = element.clientWidth
      this.schedule()
    })
    this.resized.observe(element)
  }

  async draw() {
    this.element.style.minHeight = `${this.data.height}px`
    this.stale = !this.visible || document.hidden
    if (this.stale || this.busy) return
    this.busy = true
    try {
      const Plotly = await loadPlotly(this.data.plotly)
      if (this.gone) return
      const { data, layout } = this.figure()
      await Plotly.react(this.element, data, layout, {
        responsive: false,
        displaylogo: false,
        modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]], // none that sends the chart elsewhere
        displayModeBar: this.narrow() ? false : "hover",
      })
      this.describe(layout)
      this.element.dataset.drawn = this.run ?? "" // which run is to be seen, for tests and measurements
      this.element.dataset.draws = 1 + Number(this.element.dataset.draws ?? 0)
    } finally {
      this.busy = false
    }
  }

  narrow() {
    return this.element.clientWidth <= 500
  }

  figure() {
    const figure = this.stream?.figures[this.data.name] ?? this.data.figure
    const data = figure.data.map(trace => ({ ...trace, ...this.points(trace) }))
    return { data, layout: themed(this.element, figure.layout, this.narrow()) }
  }

  points({ meta = {}, y }) {
    if (!this.stream) return {}
    if (meta.series) {
      const series = this.stream.series[meta.series]
      return series ? { x: series.step, y: series.value } : {}
    }
    if (meta.epochs && this.stream.frame) {
      const { step, steps_per_epoch: length } = this.stream.frame
      const every = Math.max(1, Math.ceil(step / length / 200)) * length
      const starts = Array.from({ length: Math.floor(step / every) + 1 }, (_, i) => i * every)
      return { x: starts, y: starts.map(() => y[0]) }
    }
    return {}
  }

  describe(layout) {
    const frame = this.stream?.frame
    const { alt = "", alt_template: template } = layout.meta ?? {}
    const text = template && frame?.loss != null
      ? template.replace("{loss}", digits(frame.loss)).replace("{step}", count(frame.step))
      : alt
    if (this.element.getAttribute("aria-label") !== text) this.element.setAttribute("aria-label", text)
  }

  destroy() {
    super.destroy()
    this.seen.disconnect()
    this.resized.disconnect()
    window.Plotly?.purge(this.element)
  }
}

// Colours come from the page's theme, and change with it.
function themed(element, layout, narrow) {
  const style = getComputedStyle(element)
  const theme = name => style.getPropertyValue(`--st-${name}`).trim()
  const text = theme("text-color") || style.color
  const grid = theme("border-color-light") || theme("border-color") || "rgba(128,128,128,0.25)"
  const paper = theme("background-color") || "white"
  const result = {
    ...layout,
    width: Math.max(280, element.clientWidth),
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { ...layout.font, color: text, family: theme("font") || "sans-serif", ...(narrow ? { size: 11 } : {}) },
    hoverlabel: { ...layout.hoverlabel, bgcolor: paper, bordercolor: grid, font: { color: text } },
  }
  if (narrow) {
    result.dragmode = false // so that a finger scrolls the page
    result.margin = { ...layout.margin, l: 36, r: 8 }
  }
  for (const name of Object.keys(result)) {
    if (!/^[xy]axis\d*$/.test(name)) continue
    result[name] = { gridcolor: grid, ...result[name], ...(narrow ? { fixedrange: true } : {}) }
  }
  return result
}

// ---------------------------------------------------------------- the status strip

const STATES = {
  queued: ["Waiting for its turn", "gray"],
  compiling: ["Compiling", "violet"],
  running: ["Running", "green"],
  paused: ["Paused", "orange"],
  finished: ["Finished", "blue"],
  stopped: ["Stopped", "gray"],
  diverged: ["Diverged", "red"],
  failed: ["Failed", "red"],
}
const EXPLAINED = {
  queued: "Other runs are before it.",
  compiling: "Turning this network into machine code; this takes a few seconds for shapes that are new, and longer for wide gated cells with long windows.",
}
const STYLE = `
.unrolled-status { font-family: var(--st-font); color: var(--st-text-color); font-size: 0.875rem; }
.unrolled-status .line { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; align-items: baseline; min-height: 1.6em; }
.unrolled-status .badge { font-weight: 600; padding: 0.1em 0.6em; border-radius: 1em; }
.unrolled-status .figure { font-variant-numeric: tabular-nums; white-space: nowrap; }
.unrolled-status .figure span { opacity: 0.7; }
.unrolled-status progress { width: 100%; height: 0.5rem; margin: 0.5rem 0 0.25rem; accent-color: var(--st-primary-color); }
.unrolled-status .message { min-height: 1.4em; opacity: 0.85; overflow-wrap: anywhere; }
`
const FIGURES = ["epoch", "step", "loss", "pace", "left", "device"]

class Status extends View {
  static PAUSE_MS = 0

  constructor(element) {
    super(element)
    element.innerHTML =
      `<style>${STYLE}</style><div class="line"><span class="badge" role="status" aria-live="polite"></span>` +
      FIGURES.map(name => `<span class="figure" data-figure="${name}"></span>`).join("") +
      `</div><progress max="1" value="0" aria-label="Progress of the run"></progress><div class="message"></div>`
  }

  draw() {
    const frame = this.stream?.frame
    const [label, color] = this.stream?.lost
      ? ["Connection lost, trying again…", "red"]
      : STATES[frame?.state] ?? [this.run ? "Connecting" : "Ready", "gray"]
    const badge = this.element.querySelector(".badge")
    if (badge.textContent !== label) badge.textContent = label
    badge.style.cssText = `color: var(--st-${color}-text-color); background: var(--st-${color}-background-color)`
    this.element.dataset.state = frame?.state ?? "none"
    const message = frame ? frame.message || EXPLAINED[frame.state] || "" : "Press Start to train a network."
    this.put(".message", message)
    this.element.querySelector("progress").value = frame?.steps ? frame.step / frame.steps : 0
    this.numbers(frame)
    if (frame && frame.event !== this.data.event && frame.event !== this.told) {
      this.told = frame.event
      this.component.setTriggerValue("event", frame.event)
    }
  }

  numbers(frame) {
    const show = (name, label, value) => this.put(`[data-figure=${name}]`, value == null ? "" : value, label)
    show("epoch", "epoch", frame && `${count(frame.epoch)} of ${count(frame.epochs)}`)
    show("step", "step", frame && `${count(frame.step)} of ${count(frame.steps)}`)
    show("loss", "loss", frame?.loss == null ? null : `${digits(frame.loss)} nats`)
    show("pace", "speed", frame?.steps_per_second == null ? null : `${count(rounded(frame.steps_per_second))} steps/s`)
    show("left", "time left", frame?.time_left == null ? null : duration(frame.time_left))
    show("device", "on", frame?.device || null)
  }

  put(selector, text, label) {
    const element = this.element.querySelector(selector)
    if (element.dataset.text === text) return
    element.dataset.text = text
    element.textContent = text
    if (label && text) element.insertAdjacentHTML("afterbegin", `<span>${label} </span>`)
  }
}

function rounded(value) {
  return value < 10 ? Math.round(value * 10) / 10 : Number(value.toPrecision(3))
}

function count(value) {
  return value.toLocaleString("en")
}

function digits(value) {
  return Number(value.toPrecision(3)).toString()
}

function duration(seconds) {
  if (seconds < 1) return "under 1 s"
  if (seconds < 90) return `${Math.round(seconds)} s`
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`
  return `${Math.round(seconds / 3600)} h`
}

// ---------------------------------------------------------------- what the component's stub calls

const VIEWS = { chart: Chart, status: Status }

export function mount(name, component) {
  const parent = component.parentElement
  if (!views.has(parent)) views.set(parent, new VIEWS[name](parent.querySelector(`.unrolled-${name}`)))
  views.get(parent).update(component)
}

export function unmount(parent) {
  views.get(parent)?.destroy()
  views.delete(parent)
}

document.addEventListener("visibilitychange", () => {
  for (const stream of streams.values()) for (const listener of stream.listeners) listener()
})
