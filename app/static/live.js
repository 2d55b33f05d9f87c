// What the components' stubs call (app/live.py). Each call says what the script wants now; the part that draws it stays
// on its element from call to call.

import { Board } from "./board.js"
import { Cell } from "./cell.js"
import { Chart } from "./chart.js"
import { Findings } from "./findings.js"
import { Room } from "./room.js"
import { Status } from "./status.js"
import { Story } from "./story.js"
import { Wall } from "./wall.js"

export { chips } from "./chips.js"

function shown(Part, selector, { parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(selector)
  let part = parentElement.unrolled
  if (!(part instanceof Part) || part.root !== root || part.ended) {
    part?.end() // one of an older version of this module, after the server was updated under an open page
    part = parentElement.unrolled = new Part(root)
  }
  part.update(data, setTriggerValue)
  // Streamlit calls this when the component has gone from the page, but also for a call that another has overtaken while
  // this module was being loaded: then the component is there, and goes on.
  return () => root.isConnected || part.end()
}

export const chart = component => shown(Chart, ".unrolled-figure", component)
export const cell = component => shown(Cell, ".unrolled-cell", component)
export const story = component => shown(Story, ".unrolled-story", component)
export const findings = component => shown(Findings, ".unrolled-findings", component)
export const status = component => shown(Status, ".unrolled-status", component)
export const room = component => shown(Room, ".unrolled-room", component)
export const board = component => shown(Board, ".unrolled-board", component)
export const wall = component => shown(Wall, ".unrolled-wall", component)
