// The stepping view of a recurrent cell: a diagram with the numbers of one unit at one step, the same numbers in the
// equations, and the controls that go through the steps. Diagram and equations are made once for each kind of cell and
// each layout; what changes with the step is written into them by small functions, `live`.

import { cursor } from "./cursor.js"
import { follow, unfollow } from "./stream.js"
import { whole } from "./words.js"

const SVG = "http://www.w3.org/2000/svg"
const NARROW = 480 // pixels of the diagram, below which it has the layout for phones
const CALM_MS = 250 // of a transition; shorter where the steps are

// What a part is called: its letter, the index of the letter, and its name.
const PARTS = {
  x: ["x", "", "input"], bias: ["b", "", "bias"],
  i: ["i", "", "input gate"], f: ["f", "", "forget gate"], o: ["o", "", "output gate"], g: ["g", "", "candidate"],
  z: ["z", "", "update gate"], r: ["r", "", "reset gate"], n: ["n", "", "candidate"],
  c: ["c", "", "cell state"], h: ["h", "", "hidden state"],
  c_before: ["c", "−1", "cell state before"], h_before: ["h", "−1", "hidden state before"],
  kept: ["", "", "what is kept"], written: ["", "", "what is added"], tanh_c: ["", "", "squashed cell state"],
  sum: ["", "", "sum"], peephole: ["", "", "peephole"],
}
const EXPLAINED = { // where the content has no sentence of its own
  bias: "A number that belongs to the weights and is the same at every step.",
  kept: "The part of the old state that the gate lets through.",
  written: "What this step adds to the state: the candidate, as far as the gate lets it through.",
  sum: "What the input, the hidden states before and the bias say together, before it is squashed.",
  peephole: "A gate looks at its unit's own cell state: i and f at the one before, o at the new one, each with a weight of its own.",
  tanh_c: "The cell state, squashed to between −1 and 1 before the output gate shows it.",
}
const HINT = "Point at any part to read what it does."

const sigmoid = x => 1 / (1 + Math.exp(-x))

// The kinds of cells: their gates in the order of drawing, which of them are squashed by tanh, what else follows from the
// values of a step, what their last equations are, and how they are drawn.
const LSTM = {
  name: "LSTM", gates: ["f", "i", "g", "o"], by_tanh: ["g"], draw: drawLSTM,
  derive: v => ({ kept: v.f * v.c_before, written: v.i * v.g, tanh_c: Math.tanh(v.c) }),
  equations: { c: ["f", "·", "c_before", "+", "i", "·", "g"], h: ["o", "·", "tanh(", "c", ")"] },
  expected: { c: v => v.kept + v.written, h: v => v.o * v.tanh_c },
}
const CELLS = {
  lstm: LSTM,
  lstm_peephole: {
    ...LSTM, name: "LSTM with peepholes", peepholes: ["f", "i", "o"],
    note: "Peepholes: f and i see the old c, o the new one",
  },
  lstm_coupled: {
    ...LSTM, name: "LSTM with coupled gates", gates: ["f", "g", "o"], note: "The input gate is i = 1 − f",
    derive: v => ({ i: 1 - v.f, kept: v.f * v.c_before, written: (1 - v.f) * v.g, tanh_c: Math.tanh(v.c) }),
    equations: { c: ["f", "·", "c_before", "+", "(1 −", "f", ")", "·", "g"], h: LSTM.equations.h },
  },
  gru: {
    name: "GRU", gates: ["z", "r", "n"], by_tanh: ["n"], draw: drawGRU,
    note: "n hears the states through the reset gate: r · h₋₁. Here z keeps (Cho et al. 2014)",
    derive: v => ({ kept: v.z * v.h_before, written: (1 - v.z) * v.n }),
    equations: { h: ["z", "·", "h_before", "+", "(1 −", "z", ")", "·", "n"] },
    expected: { h: v => v.kept + v.written },
  },
  rnn: { name: "tanh RNN", gates: ["h"], by_tanh: ["h"], draw: drawRNN, derive: () => ({}), equations: {}, expected: {} },
}

// Numbers

/** Two decimals, fewer where the number is long, and a true minus. */
function number(value) {
  if (value == null || !Number.isFinite(value)) return "–"
  const size = Math.abs(value)
  const text = size.toFixed(size < 100 ? 2 : size < 1000 ? 1 : 0)
  return value < 0 && Number(text) !== 0 ? `−${text}` : text
}

/** As a further term of a sum: "+ 2.10" or "− 0.30". */
const added = value => (number(value).startsWith("−") ? `− ${number(value).slice(1)}` : `+ ${number(value)}`)

/** As a further factor. */
const factor = value => (number(value).startsWith("−") ? `(${number(value)})` : number(value))

/** The numbers of one step: the parts, what follows from them, the sums, and which parts an operation holds: those that
 *  the content names, and those that are not what their equation says (a frozen or a removed unit's). */
function valuesAt(content, step) {
  const cell = CELLS[content.cell], v = { x: content.labels[step], sums: {} }
  for (const [part, series] of Object.entries(content.values)) v[part] = series[step]
  Object.assign(v, cell.derive(v))
  const held = new Set(Object.keys(content.held ?? {}))
  const expect = (part, value) => Math.abs(value - v[part]) > 0.01 * (1 + Math.abs(value)) && held.add(part)
  for (const gate of cell.gates) {
    const { input, state, bias, cell_state } = content.sums[gate]
    const sum = { input: input[step], state: state[step], bias, ...(cell_state && { cell_state: cell_state[step] }) }
    const summands = Object.values(sum)
    sum.total = summands.includes(null) ? NaN : summands.reduce((a, b) => a + b)
    v.sums[gate] = sum
    expect(gate, cell.by_tanh.includes(gate) ? Math.tanh(sum.total) : sigmoid(sum.total))
  }
  for (const [part, value] of Object.entries(cell.expected)) expect(part, value(v))
  return Object.assign(v, { held, explain: part => content.explain?.[part] ?? EXPLAINED[part] ?? "" })
}

// The diagram

let clips = 0

/** Draws parts into an SVG. `live` has what is to be done with the values of each step. */
class Pen {
  constructor(svg, place) {
    this.svg = svg
    this.place = place
    this.live = []
  }

  make(tag, attributes = {}, into = this.svg, text = null) {
    const node = document.createElementNS(SVG, tag)
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value)
    if (text !== null) node.textContent = text
    into.append(node)
    return node
  }

  group(part, look, focus = false) {
    const group = this.make("g", { class: look, "data-part": part })
    if (!focus) return group
    group.setAttribute("tabindex", "0")
    group.setAttribute("role", "img")
    this.live.push(v => {
      const [letter, index, name] = PARTS[part]
      const value = part === "x" ? `“${v.x}”` : number(v[part])
      group.setAttribute("aria-label", `${`${name} ${letter}${index}`.trim()}: ${value}${v.held.has(part) ? ", held" : ""}`)
      group.setAttribute("aria-description", v.explain(part))
    })
    return group
  }

  text(x, y, look, text, into, anchor = "middle") {
    return this.make("text", { x, y, class: look, "text-anchor": anchor }, into, text)
  }

  /** A number that stands by itself on the way. */
  number(part, x, y, value, anchor) {
    const text = this.text(x, y, "number", "", this.group(part, "free"), anchor)
    this.live.push(v => (text.textContent = value(v)))
  }

  body(top, bottom) {
    const { left, right } = this.place
    this.make("rect", { x: left, y: top, width: right - left, height: bottom - top, rx: 18, class: "body" })
  }

  /** The wide, empty pipe that a state goes along. */
  track(from, to, y) {
    this.make("line", { x1: from, x2: to, y1: y, y2: y, class: "track" })
  }

  /** A way along some points, as thick as what goes along it. Looks: signed, input, gate, state. */
  pipe(part, look, points, amount, tip = true) {
    const group = this.group(part, `pipe ${look}`)
    const [[x0, y0], [x1, y1]] = points.slice(-2)
    const length = Math.hypot(x1 - x0, y1 - y0), [dx, dy] = [(x1 - x0) / length, (y1 - y0) / length]
    const ends = tip ? [...points.slice(0, -1), [x1 - 7 * dx, y1 - 7 * dy]] : points
    const d = rounded(ends)
    this.make("path", { d, class: "hit" }, group)
    const line = this.make("path", { d, class: "line" }, group)
    if (tip) {
      const turn = (Math.atan2(dy, dx) * 180) / Math.PI
      this.make("path", { d: "M0 0L-10 -7.5V7.5Z", transform: `translate(${x1} ${y1}) rotate(${turn})`, class: "tip" }, group)
    }
    this.live.push(v => {
      const value = amount(v) || 0
      group.classList.toggle("negative", value < 0)
      line.style.strokeWidth = 1.5 + 7.5 * Math.tanh(Math.abs(value))
    })
  }

  /** What a gate sees of its unit's cell state. */
  peephole(gate, points) {
    this.pipe("peephole", "signed peep", points, v => v.sums[gate].cell_state)
  }

  /** A gap for an upright pipe that crosses what is drawn so far. */
  bridge(x, y, reach) {
    this.make("path", { d: `M${x} ${y - reach}v${2 * reach}`, class: "bridge" })
  }

  /** A round node with a sign in it. With `open`, its rim shows how far a gate is open. */
  node(part, x, y, sign, open = null) {
    const group = this.group(part, "node"), r = this.place.round
    this.make("circle", { cx: x, cy: y, r, class: "disc" }, group)
    if (open) {
      const ring = { cx: x, cy: y, r, class: "ring", pathLength: 1, transform: `rotate(-90 ${x} ${y})` }
      const rim = this.make("circle", ring, group)
      this.live.push(v => (rim.style.strokeDasharray = `${Math.min(1, Math.max(0, open(v)))} 2`))
    }
    const turn = sign === "×" ? 45 : 0
    this.make("path", { d: "M-6.5 0h13M0 -6.5v13", class: "arms", transform: `translate(${x} ${y}) rotate(${turn})` }, group)
  }

  /** A box with a part's letter, name and number, that can have the focus. What is drawn into `inner` is behind them. */
  frame(part, x, y, [w, h], look, caption, [first, second, third], value = v => number(v[part])) {
    const id = `unrolled-clip-${++clips}`, top = y - h / 2, group = this.group(part, `box ${look}`, true)
    const rect = { x: x - w / 2, y: top, width: w, height: h, rx: 10 }
    this.make("rect", rect, this.make("clipPath", { id }, group))
    this.make("rect", { ...rect, class: "ground" }, group)
    const inner = this.make("g", { "clip-path": `url(#${id})` }, group)
    this.make("rect", { ...rect, class: "rim" }, group)
    const letter = this.text(x, top + first, "letter", PARTS[part][0], group)
    if (PARTS[part][1]) this.make("tspan", { dy: 3, class: "index" }, letter, PARTS[part][1])
    this.text(x, top + second, "caption", caption, group)
    const text = this.text(x, top + third, "number", "", group)
    this.lock(part, x + w / 2, top, group)
    this.live.push(v => (text.textContent = value(v)))
    return { group, inner, rect, top }
  }

  /** A token that fits into its box. */
  fitting(token) {
    const most = this.place.wide ? 9 : 5
    return token.length > most ? `${token.slice(0, most - 1)}…` : token
  }

  /** What a part is called in its box. */
  caption(part) {
    return this.place.wide ? PARTS[part][2].replace(/ (gate|before)/, "") : PARTS[part][2].split(" ")[0]
  }

  /** A state or the input where it enters or leaves the cell. The tint is that of the heatmaps. */
  port(part, x, y, value) {
    const { port, lines } = this.place
    const { inner, rect } = this.frame(part, x, y, port, `port ${part}`, this.caption(part), lines, value)
    if (value) return
    const tint = this.make("rect", { ...rect, class: "tint" }, inner)
    this.live.push(v => {
      tint.style.fillOpacity = 0.45 * Math.tanh(Math.abs(v[part] || 0))
      tint.classList.toggle("negative", v[part] < 0)
    })
  }

  /** A box that squashes: filled to a gate's opening, or from its middle to a candidate's value. */
  box(part, x, y, by_tanh) {
    const { gate: [w, h], lines, wide } = this.place, squash = by_tanh ? "tanh" : "σ"
    const look = by_tanh ? "signed" : "valve"
    const { group, inner, rect, top } = this.frame(part, x, y, [w, h], look, this.caption(part), lines)
    const level = this.make("rect", { ...rect, rx: 0, height: by_tanh ? h / 2 : h, class: "level" }, inner)
    if (by_tanh) this.make("line", { x1: x - w / 2, x2: x + w / 2, y1: y, y2: y, class: "zero" }, inner)
    const from = this.text(x, top + h - 10, "caption", squash, group)
    this.live.push(v => {
      if (wide) from.textContent = `${squash}(${number(v.sums[part].total)})`
      level.style.transform = `scaleY(${v[part] || 0})`
      level.classList.toggle("negative", v[part] < 0)
    })
  }

  /** A padlock on a corner, to be seen where an operation holds the part. */
  lock(part, x, y, into) {
    const lock = this.make("g", { class: "lock", transform: `translate(${x - 6} ${y + 5})` }, into)
    this.make("title", {}, lock, "held by an operation")
    this.make("circle", { r: 11 }, lock)
    this.make("path", { d: "M-5 -1h10v7h-10zM-3 -1v-2a3 3 0 0 1 6 0v2", class: "shackle" }, lock)
    this.live.push(v => lock.classList.toggle("shown", v.held.has(part)))
  }

  /** The input and all hidden states before, to each gate: {gate, x, edge}, and `states`, where their way ends. */
  feed(gates, start) {
    const { off, port, y } = this.place, at = gates[0].x + off, end = gates.at(-1).x
    const bus = () => 0.35
    this.pipe("h_before", "state", [...start, [end - off, y.bus]], bus, false)
    for (const { gate, x, edge, states = edge } of gates)
      this.pipe("h_before", "state", [[x - off, y.bus], [x - off, states]], v => v.sums[gate].state)
    for (const { gate, x, edge } of gates) {
      if (x < end) this.bridge(x + off, y.bus, 6)
      this.pipe("x", "input", [[x + off, y.inputs], [x + off, edge]], v => v.sums[gate].input)
    }
    this.pipe("x", "input", [[at, y.port - port[1] / 2], [at, y.inputs], [end + off, y.inputs]], bus, false)
    this.port("x", at, y.port, v => this.fitting(v.x))
  }

  /** The hidden state on its way up, to the output layer. */
  output(x, from) {
    const { y } = this.place
    this.pipe("h", "signed", [[x, from], [x, y.tip]], v => v.h)
    this.text(x - 12, y.tip + 9, "caption", "to the output", this.svg, "end")
  }
}

/** A path along points, with round corners. */
function rounded(points, radius = 12) {
  return points.map(([x, y], at) => {
    if (at === 0 || at === points.length - 1) return `${at ? "L" : "M"}${x} ${y}`
    const toward = ([a, b]) => {
      const length = Math.hypot(a - x, b - y), share = Math.min(radius, length / 2) / length
      return `${x + (a - x) * share} ${y + (b - y) * share}`
    }
    return `L${toward(points[at - 1])}Q${x} ${y} ${toward(points[at + 1])}`
  }).join("")
}

// Where everything is, in the diagram's own units: on a phone one is a pixel. `y` has what lies on one height.

const WIDE = { wide: true, width: 600, left: 47, right: 553, port: [92, 68], gate: [88, 92], lines: [20, 36, 58], round: 15, off: 20 }
const PHONE = { wide: false, width: 360, left: 28, right: 332, port: [54, 58], gate: [56, 84], lines: [15, 30, 49], round: 13, off: 14 }
const LSTM_Y = [
  { tip: 6, top: 30, line: 84, tanh: 142, times: 200, gate: 286, bus: 358, inputs: 376, bottom: 402, port: 440, end: 475 },
  { tip: 4, top: 26, line: 76, tanh: 128, times: 182, gate: 258, bus: 332, inputs: 350, bottom: 372, port: 404, end: 434 },
]
const LSTM_PLACES = [
  { ...WIDE, x: { f: 144, i: 238, g: 332, o: 426, up: 484 }, squash: [64, 40], y: LSTM_Y[0] },
  { ...PHONE, x: { f: 86, i: 144, g: 202, o: 260, up: 290 }, squash: [50, 38], y: LSTM_Y[1] },
]
const PLACES = {
  lstm: LSTM_PLACES,
  // Where the peepholes leave the line of the cell state, and the height at which they turn to their gates.
  lstm_peephole: [
    { ...LSTM_PLACES[0], peep: { old: 112, now: 372, y: 222 } },
    { ...LSTM_PLACES[1], peep: { old: 66, now: 224, y: 202 } },
  ],
  lstm_coupled: [
    { ...LSTM_PLACES[0], x: { f: 160, g: 302, o: 426, up: 484 } },
    { ...LSTM_PLACES[1], x: { f: 86, g: 180, o: 260, up: 290 } },
  ],
  gru: [
    { ...WIDE, x: { state: 108, z: 168, r: 288, n: 428, up: 492 },
      y: { tip: 6, top: 30, line: 84, times: 140, n: 218, gate: 310, bus: 380, inputs: 398, bottom: 418, port: 456, end: 491 } },
    { ...PHONE, gate: [64, 84], x: { state: 60, z: 100, r: 175, n: 266, up: 292 },
      y: { tip: 4, top: 26, line: 76, times: 126, n: 200, gate: 290, bus: 352, inputs: 370, bottom: 388, port: 420, end: 450 } },
  ],
  rnn: [
    { ...WIDE, x: { sum: 216, h: 374, up: 472 }, y: { tip: 6, top: 30, bias: 76, line: 164, bottom: 244, port: 288, end: 323 } },
    { ...PHONE, gate: [64, 84], x: { sum: 122, h: 222, up: 282 }, y: { tip: 4, top: 26, bias: 66, line: 140, bottom: 206, port: 246, end: 276 } },
  ],
}

function drawLSTM(pen, { x, y, left, right, port, gate, round, off, peep, squash: [, small] }) {
  const enter = left + port[0] / 2, leave = right - port[0] / 2, edge = y.gate + gate[1] / 2, roof = y.gate - gate[1] / 2
  const gates = ["f", "i", "g", "o"].filter(gate => x[gate]), middle = x.i ? (x.i + x.g) / 2 : x.g
  pen.body(y.top, y.bottom)
  pen.track(left, right, y.line)
  pen.pipe("c_before", "signed", [[enter, y.line], [x.f - round, y.line]], v => v.c_before)
  pen.pipe("kept", "signed", [[x.f, y.line], [middle - round, y.line]], v => v.kept)
  pen.pipe("c", "signed", [[middle, y.line], [leave, y.line]], v => v.c)
  if (peep) {
    pen.peephole("f", [[peep.old, y.line], [peep.old, roof]])
    pen.peephole("i", [[peep.old, peep.y], [x.i - off, peep.y], [x.i - off, roof]])
    pen.peephole("o", [[peep.now, y.line], [peep.now, peep.y], [x.o - off, peep.y], [x.o - off, roof]])
    pen.bridge(x.f, peep.y, 6)
  }
  if (!x.i) pen.pipe("i", "gate", [[x.f, y.times], [middle - round, y.times]], v => v.i)
  pen.pipe("f", "gate", [[x.f, roof], [x.f, y.line + round]], v => v.f)
  if (x.i) pen.pipe("i", "gate", [[x.i, roof], [x.i, y.times], [middle - round, y.times]], v => v.i)
  pen.pipe("g", "signed", [[x.g, roof], ...(x.i ? [[x.g, y.times], [middle + round, y.times]] : [[x.g, y.times + round]])], v => v.g)
  pen.pipe("written", "signed", [[middle, y.times], [middle, y.line + round]], v => v.written)
  pen.pipe("c", "signed", [[x.o, y.line], [x.o, y.tanh - small / 2]], v => v.c)
  pen.pipe("tanh_c", "signed", [[x.o, y.tanh + small / 2], [x.o, y.times - round]], v => v.tanh_c)
  pen.pipe("o", "gate", [[x.o, roof], [x.o, y.times + round]], v => v.o)
  pen.pipe("h", "signed", [[x.o, y.times], [leave, y.times]], v => v.h)
  pen.bridge(x.up, y.line, 12)
  pen.output(x.up, y.times)
  pen.feed(gates.map(gate => ({ gate, x: x[gate], edge })), [[enter, y.bus]])
  pen.node("kept", x.f, y.line, "×", v => v.f)
  pen.node("written", middle, y.times, "×", v => v.i)
  pen.node("h", x.o, y.times, "×", v => v.o)
  pen.node("c", middle, y.line, "+")
  pen.frame("tanh_c", x.o, y.tanh, pen.place.squash, "", "tanh", [0, 14, small - 8])
  for (const gate of gates) pen.box(gate, x[gate], y.gate, gate === "g")
  if (!x.i) pen.number("i", x.f + 10, y.times - 10, v => `1 − f = ${number(v.i)}`, "start")
  pen.number("kept", (x.f + middle) / 2, y.line - 16, v => number(v.kept))
  pen.number("written", middle + 10, (y.line + y.times) / 2 + 5, v => added(v.written), "start")
  pen.port("c_before", left, y.line)
  pen.port("c", right, y.line)
  pen.port("h_before", left, y.bus)
  pen.port("h", right, y.times)
}

function drawGRU(pen, { x, y, left, right, port, gate, round, off }) {
  const enter = left + port[0] / 2, leave = right - port[0] / 2, half = gate[1] / 2
  pen.body(y.top, y.bottom)
  pen.track(left, right, y.line)
  pen.feed([
    { gate: "z", x: x.z, edge: y.gate + half }, { gate: "r", x: x.r, edge: y.gate + half },
    { gate: "n", x: x.n, edge: y.n + half, states: y.gate + round },
  ], [[x.state, y.line], [x.state, y.bus]])
  pen.pipe("h_before", "signed", [[enter, y.line], [x.z - round, y.line]], v => v.h_before)
  pen.pipe("kept", "signed", [[x.z, y.line], [x.n - round, y.line]], v => v.kept)
  pen.pipe("h", "signed", [[x.n, y.line], [leave, y.line]], v => v.h)
  pen.output(x.up, y.line)
  pen.pipe("z", "gate", [[x.z, y.times], [x.n - round, y.times]], v => 1 - v.z)
  pen.pipe("z", "gate", [[x.z, y.gate - half], [x.z, y.line + round]], v => v.z)
  pen.pipe("r", "gate", [[x.r, y.gate], [x.n - off - round, y.gate]], v => v.r)
  pen.pipe("r", "state", [[x.n - off, y.gate], [x.n - off, y.n + half]], v => v.sums.n.state)
  pen.pipe("n", "signed", [[x.n, y.n], [x.n, y.times + round]], v => v.n)
  pen.pipe("written", "signed", [[x.n, y.times], [x.n, y.line + round]], v => v.written)
  pen.node("kept", x.z, y.line, "×", v => v.z)
  pen.node("written", x.n, y.times, "×", v => 1 - v.z)
  pen.node("r", x.n - off, y.gate, "×", v => v.r)
  pen.node("h", x.n, y.line, "+")
  for (const gate of ["z", "r", "n"]) pen.box(gate, x[gate], gate === "n" ? y.n : y.gate, gate === "n")
  const between = (x.z + x.n) / 2
  pen.number("kept", between, y.line - 16, v => number(v.kept))
  pen.number("z", x.z + 12, y.times - 10, v => `1 − z = ${number(1 - v.z)}`, "start")
  pen.number("written", x.n - 10, (y.line + y.times) / 2 + 5, v => added(v.written), "end")
  pen.port("h_before", left, y.line)
  pen.port("h", right, y.line)
}

function drawRNN(pen, { x, y, left, right, port, gate, round }) {
  const enter = left + port[0] / 2, leave = right - port[0] / 2, half = gate[0] / 2
  const sum = v => v.sums.h, below = y.port - port[1] / 2
  pen.body(y.top, y.bottom)
  pen.pipe("h_before", "signed", [[enter, y.line], [x.sum - round, y.line]], v => sum(v).state)
  pen.pipe("x", "input", [[x.sum, below], [x.sum, y.line + round]], v => sum(v).input)
  pen.pipe("bias", "signed", [[x.sum, y.bias + 8], [x.sum, y.line - round]], v => sum(v).bias)
  pen.pipe("sum", "signed", [[x.sum, y.line], [x.h - half, y.line]], v => sum(v).total)
  pen.pipe("h", "signed", [[x.h, y.line], [leave, y.line]], v => v.h)
  pen.output(x.up, y.line)
  pen.node("sum", x.sum, y.line, "+")
  pen.box("h", x.h, y.line, true)
  pen.number("h_before", (enter + x.sum - round) / 2, y.line - 14, v => number(sum(v).state))
  pen.number("x", x.sum + 11, (y.line + y.bottom) / 2 + 10, v => added(sum(v).input), "start")
  pen.number("bias", x.sum, y.bias, v => `bias ${number(sum(v).bias)}`)
  pen.number("sum", (x.sum + x.h + round - half) / 2 - 4, y.line - 14, v => number(sum(v).total))
  pen.port("h_before", left, y.line)
  pen.port("x", x.sum, y.port, v => pen.fitting(v.x))
  pen.port("h", right, y.line)
}

/** The diagram of a kind of cell in a box; returns what writes the values of a step into it. */
function diagram(into, kind, wide) {
  const place = PLACES[kind][wide ? 0 : 1], svg = document.createElementNS(SVG, "svg")
  svg.setAttribute("viewBox", `0 0 ${place.width} ${place.y.end}`)
  svg.setAttribute("class", wide ? "wide" : "narrow")
  svg.setAttribute("role", "group")
  svg.setAttribute("aria-label", `Diagram of the ${CELLS[kind].name} cell`)
  const pen = new Pen(svg, place)
  CELLS[kind].draw(pen, place)
  into.replaceChildren(svg)
  return pen.live
}

// The equations

function element(tag, look, into, text = "") {
  const node = document.createElement(tag)
  node.className = look
  node.textContent = text
  into.append(node)
  return node
}

/** The equations of a kind of cell in a box; returns what writes the values of a step into them. */
function equations(into, kind) {
  const cell = CELLS[kind], live = []
  const term = (row, part, look, value) => {
    const node = element("span", `term ${look}`, row)
    node.dataset.part = part
    live.push(v => (node.textContent = value(v)))
    return node
  }
  const equal = (row, part, sign) => {
    const node = element("span", "sign equal", row)
    live.push(v => {
      row.classList.toggle("held", v.held.has(part))
      node.textContent = v.held.has(part) ? "held" : sign
    })
  }
  const letter = (row, part) => {
    const [base, index] = PARTS[part], node = element("span", "term letter", row, base)
    node.dataset.part = part
    if (index) element("sub", "", node, index)
  }
  into.replaceChildren()
  const [gates, states] = [1, 2].map(() => element("div", "group", into))
  const table = element("div", "sums", gates)
  const head = element("div", "row head", table)
  const peep = cell.peepholes ? ["own c"] : []
  for (const text of ["", "", "", "from x", "all h₋₁", ...peep, "bias", "", "", "sum", "", "value"]) element("span", "", head, text)
  for (const gate of cell.gates) {
    const row = element("div", "row", table), squash = cell.by_tanh.includes(gate) ? "tanh" : "σ"
    const sum = v => v.sums[gate]
    letter(row, gate)
    for (const sign of ["=", `${squash}(`]) element("span", "sign", row, sign)
    term(row, "x", "", v => number(sum(v).input))
    term(row, gate === "n" ? "r" : "h_before", "", v => added(sum(v).state))
    if (cell.peepholes?.includes(gate)) term(row, "peephole", "", v => added(sum(v).cell_state))
    else if (cell.peepholes) element("span", "", row)
    term(row, "bias", "", v => added(sum(v).bias))
    for (const sign of [") =", `${squash}(`]) element("span", "sign", row, sign)
    term(row, kind === "rnn" ? "sum" : gate, "", v => number(sum(v).total))
    equal(row, gate, ") =")
    term(row, gate, "result", v => number(v[gate]))
  }
  if (cell.note) element("div", "note", gates, cell.note)
  for (const [part, terms] of Object.entries(cell.equations)) {
    element("div", "heading", states, `The new ${PARTS[part][2]}`)
    const row = element("div", "product", states)
    letter(row, part)
    element("span", "", row)
    ;["=", ...terms].forEach((name, at) => {
      if (!PARTS[name]) return [1, 2].forEach(() => element("span", "sign", row, name))
      letter(row, name)
      const gate = cell.gates.includes(name) && !cell.by_tanh.includes(name)
      term(row, name, gate ? "share" : "", v => (terms[at - 2] === "·" ? factor : number)(v[name]))
    })
    element("span", "", row)
    equal(row, part, "=")
    element("span", "", row)
    term(row, part, "result", v => number(v[part]))
  }
  return live
}

// The view

export class Cell {
  constructor(root) {
    this.root = root
    const find = selector => root.querySelector(selector)
    Object.assign(this, { tokens: find(".tokens"), slider: find("input"), speed: find("select"), where: find(".where") })
    Object.assign(this, { picture: find(".picture"), explained: find(".explained"), equations: find(".equations") })
    this.about = find(".which")
    this.buttons = Object.fromEntries([...root.querySelectorAll("[data-do]")].map(button => [button.dataset.do, button]))
    this.run = this.content = null
    this.pointed = this.chosen = null // the part under the pointer, and the one that was tapped or has the focus
    this.live = []
    this.hear = news => news.figures.includes(this.data.name) && this.request()
    this.listen()
    this.resized = new ResizeObserver(() => this.request())
    this.resized.observe(this.picture)
  }

  /** What the script wants: {run, view, name, content, group}. Called at each of its runs and at a change of theme. */
  update(data) {
    const before = this.run
    if (data.run !== (before?.id ?? null) || data.view !== (before?.view ?? "")) {
      this.run = data.run ? follow(data.run, this.hear, data.view) : null
      unfollow(before, this.hear)
    }
    this.run?.wantPicture(data.name)
    if (data.group !== this.data?.group) {
      this.leave?.()
      this.cursor = cursor(data.group)
      this.leave = this.cursor.subscribe(() => this.moved())
    }
    this.data = data
    this.draw()
  }

  request() {
    this.pending ||= requestAnimationFrame(() => this.draw())
  }

  get steps() {
    return this.content?.labels.length ?? 0
  }

  get step() {
    return Math.min(this.cursor.step, this.steps - 1)
  }

  /** Take up the content of now; the diagram is made anew only for another kind of cell or another layout. */
  draw() {
    this.pending = 0
    if (this.ended || !this.data) return
    const longer = this.steps
    this.content = this.run?.figures[this.data.name] ?? this.data.content
    const empty = !(this.steps > 0)
    this.root.classList.toggle("waiting", empty)
    if (empty) return this.pause()
    const { cell, unit, units, step_of_training: trained } = this.content
    const when = trained == null ? "" : `, after ${whole(trained)} training steps`
    this.about.textContent = `${CELLS[cell].name} with ${units} units, unit ${unit}${when}`
    this.make(cell, this.picture.clientWidth >= NARROW)
    this.label()
    if (this.steps < longer) this.cursor.set(this.step)
    this.show()
  }

  make(kind, wide) {
    const made = `${kind} ${wide}`
    if (made === this.made) return
    if (this.root.dataset.cell !== kind) {
      this.ofEquations = equations(this.equations, kind)
      this.pointed = this.chosen = null
    }
    this.root.dataset.cell = kind
    this.live = [...diagram(this.picture, kind, wide), ...this.ofEquations]
    this.made = made
    this.mark()
  }

  /** The tokens: their buttons stay, so that one keeps the focus. */
  label() {
    const { tokens, steps } = this, before = tokens.childElementCount
    while (tokens.childElementCount > steps) tokens.lastChild.remove()
    while (tokens.childElementCount < steps) element("button", "", tokens).type = "button"
    this.content.labels.forEach((label, at) => {
      const button = tokens.children[at], said = `step ${at + 1}, reads ${label}${this.content.marked?.[at] ? ", marked" : ""}`
      if (button.textContent !== label) button.textContent = label
      if (button.ariaLabel !== said) button.ariaLabel = said
    })
    this.slider.max = steps
    if (before !== steps) this.reveal("instant")
  }

  /** Everything that depends on the step. */
  show() {
    const { step, steps, content } = this, values = valuesAt(content, step)
    for (const write of this.live) write(values)
    for (const [at, button] of [...this.tokens.children].entries()) {
      button.className = (at < step ? "read" : at > step ? "ahead" : "now") + (content.marked?.[at] ? " marked" : "")
      button.tabIndex = at === step ? 0 : -1
      if (at === step) button.setAttribute("aria-current", "step")
      else button.removeAttribute("aria-current")
    }
    const text = `step ${step + 1} of ${steps}, reads “${content.labels[step]}”`
    if (this.where.textContent !== text) this.where.textContent = text
    this.slider.value = step + 1
    this.slider.style.setProperty("--done", `${(100 * step) / Math.max(1, steps - 1)}%`)
    this.slider.setAttribute("aria-valuetext", text)
    const { first, back, forward, last } = this.buttons
    first.ariaDisabled = back.ariaDisabled = String(step === 0)
    last.ariaDisabled = forward.ariaDisabled = String(step === steps - 1)
    this.explain(values)
    this.root.dataset.step = step // which step is to be seen, for tests
  }

  // Steps

  /** The cursor was set, by this view or by another part of the page; that by another ends the playing. */
  moved() {
    if (!this.ticking) this.pause()
    if (!(this.steps > 0)) return
    this.show()
    if (this.tokens.contains(document.activeElement)) this.tokens.children[this.step].focus({ preventScroll: true })
    this.reveal(this.still.matches ? "instant" : "smooth")
  }

  /** Scroll the tokens, and not the page, so that the current one is in the middle. */
  reveal(behavior) {
    const { tokens } = this, now = tokens.children[this.step]
    tokens.scrollTo({ left: now.offsetLeft - (tokens.clientWidth - now.offsetWidth) / 2, behavior })
  }

  /** Go to a step by hand. */
  go(step) {
    this.pause()
    this.cursor.set(Math.min(Math.max(step, 0), this.steps - 1))
  }

  do(what) {
    const { step, steps } = this
    if (what === "play") return this.playing ? this.pause() : this.play()
    this.go({ first: 0, back: step - 1, forward: step + 1, last: steps - 1 }[what])
  }

  play() {
    this.showPlaying(true)
    if (this.step === this.steps - 1) this.tick(0)
    this.wait()
  }

  wait() {
    clearTimeout(this.timer)
    const pause = 1000 / Number(this.speed.value)
    this.root.style.setProperty("--calm", `${Math.min(CALM_MS, 0.6 * pause)}ms`)
    this.timer = setTimeout(() => {
      this.tick(this.step + 1)
      if (this.step === this.steps - 1) this.pause()
      else this.wait()
    }, pause)
  }

  tick(step) {
    this.ticking = true
    this.cursor.set(Math.min(step, this.steps - 1))
    this.ticking = false
  }

  pause() {
    if (!this.playing) return
    clearTimeout(this.timer)
    this.root.style.setProperty("--calm", `${CALM_MS}ms`)
    this.showPlaying(false)
  }

  /** The button's look; a screen reader is not told of each step while it plays. */
  showPlaying(playing) {
    const word = playing ? "Pause" : "Play"
    this.playing = playing
    this.root.classList.toggle("playing", playing)
    this.where.ariaLive = playing ? "off" : "polite"
    this.buttons.play.ariaLabel = word
    this.buttons.play.title = `${word} (space)`
  }

  // Explanations

  get point() {
    return this.pointed ?? this.chosen
  }

  /** Mark a part wherever it is, in the diagram and in the equations. */
  mark() {
    this.root.querySelectorAll(".on").forEach(node => node.classList.remove("on"))
    if (this.point) this.root.querySelectorAll(`[data-part="${this.point}"]`).forEach(node => node.classList.add("on"))
  }

  explain(values) {
    const { point } = this, [letter, index, name] = PARTS[point] ?? []
    const value = point === "x" ? `“${values.x}”` : values[point] == null ? "" : number(values[point])
    const title = point ? [name, `${letter}${index && "₋₁"}`, value && `= ${value}`].filter(Boolean).join(" ") : ""
    const text = point ? values.explain(point) : HINT
    const held = values.held.has(point) ? "Held by an operation. " : ""
    const said = title + held + text
    if (this.explained.textContent === said) return
    this.explained.replaceChildren()
    if (title) element("b", "", this.explained, title)
    this.explained.append(held + text)
    this.explained.classList.toggle("hint", !point)
  }

  see(changes) {
    const before = this.point
    Object.assign(this, changes)
    if (this.point === before || !(this.steps > 0)) return
    this.mark()
    this.explain(valuesAt(this.content, this.step))
  }

  // What people do

  listen() {
    const { root } = this
    const part = event => event.target.closest("[data-part]")?.dataset.part ?? null
    root.onpointerover = event => event.pointerType === "mouse" && this.see({ pointed: part(event) })
    root.onpointerleave = () => this.see({ pointed: null })
    root.onfocusin = event => part(event) && event.target.matches(":focus-visible") && this.see({ chosen: part(event) })
    root.onclick = event => this.clicked(event.target, part(event))
    root.onkeydown = event => this.pressed(event)
    this.slider.oninput = () => this.go(this.slider.value - 1)
    this.speed.onchange = () => this.playing && this.wait()
    this.still = matchMedia("(prefers-reduced-motion: reduce)")
  }

  clicked(target, part) {
    const button = target.closest("button")
    if (!button) return target.closest(".inside") && this.see({ chosen: part === this.chosen ? null : part })
    if (button.dataset.do) this.do(button.dataset.do)
    else this.go([...this.tokens.children].indexOf(button))
  }

  pressed(event) {
    const { key, target } = event
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || !(this.steps > 0)) return
    if (key === "Escape") return this.see({ chosen: null })
    const what = { ArrowLeft: "back", ArrowRight: "forward", Home: "first", End: "last", " ": "play" }[key]
    // The speed has its own use for all keys, and a button for the space.
    if (!what || target === this.speed || (key === " " && target.closest("button"))) return
    event.preventDefault()
    this.do(what)
  }

  end() {
    this.ended = true
    clearTimeout(this.timer)
    cancelAnimationFrame(this.pending)
    this.leave?.()
    unfollow(this.run, this.hear)
    this.resized.disconnect()
  }
}
