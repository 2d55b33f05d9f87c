// The leaderboard of a room's challenge, from the room's stream.

import { follow, unfollow } from "./stream.js"
import { significant, whole } from "./words.js"

export class Board {
  constructor(root) {
    this.root = root
    this.room = null
    this.hear = () => this.draw()
  }

  /** What the script wants: {run, nickname}, `run` being the room's id. */
  update(data) {
    const before = this.room
    if (data.run !== before?.id) {
      this.room = follow(data.run, this.hear)
      unfollow(before, this.hear)
    }
    this.data = data
    this.draw()
  }

  draw() {
    const places = this.room.frame?.board
    if (this.ended || !places) return
    const drawn = JSON.stringify([places, this.data.nickname])
    if (drawn === this.drawn) return
    this.drawn = drawn
    this.root.querySelector("table").hidden = places.length === 0
    this.root.querySelector("p").hidden = places.length > 0
    this.root.querySelector("tbody").replaceChildren(...places.map((place, i) => this.row(place, i)))
  }

  row({ nickname, loss, step }, i) {
    const row = document.createElement("tr")
    row.classList.toggle("own", nickname === this.data.nickname)
    for (const text of [`${i + 1}.`, nickname, significant(loss), whole(step)]) row.insertCell().textContent = text
    return row
  }

  end() {
    this.ended = true
    unfollow(this.room, this.hear)
  }
}
