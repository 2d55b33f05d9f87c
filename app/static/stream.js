// One stream of server-sent events for each run on the page, shared by all parts that show the run. What goes on inside a
// run's network is a stream of its own for each view of it: its pictures depend on what one has chosen to look at.
// This module is imported once per page, because every part imports it from the same address.

const API = new URL("../../", import.meta.url) // …/api/
const SILENCE_MS = 25_000 // the server sends at least a beat every 10 seconds
const RETRY_MS = [500, 1000, 2000, 4000]
const HIDDEN_MS = 10_000 // a page that nobody sees gives its connection back: browsers allow six to a server
const GATHER_MS = 20
const GRACE_MS = 1000 // between the last part's leaving and the next one's coming

const runs = new Map() // id and view -> Run

/** Follow a run: `listener(news)` is called at each change, `news.figures` being the names of the new pictures.
 *  Returns the Run, to be given back to `unfollow`. Its curves come when they are wanted, see `Run.want`. */
export function follow(id, listener, view = "") {
  const key = `${id}\n${view}`
  const run = runs.get(key) ?? new Run(id, view, key)
  runs.set(key, run)
  run.listeners.add(listener)
  run.connectSoon()
  return run
}

/** Follow it no more. The stream is closed when nobody is left. */
export function unfollow(run, listener) {
  run?.listeners.delete(listener)
  if (run) setTimeout(() => run.endIfAlone(), GRACE_MS)
}

class Run {
  constructor(id, view, key) {
    Object.assign(this, { id, view, key })
    this.frame = null // the latest status
    this.series = new Map() // name -> {generation, count, step, value}, the arrays longer than count
    this.figures = {} // name -> the latest picture
    this.connection = "new" // then open, lost, gone or asleep
    this.listeners = new Set()
    this.names = new Set() // of the series that are sent
    this.pictures = new Set() // the names of the view's pictures that are sent
    this.source = null
    this.failures = 0
  }

  /** Have these series sent as well from now on. */
  want(names) {
    const missing = names.filter(name => !this.names.has(name))
    missing.forEach(name => this.names.add(name))
    if (missing.length > 0) this.connectSoon(true)
  }

  /** Have this picture of the view sent as well from now on. */
  wantPicture(name) {
    if (!this.view || this.pictures.has(name)) return
    this.pictures.add(name)
    this.connectSoon(true)
  }

  /** Connect, unless connected, when the other parts of the page have said what they want. */
  connectSoon(again = false) {
    if (this.connection === "gone" || document.hidden || (this.source && !again)) return
    clearTimeout(this.soon)
    this.soon = setTimeout(() => this.listeners.size > 0 && this.connect(), GATHER_MS)
  }

  connect() {
    this.disconnect()
    // Each connection begins with all that there is, so a reader that was away needs nothing special.
    const address = new URL(`runs/${encodeURIComponent(this.id)}/events`, API)
    address.searchParams.set("series", [...this.names].join(","))
    if (this.view) {
      address.searchParams.set("view", this.view)
      address.searchParams.set("pictures", [...this.pictures].join(","))
    }
    const source = new EventSource(address)
    this.source = source
    source.onmessage = message => this.receive(JSON.parse(message.data))
    source.addEventListener("beat", () => this.heard())
    source.onerror = () => this.retry(source.readyState === EventSource.CLOSED)
    this.listen()
  }

  disconnect() {
    this.source?.close()
    this.source = null
    clearTimeout(this.timer)
    clearTimeout(this.soon)
  }

  listen() {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.retry(false), SILENCE_MS)
  }

  heard() {
    this.failures = 0
    this.listen()
    this.become("open")
  }

  /** Try again later. A browser does that by itself, but not after an error that the server answered. */
  retry(refused) {
    this.disconnect()
    this.become("lost")
    const wait = RETRY_MS[Math.min(this.failures++, RETRY_MS.length - 1)] * (1 + 0.3 * Math.random())
    this.timer = setTimeout(() => (refused ? this.connectIfThere() : this.connect()), wait)
  }

  async connectIfThere() {
    const status = await fetch(new URL(`runs/${encodeURIComponent(this.id)}`, API)).then(answer => answer.status, () => 0)
    if (this.connection !== "lost" || this.source || this.listeners.size === 0) return
    if (status === 404) this.become("gone")
    else this.connect()
  }

  sleep() {
    if (this.connection === "gone") return
    this.disconnect()
    this.connection = "asleep"
  }

  endIfAlone() {
    if (this.listeners.size > 0) return
    this.disconnect()
    if (runs.get(this.key) === this) runs.delete(this.key)
  }

  become(connection) {
    if (this.connection === connection) return
    this.connection = connection
    this.tell([])
  }

  tell(figures) {
    for (const listener of [...this.listeners]) listener({ figures })
  }

  receive(frame) {
    this.heard()
    for (const [name, delta] of Object.entries(frame.series)) {
      const next = extended(this.series.get(name), delta)
      if (next === null) return this.connect() // something was lost: begin anew
      this.series.set(name, next)
    }
    Object.assign(this.figures, frame.figures)
    const { series, figures, ...status } = frame
    this.frame = status
    this.tell(Object.keys(figures ?? {}))
  }
}

/** A series with the points of a delta put in at its start, or null where points before it are missing. */
function extended(series, delta) {
  const step = new Int32Array(bytes(delta.step)), value = new Float32Array(bytes(delta.value))
  if (delta.start === 0) return { generation: delta.generation, count: step.length, step, value }
  if (!series || series.generation !== delta.generation || series.count < delta.start) return null
  const count = delta.start + step.length
  const next = { generation: delta.generation, count, step: roomy(series.step, count), value: roomy(series.value, count) }
  next.step.set(step, delta.start)
  next.value.set(value, delta.start)
  return next
}

function roomy(array, length) {
  if (array.length >= length) return array
  const longer = new array.constructor(2 * length)
  longer.set(array)
  return longer
}

function bytes(base64) {
  const letters = atob(base64), found = new Uint8Array(letters.length)
  for (let i = 0; i < letters.length; i++) found[i] = letters.charCodeAt(i)
  return found.buffer
}

let falling = 0
document.addEventListener("visibilitychange", () => {
  clearTimeout(falling)
  if (document.hidden) falling = setTimeout(() => runs.forEach(run => run.sleep()), HIDDEN_MS)
  else runs.forEach(run => run.connectSoon())
})
window.addEventListener("online", () => runs.forEach(run => run.connection === "lost" && run.connect()))
