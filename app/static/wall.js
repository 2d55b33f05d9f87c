// The host's wall: everyone's latest run as a small curve, and how busy the machine is, from the room's wall stream.

import { follow, unfollow } from "./stream.js"
import { significant, whole } from "./words.js"

const ACTIVE = ["queued", "compiling", "running", "paused"]
const WIDTH = 100, HEIGHT = 36, EDGE = 2

const gigabytes = bytes => `${(bytes / 1e9).toFixed(1)} GB`

/** The points of a curve in the box; 0 is the bottom. */
export function points(values) {
  const high = Math.max(...values, 1e-9), last = Math.max(1, values.length - 1)
  const y = value => HEIGHT - EDGE - (Math.max(0, value) / high) * (HEIGHT - 2 * EDGE)
  return values.map((value, i) => `${((i / last) * WIDTH).toFixed(1)},${y(value).toFixed(1)}`).join(" ")
}

export class Wall {
  constructor(root) {
    this.root = root
    this.cards = new Map() // id of a run -> its element
    this.room = null
    this.hear = () => this.request()
    root.onclick = event => this.act(event.target.closest("button"))
  }

  /** What the script wants: {run}, the id of the room's wall. */
  update(data, setTriggerValue) {
    const before = this.room
    if (data.run !== before?.id) {
      this.room = follow(data.run, this.hear)
      unfollow(before, this.hear)
    }
    this.trigger = setTriggerValue
    this.draw()
  }

  act(button) {
    const run = button?.closest("li")?.dataset.run
    if (run) this.trigger("act", `${button.dataset.act} ${run}`)
  }

  request() {
    this.pending ||= requestAnimationFrame(() => this.draw())
  }

  draw() {
    this.pending = 0
    if (this.ended) return
    const { frame, connection } = this.room
    this.write(this.root.querySelector(".connection"), connection === "lost" ? "Connection lost, trying again…" : "")
    if (!frame?.wall) return
    const { people, training, waiting, machine } = frame
    for (const [name, count] of Object.entries({ people, training, waiting })) this.part(this.root, name, whole(count))
    this.part(this.root, "processor", `${whole(machine.processor)} %`)
    this.part(this.root, "memory", `${gigabytes(machine.memory)} of ${gigabytes(machine.memory_in_all)}`)
    this.root.querySelector(".empty").hidden = frame.wall.length > 0
    this.cards.forEach((card, id) => frame.wall.some(run => run.id === id) || (card.remove(), this.cards.delete(id)))
    const list = this.root.querySelector("ul")
    frame.wall.forEach((run, i) => {
      const card = this.card(run)
      if (list.children[i] !== card) list.insertBefore(card, list.children[i] ?? null)
    })
  }

  card(run) {
    const template = this.root.querySelector("template").content.firstElementChild
    const card = this.cards.get(run.id) ?? template.cloneNode(true)
    this.cards.set(run.id, card)
    card.dataset.run = run.id
    card.dataset.state = run.state
    this.part(card, "nickname", run.nickname)
    card.querySelector("[data-part=nickname]").title = run.nickname // a long one is cut off
    this.part(card, "state", run.state)
    this.part(card, "demo", run.demo)
    this.part(card, "loss", run.loss === null ? "" : `${significant(run.loss)} nats`)
    const cells = run.sweep && `${run.step} of ${run.steps} cells`
    this.part(card, "progress", cells || (run.steps ? `${whole((100 * run.step) / run.steps)} %` : ""))
    card.querySelector("polyline").setAttribute("points", points(run.spark))
    const loss = run.loss === null ? cells || "nothing measured yet" : `loss ${significant(run.loss)} nats`
    card.querySelector("svg").setAttribute("aria-label", `${run.nickname}: ${run.demo}, ${run.state}, ${loss}`)
    card.querySelector("[data-act=show]").hidden = Boolean(run.sweep)
    card.querySelector("[data-act=stop]").hidden = !ACTIVE.includes(run.state)
    return card
  }

  part(root, name, text) {
    this.write(root.querySelector(`[data-part=${name}]`), text)
  }

  write(node, text) {
    if (node.textContent !== text) node.textContent = text
  }

  end() {
    this.ended = true
    cancelAnimationFrame(this.pending)
    unfollow(this.room, this.hear)
  }
}
