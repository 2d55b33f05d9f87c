// The status strip: the run's state, progress and pace, in place from the stream. When the state or the coach's advice is
// no longer what the page was drawn with, it lets the script run again.

import { Events } from "./events.js"
import { follow, unfollow } from "./stream.js"
import { duration, milliseconds, moment, ordinal, pace, significant, whole } from "./words.js"

const STATES = {
  queued: ["Queued", "gray", "It is compiled as soon as it is its turn."],
  compiling: ["Compiling", "violet", "This takes a few seconds, and longer for wide gated cells with long windows."],
  running: ["Running", "green", ""],
  paused: ["Paused", "orange", ""],
  finished: ["Finished", "blue", ""],
  stopped: ["Stopped", "gray", ""],
  diverged: ["Diverged", "red", ""],
  failed: ["Failed", "red", ""],
}
const READY = ["Ready", "gray", "Press Start to train."]
const LOST = ["Connection lost, trying again…", "orange", ""]
const GONE = ["Gone", "red", "This run is not on the server any more."]
const UNKNOWN = "–"

/** Where the run stands among others': in the queue to be compiled, or taking turns. */
function waits(frame) {
  if (frame?.state === "queued" && frame.place > 0) return `${ordinal(frame.place)} in the queue to be compiled.`
  if (frame?.state !== "running" || !(frame.people > 1) || frame.turn_seconds == null) return ""
  return `${whole(frame.people)} people take turns; this run’s turn comes every ${moment(frame.turn_seconds)}.`
}

export class Status {
  constructor(root) {
    this.root = root
    const parts = [...root.querySelectorAll("[data-part], [data-figure]")]
    this.parts = Object.fromEntries(parts.map(part => [part.dataset.part ?? part.dataset.figure, part]))
    this.run = null
    this.hear = () => this.request()
    this.events = new Events()
  }

  /** What the script wants: {run, event, status}, `event` and `status` being those that the page was drawn with. */
  update(data, setTriggerValue) {
    const before = this.run
    if (data.run !== (before?.id ?? null)) {
      this.run = data.run ? follow(data.run, this.hear) : null
      unfollow(before, this.hear)
    }
    this.data = data
    this.trigger = setTriggerValue
    for (const [figure, label] of Object.entries(data.labels)) this.rename(figure, label)
    this.draw()
  }

  /** Another label for a figure; null hides it. */
  rename(figure, label) {
    const box = this.parts[figure].parentElement
    box.hidden = label === null
    if (label) box.querySelector("dt").textContent = label
  }

  request() {
    this.pending ||= requestAnimationFrame(() => this.draw())
    // A hidden page draws nothing, but what it must know it learns at once.
    this.notify()
  }

  get frame() {
    return this.run?.frame ?? this.data.status ?? null
  }

  draw() {
    this.pending = 0
    if (this.ended) return
    const frame = this.frame
    const [label, color, explained] = this.saying(frame)
    this.root.dataset.state = frame?.state ?? "none"
    this.root.dataset.color = color
    this.write("state", label)
    const message = this.run?.connection === "lost" ? "" : frame?.message
    this.write("message", message || waits(frame) || explained)
    this.parts.message.classList.toggle("hint", !message)
    this.progress(frame)
    this.write("epoch", frame?.epochs && `${whole(frame.epoch)} of ${whole(frame.epochs)}`)
    this.write("step", frame && `${whole(frame.step)} of ${whole(frame.steps)}`)
    this.write("loss", frame?.metrics?.loss == null ? null : significant(frame.metrics.loss))
    this.write("pace", frame?.steps_per_second == null ? null : pace(frame.steps_per_second * (frame.words_per_step ?? 1)))
    this.write("step_time", frame?.step_seconds == null ? null : milliseconds(frame.step_seconds))
    this.write("left", frame?.time_left == null ? null : duration(frame.time_left))
    this.write("device", frame?.device)
    this.notify()
  }

  saying(frame) {
    if (this.run?.connection === "lost") return LOST
    if (this.run?.connection === "gone") return GONE
    return STATES[frame?.state] ?? READY
  }

  progress(frame) {
    const share = frame?.steps ? frame.step / frame.steps : 0
    const percent = Math.floor(100 * share)
    this.parts.fill.style.transform = `scaleX(${share})`
    this.root.classList.toggle("busy", ["queued", "compiling"].includes(frame?.state))
    if (this.parts.bar.getAttribute("aria-valuenow") !== String(percent)) this.parts.bar.setAttribute("aria-valuenow", percent)
  }

  /** Write a text where it is new, so that a screen reader hears of changes only. */
  write(part, text) {
    const shown = text || (part === "message" ? "" : UNKNOWN)
    if (this.parts[part].textContent !== shown) this.parts[part].textContent = shown
  }

  /** Let the script run again when the page was drawn with another state or advice than the run has now. */
  notify() {
    this.events.compare(this.data.event, this.run?.frame?.event, event => this.trigger("event", event))
  }

  end() {
    this.ended = true
    this.events.end()
    cancelAnimationFrame(this.pending)
    unfollow(this.run, this.hear)
  }
}
