// Which room one is in, and how many train in it, from the room's stream. After each word of the host the script runs again.

import { Events } from "./events.js"
import { follow, unfollow } from "./stream.js"
import { counted } from "./words.js"

export class Room {
  constructor(root) {
    this.root = root
    this.parts = Object.fromEntries([...root.querySelectorAll("[data-part]")].map(part => [part.dataset.part, part]))
    this.events = new Events()
    this.room = null
    this.hear = () => this.draw()
  }

  /** What the script wants: {run, event, code, nickname}, `run` being the room's id. */
  update(data, setTriggerValue) {
    const before = this.room
    if (data.run !== before?.id) {
      this.room = follow(data.run, this.hear)
      unfollow(before, this.hear)
    }
    this.data = data
    this.trigger = setTriggerValue
    this.draw()
  }

  draw() {
    if (this.ended) return
    const frame = this.room.frame
    this.parts.code.textContent = this.data.code
    this.parts.who.textContent = this.data.nickname ? `You are ${this.data.nickname}.` : ""
    this.parts.counts.textContent = this.counts(frame)
    this.events.compare(this.data.event, frame?.event, event => this.trigger("event", event))
  }

  counts(frame) {
    if (this.room.connection === "lost") return "Connection lost, trying again…"
    if (this.room.connection === "gone") return "This room is not on the server any more."
    if (!frame) return ""
    const trains = frame.training === 1 ? "trains" : "train"
    return `${counted(frame.people, "person", "people")} here, ${counted(frame.training, "run", "runs")} ${trains} now.`
  }

  end() {
    this.ended = true
    this.events.end()
    unfollow(this.room, this.hear)
  }
}
